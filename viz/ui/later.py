"""What is checked after the picture: by one thread beside the visitors', for whoever still looks.

A long text takes seconds to be read again, and a script that computed it would keep the next step waiting.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import streamlit as st

from model.analysis import checks
from model.run import ModelRun, VisitorError
from viz.components.look_again import look_again
from viz.figures.numbers import how_far
from viz.guard import section
from viz.plain import plain
from viz.ui import session
from viz.ui.pictures import caption
from viz.ui.prose import check

T = TypeVar("T")

AT_ONCE = 1e10  # floating-point operations: about 0.15 s of one core
LOOK = 1.0  # seconds until the browser asks again
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="later")
_ASKED = "later"  # in the session's state: what this visitor waits for, under the key of the part that shows it


def begin(place: str, compute: Callable[..., Any], *args: Any) -> Future:
    """What `compute` returns, once it is there. What this place waited for before is given up, if it has not begun."""
    asked = st.session_state.setdefault(_ASKED, {})
    what, future = asked.get(place, (None, None))
    if what != (compute, args):
        if future:
            future.cancel()
        future = _THREAD.submit(compute, *args)
        asked[place] = (compute, args), future
    return future


def by_reading_again(
    run: ModelRun, layer: int, compute: Callable[..., T], *args: Any, place: str, show: Callable[[T], None]
) -> None:
    """Show what `compute` makes of a run by having its text read again up to a layer; of a long text, seconds later.

    `place`: on which page. A `VisitorError` is told in its place.
    """

    def shown(found: Callable[[], T]) -> None:
        try:
            show(found())
        except VisitorError as error:
            caption(plain(error))

    @section(f"{place}_read_again")
    def once_there() -> None:
        future = begin(place, compute, *args)
        if future.done():
            return shown(future.result)
        caption(f"Being checked: the text is read again up to layer {layer}, which at its length takes a while.")
        look_again(f"{place}_look_again", LOOK)

    if work_of(run, layer) > AT_ONCE:
        once_there()
    else:
        shown(partial(compute, *args))


def check_layer(run: ModelRun, layer: int, sentence: str, *, place: str, **of: Any) -> None:
    """Whether a layer done again by hand gives what the model computed.

    `sentence`: says what is compared. `place`: on which page. `of`: what `session.current_key` takes.
    """

    def show(difference: float) -> None:
        check(
            checks.layer_again(difference, exact=run.attention[layer].exact),
            f"{sentence}; the largest difference is **{how_far(difference)}**.",
        )

    by_reading_again(run, layer, session.recomputed, session.current_key(**of), layer, place=place, show=show)


def work_of(run: ModelRun, layer: int) -> float:
    """Floating-point operations to read a text up to a layer: two for each parameter and token, about."""
    return 2.0 * run.info.n_parameter * len(run.tokens) * (layer + 1) / run.info.n_layer
