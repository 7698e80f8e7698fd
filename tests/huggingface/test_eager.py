"""What models return as their attention is looked at before it is shown: a refusal names what it is instead."""

from types import SimpleNamespace

import pytest
import torch

from model.huggingface.capture import NotCaptured
from model.huggingface.eager import eager_weights

EVEN = torch.full((1, 2, 3, 3), 1 / 3)
LONGFORMER = SimpleNamespace(model_type="longformer")


def weights_of(*layers: object, config: object = None) -> object:
    said = SimpleNamespace(attentions=layers)
    return eager_weights(said, config or SimpleNamespace(), "Some", n_token=3)["self"]


def changed(value: float) -> torch.Tensor:
    layer = EVEN.clone()
    layer[0, 1, 2, 0] = value
    return layer


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (None, "Some returns no attentions"),
        (changed(torch.nan), "the attentions that Some returns are not numbers (NaN) in layer 1"),
        (
            changed(-2.0),
            "the attentions that Some returns are scores and no weights: some are negative, and the rows of layer 1 "
            "sum to -1.33 … 1",
        ),
        (
            changed(3.0),
            "the attentions that Some returns do not sum to 1: the rows of layer 1 sum to 1 … 3.67 (off by 2.7)",
        ),
        (torch.ones(1, 2, 3), "the attentions that Some returns are no (1, heads, queries, keys) but (1, 2, 3)"),
        ({"local": EVEN}, "the attentions that Some returns are no (1, heads, queries, keys) but dict"),
        (
            torch.full((1, 2, 2, 3), 1 / 3),
            "the attentions that Some returns are of 2 queries and 3 keys in layer 1, for 3 tokens: it does not look "
            "from token to token there",
        ),
    ],
    ids=["none", "NaN", "scores", "sums", "three axes", "dict", "fewer"],
)
def test_the_reason_is_what_it_is(layer, reason):
    """The second layer is what is wrong: the first one's numbers are not given for it."""
    with pytest.raises(NotCaptured) as refusal:
        weights_of(EVEN, layer)
    assert str(refusal.value) == reason


def test_a_band_is_laid_out_from_the_token_it_stands_around():
    band = torch.tensor([[[[0, 0, 0.5, 0.25, 0.25], [0, 0.2, 0.3, 0.5, 0], [0.1, 0.2, 0.7, 0, 0]]]])
    (whole,) = weights_of(band, config=LONGFORMER)
    assert whole.tolist() == [torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.3, 0.5], [0.1, 0.2, 0.7]]).tolist()]


def test_a_band_with_tokens_that_see_all():
    with pytest.raises(NotCaptured, match="of tokens that see all others, besides those that see a window"):
        weights_of(torch.full((1, 2, 3, 6), 1 / 6), config=LONGFORMER)
