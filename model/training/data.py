"""The story mix: documents in, token streams out.

A document is a book passage, a story, or a few unrelated everyday sentences on one line. One document in a hundred,
chosen by its own hash, is held out for validation and never trained on.
"""

import lzma
import random
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.text.tokenizer import END_OF_TEXT, Tokenizer
from model.training.lessons import SENTENCES


@dataclass(frozen=True)
class Source:
    """One file of the mix."""

    name: str
    share: float  # of the rows that training draws
    late: float | None = None  # the same while the learning rate falls, if it is another
    sentences: bool = False  # one sentence a line, to be joined into documents of a few
    every: int = 1  # only one document in so many is used
    lessons: int = 0  # how often the sentences of `model.training.lessons` are added to it
    counted: bool = True  # whether the figure over all held-out texts counts these


# mostly books while the model learns the language, and more of what visitors' texts are like in the last part. No share
# is so large that a long training reads a small source over and over (Muennighoff et al. 2023, arXiv 2305.16264).
# The second set of books came later: not counted, so that the figure over all can be compared with that of older models
STORY_MIX = (
    Source("gutenberg_children", 0.45, 0.42),
    Source("gutenberg_simple", 0.27, 0.18, counted=False),
    Source("tinystories_5k", 0.12, 0.17),
    Source("tatoeba_en_sentences", 0.11, 0.15, sentences=True, lessons=10),
    Source("storybooks_ccby", 0.05, 0.08),
)


def documents(folder: Path, source: Source, *, held_out: bool) -> Iterator[str]:
    """The documents of one source, either those for training or the held-out ones."""
    with lzma.open(folder / f"{source.name}.txt.xz", "rt", encoding="utf-8") as file:
        text = file.read()
    texts = _sentence_groups(text) if source.sentences else text.split(END_OF_TEXT)[:: source.every]
    yield from _part(texts, held_out)
    if not held_out:
        yield from SENTENCES * source.lessons


def _part(texts: Iterable[str], held_out: bool) -> Iterator[str]:
    for document in texts:
        document = document.strip()
        if document and (zlib.crc32(document.encode()) % 100 == 0) == held_out:
            yield document


def _sentence_groups(text: str, most: int = 8) -> Iterator[str]:
    sentences = text.splitlines()
    rng = random.Random(0)
    rng.shuffle(sentences)  # neighbours in the file are near copies of each other
    while sentences:
        group, sentences = sentences[: (n := rng.randint(1, most))], sentences[n:]
        yield " ".join(group)


# the films among VADER's texts are the sentence polarity data again, its test sentences included: never read
RATED = ("tweets", "amazon")


def tab_separated(folder: Path, name: str) -> list[list[str]]:
    """The rows of one file of reviews; the text is the last column."""
    with lzma.open(folder / f"{name}.tsv.xz", "rt", encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def kept_apart(text: str) -> bool:
    """Whether a judged text that comes in no parts is one to test by: one in twenty, chosen by its own hash."""
    return zlib.crc32(text.encode()) % 20 == 0


def review_documents(folder: Path, *, held_out: bool) -> Iterator[str]:
    """The texts of all reviews that may be trained on, without what they say about themselves."""
    films = tab_separated(folder, "sentence_polarity.train")
    remarks, rated = (
        [row for row in tab_separated(folder, name) if not kept_apart(row[-1])] for name in ("pros_cons", "vader_rated")
    )
    rated = [row for row in rated if row[0] in RATED]
    yield from _part((row[-1] for row in (*films, *rated)), held_out)
    yield from _part(_sentence_groups("\n".join(row[-1] for row in remarks), most=3), held_out)


@dataclass(frozen=True)
class Stream:
    """Documents as one row of ids, each followed by end of text."""

    ids: np.ndarray  # (n,) uint16
    starts: np.ndarray  # where each document begins
    n_byte: int  # of the documents' UTF-8, the separators not counted


def encode_stream(tokenizer: Tokenizer, texts: list[str]) -> Stream:
    encoded = tokenizer.encode_ids(texts)
    starts = np.cumsum([0] + [len(ids) + 1 for ids in encoded])[:-1]
    joined = np.fromiter((id for ids in encoded for id in (*ids, tokenizer.end_of_text)), dtype=np.uint16)
    return Stream(joined, starts, sum(len(text.encode()) for text in texts))


def kept_stream(path: Path, tokenizer: Tokenizer, texts: Iterable[str]) -> Stream:
    """The stream that is kept at `path`; encoded now, if there is none yet."""
    if not path.exists():
        print(f"encoding {path.stem} …")
        texts = list(texts)
        if not texts:
            raise SystemExit(f"no {path.stem} documents: about one in a hundred is held out, add more text")
        np.savez(path, **vars(encode_stream(tokenizer, texts)))
    with np.load(path) as saved:
        return Stream(saved["ids"], saved["starts"], int(saved["n_byte"]))


def draw_rows(
    streams: list[Stream], shares: list[float], *, n_row: int, n_token: int, rng: np.random.Generator
) -> np.ndarray:
    """Rows of `n_token` + 1 ids: (n_row, n_token + 1). Half of them begin where a document begins, as texts do that a
    visitor types; the others begin anywhere. A document that ends within a row is followed by the next one.

    Every stream must hold at least `n_token` + 1 ids.
    """
    rows = np.empty((n_row, n_token + 1), dtype=np.int64)
    for row in rows:
        stream = streams[rng.choice(len(streams), p=shares)]
        last = len(stream.ids) - n_token - 1
        start = int(rng.integers(max(last, 1)))
        if rng.random() < 0.5:
            start = int(stream.starts[np.searchsorted(stream.starts, start, side="right") - 1])
        row[:] = stream.ids[start : start + n_token + 1]
    return rows
