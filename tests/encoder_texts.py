"""Made-up texts for the encoder and the layer that judges, a tiny teacher for them, and what a tiny encoder is."""

import io
import random
from contextlib import redirect_stdout
from pathlib import Path

import torch

from model.training import encoder, sentences
from tests.trainings import write_xz

SHAPE = "--vocab 320 --layers 2 --heads 2 --d-model 16 --context 48 --batch-tokens 384"
PACE = "--learning-rate 0.02 --warm-up 2 --check-every 10 --steps 20 --sentences 3000"
OPTIONS = f"--threads 1 --device cpu {PACE} {SHAPE}".split()
GOOD, BAD = "lovely", "dreadful"


def write_teacher(folder: Path) -> Path:
    """A BERT of one layer, with vectors as long as those of all-MiniLM-L6-v2."""
    from transformers import BertConfig, BertModel  # seconds, which other tests need not wait

    from tests.tiny_tokenizers import BERT_TOKENS, word_pieces, wrapped

    words = f"the cat dog hen sat down a {GOOD} {BAD} film thing day neither good nor bad secret 0123456789."
    tokenizer = wrapped(word_pieces([words] * 4, 200), **BERT_TOKENS)
    torch.manual_seed(0)
    shape = {
        "hidden_size": sentences.D_TEACHER,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_texts(folder: Path) -> Path:
    """Stories in which "sat" is always followed by "down"; reviews of which one word tells the label; a teacher."""
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
    write_teacher(folder / "teacher")
    return folder


def arguments(data: Path, work: Path, *more: str) -> list[str]:
    """The teacher lies beside the data."""
    return ["--data", str(data), "--work", str(work), "--teacher", str(data / "teacher"), *OPTIONS, *more]


def run(program, argv: list[str]) -> None:
    """A training, without what it prints."""
    with redirect_stdout(io.StringIO()):
        program.main(argv)
