"""Other ways to cut the same words into tokens: BPE-dropout (Provilkov et al. 2020, arXiv 1910.13267).

Each merge that could be made is left out with some probability, so that a word is read now whole and now in pieces. In
a training that sees each sentence dozens of times this keeps the sentences from being learned by heart.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from model.text.tokenizer import Tokenizer, byte_pieces

WAYS = 8  # to cut each word, of which one is taken each time


class Cut(NamedTuple):
    """Texts as ids, one after the other."""

    ids: np.ndarray
    starts: np.ndarray  # (N + 1,) where each text begins, and where the last one ends

    def __getitem__(self, i: int) -> list[int]:
        return self.ids[self.starts[i] : self.starts[i + 1]].tolist()

    @property
    def lengths(self) -> np.ndarray:
        """(N,) in tokens."""
        return np.diff(self.starts)


class Cutter:
    """Texts that can be cut again and again; without dropout, always as the tokenizer does."""

    def __init__(self, tokenizer: Tokenizer, texts: Sequence[str], dropout: float, seed: int):
        known: dict[str, int] = {}
        by_text = [[known.setdefault(word, len(known)) for word in tokenizer.words(text)] for text in texts]
        self.words = np.array([word for words in by_text for word in words])  # of all texts
        self.first_word = np.cumsum([0, *map(len, by_text)])
        rng, self.n_way = np.random.default_rng(seed), WAYS if dropout else 1
        ways = [cut(tokenizer, word, dropout, rng) for word in known for _ in range(self.n_way)]
        self.ids = np.array([id for way in ways for id in way])
        self.way_length = np.array(list(map(len, ways)))
        self.way_start = np.cumsum(self.way_length) - self.way_length

    def all(self, rng: np.random.Generator) -> Cut:
        """All texts, each word in one of its ways."""
        way = self.words * self.n_way + rng.integers(self.n_way, size=len(self.words))
        length = self.way_length[way]
        ends = np.cumsum(length)
        # the place of each token in `self.ids`: where its way begins, and how far it is from there
        place = np.repeat(self.way_start[way] - (ends - length), length) + np.arange(length.sum())
        return Cut(self.ids[place], np.concatenate([[0], ends])[self.first_word])


def cut(tokenizer: Tokenizer, word: str, dropout: float, rng: np.random.Generator) -> list[int]:
    """The ids of one of `tokenizer.words(text)`, where each merge is left out with probability `dropout` each time."""
    pieces = byte_pieces(word)
    while len(pieces) > 1:
        ranks = [tokenizer.rank.get(pair) for pair in pairwise(pieces)]
        kept = rng.random(len(ranks)) >= dropout
        left = [(rank, i) for i, rank in enumerate(ranks) if rank is not None and kept[i]]
        if not left:
            break
        _, i = min(left)
        pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]
    return [tokenizer.id_of(piece) for piece in pieces]
