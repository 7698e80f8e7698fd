"""Models that are kept at every checkpoint of their training: which of them reads, and texts that make sense to it."""

import streamlit as st

from model import catalog
from model.language_model import SmallVocabulary
from model.sources.places import Entry
from viz.guard import handler
from viz.ui import session


def choose(entry: Entry) -> None:
    """In the sidebar, of a model that has some: after which step of its training it reads."""
    if not (steps := catalog.steps_of(entry)):
        return
    whole, _, step = entry.name.partition(catalog.AT)
    now = int(step) if step else steps[-1]
    if st.session_state.get("read_at") != now:
        st.session_state.read_at = now
    st.select_slider(
        "After step",
        steps,
        now,
        key="read_at",
        format_func="{:,}".format,
        on_change=handler(lambda: st.session_state.update(model=offered(whole, st.session_state.read_at))),
        help=f"Of its training: step {steps[0]} is before it began, with random numbers; {steps[-1]:,} is the end. "
        "Every page reads with the weights of that moment. The page Training shows the whole course.",
    )


def offered(whole: str, step: int) -> str:
    """The name of a model as it was after a step, which can be chosen from now on."""
    entry = catalog.find(whole)
    if step != catalog.steps_of(entry)[-1]:
        entry = catalog.find(catalog.at_step(whole, step))
        st.session_state.own_models.append(entry)
    return entry.name


def examples(name: str) -> tuple[str, ...]:
    """What can be read instead of what was typed; of its own kind where no other makes sense to a model."""
    entry = session.built_in(name)
    return (entry and catalog.texts_of(entry)) or session.EXAMPLES


def unknown_words() -> str:
    """How many of the present tokens are the unknown one of a small vocabulary, as a line of Markdown, if any are.

    Raises `VisitorError` where there are no tokens.
    """
    lm, tokens = session.current_model(), session.current_tokens()
    if not isinstance(lm, SmallVocabulary) or lm.unknown is None:
        return ""
    n = sum(token.id == lm.unknown for token in tokens)
    words = "token is" if n == 1 else "tokens are"
    return f":material/question_mark: {n:,} {words} unknown to it: it cannot tell such apart." if n else ""
