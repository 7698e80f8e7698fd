"""Models of which only some layers have softmax attention: those are shown with their own numbers, by their own layer
numbers; the others are named, and nothing is shown of them but what they leave in the residual stream.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from model.analysis.attention import layer_weights, pooled_overview
from model.analysis.head import head_steps
from model.analysis.telling import telling_head
from model.architecture import record_bytes
from model.architectures.hybrids import HYBRIDS as HYBRID_TYPES
from model.huggingface.capture import CallRecord, NotCaptured
from model.huggingface.hooks import Stream
from model.huggingface.language_model import HuggingFaceModel
from model.huggingface.other_layers import hybrid_layers
from model.intervention import Intervention
from model.run import ModelNotAvailable, ModelRun, NoAttention, NoAttentionHere
from tests.zoo import N_TOKEN, attentions_of, builder, tokens
from tests.zoo_of_hybrids import HYBRIDS

SAME = 1e-5  # of weights; of vectors as a part of the largest number
# by Inside a head; of the others a step is named
FOLLOWED = ("OlmoHybrid", "Lfm2", "Jamba", "Bamba", "GraniteMoeHybrid", "NemotronH", "RecurrentGemma")
MIXED = {name: animal for name, animal in HYBRIDS.items() if animal.others}
ATTEND = ("full_attention", "sliding_attention", "attention", "hybrid")  # as configurations call such layers


@dataclass(frozen=True)
class Pair:
    """A class as Regard shows it, and as transformers runs it with ``attn_implementation="eager"``."""

    name: str
    lm: HuggingFaceModel
    run: ModelRun
    theirs: Any
    ids: torch.Tensor
    said: Any

    @property
    def others(self) -> dict[int, str]:
        return HYBRIDS[self.name].others


@pytest.fixture(scope="module", params=MIXED)
def pair(request) -> Pair:
    name = request.param
    if not hasattr(transformers, name):
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    lm = HuggingFaceModel(builder(name), None, name=name, title=name, fingerprint="")
    run, theirs = lm.run(tokens(N_TOKEN)), builder(name)("eager")
    ids = torch.tensor([[token.id for token in run.tokens]])
    with torch.inference_mode():
        said = theirs(input_ids=ids, output_attentions=True, output_hidden_states=True)
    return Pair(name, lm, run, theirs, ids, said)


def test_the_layers_shown_are_those_with_softmax_attention(pair):
    n_layer = HYBRIDS[pair.name].n_layer
    assert pair.run.info.n_layer == len(pair.run.attention) == n_layer
    assert dict(pair.run.info.others) == pair.others
    assert {i: each.what for i, each in enumerate(pair.run.attention) if isinstance(each, NoAttention)} == pair.others
    shown = pair.run.grid().layers
    words = pair.theirs.config.layer_types
    assert shown == tuple(layer for layer, word in enumerate(words) if word in ATTEND)
    assert len(pair.run.attending()) == len(shown) == n_layer - len(pair.others)


def test_weights_are_the_models_own(pair):
    theirs = attentions_of(pair.said, pair.theirs.config)["self"]
    for layer, weights in zip(pair.run.grid().layers, theirs, strict=True):
        ours = layer_weights(pair.run.layer(layer))
        np.testing.assert_allclose(ours, weights.numpy(), atol=SAME)
        np.testing.assert_allclose(ours.sum(-1), 1, atol=SAME)


def test_hidden_states_of_all_layers_and_predictions_are_the_models_own(pair):
    for ours, theirs in zip(pair.run.hidden[:-1], pair.said.hidden_states[:-1], strict=True):
        np.testing.assert_allclose(ours, theirs[0].numpy(), atol=SAME * float(theirs.abs().max()))
    logits = pair.said.logits[0]
    np.testing.assert_allclose(
        pair.lm.unembed(pair.run.hidden[-1]), logits.numpy(), atol=SAME * float(logits.abs().max())
    )
    best = logits.log_softmax(-1).topk(5)
    np.testing.assert_array_equal(pair.run.predictions.top_id[:, :5], best.indices.numpy())
    np.testing.assert_allclose(pair.run.predictions.top_log_prob[:, :5], best.values.numpy(), atol=1e-4)


def test_a_head_switched_off_is_its_slice_set_to_zero(pair):
    layer, head = pair.run.grid().layers[-1], 2
    changed = pair.lm.run(pair.run.tokens, Intervention(heads_off={(layer, head)}))
    np.testing.assert_array_equal(changed.hidden[: layer + 1], pair.run.hidden[: layer + 1])
    assert np.abs(changed.hidden[layer + 1] - pair.run.hidden[layer + 1]).max() > 1e-4
    if not (output := HYBRIDS[pair.name].output):  # its module is of more than one layer
        return

    def without_head(_: torch.nn.Module, args: tuple) -> tuple:
        heads = args[0].clone()
        heads.unflatten(-1, (pair.run.info.n_head, -1))[..., head, :] = 0
        return (heads, *args[1:])

    hook = pair.theirs.get_submodule(output).register_forward_pre_hook(without_head)
    with torch.inference_mode():
        said = pair.theirs(input_ids=pair.ids).logits[0]
    hook.remove()
    np.testing.assert_allclose(pair.lm.unembed(changed.hidden[-1]), said.numpy(), atol=SAME * float(said.abs().max()))


def test_what_is_changed_in_a_head_is_in_its_record(pair):
    layer = pair.run.grid().layers[-1]
    for change in (
        Intervention(edges_off={(layer, 1, 5, 4)}),
        Intervention(heads_uniform={(layer, 1)}, temperature=2.0),
        Intervention(causal_mask=False),
    ):
        changed = pair.lm.run(pair.run.tokens, change)
        assert pair.lm.recompute_layer(changed, layer) < SAME
        assert np.abs(layer_weights(changed.layer(layer)) - layer_weights(pair.run.layer(layer))).max() > 1e-3


def test_several_interventions_at_once_come_out_as_one_by_one(pair):
    """Also where the texts part before a layer with attention, behind layers that work otherwise."""
    heads = [(layer, head) for layer in pair.run.grid().layers for head in (0, 2, 3)]
    changes = [Intervention(), *(Intervention(heads_off={head}) for head in heads)]
    logits = list(pair.lm.logits(pair.run.tokens, changes))
    largest = np.abs(logits[0]).max()
    for ours, change in zip(logits, changes, strict=True):
        hidden = pair.lm.run(pair.run.tokens, change).hidden[-1]
        np.testing.assert_allclose(ours, pair.lm.unembed(hidden), atol=SAME * largest)
    assert all(np.abs(ours - logits[0]).max() > SAME * largest for ours in logits[1:])  # each head counts


def test_a_layer_without_attention_says_so_and_names_the_nearest_with_some(pair):
    for layer, what in pair.others.items():
        nearest = pair.run.grid().nearest(layer)
        sentence = f"Layer {layer} of {pair.name} is of another kind \\({what}\\).* some is layer {nearest}\\."
        off = Intervention(rows_off={(layer, 0, 3)})
        for ask in (
            lambda layer=layer: pair.run.layer(layer),
            lambda layer=layer: pair.lm.unfollowed(layer),
            lambda layer=layer: pair.lm.recompute_layer(pair.run, layer),
            lambda off=off: pair.lm.run(pair.run.tokens, off),
            lambda off=off: list(pair.lm.logits(pair.run.tokens, [off])),
        ):
            with pytest.raises(NoAttentionHere, match=sentence) as said:
                ask()
            assert said.value.nearest == nearest


def test_the_first_look_and_the_overview_are_of_layers_with_attention(pair):
    assert telling_head(pair.run)[0] in pair.run.grid().layers
    overview = pooled_overview(pair.run.attention)
    assert dict(overview.others) == pair.others and overview.maximum.shape[0] == pair.run.info.n_layer
    assert [bool(np.isnan(of_layer).all()) for of_layer in overview.maximum] == [
        layer in pair.others for layer in range(pair.run.info.n_layer)
    ]


def test_the_steps_of_a_head_are_the_models_own_or_the_one_that_is_not_is_named(pair):
    for layer in pair.run.grid().layers:
        reason = pair.lm.unfollowed(layer)
        if not pair.name.startswith(FOLLOWED):
            assert f"of layer {layer} cannot be followed: " in reason
            continue
        assert reason is None
        parameters, output = pair.lm.layer_parameters(layer), pair.lm.attention_output(pair.run, layer)
        steps = head_steps(pair.run, parameters, layer, 1, N_TOKEN - 1)
        assert output.after is not None and steps.alone == (pair.name == "NemotronHForCausalLM") and not steps.parallel
        for each in (*steps.differences, *steps.against(output)):
            assert each.relative < SAME, each


def test_the_architecture_is_that_of_its_modules(pair):
    """Of the kinds that are known: the rest is called unknown on the page."""
    a, blocks = pair.lm.architecture(), pair.lm.opened.stream.blocks
    stack = a.stacks[0]
    assert dict(stack.others) == pair.others
    n_token, numbers = 10, stack.n_head + 2 * stack.n_key_head
    assert record_bytes(a, n_token) == 4 * n_token * numbers * stack.d_head * len(pair.run.grid().layers)
    if not a.known:
        assert a.model_type not in HYBRID_TYPES
        return
    attending = blocks[pair.run.grid().layers[0]]
    parts = {name.rpartition(".")[2]: part for name, part in attending.named_modules()}
    assert a.qk_norm == bool({"q_norm", "q_layernorm"} & parts.keys())
    assert ("rotary" in stack.positions) == pair.lm.opened.has_positions
    assert not a.biases and not any(name.endswith("_proj.bias") for name, _ in attending.named_parameters())
    assert (a.n_expert > 0) == any("Experts" in type(part).__name__ for part in pair.theirs.modules())
    if not a.n_expert:
        widths = {
            weight.shape[0]
            for name, weight in attending.named_parameters()
            if name.endswith(("up_proj.weight", "w1.weight"))
        }
        assert widths == {stack.d_mlp}


class OwnAttention(torch.nn.Module):
    """For all one knows softmax attention, done in code of its own."""


class GatedDeltaNetAttention(torch.nn.Module):
    """Linear attention, by its name."""


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([torch.nn.Conv1d(1, 1, 1)], "convolution"),
        ([torch.nn.Linear(1, 1)], "something else"),
        ([GatedDeltaNetAttention()], "linear attention"),
        ([OwnAttention()], None),
        ([torch.nn.Conv1d(1, 1, 1), OwnAttention()], None),
    ],
)
def test_a_layer_is_only_called_another_kind_if_it_has_no_attention_of_its_own(parts, said):
    blocks = [torch.nn.ModuleList(parts), torch.nn.Identity()]
    stream = Stream(blocks, enters=True, last=blocks[1], n_last=1, behind=(), pads=False)
    calls = [CallRecord(module=blocks[1], layer=0, block=1, attention=None, output=None, value=None)]
    if said is None:
        with pytest.raises(NotCaptured, match="layer 0 has an attention of its own"):
            hybrid_layers(stream, calls, None)
    else:
        assert hybrid_layers(stream, calls, None) == ((1,), ((0, said),))
    with pytest.raises(NotCaptured, match="which of them was not found"):
        hybrid_layers(None, calls, None)
    with pytest.raises(NotCaptured, match="its attention calls lie in the layers 1, 1"):
        hybrid_layers(stream, calls * 2, None)


@pytest.mark.parametrize(
    ("name", "config", "what"),
    [
        ("MambaForCausalLM", {"hidden_size": 32, "num_hidden_layers": 2}, "state space"),
        (
            "RwkvForCausalLM",
            {"hidden_size": 32, "num_hidden_layers": 2},
            "linear attention",
        ),
    ],
)
def test_what_has_no_softmax_attention_at_all_is_refused(name, config, what):
    cls = getattr(transformers, name)

    def build(attn_implementation: str) -> Any:
        torch.manual_seed(0)
        return cls._from_config(cls.config_class(vocab_size=59, **config), attn_implementation=attn_implementation)

    with pytest.raises(ModelNotAvailable) as refusal:
        HuggingFaceModel(build, None, name=name, title="Tiny", fingerprint="")
    assert str(refusal.value) == (
        f"“Tiny” ({name}) has no softmax attention: its layers work by {what}, so there are no attention weights for "
        "Regard to show. Choose another model."
    )
