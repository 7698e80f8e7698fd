"""A text as a row of token chips: id, bytes and place on hover or focus; a click tells Python which."""

from collections.abc import Callable, Sequence

from model.run import Token
from viz.components import mount, pick_handler
from viz.guard import handler
from viz.offline.pictures import CHIPS, chips_data

_chips = mount(CHIPS)


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
    _chips(
        key=key,
        on_pick_change=handler(pick_handler(key, range(len(tokens)), on_pick)),
        data=chips_data(
            tokens, first=first, selected=selected, clickable=on_pick is not None, notes=notes, shades=shades
        ),
    )
