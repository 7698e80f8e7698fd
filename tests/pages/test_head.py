"""The page Inside a head: what it sends, checks and says."""

import re
from pathlib import Path

import numpy as np
import pytest

from model.analysis.attention_map import MapSpec
from model.analysis.head import head_steps
from model.text.prompt import Prompt, RunKey
from tests.conftest import REPEATED
from tests.head_models import MODELS, write
from tests.pages.reading import open_card, said, sent
from viz.ui.cells import Cell


def payload(app) -> tuple[dict, dict[str, dict[str, np.ndarray]]]:
    """What the page sends to the browser: the view, and the columns of each table."""
    message, tables = sent(app, "head_steps")
    return message["view"], tables


def test_the_page_sends_the_steps_of_its_link(open_page, story):
    app = open_page("head", text=REPEATED, layer=2, head=3, token=5, key=3)
    assert not app.exception
    run = story.run(story.encode(REPEATED))
    steps = head_steps(run, story.layer_parameters(2), 2, 3, 5)
    view, tables = payload(app)
    assert [view[name] for name in ("layer", "head", "query", "chosen", "n")] == [2, 3, 5, 3, len(run.tokens)]
    assert view["labels"] == run.labels and view["tokens"] == list(range(len(run.tokens)))
    for table, pairs in {
        "stream": {"x": steps.hidden, "normed": steps.normed, "o": steps.projected, "after": steps.after},
        "head": {"q": steps.q.end, "k": steps.keys.end[5]},
        "value": {"v": steps.values.end[5], "z": steps.mixed},
        "rows": {"d": steps.dots, "s": steps.scores, "weights": steps.weights},
        "keys": {"w": steps.keys.end.ravel()},
        "values": {"w": steps.values.end.ravel()},
    }.items():
        for name, expected in pairs.items():
            np.testing.assert_array_equal(tables[table][name], expected, err_msg=name)


def test_the_page_checks_itself(open_page):
    app = open_page("head", text=REPEATED, layer=3)
    words = said(app)
    assert (words.count("**Check:**"), words.count("**Check failed")) == (3, 0)
    differences = [float(number) for number in re.findall(r"\*\*(\d\.\de[-+]\d+)\*\*", words)]
    assert len(differences) == 3 and max(differences) < 1e-5
    assert r"\frac" in words and r"\textcolor" in words


def test_a_long_text_sends_few_rows_and_says_what_is_left_out(open_page, story):
    text = "Once upon a time there was a little girl. " * 40
    n = len(story.encode(text))
    assert 400 < n <= story.info.n_context
    app = open_page("head", text=text, layer=3, head=2, token=n - 1, key=77)
    assert not app.exception
    view, tables = payload(app)
    assert len(view["tokens"]) == 24 and {76, 77, 78, n - 2, n - 1} <= set(view["tokens"])
    assert view["tokens"][view["chosen"]] == 77 and view["tokens"][view["own"]] == n - 1
    assert len(tables["keys"]["w"]) == 24 * story.info.d_model // story.info.n_head
    assert sum(view["left_out"]) + tables["rows"]["weights"].sum() == pytest.approx(1, abs=1e-5)
    drawn = np.diff([-1, *view["tokens"], n]) - 1  # tokens between the rows
    assert [bool(count) for count in drawn] == [bool(weight) for weight in view["left_out"]]


@pytest.mark.parametrize("text", ["a", "🙂", "今天", "مرحبا", "<script>alert(1)</script>", "[q]{x}", "\x00\x07", "\n"])
def test_short_and_strange_texts_are_read(open_page, text, story):
    app = open_page("head", text=text)
    assert not app.exception
    assert said(app).count("**Check:**") == 3
    assert payload(app)[0]["labels"] == [token.label for token in story.encode(text)]


def test_the_numbers_are_there_as_tables(open_page, story):
    app = open_page("head", text=REPEATED, token=4, layer=0)
    app.get_by_key("head_twin").set_value(True).run()
    assert not app.exception
    run = story.run(story.encode(REPEATED))
    steps = head_steps(run, story.layer_parameters(0), 0, 0, 4)
    keys, stream, head = (table.value for table in app.dataframe)
    np.testing.assert_array_equal(keys["weight"], steps.weights)
    assert list(keys.index)[:2] == ["0 the", "1 ␣cat"]
    np.testing.assert_array_equal(stream["x′"], steps.after)
    np.testing.assert_array_equal(head[["q", "z"]], np.stack([steps.q.end, steps.mixed], axis=1))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def follow(open_page, root, monkeypatch):
    """`follow("llama", layer=1)`: the page as a tiny model of that kind is followed."""
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(root))

    def follow(name: str, page: str = "head", **link: object):
        app = open_page(page, text="the cat saw the dog", model=f"folder:{write(name, root)}", **link)
        assert not app.exception and "**Check failed" not in said(app)
        return app

    return follow


@pytest.mark.parametrize("name", [name for name, (*_, steps) in MODELS.items() if steps])
def test_only_the_steps_that_a_model_has_are_shown(follow, name):
    app = follow(name, layer=1, head=2, token=3, key=1)
    view, tables = payload(app)
    assert tuple(step["title"] for step in view["steps"]) == MODELS[name][2]
    differences = [float(number) for number in re.findall(r"to \*\*(\S+)\*\*", said(app))]
    assert len(differences) == 3 and max(differences) < 1e-5
    assert tables["rows"]["weights"].sum() == pytest.approx(1, abs=1e-5)
    biased = {"q_bias", "k_bias", "v_bias"} & {column for table in tables.values() for column in table}
    assert bool(biased) == (name in ("gpt2", "bert", "opt", "phi"))
    assert (r"+ b_q" in said(app)) == bool(biased)


def test_what_a_model_does_otherwise_is_said_in_words(follow):
    def words(name: str, **link: object) -> dict[str, str]:
        view, _ = payload(follow(name, **({"layer": 1, "head": 3, "token": 4} | link)))
        return {step["title"]: "".join(step["sentence"]) for step in view["steps"]}

    assert "heads 2 to 3 are group 1 of 2" in words("llama")["Query, key and value"]
    assert "those of this q 4 times" in words("llama")["Rotary positions"]
    assert "Only 4 of the 8 numbers are turned" in words("phi")["Rotary positions"]
    assert "what works beside the attention" in words("phi")["Add to the residual stream"]
    assert "stand 3 or more before it" in words("mistral")["Scale and mask"]
    assert "gets beyond ± 2:" in words("gemma2")["Soft cap and mask"]
    assert "the vector of the token times 5.657." in words("gemma2", layer=0)["The vector of the token"]
    assert "0.25 times," in words("granite")["Add to the residual stream"]
    assert (
        "the vector of the token plus the vector of its position" in words("gpt2", layer=0)["The vector of the token"]
    )
    assert "normed after each sum" in words("bert")["The vector of the token"]
    assert "cross-attention, and then its MLP" in words("t5")["Add to the residual stream"]


def test_where_a_step_is_not_followed_the_page_names_it_and_nothing_links_there(follow):
    app = follow("bloom", layer=1)
    assert "the step “Query, key and value” of layer 1 cannot be followed" in said(app)
    assert not any("head_steps" in each.proto.component_name for each in app.get("bidi_component"))

    def labels(name: str, page: str) -> list[str]:
        return [each.proto.label for each in follow(name, page, layer=1, head=1).get("page_link")]

    # one is in the navigation
    assert [labels(name, "home").count("Inside a head") for name in ("llama", "bloom")] == [
        2,
        1,
    ]


def test_the_card_links_there_only_where_the_head_can_be_followed(follow, root):
    for name, linked in (("llama", True), ("bloom", False)):
        app = follow(name, "attention", layer=1, head=1)
        text = Prompt("the cat saw the dog")
        open_card(app, Cell(RunKey(f"folder:{root / name}", text), MapSpec(((1, 1),)), (3,), (1,)))
        assert not app.exception
        assert ("How this head works, step by step" in [each.proto.label for each in app.get("page_link")]) == linked
