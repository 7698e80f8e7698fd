"""What `regard` does without the app: each command's data, its sentences, and its exit status."""

import argparse
import csv
import importlib
import io
import json
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import model
from model import catalog, serving
from model.analysis.attention import attention_weights, pooled_overview
from model.analysis.generation import generate
from model.analysis.sampling import Sampling
from tests.conftest import REPEATED, ROOT, write_tiny
from viz import cli
from viz.commands import COMMANDS, shell
from viz.figures import svg
from viz.figures.scale import weights_as_bytes

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tiny built-in models, which stand in for the shipped ones, and a checkpoint beside them."""
    weights = tmp_path_factory.mktemp("weights")
    write_tiny(weights / "story")
    write_tiny(weights / "pair", architecture="encoder-decoder")
    write_tiny(weights / "reader", causal=False)
    return weights


@pytest.fixture(scope="module", autouse=True)
def tiny_models(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "WEIGHTS", folder)
        patch.setattr(catalog.find, "__defaults__", (*catalog.find.__defaults__[:-1], folder))
        patch.setattr(catalog.load, "__defaults__", (folder,))
        yield


def regard(*argv) -> int:
    with pytest.raises(SystemExit) as raised:
        cli.main([*map(str, argv)])
    return raised.value.code


def sentence(capsys, *argv) -> str:
    """What is said on stderr of what can be mended; nothing is on stdout."""
    assert regard(*argv) == 1
    out, err = capsys.readouterr()
    assert not out
    assert "Traceback" not in err
    return err


def test_tokens(capsys):
    assert regard("tokens", "the cät") == 0
    header, *rows = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert header == ["position", "id", "token", "bytes", "characters"]
    tokens = catalog.load("story").encode("the cät")
    assert [int(row[1]) for row in rows] == [token.id for token in tokens]
    assert bytes.fromhex("".join(row[3] for row in rows)).decode() == "the cät"
    assert rows[-1][4].endswith(":7")

    assert regard("tokens", "the cät", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(each["id"], each["start"], each["end"]) for each in told] == [(t.id, t.start, t.end) for t in tokens]


def test_text_from_stdin(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("the cät\n".encode())))
    assert regard("tokens", "-", "--json") == 0
    assert json.loads(capsys.readouterr().out)[-1]["end"] == 7  # without the line end
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\xfa")))
    assert "no text in UTF-8" in sentence(capsys, "tokens", "-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert "is empty" in sentence(capsys, "tokens", "-")


def test_a_text_written_on(capsys, tmp_path):
    lm, options = catalog.load("story"), ("-n", 8, "--temperature", 0.7, "--top-k", 9, "--top-p", 0.9, "--seed", 5)
    assert regard("generate", REPEATED[:11], *options) == 0
    steps = generate(lm, lm.encode(REPEATED[:11]), 8, Sampling(0.7, 9, 0.9), 5)
    written = b"".join(step.token.piece for step in steps if not step.token.special).decode(errors="replace")
    assert capsys.readouterr().out == written + "\n"
    assert regard("generate", REPEATED[:11], *options, "-o", tmp_path / "on.txt") == 0
    assert (tmp_path / "on.txt").read_bytes() == written.encode()


def test_who_does_not_write(capsys):
    assert "is an encoder, which writes nothing on" in sentence(capsys, "generate", "the cat", "--model", "reader")
    assert "Leave --top-k away" in sentence(capsys, "generate", "the cat", "--model", "pair", "--top-k", 3)
    assert "there is no room to write" in sentence(capsys, "generate", "the cat " * 16)
    assert regard("generate", "the cat", "--model", "pair", "-n", 3) == 0
    assert regard("generate", "the cat", "-n", 100) == 0
    assert re.search(r"reads 32 tokens, which are full|^$", capsys.readouterr().err)


def test_heads(capsys, tmp_path):
    (tmp_path / "texts.txt").write_text(f"{REPEATED}\n\nthe dog saw the cat\n")
    assert regard("heads", "--texts", tmp_path / "texts.txt", "--score", "previous token", "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["layer"], row["head"]) for row in rows] == [(str(i), str(j)) for i in range(3) for j in range(4)]
    lm = catalog.load("story")
    for row in rows:  # by hand: the mean over two texts of the mean over rows, without the first
        layer, head = int(row["layer"]), int(row["head"])
        runs = [lm.run(lm.encode(text)) for text in (REPEATED, "the dog saw the cat")]
        maps = [attention_weights(each.attention[layer], head) for each in runs]
        assert float(row["previous token"]) == pytest.approx(np.mean([np.diag(w, -1).mean() for w in maps]), abs=1e-6)

    assert regard("heads", REPEATED, "--score", "current token") == 0
    values = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert values == sorted(values, reverse=True) and len(values) == 12
    assert "none cannot be read: No such file" in sentence(capsys, "heads", "--texts", tmp_path / "none")
    assert "cannot be read: Is a directory" in sentence(capsys, "heads", "--texts", tmp_path)
    assert "None of the texts can be read" in sentence(capsys, "heads", "half a character: \ud800")


def test_the_picture_of_a_head_has_the_numbers_of_the_tensor(capsys):
    text = "<cat> & the\tcat “saw” ]]> \x01"
    assert regard("picture", text, "--layer", 2, "--head", 1) == 0
    tree = ElementTree.fromstring(capsys.readouterr().out)
    lm = catalog.load("story")
    run = lm.run(lm.encode(text))
    weights = attention_weights(run.attention[2], 1)
    drawn = np.zeros_like(weights)
    for cell in tree.iter(f"{SVG}rect"):
        if (told := cell.find(f"{SVG}title")) is not None:
            drawn[int(cell.get("y")), int(cell.get("x"))] = np.float32(told.text.rpartition(": ")[2])
    np.testing.assert_array_equal(drawn, weights)
    written = [each.text for each in tree.iter(f"{SVG}text")]
    for label in run.labels:
        assert written.count(label) >= 2  # beside its row and above its column
    words = " ".join(written)
    for said in (
        lm.info.fingerprint[:12],
        "model story, weights",
        "layer 2, head 1",
        "<cat> & the cat",
        f"Regard {shell.version()}",
    ):
        assert said in words


def test_the_picture_of_many_heads(tmp_path):
    where = tmp_path / "all.svg"
    for options, places in (
        (("--all",), [(layer, head) for layer in range(3) for head in range(4)]),
        (("--layer", "1"), [(1, head) for head in range(4)]),
        (("--head", "3"), [(layer, 3) for layer in range(3)]),
    ):
        assert regard("picture", REPEATED, *options, "-o", where, "--force") == 0
        tree = ElementTree.parse(where).getroot()
        tiles = {each.get("id"): each for each in tree.iter(f"{SVG}g") if each.get("id")}
        assert set(tiles) == {f"head-{layer}-{head}" for layer, head in places}
    lm = catalog.load("story")
    maximum = pooled_overview(lm.run(lm.encode(REPEATED)).attention).maximum
    levels = np.zeros(maximum[2, 3].shape, np.uint8)
    for path in tiles["head-2-3"].iter(f"{SVG}path"):
        for x, y, n in re.findall(r"M(\d+) (\d+)h(\d+)", path.get("d")):
            levels[int(y), int(x) : int(x) + int(n)] = int(path.get("data-level"))
            assert path.get("fill") == "#" + bytes(svg.COLOURS[int(path.get("data-level"))]).hex()
    np.testing.assert_array_equal(levels, weights_as_bytes(maximum[2, 3]))


def test_a_large_picture_is_pixels():
    weights = np.tril(np.ones((200, 200), np.float32)) / np.arange(1, 201, dtype=np.float32)[:, None]
    labels = [f"t{i}" for i in range(200)]
    tree = ElementTree.fromstring(svg.heatmap_svg(weights, labels, labels, ["of what"], "a title"))
    assert tree.find(f"{SVG}image").get("href").startswith("data:image/png;base64,")
    assert len(list(tree.iter(f"{SVG}rect"))) < 5
    tiles = {(0, head): weights for head in range(3)}
    assert len(list(ElementTree.fromstring(svg.heads_svg(tiles, ["of what"], "a title")).iter(f"{SVG}image"))) == 3


def test_pages_that_need_no_network(tmp_path):
    one, many = tmp_path / "one.html", tmp_path / "many.html"
    assert regard("picture", "the <b>cat", "--layer", 0, "--head", 0, "-o", one) == 0
    assert regard("picture", "the <b>cat", "-o", many) == 0
    for page in map(str, (one.read_text("utf-8"), many.read_text("utf-8"))):
        assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
        assert "the &lt;b&gt;cat" in page
    assert "Plotly.newPlot" in one.read_text("utf-8")


def test_a_run_as_data(capsys, tmp_path):
    where = tmp_path / "run.npz"
    assert regard("export", REPEATED, "--heads", "1.2, 2.*", "-o", where) == 0
    assert re.search(r"Weights of heads: [\d,]+ bytes\nWritten: ", capsys.readouterr().err)
    lm, found = catalog.load("story"), model.load_run(where)
    run = lm.run(lm.encode(REPEATED))
    assert found.text == REPEATED and found.run.tokens == run.tokens and found.version == shell.version()
    assert set(found.weights) == {("self", 1, 2), *(("self", 2, head) for head in range(4))}
    for (_, layer, head), weights in found.weights.items():
        np.testing.assert_array_equal(weights, attention_weights(run.attention[layer], head))
    assert "There is no head 7.0" in sentence(capsys, "export", "the cat", "--heads", "7.0", "-o", tmp_path / "x.npz")
    assert "is there already" in sentence(capsys, "export", "the cat", "-o", where)
    assert regard("export", "the cat", "--heads", "none", "--model", "pair", "-o", where, "--force") == 0
    assert not model.load_run(where).weights and model.load_run(where).run.source
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_a_picture_of_cross_attention(capsys):
    assert regard("picture", "the cat", "--model", "pair", "--layer", 0, "--head", 0) == 0
    assert "cross-attention, layer 0, head 0 · model pair" in capsys.readouterr().out
    assert regard("picture", "the cat", "--model", "pair", "--attention", "encoder") == 0
    assert "the encoder’s attention, 3 layers × 4 heads" in capsys.readouterr().out
    assert "no attention of the kind cross" in sentence(capsys, "picture", "the cat", "--attention", "cross")


def test_png_says_what_is_missing(capsys, tmp_path, monkeypatch):
    from viz.commands import picture

    monkeypatch.setattr(picture, "PNG_BY", "surely_not_installed")
    assert "pip install 'regard[png]'" in sentence(capsys, "picture", "the cat", "-o", tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


def test_png_is_the_svg_twice_as_large(tmp_path):
    pytest.importorskip("resvg_py", reason="the extra png")  # it is in the extra test
    assert regard("picture", "the cat", "--layer", 0, "--head", 0, "-o", tmp_path / "x.png") == 0
    assert regard("picture", "the cat", "--layer", 0, "--head", 0, "-o", tmp_path / "x.svg") == 0
    tree = ElementTree.parse(tmp_path / "x.svg").getroot()
    with Image.open(tmp_path / "x.png") as drawn:
        assert drawn.size == (2 * int(tree.get("width")), 2 * int(tree.get("height")))
        seen = {colour[:3] for _, colour in drawn.convert("RGB").getcolors(10**6)}
    fills = {cell.get("fill") for cell in tree.iter(f"{SVG}rect") if cell.find(f"{SVG}title") is not None}
    assert fills and {tuple(bytes.fromhex(fill[1:])) for fill in fills} <= seen


def test_a_dash_is_stdout(capfdbinary, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert regard("picture", "the cat", "-o", "-") == 0
    assert capfdbinary.readouterr().out.startswith(b"<svg")
    assert regard("export", "the cat", "-o", "-") == 0
    found = model.load_run(io.BytesIO(capfdbinary.readouterr().out))
    assert found.text == "the cat" and len(found.weights) == 12
    assert not list(tmp_path.iterdir())


def test_files_are_not_written_over(capsys, tmp_path):
    there = tmp_path / "x.svg"
    there.write_text("mine")
    ask = ("picture", "the cat", "-o", there)
    assert "is there already. Give another name, or --force" in sentence(capsys, *ask)
    assert there.read_text() == "mine"
    assert regard(*ask, "--force") == 0
    assert there.read_text("utf-8").startswith("<svg")
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]


def test_files_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "x.svg").mkdir()
    assert "is a folder" in sentence(capsys, "picture", "the cat", "-o", tmp_path / "x.svg")
    assert "There is no folder" in sentence(capsys, "picture", "the cat", "-o", tmp_path / "none" / "x.svg")
    assert "cannot be written" in sentence(capsys, "picture", "the cat", "-o", tmp_path / ("x" * 300 + ".svg"))
    if os.path.exists("/dev/full"):
        (tmp_path / "full.svg").symlink_to("/dev/full")
        assert "No space left" in sentence(capsys, "picture", "the cat", "-o", tmp_path / "full.svg")


def test_models_are_named_as_in_an_address(capsys, tiny_gpt2):
    for name in (f"folder:{tiny_gpt2}", tiny_gpt2):
        assert regard("tokens", "the cat", "--model", name) == 0
    capsys.readouterr()
    assert "There is no model “nothing” here" in sentence(capsys, "tokens", "the cat", "--model", "nothing")
    assert "nothing-here" in sentence(capsys, "tokens", "the cat", "--model", "folder:/nothing-here")
    assert "hf download org/name" in sentence(capsys, "tokens", "the cat", "--model", "org/name")
    assert regard("picture", "the cat", "--layer", "0", "--head", "9") == 1
    assert "has no head 9: heads go from 0 to 3" in capsys.readouterr().err


def test_small_models_have_one_thread(monkeypatch):
    asked = []
    monkeypatch.setattr(serving, "load_torch", lambda: asked.append("one"))
    assert regard("tokens", "the cat") == 0 and asked == ["one"]
    monkeypatch.setattr(shell, "MOST_FOR_ONE_THREAD", 0)
    assert regard("tokens", "the cat") == 0 and asked == ["one"]


@pytest.mark.parametrize(
    "argv, said",
    [
        (["generate", "a", "--temperature", "-1"], "'-1' is not a number from 0 to 100"),
        (["generate", "a", "-n", "0"], "'0' is not a whole number from 1"),
        (["generate", "a", "--top-p", "nan"], "is not a number"),
        (["generate", "a", "--seed", "1.5"], "is not a whole number"),
        (["heads", "--score", "best"], "invalid choice: 'best'"),
        (["picture", "a", "--all", "--layer", "1"], "not with --layer or --head"),
        (["picture", "a", "-o", "x.gif"], "does not end with .svg, .html, .png"),
        (["tokens"], "the following arguments are required: TEXT"),
        (["pictures", "a"], "there is no command 'pictures'"),
    ],
)
def test_wrong_commands(argv, said, capsys):
    assert regard(*argv) == 2
    out, err = capsys.readouterr()
    assert said in err and not out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    assert regard(name, "--help") == 0
    help = capsys.readouterr().out
    assert f"usage: regard {name}" in help
    example = help.partition("example:\n")[2]
    assert example.strip().startswith(f"regard {name}")
    made = importlib.import_module(f"viz.commands.{name}").parser()
    assert isinstance(made, argparse.ArgumentParser)
    regard("--help")
    assert f"  {name} " in capsys.readouterr().out


def test_help_and_wrong_commands_wait_for_nothing_heavy():
    asked = [["--help"], *([name, "--help"] for name in COMMANDS), ["generate", "a", "-n", "x"], ["nonsense"]]
    code = (
        f"import sys; from viz.cli import main\nfor argv in {asked!r}:\n try: main(argv)\n except SystemExit: pass\n"
        "sys.exit(str({'torch', 'transformers', 'streamlit', 'plotly', 'tokenizers'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert answer.stderr.endswith("set()\n"), answer.stderr


def test_a_pipe_that_closes():
    code = "from viz.cli import main; main(['tokens', 'the cat sat on the mat ' * 8])"
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as closed:
        answer = subprocess.run(
            [sys.executable, "-c", code], stdout=closed, stderr=subprocess.PIPE, cwd=ROOT, text=True
        )
    assert answer.returncode == shell.CLOSED
    assert not answer.stderr
