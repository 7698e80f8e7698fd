"""A page that needs nothing else: data comes back as it was, and nothing from outside leaves its place."""

import base64
import hashlib
import json
import re
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viz.offline.page import as_json, pack, page
from viz.offline.pictures import CHIPS, GRID, LINES
from viz.offline.source import COMPONENTS, Columns, Source

HOSTILE = "</script><!-- <script>window.hit = 1</script> \u2028\u2029 & ' \" \ud800"


def unpack(packed: str, numbers: str):
    """As host.js does it: of each array the first bytes of all numbers, then all second ones …"""
    said, raw, at, arrays = json.loads(packed), zlib.decompress(base64.b64decode(numbers)), 0, []
    for kind, n in said["arrays"]:
        size = np.dtype(kind).itemsize
        planes = np.frombuffer(raw, np.uint8, n * size, at).reshape(size, n)
        arrays.append(np.ascontiguousarray(planes.T).view(np.dtype(kind).newbyteorder("<")).ravel())
        at += n * size
    assert at == len(raw)
    return said["page"], arrays


def script(html: str, kind: str) -> str:
    return re.search(rf'<script[^>]*id="regard-{kind}"[^>]*>(.*?)</script>', html, re.DOTALL)[1]


@given(st.lists(st.sampled_from(["uint8", "uint16", "float32"]), max_size=4), st.integers(0, 2**32 - 1))
def test_numbers_come_back_bit_for_bit(kinds, seed):
    rng = np.random.default_rng(seed)
    made = {f"{i}": rng.integers(0, 256, 4 * (i + 2), np.uint8).view(kind) for i, kind in enumerate(kinds)}
    said, arrays = unpack(*pack([{"of": Columns(made)}, None]))
    for name, i in said[0]["of"]["$columns"].items():
        assert arrays[i].tobytes() == made[name].tobytes()
    assert len(arrays) == len(kinds)


def test_no_script_reads_another_type():
    with pytest.raises(ValueError, match="a column of float64: scripts read uint8, uint16, float32"):
        pack(Columns(w=np.zeros(3)))


def test_json_in_a_script_has_no_sign_of_html():
    made = as_json({HOSTILE: [HOSTILE]})
    assert made.isascii() and not set("<>&") & set(made)
    assert json.loads(made) == {HOSTILE: [HOSTILE]}
    with pytest.raises(ValueError):
        as_json(float("nan"))


def test_only_the_scripts_that_are_named_may_run_and_nothing_may_be_fetched():
    html = page(HOSTILE, "<p>", {"text": HOSTILE}, [CHIPS], "regard.read();")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)[1]
    program = zlib.decompress(base64.b64decode(script(html, "script")))
    (loader,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    allowed = {
        f"'sha256-{base64.b64encode(hashlib.sha256(each).digest()).decode()}'" for each in (loader.encode(), program)
    }
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("script-src").split() == sorted(allowed, key=policy.index)
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not re.search(r"(src|href)\s*=", html)
    assert html.count("</script>") == 4  # the data, the numbers, the packed program, the loader


@pytest.mark.parametrize("source", [CHIPS, GRID, LINES], ids=lambda source: source.name)
def test_a_component_runs_with_its_files_as_they_are(source):
    program = zlib.decompress(base64.b64decode(script(page("", "", {}, [source], ""), "script"))).decode()
    for name in (*source.shared, source.name):
        if (file := COMPONENTS / f"{name}.js").exists():
            assert file.read_text(encoding="utf-8") in program


def test_a_script_without_its_one_export_is_refused(tmp_path):
    (tmp_path / "two.js").write_text("export default function () {}\nfunction render() {}\n")
    with pytest.raises(ValueError, match="two has 2 exports, expected one"):
        page("", "", {}, [Source("two", "", folder=tmp_path)], "")
