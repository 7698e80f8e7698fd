"""Which head says most, against distributions worked out by hand."""

import numpy as np
import pytest

from model.analysis.attention import attention_weights
from model.analysis.telling import MOST_QUERIES, head_information, telling_head, telling_weight
from model.intervention import UNCHANGED
from model.run import DenseAttention, ModelInfo, ModelRun, Token

UNIFORM = np.full((4, 4), 0.25)
SELF, FIRST = np.eye(4), np.tile([1.0, 0, 0, 0], (4, 1))
SAME = np.tile([0, 0, 1.0, 0], (4, 1))  # all look at one token, that token at itself
NEXT = np.roll(np.eye(4), 1, axis=1)  # each at the one after it, the last at the first


def run_of(*heads: np.ndarray, special: tuple[int, ...] = (), n_layer: int = 1) -> ModelRun:
    """A run whose heads have these weights, the same in each layer."""
    n = len(heads[0])
    info = ModelInfo("x", "X", n_layer, len(heads), len(heads), 8, 8, 9, n, 1, False, "", "encoder")
    tokens = tuple(Token(i, b"a", i, i + 1, special=i in special) for i in range(n))
    layers = tuple(DenseAttention(np.stack(heads).astype(np.float32)) for _ in range(n_layer))
    return ModelRun(info, tokens, layers, None, None, UNCHANGED)


def test_information_by_hand():
    # of NEXT: three rows of one key each, and one at the first token: four answers, equally often
    half = (NEXT + SELF) / 2  # as often itself: 4/8 one answer for all, and three others of 1/8 each and the sink's 1/8
    by_answer = np.array([5 / 8, 1 / 8, 1 / 8, 1 / 8])
    rows = np.array([np.log(2), np.log(2), np.log(2), 0])  # the last row looks at itself or at the sink: one answer
    expected = -(by_answer * np.log(by_answer)).sum() - rows.mean()
    found = head_information(run_of(SELF, FIRST, NEXT, half))
    np.testing.assert_allclose(found, [[0, 0, np.log(4), expected]], atol=1e-12)


def test_all_at_one_token_says_little():
    """Three tokens look at the third, which looks at itself: two answers, three times and once."""
    expected = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    np.testing.assert_allclose(head_information(run_of(SAME)), [[expected]], atol=1e-12)
    assert telling_head(run_of(SELF, SAME, UNIFORM, NEXT)) == (0, 3)


def test_special_tokens_neither_ask_nor_answer():
    plain, marked = run_of(NEXT), run_of(NEXT, special=(3,))
    # three queries are left; the third looks at the special one
    np.testing.assert_allclose(head_information(plain), [[np.log(4)]], atol=1e-12)
    np.testing.assert_allclose(head_information(marked), [[np.log(3)]], atol=1e-12)
    np.testing.assert_array_equal(head_information(run_of(NEXT, special=(0, 1, 2, 3))), [[0]])


def test_several_runs_count_alike():
    first, second = run_of(NEXT, SELF), run_of(SELF, NEXT)
    weak = 0.9 * SELF + 0.1 * NEXT
    assert telling_head(first, run_of(weak, SELF)) == (0, 0) and telling_head(second, run_of(SELF, weak)) == (0, 1)
    assert telling_head(run_of(SELF, SELF, n_layer=2)) == (0, 0)  # of equals the first


def test_a_long_text_is_judged_by_its_beginning():
    n = MOST_QUERIES + 20
    late = np.tile(np.eye(n)[0], (n, 1))
    late[MOST_QUERIES:] = np.roll(np.eye(n), 1, axis=1)[MOST_QUERIES:]
    assert head_information(run_of(late)) == pytest.approx(0, abs=1e-12)


def test_the_strongest_weight_is_between_two_tokens():
    weights = np.array([[1.0, 0, 0, 0], [0.7, 0.3, 0, 0], [0.1, 0.4, 0.5, 0], [0.6, 0.1, 0.2, 0.1]])
    assert telling_weight(run_of(weights), 0, 0) == (2, 1)
    assert telling_weight(run_of(weights, special=(1,)), 0, 0) == (3, 2)
    assert telling_weight(run_of(weights, special=(2,)), 0, 0) == (3, 1)  # nor does a special token ask


def test_where_all_look_at_sinks_or_themselves():
    assert telling_weight(run_of(FIRST), 0, 0) == (1, 0)
    assert telling_weight(run_of(SELF), 0, 0) == (0, 0)
    assert telling_weight(run_of(np.eye(1)), 0, 0) == (0, 0)


def test_of_an_encoder_decoder_cross_attention_is_read(tiny_translator):
    source = tiny_translator.encode("the cat saw the dog")
    written = (tiny_translator.start_token(), *tiny_translator.encode("a dog")[:-1])
    run = tiny_translator.run(written, source=source)
    assert head_information(run).shape == (3, 4)
    query, key = telling_weight(run, 1, 2)
    weights = attention_weights(run.cross[1], 2).copy()
    weights[[token.special for token in run.tokens]] = 0
    weights[:, [token.special for token in run.source]] = 0
    assert weights[query, key] == weights.max() > 0
    own = attention_weights(run.attention[1], 2).copy()  # and what the decoder has written looks at itself
    np.fill_diagonal(own, 0)
    own[:, 0] = 0
    assert telling_weight(run, 1, 2, "self") == np.unravel_index(own.argmax(), own.shape)


def test_a_causal_run_is_read_row_by_row(tiny_run):
    weights = attention_weights(tiny_run.attention[2], 1).copy()
    np.fill_diagonal(weights, 0)
    weights[:, 0] = 0
    assert telling_weight(tiny_run, 2, 1) == np.unravel_index(weights.argmax(), weights.shape)
