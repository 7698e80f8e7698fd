"""Translating 100 sentences greedily with the cache of keys and values, against the same model without it."""

import argparse
import itertools
from collections.abc import Iterator

import torch

from model import catalog
from model.builtin.greedy import greedy, padded
from model.builtin.transformer import EncoderDecoder
from tests.benchmarks.timing import Measured, interleaved

# 5 x 5 x 4: who, what they do, and where or when
WHO = ("The old man", "My sister", "A young woman with a red hat", "The children next door", "Tom")
DOES = (
    "is reading a book",
    "bought some bread and a bottle of wine",
    "wants to learn how to swim before the summer comes",
    "was looking for the keys that he had lost",
    "gave the dog something to eat",
)
WHERE = (
    ".",
    " in the garden.",
    " because it was raining all day, and nobody wanted to go out.",
    " when I arrived at the station.",
)
SENTENCES = ["".join([who, " ", does, where]) for who, does, where in itertools.product(WHO, DOES, WHERE)]
MOST = 40  # tokens of a target, as on the page


@torch.inference_mode()
def without_cache(transformer: EncoderDecoder, sources: list[list[int]], end: int) -> list[list[int]]:
    """As `greedy`, but all that is written is decoded again for each token; the sources are encoded once, too."""
    ids, visible = padded(sources, end)
    memory, _ = transformer.encode(ids, visible)
    written = torch.full((len(ids), 1), end)
    done = torch.zeros(len(ids), dtype=torch.bool)
    while written.shape[1] <= MOST and not done.all():
        logits, _ = transformer.decode(written, memory, visible)
        token = logits[:, -1].argmax(-1, keepdim=True)  # (B, 1)
        done |= token[:, 0] == end
        written = torch.cat([written, token], dim=1)
    rows = written[:, 1:].tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    torch.set_num_threads(1)  # as the app serves
    lm = catalog.load("translator")
    transformer, end = lm._transformer, lm.start_token().id
    sources = [[token.id for token in lm.encode(sentence)] for sentence in SENTENCES[:: 5 if args.quick else 1]]
    n = len(sources)
    ours, theirs = greedy(transformer, sources, end, MOST), without_cache(transformer, sources, end)
    same = sum(mine == other for mine, other in zip(ours, theirs, strict=True))
    tokens = sum(map(len, ours)) / n
    yield Measured("translation: written the same with and without the cache", f"{same} of {n}", "all", same == n)
    yield Measured("translation: tokens written a sentence", f"{tokens:.1f}")
    few = sources[::5]
    variants = {
        "all at once, with the cache": lambda: greedy(transformer, sources, end, MOST),
        "all at once, without": lambda: without_cache(transformer, sources, end),
        "one by one, with the cache": lambda: [greedy(transformer, [source], end, MOST) for source in few],
        "one by one, without": lambda: [without_cache(transformer, [source], end) for source in few],
    }
    rounds = interleaved(variants, n_round=1 if args.quick else 2)
    for name in variants:
        count = n if name.startswith("all") else len(few)
        yield Measured(f"translation: {name}", f"{1000 * rounds.median(name) / count:.1f} ms a sentence, of {count}")
    ratio = rounds.ratio("all at once, without", "all at once, with the cache")
    yield Measured("translation: all at once, without the cache / with it", f"{ratio:.2f}", "≥ 3", ratio >= 3)
    # a step of one short sentence is mostly the cost of starting each operation, which the cache does not save
    ratio = rounds.ratio("one by one, without", "one by one, with the cache")
    yield Measured("translation: one by one, without the cache / with it", f"{ratio:.2f}")
