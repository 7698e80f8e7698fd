"""The card behind a weight, as HTML: what it is, each step that made it, and the check; the same on every page."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.analysis.attention import CellArithmetic
from model.analysis.attention_map import MapSpec
from model.analysis.checks import value_again
from model.analysis.explanation import Explained
from viz.figures import theme
from viz.figures.numbers import how_far


@dataclass(frozen=True)
class Check:
    """The value on screen against the same value made again."""

    shown: float  # as the pictures draw it; NaN where there is nothing
    again: float  # in double precision, by another way: from queries and keys
    dense: bool = False  # or only from weights that the model gave: what they were made of is not known

    @property
    def difference(self) -> float:
        return value_again(self.shown, self.again).difference

    @property
    def passed(self) -> bool:
        return value_again(self.shown, self.again).passed


@dataclass(frozen=True)
class Changes:
    """What was changed about one cell in this run."""

    edge_off: bool = False
    uniform: bool = False  # its head


def weight_card(
    cell: CellArithmetic, check: Check, query: str, key: str, place: str, mask: str, changes: Changes | None = None
) -> str:
    """One weight of one head. `query` and `key`: the tokens; `place`: their positions, layer and head, in words.

    `mask`: which mask there is, in words: "causal", or "" for none.
    """
    changes = changes or Changes()
    if cell.sink:
        return _sink_card(cell, check, query, place, changes)
    d_head = len(cell.query)
    ratio = cell.scale * d_head**0.5
    steps = [
        ("q·k", f"{cell.dot:.4f}" + (", for this head's queries were set to zeros" if changes.uniform else "")),
        *(
            [("scaled", f"its query came multiplied by {cell.query_scale:.4f}")]
            if cell.query_scale not in (1, None)
            else []
        ),
        ("scale", f"× {cell.scale:.4f} = " + ("1" if abs(ratio - 1) < 1e-6 else f"{ratio:.3g}") + f"/√{d_head}"),
        *([("soft cap", f"{cell.soft_cap:g} · tanh(score / {cell.soft_cap:g})")] if cell.soft_cap else []),
        *([("added", f"+ {cell.bias:.4f}, by this model")] if np.isfinite(cell.bias) and cell.bias else []),
        ("mask", _masked(cell, mask, changes)),
        ("score", "−∞" if cell.masked else f"{cell.score:.4f}"),
        *_softmax(cell),
    ]
    return _card(f"“{html.escape(query)}” looks at “{html.escape(key)}”", place, check, steps)


def _softmax(cell: CellArithmetic) -> list[tuple[str, str]]:
    """From a score to its weight."""
    return [
        ("softmax", f"e^(score − max) = {cell.exponential:.4f}, max {cell.row_scores.max():.4f}"),
        ("row's sum", f"÷ {cell.denominator:.4f}"),
        ("weight", f"<b>{cell.weight:.4f}</b>, number {cell.rank + 1} of {len(cell.row_scores)} in its row"),
    ]


def _sink_card(cell: CellArithmetic, check: Check, query: str, place: str, changes: Changes) -> str:
    """What a learned sink takes of a row."""
    score = "−∞" if cell.masked else f"{cell.score:.4f}, learned by this head: there is no key to compare with"
    if changes.edge_off:
        score = "−∞: you took the sink away from this query"
    elif cell.masked:
        score = "−∞: this layer has no sink, other layers have one"
    steps = [("score", score), *_softmax(cell), ("gives", "nothing: there is no value, and no token")]
    return _card(f"“{html.escape(query)}” looks at the sink", place, check, steps)


def _masked(cell: CellArithmetic, mask: str, changes: Changes) -> str:
    """What the mask, or the visitor, does to a cell."""
    if changes.edge_off:
        return "you took this edge away: the query does not see this key"
    if cell.masked:
        return f"{mask}: the query may not see this key" if mask else "the query may not see this key"
    return f"{mask}: lets it through" if mask else "none: every token may see every token"


def dense_card(weight: float, rank: int, n: int, check: Check, query: str, key: str, place: str) -> str:
    """One weight of a model that gives its weights and nothing they are made of."""
    steps = [
        ("weight", f"<b>{weight:.4f}</b>, number {rank + 1} of {n} in its row"),
        ("made of", "this model does not give its queries and keys: the weight is what it computed itself"),
    ]
    return _card(f"“{html.escape(query)}” looks at “{html.escape(key)}”", place, check, steps)


def sum_card(
    made: Explained, check: Check, query: str, key: str, place: str, spec: MapSpec, over: str, n_unit: int
) -> str:
    """A value made of several weights. `n_unit`: over how many rows the map's own values were taken."""
    n_query, n_key, n_head = (len(np.unique(index)) for index in (made.query, made.key, made.head * 4096 + made.layer))
    steps = [("made of", f"{len(made.weight):,} weight{'s' if len(made.weight) != 1 else ''} of this run")]
    if n_head > 1:
        steps.append(("heads", f"{'mean' if spec.combine == 'mean' else 'maximum'} of {n_head}"))
    if spec.sink != "as is":
        steps.append(("sink", "taken out; rows divided by what is left" if spec.sink == "renormalise" else "hidden"))
    if n_key > 1:
        steps.append(("keys", f"sum over {n_key} tokens"))
    if n_unit > 1:
        steps.append(("queries", f"{over} over {n_unit} rows"))
    if n_query > n_unit:
        steps.append(
            ("" if n_unit > 1 else "queries", f"mean over the {n_query} tokens" + (" within them" * (n_unit > 1)))
        )
    value = "nothing is left of it" if np.isnan(check.shown) else f"<b>{check.shown:.4f}</b>"
    return _card(f"{html.escape(query)} at {html.escape(key)}", place, check, [*steps, ("value", value)])


def difference_card(a: Check, b: Check, query: str, key: str, place: str) -> str:
    """What one weight is more than another."""
    steps = [("B", f"{b.shown:.4f}"), ("A", f"{a.shown:.4f}"), ("B − A", f"<b>{b.shown - a.shown:+.4f}</b>")]
    check = Check(b.shown - a.shown, b.again - a.again, a.dense or b.dense)
    return _card(f"“{html.escape(query)}” looks at “{html.escape(key)}”: the difference", place, check, steps)


def _card(title: str, place: str, check: Check, steps: list[tuple[str, str]]) -> str:
    way = "read again from the weights that the model gave" if check.dense else "made again from queries and keys"
    again = "nothing" if np.isnan(check.again) else f"{check.again:.8f}"
    same = "equal to 1e-6" if check.passed else "NOT equal to 1e-6"
    sentence = f"{way} in double precision it is {again}, {same} (difference {how_far(check.difference)})."
    return card(title, place, steps, check.passed, sentence)


def card(title: str, place: str, steps: Sequence[tuple[str, str]], passed: bool, sentence: str) -> str:
    """Where a number comes from: what it is, each step by its name, and a check. `title` and steps are HTML."""
    rows = "".join(f"<span>{html.escape(name)}</span><code>{value}</code>" for name, value in steps)
    # "passed" and "failed" are also read by those who cannot see the colour
    verdict = "✓ Check:" if passed else "✗ Check failed, please report it:"
    return (
        f"<style>{_CSS}</style><div class='weight-card' role='region' aria-label='Where this number comes from'>"
        f"<div class='what'>{title}</div><div class='where'>{html.escape(place)}</div><div class='steps'>{rows}</div>"
        f"<div class='check'><b>{verdict}</b> {sentence}</div></div>"
    )


_CSS = f"""
.weight-card .what {{ font-weight: 600; font-size: 1.05rem; padding-right: 1.8rem; overflow-wrap: anywhere;
  unicode-bidi: isolate; }}
.weight-card .where {{ font-size: .85rem; opacity: .75; margin-bottom: .5rem; }}
.weight-card .steps {{ display: grid; grid-template-columns: auto 1fr; gap: .15rem .8rem; font-size: .9rem; }}
.weight-card .steps span {{ opacity: .75; white-space: nowrap; }}
.weight-card .steps code {{ font: .85rem/1.55 {theme.MONOSPACE}; color: inherit; background: none; padding: 0;
  white-space: normal; }}
.weight-card .check {{ margin-top: .6rem; font-size: .85rem; }}
"""
