"""A transformers model read by Regard, against the same model run plainly (sdpa) and by the peers' way (eager).

Models of GPT-2's size with random weights: time and memory do not depend on their values.
"""

import argparse
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import torch

from model.attention import layer_weights, pooled_overview
from model.huggingface import HuggingFaceModel
from tests.benchmarks.timing import Measured, at_most, interleaved, part_of

# tokens: the most that a capture may cost, as a part of eager with its weights; rounds of at least 3 calls
LENGTHS = {16: (1.0, 20), 128: (1.0, 20), 512: (0.9, 10), 1024: (0.75, 6), 2048: (0.5, 2), 4096: (0.3, 1)}
QUICK = (16, 64)
KINDS = ("GPT2", "Bert", "Llama")
CAPTURE = 1.05  # of the same forward without
OVERVIEW, OVERVIEW_MEMORY = 0.4, 64  # of the forward; MiB
ONE_HEAD = 300  # times faster than an eager capture


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    torch.set_num_threads(1)  # as the app serves
    for kind in KINDS:
        build = builder(kind)
        lm = HuggingFaceModel(build, None, name=kind, title=kind, fingerprint="")
        for n_token in QUICK if args.quick else LENGTHS:
            yield from at_length(kind, lm, (build("sdpa"), build("eager")), n_token, args)


def at_length(
    kind: str, lm: HuggingFaceModel, peers: tuple[Any, Any], n_token: int, args: argparse.Namespace
) -> Iterator[Measured]:
    target, n_round = LENGTHS.get(n_token, (1.0, 2))
    ids = [1 + i * 7 % 1000 for i in range(n_token)]
    plain, eager = peers
    rounds = interleaved(
        {
            "capture": lambda: capture(lm, ids),
            "plain": lambda: forward(plain, ids),
            "eager": lambda: forward(eager, ids, output_attentions=True),
        },
        n_round=2 if args.quick else n_round,
    )
    seconds = {name: rounds.median(name) for name in ("capture", "plain", "eager")}
    note = f"{seconds['capture']:.3f} s; others used {rounds.others:.2f} core"
    what = f"{kind}, {n_token} tokens: forward + record"
    yield at_most(f"{what} / forward", rounds.ratio("capture", "plain"), CAPTURE, "x", note)
    yield at_most(f"{what} / eager with weights", rounds.ratio("capture", "eager"), target, "x", note)
    yield from on_demand(kind, lm, ids, seconds, args)


def on_demand(
    kind: str, lm: HuggingFaceModel, ids: list[int], seconds: dict[str, float], args: argparse.Namespace
) -> Iterator[Measured]:
    """What is kept of a run, and what it costs to look at it; exact float32 throughout."""
    attention = capture(lm, ids)
    n_token, n_head = len(ids), attention[0].n_head
    kept = sum(array.nbytes for layer in attention for array in (layer.query, layer.key, layer.value))
    weights = 4 * len(attention) * n_head * n_token**2
    yield Measured(
        f"{kind}, {n_token} tokens: kept, queries, keys and values | the weights alone that eager keeps",
        f"{kept / 2**20:,.1f} | {weights / 2**20:,.1f} MiB",
    )
    head = interleaved({"head": lambda: layer_weights(attention[5], heads=[3])}, n_round=2 if args.quick else 6)
    note = f"{1000 * head.median('head'):.2f} ms"
    what = f"{kind}, {n_token} tokens: one head opened, of eager's capture"
    yield part_of(what, head.median("head"), seconds["eager"], ONE_HEAD if n_token >= 256 else None, note)
    overview = interleaved({"overview": lambda: pooled_overview(attention)}, n_round=1 if n_token > 1024 else 2)
    tracemalloc.start()
    pooled_overview(attention)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    part = overview.median("overview") / seconds["plain"]
    what = f"{kind}, {n_token} tokens: all heads, pooled to 64 x 64"
    if n_token >= 1024:
        yield at_most(f"{what} / forward", part, OVERVIEW, "x", f"{overview.median('overview'):.2f} s")
    yield at_most(f"{what}, memory at most", peak, OVERVIEW_MEMORY, " MiB")


def builder(kind: str) -> Callable[[str], Any]:
    """12 layers of 12 heads, d_model 768, for 4,096 tokens."""
    import transformers

    sizes: dict[str, Any] = {"vocab_size": 2048, "max_position_embeddings": 4096}
    if kind == "GPT2":
        sizes = {"vocab_size": 2048, "n_positions": 4096, "bos_token_id": 0, "eos_token_id": 0}
    if kind == "Llama":
        grouped = {"hidden_size": 768, "num_attention_heads": 12, "num_key_value_heads": 4, "num_hidden_layers": 12}
        sizes |= grouped | {"intermediate_size": 2048}
    cls = getattr(transformers, f"{kind}Model")

    def build(attn_implementation: str) -> Any:
        config = cls.config_class(**sizes)  # not shared: it carries the attention's name
        torch.manual_seed(0)
        return cls._from_config(config, attn_implementation=attn_implementation).eval().requires_grad_(False)

    return build


def capture(lm: HuggingFaceModel, ids: list[int]) -> tuple:
    """All that a run keeps of the attention and the residual stream; a run adds the predictions."""
    recorder, output = lm.opened.forward(ids)
    return lm.opened.attention(recorder, output)["self"]


@torch.inference_mode()
def forward(transformer: Any, ids: list[int], **options: Any) -> Any:
    return transformer(torch.tensor([ids]), use_cache=False, **options)
