"""A run in a file comes back equal to the last bit, and a file that is none is refused with a sentence."""

import io
import json
import zipfile
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

import model
from model.analysis.attention import attention_weights
from model.analysis.run_file import load_run, save_run, sizes
from model.intervention import Ablation, Intervention
from model.run import VisitorError
from tests.any_models import TEXT, write_models
from tests.conftest import REPEATED

CHANGED = Intervention(
    heads_off=frozenset({(1, 2)}), edges_off=frozenset({(0, 1, 5, 2)}), scale=False, temperature=0.7, positions=False
)


def same(one, other) -> None:
    """To the last bit: types, shapes, signs of zeros and what NaN is made of too."""
    assert type(one) is type(other)
    if is_dataclass(one):
        for field in fields(one):
            same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
        assert not other.flags.writeable
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    else:
        assert one == other


def saved(run, *more) -> io.BytesIO:
    file = io.BytesIO()
    save_run(run, file, *more)
    return file


def heads_of(run) -> list[tuple[str, int, int]]:
    return [(kind, layer, 1) for kind in run.kinds for layer in run.grid(kind).layers]


def test_a_run_with_changes(tiny):
    run = tiny.run(tiny.encode(REPEATED), CHANGED)
    file = saved(run, heads_of(run), REPEATED)
    found = load_run(file)
    same(run, found.run)
    assert found.text == REPEATED
    assert set(found.weights) == {("self", layer, 1) for layer in range(3)}
    for (_, layer, head), weights in found.weights.items():
        same(attention_weights(run.attention[layer], head), weights)
    assert saved(run, heads_of(run), REPEATED).getvalue() == file.getvalue()  # no clock in it


def test_what_is_taken_out_of_the_other_kinds(tiny_translator):
    changed = Intervention(encoder=Ablation(heads_uniform={(0, 1)}), cross=Ablation(rows_off={(2, 3, 1)}))
    run = tiny_translator.run(
        [tiny_translator.start_token(), *tiny_translator.encode("the cat")], changed, tiny_translator.encode(REPEATED)
    )
    file = saved(run, heads_of(run))
    same(run, load_run(file).run)
    assert {kind for kind, _, _ in load_run(file).weights} == {"self", "encoder", "cross"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("kind", ["window and sink", "weights", "hybrid", "headless", "encoder-decoder"])
def test_models_of_every_form(folders, kind):
    lm = model.load(folders / kind)
    tokens = lm.encode(TEXT)
    run = lm.run([lm.start_token(), *tokens], source=tokens) if kind == "encoder-decoder" else lm.run(tokens)
    file = saved(run, heads_of(run))
    found = load_run(file)
    same(run, found.run)
    for (of, layer, head), weights in found.weights.items():
        np.testing.assert_array_equal(attention_weights(run.layers(of)[layer], head), weights)
    if kind == "encoder-decoder":  # its layers share one bias, which is there once
        with zipfile.ZipFile(file) as opened:
            assert len([name for name in opened.namelist() if name.startswith("self/") and "bias" in name]) == 1


def test_half_precision_comes_back(tiny_run):
    half = replace(
        tiny_run.attention[0],
        query=tiny_run.attention[0].query.astype(np.float16),
        key=tiny_run.attention[0].key.astype(np.float16),
        value=None,
    )
    run = replace(tiny_run, attention=(half, *tiny_run.attention[1:]), hidden=None, predictions=None)
    same(run, load_run(saved(run)).run)


def test_numpy_reads_it_alone(tiny_run, tmp_path):
    path = tmp_path / "run.npz"
    save_run(tiny_run, path, [("self", 2, 3)], REPEATED)
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["self/1/query"], tiny_run.attention[1].query)
        np.testing.assert_array_equal(file["hidden"], tiny_run.hidden)
        np.testing.assert_array_equal(file["weights/self/2/3"], attention_weights(tiny_run.attention[2], 3))
        told = json.loads(file["run.json"])["tokens"]
        assert [REPEATED[each["start"] : each["end"]] for each in told] == [
            bytes.fromhex(each["piece"]).decode() for each in told
        ]
        assert tiny_run.info.fingerprint in file["README.txt"].decode()


def test_its_size_is_known_before(tiny_run):
    heads = [("self", layer, head) for layer in range(3) for head in range(4)]
    file = saved(tiny_run, heads)
    with zipfile.ZipFile(file) as opened:
        arrays = [np.load(io.BytesIO(opened.read(name))) for name in opened.namelist() if name.endswith(".npy")]
    assert sum(sizes(tiny_run, heads).values()) == sum(array.nbytes for array in arrays)
    assert "weights" not in sizes(tiny_run)


def test_a_head_that_is_not_there(tiny_run):
    for place in (("self", 3, 0), ("self", 0, 4), ("cross", 0, 0)):
        with pytest.raises(VisitorError, match="has no head"):
            saved(tiny_run, [place])


def rewritten(file: io.BytesIO, change) -> io.BytesIO:
    """The same file with members changed: name -> bytes, by `change(name, bytes)`; None leaves one away."""
    made = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            if (content := change(name, old.read(name))) is not None:
                new.writestr(name, content)
    return made


def npy(array, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "name, content",
    [
        ("run.json", None),
        ("run.json", b"{}"),
        ("run.json", b"[" * 10_000),
        ("hidden.npy", None),
        ("hidden.npy", b"no array"),
        ("hidden.npy", npy(np.zeros((4, 2, 32), np.float32))),
        ("self/1/query.npy", None),
        ("self/1/query.npy", npy(np.array([{}], object), allow_pickle=True)),
        ("self/1/query.npy", npy(np.zeros((4, 11, 8), np.float64))),
        ("self/1/key.npy", npy(np.zeros((4, 11, 8), np.float32))[:-4]),
        ("self/1/key.npy", npy(np.zeros(1, np.float32)).replace(b"(1,), ", b"(10**14,), ")),
        ("weights/self/0/1.npy", npy(np.zeros((2, 2), np.float32))),
    ],
)
def test_what_was_changed_is_refused(tiny_run, name, content):
    file = rewritten(saved(tiny_run, heads_of(tiny_run)), lambda each, old: content if each == name else old)
    if name == "hidden.npy" and content is None:  # a run may do without
        assert load_run(file).run.hidden is None
        return
    with pytest.raises(VisitorError, match="is no run that Regard wrote, or was changed since"):
        load_run(file)


def test_what_is_no_file_of_ours(tiny_run, tmp_path, monkeypatch):
    (tmp_path / "text").write_text("no run")
    (tmp_path / "half").write_bytes(saved(tiny_run).getvalue()[:-400])
    for name in ("text", "half"):
        with pytest.raises(VisitorError, match="is no run that Regard wrote"):
            load_run(tmp_path / name)
    with pytest.raises(VisitorError, match=r"none cannot be read: No such file"):
        load_run(tmp_path / "none")
    monkeypatch.setattr("model.analysis.run_file.memory_available", lambda: 70 * 10**6)
    assert load_run(saved(tiny_run)).text == ""
    monkeypatch.setattr("model.analysis.run_file.memory_available", lambda: 64 * 10**6)
    with pytest.raises(VisitorError, match=r"needs [\d,]+ bytes of memory: 64,000,000 are free"):
        load_run(saved(tiny_run))
