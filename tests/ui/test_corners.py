"""Each picture takes its caption and its numbers along; none is drawn past the two functions that see to that."""

import ast
import base64
import json
import re

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from model import catalog
from model.analysis.attention import attention_weights
from tests.conftest import ROOT
from tests.test_contracts import SCRIPTS
from viz.ui import corners

CHARTS = r"\.(?:\w+_chart|pyplot)\("  # of Streamlit


def test_every_figure_of_plotly_goes_through_one_function():
    sources = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in SCRIPTS}
    drawn = [(name, call) for name, source in sources.items() for call in re.findall(CHARTS, source)]
    assert drawn == [("viz/ui/pictures.py", ".plotly_chart(")]
    assert [name for name, source in sources.items() if "components.v2" in source] == ["viz/components/__init__.py"]


@pytest.mark.parametrize("path", sorted((ROOT / "viz/components").glob("*.py")), ids=lambda path: path.stem)
def test_every_component_says_whether_it_is_a_picture(path):
    """And each that is not is one of those that stand here."""
    made = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("register", "mount")
    ]
    if path.stem == "__init__":
        return
    said = [keyword.value.value for call in made for keyword in call.keywords if keyword.arg == "picture"]
    assert len(said) == len(made), f"{path.name}: say picture=True, or picture=False, where it is made"
    assert all(said) == (path.stem not in NO_PICTURES), "a picture can be saved from its corner"


NO_PICTURES = (
    "address card_frame collect contents copy_link corners head_look look_again paper presenter reconnect skip "
    "text_file theme_watch tour words"
).split()


@pytest.fixture(scope="module")
def told():
    """What the pictures of the attention page take along: by the key of each."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.switch_page("viz/pages/attention.py")
    app.query_params.update({"text": "=the <b>cat</b>", "layer": "2", "head": "3"})
    app.run()
    assert not app.exception
    figures = [json.loads(each.proto.spec)["layout"]["meta"]["regard"] for each in app.get("plotly_chart")]
    return {each["key"]: each for each in figures}


def test_a_caption_says_text_model_weights_head_rules_and_version(told):
    lm = catalog.load("story")
    text, model, last = told["head_map"]["caption"]
    assert text == "“=the <b>cat</b>”"
    assert model == f"{lm.info.title} · model story, weights {lm.info.fingerprint[:12]} · Layer 2, head 3"
    assert re.fullmatch(r"Attention\. Regard( [\d.]+\S*)?", last)
    assert told["head_map"]["name"] == "regard_story_head-map_layer-2-head-3_the-b-cat-b"


def test_the_numbers_are_those_of_the_tensor(told):
    lm = catalog.load("story")
    run = lm.run(lm.encode("=the <b>cat</b>"))
    (_, rows), *columns = told["head_map"]["numbers"]["columns"]
    assert rows == [name for name, _ in columns] == [f"{i} {label}" for i, label in enumerate(run.labels)]
    found = np.stack([np.frombuffer(base64.b64decode(values["f4"]), "<f4") for _, values in columns], axis=1)
    assert np.array_equal(found, attention_weights(run.attention[2], 3))


def test_many_numbers_are_sent_only_when_they_are_asked_for(monkeypatch):
    state = _State({"page": "training", "lesson": "copier"})
    monkeypatch.setattr(st, "session_state", state)
    table = pd.DataFrame(np.zeros((200, 200), np.float32))
    few = corners.of("few", "a picture", lambda: table.iloc[:10])
    assert "numbers" in few and "asks" not in few
    assert few["caption"][0] == "the copier, a model of two layers"
    many = corners.of("many", "a picture", lambda: table)
    assert many["asks"] == 40_000 and "numbers" not in many and corners._ANSWER not in state
    state[corners._ASKED] = "many"
    corners.of("many", "a picture", lambda: table)
    assert state[corners._ANSWER]["key"] == "many" and len(state[corners._ANSWER]["numbers"]["columns"]) == 200
    with corners.about("layer 1", model="Zib", text="a text"):
        assert corners.of("x", "a picture", None)["caption"][:2] == ["“a text”", "Zib · layer 1"]


class _State(dict):
    __getattr__ = dict.__getitem__
