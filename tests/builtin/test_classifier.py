"""Judging a text: the probabilities, and what each token counts, held to derivatives and runs made one by one."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model import catalog
from model.builtin.classifier import Classification, Classifier, TextClassifier
from model.builtin.transformer import Config
from model.intervention import Intervention
from model.run import ModelNotAvailable, PromptError, Token, VisitorError
from model.sources import builtin_files
from model.sources import cost as checkpoint
from model.text.tokenizer import train
from tests.conftest import REPEATED

LABELS = ("negative", "positive", "neither")


def write_classifier(folder, labels=LABELS):
    """2 layers of 2 heads, random weights large enough to tell one token from another."""
    tokenizer = train(iter([REPEATED] * 3), n_vocab=275, mask=True)
    torch.manual_seed(1)
    config = Config(tokenizer.n_vocab, 40, n_layer=2, n_head=2, d_model=16, causal=False)
    network = TextClassifier(config, labels)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    folder.mkdir(parents=True)
    save_file({name: t.half() for name, t in network.state_dict().items()}, folder / "weights.safetensors")
    tokenizer.save(folder / "tokenizer.json")
    stated = asdict(config) | {"architecture": "classifier", "labels": labels}
    (folder / "config.json").write_text(json.dumps(stated))
    (folder / "card.json").write_text(json.dumps({"title": "Judge"}))
    return folder


def write_layer(folder, labels=LABELS):
    """The same as a layer alone, over the weights of an encoder in the folder beside it."""
    weights = load_file(write_classifier(folder, labels) / "weights.safetensors")
    body = folder.parent / "body"
    body.mkdir()
    save_file({name: t for name, t in weights.items() if "head" not in name}, body / "weights.safetensors")
    save_file({name: t for name, t in weights.items() if "head" in name}, folder / "weights.safetensors")
    (folder / "tokenizer.json").rename(body / "tokenizer.json")
    shape = json.loads((folder / "config.json").read_text())
    shape = {name: value for name, value in shape.items() if name != "labels"}
    (body / "config.json").write_text(json.dumps(shape | {"architecture": "encoder"}))
    (body / "card.json").write_text(json.dumps({"title": "Body"}))
    made_for = builtin_files.fingerprint(body / "weights.safetensors")
    own = {"architecture": "classifier", "encoder": "body", "encoder_fingerprint": made_for, "labels": labels}
    (folder / "config.json").write_text(json.dumps(own))
    return folder


@pytest.fixture(scope="module", params=[write_classifier, write_layer], ids=["whole", "layer"])
def judge(request, tmp_path_factory) -> Classifier:
    """Both ways to ship one, of the same numbers."""
    return catalog.load("judge", weights=request.param(tmp_path_factory.mktemp("weights") / "judge").parent)


@pytest.fixture(scope="module")
def tokens(judge) -> tuple[Token, ...]:
    return judge.encode(REPEATED)


def double(judge: Classifier) -> TextClassifier:
    """The same network in double precision, for differences."""
    network = TextClassifier(judge._transformer.config, judge.info.labels).double()
    network.load_state_dict(judge._transformer.state_dict())
    return network.eval()


def margin(logits: torch.Tensor, label: int) -> float:
    others = [logits[i].item() for i in range(len(logits)) if i != label]
    return logits[label].item() - sum(others) / len(others)


def test_the_probabilities_are_those_of_the_mean_final_vector(judge, tokens):
    found = judge.classify(tokens)
    assert found.labels == judge.info.labels == LABELS
    network, run = judge._transformer, judge.run(tokens)
    final = torch.tensor(run.hidden[-1])
    normed = (final - final.mean(-1, keepdim=True)) / (final.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    normed = normed * network.final_norm.weight + network.final_norm.bias
    logits = (normed.sum(0) / len(tokens)) @ network.head.weight.T + network.head.bias
    np.testing.assert_allclose(found.log_prob, logits.log_softmax(-1).numpy(), atol=1e-5)
    assert np.exp(found.log_prob).sum() == pytest.approx(1, abs=1e-12)
    assert found.best == int(logits.argmax())


def test_it_guesses_no_words(judge, tokens):
    run = judge.run(tokens)
    assert run.predictions is None and run.info.family == "encoder" and not run.info.causal
    assert judge.architecture().head == "other"
    assert judge.recompute_layer(run, 1) < 1e-4
    with pytest.raises(VisitorError, match="Judge was trained to judge texts, so it predicts no tokens"):
        judge.unembed(run.hidden[-1])


@pytest.mark.parametrize("label", range(3))
def test_gradient_times_input_is_a_finite_difference(judge, tokens, label):
    """Scaling one token's vector by 1 ± step moves the margin by 2 step times what the token counts."""
    found = judge.gradient_x_input(tokens, label)
    network, step = double(judge), 1e-4
    ids = torch.tensor([[token.id for token in tokens]])
    positions = network.position_embedding.weight[: len(tokens)]
    expected = []
    with torch.no_grad():
        for t in range(len(tokens)):
            ends = []
            for by in (1 + step, 1 - step):
                table = network.token_embedding(ids)
                table[0, t] *= by
                ends.append(margin(network.judge(network.read(table + positions).hidden[-1])[0], label))
            expected.append((ends[0] - ends[1]) / (2 * step))
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("label", range(3))
def test_occlusion_is_one_text_at_a_time(judge, tokens, label):
    found, mask = judge.occlusion(tokens, label), judge.mask_token()

    def margin_of(read) -> float:
        return margin(torch.tensor(judge.classify(read).log_prob), label)  # the softmax's constant falls out

    for t in range(len(tokens)):
        hidden = (*tokens[:t], mask, *tokens[t + 1 :])
        assert found[t] == pytest.approx(margin_of(tokens) - margin_of(hidden), abs=1e-4)
    assert found.shape == (len(tokens),) and np.ptp(found) > 0.01


def test_occlusion_of_a_long_text_and_of_one_token(judge):
    long = judge.encode("the " * 39 + "cat")
    assert len(long) == 40 and judge.occlusion(long, 0).shape == (40,)
    masked = judge.encode("[MASK]")
    assert judge.occlusion(masked, 1) == pytest.approx([0], abs=1e-6)
    assert judge.gradient_x_input(masked, 1).shape == (1,)


def test_what_speaks_for_one_of_two_labels_speaks_against_the_other(tmp_path):
    lm = Classifier.load(write_classifier(tmp_path / "two", LABELS[:2]))
    tokens = lm.encode(REPEATED)
    for counted in (lm.gradient_x_input, lm.occlusion):
        np.testing.assert_allclose(counted(tokens, 0), -counted(tokens, 1), atol=1e-5)


def test_padding_does_not_count(judge, tokens):
    network, ids = judge._transformer, torch.tensor([[token.id for token in tokens]])
    padded = torch.cat([ids, torch.full((1, 5), 7)], dim=1)
    visible = torch.arange(padded.shape[1])[None] < len(tokens)
    with torch.no_grad():
        alone = network.judge(network.read(network.embed(ids)).hidden[-1])
        together = network.judge(network.read(network.embed(padded), visible=visible).hidden[-1], visible)
    torch.testing.assert_close(together, alone)


def test_an_intervention_is_honoured(judge, tokens):
    off = Intervention(heads_off=frozenset({(0, 0), (0, 1), (1, 0), (1, 1)}))
    changed = judge.classify(tokens, off)
    assert np.abs(changed.log_prob - judge.classify(tokens).log_prob).max() > 1e-3
    final = torch.tensor(judge.run(tokens, off).hidden[-1])[None]
    with torch.no_grad():
        logits = judge._transformer.judge(final)[0]
    np.testing.assert_allclose(changed.log_prob, logits.log_softmax(-1).numpy(), atol=1e-5)


def test_what_cannot_be_judged(judge, tokens):
    for ask in (judge.classify, lambda t: judge.occlusion(t, 0), lambda t: judge.gradient_x_input(t, 0)):
        with pytest.raises(PromptError, match="There is no text to read"):
            ask(())
        with pytest.raises(PromptError, match="41 tokens long; Judge reads at most 40"):
            ask((tokens * 4)[:41])
    for label in (-1, 3):
        with pytest.raises(IndexError, match=f"no label {label}: there are 3"):
            judge.occlusion(tokens, label)
        with pytest.raises(IndexError, match=f"no label {label}: there are 3"):
            judge.gradient_x_input(tokens, label)
    with pytest.raises(ValueError, match="log-probabilities"):
        Classification(("a", "b"), np.zeros(3))


@pytest.mark.parametrize("change", [{"labels": ["one"]}, {"causal": True}, {"dropout": 0.1}])
def test_a_config_that_is_not_understood(tmp_path, change):
    folder = write_classifier(tmp_path / "judge")
    stated = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(stated | change))
    with pytest.raises(ModelNotAvailable, match="The model “judge” cannot be read"):
        Classifier.load(folder)


def test_the_arrays_are_the_callers_own(judge, tokens):
    """Nothing of one question is left for the next: the same numbers, in any order, and no gradients kept."""
    first = judge.gradient_x_input(tokens, 0)
    judge.occlusion(tokens, 1)
    np.testing.assert_array_equal(first, judge.gradient_x_input(tokens, 0))
    assert all(p.grad is None and not p.requires_grad for p in judge._transformer.parameters())
    with torch.inference_mode():
        np.testing.assert_allclose(first, judge.gradient_x_input(tokens, 0), atol=1e-6)
    elsewhere = tuple(replace(token, start=0, end=0) for token in tokens)
    np.testing.assert_array_equal(first, judge.gradient_x_input(elsewhere, 0))


def test_a_layer_and_the_weights_below_it(tmp_path):
    """Both are counted, and the judgement is the one of a classifier that has them all itself."""
    whole, layer = write_classifier(tmp_path / "one/judge"), write_layer(tmp_path / "two/judge")
    assert {file.name for file in layer.iterdir()} == {"config.json", "card.json", "weights.safetensors"}
    one, two = (catalog.load("judge", weights=folder.parent) for folder in (whole, layer))
    assert one.info.n_parameter == two.info.n_parameter and one.info.fingerprint != two.info.fingerprint
    np.testing.assert_array_equal(*(lm.classify(lm.encode(REPEATED)).log_prob for lm in (one, two)))
    costs = [checkpoint.cost_of_built_in(folder) for folder in (whole, layer)]
    assert costs[0].n_parameter == costs[1].n_parameter == one.info.n_parameter
    body = catalog.load("body", weights=layer.parent)
    np.testing.assert_array_equal(two.run(two.encode(REPEATED)).hidden, body.run(body.encode(REPEATED)).hidden)


def test_a_layer_over_other_weights_is_refused(tmp_path):
    layer = write_layer(tmp_path / "judge")
    body = load_file(tmp_path / "body/weights.safetensors")
    save_file({name: t + 1 for name, t in body.items()}, tmp_path / "body/weights.safetensors")
    with pytest.raises(ModelNotAvailable, match=r"it was made for the weights [0-9a-f]{16} of “body”, and these are"):
        Classifier.load(layer)
    with pytest.raises(ModelNotAvailable, match="Install Regard again"):
        checkpoint.cost_of_built_in(layer)


def test_a_layer_without_what_is_below_it_is_incomplete(tmp_path):
    layer = write_layer(tmp_path / "judge")
    (tmp_path / "body/tokenizer.json").unlink()
    with pytest.raises(ModelNotAvailable, match=r"“judge” is incomplete: .*body holds no tokenizer.json"):
        Classifier.load(layer)
    stated = json.loads((layer / "config.json").read_text())
    (layer / "config.json").write_text(json.dumps(stated | {"encoder": "../../elsewhere"}))
    with pytest.raises(ModelNotAvailable, match=f"is incomplete: {tmp_path}/elsewhere holds no config.json"):
        Classifier.load(layer)


def test_the_shipped_ones_belong_together():
    """What is shipped can be read, cuts texts alike, says what it owes, and stays small."""
    encoder, shipped = (catalog.load(name) for name in ("encoder", "sentiment"))
    text = "A [MASK] film, and a dull one."
    assert encoder.encode(text) == shipped.encode(text)
    assert encoder.mask_token() == shipped.mask_token() and encoder.encode(text)[1].special
    assert encoder.run(encoder.encode(text)).predictions is not None
    assert sum(np.exp(shipped.classify(shipped.encode(text)).log_prob)) == pytest.approx(1)
    folders = [catalog.WEIGHTS / name for name in ("encoder", "sentiment")]
    assert sum(file.stat().st_size for folder in folders for file in folder.iterdir()) < 10e6
    for folder in folders:
        owed = (folder / "NOTICE.md").read_text()
        assert all(name in owed for name in ("Gutenberg", "StoryWeaver", "Tatoeba", "Pang", "Liu", "Hutto"))
        assert (folder / "storybooks-attribution.tsv").is_file()
