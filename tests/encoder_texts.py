"""Made-up texts for the encoder and the layer that judges, a stand-in for their teacher, and a tiny encoder of them."""

import io
import random
import zlib
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from model.training import encoder, sentences
from tests.trainings import write_xz

SHAPE = "--vocab 320 --layers 2 --heads 2 --d-model 16 --context 48 --batch-tokens 384"
PACE = "--learning-rate 0.02 --warm-up 2 --check-every 10 --steps 20 --sentences 3000"
OPTIONS = f"--teacher nowhere --threads 1 --device cpu {PACE} {SHAPE}".split()
GOOD, BAD = "lovely", "dreadful"


class WordReader:
    """Stands in for the teacher: each word has a vector of its own, a text the mean of its words'."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, texts: list[str]) -> np.ndarray:
        vectors = [np.mean([self.vector(word) for word in text.split()], axis=0) for text in texts]
        return np.stack([vector / np.linalg.norm(vector) for vector in vectors]).astype(np.float16)

    @staticmethod
    def vector(word: str) -> np.ndarray:
        return np.random.default_rng(zlib.crc32(word.encode())).normal(size=sentences.D_TEACHER)


def write_texts(folder: Path) -> Path:
    """Stories in which "sat" is always followed by "down"; reviews of which one word tells the label."""
    rng = random.Random(0)
    (folder / "stories").mkdir()
    (folder / "sentiment").mkdir()

    def tale(n: int) -> str:
        return " ".join(f"The {rng.choice(['cat', 'dog', 'hen'])} sat down {rng.randrange(9999)}." for _ in range(n))

    for source in encoder.STORIES:
        tales = [tale(3 if source.sentences else 8) for _ in range(1200)]
        write_xz(folder / f"stories/{source.name}.txt.xz", tales if source.sentences else ["<|endoftext|>".join(tales)])

    def reviews(n: int, *before: str, film: bool = False) -> list[str]:
        rows = []
        for _ in range(n):
            label = rng.randrange(2)
            what = "film" if film else "thing"
            rows.append("\t".join((*before, str(label), f"a {(BAD, GOOD)[label]} {what} {rng.randrange(999)}")))
        return rows

    for part, n in {"train": 400, "valid": 60, "test": 40}.items():
        write_xz(folder / f"sentiment/sentence_polarity.{part}.tsv.xz", reviews(n, film=True))
    write_xz(folder / "sentiment/pros_cons.tsv.xz", reviews(600))
    rated = [f"tweets\t{3 * (2 * (i % 2) - 1)}\ta {(BAD, GOOD)[i % 2]} day {i}" for i in range(200)]
    rated += [f"movie\t2.5\tSECRET {i}" for i in range(50)]
    rated += [f"amazon\t0.1\tneither good nor bad {i}" for i in range(50)]
    write_xz(folder / "sentiment/vader_rated.tsv.xz", rated)
    return folder


def arguments(data: Path, work: Path, *more: str) -> list[str]:
    return ["--data", str(data), "--work", str(work), *OPTIONS, *more]


def run(program, argv: list[str]) -> None:
    """A training, without what it prints."""
    with redirect_stdout(io.StringIO()):
        program.main(argv)
