"""Bits per byte of the shipped story model on the held-out documents of its mix, against a 5-gram and xz.

Bytes are the UTF-8 of the documents. Model and 5-gram predict the same tokens of the same streams, the end-of-text
token after each document included (it costs bits and counts no bytes); xz gets one zero byte in its place. Model and
5-gram have learned from the same training documents; xz has seen nothing before. The model reads rows of its longest
context, and begins each without a past; the 5-gram never does. The card of the model states the same figures.
"""

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import replace

from model import catalog
from model.training import rivals
from model.training.data import STORY_MIX, Stream, documents, kept_stream
from model.training.story import held_out_rows
from tests.benchmarks.timing import Measured, NotMeasurable


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    if not args.data:
        raise NotMeasurable("say where the story mix is, --data DIR")
    lm = catalog.load(catalog.DEFAULT)
    trained, held_out = (streams(lm.tokenizer, args, held_out=out) for out in (False, True))
    if args.quick:
        trained = [replace(stream, ids=stream.ids[: len(stream.ids) // 20]) for stream in trained]
    n_trained = sum(len(stream.ids) for stream in trained)
    ours = held_out_rows(lm.transformer, held_out, most=8192 if args.quick else None)
    theirs = rivals.bits_per_byte(args.data, trained, held_out, lm.tokenizer.n_vocab)
    for name, row in ours.items():
        model, best = row["bits_per_byte"], min(theirs[name].values())
        figure = f"{model:.3f} | {theirs[name]['five_gram']:.3f} | {theirs[name]['xz']:.3f}  ({row['tokens']:,} tokens)"
        what = f"compression, {name}: model | 5-gram | xz -9e, bits per byte"
        yield Measured(what, figure, f"< {best:.3f}", model < best)
    counted = " and ".join(source.name for source in STORY_MIX if not source.counted)
    yield Measured("compression: learned from", f"{n_trained:,} tokens, by the 5-gram; “all” leaves out {counted}")


def streams(tokenizer, args: argparse.Namespace, *, held_out: bool) -> list[Stream]:
    """One a source, encoded once and kept in the cache folder."""
    part = "held_out" if held_out else "train"
    return [
        kept_stream(
            args.cache / f"{source.name}.{part}.{tokenizer_mark()}.npz",
            tokenizer,
            documents(args.data, source, held_out=held_out),
        )
        for source in STORY_MIX
    ]


def tokenizer_mark() -> str:
    """A tokenizer trained anew must not meet the ids of an old one."""
    return hashlib.sha256((catalog.WEIGHTS / catalog.DEFAULT / "tokenizer.json").read_bytes()).hexdigest()[:8]
