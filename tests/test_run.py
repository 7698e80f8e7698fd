"""The nouns: what does not fit together is refused at birth, and what is born never changes."""

import dataclasses

import numpy as np
import pytest

from model.intervention import Intervention
from model.run import Attention, DenseAttention, ModelNotAvailable, ModelRun, Predictions, PromptError, VisitorError


def zeros(*shape: int, dtype=np.float32) -> np.ndarray:
    return np.zeros(shape, dtype)


def test_attention_that_fits():
    attention = Attention(zeros(4, 5, 8), zeros(2, 7, 8), zeros(2, 7, 8), 0.5, causal=False)
    assert (attention.n_head, attention.n_query, attention.n_key) == (4, 5, 7)


@pytest.mark.parametrize(
    ("query", "key", "value", "causal", "sentence"),
    [
        ((4, 5, 8), (4, 5, 6), (4, 5, 8), False, "do not fit together"),
        ((4, 5, 8), (4, 5, 8), (4, 6, 8), False, "do not fit together"),
        ((4, 5, 8), (4, 5, 8), (2, 5, 8), False, "do not fit together"),
        ((4, 5, 8), (3, 5, 8), (3, 5, 8), False, "do not fit together"),
        ((4, 5, 8), (4, 7, 8), (4, 7, 8), True, "causal attention of 5 queries over 7 keys"),
        ((1, 4, 5, 8), (4, 5, 8), (4, 5, 8), False, "unpack"),
    ],
)
def test_attention_that_does_not_fit(query, key, value, causal, sentence):
    with pytest.raises(ValueError, match=sentence):
        Attention(zeros(*query), zeros(*key), zeros(*value), 0.5, causal)


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        ("fdd", "kept in float32, not float64"),
        ("fef", "kept in float32, not float16"),
        ("ffe", "kept in float32, not float16"),
        ("ef-", "kept in float16, not float32"),
        ("eee", "queries in float16 with values"),
        ("eef", "queries in float16 with values"),
        ("ff-", "queries in float32 without values"),
    ],
)
def test_attention_is_float32_or_half_precision_without_values(kinds, sentence):
    """One letter for each of query, key and value, as NumPy has them: e float16, f float32, d float64; -: none."""
    arrays = [None if kind == "-" else zeros(4, 5, 8, dtype=np.dtype(kind)) for kind in kinds]
    with pytest.raises(ValueError, match=sentence):
        Attention(*arrays, 0.5, causal=True)


def test_half_precision_says_so():
    query = zeros(4, 5, 8, dtype=np.float16)
    half, exact = Attention(query, query.copy(), None, 0.5, True), Attention(*zeros(3, 4, 5, 8), 0.5, True)
    assert (half.exact, exact.exact) == (False, True) and DenseAttention(zeros(4, 5, 5)).exact
    assert (half.n_byte, exact.n_byte) == (2 * 160 * 2, 3 * 160 * 4)
    with pytest.raises(ValueError, match="read-only"):
        half.key[...] = 0


def predictions(n_token: int = 5, **changes) -> Predictions:
    fields = {
        "top_id": zeros(n_token, 3, dtype=np.int64),
        "top_log_prob": zeros(n_token, 3),
        "next_log_prob": zeros(n_token),
        "next_rank": zeros(n_token, dtype=np.int64),
        "entropy": zeros(n_token),
    }
    return Predictions(**fields | changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"top_log_prob": zeros(5, 4)}, r"top ids \(5, 3\) with log-probabilities \(5, 4\)"),
        ({"next_log_prob": zeros(4)}, r"\(4,\) values for 5 tokens"),
        ({"next_rank": zeros(6, dtype=np.int64)}, r"\(6,\) values for 5 tokens"),
        ({"entropy": zeros(5, 1)}, r"\(5, 1\) values for 5 tokens"),
        ({"entropy": zeros(5, dtype=np.float64)}, "kept in float32, not float64"),
        ({"top_id": zeros(5, 3)}, "kept in int64, not float32"),
    ],
)
def test_predictions_that_do_not_fit(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        predictions(**changes)


def test_loss_is_the_mean_over_what_came_next():
    log_prob = np.array([-1, -2, -6, np.nan], dtype=np.float32)
    assert predictions(4, next_log_prob=log_prob).loss == 3
    assert np.isnan(predictions(1, next_log_prob=log_prob[3:].copy()).loss)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda run: {"attention": run.attention[:2]}, "2 attention records for 3 layers"),
        (lambda run: {"hidden": run.hidden[:3]}, r"hidden states \(3, .*expected \(4, "),
        (lambda run: {"hidden": run.hidden[None]}, "hidden states"),
        (lambda run: {"hidden": run.hidden.astype(np.float64)}, "kept in float32, not float64"),
        (lambda run: {"tokens": run.tokens[:-1]}, "hidden states"),
        (lambda run: {"predictions": predictions(5)}, "5 predictions for"),
        (lambda run: {"source": run.tokens}, "source, encoder and cross-attention do not fit the family decoder"),
        (
            lambda run: {"attention": (Attention(*[zeros(2, len(run.tokens), 8)] * 3, 0.5, True),) * 3},
            r"self attention \(2, .*, expected \(4, ",
        ),
    ],
)
def test_a_run_that_does_not_fit(tiny_run, change, sentence):
    with pytest.raises(ValueError, match=sentence):
        dataclasses.replace(tiny_run, **change(tiny_run))


def test_an_encoder_decoder_has_three_kinds_of_attention(tiny_run):
    n, info = len(tiny_run.tokens), dataclasses.replace(tiny_run.info, family="encoder-decoder")
    source = tiny_run.tokens[:3]
    dense = lambda *shape: DenseAttention(np.full(shape, 1 / shape[-1], np.float32))  # noqa: E731
    run = dataclasses.replace(
        tiny_run, info=info, source=source, encoder=(dense(4, 3, 3),) * 2, cross=(dense(4, n, 3),) * 3
    )
    assert run.kinds == ("self", "encoder", "cross") and tiny_run.kinds == ("self",)
    assert run.sides("cross") == (run.tokens, source) and run.sides("encoder") == (source, source)
    assert run.layers("cross") is run.cross and run.layers() is run.attention
    with pytest.raises(ValueError, match=r"cross attention \(4, 3, 3\), expected \(4, 11, 3\)"):
        dataclasses.replace(run, cross=(dense(4, 3, 3),) * 3)
    with pytest.raises(KeyError):
        run.layers("other")


def test_a_model_without_a_head_predicts_nothing(tiny_run):
    assert dataclasses.replace(tiny_run, predictions=None).predictions is None


def test_an_encoder_has_no_loss():
    assert np.isnan(predictions(4, of_next=False).loss)


def test_an_unknown_family_is_refused(tiny_run):
    with pytest.raises(ValueError, match="no family 'diffusion'"):
        dataclasses.replace(tiny_run.info, family="diffusion")


def arrays_of(value) -> list[np.ndarray]:
    """Every array in a run, however deep."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, tuple):
        return [array for part in value for array in arrays_of(part)]
    if dataclasses.is_dataclass(value):
        return [array for field in dataclasses.fields(value) for array in arrays_of(getattr(value, field.name))]
    return []


def test_a_run_is_plain_data(tiny_run):
    arrays = arrays_of(tiny_run)
    assert len(arrays) == 3 * 3 + 1 + 5
    assert {array.dtype.name for array in arrays} == {"float32", "int64"}  # int64: ids and ranks


def test_a_run_never_changes(tiny_run):
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny_run.hidden = None
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny_run.attention[0].scale = 1.0
    for array in arrays_of(tiny_run):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_a_run_holds_only_plain_things(tiny_run):
    def parts(value):
        yield value
        if isinstance(value, tuple | frozenset):
            for part in value:
                yield from parts(part)
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                yield from parts(getattr(value, field.name))

    kinds = {type(part).__module__.split(".")[0] for part in parts(tiny_run)}
    assert kinds == {"model", "builtins", "numpy"}


def test_labels_keep_repeated_words_apart_by_place(tiny_run: ModelRun):
    assert len(tiny_run.labels) == len(tiny_run.tokens)
    assert max(map(tiny_run.labels.count, tiny_run.labels)) > 1


def test_interventions_are_keys():
    assert Intervention() == Intervention(frozenset())
    assert hash(Intervention(frozenset({(0, 1)}))) == hash(Intervention(frozenset({(0, 1)})))
    assert Intervention(frozenset({(0, 1)})) != Intervention()


@pytest.mark.parametrize("error", [PromptError, ModelNotAvailable])
def test_what_a_visitor_can_cause_is_one_family(error):
    assert issubclass(error, VisitorError)
