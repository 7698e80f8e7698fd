"""A transformers model read by Regard, against the same model run plainly (sdpa) and by the peers' way (eager).

Models of GPT-2's size with random weights: time and memory do not depend on their values. Regard lays the weights out
for the processor when it loads a model (`model.huggingface.prepacking`), so its forward is compared with two that keep
nothing: the one of transformers as it is, and the one with the same weights laid out so. One thread, as the app serves,
unless told otherwise. `--model gpt2 --tokens 1024 --threads 2` measures one model at one length on two.
"""

import argparse
import os
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from model import serving
from model.analysis.attention import layer_weights, pooled_overview
from model.huggingface.language_model import HuggingFaceModel
from tests.benchmarks.timing import Measured, Rounds, at_most, interleaved, part_of

# tokens: rounds; the most that a capture may cost, as a part of eager with its weights
LENGTHS = {
    16: (12, 1.0),
    64: (10, 1.0),
    128: (8, 1.0),
    256: (6, 0.95),
    512: (5, 0.9),
    1024: (4, 0.75),
    2048: (2, 0.5),
    4096: (1, 0.3),
}
QUICK = (16, 64)
KINDS = {"gpt2": "GPT2", "bert": "Bert", "llama": "Llama"}
CAPTURE = 1.05  # of the same forward without
OVERVIEW, OVERVIEW_MEMORY = 0.4, 64  # of the forward, from 1,024 tokens on; MiB
ONE_HEAD = 300  # times faster than an eager capture, from 256 tokens on


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    serving.load_torch()
    torch.set_num_threads(args.threads)
    threads = f"{args.threads} thread" + "s" * (args.threads > 1)
    yield Measured("setting, both sides", f"torch {torch.__version__}, {threads}, {allocator()}")
    lengths = [args.tokens] if args.tokens else QUICK if args.quick else list(LENGTHS)
    for kind in [args.model] if args.model else KINDS:
        build = builder(KINDS[kind])
        lm = HuggingFaceModel(build, None, name=kind, title=kind, fingerprint="")
        peers = {name: build(name) for name in ("sdpa", "eager")}
        twin(peers["eager"], peers["sdpa"])
        peers["prepacked"] = twin(build("sdpa"), lm.opened.transformer)
        for n_token in lengths:
            yield from at_length(kind, lm, peers, n_token, args.quick)


def at_length(kind: str, lm: HuggingFaceModel, peers: dict[str, Any], n_token: int, quick: bool) -> Iterator[Measured]:
    n_round, of_eager = LENGTHS.get(n_token, (3, None))
    ids = ids_of(n_token)
    attention = capture(lm, ids)
    rounds = interleaved(
        {
            "capture": partial(capture, lm, ids),
            "plain": partial(forward, peers["sdpa"], ids),
            "same": partial(forward, peers["prepacked"], ids),
            "eager": partial(forward, peers["eager"], ids, output_attentions=True),
            "head": partial(layer_weights, attention[5], heads=[3]),
            "overview": partial(pooled_overview, attention),
        },
        n_round=2 if quick else n_round,
    )
    yield from of_time(f"{kind}, {n_token} tokens: ", rounds, n_token, of_eager)
    tracemalloc.start()
    pooled_overview(attention)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    yield at_most(f"{kind}, {n_token} tokens: all heads pooled, memory at most", peak, OVERVIEW_MEMORY, " MiB")


def of_time(what: str, rounds: Rounds, n_token: int, of_eager: float | None) -> Iterator[Measured]:
    def by_processor(name: str, to: str) -> str:
        return f"by processor time {rounds.processor_ratio(name, to):.3g}x"

    note = ", ".join(f"{name} {rounds.median(name):.3g} s" for name in ("capture", "same", "plain", "eager"))
    yield Measured(f"{what}medians", f"{note}; others used {rounds.others:.2f} core")
    against = (
        ("transformers' forward", "plain", CAPTURE),
        ("that forward, its weights laid out so too", "same", CAPTURE),
        ("eager with weights", "eager", of_eager),
    )
    for name, to, target in against:
        name, ratio = f"{what}forward + record / {name}", rounds.ratio("capture", to)
        note = by_processor("capture", to)
        yield at_most(name, ratio, target, "x", note) if target else Measured(name, f"{ratio:.3g}x  ({note})")
    head, eager = rounds.median("head"), rounds.median("eager")
    target = ONE_HEAD if n_token >= 256 else None
    yield part_of(f"{what}one head opened, of eager", head, eager, target, f"{1000 * head:.2f} ms")
    ratio, name = rounds.ratio("overview", "plain"), f"{what}all heads, pooled to 64 x 64 / forward"
    note = f"{rounds.median('overview'):.3g} s; {by_processor('overview', 'plain')}"
    yield at_most(name, ratio, OVERVIEW, "x", note) if n_token >= 1024 else Measured(name, f"{ratio:.3g}x  ({note})")


def allocator() -> str:
    """How memory is had and given back; it matters as much as anything here."""
    tuned = [f"{name}={value}" for name, value in os.environ.items() if name.startswith(("MALLOC_", "GLIBC_TUNABLES"))]
    tuned += ["LD_PRELOAD=" + os.environ["LD_PRELOAD"]] if "LD_PRELOAD" in os.environ else []
    return f"allocator: {', '.join(tuned) or 'the stock settings, as the app serves'}"


def builder(kind: str, **changes: Any) -> Callable[[str], Any]:
    """12 layers of 12 heads, d_model 768, for 4,096 tokens."""
    import transformers

    sizes: dict[str, Any] = {"vocab_size": 2048, "max_position_embeddings": 4096}
    if kind.startswith("GPT2"):
        sizes = {"vocab_size": 2048, "n_positions": 4096, "bos_token_id": 0, "eos_token_id": 0}
    if kind.startswith("Llama"):
        grouped = {"hidden_size": 768, "num_attention_heads": 12, "num_key_value_heads": 4, "num_hidden_layers": 12}
        sizes |= grouped | {"intermediate_size": 2048}
    cls = getattr(transformers, kind if kind.endswith("Model") else f"{kind}Model")

    def build(attn_implementation: str) -> Any:
        config = cls.config_class(**sizes | changes)  # not shared: it carries the attention's name
        torch.manual_seed(0)
        return cls._from_config(config, attn_implementation=attn_implementation).eval().requires_grad_(False)

    return build


def twin(transformer: Any, other: Any) -> Any:
    """The transformer with the other's very weights, prepared as they are: so that neither lies better in memory."""
    for ours, theirs in zip(transformer.modules(), other.modules(), strict=True):
        for name, weight in theirs.named_parameters(recurse=False):
            setattr(ours, name, weight)
        if "forward" in vars(theirs):
            ours.forward = theirs.forward
    return transformer


def ids_of(n_token: int) -> list[int]:
    return [1 + i * 7 % 1000 for i in range(n_token)]


def capture(lm: HuggingFaceModel, ids: list[int]) -> tuple:
    """All that a run keeps of the attention and the residual stream; a run adds the predictions."""
    recorder, output = lm.opened.forward(ids)
    return lm.opened.attention(recorder, output)["self"]


@torch.inference_mode()
def forward(transformer: Any, ids: list[int], **options: Any) -> Any:
    return transformer(torch.tensor([ids]), use_cache=False, **options)
