"""A run of the built-in model with its record kept, against a plain loop over the same blocks that keeps nothing."""

import argparse
from collections.abc import Iterator

import torch
from torch import Tensor

from model import catalog
from model.builtin.transformer import Record, Transformer
from model.run import Attention
from tests.benchmarks.timing import Measured, at_most, interleaved

LENGTHS = {6: None, 64: 1.05, 256: 1.05}  # tokens: the most that keeping the record may cost


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    torch.set_num_threads(1)  # as the app serves
    lm = catalog.load(catalog.DEFAULT)
    transformer = lm._transformer
    for n_token, target in LENGTHS.items():
        tokens = [lm.token(1 + i * 7 % (lm.info.n_vocab - 1)) for i in range(n_token)]
        ids = torch.tensor([[token.id for token in tokens]])
        with torch.inference_mode():
            rounds = interleaved(
                {
                    "plain": lambda ids=ids: forget(transformer, ids),
                    "record": lambda ids=ids: transformer(ids),
                    "arrays": lambda ids=ids: as_arrays(transformer(ids)[1]),
                    "run": lambda tokens=tokens: lm.run(tokens),
                },
                n_round=6 if args.quick else 60,
            )
        note = f"{1000 * rounds.median('plain'):.2f} ms without; others used {rounds.others:.2f} core"
        for what, name in (("record", "record"), ("record as a run's arrays", "arrays")):
            what, ratio = f"capture, {n_token} tokens: forward + {what} / forward", rounds.ratio(name, "plain")
            yield at_most(what, ratio, target, "x", note) if target else Measured(what, f"{ratio:.3g}x  ({note})")
        yield Measured(
            f"built-in model, {n_token} tokens: forward + record | the whole run, predictions too",
            f"{1000 * rounds.median('arrays'):.2f} ms | {1000 * rounds.median('run'):.2f} ms",
        )


def forget(transformer: Transformer, ids: Tensor) -> Tensor:
    """The same blocks, the same attention; what happened in them is let go at once."""
    x = transformer.embed(ids)
    for block in transformer.blocks:
        x, _ = block(x)
    return transformer.unembed(x)


def as_arrays(record: Record) -> tuple:
    """What `BuiltinModel.run` makes of a record."""
    attention = tuple(
        Attention(a.query[0].numpy(), a.key[0].numpy(), a.value[0].numpy(), a.scale, a.causal) for a in record.attention
    )
    return attention, torch.cat(record.hidden).numpy()
