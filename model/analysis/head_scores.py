"""What a head does, as a number between 0 and 1: a mean weight over the rows in which the pattern can occur.

Only those rows count; to divide by all of them, as TransformerLens's head detector does, makes a perfect head of a text
with one repetition look like a poor one.
"""

import numpy as np


def previous_token(weights: np.ndarray) -> np.ndarray:
    """The mean weight of the token before: weights (…, T, S) of a text that looks at itself, to (…). From row 1 on."""
    t = np.arange(1, weights.shape[-2])
    return weights[..., t, t - 1].mean(-1)


def induction(weights: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The mean weight of what stood behind an earlier copy of the same token (Olsson et al. 2022, prefix matching).

    weights (…, T, S) of a text of token ids (T,), to (…); of several earlier copies the weights add up. Rows whose
    token was not there before do not count; NaN where there is no other.
    """
    found = behind_copies(ids)
    rows = found.any(-1)
    if not rows.any():
        return np.full(weights.shape[:-2], np.nan, weights.dtype)
    return (weights * found).sum(-1)[..., rows].mean(-1)


def behind_copies(ids: np.ndarray) -> np.ndarray:
    """(T, S): whether key s stands right behind an earlier copy of the token at t."""
    t, s = np.arange(len(ids))[:, None], np.arange(len(ids))[None, :]
    return (ids[np.maximum(s - 1, 0)] == ids[t]) & (s >= 1) & (s <= t)
