"""Two readings of attention, A and B, subtracted where both have the same tokens; and two predictions compared.

Tokens are aligned by a longest common subsequence of their ids (Wagner & Fischer 1974): as many pairs as there can be,
in the order of both texts. (difflib looks for the longest block instead: it may find fewer pairs, and takes cubic time
where a text repeats itself.) What is without a partner is subtracted from nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.attention import ROWS_AT_ONCE, layer_weights
from model.analysis.logits import entropy
from model.run import Layer, NoAttention, PromptError

MOST_CELLS = 2**25  # of the table of lengths: 64 MiB, for some tenths of a second
MOST_WEIGHTS = 2**26  # of all heads that `moved` looks at in each of two runs: a second or two
NONE = -1  # in place of a partner


@dataclass(frozen=True)
class Aligned:
    """Which places of A are which of B: N pairs, increasing in both."""

    a: np.ndarray  # (N,)
    b: np.ndarray  # (N,)
    n_a: int
    n_b: int

    @property
    def merged(self) -> np.ndarray:
        """(M, 2) all places of both in one order, partners together, `NONE` where one of them is missing: between two
        pairs first what only A has, then what only B has.
        """
        rows, last = [], (NONE, NONE)
        for pair in (*zip(self.a.tolist(), self.b.tolist(), strict=True), (self.n_a, self.n_b)):
            rows += [(i, NONE) for i in range(last[0] + 1, pair[0])]
            rows += [(NONE, j) for j in range(last[1] + 1, pair[1])]
            rows.append(last := pair)
        return np.array(rows[:-1], np.int64).reshape(-1, 2)

    @property
    def alone(self) -> tuple[np.ndarray, np.ndarray]:
        """The places of A, and those of B, that have no partner."""
        return np.setdiff1d(np.arange(self.n_a), self.a), np.setdiff1d(np.arange(self.n_b), self.b)

    @property
    def whole(self) -> bool:
        """Whether every place has a partner."""
        return len(self.a) == self.n_a == self.n_b

    def partner(self, i: int, *, of_b: bool = False) -> int | None:
        """Of place i of A, or of B; None if it has none."""
        here, there = (self.b, self.a) if of_b else (self.a, self.b)
        at = int(np.searchsorted(here, i))
        return int(there[at]) if at < len(here) and here[at] == i else None


def aligned(a: Sequence[int], b: Sequence[int]) -> Aligned:
    """Two sequences of ids. With A and B exchanged, the pairs are the same. Raises `PromptError` for too long ones.

    What both begin with is paired, then what both end with; between, of several ways with as many pairs, one is taken.
    """
    if tuple(b) < tuple(a):  # one way, whichever is called A
        other = aligned(b, a)
        return Aligned(other.b, other.a, other.n_b, other.n_a)
    x, y = np.asarray(a, np.int64), np.asarray(b, np.int64)
    least = min(len(x), len(y))
    differ = np.flatnonzero(x[:least] != y[:least])
    start = int(differ[0]) if len(differ) else least
    differ = np.flatnonzero(x[start:][::-1][: least - start] != y[start:][::-1][: least - start])
    end = int(differ[0]) if len(differ) else least - start
    between = _pairs(x[start : len(x) - end], y[start : len(y) - end]) + start
    first, last = np.arange(start), np.arange(-end, 0)
    return Aligned(
        np.concatenate([first, between[:, 0], last + len(x)]),
        np.concatenate([first, between[:, 1], last + len(y)]),
        len(x),
        len(y),
    )


def _pairs(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N, 2) a longest common subsequence, by the table of the lengths of those of all beginnings."""
    if len(x) * len(y) > MOST_CELLS:
        raise PromptError(
            f"The two texts differ over {len(x):,} and {len(y):,} tokens: to align so many takes too long, for their "
            f"product may be {MOST_CELLS:,}. Make one of them shorter, or more like the other."
        )
    length = np.zeros((len(x) + 1, len(y) + 1), np.int16)
    for i, id in enumerate(x):
        longer = np.where(y == id, length[i, :-1] + 1, length[i, 1:])
        np.maximum.accumulate(longer, out=length[i + 1, 1:])
    i, j, pairs = len(x), len(y), []
    while i and j:
        if x[i - 1] == y[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif length[i - 1, j] >= length[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return np.array(pairs[::-1], np.int64).reshape(-1, 2)


def difference(a: np.ndarray, b: np.ndarray, queries: Aligned, keys: Aligned) -> np.ndarray:
    """B - A, of maps (Q_A, K_A) and (Q_B, K_B), over the `merged` queries and keys: (Q, K). NaN where the query or the
    key has no partner. Weights are subtracted as they are: what a row has on keys without a partner is not shared out.
    """
    found = np.full((len(queries.merged), len(keys.merged)), np.nan, np.float32)
    rows, columns = (np.flatnonzero((each.merged != NONE).all(1)) for each in (queries, keys))
    found[np.ix_(rows, columns)] = b[np.ix_(queries.b, keys.b)] - a[np.ix_(queries.a, keys.a)]
    return found


def largest(values: np.ndarray, n: int) -> list[tuple[int, int]]:
    """The rows and columns of the n values (Q, K) that are farthest from 0, the farthest first; no zeros, no NaN."""
    size = np.abs(np.nan_to_num(values)).ravel()
    n = min(n, int(np.count_nonzero(size)))
    if not n:
        return []
    best = np.argpartition(-size, n - 1)[:n]
    best = best[np.lexsort((best, -size[best]))]
    return [divmod(int(i), values.shape[1]) for i in best]


def moved(
    a: Sequence[Layer | NoAttention],
    b: Sequence[Layer | NoAttention],
    queries: Aligned,
    keys: Aligned,
    most: int = MOST_WEIGHTS,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How much of each head's attention is elsewhere in B: (L, H) the share, (L, H) the largest change of one weight,
    and which of the pairs of queries (R,) were looked at. NaN in a layer without attention.

    The share is the total variation distance of two rows, half of what all weights differ by, from 0 to 1, the mean
    over aligned queries; a key without a partner is one that the other row has nothing on. Of pairs that would take
    more than `most` weights, as many as may be are looked at, at equal distances.
    """
    some = next(layer for layer in a if not isinstance(layer, NoAttention))
    in_a_row = len(a) * some.n_head * max(keys.n_a, keys.n_b)
    n = min(len(queries.a), max(1, most // max(1, in_a_row)))
    if not n:
        raise PromptError("No token of the one is a token of the other: no rows can be compared.")
    looked_at = np.linspace(0, len(queries.a) - 1, n).round().astype(int)
    share, most_changed = (np.full((len(a), some.n_head), np.nan) for _ in range(2))
    for layer, both in enumerate(zip(a, b, strict=True)):
        if any(isinstance(each, NoAttention) for each in both):
            continue
        sums, tops = [], []
        for first in range(0, n, ROWS_AT_ONCE):
            chosen = looked_at[first : first + ROWS_AT_ONCE]
            one, other = layer_weights(both[0], queries.a[chosen]), layer_weights(both[1], queries.b[chosen])
            paired = one[..., keys.a], other[..., keys.b]  # (H, R, N)
            change = np.abs(paired[1] - paired[0])
            alone = sum(np.delete(w, at, -1).sum(-1) for w, at in ((one, keys.a), (other, keys.b)))
            sums.append((change.sum(-1) + alone).sum(1) / 2)
            tops.append(change.max((1, 2), initial=0))
        share[layer], most_changed[layer] = np.sum(sums, 0) / n, np.max(tops, 0)
    return share, most_changed, looked_at


@dataclass(frozen=True)
class Divergence:
    """How far two distributions P and Q over the same V entries are apart. Entropies in nats."""

    p: float  # the entropy of P
    q: float
    mean: float  # that of their mean, (P + Q) / 2
    share: float  # total variation distance: half of what all probabilities differ by

    @property
    def jensen_shannon(self) -> float:
        """The divergence of Jensen and Shannon (Lin 1991), in nats: the mean of those of Kullback and Leibler from P
        and from Q to their mean; from 0 to ln 2, the same with P and Q exchanged, and finite where one of them is 0.
        """
        return max(0.0, self.mean - (self.p + self.q) / 2)


def divergence(p: np.ndarray, q: np.ndarray) -> Divergence:
    """P and Q (V,). ValueError if they are over different numbers of entries."""
    if p.shape != q.shape:
        raise ValueError(f"distributions over {p.shape} and {q.shape}")
    p, q = p.astype(np.float64), q.astype(np.float64)
    return Divergence(*(float(entropy(each)) for each in (p, q, (p + q) / 2)), float(np.abs(q - p).sum() / 2))
