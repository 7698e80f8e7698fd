"""The widget: a click in the browser reaches Python, and what Python sets reaches the browser."""

import importlib.util
import sys

import pytest

import viz.notebook as regard
from model.analysis.attention import pooled_overview
from tests.conftest import REPEATED
from viz.figures.scale import weights_as_bytes
from viz.widget import grid_widget

needs_anywidget = pytest.mark.skipif(
    importlib.util.find_spec("anywidget") is None, reason="anywidget is not installed: pip install 'regard[notebook]'"
)


@needs_anywidget
def test_a_click_comes_back_to_python(tiny):
    seen = regard.read(REPEATED, tiny)
    widget, heard = seen.widget(), []
    widget.observe(lambda change: heard.append(change["new"]), "chosen")
    assert isinstance(widget.comm.comm_id, str)
    # what the browser's side of the comm sends when the model is saved there
    widget._handle_msg(
        {"content": {"data": {"method": "update", "state": {"chosen": [2, 3]}, "buffer_paths": []}}, "buffers": []}
    )
    assert heard == [[2, 3]] and widget.chosen == [2, 3]
    assert seen.weights(*widget.chosen).shape == (len(seen.run.tokens),) * 2
    maximum = pooled_overview(seen.run.attention).maximum
    assert widget.maps == weights_as_bytes(maximum).tobytes()


@needs_anywidget
@pytest.mark.parametrize("place", [[3, 0], [0, 4], [-1, 0], [0], ["a", "b"]])
def test_a_head_that_is_not_there_is_not_chosen(tiny_run, place):
    import traitlets

    widget = grid_widget(tiny_run, "self", (0, 1))
    with pytest.raises(traitlets.TraitError):
        widget.chosen = place
    assert widget.chosen == [0, 1]


def test_without_anywidget_it_says_what_to_install(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(
        regard.VisitorError, match=r"need anywidget, not installed here: pip install 'regard\[notebook\]'"
    ):
        regard.read(REPEATED, tiny).widget()
