"""Rows to copy: each symbol that counts as known stands behind the same symbol as before, and no place tells which."""

import numpy as np
import pytest

from model.lab import copying


@pytest.mark.parametrize("spans", [True, False])
def test_what_counts_as_known_can_be_known(spans):
    rows = copying.draw(50, np.random.default_rng(0), 2, spans=spans)
    assert rows.ids.shape == rows.known.shape == (50, copying.N_TOKEN)
    assert rows.ids.min() >= 2 and rows.ids.max() < 2 + len(copying.SYMBOLS)
    for ids, known in zip(rows.ids, rows.known, strict=True):
        assert len(set(ids[: copying.N_DIFFERENT])) == copying.N_DIFFERENT and not known[: copying.N_DIFFERENT].any()
        for t in np.flatnonzero(known):
            places = [s for s in range(1, t) if ids[s - 1] == ids[t - 1]]
            assert any(ids[s] == ids[t] for s in places)


def test_only_repeated_rows_tell_it_by_the_place():
    for spans in (True, False):
        rows = copying.draw(50, np.random.default_rng(0), 2, spans=spans)
        back = [t - np.flatnonzero(ids[:t] == ids[t])[-1] for ids in rows.ids for t in range(copying.N_DIFFERENT, 40)]
        assert (len(set(back)) > 10) == spans


def test_the_symbols_are_a_vocabulary_of_their_own():
    vocabulary = copying.vocabulary()
    assert vocabulary.n_vocab == 2 + len(copying.SYMBOLS) == 2 + len(set(copying.SYMBOLS))
    assert [token.id for token in vocabulary.encode(copying.SYMBOLS)] == list(range(2, vocabulary.n_vocab))
