"""The path through one head as numbered pictures: hover or focus lights up what a number was made from.

All numbers and sentences travel once, also each product that a line of arithmetic may name; hovering needs no server.
What a layer does not have is not sent, and is not drawn.
"""

from collections.abc import Callable, Sequence

import numpy as np

from model.analysis.head import HeadSteps, Path
from model.layer import Norm
from viz.components import columns, pick_handler, register
from viz.figures import theme
from viz.figures.head import HUES, Step, drawn_rows, plain_scale, score_chain
from viz.guard import handler

_steps = register(
    "head_steps",
    shared=["renew", "watch", "head_made", "head_pictures"],
    html='<div class="frame"><div class="path" role="group"></div><div class="spoken" aria-live="polite"></div></div>',
    picture=True,
)
_ENDS = [theme.DIVERGING[0][1], theme.DIVERGING[-1][1]]  # negative, positive


def head_pictures(
    steps: HeadSteps,
    labels: Sequence[str],
    sentences: Sequence[Step],
    *,
    key: str,
    chosen: int,
    causal: bool,
    on_pick: Callable[[int], None] | None = None,
) -> None:
    """Draw the steps with their `sentences`; `chosen` is the emphasised key token, or, behind the last, the sink.

    `on_pick(key)` is called when a score or a weight is clicked. Of a long text only some keys are drawn.
    """
    n = len(labels)
    rows = drawn_rows(steps.weights, (min(chosen, n - 1), steps.query))
    # of single precision, and so exact in double
    q, keys, values, weights = (
        a.astype(np.float64) for a in (steps.q.end, steps.keys.end, steps.values.end, steps.weights)
    )
    own_key, own_value = steps.keys.of(steps.query), steps.values.of(steps.query)
    stream = _present(
        x=steps.hidden,
        normed=steps.normed,
        o=steps.projected,
        others=steps.others,
        bias=steps.output_bias,
        together=steps.together if steps.written_norm else None,
        added=steps.added if steps.written_norm else None,
        after=steps.after,
        behind=steps.behind,
    )
    norms = {
        "n": (steps.norm, "x", (steps.mean, steps.deviation)),
        "qn": (steps.query_norm, "qp", steps.query_size),
        "kn": (steps.key_norm, "kp", steps.key_size),
        "added": (steps.written_norm, "together", steps.written_size),
        "behind": (steps.norm_behind, "after", steps.after_size),
    }
    sink = {"score": steps.sink_score, "exponential": steps.sink_exponential, "weight": steps.sink_weight}
    numbers = {"d": steps.dots, "p": steps.scaled, "c": steps.capped, "b": steps.bias, "s": steps.scores}
    _steps(
        key=key,
        called=f"The path through layer {steps.layer}, head {steps.head}, for “{labels[steps.query]}”",
        numbers=lambda: {
            "key": range(n),
            "token": labels,
            "q·k": steps.dots,
            "scaled": steps.scaled,
            "score": steps.scores,
            "e^(score - largest)": steps.exponentials,
            "weight": steps.weights,
        },
        on_pick_change=handler(pick_handler(key, range(n + steps.has_sink), on_pick)),
        data={
            "view": {
                "steps": [{"kind": step.kind, "title": step.title, "sentence": step.sentence} for step in sentences],
                "hues": HUES,
                "ends": _ENDS,
                "layer": steps.layer,
                "head": steps.head,
                "query": steps.query,
                # as a row; of what a sink does not have, the query's own is emphasised
                "chosen": int(np.searchsorted(rows, chosen if chosen < n else steps.query)),
                "sink": sink | {"chosen": chosen >= n} if steps.has_sink else None,
                "own": int(np.searchsorted(rows, steps.query)),
                "n": n,
                "tokens": rows.tolist(),
                "labels": [labels[i] for i in rows],
                # of the tokens that are not drawn, before each row and after the last
                "left_out": [float(part.sum()) for part in _between(steps.weights, rows)],
                "norms": {part: _norm_view(*norm) for part, norm in norms.items() if norm[0]},
                "chain": score_chain(steps),
                "scale": steps.scale,
                "divided": plain_scale(steps),
                "causal": causal,
                "unmasked": steps.unmasked[rows].tolist(),
                "strength": steps.rotary.strength if steps.rotary else 1.0,
                "cap": steps.soft_cap,
                "multiplier": steps.multiplier,
                "largest": steps.largest,
                "denominator": steps.denominator,
                "lengths": {name: float(np.linalg.norm(vector.astype(np.float64))) for name, vector in stream.items()},
                "largest_element": int(np.abs(steps.hidden).argmax()),
            },
            "stream": columns(**stream, **_gains({part: norms[part][0] for part in ("n", "added", "behind")})),
            "head": columns(
                **_stages("q", steps.q),
                **_stages("k", own_key),
                **_turning(steps),
                **_gains({"qn": steps.query_norm, "kn": steps.key_norm}),
            ),
            "value": columns(v=own_value.end, z=steps.mixed, **_parted("v", own_value.projected, own_value.bias)),
            "rows": columns(
                **{name: array[rows] for name, array in _present(**numbers).items()},
                exponentials=steps.exponentials[rows],
                weights=steps.weights[rows],
            ),
            "keys": columns(w=steps.keys.end[rows].ravel(), product=(q * keys[rows]).ravel()),
            "values": columns(w=steps.values.end[rows].ravel(), product=(weights[rows, None] * values[rows]).ravel()),
        },
    )


def _present(**arrays: np.ndarray | None) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if array is not None}


def _norm_view(norm: Norm, of: str, size: tuple[float, float]) -> dict[str, object]:
    return {"of": of, "mean": size[0], "size": size[1], "centred": norm.centred, "shifted": norm.shift is not None}


def _gains(norms: dict[str, Norm | None]) -> dict[str, np.ndarray]:
    """What norms have learned, each number as long as the vectors that they are for."""
    given = {part: norm for part, norm in norms.items() if norm}
    gains = {f"{part}_gain": norm.gain.ravel() for part, norm in given.items()}
    return gains | {f"{part}_shift": norm.shift.ravel() for part, norm in given.items() if norm.shift is not None}


def _stages(letter: str, path: Path) -> dict[str, np.ndarray]:
    """The end of a query or key (K,), and what it was before, where that is something else."""
    stages = _present(**{letter: path.end, f"{letter}p": path.projected, f"{letter}n": path.normed})
    return stages | _parted(letter, path.projected, path.bias)


def _parted(letter: str, projected: np.ndarray, bias: np.ndarray | None) -> dict[str, np.ndarray]:
    if bias is None:
        return {}
    return {f"{letter}_product": projected.astype(np.float64) - bias, f"{letter}_bias": bias}


def _turning(steps: HeadSteps) -> dict[str, np.ndarray]:
    """Of each number of a query or key (K,): with which it is turned, -1 where it is not; on which side; how far."""
    if steps.rotary is None:
        return {}
    partner, side = np.full(len(steps.q.end), -1, np.int32), np.zeros(len(steps.q.end))
    angle, frequency = np.zeros(len(steps.q.end)), np.zeros(len(steps.q.end))
    for these, others, sign in ((*steps.rotary.pairs, -1), (*steps.rotary.pairs[::-1], 1)):
        partner[these], side[these], angle[these], frequency[these] = (
            others,
            sign,
            steps.angles,
            steps.rotary.frequencies,
        )
    return {"partner": partner, "side": side, "angle": angle, "frequency": frequency}


def _between(weights: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """The weights before the first row, between the rows, and after the last: one part more than rows."""
    return [part[1:] if i else part for i, part in enumerate(np.split(weights, rows))]
