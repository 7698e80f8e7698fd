"""Everything that a head is scored for, over one text: the patterns, and the rows in which each can occur.

Only those rows count; what attention alike on all visible keys would get in them, by the same lines, is a score's
chance. P patterns, M measures, R rows that look, C columns looked at, a learned sink the last of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.attention import ROWS_AT_ONCE, layer_weights, visible
from model.run import Attention, Layer, NoAttention, Token

ABOVE_CHANCE = 1.5  # a head has a label only if its weight there is so many times what looking alike at all keys gives
FAR = 8  # tokens: what is further away is far
OFFSETS = tuple(o for o in range(-FAR, FAR + 1) if o not in (-1, 0))  # where `FIXED_OFFSET` looks


@dataclass(frozen=True)
class Score:
    """One number of each head."""

    name: str
    meaning: str  # how it is computed, as a sentence
    formula: str
    label: str = ""  # what a head is called that reaches `threshold`
    threshold: float = float("inf")
    random: bool = False  # measured on random tokens that come twice; else on the texts
    most: float | None = 1.0  # None: it has no largest value
    across: bool = False  # whether it says something of cross-attention too


INDUCTION = Score(
    "induction",
    "The weight on what stood right after an earlier copy of the token that looks (prefix matching, Olsson et al. "
    "2022); only rows whose token was there before count.",
    "mean_t Σ a[t,s], s−1 a copy of t",
    "induction",
    0.3,
    random=True,
)
DUPLICATE = Score(
    "duplicate",
    "The weight on other copies of the token that looks; only rows that can see one count.",
    "mean_t Σ a[t,s], s a copy of t",
    "duplicate",
    0.3,
    random=True,
)
PREVIOUS = Score("previous token", "The weight on the token before.", "mean_t a[t,t−1]", "previous token", 0.4)
CURRENT = Score("current token", "The weight of a token on itself.", "mean_t a[t,t]", "current token", 0.4)
FIXED_OFFSET = Score(
    "fixed offset",
    f"The weight at the one distance, up to {FAR} tokens before or after, where it is largest; the token before and "
    "the token itself have scores of their own.",
    "max_o mean_t a[t,t+o]",
    "fixed offset",
    0.4,
)
SEPARATORS = Score(
    "separators",
    "The weight on punctuation, line ends and special tokens, the first token and the one that looks left out; only "
    "rows that can see one count.",
    "mean_t Σ a[t,s], s without letter or digit",
    "separators",
    0.4,
    across=True,
)
LONG_RANGE = Score(
    "long range",
    f"The weight on tokens more than {FAR} away, the first left out; only rows that can see one count.",
    f"mean_t Σ a[t,s], |t−s| > {FAR}, s > 0",
    "long range",
    0.4,
)
FIRST = Score(
    "first token",
    "The weight on the first token, where heads with nothing to look for rest, and on a learned sink (Xiao et al. "
    "2024).",
    "mean_t a[t,0]",
    "first token (sink)",
    0.5,
    across=True,
)
SPREAD = Score(
    "spread",
    "The entropy of a row divided by that of looking at all visible keys alike: 0 is all on one key, 1 is alike on "
    "all.",
    "mean_t H[a(t)] / ln n_visible(t)",
    "broad",
    0.9,
    across=True,
)
DISTANCE = Score(
    "mean distance",
    "How many tokens away it looks, weighted; what lies on the first token and on a learned sink is left out.",
    "Σ_t Σ_s a[t,s] |t−s| / Σ_t Σ_s a[t,s], s > 0",
    most=None,
)
# in the order in which a head that reaches several thresholds is called: the rarest pattern first
SCORES = (INDUCTION, DUPLICATE, PREVIOUS, CURRENT, FIXED_OFFSET, SEPARATORS, LONG_RANGE, FIRST, SPREAD, DISTANCE)
MIXED = "mixed"
LABELS = (*(score.label for score in SCORES if score.label), MIXED)
# what is measured: every score but the offset, then each offset
MEASURES = (*(score.name for score in SCORES if score is not FIXED_OFFSET), *map("{:+d}".format, OFFSETS))
_PATTERNS = tuple(name for name in MEASURES if name not in (SPREAD.name, DISTANCE.name))


@dataclass(frozen=True)
class Sides:
    """Who looks and what is looked at, as far as the patterns need it."""

    query_ids: np.ndarray  # (T,)
    key_ids: np.ndarray  # (S,)
    counts: np.ndarray  # (T,) of bool: rows that count at all; not those of special tokens, and not the first
    separators: np.ndarray  # (S,) of bool
    own: bool  # both are one text


def sides_of(queries: Sequence[Token], keys: Sequence[Token], *, own: bool = True) -> Sides:
    """Of the tokens of a run, the learned sink not among them. `own`: whether both are one text."""
    counts = np.array([not token.special and (i > 0 or not own) for i, token in enumerate(queries)], bool)
    separators = np.array([token.special or not _has_letters(token) for token in keys], bool)
    ids = (np.array([token.id for token in side]) for side in (queries, keys))
    return Sides(*ids, counts, separators, own)


def _has_letters(token: Token) -> bool:
    """Whether there is a letter or a digit in it. A lone byte of a character is none."""
    return not token.piece or any(map(str.isalnum, token.piece.decode(errors="replace")))


def patterns(sides: Sides, seen: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Where each of the measures that are patterns has its keys: (P, R, C) of bool, of some rows (R,) that see (R, C).

    Of two different texts, no key has the place of a query, so that only some patterns are there.
    """
    n_key, n_column = len(sides.key_ids), seen.shape[1]
    t, s = rows[:, None], np.arange(n_column)[None, :]
    token = s < n_key
    at_key = np.minimum(s, n_key - 1)
    key_ids = np.where(token, sides.key_ids[at_key], -1)
    own = np.broadcast_to(token & sides.own, seen.shape)
    copies = own & (key_ids == sides.query_ids[t]) & (s != t)
    behind = np.zeros_like(copies)
    behind[:, 1:] = copies[:, :-1] & own[:, 1:]
    separators = token & sides.separators[at_key] & (s > 0) & ~((s == t) & sides.own)
    found = {
        INDUCTION.name: behind,
        DUPLICATE.name: copies,
        PREVIOUS.name: own & (s == t - 1),
        CURRENT.name: own & (s == t),
        SEPARATORS.name: np.broadcast_to(separators, seen.shape),
        LONG_RANGE.name: own & (abs(t - s) > FAR) & (s > 0),
        FIRST.name: np.broadcast_to((s == 0) | ~token, seen.shape),
    } | {f"{o:+d}": own & (s == t + o) for o in OFFSETS}
    return np.stack([found[name] for name in _PATTERNS]) & seen & sides.counts[rows, None]


def measured_rows(weights: np.ndarray, where: np.ndarray, sides: Sides, seen: np.ndarray, rows: np.ndarray):
    """What each row adds to each measure, and how much it counts: (M, H, R) twice, from weights (H, R, C).

    `where`: its `patterns`. A measure is the sum of the first over that of the second.
    """
    n_head, n_row, n_column = weights.shape
    there = where.astype(np.float32)
    found = np.matmul(weights.transpose(1, 0, 2), there.transpose(1, 2, 0)).transpose(2, 1, 0)  # (P, H, R)
    counted = np.broadcast_to(where.any(-1)[:, None], found.shape).astype(np.float32)
    n_seen = np.maximum(seen.sum(-1), 1)
    several = sides.counts[rows] & (n_seen > 1)
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    spread = -(weights * logs).sum(-1) / np.log(np.where(n_seen > 1, n_seen, 2)) * several  # (H, R)
    away = np.abs(rows[:, None] - np.arange(n_column)).astype(np.float32)
    away[:, len(sides.key_ids) :] = 0
    left = (np.arange(n_column) > 0) & (np.arange(n_column) < len(sides.key_ids)) & sides.counts[rows, None] & sides.own
    distance, mass = (weights * (away * left)).sum(-1), (weights * left).sum(-1)
    extra = {SPREAD.name: (spread, np.broadcast_to(several, spread.shape)), DISTANCE.name: (distance, mass)}
    number, count = (np.empty((len(MEASURES), n_head, n_row), np.float32) for _ in range(2))
    for m, name in enumerate(MEASURES):
        if name in extra:
            number[m], count[m] = extra[name]
        else:
            p = _PATTERNS.index(name)
            number[m], count[m] = found[p], counted[p]
    return number, count


@dataclass(frozen=True)
class TextScores:
    """Every measure of every head on one text; NaN where no row of it counts, and in layers without attention."""

    value: np.ndarray  # (M, L, H)
    row: np.ndarray  # (M, L, H) the row that adds most to it
    chance: np.ndarray  # (M, L) what attention alike on all visible keys would get


def score_text(layers: Sequence[Layer | NoAttention], sides: Sides) -> TextScores:
    """Read off one text's record, `ROWS_AT_ONCE` rows of a layer at a time."""
    n_head = next(layer.n_head for layer in layers if not isinstance(layer, NoAttention))
    shape = len(MEASURES), len(layers), n_head
    value, chance = np.full(shape, np.nan, np.float32), np.full(shape[:2], np.nan, np.float32)
    row = np.zeros(shape, np.int32)
    known: dict[tuple, tuple[np.ndarray, ...]] = {}  # layers with the same mask have the same patterns
    for number, layer in enumerate(layers):
        if isinstance(layer, NoAttention):
            continue
        total, count = np.zeros((2, len(MEASURES), n_head), np.float64)
        alike, alike_count = np.zeros((2, len(MEASURES)), np.float64)
        most = np.full((len(MEASURES), n_head), -1.0)
        for first in range(0, layer.n_query, ROWS_AT_ONCE):
            rows = np.arange(first, min(first + ROWS_AT_ONCE, layer.n_query))
            span = slice(first, int(rows[-1]) + 1)
            weights = layer_weights(layer, span)  # (H, R, C)
            mask = (first, layer.causal, layer.window, layer.n_column) if isinstance(layer, Attention) else ()
            if mask not in known:
                seen = visible(layer, 0, span) if mask else (weights > 0).any(0)
                where = patterns(sides, seen, rows)
                uniform = (seen / np.maximum(seen.sum(-1, keepdims=True), 1))[None].astype(np.float32)
                alike_now = (each[:, 0].sum(-1) for each in measured_rows(uniform, where, sides, seen, rows))
                known[mask] = seen, where, *alike_now
            seen, where, *alike_now = known[mask] if mask else known.pop(mask)
            each, counted = measured_rows(weights, where, sides, seen, rows)
            total += each.sum(-1)
            count += counted.sum(-1)
            alike += alike_now[0]
            alike_count += alike_now[1]
            each[counted == 0] = -1
            better = each.max(-1) > most
            row[:, number] = np.where(better, rows[each.argmax(-1)], row[:, number])
            most = np.maximum(most, each.max(-1))
        np.divide(total, count, out=value[:, number], where=count > 0, casting="same_kind")
        np.divide(alike, alike_count, out=chance[:, number], where=alike_count > 0, casting="same_kind")
    return TextScores(value, row, chance)


def strongest_key(weights: np.ndarray, measure: str, sides: Sides, row: int) -> int:
    """The key of a row's weights (C,) that adds most to a measure; of one that has no pattern, the largest."""
    if measure in _PATTERNS:
        there = patterns(sides, (weights > 0)[None], np.array([row]))[_PATTERNS.index(measure), 0]
        if there.any():
            weights = np.where(there, weights, -1)
    return int(weights.argmax())
