"""A tour of a page in a few steps: each points at something live on it; one asks before it tells."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from viz.components import register

_tour = register(
    "tour",
    html="""<button type="button" class="start"></button>
<div class="ring" hidden></div>
<section class="stop" role="dialog" aria-labelledby="tour-title" aria-describedby="tour-text" tabindex="-1" hidden>
<h2 id="tour-title"></h2><p id="tour-text"></p><div class="answers"></div>
<p class="told" role="status"></p>
<div class="way"><button type="button" class="leave">Leave the tour</button><span class="place"></span>
<button type="button" class="back">Back</button><button type="button" class="next">Next</button></div></section>""",
    picture=False,
)


@dataclass(frozen=True)
class Stop:
    """One step of a tour."""

    title: str
    text: str
    at: str  # a CSS selector of what it points at
    answers: Sequence[str] = field(default=())  # to the question that `text` asks; none: it asks nothing
    right: int = 0  # which of them is right
    told: str = ""  # after an answer


def tour(stops: Sequence[Stop], *, key: str) -> None:
    """A button that begins it. Whether it was taken is remembered by the browser; nothing is sent to Python."""
    _tour(key=key, data={"stops": [asdict(stop) for stop in stops]})
