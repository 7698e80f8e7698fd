"""Attention of a GPT-2-sized run with random queries and keys: what both sides of the comparison draw."""

import numpy as np

from model.run import Attention

N_LAYER, N_HEAD, D_HEAD = 12, 12, 64


def records(n_token: int, seed: int) -> tuple[Attention, ...]:
    """Causal, neither flat nor one-hot: the scores have a standard deviation of 2."""
    rng = np.random.default_rng([n_token, seed])
    query, key = rng.standard_normal((2, N_LAYER, N_HEAD, n_token, D_HEAD), dtype=np.float32)
    return tuple(Attention(2 * q, k, k, D_HEAD**-0.5, causal=True) for q, k in zip(query, key, strict=True))
