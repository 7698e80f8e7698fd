"""Logits without a record, for many interventions on one text: equal to one run each, within a bounded memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

from model import catalog
from model.attention_call import BATCH_BYTES, WIDTH, Changes, batches
from model.builtin.language_model import BuiltinModel
from model.growing import Growing, growing_batches
from model.huggingface.capture import Recorder
from model.huggingface.checkpoint import load
from model.huggingface.language_model import HuggingFaceModel
from model.intervention import UNCHANGED, Ablation, Intervention
from model.language_model import LanguageModel
from model.run import ModelRun, PromptError, VisitorError
from tests.any_models import TEXT, write_models
from tests.conftest import REPEATED, write_tiny
from tests.zoo import N_TOKEN, builder, tokens


def all_heads(lm: LanguageModel) -> list[Intervention]:
    places = [(layer, head) for layer in range(lm.info.n_layer) for head in range(lm.info.n_head)]
    return [Intervention(heads_off={place}) for place in places]


MIXED = [
    UNCHANGED,
    Intervention(edges_off={(1, 2, 4, 0), (0, 3, 2, 2)}),
    Intervention(edges_off={(0, 2, 4, 0)}, heads_off={(0, 1)}, heads_uniform={(2, 3)}),
    Intervention(rows_off={(0, 3, 5), (2, 1, 1)}),
    Intervention(heads_uniform={(1, 1)}),
    Intervention(heads_off={(2, 0)}, temperature=2.0),
    Intervention(heads_off={(1, 0)}, temperature=2.0),
    Intervention(scale=False, positions=False),
    Intervention(causal_mask=False, heads_off={(0, 0)}),
    Intervention(heads_off={(0, 0)}),
]
ACROSS = [
    Intervention(encoder=Ablation(heads_off={(1, 2)})),
    Intervention(encoder=Ablation(edges_off={(1, 0, 2, 1)}), heads_off={(0, 1)}),
    Intervention(cross=Ablation(heads_off={(0, 2)})),
    Intervention(cross=Ablation(edges_off={(0, 1, 3, 2)}, heads_uniform={(0, 0)})),
    Intervention(cross=Ablation(rows_off={(2, 1, 3)})),
]


@pytest.fixture(params=["decoder", "encoder", "encoder-decoder"])
def read(request, tiny, tiny_translator, tmp_path) -> tuple[LanguageModel, ModelRun]:
    """A built-in model, and its run."""
    if request.param == "encoder-decoder":
        lm = tiny_translator
        return lm, lm.run((lm.start_token(), *lm.encode(REPEATED)[:-1]), source=lm.encode("a dog sat on the mat"))
    lm = tiny if request.param == "decoder" else BuiltinModel.load(write_tiny(tmp_path / "tiny", causal=False))
    return lm, lm.run(lm.encode(REPEATED))


def test_each_is_the_logits_of_its_run(read):
    lm, run = read
    changes = [*MIXED, *all_heads(lm), *(ACROSS if run.source else [])]
    ours = list(lm.logits(run.tokens, changes, run.source))
    assert len(ours) == len(changes)
    for logits, change in zip(ours, changes, strict=True):
        expected = lm.unembed(lm.run(run.tokens, change, run.source).hidden[-1])
        np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-4)
        assert change == UNCHANGED or np.abs(logits - ours[0]).max() > 1e-3


def test_chosen_positions(read):
    lm, run = read
    whole = list(lm.logits(run.tokens, MIXED, run.source))
    for logits, all_of_them in zip(lm.logits(run.tokens, MIXED, run.source, [-1, 0, 3]), whole, strict=True):
        np.testing.assert_allclose(logits, all_of_them[[-1, 0, 3]], rtol=0, atol=2e-4)
    (plain,) = lm.logits(run.tokens, source=run.source, positions=[-1])
    assert plain.argmax() == run.predictions.top_id[-1, 0]
    with pytest.raises(IndexError):
        lm.logits(run.tokens, source=run.source, positions=[99])


@pytest.mark.parametrize("query", [3, -1])
def test_every_key_of_a_row_and_rows_behind_it(read, query):
    """Of a decoder, what stands before the row is read once: what comes behind it, and it alone, comes out as ever."""
    lm, run = read
    n = len(run.tokens)
    query %= n
    changes = [Intervention(edges_off={(1, 2, query, key)}) for key in range(query + 1)]
    changes += [
        UNCHANGED,
        Intervention(rows_off={(0, 1, n - 1), (2, 0, n - 1)}),
        Intervention(rows_off={(2, 3, query)}),
    ]
    changes.append(Intervention(edges_off={(0, 2, query, 1)}, heads_off={(2, 1)}))
    for some, places in ((changes[:-1], [query, n - 1]), (changes[:-1], [1, 2]), (changes, [-1, 2])):
        for logits, change in zip(lm.logits(run.tokens, some, run.source, places), some, strict=True):
            hidden = lm.run(run.tokens, change, run.source).hidden[-1][places]
            np.testing.assert_allclose(logits, lm.unembed(hidden), rtol=0, atol=1e-4)


def test_what_cannot_be_read_is_said_before_anything_is(read):
    lm, run = read
    with pytest.raises(PromptError, match="There is no text to read"):
        lm.logits((), source=run.source)
    with pytest.raises(ValueError, match="no head 9 in layer 0"):
        lm.logits(run.tokens, [UNCHANGED, Intervention(heads_off={(0, 9)})], run.source)


def test_who_predicts_no_tokens_has_no_logits(tmp_path):
    judge = catalog.load("sentiment")
    with pytest.raises(VisitorError, match="trained to judge texts"):
        judge.logits(judge.encode("good"))
    lm = load(write_models(tmp_path) / "headless", name="headless", title="Tiny")
    with pytest.raises(VisitorError, match="Tiny has no language-model head"):
        lm.logits(lm.encode(TEXT))


# --- what is read together ---


def test_a_batch_grows_by_those_that_begin_in_a_layer_and_gives_back_each(tiny):
    off = [Intervention(heads_off={(layer, 0)}) for layer in (2, 0, 2)]
    growing = Growing((off[0], UNCHANGED, off[1], off[2]))
    assert [growing.joining(layer) for layer in range(3)] == [(off[1],), (), (off[0], off[2])]
    assert [len(growing.before(layer).interventions) for layer in range(3)] == [1, 2, 2]
    assert growing.of_each(torch.arange(4)).tolist() == [2, 0, 1, 3] and growing.keeps_first(2)
    growing = Growing(tuple(off))  # the text as it was is not wanted, so it goes no further than to the last layer
    assert [len(growing.before(layer).interventions) for layer in range(4)] == [1, 2, 2, 3]
    assert growing.of_each(torch.arange(3)).tolist() == [1, 0, 2] and not growing.keeps_first(2)
    rows = [Intervention(edges_off={(0, 0, query, 0)}) for query in (9, 5)]
    assert Growing(tuple(rows)).first_query(20, causal=True) == 5
    assert Growing(tuple(rows)).first_query(20, causal=False) == Growing((*rows, off[0])).first_query(20, True) == 0
    assert Growing((replace(rows[0], causal_mask=False),)).first_query(20, causal=True) == 0
    some = list(growing_batches(tiny.info, [*rows, replace(rows[0], scale=False), *off], 20, whole=False))
    assert [len(each.interventions) for each in some] == [2, 1, 3]
    n_token = BATCH_BYTES // (2 * 4 * WIDTH * tiny.info.d_model)  # of two such texts
    assert [len(each.interventions) for each in growing_batches(tiny.info, off, n_token, whole=True)] == [2, 1]
    last = [Intervention(rows_off={(0, 0, n_token - 1)})] * 9
    assert [len(each.interventions) for each in growing_batches(tiny.info, last, n_token, whole=False)] == [9]
    assert len(list(growing_batches(tiny.info, last, n_token, whole=True))) == 5


def test_neighbours_are_read_together_as_far_as_they_are_alike_and_memory_reaches(tiny):
    heads = all_heads(tiny)
    some = list(batches(tiny.info, heads, 10, 10))
    assert [each for changes in some for each in changes.interventions] == heads
    assert [len(changes.interventions) for changes in some] == [4, 4, 4]  # a layer at a time
    shuffled = [heads[0], heads[4], heads[1], Intervention(heads_off={(0, 2)}, temperature=2.0), heads[3]]
    assert [len(changes.interventions) for changes in batches(tiny.info, shuffled, 10, 10)] == [1] * 5
    n_token = BATCH_BYTES // (2 * 4 * 16 * tiny.info.d_model)  # vectors of two such texts take all there is
    assert [len(changes.interventions) for changes in batches(tiny.info, heads[:4], n_token - 200, 1)] == [2, 2]
    assert [len(changes.interventions) for changes in batches(tiny.info, heads[:4], 10 * n_token, 1)] == [1] * 4


def depends_on_its_neighbours(_: torch.nn.Module, args: tuple, output: torch.Tensor) -> torch.Tensor:
    return output + 0.1 * (len(output) - 1)


def knows_one_text_only(_: torch.nn.Module, args: tuple, output: torch.Tensor) -> None:
    if len(output) > 1:
        raise ValueError("one text at a time, please")


@pytest.mark.parametrize("habit", [depends_on_its_neighbours, knows_one_text_only])
def test_a_class_that_cannot_read_texts_side_by_side_reads_them_one_by_one(habit):
    def build(attn_implementation: str) -> transformers.GPT2LMHeadModel:
        made = builder("GPT2LMHeadModel")(attn_implementation)
        made.transformer.ln_f.register_forward_hook(habit)
        return made

    lm = HuggingFaceModel(build, None, name="", title="Tiny", fingerprint="")
    changes = all_heads(lm)
    for logits, change in zip(lm.logits(tokens(N_TOKEN), changes), changes, strict=True):
        (expected,) = lm.logits(tokens(N_TOKEN), [change])
        np.testing.assert_array_equal(logits, expected)


def test_nothing_is_kept_besides():
    lm = HuggingFaceModel(builder("LlamaForCausalLM"), None, name="", title="Tiny", fingerprint="")
    given = lm.opened.inputs([token.id for token in tokens(N_TOKEN)], (), None, n_text=3)
    changes = Changes(tuple(all_heads(lm)[:3]))
    with torch.inference_mode(), Recorder(changes, lm.opened.roles, keeps=False) as recorder:
        lm.opened._body(**given)
    assert recorder.last.shape == (3, N_TOKEN, lm.info.d_model)
    assert not recorder.calls and recorder.hidden is None


def read_by(blocks, work) -> list[tuple[int, int]]:
    """Texts and tokens that each block's MLP reads meanwhile, in order."""
    seen = []
    hooks = [
        block.mlp.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape[:2]))) for block in blocks
    ]
    work()
    for hook in hooks:
        hook.remove()
    return seen


def test_what_is_alike_for_all_is_computed_once(tiny):
    text, heads = tokens(N_TOKEN), [Intervention(heads_off={(layer, head)}) for layer in (0, 2) for head in range(3)]
    blocks = tiny.transformer.blocks
    whole = [(4, N_TOKEN), (4, N_TOKEN), (6, N_TOKEN)]
    assert read_by(blocks, lambda: list(tiny.logits(text, heads))) == whole
    assert read_by(blocks, lambda: list(tiny.logits(text, heads, positions=[-1]))) == [*whole[:2], (6, 1)]
    keys = [Intervention(edges_off={(1, 0, N_TOKEN - 1, key)}) for key in range(N_TOKEN)]
    before, row = [(1, N_TOKEN - 1)] * 3, [(1, 1), (N_TOKEN, 1), (N_TOKEN, 1)]
    assert read_by(blocks, lambda: list(tiny.logits(text, keys, positions=[-1]))) == before + row
    llama = HuggingFaceModel(builder("LlamaForCausalLM"), None, name="", title="Tiny", fingerprint="")
    its = read_by(llama.opened.transformer.model.layers, lambda: list(llama.logits(text, heads[:3])))
    assert its[:2] == [(3, N_TOKEN)] * 2
