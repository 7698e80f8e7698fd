"""Train the story model: `python -m model.training.story --data DIR --work DIR --tokens 200e6`.

Everything needed to go on after an interruption is in `--work`; the same command resumes. `--export DIR` writes what
the app ships (weights in float16, config, tokenizer, model card) from the newest checkpoint and stops.
"""

import argparse
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice, repeat
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Transformer
from model.sources import builtin_files
from model.text.tokenizer import Tokenizer
from model.training import lessons, loop, rivals
from model.training.data import STORY_MIX, Stream, documents, draw_rows, encode_stream, kept_stream
from model.training.greedy_text import greedy_texts
from model.training.growth import grow
from model.training.stories import STORIES

# rows of several lengths, so that short texts and every position are learned: {tokens in a row: share of the steps}
ROW_LENGTHS = {64: 0.25, 128: 0.30, 256: 0.30, 512: 0.15}
GROWN_FROM = "grown_from.json"  # in the work folder: what the training began as, for the card


def main(argv: list[str] | None = None) -> None:
    loop.run(parse(argv), prepare_tokenizer, Trainer)


def parse(argv: list[str] | None) -> argparse.Namespace:
    shape = {"vocab": 8192, "layers": 6, "heads": 6, "d_model": 192, "context": 512}
    parser = loop.options("model.training.story", __doc__, **shape, batch_tokens=4096)
    parser.add_argument(
        "--grow-from", type=Path, help="begin as the smaller model of this folder, made wider and deeper"
    )
    of = ", ".join(source.name for source in STORY_MIX)
    parser.add_argument("--late-shares", type=late_shares, help=f"of {of}, while the learning rate falls: 0.4,0.3,…")
    parser.add_argument("--own-stories", type=share, default=0.0, help="share of our own stories in what it reads then")
    return loop.parse(parser, argv)


def share(text: str) -> float:
    """Raises ArgumentTypeError where it is none."""
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 1:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is no share, 0 to 1")


def late_shares(text: str) -> str:
    """The text, which says one share of each source; raises ArgumentTypeError where it does not."""
    try:
        shares = [float(share) for share in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers with commas") from error
    if len(shares) != len(STORY_MIX) or min(shares) < 0 or not math.isclose(sum(shares), 1):
        raise argparse.ArgumentTypeError(f"{text} are not {len(STORY_MIX)} shares that make up 1")
    return text


def prepare_tokenizer(args: argparse.Namespace) -> Tokenizer:
    return loop.kept_tokenizer(args, tokenizer_texts(args.data))


def tokenizer_texts(folder: Path) -> Iterator[str]:
    """What the vocabulary is learned from: a part of the books, the small sources whole, and the words of lessons.

    Sources of everyday language count for more here than by their size, since visitors type such texts; and a word that
    teachers use is one token with and without a space before it, however rare it is in children's books.
    """
    for source in STORY_MIX:
        every = 5 if source.name == "gutenberg_children" else 20 if source.name == "gutenberg_simple" else 1
        yield from islice(documents(folder, source, held_out=False), 0, None, every)
    for word in lessons.lesson_words():
        yield from chain.from_iterable(repeat((word, f"a {word}"), 400))


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

    architecture, printed = "decoder", ("lessons", "held_out", "greedy")

    def __init__(self, args: argparse.Namespace, tokenizer: Tokenizer):
        super().__init__(args, tokenizer, Transformer)
        self.trained, self.held_out = prepare_streams(args, tokenizer)
        self.lengths = row_lengths(args.context, self.trained)
        self.own = encode_stream(tokenizer, STORIES)
        self.shares, late = [source.share for source in STORY_MIX], args.late_shares
        self.late = [float(share) for share in late.split(",")] if late else [source.late for source in STORY_MIX]

    def start(self) -> None:
        if self.args.grow_from:
            small = BuiltinModel.load(self.args.grow_from)
            grow(small.transformer, self.transformer)
            (self.args.work / GROWN_FROM).write_text(json.dumps(origin(self.args.grow_from, small.info.fingerprint)))

    def draw(self, rng: np.random.Generator) -> tuple[torch.Tensor, int]:
        odds = np.array([ROW_LENGTHS[length] for length in self.lengths])
        n_token = int(rng.choice(self.lengths, p=odds / odds.sum()))
        late = self.progress() > 1 - self.args.decay
        streams, shares = self.trained, self.late if late else self.shares
        if late and (own := self.args.own_stories):
            streams, shares = [*streams, self.own], [*((1 - own) * share for share in shares), own]
        n_row = max(self.grown(self.args.batch_tokens) // n_token, 1)
        rows = draw_rows(streams, shares, n_row=n_row, n_token=n_token, rng=rng)
        return torch.from_numpy(rows).to(self.args.device), rows[:, 1:].size

    def loss(self, rows: torch.Tensor) -> torch.Tensor:
        """On rows of ids (B, T + 1): the mean cross-entropy in nats per token."""
        with self.autocast():
            logits, _ = self.transformer(rows[:, :-1])  # (B, T, V)
        return F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())

    def check(self) -> list[float]:
        """Bits per byte over all that is counted, and of each source, on a sample."""
        rows = held_out_rows(self.transformer, self.held_out, most=8_192)
        return [rows["all"]["bits_per_byte"], *(rows[source.name]["bits_per_byte"] for source in STORY_MIX)]

    def title(self) -> str:
        return "Story"

    def facts(self) -> dict:
        ours = held_out_rows(self.transformer, self.held_out)
        theirs = rivals.bits_per_byte(self.args.data, self.trained, self.held_out, self.config.n_vocab)
        grown_from = self.args.work / GROWN_FROM
        own = self.args.own_stories
        return {
            **({"grown_from": json.loads(grown_from.read_text())} if grown_from.exists() else {}),
            **({"own_stories": {"stories": len(STORIES), "share": own}} if own else {}),
            "lessons": lessons.whole(self.tokenizer),
            "data": {
                source.name: {"share": share, "late_share": late, "tokens": len(stream.ids)}
                for source, share, late, stream in zip(STORY_MIX, self.shares, self.late, self.trained, strict=True)
            },
            "counted_in_all": [source.name for source in STORY_MIX if source.counted],
            "held_out": {name: row | theirs[name] for name, row in ours.items()},
            "greedy": greedy_texts(self.transformer, self.tokenizer),
            "history": {
                "columns": ["step", "tokens", "seconds", "all", *(source.name for source in STORY_MIX)],
                "unit": "bits per byte",
                "rows": self.history,
            },
        }


def origin(folder: Path, fingerprint: str) -> dict:
    """What the card says of the smaller model: which one it was, and what it had cost."""
    card = json.loads((folder / builtin_files.CARD).read_text(encoding="utf-8"))
    return {"fingerprint": fingerprint} | {name: card[name] for name in ("command", "parameters", "tokens", "hours")}


def held_out_rows(transformer: Transformer, streams: list[Stream], most: int | None = None) -> dict[str, dict]:
    """How well each source's held-out stream is predicted, and all that are counted together, weighted by their size.

    `most`: after about this many tokens of each.
    """
    rows, nats, tokens, n_bytes = {}, 0.0, 0.0, 0.0
    for source, stream in zip(STORY_MIX, streams, strict=True):
        mean, n_token = held_out_loss(transformer, stream, most)
        whole = len(stream.ids)
        rows[source.name] = _loss_row(mean * n_token, n_token, stream.n_byte * n_token / whole)
        if source.counted:
            nats, tokens, n_bytes = nats + mean * whole, tokens + whole, n_bytes + stream.n_byte
    return rows | {"all": _loss_row(nats, tokens, n_bytes)}


def _loss_row(nats: float, n_token: float, n_byte: float) -> dict[str, float]:
    return {
        "tokens": round(n_token),
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
