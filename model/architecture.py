"""What a transformer is made of, and what a run of it keeps.

Pure: small frozen values; no torch, no transformers. None means that the configuration does not say.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

UNKNOWN = "unknown"
FLOAT32 = 4  # bytes
BIASES = ("query", "key", "value", "output", "MLP")  # where a bias can be


@dataclass(frozen=True)
class Stack:
    """One column of equal blocks; an encoder-decoder has two."""

    role: str  # encoder | decoder | unknown
    reads: str  # tokens | patches | audio
    n_layer: int | None
    n_head: int | None
    n_key_head: int | None  # fewer than n_head where heads share keys and values (grouped queries)
    d_head: int | None
    d_mlp: int | None  # width inside the MLP; of one expert, if there are several; 0 without one
    n_context: int | None  # None also where the positions set no limit
    positions: tuple[str, ...]  # learned | sinusoidal | rotary | relative | ALiBi | disentangled; empty if unknown
    windows: tuple[int | None, ...] | None  # of each layer: tokens seen on each side, itself included; None is all
    others: tuple[tuple[int, str], ...] = ()  # a hybrid's layers without attention, and what each works by instead
    cross: bool = False  # whether its blocks also look at the other stack

    @property
    def attention(self) -> str:
        """Which tokens a query sees, in words."""
        windows = self.attending_windows
        if windows is None:
            return UNKNOWN
        narrow = {window for window in windows if window}
        if not narrow:
            return "full"
        size = " or ".join(f"{window:,}" for window in sorted(narrow))
        if None not in windows:
            return f"sliding window of {size}"
        n_narrow = sum(window is not None for window in windows)
        return f"alternating: {n_narrow} layers with a window of {size}, {len(windows) - n_narrow} full"

    @property
    def attending_windows(self) -> tuple[int | None, ...] | None:
        """`windows` of the layers that have attention."""
        without = dict(self.others)
        return self.windows and tuple(window for layer, window in enumerate(self.windows) if layer not in without)

    @property
    def n_attending(self) -> int | None:
        """How many of its layers have softmax attention."""
        return None if self.n_layer is None else self.n_layer - len(self.others)

    @property
    def works_by(self) -> dict[str, int]:
        """What its layers without attention work by instead, and how many of them: by words, in their order."""
        return dict(Counter(what for _, what in self.others))


@dataclass(frozen=True)
class Architecture:
    """How a transformer is built: all that its picture and its table of numbers need."""

    name: str  # the class, if the configuration names it, else the model type
    model_type: str
    family: str  # decoder | encoder | encoder-decoder | unknown
    stacks: tuple[Stack, ...]  # encoder first
    d_model: int | None
    d_embedding: int | None  # of the token table; smaller than d_model where a projection follows
    n_vocab: int | None
    norm: str  # pre | post | sandwich | output (of what a sublayer writes) | parallel | unknown
    shared_norm: bool  # whether one norm serves attention and MLP: only if parallel
    norm_kind: str  # LayerNorm | RMSNorm | unknown
    embedding_norm: bool | None  # a norm before the first block
    final_norm: bool | None  # a norm after the last block
    qk_norm: bool | None  # whether queries and keys are normalised
    soft_cap: float | None  # scores are squeezed into ± this by a tanh; None if not, or unknown
    rotary_share: float | None  # of d_head, turned by the position; None without rotary positions
    mlp: str  # plain | gated | none | unknown
    activation: str | None
    n_expert: int  # 0 without a mixture of experts
    n_expert_used: int  # for each token
    n_distinct_layer: int | None  # fewer than layers where they share parameters (ALBERT)
    head: str  # what stands on top: tokens (logits over the vocabulary) | other | none | unknown
    tied: bool | None  # whether the logits use the token table itself
    biases: tuple[str, ...] | None  # which of `BIASES` there are
    known: bool  # whether Regard knows how models of this type are built
    has_sink: bool = False  # whether each head has learned a score for one more entry of its softmax


def both(stack: Stack) -> tuple[Stack, Stack]:
    """The two stacks of an encoder-decoder, if they differ in nothing but what they do."""
    return replace(stack, role="encoder"), replace(stack, role="decoder", cross=True)


def described(config: Any, family: str) -> Architecture:
    """Of a built-in model of one of `model.run.FAMILIES`: its `model.builtin.transformer.Config`."""
    stack = Stack(
        role=family,
        reads="tokens",
        n_layer=config.n_layer,
        n_head=config.n_head,
        n_key_head=config.n_head,
        d_head=config.d_head,
        d_mlp=4 * config.d_model if config.mlp else 0,
        n_context=config.n_context,
        positions=("learned",),
        windows=(None,) * config.n_layer,
    )
    two = family == "encoder-decoder"
    return Architecture(
        name="EncoderDecoder" if two else "Transformer",
        model_type="regard",
        family=family,
        stacks=both(stack) if two else (stack,),
        d_model=config.d_model,
        d_embedding=config.d_model,
        n_vocab=config.n_vocab,
        norm="pre",
        shared_norm=False,
        norm_kind="LayerNorm",
        embedding_norm=False,
        final_norm=True,
        qk_norm=False,
        soft_cap=None,
        rotary_share=None,
        mlp="plain" if config.mlp else "none",
        activation="gelu" if config.mlp else None,
        n_expert=0,
        n_expert_used=0,
        n_distinct_layer=config.n_layer * (2 if two else 1),
        head="tokens",
        tied=True,
        biases=BIASES if config.mlp else BIASES[:-1],
        known=True,
    )


def record_bytes(architecture: Architecture, n_token: int) -> int | None:
    """What a run of `n_token` tokens keeps to show attention: queries, keys and values of every layer, in float32.

    An encoder-decoder is counted with as many tokens on both sides, its cross-attention included. None if unknown.
    """
    return _over_layers(architecture, lambda s: n_token * (s.n_head + 2 * s.n_key_head) * s.d_head)


def weights_bytes(architecture: Architecture, n_token: int) -> int | None:
    """What all attention weights of such a run would take instead: one number a head, query and key, in float32."""
    return _over_layers(architecture, lambda s: s.n_head * n_token**2)


def _over_layers(architecture: Architecture, numbers: Callable[[Stack], int]) -> int | None:
    total = 0
    for stack in architecture.stacks:
        if None in (stack.n_layer, stack.n_head, stack.n_key_head, stack.d_head):
            return None
        total += stack.n_attending * numbers(stack) * (2 if stack.cross else 1)
    return total * FLOAT32
