"""A text as a row of token chips: id, bytes and place on hover or focus; a click tells Python which."""

from collections.abc import Callable, Sequence

import numpy as np

from model.run import Token
from viz.components import mount, pick_handler
from viz.guard import handler
from viz.offline.pictures import CHIPS, chips_data

MOST_CHIPS = 600  # of a long text that a page draws: of more there would be screens and screens

_chips = mount(CHIPS, picture=True)


def token_chips(
    tokens: Sequence[Token],
    *,
    key: str,
    first: int = 0,
    selected: int | None = None,
    on_pick: Callable[[int], None] | None = None,
    notes: Sequence[str] | None = None,
    shades: Sequence[float] | None = None,
) -> None:
    """Draw the chips; `first` is the position of the first one in its text. A learned sink is told apart by its id.

    `on_pick(i)` is called when token i is clicked. `notes`: one more line for each hover. `shades`: 0 … 1 for each
    chip, coloured by the sequential scale (a probability, a weight) instead of by turns.
    """

    def numbers() -> dict:
        told = {
            "position": range(first, first + len(tokens)),
            "token": [token.label for token in tokens],
            "id": [token.id for token in tokens],
            "bytes": [token.piece.hex(" ") for token in tokens],
        }
        return told if shades is None else told | {"shade": np.asarray(shades)}

    _chips(
        key=key,
        called=f"{len(tokens)} tokens",
        numbers=numbers,
        on_pick_change=handler(pick_handler(key, range(len(tokens)), on_pick)),
        data=chips_data(
            tokens, first=first, selected=selected, clickable=on_pick is not None, notes=notes, shades=shades
        ),
    )
