"""Heads scored on one text of a set: as much of it as fits, read by itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.analysis.head_patterns import TextScores, score_text, sides_of
from model.language_model import LanguageModel
from model.run import ModelRun, PromptError, Token, VisitorError
from model.text.passages import MOST_TOKENS, can_write

_ROOM = 4  # tokens: what a text that is cut may take more where it is read again, an end among them


@dataclass(frozen=True)
class Read:
    """What was read of one text."""

    scores: TextScores | None  # None: it cannot be read
    cut: bool = False  # whether only its beginning was
    why: str = ""  # it cannot


def read_text(lm: LanguageModel, text: str, kind: str, write: Callable[[str], ModelRun]) -> Read:
    """One text. `kind`: of which attention, see `ModelRun.kinds`; `write`: the run of a text by an encoder-decoder that
    writes the target itself.
    """
    try:
        run, cut = run_text(lm, text, kind, write)
        return Read(_scores(run, kind), cut)
    except VisitorError as error:
        return Read(None, why=str(error))


def run_text(lm: LanguageModel, text: str, kind: str, write: Callable[[str], ModelRun]) -> tuple[ModelRun, bool]:
    """The run of as much of a text as fits, and whether that is its beginning only. Raises `VisitorError`."""
    tokens, cut = _beginning(lm, text, min(MOST_TOKENS, lm.info.n_context))
    if not can_write(lm, tokens):
        raise VisitorError(f"{lm.info.title} has no entries in its vocabulary for much of them.")
    if kind != "encoder" and lm.info.family == "encoder-decoder":  # what it writes has to be written first
        return write(text[: max(token.end for token in tokens[:-_ROOM])] if cut else text), cut
    return _run_of(lm, tokens, kind), cut


def read_random(lm: LanguageModel, tokens: Sequence[Token], kind: str) -> Read:
    """One of the texts of random tokens that come twice."""
    try:
        return Read(_scores(_run_of(lm, tokens, kind), kind))
    except VisitorError as error:
        return Read(None, why=str(error))


def _beginning(lm: LanguageModel, text: str, most: int) -> tuple[Sequence[Token], bool]:
    """The first tokens of a text, and whether there are more. Raises `PromptError` if none of it can be read."""
    try:
        tokens = lm.encode(text)
    except PromptError:  # its characters alone may be too many
        if len(text) <= most:
            raise
        return _beginning(lm, text[: max(most, len(text) // 2)], most)[0], True
    return tokens[:most], len(tokens) > most


def _run_of(lm: LanguageModel, tokens: Sequence[Token], kind: str) -> ModelRun:
    """One text read by itself; by an encoder-decoder as what this attention looks at."""
    if lm.info.family != "encoder-decoder":
        return lm.run(tokens)
    start = lm.start_token()
    if kind == "encoder":
        return lm.run([start], source=tokens)
    own = [token for token in tokens if not token.special]
    return lm.run([start, *own], source=tokens)


def _scores(run: ModelRun, kind: str) -> TextScores:
    queries, keys = run.sides(kind)
    n_key = len(keys) - run.has_sink(kind)  # without a learned sink
    return score_text(run.layers(kind), sides_of(queries, keys[:n_key], own=kind != "cross"))
