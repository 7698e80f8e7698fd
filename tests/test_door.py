"""`import model`: what notebooks and scripts have of Regard."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import model
from model import catalog
from tests.any_models import write_models
from tests.conftest import ROOT
from tests.readme import README


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


def test_the_names_are_there_and_cost_nothing_until_asked_for():
    assert all(getattr(model, name) for name in model.__all__)
    code = "import sys, model; print(sorted({'torch', 'numpy', 'transformers', 'streamlit'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        model.nothing  # noqa: B018


DRAW = """import sys, model as regard
before = set(sys.modules)
seen = regard.read("the cat", regard.load("story"))
assert not any(name.startswith("viz") for name in before), before
print(seen._repr_html_(), regard.heads, regard.of, regard.scores)"""


def test_where_regard_is_installed_the_door_draws_too(as_declared):
    """It names nobody who does: they are found by the entry point."""
    env = os.environ | {"PYTHONPATH": as_declared}
    shown = subprocess.check_output([sys.executable, "-c", DRAW], cwd=ROOT, text=True, env=env)
    assert shown.startswith("<iframe srcdoc=") and "regard-numbers" in shown


def test_without_who_draws_it_says_so(monkeypatch):
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **which: ())
    with pytest.raises(AttributeError, match=r"model\.read draws, and nothing that draws is installed: pip install"):
        model.read  # noqa: B018


def test_what_the_readme_shows_runs():
    """The first lines of Python in the README, as they stand there."""
    code = textwrap.dedent(README.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0])
    names: dict = {}
    exec(code, names)
    weights = names["weights"]
    assert weights.shape == (len(names["run"].tokens),) * 2
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    assert not np.triu(weights, 1).any()  # a decoder does not look ahead
    assert names["changed"].intervention.heads_off == {(3, 2)}
    assert names["changed"].predictions.next_log_prob.shape == names["run"].predictions.next_log_prob.shape


def test_models_of_ones_own(folders, monkeypatch):
    by_path = model.load(folders / "decoder")
    monkeypatch.chdir(folders)
    by_name = model.load("decoder")  # a folder beside one
    assert by_path.info.fingerprint == by_name.info.fingerprint
    with pytest.raises(model.VisitorError, match=r"There is no model “nothing” here"):
        model.load("nothing")
    with pytest.raises(model.VisitorError, match=r"is not on this machine yet\. .*: hf download org/name"):
        model.load("org/name")
    assert model.load(catalog.DEFAULT).info.name == catalog.DEFAULT
