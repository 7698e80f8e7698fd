"""Fine-tune the encoder to judge texts: `python -m model.training.sentiment --data DIR --work DIR --steps 2000`.

The second of two stages: the weights that `model.training.encoder` made go on training, now with a linear layer over
the mean of a text's vectors, on sentences that people have judged. Next to it the same network is trained without the
first stage, and a logistic regression on a bag of words, both on the same texts: what the card compares. `--data`
holds the folder sentiment/. The same command resumes; `--export DIR` writes what the app ships and stops.
"""

import argparse
import copy
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import Tensor
from torch.nn import functional as F

from model.classification import TextClassifier
from model.tokenizer import Tokenizer
from model.training import loop
from model.training.data import RATED, tab_separated
from model.transformer import Config
from model.translation import padded

LABELS = ("negative", "positive")
# {what the texts are: share of the rows that training draws}; films are what is tested, the others are more of a kind
SHARES = {"films": 0.5, "remarks": 0.35, "rated": 0.15}
CLEAR = 0.5  # a mean rating nearer to 0 than this is neither
STAGES = ("fine-tuned", "from scratch")


class Judged(NamedTuple):
    text: str
    label: int  # of LABELS


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    loop.keep_large_buffers()
    texts = judged_texts(args.data / "sentiment")
    trainers = {}
    for stage in STAGES:
        own = copy.copy(args)
        own.work = args.work / stage.replace(" ", "-")
        own.work.mkdir(parents=True, exist_ok=True)
        trainers[stage] = trainer = Trainer(own, texts, pretrained=stage == STAGES[0])
        resumed = trainer.resume()
        if args.export and not resumed:
            raise SystemExit(f"nothing to export: there is no {loop.CHECKPOINT} in {own.work}")
        if not args.export:
            print(stage)
            trainer.train()
    if args.export:
        export(args.export, trainers, texts)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = loop.options("model.training.sentiment", __doc__)
    shipped = Path(__file__).parents[1] / "weights/encoder"
    parser.add_argument("--encoder", type=Path, default=shipped, help="folder that model.training.encoder exported")
    parser.add_argument("--batch", type=int, default=64, help="texts a step")
    parser.add_argument("--hide", type=float, default=0.1, help="share of the tokens masked in training, to generalise")
    parser.set_defaults(optimizer="adamw", learning_rate=5e-4, dropout=0.1, check_every=100)
    return loop.parse(parser, argv)


def judged_texts(folder: Path) -> dict[str, dict[str, list[Judged]]]:
    """{films, remarks, rated: {train, valid, test: texts}}; only films have a part to choose by (valid)."""

    def parts(texts: list[Judged]) -> dict[str, list[Judged]]:
        out = [zlib.crc32(each.text.encode()) % 20 == 0 for each in texts]
        return {
            "train": [each for each, held_out in zip(texts, out, strict=True) if not held_out],
            "test": [each for each, held_out in zip(texts, out, strict=True) if held_out],
        }

    rated = [(float(row[1]), row[2]) for row in tab_separated(folder, "vader_rated") if row[0] in RATED]
    return {
        "films": {
            part: [Judged(text, int(label)) for label, text in tab_separated(folder, f"sentence_polarity.{part}")]
            for part in ("train", "valid", "test")
        },
        "remarks": parts([Judged(text, int(label)) for label, text in tab_separated(folder, "pros_cons")]),
        "rated": parts([Judged(text, int(rating > 0)) for rating, text in rated if abs(rating) > CLEAR]),
    }


class Trainer(loop.Trainer):
    """Batches of judged texts of like length; the best on the validation sentences is kept."""

    def __init__(self, args: argparse.Namespace, texts: dict[str, dict[str, list[Judged]]], *, pretrained: bool):
        torch.manual_seed(args.seed)
        stated = json.loads((args.encoder / "config.json").read_text())
        stated.pop("architecture")
        network = TextClassifier(config := Config(**stated), LABELS)
        if pretrained:
            missing, _ = network.load_state_dict(load_file(args.encoder / "weights.safetensors"), strict=False)
            assert missing == ["head.weight", "head.bias"], missing
        super().__init__(args, config, network)
        self.tokenizer = Tokenizer.load(args.encoder / "tokenizer.json")
        self.trained = {name: self._encode(texts[name]["train"]) for name in SHARES}
        self.valid = texts["films"]["valid"]
        self.best = 0.0

    def _encode(self, texts: Sequence[Judged]) -> list[tuple[list[int], list[int], int]]:
        """(ids, ids of the text with a capital letter, label): the film sentences are all in small letters."""
        plain = self._ids([text for text, _ in texts])
        capital = self._ids([text[:1].upper() + text[1:] for text, _ in texts])
        return list(zip(plain, capital, (label for _, label in texts), strict=True))

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return [ids[: self.config.n_context] for ids in self.tokenizer.encode_ids(texts)]

    def draw(self, rng: np.random.Generator) -> tuple[tuple[Tensor, Tensor, Tensor], int]:
        """Of four batches of texts, a quarter whose lengths are near to each other: little padding."""
        drawn = []
        for name in rng.choice(list(SHARES), 4 * self.args.batch, p=list(SHARES.values())):
            *either, label = self.trained[name][rng.integers(len(self.trained[name]))]
            drawn.append((either[rng.integers(2)], label))
        drawn.sort(key=lambda row: len(row[0]))
        first = int(rng.integers(3 * self.args.batch + 1))
        rows, labels = zip(*drawn[first : first + self.args.batch], strict=True)
        ids, visible = padded(rows, self.tokenizer.end_of_text)
        hidden = torch.from_numpy(rng.random(ids.shape) < self.args.hide)
        ids = ids.masked_fill(hidden & visible, self.tokenizer.mask)
        batch = tuple(each.to(self.args.device) for each in (ids, visible, torch.tensor(labels)))
        return batch, int(visible.sum())

    def loss(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        ids, visible, labels = batch
        with self.autocast():
            logits = self._logits(ids, visible)
        return F.cross_entropy(logits.float(), labels)

    def _logits(self, ids: Tensor, visible: Tensor) -> Tensor:
        """(B, T) -> (B, C)"""
        hidden = self.transformer.read(self.transformer.embed(ids), visible=visible).hidden[-1]  # (B, T, D)
        return self.transformer.judge(hidden, visible)

    @torch.inference_mode()
    def judge(self, texts: Sequence[Judged]) -> tuple[float, float]:
        """(mean nats, share judged right), without dropout, nothing hidden."""
        self.transformer.eval()
        ids = self._ids([text for text, _ in texts])
        rows = sorted(zip(ids, (label for _, label in texts), strict=True), key=lambda row: len(row[0]))
        nats = right = 0.0
        for start in range(0, len(rows), 64):
            block, labels = zip(*rows[start : start + 64], strict=True)
            logits = self._logits(*(t.to(self.args.device) for t in padded(block, self.tokenizer.end_of_text)))
            wanted = torch.tensor(labels, device=self.args.device)
            nats += F.cross_entropy(logits, wanted, reduction="sum").item()
            right += int((logits.argmax(-1) == wanted).sum())
        self.transformer.train()
        return nats / len(rows), right / len(rows)

    def check(self) -> list[float]:
        """On the validation sentences; keeps the weights if no earlier ones were right more often."""
        nats, accuracy = self.judge(self.valid)
        if accuracy > self.best:
            self.best = accuracy
            torch.save(self.transformer.state_dict(), self.args.work / "best.pt")
        return [nats, accuracy]

    def resume(self) -> bool:
        if resumed := super().resume():
            self.best = max(row[-1] for row in self.history)
        return resumed

    def take_best(self) -> None:
        self.transformer.load_state_dict(torch.load(self.args.work / "best.pt", weights_only=True))


def bag_of_words(train: Sequence[Judged], valid: Sequence[Judged]):
    """A logistic regression on the TF-IDF of words and pairs of words, its strength chosen on the validation texts."""
    fitted = []
    for strength in (0.3, 1.0, 3.0, 10.0):
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|[!?]")
        one = make_pipeline(words, LogisticRegression(C=strength, max_iter=1000))
        one.fit([text for text, _ in train], [label for _, label in train])
        fitted.append((right_of(one, valid), -strength, one))
    return max(fitted, key=lambda each: each[:2])[-1]


def right_of(words, texts: Sequence[Judged]) -> float:
    return float(np.mean(words.predict([text for text, _ in texts]) == [label for _, label in texts]))


def export(folder: Path, trainers: dict[str, Trainer], texts: dict[str, dict[str, list[Judged]]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for trainer in trainers.values():
        trainer.take_best()
    tuned = trainers[STAGES[0]]
    save_file(tuned.half(), folder / "weights.safetensors")
    tuned.tokenizer.save(folder / "tokenizer.json")
    films = texts["films"]
    everything = [each for name in SHARES for each in texts[name]["train"]]
    words = {
        "bag of words": bag_of_words(everything, films["valid"]),
        "bag of words, films only": bag_of_words(films["train"], films["valid"]),
    }
    asked = {"films, valid": films["valid"]} | {name: texts[name]["test"] for name in SHARES}
    card = {
        "title": "Sentiment",
        "architecture": "classifier",
        "labels": LABELS,
        **tuned.card(),
        "data": {name: {"share": share, "texts": len(texts[name]["train"])} for name, share in SHARES.items()},
        "test": {
            name: {"texts": len(part), "margin": round(1.96 * math.sqrt(0.25 / len(part)), 3)}
            | {stage: round(trainer.judge(part)[1], 4) for stage, trainer in trainers.items()}
            | {kind: round(right_of(each, part), 4) for kind, each in words.items()}
            for name, part in asked.items()
        },
        "history": {
            "columns": ["step", "tokens", "seconds", "valid nats", "valid accuracy"],
            **{stage: trainer.history for stage, trainer in trainers.items()},
        },
    }
    config = asdict(tuned.config) | {"architecture": "classifier", "labels": LABELS}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card["test"], indent=2))


if __name__ == "__main__":
    main()
