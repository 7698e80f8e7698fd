"""What a transformers model keeps of the texts that it writes: its own cache, where that is found to be true.

A cache may be kept on the model's modules, and so be every visitor's (RecurrentGemma), or lead to other logits than the
text read as a whole. `keeps` finds out; of such a class, each text is read again.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.attention_call import AS_TRAINED
from model.huggingface.adapter import Opened

_ROUNDING = 1e-3  # between logits with a cache and without, as a part of the largest


class CachedDecoding:
    """Of texts that begin alike, with `ids`; of an encoder-decoder, of targets of one source."""

    @torch.inference_mode()
    def __init__(self, opened: Opened, ids: Sequence[int], source: Sequence[int] = ()):
        self._transformer, self._cache = opened.transformer, None
        names = inspect.signature(self._transformer.forward).parameters
        # what transformers calls it, newer versions and older ones
        self._of_cache = next((name for name in ("cache", "past_key_values") if name in names), "past_key_values")
        self._of_ids = "decoder_input_ids" if opened.pair else "input_ids"
        self._of_last = {"logits_to_keep": 1} if "logits_to_keep" in names else {}  # the (T, V) table would not fit
        self._encoded = None
        if opened.pair:
            self._encoded = self._transformer.get_encoder()(input_ids=torch.tensor([source]), return_dict=True)
        self.logits = self._read(torch.tensor([ids]))  # (B, V)

    @property
    def n_byte(self) -> int:
        return sum(tensor.nbytes for tensor in _tensors(self._cache))

    @torch.inference_mode()
    def write(self, ids: Sequence[int], rows: Sequence[int] | None = None) -> None:
        if rows is not None:
            self._cache.reorder_cache(torch.tensor(rows))
        self.logits = self._read(torch.tensor(ids)[:, None])

    def _read(self, ids: Tensor) -> np.ndarray:
        """The logits (B, V) after ids (B, T) more."""
        inputs: dict[str, Any] = {self._of_ids: ids, self._of_cache: self._cache, "use_cache": True, **self._of_last}
        if self._encoded is not None:
            states = self._encoded.last_hidden_state.expand(len(ids), -1, -1)
            inputs["encoder_outputs"] = type(self._encoded)(last_hidden_state=states)
        output = self._transformer(**inputs)
        self._cache = getattr(output, self._of_cache)
        return output.logits[:, -1].float().numpy()


@torch.inference_mode()
def keeps(opened: Opened) -> bool:
    """Whether a cache of its own says what the text read as a whole says, for one text and for several that part."""
    if not opened.has_head or getattr(opened.config, "use_cache", None) is None:
        return False
    ids, source = opened.probe
    texts = [[*ids[:-2], ids[-1], ids[-1]], [*ids[:-2], ids[-2], ids[-2]], list(ids)]
    try:
        whole = [opened.logits_alone(text, source, AS_TRAINED, places=[-1])[0, 0].numpy() for text in texts]
        before = _states(opened.transformer)
        decoding = CachedDecoding(opened, ids[:-2], source)
        decoding.write([ids[-2], ids[-2], ids[-1]], [0, 0, 0])
        decoding.write([ids[-1], ids[-2], ids[-1]], [2, 1, 0])
        if not _same(before, _states(opened.transformer)):
            return False
    except Exception:  # of a class that has no such cache, or wants to be given more
        return False
    return all(
        ours.shape == theirs.shape and np.abs(ours - theirs).max() <= _ROUNDING * max(1.0, np.abs(theirs).max())
        for ours, theirs in zip(decoding.logits, whole, strict=True)
    )


def _states(transformer: nn.Module) -> dict[tuple[str, str], Tensor]:
    """Copies of the tensors that lie on modules and are neither parameters nor buffers."""
    return {
        (name, attribute): value.clone()
        for name, module in transformer.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, Tensor)
    }


def _same(before: dict[tuple[str, str], Tensor], now: dict[tuple[str, str], Tensor]) -> bool:
    return before.keys() == now.keys() and all(torch.equal(before[key], now[key]) for key in before)


def _tensors(cache: Any, depth: int = 0) -> list[Tensor]:
    """Those that a cache holds, whatever class it is of."""
    if isinstance(cache, Tensor):
        return [cache]
    if isinstance(cache, list | tuple):
        return [tensor for each in cache for tensor in _tensors(each, depth)]
    if isinstance(cache, dict):
        return _tensors(list(cache.values()), depth)
    if depth < 3 and hasattr(cache, "__dict__"):
        return _tensors(list(vars(cache).values()), depth + 1)
    return []
