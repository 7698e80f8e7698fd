"""Train the story model: `python -m model.training.story --data DIR --work DIR --hours 2`.

Everything needed to go on after an interruption is in `--work`; the same command resumes. `--export DIR` writes what
the app ships (weights in float16, config, tokenizer, model card) from the newest checkpoint and stops.
"""

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from model.tokenizer import Tokenizer
from model.tokenizer import train as train_tokenizer
from model.training import loop
from model.training.data import STORY_MIX, Stream, documents, draw_rows, kept_stream
from model.transformer import Config, Transformer

# rows of several lengths, so that short texts and every position are learned: {tokens in a row: share of the steps}
ROW_LENGTHS = {64: 0.25, 128: 0.30, 256: 0.30, 512: 0.15}


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    loop.keep_large_buffers()
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer = prepare_tokenizer(args)
    trained, held_out = prepare_streams(args, tokenizer)
    trainer = Trainer(args, tokenizer.n_vocab)
    resumed = trainer.resume()
    if args.export:
        if not resumed:
            raise SystemExit(f"nothing to export: there is no {loop.CHECKPOINT} in {args.work}")
        trainer.export(args.export, tokenizer, trained, held_out)
        return
    trainer.train(trained, held_out)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = loop.options("model.training.story", __doc__)
    parser.add_argument("--vocab", type=int, default=4096, help="entries of the tokenizer, if the texts yield so many")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--d-model", type=int, default=192)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--batch-tokens", type=int, default=4096, help="tokens a step")
    return loop.parse(parser, argv)


def prepare_tokenizer(args: argparse.Namespace) -> Tokenizer:
    path = args.work / "tokenizer.json"
    if not path.exists():
        print("training the tokenizer …")
        texts = (text for source in STORY_MIX for text in documents(args.data, source, held_out=False))
        train_tokenizer(texts, args.vocab).save(path)
    return Tokenizer.load(path)


def prepare_streams(args: argparse.Namespace, tokenizer: Tokenizer) -> tuple[list[Stream], list[Stream]]:
    """(training, held-out) streams, one a source, encoded once and kept in the work folder."""
    trained, held_out = (
        [
            kept_stream(args.work / f"{source.name}.{part}.npz", tokenizer, documents(args.data, source, held_out=out))
            for source in STORY_MIX
        ]
        for part, out in (("train", False), ("held_out", True))
    )
    return trained, held_out


def row_lengths(n_context: int, streams: list[Stream]) -> list[int]:
    """The lengths that the transformer can read and every source can fill."""
    longest = min(n_context, *(len(stream.ids) - 1 for stream in streams))
    if longest < min(ROW_LENGTHS):
        raise SystemExit(
            f"rows can have at most {longest} tokens (the context, or the smallest source), and the shortest that are "
            f"trained have {min(ROW_LENGTHS)}: raise --context, or add text"
        )
    return [length for length in ROW_LENGTHS if length <= longest]


class Trainer(loop.Trainer):
    """Rows of several lengths from all sources; the loss is that of the next token."""

    def __init__(self, args: argparse.Namespace, n_vocab: int):
        torch.manual_seed(args.seed)
        config = Config(n_vocab, args.context, args.layers, args.heads, args.d_model)
        super().__init__(args, config, Transformer(config))
        self.trained: list[Stream] = []
        self.held_out: list[Stream] = []

    def train(self, trained: list[Stream], held_out: list[Stream]) -> None:
        self.trained, self.held_out = trained, held_out
        self.lengths = row_lengths(self.config.n_context, trained)
        super().train()

    def draw(self, rng: np.random.Generator) -> tuple[torch.Tensor, int]:
        odds = np.array([ROW_LENGTHS[length] for length in self.lengths])
        n_token = int(rng.choice(self.lengths, p=odds / odds.sum()))
        shares = [source.share for source in STORY_MIX]
        n_row = max(self.args.batch_tokens // n_token, 1)
        rows = draw_rows(self.trained, shares, n_row=n_row, n_token=n_token, rng=rng)
        return torch.from_numpy(rows).to(self.args.device), rows[:, 1:].size

    def loss(self, rows: torch.Tensor) -> torch.Tensor:
        """On rows of ids (B, T + 1): the mean cross-entropy in nats per token."""
        with self.autocast():
            logits, _ = self.transformer(rows[:, :-1])  # (B, T, V)
        return F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())

    def check(self) -> list[float]:
        losses = (held_out_loss(self.transformer, stream, most=16_384)[0] for stream in self.held_out)
        return [sum(source.share * loss for source, loss in zip(STORY_MIX, losses, strict=True))]

    def export(self, folder: Path, tokenizer: Tokenizer, trained: list[Stream], held_out: list[Stream]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.half(), folder / "weights.safetensors")
        tokenizer.save(folder / "tokenizer.json")
        card = {
            "title": "Story",
            "architecture": "decoder",
            **self.card(),
            "data": {
                source.name: {"share": source.share, "tokens": len(stream.ids)}
                for source, stream in zip(STORY_MIX, trained, strict=True)
            },
            "held_out": {},
            "history": {"columns": ["step", "tokens", "seconds", "held-out nats per token"], "rows": self.history},
        }
        total_nats = total_tokens = total_bytes = 0
        for source, stream in zip(STORY_MIX, held_out, strict=True):
            nats, n_token = held_out_loss(self.transformer, stream)
            n_byte = stream.n_byte * n_token / len(stream.ids)
            card["held_out"][source.name] = _loss_row(nats * n_token, n_token, n_byte)
            total_nats, total_tokens = total_nats + nats * n_token, total_tokens + n_token
            total_bytes += n_byte
        card["held_out"]["all"] = _loss_row(total_nats, total_tokens, total_bytes)
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
        (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")
        print(json.dumps(card["held_out"], indent=2))


def _loss_row(nats: float, n_token: int, n_byte: float) -> dict[str, float]:
    return {
        "tokens": n_token,
        "nats_per_token": round(nats / n_token, 4),
        "perplexity": round(math.exp(nats / n_token), 2),
        "bits_per_byte": round(nats / math.log(2) / n_byte, 4),
    }


@torch.inference_mode()
def held_out_loss(transformer: Transformer, stream: Stream, most: int | None = None) -> tuple[float, int]:
    """(mean cross-entropy in nats per token, tokens counted) over a stream cut into rows of the longest context.

    `most`: stop after about this many tokens.
    """
    n = transformer.config.n_context
    ids = torch.from_numpy(stream.ids[:most].astype(np.int64)).to(next(transformer.parameters()).device)
    total, count = 0.0, 0
    for start in range(0, len(ids) - 1, n):
        row = ids[start : start + n + 1]
        logits, _ = transformer(row[None, :-1])
        total += F.cross_entropy(logits[0], row[1:], reduction="sum").item()
        count += len(row) - 1
    return total / count, count


if __name__ == "__main__":
    main()
