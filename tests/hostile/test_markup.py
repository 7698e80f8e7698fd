"""A model whose every string is hostile, on every page: nothing that came with it is markup."""

import json
import shutil
from itertools import product

import pytest

from model.analysis.attention_map import MapSpec
from model.text.prompt import Prompt, RunKey
from tests.hostile import models
from tests.hostile.pages import PAGES, faults
from tests.hostile.strings import ATOMS, ELSEWHERE
from tests.pages.reading import open_card
from viz.plain import plain
from viz.ui.cells import Cell

# whatever a page shows only when asked
EVERYTHING = {
    "attention": [
        {"panel": "received and given", "graph": "arcs", "units": "words", "flow": "rollout"},
        {"panel": "sums of tokens", "graph": "layers", "show": "all", "flow": "carried"},
    ],
    "generation": [{"explained": "true", "steps": "8"}],
    "head": [{"layer": "1", "why": "true", "numbers": "carried_words"}],
    "heads": [{"texts": "own", "lines": models.TEXT}],  # what is hostile, and not our own texts
    "comparison": [{"other_text": models.TEXT + " " + models.TEXT, "card": "B-A~1~0"}, {"compare": "heads"}],
    "mechanism": [{"head_off": "true"}, {"edge_off": "true", "mask_off": "true"}],
    "translation": [{"target": models.TEXT, "reference": models.TEXT, "between": "tokens"}, {}],
    "understanding": [
        {"section": "blank", "text": models.BLANKED, "explained_here": "true", "steps": "8"},
        {"section": "both", "maps": "head"},
        {"section": "sentiment", "explained_here": "true", "steps": "8"},
        {"section": "similarity", "second": models.TEXT},
    ],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return models.write(tmp_path_factory.mktemp("[r](x)").resolve())


@pytest.fixture
def open_with(open_page, folders, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(folders["decoder"].parent))

    def open(kind: str, page: str, **link: str):
        return open_page(page, **({"model": f"folder:{folders[kind]}", "text": models.TEXT} | link))

    return open


@pytest.mark.parametrize(("kind", "name"), list(product(models.KINDS, PAGES)))
def test_nothing_of_a_hostile_model_is_markup(open_with, folders, kind, name):
    for choices in EVERYTHING.get(name, [{}]):
        app = open_with(kind, name, **choices)
        assert faults(app, models.TEXT, models.FOLDER) == [], choices
        assert app.session_state.model == f"folder:{folders[kind]}"  # else its strings were not there at all


def test_what_is_shown_after_clicks(open_with):
    """What no link can open: a written text, its choices, a card and its parts, sums of tokens."""
    app = open_with("decoder", "generation")
    for _ in range(2):
        app.button(key="next_one").click().run()
    assert faults(app) == []
    for heads, queries in ((((0, 0),), (3,)), (((0, 0), (1, 1)), (2, 3))):  # one weight; a sum with its parts
        app = open_with("decoder", "attention")
        key = RunKey(app.session_state.model, Prompt(models.TEXT))
        open_card(app, Cell(key, MapSpec(heads), queries, (1,)))
        assert faults(app) == [] and "weight-card" in "".join(element.proto.body for element in app.get("html"))
    app = open_with("decoder", "attention", panel="sums of tokens")
    app.multiselect(key="summed").select(0).select(1).run()
    assert faults(app) == []
    assert app.get("plotly_chart")[-1].proto.alt.startswith("Bars over")


def test_the_numbers_of_every_picture(open_with):
    """The tables that are sent once asked for."""
    for kind, page in (("decoder", "attention"), ("decoder", "head"), ("encoder-decoder", "translation")):
        app = open_with(kind, page)
        before = len(app.get("dataframe"))
        for toggle in [each for each in app.toggle if each.label == "Show the numbers"]:
            toggle.set_value(True)
        assert faults(app.run()) == []
        assert len(app.get("dataframe")) > before or page == "head"  # its parameters are not had of this class


@pytest.mark.parametrize("damage", ["config", "weights", "type"])
def test_the_reason_of_a_refusal_is_text(open_page, folders, tmp_path, monkeypatch, damage):
    """Sentences about a folder quote its files: on all pages, in the sidebar too."""
    folder = shutil.copytree(folders["decoder"], tmp_path / models.FOLDER)
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(tmp_path))
    match damage:
        case "config":
            (folder / "config.json").write_text(json.dumps({"model_type": ATOMS[0], "x": ATOMS[1]}))
        case "weights":
            (folder / "model.safetensors").write_bytes(ATOMS[7].encode() * 9)
        case "type":
            (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_layer": ATOMS[0]}))
    app = open_page("tokenization", model=f"folder:{folder}")
    assert faults(app, models.FOLDER) == [] and "cannot be shown here" in app.info[0].value
    app = open_page("tokenization")
    app.sidebar.text_input(key="own_model").set_value(str(folder)).run()
    assert faults(app, models.FOLDER) == [] and app.sidebar.warning


def test_the_watch_sees_what_is_not_text(open_page):
    """The test of the test: what these pages are searched for is found where it is."""
    app = open_page("tokenization")
    note = app.markdown[0].proto
    for text in (*ATOMS[:8], *ATOMS[15:18], "a -> b", f"a [b](http://{ELSEWHERE}) c"):
        note.body = text
        assert faults(app), text
        note.body = plain(text)
        assert not faults(app), text
