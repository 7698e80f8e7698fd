"""Text written token by token, over any `LanguageModel`: one text, or several at once from the same beginning.

The same text, sampling and seed give the same tokens, in one go or one by one: the random number that draws a token
depends on the seed and the position only.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import groupby

import numpy as np

from model.analysis.sampling import NextToken, Sampling, next_token
from model.language_model import Decoding, LanguageModel
from model.run import ModelRun, Token
from model.text.writing import decoding_of, placed

N_CANDIDATES = 50  # kept of each step


@dataclass(frozen=True)
class Candidates:
    """The most probable tokens at one step, the best first, and all others as one number."""

    ids: np.ndarray  # (N,)
    logits: np.ndarray  # (N,) the model's own
    chance: np.ndarray  # (N,) after all that sampling does; 0 of what was cut
    cut_by: tuple[str | None, ...]  # what took each out of the choice
    log_sum: float  # ln Σ exp of the logits of all tokens: probability = exp(logits - log_sum)
    entropy: float  # of the model's own choice, in nats

    @property
    def probability(self) -> np.ndarray:
        return np.exp(self.logits - self.log_sum)


@dataclass(frozen=True)
class Step:
    """One token generated. A run of the whole text shows what its position looked at: none is kept here."""

    token: Token
    sampling: Sampling
    probability: float  # what the model itself gave the token
    chance: float  # with what chance it was drawn
    rank: int  # how many tokens were more probable
    number: float | None  # the number in [0, 1) that drew it, see `NextToken.pick`; None: it was chosen by hand
    candidates: Candidates = field(compare=False, repr=False)


@dataclass(frozen=True)
class Draw:
    """How a token was drawn: with the text before it, enough to draw it again."""

    id: int
    sampling: Sampling
    seed: int | None  # None: it was chosen by hand


def write_draws(draws: Sequence[Draw]) -> str:
    """As one line without spaces, for an address: ids with points between, @, temperature, top-k, top-p, seed and,
    where one of them is used, what else `Sampling` has; with ~ where these change.

    Ids and not ranks, which would be shorter: where two logits are nearly the same, machines that round otherwise rank
    them otherwise, and a rank would then name another token, while an id is the same or is found out.
    """
    parts = []
    for (sampling, seed), some in groupby(draws, key=lambda draw: (draw.sampling, draw.seed)):
        ids = ".".join(str(draw.id) for draw in some)
        values = [getattr(sampling, each.name) for each in fields(Sampling)]
        usual = values[_N_FIRST:] == [each.default for each in fields(Sampling)[_N_FIRST:]]
        more = [] if usual else values[_N_FIRST:]
        settings = [*(f"{each:g}" for each in values[:_N_FIRST]), _BY_HAND if seed is None else f"{seed}"]
        parts.append(f"{ids}@{','.join([*settings, *(f'{each:g}' for each in more)])}")
    return "~".join(parts)


def read_draws(written: str) -> list[Draw]:
    """What `write_draws` wrote. ValueError if that cannot be."""
    found = []
    for part in written.split("~"):
        ids, _, settings = part.partition("@")
        texts = settings.split(",")
        if len(texts) not in (_N_FIRST + 1, len(fields(Sampling)) + 1):
            raise ValueError(part)
        said = texts.pop(_N_FIRST)
        seed = None if said == _BY_HAND else int(said)
        values = {each.name: type(each.default)(text) for each, text in zip(fields(Sampling), texts, strict=False)}
        sampling = Sampling(**values)
        if sampling.temperature > 100 or sampling.repetition_penalty > 100 or not 0 <= (seed or 0) < 2**31:
            raise ValueError(part)
        if not re.fullmatch(r"\d{1,7}(\.\d{1,7})*", ids):
            raise ValueError(part)
        found += [Draw(int(id), sampling, seed) for id in ids.split(".")]
    return found


_BY_HAND = "hand"  # what stands for a seed where there is none
_N_FIRST = 3  # settings that stand before the seed: there were no others at first, and links are kept


def read_on(lm: LanguageModel, tokens: Sequence[Token], sampling: Sampling) -> tuple[ModelRun, NextToken]:
    """Run the text so far and look at what may come next."""
    run = lm.run(tokens)
    return run, next_token(lm.unembed(run.stream[-1, -1]), sampling, [token.id for token in tokens])


def generate(
    lm: LanguageModel,
    tokens: Sequence[Token],
    n: int,
    sampling: Sampling,
    seed: int,
    *,
    stops: Sequence[str] = (),
    decoding: Decoding | None = None,
) -> Iterator[Step]:
    """Yield up to `n` steps; ends early at the end of the text, at the end of the model's context, and once what it
    has written holds one of `stops`.

    `decoding`: of these tokens, if there is one. Each token is written into it when the next one is asked for.
    """
    for (step,) in samples(lm, tokens, n, sampling, [seed], stops=stops, decoding=decoding):
        yield step


def samples(
    lm: LanguageModel,
    tokens: Sequence[Token],
    n: int,
    sampling: Sampling,
    seeds: Sequence[int],
    *,
    stops: Sequence[str] = (),
    decoding: Decoding | None = None,
) -> Iterator[tuple[Step | None, ...]]:
    """Several texts at once, one for each seed: each what `generate` makes of that seed. None for one that has ended.

    `decoding` as there. ValueError for a stop that is empty.
    """
    if "" in stops:
        raise ValueError("an empty text would stop everything")
    texts, written = [list(tokens) for _ in seeds], [b"" for _ in seeds]
    going, rows = list(range(len(seeds))), [0] * len(seeds)
    for done in range(min(n, lm.info.n_context - len(tokens))):
        if done == 0:
            decoding = decoding or decoding_of(lm, tokens)
        else:
            same = rows == list(range(len(decoding.logits)))
            decoding.write([texts[i][-1].id for i in going], None if same else rows)
            rows = list(range(len(going)))
        steps: list[Step | None] = [None] * len(seeds)
        for row, i in zip(rows, going, strict=True):
            steps[i] = _step(lm, texts[i], decoding.logits[row], sampling, seeds[i])
            texts[i].append(steps[i].token)
            written[i] += b"" if steps[i].token.special else steps[i].token.piece
        yield tuple(steps)
        still = [
            i for i in going if not steps[i].token.special and not any(stop.encode() in written[i] for stop in stops)
        ]
        rows, going = [rows[going.index(i)] for i in still], still
        if not going:
            return


def by_hand(lm: LanguageModel, tokens: Sequence[Token], id: int, sampling: Sampling) -> Step:
    """A token that someone chose, whatever its probability."""
    return _step(lm, tokens, decoding_of(lm, tokens).logits[0], sampling, None, id)


def _step(
    lm: LanguageModel,
    tokens: Sequence[Token],
    logits: np.ndarray,
    sampling: Sampling,
    seed: int | None,
    id: int | None = None,
) -> Step:
    """The token that a seed draws behind others, or this one."""
    following = next_token(logits, sampling, [token.id for token in tokens])
    number = None if seed is None else drawing_number(seed, len(tokens))
    id = following.pick(number) if id is None else id
    return Step(
        token=placed(lm.token(id), tokens),
        sampling=sampling,
        probability=float(following.probability[id]),
        chance=float(following.chance[id]),
        rank=following.rank(id),
        number=number,
        candidates=candidates(following),
    )


def drawing_number(seed: int, position: int) -> float:
    """The number in [0, 1) that draws the token at a position."""
    return float(np.random.default_rng((seed, position)).random())


def candidates(following: NextToken, n: int = N_CANDIDATES) -> Candidates:
    """The best of a choice."""
    ids, own = following.best(n), following.stages[0][1]
    logits = own[ids]
    log_sum = float(logits[0] - np.log(following.probability[ids[0]]))
    probability = following.probability
    if not (there := probability > 0).all():  # mostly all are, and 8,000 numbers need not be picked out
        own, probability = own[there], probability[there]
    return Candidates(
        ids,
        logits,
        following.chance[ids],
        following.cut_by(ids),
        log_sum,
        log_sum - float(probability @ own),
    )
