"""What the built-in transformers keep of the texts that they write: the keys and values of all tokens but the last."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from model.builtin.transformer import DecoderCache, EncoderDecoder, Transformer


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


class _Kept:
    """A `model.language_model.Decoding`, but for how a transformer goes on."""

    logits: np.ndarray  # (B, V)

    def __init__(self, cache: DecoderCache):
        self._cache = cache

    @property
    def n_byte(self) -> int:
        kept = [each for layer in self._cache.layers for each in layer]
        return sum(each.key.nbytes + each.value.nbytes for each in kept)

    @torch.inference_mode()
    def write(self, ids: Sequence[int], rows: Sequence[int] | None = None) -> None:
        if rows is not None:
            self._cache.choose(torch.tensor(rows))
        self.logits = self._next(torch.tensor(ids)[:, None]).numpy()

    def _next(self, ids: Tensor) -> Tensor:
        """The logits (B, V) after one token more of each text, (B, 1)."""
        raise NotImplementedError


class TextDecoding(_Kept):
    """Of a decoder: texts that begin alike, with ids (1, T)."""

    @torch.inference_mode()
    def __init__(self, transformer: Transformer, ids: Tensor):
        super().__init__(DecoderCache(transformer.config.n_layer, 1))
        self._transformer = transformer
        self.logits = self._next(ids).numpy()

    def _next(self, ids: Tensor) -> Tensor:
        return self._transformer.write(ids, self._cache)


class TargetDecoding(_Kept):
    """Of an encoder-decoder: targets of one source (1, S) that begin alike, with ids (1, T)."""

    @torch.inference_mode()
    def __init__(self, transformer: EncoderDecoder, source: Tensor, ids: Tensor):
        super().__init__(DecoderCache(transformer.config.n_layer))
        self._transformer = transformer
        self._memory, _ = transformer.encode(source)  # (1, S, D)
        self.logits = self._next(ids).numpy()

    def _next(self, ids: Tensor) -> Tensor:
        memory = self._memory.expand(len(ids), -1, -1)
        logits, _ = self._transformer.decode(ids, memory, cache=self._cache)  # (B, T, V)
        return logits[:, -1]
