"""64 tokens written greedily, with all that they looked at, against transformers' `generate` on the same weights.

Ours keeps keys and values while it writes, and reads the whole text once more in the end, with its record: any row of
any head is had from that. Theirs keeps the weights of each step (`output_attentions`, eager), or nothing (sdpa). One
thread, as the app serves.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from model import catalog, serving
from model.analysis.generation import generate, samples
from model.analysis.sampling import Sampling
from model.lab.exported import as_gpt2
from model.language_model import LanguageModel
from model.run import ModelRun, Token
from tests.benchmarks.timing import Measured, at_most, interleaved, part_of

N_WRITTEN, N_SAMPLES = 64, 8
GREEDY = Sampling(temperature=0)
LENGTHS, QUICK = (32, 256, 448), (32,)  # tokens of the prompt
WITH_ATTENTION, WITHOUT, OF_SAMPLES = 0.5, {"story": 1.0, "SmolLM2": 1.1}, 3.0
MEMORY = {448: 5}  # of its prompt: how many times smaller


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    serving.load_torch()
    torch.set_num_threads(1)
    lm = catalog.load(catalog.DEFAULT)
    theirs = {kind: twin_of(lm, kind) for kind in ("sdpa", "eager")}
    for n_token in QUICK if args.quick else LENGTHS:
        yield from of_length("story", lm, theirs, n_token, args.quick)
    if not args.quick:
        small = next((each.name for each in catalog.available() if "smollm2" in each.name.lower()), None)
        if small is None:
            yield Measured("SmolLM2", "not measured: its package is not installed")
            return
        lm = catalog.load(small)
        yield from of_length("SmolLM2", lm, {"sdpa": lm.opened.transformer}, 100, args.quick)


def of_length(name: str, lm: LanguageModel, theirs: dict[str, Any], n_token: int, quick: bool) -> Iterator[Measured]:
    # of a vocabulary's middle: no special token, and none of single bytes
    text = tuple(Token(300 + i * 37 % (lm.info.n_vocab // 2), b"", i, i + 1) for i in range(n_token))
    variants = {
        "ours": lambda: written(lm, text),
        "ours with attention": lambda: looked_at(lm, text),
        "a sample": lambda: list(samples(lm, text, N_WRITTEN, Sampling(), [0])),
        "samples": lambda: list(samples(lm, text, N_WRITTEN, Sampling(), range(N_SAMPLES))),
        **{kind: partial(theirs_written, transformer, text, kind) for kind, transformer in theirs.items()},
    }
    rounds = interleaved(variants, n_round=2 if quick else 4)
    what = f"{name}, {N_WRITTEN} tokens after {n_token}"
    seconds = ", ".join(f"{way} {rounds.median(way):.3g} s" for way in variants)
    yield Measured(f"{what}: medians", f"{seconds}; others used {rounds.others:.2f} core")

    def ratio(ours: str, to: str) -> tuple[float, str]:
        return rounds.processor_ratio(ours, to), f"processor time; wall {rounds.ratio(ours, to):.3g}x"

    value, note = ratio("ours", "sdpa")
    yield at_most(f"{what}: ours / generate, neither with attention", value, WITHOUT[name], "x", note)
    value, note = ratio("samples", "a sample")
    yield at_most(f"{what}: {N_SAMPLES} samples at once / one", value, OF_SAMPLES, "x", note)
    if "eager" in theirs:
        value, note = ratio("ours with attention", "eager")
        yield at_most(f"{what}: ours / generate, both with attention", value, WITH_ATTENTION, "x", note)
        kept, attentions = (
            n_byte(looked_at(lm, text)),
            sum(each.nbytes for step in theirs_written(theirs["eager"], text, "eager").attentions for each in step),
        )
        note = f"{kept / 1e6:.1f} MB, {attentions / 1e6:.1f} MB"
        yield part_of(f"{what}: bytes of its attention", kept, attentions, MEMORY.get(n_token), note)


def written(lm: LanguageModel, text: tuple[Token, ...]) -> tuple[Token, ...]:
    steps = list(generate(lm, text, N_WRITTEN, GREEDY, 0))
    if len(steps) < N_WRITTEN:
        raise ValueError(f"it ends after {len(steps)} tokens: compared with more of theirs")
    return (*text, *(step.token for step in steps))


def looked_at(lm: LanguageModel, text: tuple[Token, ...]) -> ModelRun:
    return lm.run(written(lm, text)[:-1])  # nothing looks from the last


def n_byte(run: ModelRun) -> int:
    """Of all that its attention is computed from."""
    return sum(layer.query.nbytes + layer.key.nbytes + layer.value.nbytes for layer in run.attention)


@torch.inference_mode()
def theirs_written(transformer: Any, text: tuple[Token, ...], kind: str) -> Any:
    ids = torch.tensor([[token.id for token in text]])
    return transformer.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=N_WRITTEN,
        do_sample=False,
        pad_token_id=0,
        eos_token_id=None,
        return_dict_in_generate=True,
        output_attentions=kind == "eager",
    )


def twin_of(lm: LanguageModel, attention: str) -> Any:
    """The same weights in transformers' own class."""
    from transformers import GPT2Config, GPT2LMHeadModel

    info = lm.info
    config = GPT2Config(
        vocab_size=info.n_vocab,
        n_positions=info.n_context,
        n_embd=info.d_model,
        n_layer=info.n_layer,
        n_head=info.n_head,
        bos_token_id=None,
        eos_token_id=None,
    )
    twin = GPT2LMHeadModel._from_config(config, attn_implementation=attention).eval().requires_grad_(False)
    twin.load_state_dict(as_gpt2(lm.transformer), strict=False)
    return twin
