"""The mask that transformers gives to an attention call, and the rule that it follows. Letters as in `model.run`."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.attention_call import apart


@dataclass(frozen=True)
class Mask:
    """Which keys a query sees, as `model.run.Attention` says it; what a rule cannot say is in the bias."""

    causal: bool
    window: int
    bias: np.ndarray | None  # (H or 1, T, S)


def read_mask(mask: Tensor | None, position_bias: Tensor | None, *, causal: bool, shape: tuple[int, int]) -> Mask:
    """From what a call was given: booleans or numbers to add, (1, H or 1, T, S), or none; and a position bias.

    A rule (causal, window) is only written down if it gives exactly the mask that came.
    """
    bias = None if position_bias is None else position_bias[0].float()
    if mask is None:
        return Mask(causal, 0, None if bias is None else bias.numpy().copy())
    mask = mask[0].expand(-1, *shape)
    if mask.dtype == torch.bool:
        allowed = mask
    else:
        allowed, added = apart(mask)
        if added is not None:
            bias = added if bias is None else bias + added
    causal, window = _rule(allowed)
    if window < 0:
        window, forbidden = 0, torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf)
        bias = forbidden if bias is None else bias + forbidden
    return Mask(causal, window, None if bias is None else bias.float().numpy().copy())


def _rule(allowed: Tensor) -> tuple[bool, int]:
    """Causal or not, and the window, of a boolean mask (H or 1, T, S); (False, -1) if no rule gives this mask."""
    n_query, n_key = allowed.shape[1:]
    if allowed.all():
        return False, 0
    if n_query != n_key:
        return False, -1
    query, key = torch.arange(n_query)[:, None], torch.arange(n_key)[None]
    if not allowed[0, 0, 1:].any():
        window = int(allowed[0, -1].sum())
        causal, seen = True, (key <= query) & (key > query - window)
    else:
        reach = int(allowed[0, 0].sum()) - 1
        causal, window = False, reach + 1
        seen = (key <= query + reach) & (key >= query - reach)
    if not torch.equal(allowed, seen.expand_as(allowed)):
        return False, -1
    return causal, 0 if causal and window == n_key else window
