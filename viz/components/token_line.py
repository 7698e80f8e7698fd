"""A text as one line of tokens that stay text: shaded, blanked or changed; a click, or Enter, tells Python which."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from viz.components import pick_handler, register
from viz.guard import handler

_line = register(
    "token_line",
    shared=["renew", "tip", "rove"],
    html='<div class="line" role="group" dir="auto"></div><div class="tip" aria-hidden="true" hidden></div>',
    picture=True,
)


@dataclass(frozen=True)
class Piece:
    """One token of the line."""

    label: str
    note: str = ""  # on hover and focus, line by line
    colour: str = ""  # of its background, as CSS; none: the page's
    look: str = ""  # "blank": an empty box with a guess in it; "changed": underlined; "mark": pale, belongs to no text
    picks: bool = True  # whether a click on it means anything
    under: str = ""  # a small number below it


def token_line(pieces: Sequence[Piece], *, key: str, name: str, on_pick: Callable[[int], None] | None = None) -> None:
    """Draw the line; `name` says to those who cannot see it what it is. `on_pick(i)` is called when token i is chosen.

    One stop of the tabulator key, then the arrow keys.
    """
    _line(
        key=key,
        called=name,
        numbers=lambda: {
            "position": range(len(pieces)),
            "token": [piece.label for piece in pieces],
            "below": [piece.under for piece in pieces],
            "note": [piece.note for piece in pieces],
        },
        on_pick_change=handler(pick_handler(key, [i for i, piece in enumerate(pieces) if piece.picks], on_pick)),
        data={
            "name": name,
            "pieces": [asdict(piece) | {"picks": piece.picks and on_pick is not None} for piece in pieces],
        },
    )
