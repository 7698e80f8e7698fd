"""Train the translator: `python -m model.training.translator --data DIR --work DIR --hours 2`.

From sentence pairs, English TAB another language. The same command resumes; `--export DIR` writes what the app ships,
with BLEU and chrF on the test split (see `model.training.pairs`), and stops.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from model.tokenizer import Tokenizer
from model.tokenizer import train as train_tokenizer
from model.training import loop
from model.training.pairs import on_the_test_split, sentence_pairs
from model.transformer import Config, EncoderDecoder
from model.translation import padded

IGNORED = -100  # a target position that is padding: no loss
_END_MARKS = (".", "!", "?", "…")
_SPACES = " \u00a0\u202f"  # French puts one before some of them
Pairs = list[tuple[list[int], list[int]]]


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    loop.keep_large_buffers()
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer = prepare_tokenizer(args)
    Trainer(args, tokenizer).carry_out()


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = loop.options("model.training.translator", __doc__)
    parser.add_argument("--to", default="fr", help="the other language, as in the names of the files")
    parser.add_argument("--vocab", type=int, default=6000, help="entries of the tokenizer that both languages share")
    parser.add_argument("--layers", type=int, default=3, help="of the encoder, and as many of the decoder")
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--d-model", type=int, default=256)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--batch-tokens", type=int, default=4096, help="target tokens a step")
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument(
        "--bare", type=float, default=0.0, help="share of the pairs that come a second time, without their end mark"
    )
    parser.set_defaults(dropout=0.1)
    return loop.parse(parser, argv)


def prepare_tokenizer(args: argparse.Namespace) -> Tokenizer:
    path = args.work / "tokenizer.json"
    if not path.exists():
        print("training the tokenizer …")
        pairs = sentence_pairs(args.data, args.to, "train")
        train_tokenizer((text for pair in pairs for text in pair), args.vocab).save(path)
    return Tokenizer.load(path)


def encode_pairs(tokenizer: Tokenizer, pairs: list[tuple[str, str]], most: int) -> Pairs:
    """(source, target) ids, each with the end token behind it, the shortest first; none over `most`."""
    sides = [tokenizer.encode_ids(list(side)) for side in zip(*pairs, strict=True)]
    end = tokenizer.end_of_text
    encoded = [([*source, end], [*target, end]) for source, target in zip(*sides, strict=True)]
    return sorted(
        (pair for pair in encoded if max(map(len, pair)) <= most), key=lambda pair: (len(pair[1]), len(pair[0]))
    )


def bare(pairs: list[tuple[str, str]], share: float) -> list[tuple[str, str]]:
    """A share of the pairs, evenly drawn, without the mark at the end of both sides, as visitors often type them."""
    chosen = pairs[:: round(1 / share)] if share else []
    marked = [pair for pair in chosen if all(side.endswith(_END_MARKS) for side in pair)]
    return [tuple(side.rstrip("".join(_END_MARKS) + _SPACES) for side in pair) for pair in marked]


class Trainer(loop.Trainer):
    """Batches of sentence pairs of like length; the loss is that of the next target token, with smoothed labels."""

    def __init__(self, args: argparse.Namespace, tokenizer: Tokenizer):
        torch.manual_seed(args.seed)
        config = Config(tokenizer.n_vocab, args.context, args.layers, args.heads, args.d_model)
        super().__init__(args, config, EncoderDecoder(config))
        self.tokenizer, self.end = tokenizer, tokenizer.end_of_text
        train, valid = (sentence_pairs(args.data, args.to, split) for split in ("train", "valid"))
        train += bare(train, args.bare)
        self.trained, self.valid = (encode_pairs(tokenizer, pairs, args.context) for pairs in (train, valid))
        self.ends = np.cumsum([len(target) for _, target in self.trained])

    def draw(self, rng: np.random.Generator) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], int]:
        """Neighbours in the order of length, from anywhere: about --batch-tokens target tokens, with little padding."""
        first = int(rng.integers(len(self.trained)))
        before = self.ends[first - 1] if first else 0
        last = int(np.searchsorted(self.ends, before + self.grown(self.args.batch_tokens)))
        batch = self.trained[first : max(last, first + 1)]
        return self._tensors(batch), sum(len(target) for _, target in batch)

    def _tensors(self, batch: Pairs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Source (B, S), which of it is real (B, S), target before (B, T) and the tokens to predict (B, T)."""
        source, visible = padded([source for source, _ in batch], self.end)
        given, _ = padded([[self.end, *target[:-1]] for _, target in batch], self.end)
        wanted, real = padded([target for _, target in batch], self.end)
        wanted = wanted.masked_fill(~real, IGNORED)
        return tuple(each.to(self.args.device) for each in (source, visible, given, wanted))

    def loss(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        source, visible, given, wanted = batch
        with self.autocast():
            logits, _ = self.transformer(source, given, visible)  # (B, T, V)
        smoothing = self.args.label_smoothing if self.transformer.training else 0.0
        return F.cross_entropy(
            logits.float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, label_smoothing=smoothing
        )

    @torch.inference_mode()
    def check(self) -> list[float]:
        """Nats per target token of the validation pairs, without smoothing or dropout."""
        self.transformer.eval()
        total = count = 0
        for start in range(0, len(self.valid), 128):
            batch = self.valid[start : start + 128]
            n = sum(len(target) for _, target in batch)
            total, count = total + self.loss(self._tensors(batch)).item() * n, count + n
        self.transformer.train()
        return [total / count]

    def export(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.half(), folder / "weights.safetensors")
        self.tokenizer.save(folder / "tokenizer.json")
        self.transformer.cpu().eval()
        card = {
            "title": f"Translator (English → {'French' if self.args.to == 'fr' else self.args.to})",
            "architecture": "encoder-decoder",
            **self.card(),
            "data": {
                split: len(sentence_pairs(self.args.data, self.args.to, split)) for split in ("train", "valid", "test")
            },
            "test": on_the_test_split(self.transformer, self.tokenizer, self.args.data, self.args.to),
            "history": {"columns": ["step", "tokens", "seconds", "valid nats per token"], "rows": self.history},
        }
        config = asdict(self.config) | {"architecture": "encoder-decoder"}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
        print(json.dumps(card["test"], indent=2))


if __name__ == "__main__":
    main()
