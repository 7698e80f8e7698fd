"""The worked notebooks run, cell by cell, in a kernel of their own, and show what they say that they show."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted(Path(__file__).parent.glob("*.ipynb"))
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install 'regard[test]'")
pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install 'regard[test]'")


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def ran(request, as_declared):
    """A notebook after its last cell; a cell that raises fails."""
    import nbformat

    book = nbformat.read(request.param, as_version=4)
    # quiet: the kernel's own words on ports and frozen modules say nothing of the notebook
    kernel = {"env": os.environ | {"PYTHONPATH": as_declared, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}}
    client = nbclient.NotebookClient(
        book, timeout=300, startup_timeout=300, resources={"metadata": {"path": str(ROOT)}}
    )
    client.execute(**kernel)
    return book


def test_it_runs_and_shows_live_pictures(ran):
    shown = [
        output.data
        for cell in ran.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]
    frames = [data["text/html"] for data in shown if data.get("text/html", "").startswith("<iframe srcdoc=")]
    assert frames and all("regard-numbers" in frame for frame in frames)
    assert any("<table" in data.get("text/html", "") for data in shown)
    said = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.output_type == "error" for output in said)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_what_it_shows(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in book["cells"] if "outputs" in cell)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
