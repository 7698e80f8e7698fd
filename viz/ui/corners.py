"""What stands below a picture that leaves the page, and the numbers it takes along: for every picture the same way.

`of` is asked for each picture that is drawn: by `viz.ui.pictures.picture` for those of plotly, by the base of the
components for those of their own. The rest happens in the browser (viz/components/corners.js).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

import streamlit as st

from model.run import ModelInfo, VisitorError
from model.text.prompt import written_text
from viz import components
from viz.commands.shell import version
from viz.components.corners import corners
from viz.figures import corner, theme
from viz.ui import navigation, session
from viz.ui.choices import COPIER, FINE_TUNING, GENERATION, HEADS, MODEL, OWN, SENTENCES, STEP, TRAINING

_ASKED, _ANSWER = "numbers_asked", "numbers_sent"  # in the session: whose numbers, and those
_OF_THE_PAGE = object()  # the model that reads the page, the text in the sidebar


@dataclass(frozen=True)
class _Subject:
    """What pictures are of, where that is something else than the page's model and the visitor's text."""

    model: object = _OF_THE_PAGE  # a ModelInfo, words, or None
    text: object = _OF_THE_PAGE  # or None
    which: str = ""  # layer, head, the rules in force


_subject: ContextVar[_Subject] = ContextVar("subject", default=_Subject())  # noqa: B039 (frozen)


@contextmanager
def about(which: str | None = None, **of: object) -> Iterator[None]:
    """Pictures drawn within say that they are of `which` layer, head and rules; of another `model` (its ModelInfo, or
    words) and another `text`, or of none (None).
    """
    now = _subject.get()
    before = _subject.set(replace(now, which=now.which if which is None else which, **of))
    try:
        yield
    finally:
        _subject.reset(before)


def of(key: str, told: str, numbers: Callable[[], object] | None) -> dict:
    """For the picture with this key: its caption, the name of its files, and its `numbers`, if they are few. More are
    kept for the browser if it asked for them in the run before; see `draw`.
    """
    subject, page = _subject.get(), st.session_state.page
    model, text = _model(subject, page), _text(subject, page)
    which = subject.which or (_texts_in_words() if page == HEADS else "")
    title = next((entry.title for entry in navigation.ENTRIES if entry.page == page), "Regard")
    lines = [f"“{corner.printable(text)}”"] if text else []
    lines.append(" · ".join(filter(None, [*_model_words(model), which])))
    own = [lines[0]] if text and subject.text is not _OF_THE_PAGE else []
    own += _model_words(model) if subject.model is not _OF_THE_PAGE else []
    lines.append(f"{title}. Regard {version()}".rstrip())
    name = model.name if isinstance(model, ModelInfo) else model or ""
    made = {
        "key": key,
        "caption": [line for line in lines if line],
        "title": corner.printable(told, 400),
        "own": " · ".join(filter(None, [*own, which])),  # what it is of, beyond what its page is of
        "name": corner.slug("regard", name, key.replace("_", " "), which, text or ""),
    }
    if numbers is not None:
        table = numbers()
        if corner.size(table) <= corner.CARRIED:
            made["numbers"] = corner.sent(table)
        else:
            made["asks"] = corner.size(table)
            if st.session_state.get(_ASKED) == key and corner.size(table) <= corner.MOST:
                st.session_state[_ANSWER] = {"key": key, "numbers": corner.sent(table)}
    return made


def draw() -> None:
    """At the end of a page: what puts a menu into the corner of every picture."""
    state = st.session_state

    def asked() -> None:
        match state.corners.ask:
            case str(key):
                state[_ASKED] = key

    answer = state.pop(_ANSWER, None)
    if (key := state.pop(_ASKED, None)) and answer is None:
        answer = {"key": key, "numbers": None}  # its picture is not there any more
    light = {"sequential": theme.SEQUENTIAL["light"], "categorical": theme.CATEGORICAL["light"]}
    corners({"light": light | {"page": theme.PAGE["light"]}, "answer": answer}, key="corners", on_ask=asked)


def model_of(page: str) -> ModelInfo | str | None:
    """What its pictures are of, as far as they do not say otherwise: its info, or in words, or nothing."""
    return _model(_Subject(), page)


def _texts_in_words() -> str:
    return "over texts of one’s own" if st.session_state.get("texts") == OWN else "over the texts that come with Regard"


def _model(subject: _Subject, page: str) -> ModelInfo | str | None:
    if subject.model is not _OF_THE_PAGE:
        return subject.model
    if page == TRAINING:  # its lessons train models of their own
        return _TAUGHT.get(st.session_state.get("lesson"))
    try:
        return session.current_model().info
    except VisitorError:
        return None


def _model_words(model: ModelInfo | str | None) -> list[str]:
    if not isinstance(model, ModelInfo):
        return [corner.printable(model)] if model else []
    title, name = corner.printable(model.title), corner.printable(model.name)
    return [title, f"model {name}, weights {model.fingerprint[:12]}"]


def _text(subject: _Subject, page: str) -> str | None:
    if subject.text is not _OF_THE_PAGE:
        return subject.text
    if page in (TRAINING, MODEL, HEADS):  # what is read there, if anything, are other texts
        return None
    try:
        text, steps = session.current_text(), st.session_state.get("generated")
        return f"{text} → {written_text(step.token for step in steps)}" if page == GENERATION and steps else text
    except VisitorError:
        return None


_TAUGHT = {
    COPIER: "the copier, a model of two layers",
    SENTENCES: "a model trained on a few lines",
    STEP: "a model trained on a few lines, in double precision",
    FINE_TUNING: "Story, trained further",
}
components.corners_by(of)
