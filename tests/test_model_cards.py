"""The README says of the built-in models what their cards say."""

import json

from model import catalog
from tests import model_cards, readme
from tests.builtin.test_classifier import write_layer
from tests.conftest import write_tiny
from tests.pages.test_model import CARDS


def test_the_readme_says_what_the_cards_say():
    """If this fails, weights were replaced: run `python -m tests.model_cards`."""
    assert readme.part(model_cards.PART) == model_cards.text()


def test_every_figure_comes_from_a_card(tmp_path):
    for name, family in (("story", "decoder"), ("pair", "encoder-decoder"), ("sentiment", "classifier")):
        folder = write_tiny(tmp_path / name)
        stated = {"architecture": family, "parameters": 123_456, "command": "python -m x --work WORK, then python -m y"}
        (folder / "card.json").write_text(json.dumps(CARDS[family] | stated))
    said = model_cards.text(tmp_path)
    assert (
        said.index("`story`, decoder") < said.index("`sentiment`, classifier") < said.index("`pair`, encoder-decoder")
    )
    assert "3 layers x 4 heads, d_model 32, 32 positions" in said and "3 + 3 layers x 4 heads" in said
    assert "123,456 weights. We trained them ourselves in **1.50 hours**" in said
    assert "| TinyStories, a sample | 2.50 | 12.2 | 0.900 | 1.360 |" in said
    assert "the model is not ahead of it on: Simple fiction from Project Gutenberg." in said
    assert "| greedy | 41.1 | 58.5 |" in said
    assert "Film reviews (± 4.4 %), in points: -4.8 against bag of words." in said
    assert "> **O** a a a\\\n> 59 tokens, 51 repeated" in said
    assert ".venv/bin/python -m x --work runs/story\n.venv/bin/python -m y\n" in said
    assert ".venv/bin/python -m y --export model/weights/story" in said


def test_a_model_that_began_as_a_smaller_one_says_so(tmp_path):
    folder = write_tiny(tmp_path / "story")
    smaller = {"command": "python -m x --work WORK", "parameters": 45_678, "tokens": 9_000, "hours": 0.5}
    stated = {"architecture": "decoder", "parameters": 1, "command": "python -m x --work WORK --grow-from some/where"}
    (folder / "card.json").write_text(json.dumps(CARDS["decoder"] | stated | {"grown_from": smaller}))
    said = model_cards.text(tmp_path)
    assert "made wider and deeper: 45,678 weights that had been trained for 0.50 hours over 9,000 tokens." in said
    begun, first = ".venv/bin/python -m x --work runs/smaller-story", ".venv/bin/python -m x --work runs/story"
    grown = f"{first} --grow-from runs/smaller-story/weights"
    export = "--export runs/smaller-story/weights"
    assert f"{begun}\n{begun} {export}\n{grown}\n{grown} --export model/weights/story\n" in said


def test_who_is_ahead_of_the_five_gram(tmp_path):
    def verdict(*bits: float) -> str:
        rows = {str(i): {"bits_per_byte": bits_, "five_gram": 1.4} for i, bits_ in enumerate(bits)}
        return "".join(model_cards.against_five_gram({"held_out": rows}))

    assert verdict(1.3, 1.39).endswith("the model is ahead of it on all of these.")
    assert verdict(1.3, 1.4, 1.5).endswith("the model is not ahead of it on: 1, 2.")
    assert verdict() == ""


def test_all_weights_that_are_shipped_have_a_card():
    for entry in catalog.available():
        if entry.source == catalog.BUILT_IN:
            assert f"`{entry.name}`, " in model_cards.text()


def test_a_layer_over_an_encoder_has_the_shape_of_both(tmp_path):
    write_layer(tmp_path / "judge")
    row = {"texts": 500, "margin": 0.044, "linear layer": 0.79, "bag of words": 0.75, model_cards.TOGETHER: 0.8}
    typed = [{"text": "It rains", "wanted": "neutral", "found": "positive", "probability": 0.51}]
    own = {"architecture": "classifier", "parameters": 12345, "test": {"films": row}, "typed": typed}
    for folder, more in (("judge", own), ("body", {"architecture": "encoder", "parameters": 12000})):
        (tmp_path / folder / "card.json").write_text(json.dumps(CARDS["classifier"] | more))
    write_tiny(tmp_path / "story")
    card = {"architecture": "decoder", "parameters": 1, "command": "python -m x"}
    (tmp_path / "story/card.json").write_text(json.dumps(CARDS["decoder"] | card))
    said = model_cards.text(tmp_path)
    assert "`judge`, classifier: 2 layers x 2 heads, d_model 16, 40 positions" in said
    assert "Film reviews (± 4.4 %), in points: +4.0 against bag of words.\n" in said
    assert "| It rains | neutral | positive | 51.0 % |" in said
