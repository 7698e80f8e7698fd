"""Reading one run again and again by other rules, against running the model again: nothing here needs a new forward."""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import torch

from model import catalog
from model.analysis.attention_map import MapSpec, attention_map
from model.analysis.explanation import explain
from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Config, Transformer
from model.text.units import units_of
from tests.benchmarks.timing import Measured, interleaved

N_TOKEN, N_LAYER, N_HEAD, D_MODEL = 512, 6, 8, 256
TEXT = "The old king asked his youngest daughter why she had not come. She said nothing, and looked at the sea. "


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    torch.set_num_threads(1)  # as the app serves
    tokenizer = catalog.load(catalog.DEFAULT).tokenizer
    text = TEXT * 40
    tokens = tokenizer.encode(text)[:N_TOKEN]
    torch.manual_seed(0)
    transformer = Transformer(Config(tokenizer.n_vocab, N_TOKEN, N_LAYER, N_HEAD, D_MODEL))
    info = replace(
        catalog.load(catalog.DEFAULT).info,
        n_layer=N_LAYER,
        n_head=N_HEAD,
        n_key_head=N_HEAD,
        d_model=D_MODEL,
        d_head=D_MODEL // N_HEAD,
    )
    lm = BuiltinModel(info, transformer, tokenizer)
    run = lm.run(tokens)
    units = {kind: units_of(tokens, text, kind) for kind in ("tokens", "words", "sentences")}
    everything = tuple((layer, head) for layer in range(N_LAYER) for head in range(N_HEAD))
    one = MapSpec(((3, 2),))
    rules = {
        "one head": one,
        "words": replace(one, kind="words"),
        "sentences": replace(one, kind="sentences"),
        "sink hidden": replace(one, sink="hide"),
        "renormalised": replace(one, sink="renormalise"),
        "mean of a layer": MapSpec(everything[:N_HEAD]),
        "mean of all 48": MapSpec(everything),
        "maximum of all 48": MapSpec(everything, combine="max"),
        "all at once": MapSpec(everything, sink="renormalise", kind="words"),
    }
    variants = {"run": lambda: lm.run(tokens), "cut into words": lambda: units_of(tokens, text, "words")}
    variants |= {
        name: lambda spec=spec: attention_map(run.attention, tokens, units[spec.kind], spec)
        for name, spec in rules.items()
    }
    variants["one weight explained"] = lambda: explain(run.attention, tokens, one, [range(400, 401)], [range(7, 8)])
    rounds = interleaved(variants, n_round=4 if args.quick else 20)
    size = f"{N_TOKEN} tokens x {N_LAYER} layers x {N_HEAD} heads"
    yield Measured(f"reading, {size}: a run", f"{1000 * rounds.median('run'):.1f} ms")
    for name in list(variants)[1:]:
        figure = f"{1000 * rounds.median(name):.2f} ms, {rounds.ratio(name, 'run'):.3g} of a run"
        yield Measured(f"reading, {size}: {name}", figure)
