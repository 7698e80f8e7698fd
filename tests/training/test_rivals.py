"""The 5-gram that models are compared with, against modified Kneser-Ney written down from its definition."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from model.training.rivals import ORDER, five_gram


def by_definition(trained: list[list[int]], read: list[list[int]], n_vocab: int) -> list[list[float]]:
    """Chen & Goodman 1999, eq. 26, one n-gram at a time: dictionaries of tuples, and recursion."""
    counts = [Counter() for _ in range(ORDER + 1)]  # of the n-grams of each order
    for text in trained:
        padded = [0] * (ORDER - 1) + text
        for i in range(len(text)):
            counts[ORDER][tuple(padded[i : i + ORDER])] += 1
    for n in range(ORDER - 1, 0, -1):
        for gram in counts[n + 1]:
            counts[n][gram[1:]] += 1  # once for each token that came before it

    followers = [defaultdict(list) for _ in range(ORDER + 1)]  # of each history: the counts of what follows
    for n in range(1, ORDER + 1):
        for gram, count in counts[n].items():
            followers[n][gram[:-1]].append(count)

    def discounts(n: int) -> list[float]:
        n1, n2, n3, n4 = (sum(count == i for count in counts[n].values()) or 1 for i in (1, 2, 3, 4))
        y = n1 / (n1 + 2 * n2)
        wanted = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        return [0.0, *(min(max(d, 0.0), i + 1) for i, d in enumerate(wanted))]

    taken = [None, *(discounts(n) for n in range(1, ORDER + 1))]

    def probability(gram: tuple[int, ...]) -> float:
        n = len(gram)
        if n == 0:
            return 1 / n_vocab
        lower = probability(gram[1:])
        follow = followers[n].get(gram[:-1])
        if not follow:
            return lower
        count = counts[n].get(gram, 0)
        handed_down = sum(taken[n][min(c, 3)] for c in follow)
        return (count - taken[n][min(count, 3)] + handed_down * lower) / sum(follow)

    padded = [[0] * (ORDER - 1) + text for text in read]
    return [[probability(tuple(text[i : i + ORDER])) for i in range(1, len(text) - ORDER + 1)] for text in padded]


@pytest.mark.parametrize("n_vocab", [5, 300, 8192, 1 << 16])
def test_probabilities_by_their_definition(n_vocab):
    """Also with a vocabulary whose ids fill all 16 bits: five of them have more bits than any number of the machine."""
    rng = np.random.default_rng(n_vocab)
    ids = np.unique([0, 1, 2, n_vocab - 1, n_vocab - 2, *rng.integers(n_vocab, size=20)])
    # few different tokens, some much more frequent, so that n-grams of all orders come again
    odds = 1 / np.arange(1, len(ids) + 1)

    def text(n: int) -> np.ndarray:
        return rng.choice(ids, size=n, p=odds / odds.sum()).astype(np.uint16)

    trained, read = [text(700), text(150)], [text(60), text(1), text(40)]
    found = five_gram(trained, read, n_vocab)
    wanted = by_definition([each.tolist() for each in trained], [each.tolist() for each in read], n_vocab)
    assert [len(each) for each in found] == [59, 0, 39]
    for some, same in zip(found, wanted, strict=True):
        np.testing.assert_allclose(some, same, rtol=1e-12)


def test_what_may_come_next_adds_up_to_one():
    rng = np.random.default_rng(0)
    trained = [rng.integers(12, size=400).astype(np.uint16)]
    for past in ([3, 1, 4, 1], [11, 11, 11, 11], trained[0][50:54].tolist()):
        read = [np.array([*past, following], np.uint16) for following in range(12)]
        assert sum(each[-1] for each in five_gram(trained, read, 12)) == pytest.approx(1, abs=1e-12)
