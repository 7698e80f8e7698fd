"""While a tile of a grid of heads is pointed at, its head stands on the stage: in the browser, without the server."""

from collections.abc import Sequence

import numpy as np

from viz.components import columns, css_variables, register
from viz.figures.scale import ColourScale

_look = register(
    "head_look",
    shared=["palette", "watch"],
    html='<div class="title" hidden><b></b> <span></span></div><canvas hidden></canvas>'
    '<div class="spoken" role="status"></div>',
    picture=False,
)


def head_look(
    maps: np.ndarray,
    names: Sequence[Sequence[str]],
    *,
    hint: str,
    key: str,
    title: str,
    scale: ColourScale,
    over: str = "",
    lines: dict[str, float] | None = None,
    sliders: Sequence[str] = (),
    chosen: tuple[int, int],
    others: Sequence[int] = (),
    called: Sequence[str] = (),
) -> None:
    """Ready to show any of `maps` (L, H, Q, K), in steps of `weights_in_steps`, when `head_grid(looks=True)` says so.

    It lies over the heatmap drawn with a key that begins with `over`, in that picture's colours, and over what stands
    in the container `title`. `names`: of the rows and of the columns; of nothing where a cell of the grid is not one of
    the map, and then there is only the `hint`. `lines`: a picture of lines is to show them, from the weight `least` on,
    `top` for each row (0: all) and `most` in all. `sliders`: the keys of two that choose layer and head; what they move
    to is shown until the server's own picture of it is there, which is now that of the `chosen` head: a style says so,
    and the maps stay put. `others`: layers that have no maps. `called`: what each of
    the L x H heads is called, where that is known.
    """
    css_variables(key, chosen=f'"{chosen[0]}.{chosen[1]}"')
    _, n_head, n_query, n_key = maps.shape
    low, high = scale.ends
    _look(
        key=key,
        data={
            "view": {
                "heads": n_head,
                "rows": n_query,
                "columns": n_key,
                "names": names,
                "hint": hint,
                "scale": {"low": low, "high": high, "log": scale.log},
                "over": over,
                "lines": lines,
                "title": title,
                "sliders": sliders,
                "others": others,
                "called": called,
            },
            "maps": columns(w=maps.ravel()),
        },
    )
