"""Train the translator: `python -m model.training.translator --data DIR --work DIR --hours 2`.

From sentence pairs, English TAB another language, and from pairs made of them (see `model.training.more_pairs`). The
same command resumes; `--export DIR` writes what the app ships, with BLEU and chrF on the test split and forty texts as
visitors type them (see `model.training.pairs`), and stops.
"""

import argparse
import json
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from model.builtin.beam_search import padded
from model.builtin.transformer import Config, EncoderDecoder
from model.text.tokenizer import Tokenizer
from model.text.tokenizer import train as train_tokenizer
from model.training import loop
from model.training.bpe_dropout import Cut, Cutter
from model.training.more_pairs import more_pairs
from model.training.pairs import measured, references, scores, sentence_pairs, written_greedily

IGNORED = -100  # a target position that is padding: no loss
POOL = 128  # batches that are drawn together, so that pairs of like length can be put into one
CHECKED = 200  # validation sentences that are translated at each check
Encoded = list[tuple[list[int], list[int]]]


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    loop.keep_large_buffers()
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer = prepare_tokenizer(args)
    Trainer(args, tokenizer).carry_out()


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = loop.options("model.training.translator", __doc__)
    parser.add_argument("--to", default="fr", help="the other language, as in the names of the files")
    parser.add_argument("--vocab", type=int, default=8000, help="entries of the tokenizer that both languages share")
    parser.add_argument("--layers", type=int, default=3, help="of the encoder, and as many of the decoder")
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--d-model", type=int, default=256)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--batch-tokens", type=int, default=4096, help="target tokens a step")
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument(
        "--bpe-dropout", type=float, default=0.1, help="of the merges of a source's words, each time they are read"
    )
    parser.add_argument("--bare", type=float, default=0.15, help="share of the pairs that come again without end mark")
    parser.add_argument("--only-pairs", action="store_true", help="no pairs made from others: see more_pairs")
    parser.set_defaults(dropout=0.1, batch_growth=2, check_every=500)
    return loop.parse(parser, argv)


def training_pairs(args: argparse.Namespace) -> dict[str, list[tuple[str, str]]]:
    """{what they are: pairs}: those of the training split, and those made from them."""
    pairs = sentence_pairs(args.data, args.to, "train")
    made = {} if args.only_pairs or args.to != "fr" else more_pairs(pairs, args.bare, args.seed)
    return {"pairs": pairs, **made}


def prepare_tokenizer(args: argparse.Namespace) -> Tokenizer:
    """The vocabulary is learned from everything that is trained on, the single words many times."""
    path = args.work / "tokenizer.json"
    if not path.exists():
        print("training the tokenizer …")
        read = training_pairs(args)
        texts = (text for pairs in read.values() for pair in pairs for text in pair)
        single = (text for pair in read.get("words", ()) for text in pair * 20)
        train_tokenizer(chain(texts, single), args.vocab).save(path)
    return Tokenizer.load(path)


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

    def __init__(self, args: argparse.Namespace, tokenizer: Tokenizer):
        torch.manual_seed(args.seed)
        config = Config(tokenizer.n_vocab, args.context, args.layers, args.heads, args.d_model)
        super().__init__(args, config, EncoderDecoder(config))
        self.tokenizer, self.end = tokenizer, tokenizer.end_of_text
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
        config = asdict(self.config) | {"architecture": "encoder-decoder"}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
        print(
            json.dumps({name: card.get(name) for name in ("valid_nats", "test", "typed")}, indent=2, ensure_ascii=False)
        )


if __name__ == "__main__":
    main()
