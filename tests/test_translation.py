"""Writing a target: the cache, beams, and how they agree."""

import pytest
import torch

from model.transformer import Config, EncoderDecoder
from model.translation import beam_search, greedy, padded

CONFIG = Config(n_vocab=37, n_context=24, n_layer=2, n_head=2, d_model=16)
END = 0


@pytest.fixture(scope="module")
def transformer() -> EncoderDecoder:
    torch.manual_seed(3)
    transformer = EncoderDecoder(CONFIG).eval().requires_grad_(False)
    for parameter in transformer.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.4)
    return transformer


SOURCES = [[5, 9, 2, END], [7, END], [1, 2, 3, 4, 5, 6, END]]


def by_hand(transformer: EncoderDecoder, source: list[int], most: int) -> list[int]:
    """Greedy decoding without a cache and without a batch."""
    written = [END]
    for _ in range(most):
        logits, _ = transformer(torch.tensor([source]), torch.tensor([written]))
        written.append(int(logits[0, -1].argmax()))
        if written[-1] == END:
            break
    return [id for id in written if id != END]


def total(transformer: EncoderDecoder, source: list[int], ids: list[int]) -> float:
    """The log-probability of a target and of what ends it."""
    logits, _ = transformer(torch.tensor([source]), torch.tensor([[END, *ids]]))
    log_prob = logits[0].log_softmax(-1)
    return float(sum(log_prob[i, id] for i, id in enumerate([*ids, END])))


def test_greedy_with_the_cache_in_a_batch_equals_greedy_by_hand(transformer):
    assert greedy(transformer, SOURCES, END, 12) == [by_hand(transformer, source, 12) for source in SOURCES]


@pytest.mark.parametrize("source", SOURCES)
def test_a_beam_of_one_is_greedy(transformer, source):
    beam = beam_search(transformer, source, END, 12, width=1)
    assert list(beam.finished[0].ids) == by_hand(transformer, source, 12)
    assert all(len(step) == 1 for step in beam.steps)


@pytest.mark.parametrize("source", SOURCES)
def test_scores_are_the_models_own(transformer, source):
    beam = beam_search(transformer, source, END, 12, width=4)
    for candidate in beam.finished:
        if candidate.finished:
            assert candidate.log_prob == pytest.approx(total(transformer, source, list(candidate.ids)), abs=1e-4)
    ranked = [candidate.score(1.0) for candidate in beam.finished]
    assert ranked == sorted(ranked, reverse=True)


def test_a_wider_beam_finds_nothing_worse(transformer):
    for source in SOURCES:
        best = [beam_search(transformer, source, END, 10, width, 0.0).finished[0].log_prob for width in (1, 8, 36)]
        assert best[2] >= best[0] - 1e-5


def test_the_tree_hangs_together(transformer):
    beam = beam_search(transformer, SOURCES[2], END, 8, width=3)
    alive = [()]
    for step in beam.steps:
        assert len(step) >= 1 and sum(not each.finished for each in step) <= 3
        for each in step:
            grown = alive[each.parent]
            assert each.ids == grown if each.finished else each.ids[:-1] == grown
        alive = [each.ids for each in step if not each.finished]


def test_padding_is_at_the_end():
    ids, real = padded([[1, 2], [3]], fill=9)
    assert ids.tolist() == [[1, 2], [3, 9]] and real.tolist() == [[True, True], [True, False]]
