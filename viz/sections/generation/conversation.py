"""On the page Generation: a conversation with a model that was tuned on such, and attention between its messages."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.turns import between_turns
from model.run import VisitorError
from model.text.conversation import (
    ASSISTANT,
    LONGEST,
    MOST_MESSAGES,
    SYSTEM,
    USER,
    Message,
    read_messages,
    turns_of,
    write_messages,
)
from model.text.prompt import RunKey
from model.text.units import Units
from viz.components.token_chips import MOST_CHIPS, token_chips
from viz.figures.attention import attention_heatmap
from viz.figures.generation import message
from viz.figures.numbers import in_short, percent
from viz.guard import handler
from viz.sections.generation import continuation
from viz.ui import cache, controls, links, session
from viz.ui.chapters import chapter
from viz.ui.pictures import caption, picture, token_table, twin
from viz.ui.prose import quoted, to_read

LONGEST_ANSWER = 200  # tokens
# what can be asked, by its name; and what the smallest model that is offered makes of it, read by a person
EXAMPLES = {
    "An answer from a paragraph": "The old lighthouse of Marn was built in 1884 by two sisters, Ada and Ruth Brook. It "
    "burned whale oil until 1921, and has stood dark since the harbour moved north.\n\nWho built the lighthouse?",
    "A summary": "Summarize in one sentence: Bees visit flowers to drink nectar. While they drink, pollen sticks to "
    "their hair, and they carry it to the next flower. Many plants cannot make seeds without that.",
    "A piece of code": "Write a Python function that returns the sum of the squares of a list of numbers.",
}
READ = {
    "An answer from a paragraph": "SmolLM2 135M names both sisters and the year, as the paragraph does. Then it goes "
    "on: “the first female owners of a lighthouse in the UK”. Nothing of the kind stands there.",
    "A summary": "SmolLM2 135M writes one sentence, as it was told. But its bees carry the nectar on, too, and the "
    "seeds, for which all of it matters, are left out.",
    "A piece of code": "SmolLM2 135M writes a function that is right, and explains it. Its example then says that the "
    "squares of 1 to 5 come to 81: they come to 55, as its own function would tell.",
}
AVATARS = {SYSTEM: ":material/settings:", USER: ":material/person:", ASSISTANT: ":material/smart_toy:"}


def is_on() -> bool:
    """Whether the text is read as a message, by a model that has a template for that."""
    return st.session_state.chat and session.current_model().chat_text("") is not None


def before() -> tuple[Message, ...]:
    return read_messages(st.session_state.before)


def show() -> None:
    """What was said so far; or, where the text is read as it is, the offer to talk."""
    lm = session.current_model()
    if lm.chat_text("") is None:
        return
    st.header("A conversation")
    size = in_short(lm.info.n_parameter)
    if not is_on():
        st.markdown(
            f"This model was tuned to answer: its template marks who says what. With {size} parameters it writes "
            "fluently, and is often wrong: believe nothing that you have not checked."
        )
        for place, (name, text) in zip(st.columns(len(EXAMPLES)), EXAMPLES.items(), strict=True):
            with place:
                st.button(name, on_click=handler(ask), args=(text,), key=f"ask_{name}", icon=":material/forum:")
                caption(READ[name])
        return
    said = before()
    st.session_state.system_message = said[0].content if said and said[0].role == SYSTEM else ""
    with st.container(horizontal=True, vertical_alignment="bottom", key="conversation_actions"):
        st.text_input(
            "System message",
            key="system_message",
            max_chars=2000,
            placeholder="nothing, or what the template says by itself",
            on_change=handler(instruct),
            help="What the model is told before the conversation. Many templates have one of their own.",
        )
        if any(each.role == USER for each in said):
            st.button("Take back", key="take_back", icon=":material/undo:", on_click=handler(take_back))
        if said:
            st.button("Begin anew", key="begin_anew", icon=":material/restart_alt:", on_click=handler(begin_anew))
    for each in (*said, Message(USER, st.session_state.text)):
        bubble(each)
    caption(
        f"{size} parameters: it answers fluently and is often wrong. It has read nothing but the tokens below: the "
        "template’s, and yours."
    )


def bubble(each: Message) -> None:
    with st.chat_message(each.role, avatar=AVATARS[each.role]):
        to_read(message(each.role, each.content))


def answer(written: str) -> None:
    """What was written so far."""
    if written:
        bubble(Message(ASSISTANT, written))
        asked = next((name for name, text in EXAMPLES.items() if text == st.session_state.text), None)
        if asked and not before():
            caption(f"Read it with care. {READ[asked]}")


def reply(writing: bool) -> None:
    """What can be said to it: beside it, since at the page's foot it would hide what is read there."""
    with st.container(key="conversation_say"):
        st.chat_input("Say something", key="say", max_chars=4000, on_submit=handler(say), disabled=writing)


def ask(text: str) -> None:
    """A conversation that begins with this, answered by what is most probable."""
    _go_on((), text, temperature=0.0, answered=True)


def say() -> None:
    """What the visitor says next; what had no answer is replaced by it."""
    words, said = (st.session_state.say or "").strip(), before()
    if not words:
        raise VisitorError("There is nothing to say: write a word at least.")
    if reply := continuation.written(st.session_state.generated):
        said = (*said, Message(USER, st.session_state.text), Message(ASSISTANT, reply))
    _go_on(said, words, answered=True)


def instruct() -> None:
    words = st.session_state.system_message.strip()
    rest = tuple(each for each in before() if each.role != SYSTEM)
    _go_on(((Message(SYSTEM, words),) if words else ()) + rest, st.session_state.text)


def take_back() -> None:
    """The last message, and the answer to the one before it, which waits for another."""
    said = list(before())
    while said[-1].role != USER:
        said.pop()
    text = said.pop().content
    _go_on(tuple(said), text)


def begin_anew() -> None:
    _go_on((), st.session_state.text)


def _go_on(said: tuple[Message, ...], text: str, *, answered: bool = False, **choices: object) -> None:
    """Another conversation, whose last message is `text`; with an answer that is written at once."""
    n = sum(len(each.content) for each in said)
    if len(said) > MOST_MESSAGES or n > LONGEST:
        raise VisitorError(
            f"The conversation has {len(said)} messages with {n:,} characters, and at most {MOST_MESSAGES} with "
            f"{LONGEST:,} are kept. Take some back, or begin anew."
        )
    written = write_messages(said)
    choices |= {"to_go": LONGEST_ANSWER} if answered else {}
    session.choose_next(text=text, before=written, chat=True, **choices)
    continuation.clear()
    links.say("written", "", (session.model_name(), text, True, written))


@chapter("whose_tokens", "Who says what, in tokens", part="turns")
def turns() -> None:
    """The conversation as tokens, with whose they are; and the attention between them."""
    messages = (*before(), Message(USER, st.session_state.text))
    continued = continuation.ids(st.session_state.generated)
    run = session.current_run(continued)
    lm = session.current_model()
    its = turns_of(run.tokens, lambda some: lm.chat_text(some[-1].content, some[:-1]), messages)
    st.markdown(
        "To the model, a conversation is one text: its template puts marks between the messages, and the answer goes "
        "on behind the last."
    )
    if len(run.tokens) <= MOST_CHIPS:
        for i, label in enumerate(its.labels):
            part = its.tokens(i)
            st.caption(f"**{label}** · {len(part)} token{'s' * (len(part) != 1)}")
            token_chips(run.tokens[part.start : part.stop], key=f"turn_{i}", first=part.start)
    else:
        caption(f"{len(run.tokens):,} tokens are more than the {MOST_CHIPS} that are drawn here; the table has all.")
    whose = [its.labels[its.of(i)] for i in range(len(run.tokens))]
    rows = {"token": run.labels, "id": [token.id for token in run.tokens], "whose": whose}
    twin(lambda: pd.DataFrame(rows), key="turns")
    if st.toggle("Attention between the messages", key=links.key("between_messages")):
        between(session.current_key(continued), its)


def between(run_key: RunKey, its: Units) -> None:
    with st.container(width=420):
        sink = controls.choose("The sink", "sink", help="What becomes of the weight on the first and special tokens.")
    shares = shares_of(run_key, its.labels, tuple(its.starts.tolist()), sink)
    run = session.run_of(run_key)
    labels = list(its.labels)
    mean = np.nanmean(shares, axis=(0, 1))
    n_head = len(run.grid().layers) * run.info.n_head
    last = mean[-1]
    most = int(np.nanargmax(last[: len(labels)]))
    picture(
        attention_heatmap(
            mean,
            labels,
            [*labels, "sink"] if run.has_sink() else labels,
            sink=run.has_sink(),
            title="part of the attention",
        ),
        key="between_messages_map",
        how=f"Each row: of what the tokens of one part look at, how much lies on each part; the mean of all {n_head} "
        f"heads, and over the part’s tokens. The last part looks most at part {most}, {labels[most]}: "
        f"{percent(float(last[most]))}. A part with more tokens has more to be looked at.",
        alt=f"{len(labels)} parts of a conversation and the attention between them; the last looks most at part {most}",
        table=lambda: token_table(mean, labels, [*labels, "sink"] if run.has_sink() else labels),
    )
    strongest(shares, labels)


def strongest(shares: np.ndarray, labels: list[str]) -> None:
    """For each message, the head by which the last part looks at it most."""
    rows = []
    for part, label in enumerate(labels[:-1]):
        of_last = shares[:, :, -1, part]
        layer, head = np.unravel_index(np.nanargmax(of_last), of_last.shape)
        rows.append({"part": part, "whose": label, "head": f"{layer}.{head}", "weight": float(of_last[layer, head])})
    caption(f"By which head the last part, {quoted(labels[-1])}, looks most at each of the others:")
    st.dataframe(pd.DataFrame(rows), key="strongest_between_messages", hide_index=True)


@cache.kept(spinner="Adding up …")
def shares_of(run_key: RunKey, labels: tuple[str, ...], starts: tuple[int, ...], sink: str) -> np.ndarray:
    """(L, H, U, W) as `between_turns` has it. Raises `VisitorError`."""
    run = session.run_of(run_key)
    return between_turns(run, Units("turns", labels, np.array(starts), len(run.tokens), ""), sink)
