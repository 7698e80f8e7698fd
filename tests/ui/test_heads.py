"""The chooser of heads: what choices and clicks make, and that every page draws the same one."""

import pytest
from streamlit.testing.v1 import AppTest

from model.analysis.attention_map import HeadsError, MapSpec, heads_at
from model.grid import Grid
from tests.shipped import ENCODER, STORY, TRANSLATOR
from viz.ui import heads

STATE = {"layer": 1, "head": 2, "heads": "2.3, 0.*", "kind": "self", "show": "head", "across": "all"}


def in_a_session(run, call, **state) -> tuple[object, dict]:
    """What `call(run)` gives where these are the choices, and the choices after it. The tiny run has 3 layers of 4."""

    def script(run, call, state, found):
        import streamlit as st

        st.session_state.update(state)
        found.append(call(run))

    found = []
    app = AppTest.from_function(script, kwargs={"run": run, "call": call, "state": STATE | state, "found": found})
    app.run()
    if app.exception:
        raise AssertionError(app.exception[0].value)
    return found[0], {name: app.session_state[name] for name in STATE}


@pytest.mark.parametrize(
    ("show", "chosen"),
    [
        ("head", [(1, 2)]),
        ("layer", heads_at(Grid(3, 4), layer=1)),
        ("all", heads_at(Grid(3, 4))),
        ("mean", heads_at(Grid(3, 4))),
        ("chosen", [*heads_at(Grid(3, 4), layer=0), (2, 3)]),
    ],
)
def test_each_choice_makes_a_spec(tiny_run, show, chosen):
    spec, _ = in_a_session(tiny_run, lambda run: heads.spec(show, run, combine="max", sink="hide"))
    assert spec == MapSpec(tuple(chosen), "max", "hide")


def test_a_second_model_has_names_of_its_own(tiny_run):
    state = {"decoder_layer": 2, "decoder_head": 0}
    spec, _ = in_a_session(tiny_run, lambda run: heads.spec("head", run, before="decoder_"), **state)
    assert spec.heads == ((2, 0),)


def test_heads_of_which_attention(tiny_run, tiny_translator):
    translated = tiny_translator.run(tiny_translator.encode("the cat"), source=tiny_translator.encode("the dog"))
    for run, kind, read in [(tiny_run, "cross", "self"), (translated, "cross", "cross")]:
        assert in_a_session(run, heads.attention_read, kind=kind)[0] == read
    spec, _ = in_a_session(translated, lambda run: heads.spec("all", run, "cross"))
    assert spec == MapSpec(heads_at(Grid(len(translated.cross), 4)), of="cross")


def test_heads_that_do_not_exist_are_refused(tiny_run):
    def refused(run):
        with pytest.raises(HeadsError, match=r"There is no head 9\.9: layers go from 0 to 2, heads from 0 to 3\."):
            heads.spec("chosen", run)

    in_a_session(tiny_run, refused, heads="9.9")


@pytest.mark.parametrize(
    ("before", "click", "add", "after"),
    [
        ({}, (2, 3), False, {"show": "head", "layer": 2, "head": 3}),
        ({}, (2, None), False, {"show": "layer", "layer": 2}),
        ({}, (None, 3), False, {"show": "chosen", "heads": "*.3"}),
        ({}, (2, 3), True, {"show": "chosen", "heads": "1.2, 2.3"}),
        ({"show": "layer"}, (2, 3), True, {"show": "chosen", "heads": "1.*, 2.3"}),
        ({"show": "chosen"}, (2, 3), True, {"show": "chosen", "heads": "0.*"}),
        ({"show": "chosen"}, (0, None), True, {"show": "chosen", "heads": "2.3"}),
        ({}, (1, 2), True, {"show": "chosen", "heads": "1.2"}),  # the last one stays
        ({"show": "chosen", "heads": "9.9"}, (2, 3), True, {"show": "chosen", "heads": "2.3"}),
    ],
)
def test_what_a_click_on_the_grid_chooses(tiny_run, before, click, add, after):
    _, state = in_a_session(tiny_run, lambda run: heads.choose_on_grid("show", run, "self", *click, add=add), **before)
    assert state == STATE | before | after


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize(
    ("click", "after"),
    [
        ((2, 3), {"across": "head", "layer": 2, "head": 3}),
        ((2, None), {"across": "layer", "layer": 2}),
        ((None, 3), {}),
    ],
)
def test_where_only_one_a_layer_or_all_can_be_read(tiny_run, add, click, after):
    _, state = in_a_session(tiny_run, lambda run: heads.choose_on_grid("across", run, "self", *click, add=add))
    assert state == STATE | after


@pytest.mark.parametrize(("page", "name"), [("attention", "show"), ("translation", "across")])
@pytest.mark.parametrize(("show", "count"), [("head", (True, True)), ("layer", (True, False)), ("all", (False, False))])
def test_layer_and_head_can_be_moved_where_they_count(open_page, page, name, show, count):
    at = open_page(page, **{name: show}, layer=1, head=2)
    assert not at.exception
    assert tuple(not at.slider(key=key).disabled for key in ("layer", "head")) == count
    assert at.get_by_key(name).label == "Read"


@pytest.mark.parametrize(
    ("page", "link", "words"),
    [
        ("attention", {"show": "layer"}, f"The mean of the {STORY.n_head} heads of layer 1"),
        (
            "attention",
            {"model": "translator", "kind": "cross", "show": "all"},
            f"The mean of all {TRANSLATOR.n_layer * TRANSLATOR.n_head} heads, cross-attention",
        ),
        ("translation", {"across": "layer"}, f"by the mean of the {TRANSLATOR.n_head} heads of layer 1."),
        ("translation", {"across": "head"}, "by layer 1, head 2."),
        (
            "generation",
            {"mean_of_heads": "true"},
            f"in the mean of the {STORY.n_head} heads of layer 1 it looks most at",
        ),
        ("understanding", {"section": "both"}, f"The mean of all {ENCODER.n_layer * ENCODER.n_head} heads: "),
        ("mechanism", {}, "Where layer 1, head 2 looks"),
    ],
)
def test_every_page_names_heads_alike(open_page, page, link, words):
    from tests.pages.reading import said

    at = open_page(page, layer=1, head=2, **link)
    assert not at.exception and words in said(at)
