"""What the built-in transformers keep of the texts that they write.

A decoder writes in NumPy, without its modules: for one token, to call one costs as much as the product that it does.
Letters as in `model.builtin.transformer`.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.builtin.transformer import Block, DecoderCache, EncoderDecoder, Transformer
from model.predictions import predictions
from model.run import Attention, ModelRun, Predictions, Token
from model.text.writing import placed

_ROOM = 64  # tokens that are written before keys and values are moved


def laid_out(transformer: nn.Module) -> nn.Module:
    """The same network, its wide matrices laid out column by column in memory; it is only read from then on.

    What one token is multiplied with is read once from memory, and BLAS reads a matrix of few columns that lies row by
    row at a third of the speed. For texts read as a whole it makes no difference.
    """
    for module in transformer.modules():
        if isinstance(module, nn.Linear) or module is getattr(transformer, "token_embedding", None):
            n_row, n_column = module.weight.shape
            if n_row > n_column:
                module.weight.data = module.weight.data.t().contiguous().t()
    return transformer


class StepWeights:
    """A decoder's weights as `TextDecoding` uses them, for all texts that it writes: nothing of them is copied."""

    def __init__(self, transformer: Transformer):
        self.layers = [_Layer(block) for block in transformer.blocks]
        self._norm = _Norm(transformer.final_norm)
        self._entries = transformer.token_embedding.weight.numpy().T  # (D, V)
        self._positions = transformer.position_embedding.weight.numpy()  # (C, D)

    def embed(self, ids: Sequence[int], position: int) -> np.ndarray:
        """Tokens at a position, one of each text: (B, D)."""
        return self._entries.T[list(ids)] + self._positions[position]

    def logits(self, x: np.ndarray) -> np.ndarray:
        """(B, D) -> (B, V)"""
        return self._norm(x) @ self._entries


class _Linear:
    def __init__(self, linear: nn.Linear):
        self._weight, self._bias = linear.weight.numpy().T, linear.bias.numpy()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return x @ self._weight + self._bias  # (B, M) -> (B, N)


class _Norm:
    def __init__(self, norm: nn.LayerNorm):
        self._all = norm.normalized_shape, norm.weight, norm.bias, norm.eps

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return torch.layer_norm(torch.from_numpy(x), *self._all).numpy()


class _Layer:
    """What one block does to the next token of B texts."""

    def __init__(self, block: Block):
        attention, mlp = block.attention, block.mlp
        self._shape, self._scale = (attention.n_head, attention.d_head), np.float32(attention.d_head**-0.5)
        self._norm, self._output = _Norm(block.attention_norm), _Linear(attention.output)
        self._three = [_Linear(each) for each in (attention.query, attention.key, attention.value)]
        self._mlp = None if mlp is None else (_Norm(block.mlp_norm), _Linear(mlp.up), _Linear(mlp.down))

    def step(self, x: np.ndarray, kept: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The residual stream (B, D) behind the block, and the query, (B, H, K).

        `kept` (2, B, H, C, K): the keys and values of n tokens before; those of this one are put behind them.
        """
        normed = self._norm(x)
        query, key, value = (linear(normed).reshape(-1, *self._shape) for linear in self._three)  # (B, H, K)
        kept[0, :, :, n], kept[1, :, :, n] = key, value
        scores = np.matmul(kept[0, :, :, : n + 1], query[..., None])[..., 0]  # (B, H, n + 1)
        weights = torch.softmax(torch.from_numpy(scores * self._scale), -1).numpy()
        mixed = np.matmul(weights[:, :, None], kept[1, :, :, : n + 1])  # (B, H, 1, K)
        x = x + self._output(mixed.reshape(x.shape))
        if self._mlp is not None:
            norm, up, down = self._mlp
            x = x + down(F.gelu(torch.from_numpy(up(norm(x))), approximate="tanh").numpy())
        return x, query


class TextDecoding:
    """Of a decoder: texts that begin alike, with what a run of T tokens has: L layers' attention, and the last vector.

    A `model.language_model.Decoding`.
    """

    logits: np.ndarray  # (B, V)

    def __init__(self, weights: StepWeights, attention: Sequence[Attention], last: np.ndarray):
        self._weights, self._begun = weights, attention
        self._steps: list[_Step] = []  # since then, while there is one text
        n_head, self._n, d_head = attention[0].key.shape  # how many tokens are kept
        self._kept = [np.empty((2, 1, n_head, self._n + _ROOM, d_head), np.float32) for _ in attention]
        for kept, layer in zip(self._kept, attention, strict=True):
            kept[:, 0, :, : self._n] = layer.key, layer.value
        with torch.inference_mode():
            self.logits = weights.logits(last[None].copy())  # a run's own may not be written to

    @property
    def n_byte(self) -> int:
        return sum(each[:, :, :, : self._n].nbytes for each in self._kept)

    @torch.inference_mode()
    def write(self, ids: Sequence[int], rows: Sequence[int] | None = None) -> None:
        if rows is not None:
            self._kept = [each[:, list(rows)] for each in self._kept]
        if self._n == self._kept[0].shape[3]:
            self._kept = [np.concatenate([each, np.empty_like(each)], 3) for each in self._kept]
        x = self._weights.embed(ids, self._n)  # (B, D)
        step = _Step(ids[0], [x], [])
        for layer, kept in zip(self._weights.layers, self._kept, strict=True):
            x, query = layer.step(x, kept, self._n)
            step.stream.append(x)
            step.query.append(query)
        self._n += 1
        self.logits = self._weights.logits(x)
        if len(ids) == 1:
            self._steps.append(step)

    def attention(self) -> tuple[Attention, ...]:
        """Of one text, all that its weights are computed from, as `ModelRun.attention` has it."""
        if not self._steps:
            return tuple(self._begun)
        query = np.stack([np.concatenate(step.query) for step in self._steps], 2)  # (L, H, N, K)
        return tuple(
            replace(
                layer,
                query=np.concatenate([layer.query, new], 1),
                key=kept[0, 0, :, : self._n].copy(),
                value=kept[1, 0, :, : self._n].copy(),
            )
            for layer, new, kept in zip(self._begun, query, self._kept, strict=True)
        )


class _Step(NamedTuple):
    """What was done for one token of each text; the first is `id`."""

    id: int
    stream: list[np.ndarray]  # L + 1 of (B, D)
    query: list[np.ndarray]  # L of (B, H, K)


class RunDecoding(TextDecoding):
    """Of one text, behind a run of it: what writing computes makes it the run of all that is written.

    A `model.language_model.Recording`.
    """

    def __init__(self, weights: StepWeights, token: Callable[[int], Token], run: ModelRun):
        super().__init__(weights, run.attention, run.stream[-1, -1])
        self._token, self._run = token, run

    def run(self) -> ModelRun:
        if self._steps:
            self._run = self._longer()
            self._begun, self._steps = self._run.attention, []
        return self._run

    @torch.inference_mode()
    def _longer(self) -> ModelRun:
        before, tokens = self._run, list(self._run.tokens)
        for step in self._steps:
            tokens.append(placed(self._token(step.id), tokens))
        stream = np.stack([np.concatenate(step.stream) for step in self._steps], 1)  # (L + 1, N, D)
        hidden = np.concatenate([before.stream, stream], 1)  # (L + 1, T, D)
        last = len(before.tokens) - 1  # what came behind it was not known
        logits = torch.from_numpy(self._weights.logits(hidden[-1, last:]))
        new = predictions([logits], torch.tensor([token.id for token in tokens[last:]]))
        joined = {
            each.name: np.concatenate([getattr(before.predictions, each.name)[:last], getattr(new, each.name)])
            for each in fields(new)
            if each.name != "of_next"
        }
        return replace(
            before,
            tokens=tuple(tokens),
            hidden=hidden,
            attention=self.attention(),
            predictions=Predictions(**joined),
        )


class TargetDecoding:
    """Of an encoder-decoder: targets of one source (1, S) that begin alike, with ids (1, T).

    A `model.language_model.Decoding`.
    """

    logits: np.ndarray  # (B, V)

    @torch.inference_mode()
    def __init__(self, transformer: EncoderDecoder, source: Tensor, ids: Tensor):
        self._transformer, self._cache = transformer, DecoderCache(transformer.config.n_layer)
        self._memory, _ = transformer.encode(source)  # (1, S, D)
        self._read(ids)

    @property
    def n_byte(self) -> int:
        kept = [each for layer in self._cache.layers for each in layer]
        return sum(each.key.nbytes + each.value.nbytes for each in kept)

    @torch.inference_mode()
    def write(self, ids: Sequence[int], rows: Sequence[int] | None = None) -> None:
        if rows is not None:
            self._cache.choose(torch.tensor(rows))
        self._read(torch.tensor(ids)[:, None])

    def _read(self, ids: Tensor) -> None:
        """Tokens (B, T) more."""
        memory = self._memory.expand(len(ids), -1, -1)
        logits, _ = self._transformer.decode(ids, memory, cache=self._cache)  # (B, T, V)
        self.logits = logits[:, -1].numpy()
