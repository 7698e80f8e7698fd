"""Checkpoints read from folders: what they show, what they refuse, and that one visitor's run is not another's."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model.analysis.attention import layer_weights
from model.huggingface.capture import HALF_PRECISION
from model.huggingface.language_model import HuggingFaceModel
from model.huggingface.masks import read_mask
from model.intervention import Intervention
from model.run import ModelNotAvailable, PromptError, Token, VisitorError
from tests.conftest import REPEATED
from tests.huggingface.checkpoints import byte_level, load, save, save_bert
from viz.ui import session


@pytest.fixture
def gpt2_folder(tmp_path) -> Path:
    """A decoder of this test's own, to damage."""
    config = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 40, "bos_token_id": 0, "eos_token_id": 0}
    return save(tmp_path / "gpt2", "GPT2LMHeadModel", byte_level(), config, eos_token="<|endoftext|>")


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> HuggingFaceModel:
    return load(save_bert(tmp_path_factory.mktemp("bert") / "bert"))


def test_a_decoder_from_a_folder(gpt2_folder):
    lm = load(gpt2_folder)
    info = lm.info
    assert (info.n_layer, info.n_head, info.n_key_head, info.d_model, info.d_head) == (3, 4, 4, 32, 8)
    assert (info.family, info.causal, info.n_context, info.title) == ("decoder", True, 40, "Tiny")
    tokens = lm.encode(REPEATED)
    assert "".join(REPEATED[t.start : t.end] for t in tokens) == REPEATED
    run = lm.run(tokens)
    assert run.hidden.shape == (4, len(tokens), 32) and len(run.attention) == 3
    assert all(lm.recompute_layer(run, layer) < 1e-5 for layer in range(3))
    table, positions = lm.embeddings()
    assert table.shape == (info.n_vocab, 32) and positions.shape == (40, 32)
    np.testing.assert_allclose(run.hidden[0], table[[t.id for t in tokens]] + positions[: len(tokens)], atol=1e-6)
    without = lm.run(tokens, Intervention(positions=False))
    np.testing.assert_allclose(without.hidden[0], table[[t.id for t in tokens]], atol=1e-6)
    assert lm.encode("") == () and lm.mask_token() is None and lm.start_token() is None
    assert lm.architecture().family == "decoder"
    assert lm.parameter_shapes()["transformer.wte.weight"] == (info.n_vocab, 32)


def test_a_temperature_is_the_queries_divided_by_it(gpt2_folder):
    tokens = load(gpt2_folder).encode(REPEATED)
    warm = load(gpt2_folder).run(tokens, Intervention(temperature=2.0))
    weights = load_file(gpt2_folder / "model.safetensors")
    for name in weights:
        if "c_attn" in name:
            weights[name][..., :32] /= 2
    save_file(weights, gpt2_folder / "model.safetensors", {"format": "pt"})
    np.testing.assert_allclose(load(gpt2_folder).run(tokens).hidden, warm.hidden, atol=1e-3)


def test_half_precision_is_read_into_single(gpt2_folder):
    whole = load(gpt2_folder)
    path = gpt2_folder / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, {"format": "pt"})
    half = load(gpt2_folder)
    tokens = whole.encode(REPEATED)
    assert half.info.fingerprint != whole.info.fingerprint
    assert np.abs(half.run(tokens).hidden - whole.run(tokens).hidden).max() < 0.1


def test_one_token_and_too_many(gpt2_folder):
    lm = load(gpt2_folder)
    one = lm.run(lm.encode("t"))
    assert layer_weights(one.attention[0]).tolist() == [[[1]]] * 4
    with pytest.raises(PromptError, match="no text to read"):
        lm.run(())
    with pytest.raises(PromptError, match=r"51 tokens long; Tiny reads at most 40\. Shorten it by 11"):
        lm.run(lm.encode("t") * 51)
    with pytest.raises(PromptError, match="has no vector for"):
        lm.run((Token(999, b"?", 0, 1),))
    with pytest.raises(PromptError, match="one text only"):
        lm.run(lm.encode("t"), source=lm.encode("t"))
    with pytest.raises(ValueError, match="no head 4 in layer 0"):
        lm.run(lm.encode("t"), Intervention(heads_off=frozenset({(0, 4)})))


@pytest.mark.parametrize("text", ["😀", "猫坐在垫子上", "مرحبا", "<script>", "\x00\x07", " "])
def test_texts_that_were_never_seen(gpt2_folder, bert, text):
    for lm in (load(gpt2_folder), bert):
        run = lm.run(lm.encode(text))
        assert np.isfinite(run.hidden).all() and all(run.labels)


def test_an_encoder_guesses_what_is_masked(bert):
    tokens = bert.encode("the cat [MASK] the dog")
    masked = [t.id for t in tokens].index(bert.mask_token().id)
    run = bert.run(tokens)
    assert bert.info.family == "encoder" and not run.predictions.of_next
    assert tokens[0].special and tokens[-1].special and tokens[masked].special
    logits = bert.unembed(run.hidden[-1, masked])
    assert run.predictions.top_id[masked, 0] == logits.argmax()
    assert not np.isnan(run.predictions.next_log_prob).any()


def test_a_checkpoint_without_a_head_predicts_nothing(tmp_path):
    lm = load(save_bert(tmp_path / "bert", "BertModel"))
    run = lm.run(lm.encode(REPEATED))
    assert run.predictions is None and len(run.attention) == 2
    with pytest.raises(VisitorError, match="Tiny has no language-model head"):
        lm.unembed(run.hidden[-1])


def test_a_missing_head_is_not_made_up(tmp_path):
    folder = save_bert(tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    body = {name: tensor for name, tensor in weights.items() if not name.startswith("cls.")}
    assert len(body) < len(weights)
    save_file(body, folder / "model.safetensors", {"format": "pt"})
    lm = load(folder)
    assert lm.run(lm.encode("cat")).predictions is None


def test_a_missing_layer_is_not_made_up(gpt2_folder):
    path = gpt2_folder / "model.safetensors"
    weights = load_file(path)
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(ModelNotAvailable, match=r"h\.1\.mlp\.c_fc\.weight\. Regard does not make them up"):
        load(gpt2_folder)


def test_an_encoder_decoder_reads_one_text_and_writes_another(tmp_path):
    config = {"d_model": 32, "num_layers": 2, "num_heads": 4, "d_kv": 8, "d_ff": 48, "decoder_start_token_id": 0}
    lm = load(save(tmp_path / "t5", "T5ForConditionalGeneration", byte_level(), config))
    source, target = lm.encode("the cat saw the dog"), (lm.start_token(), *lm.encode("the dog"))
    run = lm.run(target, source=source)
    assert lm.info.family == "encoder-decoder" and target[0].id == 0
    assert run.cross[1].n_query == len(target) and run.cross[1].n_key == len(source)
    assert run.encoder[0].n_key == len(source) and run.attention[0].causal and not run.encoder[0].causal
    assert run.attention[0].bias is not None
    for kind in run.kinds:
        np.testing.assert_allclose(layer_weights(run.layers(kind)[0]).sum(-1), 1, atol=1e-5)
    assert run.predictions.of_next and lm.recompute_layer(run, 1) < 1e-5
    with pytest.raises(PromptError, match="reads one text and writes another"):
        lm.run(target)


def attention_bytes(lm: HuggingFaceModel, n_token: int) -> int:
    info = lm.info
    return 4 * info.n_layer * n_token * info.d_head * (info.n_head + 2 * info.n_key_head)


@pytest.mark.parametrize("kind", ["GPT2LMHeadModel", "LlamaForCausalLM"])
def test_a_long_text_is_kept_in_half_precision(tmp_path, kind):
    config = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 40}
    if kind.startswith("Llama"):
        config = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    lm = load(save(tmp_path / kind, kind, byte_level(), config | {"bos_token_id": 0, "eos_token_id": 0}))
    tokens = lm.encode(REPEATED)
    exact = lm.run(tokens)
    assert all(layer.exact for layer in exact.attention)
    assert sum(layer.n_byte for layer in exact.attention) == attention_bytes(lm, len(tokens))
    lm.opened.exact_bytes = attention_bytes(lm, len(tokens))
    assert all(layer.exact for layer in lm.run(tokens).attention)  # it just fits

    lm.opened.exact_bytes -= 1
    half = lm.run(tokens)
    assert not any(layer.exact for layer in half.attention)
    for ours, theirs in zip(half.attention, exact.attention, strict=True):
        assert ours.query.dtype == ours.key.dtype == np.float16 and ours.value is None
        assert np.array_equal(ours.query, theirs.query.astype(np.float16))
        moved = np.abs(layer_weights(ours) - layer_weights(theirs))
        assert 0 < moved.max() < 2 * HALF_PRECISION
    assert np.array_equal(half.hidden, exact.hidden) and half.predictions.loss == exact.predictions.loss
    assert all(lm.recompute_layer(half, layer) < 1e-2 for layer in range(3))
    without = lm.run(tokens, Intervention(heads_off=frozenset({(1, 2)})))
    assert not without.attention[1].exact and lm.recompute_layer(without, 1) < 1e-2


def test_a_layer_that_half_precision_would_falsify_stays_exact(gpt2_folder):
    path = gpt2_folder / "model.safetensors"
    weights = load_file(path)
    for layer, factor in ((1, 300.0), (2, 1e6)):  # scores so far apart that roundings show; keys beyond 65,504
        weights[f"transformer.h.{layer}.attn.c_attn.weight"][:, 32:64] *= factor
    save_file(weights, path, {"format": "pt"})
    lm = load(gpt2_folder)
    lm.opened.exact_bytes = 0
    run = lm.run(lm.encode(REPEATED))
    assert [layer.exact for layer in run.attention] == [False, True, True]
    assert run.attention[1].value is not None


def test_what_is_kept_is_a_copy_in_one_piece(gpt2_folder):
    """A view of the fused queries, keys and values would keep all of them alive, and more than once."""
    lm = load(gpt2_folder)
    for exact_bytes, arrays in ((1 << 20, ("query", "key", "value")), (0, ("query", "key"))):
        lm.opened.exact_bytes = exact_bytes
        run = lm.run(lm.encode(REPEATED))
        kept = [getattr(layer, name) for layer in run.attention for name in arrays]
        roots = {id(root): root for root in map(root_of, kept)}
        assert len(roots) == 1 and sum(array.nbytes for array in kept) == next(iter(roots.values())).nbytes
        assert all(array.flags.c_contiguous and not array.flags.writeable for array in kept)


def test_a_layer_is_done_again_without_those_after_it(gpt2_folder):
    lm = load(gpt2_folder)
    tokens = lm.encode(REPEATED)
    ids = [token.id for token in tokens]
    run = lm.run(tokens)
    for layer in range(3):
        recorder, output = lm.opened.forward(ids, keep_output=True, until=layer)
        assert output is None and len(recorder.of("self")) == layer + 1 and recorder.n_block == layer + 1
        assert np.array_equal(recorder.of("self")[layer].attention.key, run.attention[layer].key)
        assert lm.recompute_layer(run, layer) < 1e-5
    assert np.array_equal(lm.run(tokens).hidden, run.hidden)  # nothing of it stays


def test_the_attention_page_says_that_weights_are_rounded(gpt2_folder, monkeypatch, open_page):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(gpt2_folder.parent))
    name = f"folder:{gpt2_folder}"
    session.language_model(name).opened.exact_bytes = 0  # this test's own model: no other reads its folder
    app = open_page("attention", model=name, text=REPEATED)
    assert not app.exception
    said = "\n".join(element.value for element in [*app.markdown, *app.caption])
    assert "are kept in half precision, 16 bits a number: its weights are exact to about 0.002." in said
    assert "softmax(Q·Kᵀ/√d)·V, gives what the model itself computed" in said and "**Check failed" not in said


def root_of(array: np.ndarray) -> np.ndarray:
    return array if array.base is None else root_of(array.base)


def test_two_visitors_at_once(gpt2_folder):
    lm = load(gpt2_folder)
    tokens = lm.encode(REPEATED)
    changes = [Intervention(), Intervention(heads_off=frozenset({(0, 0), (2, 1)})), Intervention(temperature=3.0)]
    alone = [lm.run(tokens, change) for change in changes]
    differ = []

    def visit(n: int) -> None:
        for i in range(20):
            run = lm.run(tokens, changes[(n + i) % 3])
            same = np.array_equal(run.hidden, alone[(n + i) % 3].hidden) and len(run.attention) == 3
            differ.extend([] if same else [n])

    threads = [threading.Thread(target=visit, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not differ


# --- bad input ---


def damage_nothing_there(folder: Path) -> None:
    (folder / "config.json").unlink()


def damage_cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def damage_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def damage_unknown_architecture(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "hal9000"}))


def damage_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def damage_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": {"type": "BPE", "vocab": {"a": 0}}}')


def damage_vocabulary(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] |= {f"more{i}": 1000 + i for i in range(5)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def damage_shape(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["transformer.ln_f.weight"] = torch.ones(31)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    "damage",
    [
        damage_nothing_there,
        damage_cut_short,
        damage_pickle,
        damage_unknown_architecture,
        damage_no_tokenizer,
        damage_tokenizer,
        damage_vocabulary,
        damage_shape,
    ],
)
def test_a_damaged_folder_gets_a_sentence(gpt2_folder, damage, bert):
    damage(gpt2_folder)
    with pytest.raises(ModelNotAvailable) as refusal:
        load(gpt2_folder)
    sentence = str(refusal.value)
    assert sentence.endswith(".") and len(sentence) < 500 and "Traceback" not in sentence
    assert len(bert.run(bert.encode("cat")).attention) == 2  # the model that was open stays so


def test_code_of_a_checkpoint_is_never_run(gpt2_folder, tmp_path):
    trap = tmp_path / "ran"
    (gpt2_folder / "modeling_trap.py").write_text(f"open({str(trap)!r}, 'w')")
    config = json.loads((gpt2_folder / "config.json").read_text())
    own = {"AutoConfig": "modeling_trap.Config", "AutoModelForCausalLM": "modeling_trap.Model"}
    (gpt2_folder / "config.json").write_text(json.dumps(config | {"model_type": "trap", "auto_map": own}))
    with pytest.raises(ModelNotAvailable, match="code of its own"):
        load(gpt2_folder)
    assert not trap.exists()


# --- masks ---


def square(n: int, rule) -> torch.Tensor:
    query, key = torch.arange(n)[:, None], torch.arange(n)[None]
    return rule(query, key)[None, None]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (lambda q, k: k <= q, (True, 0)),
        (lambda q, k: (k <= q) & (k > q - 3), (True, 3)),
        (lambda q, k: (k <= q) & (k > q - 1), (True, 1)),
        (lambda q, k: (k - q).abs() <= 2, (False, 3)),
        (lambda q, k: (k - q) < 100, (False, 0)),
    ],
    ids=["causal", "window", "itself alone", "both sides", "all"],
)
def test_a_mask_that_a_rule_gives_is_kept_as_the_rule(rule, expected):
    mask = read_mask(square(7, rule), None, causal=False, shape=(7, 7))
    assert (mask.causal, mask.window) == expected and mask.bias is None


def test_a_mask_that_no_rule_gives_is_kept_whole():
    chunks = square(6, lambda q, k: (k <= q) & (q // 2 == k // 2))
    mask = read_mask(chunks, torch.ones(1, 2, 6, 6), causal=False, shape=(6, 6))
    assert (mask.causal, mask.window) == (False, 0)
    assert np.array_equal(mask.bias, np.where(chunks[0].numpy(), 1, -np.inf).repeat(2, 0))


def test_a_mask_of_numbers_is_a_rule_and_a_bias():
    slope = torch.arange(5.0).expand(5, 5)
    mask = slope.masked_fill(~square(5, lambda q, k: k <= q)[0, 0], torch.finfo(torch.float32).min)[None, None]
    read = read_mask(mask, None, causal=False, shape=(5, 5))
    assert read.causal and np.array_equal(read.bias[0], np.tril(slope))
