"""Heads scored over many texts, one text at a time: how far that is, a way out, and what is kept of it.

What was read of one text is kept, so a survey that was stopped goes on where it was, and one that is there already
costs nothing. Where nothing may be read, `known` is asked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import streamlit as st

from model.analysis.head_survey import Survey, labels_that_hold, survey
from model.analysis.head_texts import Read, read_random, read_text, run_text
from model.analysis.ov_circuit import Copying, copying
from model.language_model import LanguageModel
from model.run import ModelRun, Token, VisitorError
from model.text.passages import N_RANDOM, passages, repeated_at_random
from model.text.prompt import Prompt, RunKey, as_read, speaking
from viz.plain import plain
from viz.ui import cache, session, waiting
from viz.ui.loads import language_model

_STOPPED = "stopped_survey"  # in the session's state: which survey was stopped

Job = tuple[str | None, int]  # a text; or nothing, and the number of a text of random tokens


@dataclass(frozen=True)
class Subject:
    """Whose heads, of which attention, over which texts."""

    model: str
    kind: str
    languages: tuple[str, str] | None
    texts: tuple[str, ...]

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """What is to be read: random tokens, where this attention can show what they are for, then the texts."""
        random = () if self.kind == "cross" else tuple((None, i) for i in range(N_RANDOM))
        return (*random, *((text, 0) for text in self.texts))

    @property
    def there(self) -> tuple[int, ...]:
        """The numbers of those that were read already."""
        return tuple(i for i, job in enumerate(self.jobs) if _read.has(self.model, self.kind, self.languages, *job))


@dataclass(frozen=True)
class Reading:
    """A survey, or as much of it as there is."""

    survey: Survey | None  # None: nothing was read
    numbers: tuple[int, ...]  # of the texts in it, by which the survey's own numbers of texts are found in the set
    n_read: int  # of the texts, the random tokens among them
    n_all: int
    n_cut: int
    unread: tuple[str, ...]  # why some texts cannot be read, for each of them
    held: tuple[int, int] | None  # of the heads labelled by every other text, how many are so by the rest; and all

    @property
    def complete(self) -> bool:
        return self.n_read == self.n_all


def subject(texts: Sequence[str] | None = None, kind: str = "self") -> Subject:
    """Of the model that is open, over these texts, or the passages that come with Regard. Raises `VisitorError`."""
    state, lm = st.session_state, session.current_model()
    languages = state.get("source_language") or "", state.get("target_language") or ""
    languages = as_read(lm, Prompt("a", languages=languages)).languages
    return Subject(session.model_name(), kind, languages, passages() if texts is None else tuple(texts))


def read(of: Subject) -> Reading:
    """Read what was not read yet, with the progress and a way out where this is called; then put it together."""
    there = set(of.there)
    if len(there) < len(of.jobs) and not is_stopped(of):
        _read_all(of, [job for i, job in enumerate(of.jobs) if i not in there])
    return _together(of, of.there)


def known(of: Subject) -> Survey | None:
    """All of it, where all was read already; nothing is read for it."""
    there = of.there
    return _together(of, there).survey if len(there) == len(of.jobs) else None


@cache.kept(spinner="Reading the parameters of every head …")
def copying_of(model: str) -> Copying:
    """Raises `VisitorError` where it cannot be told."""
    return copying(language_model(model))


def runs(of: Subject) -> Iterator[ModelRun]:
    """Of the texts that can be read, one after another. Raises `VisitorError` if none can."""
    lm, why = speaking(language_model(of.model), of.languages), "There is no text to take a mean over."
    n_read = 0
    for text in of.texts:
        try:
            run, _ = run_text(lm, text, of.kind, partial(_written, of.model, lm, of.languages))
        except VisitorError as error:
            why = str(error)
        else:
            n_read += 1
            yield run
    if not n_read:
        raise VisitorError(why)


def is_stopped(of: Subject) -> bool:
    return st.session_state.get(_STOPPED) == of


def go_on() -> None:
    """Take up again what was stopped."""
    st.session_state.pop(_STOPPED, None)


def _read_all(of: Subject, left: Sequence[Job]) -> None:
    title, n = plain(session.titles().get(of.model, of.model)), len(of.jobs)

    def words(done: int) -> str:
        return f"{title} reads text {done + 1} of {n}"

    for job in waiting.each(left, n, words, partial(_stop, of), key="survey"):
        _read(of.model, of.kind, of.languages, *job)


def _stop(of: Subject) -> None:
    st.session_state[_STOPPED] = of


@cache.kept()
def _together(of: Subject, there: tuple[int, ...]) -> Reading:
    reads = [(i, _read(of.model, of.kind, of.languages, *of.jobs[i])) for i in there]
    found = [(i, each.scores) for i, each in reads if each.scores]
    first = len(of.jobs) - len(of.texts)
    texts, random = ([scores for i, scores in found if (i >= first) == of_text] for of_text in (True, False))
    halves = (
        [survey(texts[i::2], random[i::2]) for i in (0, 1)] if len(texts) != 1 and len(random) != 1 and found else None
    )
    return Reading(
        survey(texts, random) if found else None,
        tuple(i - first for i, _ in found if i >= first),
        len(there),
        len(of.jobs),
        sum(each.cut for _, each in reads),
        tuple(each.why for _, each in reads if each.why),
        labels_that_hold(*halves) if halves else None,
    )


@cache.kept()
def _read(model: str, kind: str, languages: tuple[str, str] | None, text: str | None, number: int) -> Read:
    lm = speaking(language_model(model), languages)
    if text is None:
        random = random_texts(model)
        return read_random(lm, random[number], kind) if random else Read(None)
    return read_text(lm, text, kind, partial(_written, model, lm, languages))


def _written(model: str, lm: LanguageModel, languages: tuple[str, str] | None, text: str) -> ModelRun:
    """The run of a text whose target the model writes itself."""
    return session.run_of(RunKey(model, as_read(lm, Prompt(text, languages=languages))))


@cache.kept()
def random_texts(model: str) -> list[list[Token]]:
    """Random tokens that come twice; none where too few fit into the model."""
    return repeated_at_random(language_model(model))
