"""The built-in transformer, one file in reading order: Config, Attention, MLP, Block, Transformer.

The architecture is GPT-2's (Radford et al. 2019): pre-norm blocks, learned positions, GELU, and an output layer tied to
the token embedding. With ``causal=True`` it is a decoder (a token sees itself and what came before), with
``causal=False`` an encoder (every token sees every token). `Attention` also does cross-attention (give it a `source`);
the encoder-decoder that uses it will stand at the end of this file, made of the same parts.

Nothing is stored on a module during ``forward``: what happened is returned, as a `Record`.

Letters in the shape comments, everywhere in Regard:
    B batch   T positions that look (queries)   S positions looked at (keys)   L layers   H heads
    D d_model: width of the residual stream     K d_head: width of one head, D / H      V n_vocab
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Config:
    """The shape of a transformer; saved as config.json beside its weights."""

    n_vocab: int
    n_context: int  # the longest text it reads, in tokens: there is one position vector for each
    n_layer: int
    n_head: int
    d_model: int
    causal: bool = True

    def __post_init__(self):
        if self.d_model % self.n_head:
            raise ValueError(f"d_model {self.d_model} cannot be shared evenly by {self.n_head} heads")

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_head


class AttentionRecord(NamedTuple):
    """What one attention layer did: everything its weights can be computed from."""

    query: Tensor  # (B, H, T, K)
    key: Tensor  # (B, H, S, K)
    value: Tensor  # (B, H, S, K)
    scale: float  # the scores are query·key times this: 1 / sqrt(K), unless changed
    causal: bool  # whether position t sees only the positions 0 … t


class Record(NamedTuple):
    """What one forward pass did."""

    attention: tuple[AttentionRecord, ...]  # L of them
    hidden: tuple[Tensor, ...]  # L + 1 of (B, T, D): the residual stream before each block and after the last


class Change(NamedTuple):
    """What one attention layer does otherwise than it was trained to."""

    query_gain: Tensor  # (H,) multiplies each head's queries; 0 makes its scores 0 and so the weights of a row equal
    output_gain: Tensor  # (H,) multiplies what each head writes; 0 switches it off
    scale: float  # instead of 1 / sqrt(K)
    masked: bool  # False takes the mask away; True puts none where there was none


class Attention(nn.Module):
    """Multi-head scaled dot-product attention: softmax(Q Kᵀ / √d_head) V (Vaswani et al. 2017, §3.2)."""

    def __init__(self, config: Config, causal: bool):
        super().__init__()
        self.n_head, self.d_head, self.causal = config.n_head, config.d_head, causal
        self.query = nn.Linear(config.d_model, config.d_model)
        self.key = nn.Linear(config.d_model, config.d_model)
        self.value = nn.Linear(config.d_model, config.d_model)
        self.output = nn.Linear(config.d_model, config.d_model)

    def forward(
        self, x: Tensor, source: Tensor | None = None, change: Change | None = None
    ) -> tuple[Tensor, AttentionRecord]:
        """Let the positions of `x` (B, T, D) look at those of `source` (B, S, D), or at `x` itself if there is none."""
        source = x if source is None else source
        query = self._split(self.query(x))  # (B, H, T, K)
        key = self._split(self.key(source))  # (B, H, S, K)
        value = self._split(self.value(source))  # (B, H, S, K)
        scale, causal = self.d_head**-0.5, self.causal
        if change is not None:
            query = query * change.query_gain[:, None, None]  # (B, H, T, K)
            scale, causal = change.scale, causal and change.masked
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=causal, scale=scale)  # (B, H, T, K)
        if change is not None:
            mixed = mixed * change.output_gain[:, None, None]  # (B, H, T, K)
        joined = mixed.transpose(1, 2).flatten(2)  # (B, T, D): the heads side by side
        return self.output(joined), AttentionRecord(query, key, value, scale, causal)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_head, self.d_head)).transpose(1, 2)  # (B, T, D) -> (B, H, T, K)


class MLP(nn.Module):
    """Two layers with a GELU between them, four times as wide inside; applied to every position alone."""

    def __init__(self, config: Config):
        super().__init__()
        self.up = nn.Linear(config.d_model, 4 * config.d_model)
        self.down = nn.Linear(4 * config.d_model, config.d_model)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x), approximate="tanh"))  # (B, T, 4D) -> (B, T, D)


class Block(nn.Module):
    """Attention moves information between positions, the MLP works on each; both add to the residual stream."""

    def __init__(self, config: Config):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model)
        self.attention = Attention(config, causal=config.causal)
        self.mlp_norm = nn.LayerNorm(config.d_model)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, change: Change | None = None) -> tuple[Tensor, AttentionRecord]:
        attended, record = self.attention(self.attention_norm(x), change=change)
        x = x + attended  # (B, T, D)
        x = x + self.mlp(self.mlp_norm(x))  # (B, T, D)
        return x, record


class Transformer(nn.Module):
    """Embeddings, a stack of blocks, and logits for the token at (encoder) or after (decoder) each position."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.n_vocab, config.d_model)
        self.position_embedding = nn.Embedding(config.n_context, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.final_norm = nn.LayerNorm(config.d_model)
        self.apply(self._initialise)

    def forward(
        self, ids: Tensor, changes: Sequence[Change] | None = None, positions: bool = True
    ) -> tuple[Tensor, Record]:
        """Read token ids (B, T); return logits (B, T, V) and what happened. `changes`: L of them, or as trained."""
        x = self.embed(ids, positions)  # (B, T, D)
        hidden, attention = [x], []
        for layer, block in enumerate(self.blocks):
            x, record = block(x, changes[layer] if changes else None)  # (B, T, D)
            hidden.append(x)
            attention.append(record)
        return self.unembed(x), Record(tuple(attention), tuple(hidden))

    def embed(self, ids: Tensor, positions: bool = True) -> Tensor:
        """What each token is plus, unless told otherwise, where it stands: (B, T) -> (B, T, D)."""
        x = self.token_embedding(ids)  # (B, T, D)
        if positions:
            x = x + self.position_embedding(torch.arange(ids.shape[1], device=ids.device))  # (B, T, D)
        return x

    def unembed(self, hidden: Tensor) -> Tensor:
        """Logits for any vectors of the residual stream: (…, D) -> (…, V)."""
        return F.linear(self.final_norm(hidden), self.token_embedding.weight)

    def _initialise(self, module: nn.Module) -> None:
        """GPT-2's start: small normal weights, the layers that write to the residual stream smaller with depth."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        if isinstance(module, Block):  # apply() visits children first, so this has the last word
            for writer in (module.attention.output, module.mlp.down):
                nn.init.normal_(writer.weight, std=0.02 / (2 * self.config.n_layer) ** 0.5)
