"""The built-in transformers, one file in reading order: Config, Attention, MLP, Block, Transformer, EncoderDecoder.

The architecture is GPT-2's (Radford et al. 2019): pre-norm blocks, learned positions, GELU, and an output layer tied to
the token embedding. With ``causal=True`` it is a decoder (a token sees itself and what came before), with
``causal=False`` an encoder (every token sees every token). The encoder-decoder at the end is made of the same parts
(Vaswani et al. 2017, with pre-norm blocks): its decoder's `Attention` also looks at the encoder's output.

Nothing is stored on a module during ``forward``: what happened is returned, as a `Record`. What may be changed in an
attention call stands in `model.attention_call`.

Letters in the shape comments, everywhere in Regard:
    B batch   T positions that look (queries)   S positions looked at (keys)   L layers   H heads
    D d_model: width of the residual stream     K d_head: width of one head, D / H      V n_vocab
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.attention_call import AS_TRAINED, AttentionCall, Change, Changes


@dataclass(frozen=True)
class Config:
    """The shape of a transformer; saved as config.json beside its weights."""

    n_vocab: int
    n_context: int  # the longest text it reads, in tokens: there is one position vector for each
    n_layer: int
    n_head: int
    d_model: int
    causal: bool = True
    mlp: bool = True  # whether each block of a `Transformer` has one

    def __post_init__(self):
        if self.d_model % self.n_head:
            raise ValueError(f"d_model {self.d_model} cannot be shared evenly by {self.n_head} heads")

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_head


class Record(NamedTuple):
    """What one forward pass did."""

    attention: tuple[AttentionCall, ...]  # L of them
    hidden: tuple[Tensor, ...]  # L + 1 of (B, T, D): the residual stream before each block and after the last
    encoder: tuple[AttentionCall, ...] = ()  # of an encoder-decoder: its encoder's
    cross: tuple[AttentionCall, ...] = ()  # and where its decoder looks at the source, L of them


class KeysValues:
    """The keys and values of one attention layer that decoding has computed already (the KV cache)."""

    def __init__(self):
        self.key: Tensor | None = None  # (B, H, S, K)
        self.value: Tensor | None = None


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
        self,
        x: Tensor,
        source: Tensor | None = None,
        change: Change | None = None,
        visible: Tensor | None = None,
        cache: KeysValues | None = None,
    ) -> tuple[Tensor, AttentionCall]:
        """Let the positions of `x` (B, T, D) look at those of `source` (B, S, D), or at `x` itself if there is none.

        Returns what they take from there (B, T, D), and the call that did it. `change`: what is done otherwise in it.
        `visible` (B, S): False hides a position of the source, as padding is. `cache`: the keys and values of what
        stands before `x` (or, in cross-attention, of the whole source); what is computed here is appended to it.
        """
        query = self.split(self.query(x))  # (B, H, T, K)
        key, value = self._keys_values(x if source is None else source, cache, whole=source is not None)
        causal = self.causal and key.shape[2] == query.shape[2]  # with a cache, the last token alone sees everything
        mask = None if visible is None else visible[:, None, None, :]  # (B, 1, 1, S)
        call = AttentionCall(query, key, value, self.d_head**-0.5, causal, mask)
        if change is not None:
            call = change(call)
        return self.join(self.mix(call)), call

    def mix(self, call: AttentionCall) -> Tensor:
        """What each head takes from the values, and gives: (B, H, T, K)."""
        mask, causal = call.fused_mask
        if call.bias is not None and len(mask) == 1:
            mask = mask[0]  # (H, T, S): torch adds it step by step then; its fused kernel gives other last digits
        mixed = F.scaled_dot_product_attention(*call.vectors, mask, is_causal=causal, scale=call.scale)  # (B, H, T, K)
        return call.written(mixed)

    def join(self, mixed: Tensor) -> Tensor:
        """The heads side by side, projected: (B, H, T, K) -> (B, T, D)."""
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _keys_values(self, source: Tensor, cache: KeysValues | None, whole: bool) -> tuple[Tensor, Tensor]:
        """(B, H, S, K) each; with a cache, those of before are not computed again."""
        if cache is not None and cache.key is not None and whole:
            return cache.key, cache.value
        key, value = self.split(self.key(source)), self.split(self.value(source))
        if cache is None:
            return key, value
        if cache.key is not None:
            key, value = torch.cat([cache.key, key], 2), torch.cat([cache.value, value], 2)
        cache.key, cache.value = key, value
        return key, value

    def split(self, x: Tensor) -> Tensor:
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
    """Attention moves information between positions, the MLP works on each; both add to the residual stream.

    The smallest models have blocks of attention alone.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model)
        self.attention = Attention(config, causal=config.causal)
        self.mlp_norm = nn.LayerNorm(config.d_model) if config.mlp else None
        self.mlp = MLP(config) if config.mlp else None

    def forward(
        self,
        x: Tensor,
        change: Change | None = None,
        visible: Tensor | None = None,
    ) -> tuple[Tensor, AttentionCall]:
        attended, record = self.attention(self.attention_norm(x), None, change, visible)
        return self.think(x + attended), record  # (B, T, D)

    def think(self, x: Tensor) -> Tensor:
        """The MLP's part, where there is one: (B, T, D) to (B, T, D)."""
        return x if self.mlp is None else x + self.mlp(self.mlp_norm(x))


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

    def forward(self, ids: Tensor, changes: Changes = AS_TRAINED) -> tuple[Tensor, Record]:
        """Read token ids (B, T); return logits (B, T, V) and what happened."""
        record = self.read(self.embed(ids, changes.everywhere.positions), changes)
        return self.unembed(record.hidden[-1]), record

    def read(self, x: Tensor, changes: Changes = AS_TRAINED, visible: Tensor | None = None) -> Record:
        """What the blocks make of input vectors (B, T, D). `visible` (B, T): False hides a position, as padding is."""
        hidden, attention = zip(*through(self.blocks, x, "self", changes, visible), strict=True)
        return Record(attention, (x, *hidden))

    def embed(self, ids: Tensor, positions: bool = True, start: int = 0) -> Tensor:
        """What each token is plus, unless told otherwise, where it stands from `start` on: (B, T) -> (B, T, D)."""
        x = self.token_embedding(ids)  # (B, T, D)
        if positions:
            x = x + self.position_embedding.weight[start : start + ids.shape[1]]  # (B, T, D)
        return x

    def unembed(self, hidden: Tensor) -> Tensor:
        """Logits for any vectors of the residual stream: (…, D) -> (…, V)."""
        return F.linear(self.final_norm(hidden), self.token_embedding.weight)

    def _initialise(self, module: nn.Module) -> None:
        initialise(module, n_block=self.config.n_layer)


def through(
    blocks: Sequence[Block], x: Tensor, kind: str, changes: Changes = AS_TRAINED, visible: Tensor | None = None
) -> Iterator[tuple[Tensor, AttentionCall]]:
    """The residual stream (B, T, D) after each block, and what its attention did; what was before is let go.

    Of a batch of one text, as many go on as there are changes, from the first block on in which they differ.
    """
    for layer, block in enumerate(blocks):
        x, call = block(x, changes.at(kind, layer), visible)  # (B, T, D)
        yield x, call


class DecoderBlock(nn.Module):
    """A block that also looks at a source, between its attention to itself and its MLP."""

    def __init__(self, config: Config):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model)
        self.attention = Attention(config, causal=True)
        self.cross_norm = nn.LayerNorm(config.d_model)
        self.cross = Attention(config, causal=False)
        self.mlp_norm = nn.LayerNorm(config.d_model)
        self.mlp = MLP(config)

    def forward(
        self,
        x: Tensor,
        source: Tensor,
        visible: Tensor | None = None,
        cache: tuple[KeysValues, KeysValues] | None = None,
        change: Change | None = None,
        cross_change: Change | None = None,
    ) -> tuple[Tensor, AttentionCall, AttentionCall]:
        own, beyond = cache if cache is not None else (None, None)
        attended, record = self.attention(self.attention_norm(x), change=change, cache=own)
        x = x + attended  # (B, T, D)
        attended, cross = self.cross(self.cross_norm(x), source, cross_change, visible, beyond)
        return self.think(x + attended), record, cross  # (B, T, D)

    def think(self, x: Tensor) -> Tensor:
        """The MLP's part: (B, T, D) to (B, T, D)."""
        return x + self.mlp(self.mlp_norm(x))


class EncoderDecoder(nn.Module):
    """An encoder reads the source; a decoder writes the target and looks at both. One vocabulary for the two.

    `config.n_layer` blocks each. All three tables of token vectors (source, target, output) are one.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.n_vocab, config.d_model)
        self.source_position = nn.Embedding(config.n_context, config.d_model)
        self.target_position = nn.Embedding(config.n_context, config.d_model)
        encoder = replace(config, causal=False)
        self.encoder = nn.ModuleList(Block(encoder) for _ in range(config.n_layer))
        self.encoder_norm = nn.LayerNorm(config.d_model)
        self.decoder = nn.ModuleList(DecoderBlock(config) for _ in range(config.n_layer))
        self.final_norm = nn.LayerNorm(config.d_model)
        self.apply(lambda module: initialise(module, n_block=config.n_layer))

    def forward(
        self, source: Tensor, target: Tensor, visible: Tensor | None = None, changes: Changes = AS_TRAINED
    ) -> tuple[Tensor, Record]:
        """Read ids (B, S) and (B, T); logits (B, T, V) of the token after each of the target, and what happened.

        `visible` (B, S): False where the source is padding. Padding at the end of a target needs no mask: nothing
        before it looks there.
        """
        memory, encoder = self.encode(source, visible, changes)
        logits, record = self.decode(target, memory, visible, changes=changes)
        return logits, record._replace(encoder=encoder)

    def encode(
        self, source: Tensor, visible: Tensor | None = None, changes: Changes = AS_TRAINED
    ) -> tuple[Tensor, tuple[AttentionCall, ...]]:
        """The source (B, S) as the decoder sees it: (B, S, D)."""
        x = self.token_embedding(source)  # (B, S, D)
        if changes.everywhere.positions:
            x = x + self.source_position.weight[: source.shape[1]]  # (B, S, D)
        hidden, attention = zip(*through(self.encoder, x, "encoder", changes, visible), strict=True)
        return self.encoder_norm(hidden[-1]), attention

    def decode(
        self,
        target: Tensor,
        memory: Tensor,
        visible: Tensor | None = None,
        cache: "DecoderCache | None" = None,
        changes: Changes = AS_TRAINED,
    ) -> tuple[Tensor, Record]:
        """Logits (B, T, V) after each token of the target, given the encoded source `memory` (B, S, D).

        With a `cache`, `target` is one token (B, 1) and the cache holds those before it; the record is of it alone.
        """
        x = self.embed(target, changes.everywhere.positions, 0 if cache is None else cache.n_token)  # (B, T, D)
        hidden, attention, cross = zip(*self.write(x, memory, visible, cache, changes), strict=True)
        if cache is not None:
            cache.n_token += target.shape[1]
        return self.unembed(hidden[-1]), Record(attention, (x, *hidden), (), cross)

    def embed(self, target: Tensor, positions: bool = True, start: int = 0) -> Tensor:
        """What each token of a target is plus where it stands, the first at `start`: (B, T) -> (B, T, D)."""
        x = self.token_embedding(target)  # (B, T, D)
        if positions:
            x = x + self.target_position.weight[start : start + target.shape[1]]  # (B, T, D)
        return x

    def write(
        self,
        x: Tensor,
        memory: Tensor,
        visible: Tensor | None = None,
        cache: "DecoderCache | None" = None,
        changes: Changes = AS_TRAINED,
    ) -> Iterator[tuple[Tensor, AttentionCall, AttentionCall]]:
        """As `through`, for the decoder's blocks: what each of them did to the target, and where it looked."""
        for layer, block in enumerate(self.decoder):
            kept = cache.layers[layer] if cache is not None else None
            step = block(x, memory, visible, kept, changes.at("self", layer), changes.at("cross", layer))
            x = step[0]  # (B, T, D)
            yield step

    def unembed(self, hidden: Tensor) -> Tensor:
        """Logits for any vectors of the decoder's residual stream: (…, D) -> (…, V)."""
        return F.linear(self.final_norm(hidden), self.token_embedding.weight)


class DecoderCache:
    """What decoding has computed so far, layer by layer."""

    def __init__(self, n_layer: int):
        self.layers = [(KeysValues(), KeysValues()) for _ in range(n_layer)]  # of the target and of the source
        self.n_token = 0

    def choose(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order, some perhaps several times: what beam search goes on with."""
        for layer in self.layers:
            for kept in layer:
                kept.key, kept.value = kept.key[rows], kept.value[rows]


def initialise(module: nn.Module, *, n_block: int) -> None:
    """GPT-2's start: small normal weights, the layers that write to the residual stream smaller with depth."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, Block | DecoderBlock):  # apply() visits children first, so this has the last word
        writers = [module.attention.output]
        if module.mlp is not None:
            writers.append(module.mlp.down)
        if isinstance(module, DecoderBlock):
            writers.append(module.cross.output)
        for writer in writers:
            nn.init.normal_(writer.weight, std=0.02 / (len(writers) * n_block) ** 0.5)
