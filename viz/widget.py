"""A grid of all heads whose clicks come back to Python: for a notebook whose kernel runs, with anywidget."""

import importlib
import json
from typing import Any

from model.analysis.attention import pooled_overview
from model.run import VisitorError
from viz.offline.page import HERE, variables, wrapped
from viz.offline.pictures import GRID, grid_data


def esm() -> str:
    """The script of the widget, a module: the component as it is, and what hands it its data and its clicks on."""
    values = {"HTML": GRID.html, "CSS_TEXT": GRID.css, "VARIABLES": variables("light")}
    said = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items())
    return f"const shown = {wrapped(GRID)};\n{said}{(HERE / 'widget.js').read_text(encoding='utf-8')}"


def grid_widget(run, kind: str, head: tuple[int, int]) -> Any:
    """An anywidget with `chosen`, layer and head: observe it, or set it. Raises `VisitorError` without anywidget."""
    try:
        anywidget, traitlets = map(importlib.import_module, ("anywidget", "traitlets"))
    except ImportError as error:
        raise VisitorError(
            "Clicks that come back to Python need anywidget, not installed here: pip install 'regard[notebook]'. "
            "Without it, .heads() is alive all the same."
        ) from error
    data = grid_data(pooled_overview(run.layers(kind)))

    class HeadGrid(anywidget.AnyWidget):
        _esm = esm()
        maps = traitlets.Bytes().tag(sync=True)
        shape = traitlets.Dict().tag(sync=True)
        chosen = traitlets.List(traitlets.Int(), minlen=2, maxlen=2).tag(sync=True)

        @traitlets.validate("chosen")
        def _there(self, proposal: dict) -> list[int]:
            layer, at = proposal["value"]
            if not (layer in run.grid(kind).layers and 0 <= at < run.info.n_head):
                raise traitlets.TraitError(f"there is no head {layer}.{at}")
            return proposal["value"]

    return HeadGrid(maps=data["maps"]["w"].tobytes(), shape=data["shape"], chosen=list(head))
