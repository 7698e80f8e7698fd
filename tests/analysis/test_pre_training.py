"""What a training takes, by the rule of 6 N D: counted by hand, and held against what was published."""

import pytest
import torch

from model.analysis.pre_training import PUBLISHED, of_card
from model.builtin.transformer import Config, Transformer
from model.sources import builtin_files

CARD = {"title": "Tiny", "steps": 10, "tokens": 4000, "hours": 0.5, "machine": "a machine"}
SHAPES = {name: tuple(t.shape) for name, t in Transformer(Config(20, 8, 2, 2, 4)).state_dict().items()}


def test_tables_do_not_work_on_each_token():
    made = of_card("tiny", CARD, SHAPES)
    layers = 2 * (12 * 4**2 + 13 * 4)  # matrices; biases and the two norms of each layer
    assert made.n_working == layers + 2 * 4  # and the last norm
    assert made.n_parameter == made.n_working + 20 * 4 + 8 * 4
    assert made.operations == 6 * made.n_working * 4000
    assert made.with_output == 6 * (made.n_working + 20 * 4) * 4000
    assert made.seconds == 1800 and made.speed == made.operations / 1800
    assert made.tokens_a_second == 4000 / 1800


def test_seconds_are_those_of_the_history_where_it_goes_to_the_end():
    rows = {"columns": ["step", "tokens", "seconds", "nats"], "rows": [[5, 2000, 800, 2.0], [10, 4000, 1790, 1.0]]}
    assert of_card("tiny", CARD | {"history": rows}, SHAPES).seconds == 1790
    assert of_card("tiny", CARD | {"history": rows | {"rows": rows["rows"][:1]}}, SHAPES).seconds == 1800


@pytest.mark.parametrize("card", [{"title": "Tiny"}, CARD | {"own_parameters": 12}, CARD | {"hours": 0}])
def test_what_cannot_be_reckoned_is_left_out(card):
    assert of_card("tiny", card, SHAPES) is None


def test_the_rule_comes_to_what_the_authors_published():
    known = [each for each in PUBLISHED if each.published]
    assert [each.name for each in known] == ["gpt3-small", "gpt3"]
    for each in known:
        assert each.with_output == pytest.approx(each.published, rel=0.02)


def test_gpt_2_is_as_large_as_its_shape():
    for each in PUBLISHED[:2]:
        rest = 13 * each.n_layer * each.d_model + 2 * each.d_model + 1024 * each.d_model
        assert each.n_parameter == each.n_working + each.n_output + rest
        assert each.n_token is each.operations is each.with_output is each.tokens_a_parameter is each.speed is None


def test_shapes_are_read_off_the_header(tiny_folder):
    shapes = builtin_files.shapes(tiny_folder)
    assert shapes["token_embedding.weight"][1] == 32 and "blocks.2.attention.query.weight" in shapes
    assert not any(isinstance(shape, torch.Size) for shape in shapes.values())
