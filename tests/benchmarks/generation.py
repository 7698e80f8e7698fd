"""64 tokens written greedily, with all that they looked at, against transformers' `generate` on the same weights.

Ours keeps queries, keys and values while it writes: any row of any head is had from them. As a whole run, as the page
shows it, it keeps hidden vectors and predictions too, those of the text before as well. Theirs keeps the weights of
each step (`output_attentions`, eager), or nothing (sdpa). One thread, as the app serves.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from model import catalog, serving
from model.analysis.generation import generate, samples
from model.analysis.sampling import Sampling
from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Transformer
from model.lab.exported import as_gpt2
from model.language_model import Decoding, LanguageModel, Recorder
from model.run import Layer, ModelRun, Token
from tests.benchmarks import first_token
from tests.benchmarks.timing import Measured, at_most, interleaved, part_of

N_WRITTEN, N_SAMPLES = 64, 8
GREEDY = Sampling(temperature=0)
LENGTHS, QUICK = (32, 256, 448), (32,)  # tokens of the prompt
WITH_ATTENTION, WITHOUT, OF_SAMPLES = 0.5, {"story": 1.0, "SmolLM2": 1.1}, 3.0
LONG, SMALLER = 512, 5  # tokens of a prompt, and how many times smaller its attention is to be


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    serving.load_torch()
    torch.set_num_threads(1)
    lm = catalog.load(catalog.DEFAULT)
    theirs = {kind: twin_of(lm, kind) for kind in ("sdpa", "eager")}
    for n_token in QUICK if args.quick else LENGTHS:
        yield from of_length("story", lm, theirs, n_token, args.quick)
    yield memory(lm)
    yield from first_token.measure(args)
    if not args.quick:
        yield from of_small()


def of_small() -> Iterator[Measured]:
    small = next((each.name for each in catalog.available() if "smollm2" in each.name.lower()), None)
    if small is None:
        yield Measured("SmolLM2", "not measured: its package is not installed")
        return
    lm = catalog.load(small)
    yield from of_length("SmolLM2", lm, {"sdpa": lm.opened.transformer}, 100, quick=False)


def of_length(name: str, lm: LanguageModel, theirs: dict[str, Any], n_token: int, quick: bool) -> Iterator[Measured]:
    text = text_of(lm, n_token)
    variants = {
        "ours": lambda: written(lm, text),
        **({"ours with attention": lambda: looked_at(lm, text)} if "eager" in theirs else {}),
        **({"ours as a whole run": lambda: grown(lm, text)} if isinstance(lm, Recorder) else {}),
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
        yield Measured(
            f"{what}: the same as a whole run", "{:.3g}x  ({})".format(*ratio("ours as a whole run", "eager"))
        )


def memory(lm: LanguageModel) -> Measured:
    """Of a text longer than the model reads, so with weights drawn at random: bytes do not depend on them."""
    config = replace(lm.transformer.config, n_context=LONG + N_WRITTEN)
    longer = BuiltinModel.of(Transformer(config), lm.tokenizer, title="longer")
    text = text_of(longer, LONG)
    decoding = longer.decoding(text)
    for token in text[: N_WRITTEN - 1]:  # nothing looks from the last token
        decoding.write([token.id])
    kept = sum(layer.n_byte for layer in decoding.attention())
    theirs = theirs_written(twin_of(longer, "eager"), text, "eager").attentions
    attentions = sum(each.nbytes for step in theirs for each in step)
    note = f"{kept / 1e6:.1f} MB, {attentions / 1e6:.1f} MB"
    what = f"story's size, {N_WRITTEN} tokens after {LONG}: bytes of its attention"
    return part_of(what, kept, attentions, SMALLER, note)


def text_of(lm: LanguageModel, n_token: int) -> tuple[Token, ...]:
    """Of a vocabulary's middle: no special token, and none of single bytes."""
    return tuple(Token(300 + i * 37 % (lm.info.n_vocab // 2), b"", i, i + 1) for i in range(n_token))


def written(lm: LanguageModel, text: tuple[Token, ...], decoding: Decoding | None = None) -> None:
    steps = list(generate(lm, text, N_WRITTEN, GREEDY, 0, decoding=decoding))
    if len(steps) < N_WRITTEN:
        raise ValueError(f"it ends after {len(steps)} tokens: compared with more of theirs")


def looked_at(lm: LanguageModel, text: tuple[Token, ...]) -> tuple[Layer, ...]:
    """All that any weight of any head is computed from."""
    decoding = lm.decoding(text)
    written(lm, text, decoding)
    return decoding.attention()  # nothing looks from the last token


def grown(lm: LanguageModel, text: tuple[Token, ...]) -> ModelRun:
    """All that the page shows of it: what is written behind a run of the text is put to that run."""
    recording = lm.go_on(lm.run(text))
    written(lm, text, recording)
    return recording.run()


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
