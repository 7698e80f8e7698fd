"""Text that a transformers model writes with a cache: the tokens that its own `generate` writes."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from model.analysis.beam import beam_search
from model.analysis.generation import generate
from model.analysis.sampling import Sampling
from model.huggingface.decoding import CachedDecoding, keeps
from model.run import Token
from model.text.writing import ReadAgain, decoding_of
from tests.huggingface.checkpoints import Wordless
from tests.zoo import N_SOURCE, builder, tokens

N_WRITTEN = 20
DECODERS = ["GPT2LMHeadModel", "LlamaForCausalLM", "Qwen3ForCausalLM", "Gemma2ForCausalLM", "OPTForCausalLM"]
PAIRS = ["T5ForConditionalGeneration", "BartForConditionalGeneration"]
NEVER_ENDS = {"eos_token_id": None, "pad_token_id": 0, "forced_eos_token_id": None, "forced_bos_token_id": None}


@pytest.fixture(scope="module", params=[*DECODERS, *PAIRS])
def both(request):
    """A class as Regard reads it, and as transformers does, with the same random weights."""
    lm = Wordless(builder(request.param), None, name="tiny", title="Tiny", fingerprint="")
    return lm, builder(request.param)("eager").eval()


def begun(lm) -> tuple[Token, ...]:
    """What both begin with: a target begins with the start token."""
    start = (lm.start_token(),) if lm.opened.pair else ()
    return (*start, *tokens(6)[len(start) :])


def source_of(lm) -> tuple[Token, ...]:
    return tokens(N_SOURCE) if lm.opened.pair else ()


def written(both, **settings) -> list[int]:
    """What `generate` writes behind that."""
    lm, theirs = both
    ids, source = (torch.tensor([[token.id for token in text]]) for text in (begun(lm), source_of(lm)))
    inputs = {"input_ids": source, "decoder_input_ids": ids} if lm.opened.pair else {"input_ids": ids}
    settings = NEVER_ENDS | {"do_sample": False, "max_new_tokens": N_WRITTEN} | settings
    return theirs.generate(**inputs, **settings)[0, ids.shape[1] :].tolist()


def test_greedy_text_is_generates(both):
    lm, _ = both
    decoding, ours = decoding_of(lm, begun(lm), source_of(lm)), []
    assert isinstance(decoding, CachedDecoding) and decoding.n_byte > 0
    for _ in range(N_WRITTEN):
        ours.append(int(decoding.logits[0].argmax()))
        decoding.write(ours[-1:])
    assert ours == written(both)
    if not lm.opened.pair:
        steps = generate(lm, begun(lm), N_WRITTEN, Sampling(0.0, repetition_penalty=1.3, no_repeat_ngram=2), 0)
        theirs = written(both, repetition_penalty=1.3, no_repeat_ngram_size=2)
        assert [step.token.id for step in steps] == theirs


@pytest.mark.parametrize("width, penalty", [(4, 1.0), (3, 0.0), (2, 2.0)])
def test_beams_are_generates(both, width, penalty):
    lm, _ = both
    end = 7  # some token that comes
    beam = beam_search(decoding_of(lm, begun(lm), source_of(lm)), {end}, N_WRITTEN, width, penalty)
    theirs = written(both, num_beams=width, length_penalty=penalty, eos_token_id=end)
    best = beam.finished[0]
    assert [*best.ids, *[end] * best.finished] == theirs


def hooked(part: str, hook: Callable, **options) -> Wordless:
    """A GPT-2 with a hook on one of its modules."""

    def build(attention: str) -> torch.nn.Module:
        theirs = builder("GPT2LMHeadModel")(attention)
        theirs.get_submodule(part).register_forward_hook(hook, **options)
        return theirs

    return Wordless(build, None, name="tiny", title="Tiny", fingerprint="")


def test_where_a_class_keeps_something_on_its_modules_each_text_is_read_again():
    """Another visitor's run at the same time would change it."""

    def keep(module, args, output):
        module.state = output.clone()

    lm = hooked("transformer.h.0.mlp", keep)
    assert not keeps(lm.opened) and isinstance(lm.decoding(tokens(6)), ReadAgain)


def test_so_it_is_where_its_cache_leads_elsewhere():
    def off(module, args, kwargs, output):
        alone = args[0].shape[1] == 1
        return (output[0] * 1.5, *output[1:]) if alone else output

    assert not keeps(hooked("transformer.h.0.attn", off, with_kwargs=True).opened)


def test_so_it_is_for_a_text_of_several_types(both):
    lm, _ = both
    typed = [replace(token, type=1) for token in begun(lm)]
    if lm.opened.n_type == 0 and not lm.opened.pair:
        assert isinstance(lm.decoding(typed), ReadAgain)
