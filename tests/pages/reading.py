"""What a page shows, as a test reads it: its words, the numbers of its pictures, what its components are sent."""

import base64
import io
import json
from urllib.parse import parse_qsl

import numpy as np
import pyarrow as pa
from streamlit.testing.v1 import AppTest

from viz.ui.cells import Cell


def said(app: AppTest) -> str:
    """All words of a page, or of its sidebar."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning")
    return "\n".join(element.value for kind in kinds for element in app.get(kind))


def address(app: AppTest) -> dict[str, str]:
    """What the page puts into the address, besides its path: as the browser is told when all is drawn."""
    told = [json.loads(part.proto.json) for part in app.get("bidi_component") if "others" in part.proto.json]
    return dict(parse_qsl(told[-1]["query"], keep_blank_values=True))


def open_card(app: AppTest, cell: Cell) -> AppTest:
    """The page with its card open on a value, as after a click."""
    app.session_state.cell = cell
    app.session_state.card = app.session_state.cell_as = "opened by a test"
    return app.run()


def charts(app: AppTest) -> list[dict]:
    """What plotly is sent for each picture, in the order of the page."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def traces(app: AppTest) -> list[list[dict]]:
    """Of each picture what it draws."""
    return [chart["data"] for chart in charts(app)]


def numbers(sent: list | dict) -> np.ndarray:
    """An array as plotly is sent it: a list, or a typed array of any shape."""
    if isinstance(sent, list):
        return np.array(sent)
    shape = [int(n) for n in sent.get("shape", "-1").split(",")]
    return np.frombuffer(base64.b64decode(sent["bdata"]), sent["dtype"]).reshape(shape)


def heatmap(app: AppTest) -> np.ndarray:
    """The numbers of the first picture, a heatmap."""
    return numbers(charts(app)[0]["data"][0]["z"])


def sent(app: AppTest, name: str) -> tuple[dict, dict[str, dict[str, np.ndarray]]]:
    """What a component is sent: what is no table, and the columns of each table."""
    proto = next(each.proto for each in app.get("bidi_component") if each.proto.component_name.endswith(name))
    message = json.loads(proto.mixed.json)
    tables = {}
    for key, value in message.items():
        if isinstance(value, dict) and (blob := value.get("__streamlit_arrow_ref__")):
            table = pa.ipc.open_stream(io.BytesIO(proto.mixed.arrow_blobs[blob].data)).read_all()
            tables[key] = {column: table[column].to_numpy() for column in table.column_names}
    return message, tables


def component(app: AppTest, name: str) -> dict:
    """What a component is sent, without its tables."""
    proto = next(each.proto for each in app.get("bidi_component") if each.proto.component_name.endswith(name))
    return json.loads(proto.mixed.json or proto.json)
