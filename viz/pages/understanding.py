"""Understanding: what an encoder does with a text that is already there. Four ways to ask it, one at a time."""

import streamlit as st

from viz.guard import handler, part
from viz.sections.understanding import both_ways, masking, saliency, sentiment, similarity
from viz.ui import controls, glossary, session
from viz.ui.choices import BLANK, BOTH, SENTIMENT, SIMILARITY

QUESTIONS = {
    BLANK: "What could stand here?",
    BOTH: "What may a token see?",
    SENTIMENT: "Is this good or bad?",
    SIMILARITY: "Do these two mean the same?",
}
EXPLAINED = {
    BLANK: "It was trained by hiding words and guessing them. Hide some, and see what it expects in their place.",
    BOTH: "The same text, read by this encoder and by a decoder, which writes. Choose a token and see what it may look "
    "at in each of them.",
    SIMILARITY: "Two texts become two vectors, and the angle between these is a number for how alike the texts are.",
}
EXAMPLES = {
    BLANK: masking.EXAMPLES,
    BOTH: both_ways.EXAMPLES,
    SENTIMENT: sentiment.EXAMPLES,
    SIMILARITY: similarity.EXAMPLES,
}
EXPLAINED_TOO = {SENTIMENT: saliency.of_label, BLANK: saliency.of_blank}
SHOWN = {BLANK: masking.show, BOTH: both_ways.show, SENTIMENT: sentiment.show, SIMILARITY: similarity.show}


def main() -> None:
    st.title("Understanding")
    st.markdown(
        "An **encoder** writes nothing. It reads the whole text at once, what comes before a word and what comes after "
        "it, and makes of every token a vector that knows its surroundings."
    )
    glossary.show()
    section = controls.choose(
        "Ask it",
        "section",
        help=" · ".join(f"{name}: {question}" for name, question in QUESTIONS.items()),
    )
    question, explained = sentiment.explained() if section == SENTIMENT else (QUESTIONS[section], EXPLAINED[section])
    st.header(question, divider="gray", anchor=False)
    st.markdown(explained)
    offer(EXAMPLES[section])
    SHOWN[section]()
    if more := EXPLAINED_TOO.get(section):
        with part():  # no section of its own: what takes long could not be stopped there
            more()


def offer(texts: tuple[str, ...]) -> None:
    """Texts that suit the section."""
    st.html("<style>.st-key-offered button { min-height: 0; padding: 0.1rem 0.6rem; }</style>")
    with st.container(horizontal=True, gap="small", key="offered"):
        for text in texts:
            st.button(f":small[{text}]", key=f"offer_{text}", on_click=handler(session.read_next), args=(text,))


main()
