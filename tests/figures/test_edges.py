"""Which lines are drawn and how they are counted, against counting by hand."""

import numpy as np
import pytest

from viz.figures.edges import choose_edges, count_each, count_sentence, strongest
from viz.figures.numbers import whole_percent

NAN = np.nan
WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.5, 0.125, 0.375]], np.float32)


def pairs(edges):
    return [(int(query), int(key), float(weight)) for query, key, weight in zip(*fields(edges), strict=True)]


def fields(edges):
    return edges.query, edges.key, edges.weight


def random_map(rng, n_query, n_key):
    """Few different values, so that there are ties; some zeros, some cells without a weight."""
    weights = rng.integers(0, 5, (n_query, n_key)).astype(np.float32) / 8
    weights[rng.random(weights.shape) < 0.2] = NAN
    return weights


def test_every_weight_above_zero_is_a_line_and_none_that_is_masked():
    edges = choose_edges(WEIGHTS)
    assert pairs(edges) == [(0, 0, 1), (1, 0, 0.75), (1, 1, 0.25), (2, 0, 0.5), (2, 1, 0.125), (2, 2, 0.375)]
    assert (edges.n_possible, edges.share, edges.left_out) == (6, 1.0, 0.0)
    assert edges.weight.dtype == np.float32


def test_a_line_has_at_least_the_threshold_also_in_float32():
    assert pairs(choose_edges(WEIGHTS, threshold=0.5)) == [(0, 0, 1), (1, 0, 0.75), (2, 0, 0.5)]
    assert len(choose_edges(np.float32([[0.02]]), threshold=0.02).weight) == 1
    assert choose_edges(WEIGHTS, threshold=0.5).share == 2.25 / 3


def test_top_counts_in_each_row():
    edges = choose_edges(WEIGHTS, top=2)
    assert pairs(edges) == [(0, 0, 1), (1, 0, 0.75), (1, 1, 0.25), (2, 0, 0.5), (2, 2, 0.375)]
    assert edges.share == 2.875 / 3
    assert pairs(choose_edges(WEIGHTS, top=2, threshold=0.375)) == [(0, 0, 1), (1, 0, 0.75), (2, 0, 0.5), (2, 2, 0.375)]


def test_of_equal_weights_the_first_keys_are_taken():
    assert pairs(choose_edges(np.full((2, 4), 0.25), top=2)) == [(q, k, 0.25) for q in (0, 1) for k in (0, 1)]
    assert choose_edges(np.float32([[0.1, 0.4, 0.1, 0.3, 0.1]]), top=3).key.tolist() == [0, 1, 3]


def test_no_such_weight_is_no_line_and_not_counted():
    weights = np.float32([[0.5, NAN, 0.5], [NAN, NAN, NAN]])
    edges = choose_edges(weights, top=1)
    assert pairs(edges) == [(0, 0, 0.5)]
    assert (edges.n_possible, edges.share, edges.shape) == (2, 0.5, (2, 3))
    assert pairs(choose_edges(weights, top=2)) == [(0, 0, 0.5), (0, 2, 0.5)]


@pytest.mark.parametrize("top", [3, 4, 100])
def test_a_top_beyond_the_keys_leaves_nothing_out(top):
    assert pairs(choose_edges(WEIGHTS, top=top)) == pairs(choose_edges(WEIGHTS))


@pytest.mark.parametrize("weights", [[[1.0]], [[3.0]]])
def test_one_token(weights):
    edges = choose_edges(np.array(weights), top=8)
    assert pairs(edges) == [(0, 0, weights[0][0])]
    assert count_sentence(edges) == "showing 1 of 1 line, 100 % of the weight"


@pytest.mark.parametrize("weights", [np.zeros((2, 3)), np.full((2, 3), NAN), np.zeros((0, 3)), np.zeros((3, 0))])
def test_a_map_without_weight(weights):
    edges = choose_edges(weights, top=1)
    assert (len(edges.weight), edges.share) == (0, 0.0)
    assert "weight" not in count_sentence(edges)


@pytest.mark.parametrize("top", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("threshold", [0.0, 0.25, 2.0])
def test_against_the_rule_cell_by_cell(top, threshold):
    rng = np.random.default_rng(0)
    for _ in range(20):
        weights = random_map(rng, *rng.integers(1, 7, 2))
        kept = []
        for query, row in enumerate(weights):
            cells = sorted((-w, k) for k, w in enumerate(row) if not np.isnan(w))
            kept += sorted((query, k, -w) for w, k in cells[: top or None] if -w > 0 and -w >= threshold)
        edges = choose_edges(weights, threshold=threshold, top=top)
        assert pairs(edges) == kept
        total = np.nansum(weights, dtype=np.float64)
        assert edges.n_possible == (weights > 0).sum()
        assert 0 <= edges.share <= 1
        assert edges.share == pytest.approx(sum(w for _, _, w in kept) / total if total else 0)
        assert (edges.share == 1) == bool(len(kept) == (weights > 0).sum() and kept)


def test_the_strongest_lines_come_first_and_the_rest_is_left_out():
    edges = choose_edges(WEIGHTS, threshold=0.2)
    assert pairs(strongest(edges, 3)) == [(0, 0, 1), (1, 0, 0.75), (2, 0, 0.5)]
    assert strongest(edges, 3).share == 2.25 / 3
    assert strongest(edges, 99).share == edges.share == 2.875 / 3


def test_a_count_in_words():
    weights = np.full((64, 64), 1 / 64)
    assert count_sentence(choose_edges(weights, top=16)) == "showing 1,024 of 4,096 lines, 25 % of the weight"
    assert count_sentence(choose_edges(WEIGHTS, top=1), choose_edges(WEIGHTS)) == (
        "showing 9 of 12 lines, 88 % of the weight"  # 5.25 of 6
    )
    assert count_sentence(choose_edges(WEIGHTS[2:], top=1)) == "showing 1 of 3 lines, 50 % of the weight"
    assert count_sentence(choose_edges(WEIGHTS, threshold=2)) == "showing 0 of 6 lines, 0 % of the weight"


def test_percent_never_says_all_or_nothing_where_it_is_not():
    said = {0: "0 %", 1e-30: "less than 0.1 %", 0.002: "0.2 %", 0.006: "1 %", 0.125: "13 %", 0.71: "71 %"}
    said |= {0.994: "99 %", 0.997: "99.7 %", 0.9995: "more than 99.9 %", np.nextafter(1, 0): "more than 99.9 %"}
    said |= {1: "100 %"}
    assert {share: whole_percent(share) for share in said} == said


def test_a_left_out_weight_too_small_to_add_up_still_shows():
    edges = choose_edges(np.float32([[1, 1e-30]]), top=1)
    assert edges.share < 1
    assert count_sentence(edges) == "showing 1 of 2 lines, more than 99.9 % of the weight"


@pytest.mark.parametrize("top", [0, 1, 2])
def test_each_row_and_column_is_counted_as_if_it_stood_alone(top):
    rng = np.random.default_rng(1)
    for _ in range(20):
        weights = random_map(rng, *rng.integers(1, 7, 2))
        edges = choose_edges(weights, top=top)
        kept = set(zip(edges.query.tolist(), edges.key.tolist(), strict=True))
        for at, side in enumerate(["query", "key"]):
            expected = []
            for i in range(weights.shape[at]):
                mine = [cell for cell in np.ndindex(weights.shape) if cell[at] == i and weights[cell] > 0]
                drawn = [cell for cell in mine if cell in kept]
                whole, part = (sum(float(weights[cell]) for cell in cells) for cells in (mine, drawn))
                sentence = f"showing {len(drawn)} of {len(mine)} line{'s' if len(mine) != 1 else ''}"
                expected.append(f"{sentence}, {whole_percent(part / whole)} of the weight" if whole else sentence)
            assert count_each(weights, edges, side) == expected


def test_a_left_out_weight_too_small_to_add_up_shows_in_its_row_and_its_column():
    weights = np.float32([[1, 1e-30], [0.5, 0.5]])
    edges = choose_edges(weights, top=1)
    assert count_each(weights, edges, "query")[0] == "showing 1 of 2 lines, more than 99.9 % of the weight"
    assert count_each(weights, edges, "key")[1] == "showing 0 of 2 lines, 0 % of the weight"
