"""Writing a target: the cache, beams, and how they agree; and judging it by a reference."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from model.analysis.beam import Beam, Candidate, beam_search
from model.analysis.comparison import Matches, compare
from model.builtin.decoding import TargetDecoding
from model.builtin.greedy import greedy, padded
from model.builtin.transformer import Config, DecoderCache, EncoderDecoder

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


def search(transformer: EncoderDecoder, source: list[int], most: int, width: int, length_penalty: float = 1.0) -> Beam:
    decoding = TargetDecoding(transformer, torch.tensor([source]), torch.tensor([[END]]))
    return beam_search(decoding, {END}, most, width, length_penalty)


def test_greedy_with_the_cache_in_a_batch_equals_greedy_by_hand(transformer):
    assert greedy(transformer, SOURCES, END, 12) == [by_hand(transformer, source, 12) for source in SOURCES]


@pytest.mark.parametrize("source", SOURCES)
def test_the_cache_chooses_the_same_token_each_time(transformer, source):
    written, cache = [END], DecoderCache(CONFIG.n_layer)
    memory, _ = transformer.encode(torch.tensor([source]))
    for _ in range(16):
        without, _ = transformer(torch.tensor([source]), torch.tensor([written]))
        with_it, _ = transformer.decode(torch.tensor([written[-1:]]), memory, cache=cache)
        assert with_it[0, -1].argmax() == without[0, -1].argmax()
        torch.testing.assert_close(with_it[0, -1], without[0, -1], atol=1e-4, rtol=1e-4)
        written.append(int(without[0, -1].argmax()))


@pytest.mark.parametrize("source", SOURCES)
def test_a_beam_of_one_is_greedy(transformer, source):
    beam = search(transformer, source, 12, width=1)
    assert list(beam.finished[0].ids) == by_hand(transformer, source, 12)
    assert all(len(step) == 1 for step in beam.steps)


@pytest.mark.parametrize("source", SOURCES)
def test_scores_are_the_models_own(transformer, source):
    beam = search(transformer, source, 12, width=4)
    for candidate in beam.finished:
        if candidate.finished:
            assert candidate.log_prob == pytest.approx(total(transformer, source, list(candidate.ids)), abs=1e-4)
    ranked = [candidate.score(1.0) for candidate in beam.finished]
    assert ranked == sorted(ranked, reverse=True)


def test_a_wider_beam_finds_nothing_worse(transformer):
    for source in SOURCES:
        best = [search(transformer, source, 10, width, 0.0).finished[0].log_prob for width in (1, 8, 36)]
        assert best[2] >= best[0] - 1e-5


def test_the_tree_hangs_together(transformer):
    beam = search(transformer, SOURCES[2], 8, width=3)
    alive = [()]
    for step in beam.steps:
        assert len(step) >= 1 and sum(not each.finished for each in step) <= 3
        for each in step:
            grown = alive[each.parent]
            assert each.ids == grown if each.finished else each.ids[:-1] == grown
        alive = [each.ids for each in step if not each.finished]


def test_what_is_dropped_is_the_next_best(transformer):
    """A whole step by hand: the children of the two that were alive, ranked over the whole vocabulary."""
    source, width = SOURCES[2], 2
    beam = search(transformer, source, 6, width)
    alive = [Candidate((), 0.0, -1, False)]
    for kept, dropped in zip(beam.steps, beam.dropped, strict=True):
        grown = []
        for parent in alive:
            logits, _ = transformer(torch.tensor([source]), torch.tensor([[END, *parent.ids]]))
            log_prob = parent.log_prob + logits[0, -1].log_softmax(-1)
            grown += [(float(value), parent.ids, id) for id, value in enumerate(log_prob)]
        best = sorted(grown, reverse=True)[: 2 * width]
        found = [(alive[each.parent].ids, END if each.finished else each.ids[-1]) for each in (*kept, *dropped)]
        assert sorted(found) == sorted((ids, id) for _, ids, id in best)
        assert min(each.log_prob for each in kept if not each.finished) >= max(
            each.log_prob for each in dropped if not each.finished
        )
        alive = [each for each in kept if not each.finished]


def test_a_larger_penalty_ranks_longer_ones_higher():
    short, long = Candidate((1,), -2.0, 0, True), Candidate((1, 2, 3), -3.0, 0, True)
    assert short.score(0) > long.score(0)  # -2 > -3
    assert (short.score(1), long.score(1)) == (-1.0, -0.75)  # of two tokens and of four: the end is one
    assert Candidate((), -1.0, 0, True).score(2) == -1.0


def test_padding_is_at_the_end():
    ids, real = padded([[1, 2], [3]], fill=9)
    assert ids.tolist() == [[1, 2], [3, 9]] and real.tolist() == [[True, True], [True, False]]


# --- against a reference ----------------------------------------------------------------------------------------------


def counts(matches: tuple[Matches, ...]) -> list[tuple[int, int, int]]:
    return [(each.both, each.found, each.wanted) for each in matches]


def test_bleu_worked_by_hand():
    found = compare("le chat noir dort", "le chat dort")
    # le chat noir dort / le chat dort: three words, one pair, no three; nothing has four in the reference
    assert counts(found.words) == [(3, 4, 3), (1, 3, 2), (0, 2, 1), (0, 1, 0)]
    assert (found.brevity, found.n_found, found.n_wanted) == (1.0, 4, 3)
    # what matches nothing counts as half a match, then a quarter (Chen and Cherry 2014, smoothing 3)
    expected = 100 * (3 / 4 * 1 / 3 * (1 / 2) / 2 * (1 / 4) / 1) ** (1 / 4)
    assert found.bleu == pytest.approx(expected) and found.bleu_by_hand == pytest.approx(expected)


def test_chrf_worked_by_hand():
    found = compare("ab", "abc")
    assert counts(found.characters)[:3] == [(2, 2, 3), (1, 1, 2), (0, 0, 1)]
    precision, recall = 1.0, (2 / 3 + 1 / 2) / 2
    assert found.chrf == pytest.approx(100 * 5 * precision * recall / (4 * precision + recall))


@pytest.mark.parametrize(("text", "reference"), [("", ""), ("", "le chat"), ("le chat", ""), ("le", "LE")])
def test_nothing_in_common_is_zero(text, reference):
    found = compare(text, reference)
    assert (found.bleu, found.chrf, found.bleu_by_hand, found.chrf_by_hand) == (0, 0, 0, 0)


def test_the_same_text_is_a_hundred():
    found = compare("Où est la gare ?", "Où est la gareclasspath?".replace("classpath", " "))
    assert found.bleu == pytest.approx(100) and found.chrf == pytest.approx(100) and found.brevity == 1


def test_the_signatures_say_how():
    bleu, chrf = compare("a", "a").signatures
    assert bleu.startswith("nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:")
    assert chrf.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


sentences = st.text(alphabet="abé .,!'12👍日", max_size=24)


@given(sentences, sentences)
def test_the_counts_make_sacrebleus_numbers(text, reference):
    found = compare(text, reference)
    theirs = BLEU(effective_order=True).sentence_score(text, [reference])
    assert [each.both for each in found.words] == theirs.counts
    assert [each.found for each in found.words] == theirs.totals
    assert found.bleu_by_hand == pytest.approx(theirs.score, abs=1e-6)
    assert found.chrf_by_hand == pytest.approx(found.chrf, abs=1e-6)
