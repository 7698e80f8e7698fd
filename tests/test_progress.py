"""A model tells how far it has read, and can be ended between two layers."""

import numpy as np
import pytest

from model.huggingface.checkpoint import load
from model.progress import told


class Enough(BaseException):
    """What ends a visitor's run is no Exception, either."""


def test_each_layer_is_told_and_may_be_the_last(tiny_gpt2):
    lm = load(tiny_gpt2, name="tiny", title="Tiny")
    tokens, heard = lm.encode("the cat saw the dog"), []
    with told(lambda done, total: heard.append((done, total))):
        run = lm.run(tokens)
    assert heard == [(1, 2), (2, 2)]

    def stop(*_) -> None:
        raise Enough

    with pytest.raises(Enough), told(stop):
        lm.run(tokens)
    np.testing.assert_array_equal(lm.run(tokens).hidden, run.hidden)
    assert len(heard) == 2  # nobody is told any more
