"""`import model`: what notebooks and scripts have of Regard."""

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
