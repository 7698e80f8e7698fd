"""A ranking as rows of bars, each with its label and its number; a click, or Enter, tells Python which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from viz.components import pick_handler, register
from viz.guard import handler

_list = register("bar_list", shared=["renew", "rove"], html='<div class="rows" role="list"></div>', picture=True)


@dataclass(frozen=True)
class Row:
    """One row of the list."""

    label: str
    value: float  # how long the bar is, from 0 to the list's `full`
    number: str  # the number as people read it
    note: str = ""  # on hover and focus
    marked: bool = False  # drawn in the accent colour
    picks: bool = True  # whether a click on it means anything
    colour: str = ""  # of the bar, as CSS; none: the theme's


def bar_list(
    rows: Sequence[Row], *, key: str, name: str, full: float, on_pick: Callable[[int], None] | None = None
) -> None:
    """Draw the rows in their order; `name` says to those who cannot see it what is listed.

    A value of `full` fills the width. `on_pick(i)` is called when row i is chosen.
    """
    _list(
        key=key,
        called=name,
        numbers=lambda: {
            "label": [row.label for row in rows],
            "value": [row.value for row in rows],
            "as written": [row.number for row in rows],
            "note": [row.note for row in rows],
        },
        on_pick_change=handler(pick_handler(key, [i for i, row in enumerate(rows) if row.picks], on_pick)),
        data={
            "name": name,
            "rows": [
                {
                    "label": row.label,
                    "share": min(row.value / full, 1.0) if full > 0 else 0.0,
                    "number": row.number,
                    "note": row.note,
                    "marked": row.marked,
                    "picks": bool(on_pick) and row.picks,
                    "colour": row.colour,
                }
                for row in rows
            ],
        },
    )
