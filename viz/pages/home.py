"""Home: the path of a text through a transformer, as one picture made of five, each leading to its page."""

import numpy as np
import streamlit as st

from model.analysis.attention import strongest_in_cell
from viz.components.head_grid import Pick, head_grid
from viz.figures import home as figures
from viz.guard import handler
from viz.plain import plain
from viz.ui import links, provenance, session
from viz.ui.choices import (
    ATTENTION,
    EMBEDDINGS,
    GENERATION,
    HEAD,
    MECHANISM,
    TOKENIZATION,
    TRANSLATION,
    UNDERSTANDING,
)


def another_example() -> None:
    examples = session.EXAMPLES
    now = examples.index(st.session_state.text) if st.session_state.text in examples else -1
    st.session_state.text = examples[(now + 1) % len(examples)]


def open_weight(pick: Pick) -> None:
    if pick.cell is not None:
        attention = session.current_run().attention[pick.layer]
        provenance.open_card(
            pick.layer, pick.head, *strongest_in_cell(attention, pick.head, session.current_overview(), pick.cell)
        )


# arrows between the cards: to the right, or down where they stand on top of each other
STYLE = """<style>
.stMainBlockContainer h1 { text-wrap: balance; }
[class*="st-key-step_"] { position: relative; overflow: visible; }
[class*="st-key-step_"]:not(.st-key-step_5)::after {
  content: "→"; position: absolute; z-index: 1; right: -1.42rem; top: 7.6rem; font-size: 1.3rem; opacity: .6;
}
.st-key-path .stHorizontalBlock { flex-wrap: wrap; }
.st-key-path .stColumn { min-width: 9.9rem; }
@media (max-width: 640px) {
  .st-key-path .stColumn { min-width: 100%; }
  .path-words { height: auto !important; }
  [class*="st-key-step_"]:not(.st-key-step_5)::after { content: "↓"; right: 50%; top: auto; bottom: -1.75rem; }
}
</style>"""

st.title("See where every head looks, and check every number you see.")
st.write(
    "Type a text in the sidebar (on a small screen, **»** opens it). A transformer reads it here and now: follow your "
    "text through it, from what you typed to what it expects next, and open any step to look inside."
)

lm, run, overview = session.current_model(), session.current_run(), session.current_overview()
info, read_tokens = run.info, run.source or run.tokens  # an encoder-decoder has read what was typed, and written more
n_token, n_special = len(read_tokens), sum(token.special for token in read_tokens)
mode = st.context.theme.type or "light"
n_character = len(session.current_text())


def predicted() -> tuple[str, str, str, str | None]:
    """The last step: its picture, its sentence, its button and where that leads."""
    if info.labels:
        found = lm.classify(run.tokens)
        best = np.argsort(-found.log_prob, kind="stable")[:5]
        picture = figures.next_tokens_picture([found.labels[i] for i in best], np.exp(found.log_prob[best]), mode)
        sentence = "It judges the text as a whole: its labels and their probabilities."
        return picture, sentence, "What moved it", UNDERSTANDING
    if run.predictions is None:
        return figures.no_picture(), "This model has no head that predicts tokens: it ends here.", "", None
    # an encoder says what stands in each place: of the last one that is not a special token's
    places = [i for i, token in enumerate(run.tokens) if not token.special] if not run.predictions.of_next else []
    place = places[-1] if places else len(run.tokens) - 1
    best, log_prob = run.predictions.top_id[place, :5], run.predictions.top_log_prob[place, :5]
    picture = figures.next_tokens_picture([lm.token(int(id)).label for id in best], np.exp(log_prob), mode)
    if run.predictions.of_next:
        sentence = "Every token of the vocabulary gets a probability to come next; these are the highest."
        return picture, sentence, "Let it write", GENERATION
    return picture, f"It says what may stand in each place; these are its best for token {place}.", "", None


def becomes_vectors() -> str:
    """What the third picture shows."""
    whose = "Each token that it has written" if run.source else "Each token"
    if run.hidden is None:
        return f"{whose} becomes numbers: its entry of the vocabulary has {vectors.shape[1]:,}."
    return f"{whose} becomes {info.d_model:,} numbers: what the first block reads."


vectors = run.hidden[0] if run.hidden is not None else lm.embeddings()[0][[token.id for token in run.tokens]]
next_picture, next_sentence, next_label, next_page = predicted()
steps = [
    (
        "Text",
        figures.text_picture(session.current_text()),
        f"What you typed: {n_character:,} character{'s' if n_character != 1 else ''}.",
        "Another example",
        None,
    ),
    (
        "Tokens",
        figures.tokens_picture([token.label for token in read_tokens], mode),
        f"It becomes {n_token:,} token{'s' if n_token != 1 else ''}, each out of a vocabulary of {info.n_vocab:,}"
        + (f"; {n_special} of them special." if n_special else "."),
        "How it is cut",
        TOKENIZATION,
    ),
    (
        "Embeddings",
        figures.vectors_picture(vectors),
        becomes_vectors(),
        "The vectors",
        EMBEDDINGS,
    ),
    (
        "Attention",
        None,
        f"In {info.n_layer} blocks of {info.n_head} heads, tokens look at each other: a row looks, a column is seen.",
        "The heads",
        ATTENTION,
    ),
    (
        "Label" if info.labels else "Next token" if info.family != "encoder" else "What fits",
        next_picture,
        next_sentence,
        next_label,
        next_page,
    ),
]

st.html(STYLE)
path = st.container(key="path")
for number, (column, (title, picture, sentence, label, page)) in enumerate(
    zip(path.columns(5, gap="medium"), steps, strict=True), start=1
):
    with column.container(border=True, height="stretch", vertical_alignment="distribute", key=f"step_{number}"):
        if picture is None:
            st.html(figures.step_title(number, title))
            head_grid(overview, key="home_heads", compact_height=figures.HEIGHT - 34, on_pick=open_weight)
            st.html(figures.step_sentence(sentence))
        else:
            st.html(figures.step_title(number, title) + picture + figures.step_sentence(sentence))
        if not label:
            continue
        if page is None:
            st.button(label, key=f"go_{number}", width="stretch", on_click=handler(another_example))
        elif st.button(label, key=f"go_{number}", width="stretch", icon=":material/arrow_forward:"):
            links.go(page)

with st.container(horizontal=True, gap="medium", key="elsewhere"):
    links.link(TRANSLATION, "Translate it", "translate", width="content")
    links.link(UNDERSTANDING, "Hide a word", "select_check_box", width="content")
    links.link(HEAD, "Inside a head", "zoom_in", width="content")
    links.link(MECHANISM, "Break the mechanism", "construction", width="content")

st.markdown(
    f"**{plain(info.title)}** · {info.n_layer} layers × {info.n_head} heads · vectors of {info.d_model:,} numbers · "
    f"{info.n_parameter / 1e6:.1f} M parameters · vocabulary of {info.n_vocab:,} tokens · "
    f"reads up to {info.n_context:,} tokens"
)
st.caption(
    "The model runs where Regard runs. Every weight, vector and probability of your text is computed from a run of it, "
    "here and now."
)
