"""The path through one head as nine numbered pictures: hover or focus lights up what a number was made from.

All numbers and sentences travel once, also each product that a line of arithmetic may name; hovering needs no server.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from model.analysis.head import HeadSteps
from viz.components import pick_handler, register
from viz.figures import theme
from viz.figures.head import HUES, Step, drawn_rows, plain_scale
from viz.guard import handler

_steps = register(
    "head_steps",
    shared=["renew", "watch", "head_made"],
    html='<div class="frame"><div class="path" role="group"></div><div class="spoken" aria-live="polite"></div></div>',
)
_ENDS = [theme.DIVERGING[0][1], theme.DIVERGING[-1][1]]  # negative, positive


def head_pictures(
    steps: HeadSteps,
    labels: Sequence[str],
    sentences: Sequence[Step],
    *,
    key: str,
    chosen: int,
    on_pick: Callable[[int], None] | None = None,
) -> None:
    """Draw the nine steps with their `sentences`; `chosen` is the emphasised key token.

    `on_pick(key)` is called when a score or a weight is clicked. Of a long text only some keys are drawn.
    """
    rows = drawn_rows(steps.weights, (chosen, steps.query))
    # of single precision, and so exact in double
    q, keys, values, weights = (a.astype(np.float64) for a in (steps.q, steps.keys, steps.values, steps.weights))
    stream = {"x": steps.hidden, "o": steps.written, "others": steps.others, "bias": steps.output_bias}
    stream["after"] = steps.after
    _steps(
        key=key,
        on_pick_change=handler(pick_handler(key, range(len(labels)), on_pick)),
        data={
            "view": {
                "steps": [{"title": step.title, "sentence": step.sentence} for step in sentences],
                "hues": HUES,
                "ends": _ENDS,
                "layer": steps.layer,
                "head": steps.head,
                "query": steps.query,
                "chosen": int(np.searchsorted(rows, chosen)),  # as a row
                "own": int(np.searchsorted(rows, steps.query)),
                "n": len(labels),
                "tokens": rows.tolist(),
                "labels": [labels[i] for i in rows],
                # of the tokens that are not drawn, before each row and after the last
                "left_out": [float(part.sum()) for part in _between(steps.weights, rows)],
                "mean": steps.mean,
                "deviation": steps.deviation,
                "scale": steps.scale,
                "divided": plain_scale(steps),
                "largest": float(steps.scores.max()),
                "denominator": steps.denominator,
                "lengths": {name: float(np.linalg.norm(vector.astype(np.float64))) for name, vector in stream.items()},
                "largest_element": int(np.abs(steps.hidden).argmax()),
            },
            "stream": pd.DataFrame(stream | {"gain": steps.gain, "shift": steps.shift, "normed": steps.normed}),
            "head": pd.DataFrame(
                {
                    "q": steps.q,
                    "k": steps.keys[steps.query],
                    "v": steps.values[steps.query],
                    "q_bias": steps.q_bias,
                    "k_bias": steps.key_bias,
                    "v_bias": steps.value_bias,
                    "q_projected": q - steps.q_bias,
                    "k_projected": keys[steps.query] - steps.key_bias,
                    "v_projected": values[steps.query] - steps.value_bias,
                    "z": steps.mixed,
                }
            ),
            "rows": pd.DataFrame(
                {name: getattr(steps, name)[rows] for name in ("dots", "scaled", "scores", "exponentials", "weights")}
            ),
            "keys": pd.DataFrame({"w": steps.keys[rows].ravel(), "product": (q * keys[rows]).ravel()}),
            "values": pd.DataFrame(
                {"w": steps.values[rows].ravel(), "product": (weights[rows, None] * values[rows]).ravel()}
            ),
        },
    )


def _between(weights: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """The weights before the first row, between the rows, and after the last: one part more than rows."""
    return [part[1:] if i else part for i, part in enumerate(np.split(weights, rows))]
