"""How a weight becomes a colour: linear or logarithmic, over a fixed range or fitted to what is shown.

The colours themselves are the theme's sequential ones: perceptually uniform, readable with any colour vision.
"""

from dataclasses import dataclass

import numpy as np

LEAST = 1e-4  # where the fixed logarithmic scale begins


@dataclass(frozen=True)
class ColourScale:
    """From the weight `low`, the first colour, to `high`, the last. ValueError if these do not span anything."""

    low: float = 0.0
    high: float = 1.0
    log: bool = False

    def __post_init__(self):
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"no {'logarithmic ' if self.log else ''}scale from {self.low} to {self.high}")

    def place(self, weights: np.ndarray) -> np.ndarray:
        """Weights on the axis that the colours are spread over: themselves, or their decimal logarithm.

        NaN, a weight of 0 on a logarithmic scale, stays without a colour.
        """
        if not self.log:
            return weights
        return np.log10(weights, out=np.full_like(weights, np.nan), where=weights > 0)

    @property
    def signed(self) -> bool:
        """Whether it is for values on both sides of 0, with colours that diverge there."""
        return self.low < 0

    @property
    def ends(self) -> tuple[float, float]:
        """`low` and `high` on that axis."""
        return tuple(float(end) for end in self.place(np.array([self.low, self.high])))

    @property
    def ticks(self) -> tuple[list[float], list[str]]:
        """Where the colour bar is marked, on that axis, and with which weights."""
        if self.log:
            decades = 10.0 ** np.arange(np.ceil(np.log10(self.low) - 1e-9), np.floor(np.log10(self.high) + 1e-9) + 1)
            marks = sorted({self.low, self.high, *(d for d in decades if 1.3 * self.low < d < self.high / 1.3)})
        else:
            marks = list(np.linspace(self.low, self.high, 6))
        return self.place(np.array(marks)).tolist(), [f"{mark:.2g}" for mark in marks]


def colour_scale(weights: np.ndarray, *, log: bool = False, fitted: bool = False) -> ColourScale:
    """The scale for weights of any shape: 0 … 1 (`LEAST` … 1 if logarithmic), or from the least to the most there is.

    Fitted, weights of exactly 0 do not count (a mask's zeros say nothing). A maximum or a sum above 1 stretches the
    fixed range, so that no value is drawn as less than it is.
    """
    there = weights[weights > 0]
    high = float(there.max()) if there.size else 1.0
    if not fitted:
        return ColourScale(LEAST if log else 0.0, max(1.0, high), log)
    low = float(there.min()) if there.size else 0.0
    if log:
        low = max(low, high * 1e-8)  # float32 holds no more digits than that
    if not low < high:
        low = high / 2  # all are equal
    return ColourScale(low, high, log)


def weights_as_bytes(weights: np.ndarray) -> np.ndarray:
    """0 … 1 as 0 … 255 on a square-root scale, so that small weights stay visible (1 % is 26); any shape, uint8."""
    return np.sqrt(weights * np.float32(255 * 255)).round().clip(0, 255).astype(np.uint8)


NOTHING = 2**16 - 1  # of `weights_in_steps`


def weights_in_steps(weights: np.ndarray) -> np.ndarray:
    """0 … 1 as uint16, any shape: `thousandths * 64 + step`, `NOTHING` for NaN.

    So a script writes the three digits that Python would write, at half the bytes of float32, and is exact to 1/128,000
    for a colour: the step is the 64th part of the weights that are rounded to the same thousandth.
    """
    there = np.isnan(weights)
    value = np.where(there, 0, weights).astype(np.float64)
    thousandths = np.rint(1000 * value)
    step = np.floor((1000 * value - thousandths + 0.5) * 64).clip(0, 63)
    return np.where(there, NOTHING, thousandths * 64 + step).astype(np.uint16)
