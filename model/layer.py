"""What one layer's attention was trained to be: its norms, projections and rotation, as arrays. NumPy only.

What a layer does not have is None here, so that a page can show the steps that there are and no others. Scale, soft
cap, position bias and mask are in a run's record (`model.run.Attention`). Letters as in `model.run`: H heads, G key
heads, T tokens, D d_model, K d_head of queries and keys, Kv of values, N the width of whatever is normed.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Norm:
    """(x - mean) / √(variance + ε) · gain + shift (Ba et al. 2016); an RMS norm leaves the mean (Zhang, Sennrich 2019).

    Of heads, gain and shift are (H, K) or (1, K), and each head is divided by its own size, or all by one.
    """

    gain: np.ndarray  # (N,)
    shift: np.ndarray | None  # (N,)
    epsilon: float  # added to the variance
    centred: bool = True  # False: an RMS norm, where the variance is the mean of the squares
    together: bool = False  # of heads: all of one token have one size (OLMo 2)

    def __post_init__(self):
        if self.shift is not None and self.shift.shape != self.gain.shape:
            raise ValueError(f"a shift {self.shift.shape} for a gain {self.gain.shape}")
        seal(*(each for each in (self.gain, self.shift) if each is not None))

    def sizes(self, x: np.ndarray, axis: int | tuple[int, ...] = -1) -> tuple[np.ndarray, np.ndarray]:
        """The mean of vectors (…, N), 0 where it stays, and what they are divided by: (…, 1) each."""
        mean = x.mean(axis, keepdims=True)
        if not self.centred:
            mean = np.zeros_like(mean)
        return mean, np.sqrt(np.square(x - mean).mean(axis, keepdims=True) + x.dtype.type(self.epsilon))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(…, N) -> (…, N)"""
        mean, deviation = self.sizes(x)
        normed = (x - mean) / deviation * self.gain
        return normed if self.shift is None else normed + self.shift

    def of_heads(self, x: np.ndarray) -> np.ndarray:
        """(H, T, K) -> (H, T, K)"""
        mean, deviation = self.sizes(x, (0, 2) if self.together else -1)
        normed = (x - mean) / deviation * self.gain[:, None]
        return normed if self.shift is None else normed + self.shift[:, None]


@dataclass(frozen=True)
class Rotary:
    """Rotary positions (Su et al. 2021): numbers in pairs, each turned by an angle that grows with the position."""

    frequencies: np.ndarray  # (R / 2,) radians a token, one for each pair
    start: int = 0  # the first of the R numbers that are turned; the others stay (Phi)
    neighbours: bool = False  # a pair is 2i and 2i + 1 (GPT-J); else i and i + R/2 (Llama)
    strength: float = 1.0  # what the turned numbers are multiplied with (YaRN)

    def __post_init__(self):
        seal(self.frequencies)

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Which numbers make the pairs: first and second of each, (R / 2,)."""
        n = len(self.frequencies)
        first = 2 * np.arange(n) if self.neighbours else np.arange(n)
        return self.start + first, self.start + first + (1 if self.neighbours else n)

    def angles(self, positions: np.ndarray) -> np.ndarray:
        """In radians, (T, R / 2); rounded to float32 as in the model, for a late token has turned many times."""
        return positions.astype(np.float32)[:, None] * self.frequencies

    def __call__(self, x: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Turn vectors (…, T, K) that stand at positions (T,)."""
        first, second = self.pairs
        angles, turned = self.angles(positions), x.copy()
        cosine, sine = (np.float32(self.strength) * f(angles) for f in (np.cos, np.sin))
        turned[..., first] = x[..., first] * cosine - x[..., second] * sine
        turned[..., second] = x[..., second] * cosine + x[..., first] * sine
        return turned


@dataclass(frozen=True)
class LayerParameters:
    """One layer's attention, head by head: from the residual stream and back to it."""

    norm: Norm | None  # of the stream before the projections; None: they read the stream as it is (BERT, OLMo 2)
    query_weight: np.ndarray  # (H, K, D)
    query_bias: np.ndarray | None  # (H, K)
    key_weight: np.ndarray  # (G, K, D), H a multiple of G
    key_bias: np.ndarray | None  # (G, K)
    value_weight: np.ndarray  # (G, Kv, D)
    value_bias: np.ndarray | None  # (G, Kv)
    output_weight: np.ndarray  # (H, D, Kv) each head's own columns of the output projection
    output_bias: np.ndarray | None  # (D,) one for all heads together
    query_norm: Norm | None = None  # of the queries, and of the keys, before they are turned (Qwen 3)
    key_norm: Norm | None = None
    rotary: Rotary | None = None
    written_norm: Norm | None = None  # of what all heads wrote, before it is added (Gemma 2)
    multiplier: float = 1.0  # of what is added (Granite)
    norm_behind: Norm | None = None  # of the sum: then the layer goes on from its result (BERT)
    parallel: bool = False  # nothing reads the sum: the MLP works beside the attention (Phi), or a state space does
    alone: bool = False  # the sum is what leaves the layer, which has nothing but attention (Nemotron-H)

    def __post_init__(self):
        n_head, d_head, d_model = self.query_weight.shape
        n_key_head, d_value = self.value_weight.shape[:2]
        expected = {
            "query_bias": (n_head, d_head),
            "key_weight": (n_key_head, d_head, d_model),
            "key_bias": (n_key_head, d_head),
            "value_weight": (n_key_head, d_value, d_model),
            "value_bias": (n_key_head, d_value),
            "output_weight": (n_head, d_model, d_value),
            "output_bias": (d_model,),
        }
        given = {name: array for name in expected if (array := getattr(self, name)) is not None}
        for name, array in given.items():
            if array.shape != expected[name]:
                raise ValueError(f"{name} {array.shape}, expected {expected[name]}")
        if n_head % n_key_head:
            raise ValueError(f"{n_head} heads cannot share {n_key_head} key heads evenly")
        seal(self.query_weight, *given.values())


@dataclass(frozen=True)
class AttentionOutput:
    """What a model itself has behind the attention of one layer, to compare with."""

    written: np.ndarray  # (T, D) what the output projection gave, of all heads and with its bias
    after: np.ndarray | None  # (T, D) what the layer goes on from; None where it adds the MLP's share in one go


SINGLE = np.dtype(np.float32)


def seal(*arrays: np.ndarray, dtype: np.dtype = SINGLE) -> None:
    """Make arrays read-only. ValueError if they are of another type."""
    for array in arrays:
        if array.dtype != dtype:
            raise ValueError(f"a run is kept in {dtype}, not {array.dtype}")
        array.setflags(write=False)
