"""Train the translator: `python -m model.training.translator --data DIR --work DIR --hours 2`.

From sentence pairs, English TAB another language, and from pairs made of them (see `model.training.more_pairs`). The
same command resumes; `--export DIR` writes what the app ships, with BLEU and chrF on the test split and forty texts as
visitors type them (see `model.training.pairs`), and stops.
"""

import argparse
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model.builtin.greedy import padded
from model.builtin.transformer import EncoderDecoder
from model.text.tokenizer import Tokenizer
from model.training import loop
from model.training.bpe_dropout import Cut, Cutter
from model.training.more_pairs import more_pairs
from model.training.pairs import measured, references, scores, sentence_pairs, written_greedily

IGNORED = -100  # a target position that is padding: no loss
POOL = 128  # batches that are drawn together, so that pairs of like length can be put into one
CHECKED = 200  # validation sentences that are translated at each check
Encoded = list[tuple[list[int], list[int]]]


def main(argv: list[str] | None = None) -> None:
    loop.run(parse(argv), prepare_tokenizer, Trainer)


def parse(argv: list[str] | None) -> argparse.Namespace:
    defaults = {"batch_tokens": 4096, "dropout": 0.1, "batch_growth": 2, "check_every": 500}
    shape = {"vocab": 8000, "layers": 3, "heads": 8, "d_model": 256, "context": 128}
    parser = loop.options("model.training.translator", __doc__, **shape, **defaults)
    parser.add_argument("--to", default="fr", help="the other language, as in the names of the files")
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument(
        "--bpe-dropout", type=float, default=0.1, help="of the merges of a source's words, each time they are read"
    )
    parser.add_argument("--bare", type=float, default=0.15, help="share of the pairs that come again without end mark")
    parser.add_argument("--only-pairs", action="store_true", help="no pairs made from others: see more_pairs")
    return loop.parse(parser, argv)


def training_pairs(args: argparse.Namespace) -> dict[str, list[tuple[str, str]]]:
    """{what they are: pairs}: those of the training split, and those made from them."""
    pairs = sentence_pairs(args.data, args.to, "train")
    made = {} if args.only_pairs or args.to != "fr" else more_pairs(pairs, args.bare, args.seed)
    return {"pairs": pairs, **made}


def prepare_tokenizer(args: argparse.Namespace) -> Tokenizer:
    return loop.kept_tokenizer(args, tokenizer_texts(args))


def tokenizer_texts(args: argparse.Namespace) -> Iterator[str]:
    """The vocabulary, which both languages share, is learned from all that is trained on, single words many times."""
    read = training_pairs(args)
    yield from (text for pairs in read.values() for pair in pairs for text in pair)
    yield from (text for pair in read.get("words", ()) for text in pair * 20)


def encode_pairs(tokenizer: Tokenizer, pairs: list[tuple[str, str]], most: int) -> Encoded:
    """(source, target) ids, each with the end token behind it, the shortest first; none over `most`."""
    sides = [tokenizer.encode_ids(list(side)) for side in zip(*pairs, strict=True)]
    end = tokenizer.end_of_text
    encoded = [([*source, end], [*target, end]) for source, target in zip(*sides, strict=True)]
    return sorted(
        (pair for pair in encoded if max(map(len, pair)) <= most), key=lambda pair: (len(pair[1]), len(pair[0]))
    )


class Trainer(loop.Trainer):
    """Batches of sentence pairs of like length; the loss is that of the next target token, with smoothed labels."""

    architecture, printed = "encoder-decoder", ("valid_nats", "test", "typed")

    def __init__(self, args: argparse.Namespace, tokenizer: Tokenizer):
        super().__init__(args, tokenizer, EncoderDecoder)
        self.end = tokenizer.end_of_text
        self.read = training_pairs(args)
        sides = list(zip(*(pair for pairs in self.read.values() for pair in pairs), strict=True))
        # sources alone: else the model would write the same word in several ways, and fill its beam with them
        dropouts = (args.bpe_dropout, 0.0)
        self.cutters = [Cutter(tokenizer, *each, args.seed) for each in zip(sides, dropouts, strict=True)]
        self.cuts, self.epoch, self.tokens_once = [], -1, len(self.cutters[1].words)
        self.held_out = sentence_pairs(args.data, args.to, "valid")
        self.valid = encode_pairs(tokenizer, self.held_out, args.context)

    def draw(self, rng: np.random.Generator) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], int]:
        """About --batch-tokens target tokens with little padding: one of many batches, whose pairs are drawn together
        and sorted by length."""
        most, (sources, targets) = self.grown(self.args.batch_tokens), self.cut_anew()
        n = min(int(POOL * most / targets.lengths.mean()), len(targets.lengths))
        pool = rng.choice(len(targets.lengths), n, replace=False)
        pool = pool[np.lexsort([sources.lengths[pool], targets.lengths[pool]])]  # by target, then by source
        ends = np.cumsum(targets.lengths[pool] + 1)
        n_batch = max(round(ends[-1] / most), 1)
        batches = np.split(pool, np.searchsorted(ends, ends[-1] * np.arange(1, n_batch) / n_batch))
        batch = [([*sources[i], self.end], [*targets[i], self.end]) for i in batches[rng.integers(n_batch)]]
        batch = [pair for pair in batch if max(map(len, pair)) <= self.config.n_context]
        return self._tensors(batch), sum(len(target) for _, target in batch)

    def cut_anew(self) -> list[Cut]:
        """Sources and targets as ids, cut in another way whenever as many tokens were read as they have words."""
        epoch = self.n_token // self.tokens_once
        if epoch != self.epoch:
            rng = np.random.default_rng([self.args.seed, epoch, 1])
            self.cuts, self.epoch = [cutter.all(rng) for cutter in self.cutters], epoch
        return self.cuts

    def _tensors(self, batch: Encoded) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Source (B, S), which of it is real (B, S), target before (B, T) and the tokens to predict (B, T)."""
        source, visible = padded([source for source, _ in batch], self.end)
        inputs, _ = padded([[self.end, *target[:-1]] for _, target in batch], self.end)
        wanted, real = padded([target for _, target in batch], self.end)
        wanted = wanted.masked_fill(~real, IGNORED)
        return tuple(each.to(self.args.device) for each in (source, visible, inputs, wanted))

    def loss(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        source, visible, inputs, wanted = batch
        with self.autocast():
            logits, _ = self.transformer(source, inputs, visible)  # (B, T, V)
        smoothing = self.args.label_smoothing if self.transformer.training else 0.0
        return F.cross_entropy(
            logits.float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, label_smoothing=smoothing
        )

    @torch.inference_mode()
    def check(self) -> list[float]:
        """Nats per target token of the validation pairs, without smoothing or dropout; BLEU of the first ones, written
        greedily."""
        self.transformer.eval()
        total = count = 0
        for start in range(0, len(self.valid), 128):
            batch = self.valid[start : start + 128]
            n = sum(len(target) for _, target in batch)
            total, count = total + self.loss(self._tensors(batch)).item() * n, count + n
        wanted = dict(islice(references(self.held_out).items(), CHECKED))
        found = written_greedily(self.transformer, self.tokenizer, list(wanted))
        self.transformer.train()
        return [total / count, scores(found, list(wanted.values()))["BLEU"]]

    def title(self) -> str:
        return f"Translator (English → {'French' if self.args.to == 'fr' else self.args.to})"

    def facts(self) -> dict:
        self.transformer.cpu().eval()
        return {
            "data": {
                **{kind: len(pairs) for kind, pairs in self.read.items()},
                **{split: len(sentence_pairs(self.args.data, self.args.to, split)) for split in ("valid", "test")},
            },
            "made": "words, names, numbers, joined and bare are made of the training pairs alone; the names that stand "
            "in place of Tom, Mary and Boston were written for this (model.training.more_pairs)",
            "valid_nats": round(self.check()[0], 4),
            **measured(self.transformer, self.tokenizer, self.args.data, self.args.to),
            "history": {
                "columns": ["step", "tokens", "seconds", "valid nats per token", "valid BLEU"],
                "rows": self.history,
            },
        }


if __name__ == "__main__":
    main()
