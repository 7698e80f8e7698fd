"""The one guard: no code of the app goes around it, and what each kind of place raises becomes a sentence there."""

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT

APP = [ROOT / "app.py", *sorted((ROOT / "viz").rglob("*.py"))]
GUARD = ROOT / "viz/guard.py"
# of our own components, which guard what they give to Streamlit; and what is called when nobody is there to be told
OURS = {
    "on_pick",
    "on_open",
    "on_set",
    "on_close",
    "on_rest",
    "on_branch",
    "on_text",
    "on_release",
    "on_ask",
    "on_use",
    "on_step",
    "on_collected",
}
SAID = "A number that is too large: type a smaller one."
PROGRAM = "This part cannot be shown: an error in Regard itself (KeyError)."


def callbacks(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Everything that is handed over under a name such as on_click: as an argument, or within a dict of arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg)
        elif isinstance(node, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
            yield from zip(keys, node.values, strict=True)


def around_the_guard(path: Path) -> list[str]:
    """The places of a file where something that may raise is handed to Streamlit, and not through the guard."""
    found = []
    for node in ast.walk(tree := ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.attr] if isinstance(node, ast.Attribute) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        if {"fragment", "dialog"} & set(names):
            found.append(f"line {node.lineno}: a fragment that is no section")
    for name, value in callbacks(tree):
        if not str(name).startswith("on_") or name in OURS:
            continue
        guarded = isinstance(value, ast.Call) and ast.unparse(value.func) in ("handler", "guard.handler")
        if not guarded and not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
            found.append(f"line {value.lineno}: {name}={ast.unparse(value)} without handler")
    return found


@pytest.mark.parametrize("path", [path for path in APP if path != GUARD], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_fragment_and_no_callback_goes_around_the_guard(path):
    assert around_the_guard(path) == []


def test_the_walk_finds_what_goes_around(tmp_path):
    """The walk itself: a fragment, a callback as an argument, one in a dict, and an import."""
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import streamlit as st\nfrom streamlit import fragment\n@st.fragment\ndef show():\n"
        "    st.button('a', on_click=go)\n    st.slider('b', **{'on_change': go})\n"
        "    st.button('c', on_click=handler(go))\n    st.download_button('d', on_click='ignore')\n"
    )
    assert [said.partition(":")[0] for said in around_the_guard(bad)] == ["line 2", "line 3", "line 5", "line 6"]


def test_callbacks_are_named_not_counted():
    """A callback as a positional argument would not be seen above: a button's is its fourth."""
    for path in APP:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "button":
                assert len(node.args) <= 2, f"{path.name}, line {node.lineno}"


def test_the_frame_draws_nothing_outside_the_guard():
    tree = ast.parse((ROOT / "viz/frame.py").read_text(encoding="utf-8"))
    inside = {
        call
        for block in ast.walk(tree)
        if isinstance(block, ast.With) and any("guard.part()" in ast.unparse(item) for item in block.items)
        for call in ast.walk(block)
    }
    called = {ast.unparse(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    drawing = {name: node for name, node in called.items() if name.split(".")[0] in ("page", "sidebar", "provenance")}
    assert {"page.run", "sidebar.choose", "provenance.card"} <= set(drawing)
    assert [name for name, node in drawing.items() if node not in inside] == []


# one that raises in each kind of place


@pytest.fixture
def raising() -> AppTest:
    return AppTest.from_file(str(ROOT / "tests/raising_app.py"), default_timeout=60).run()


def texts(app: AppTest) -> list[str]:
    return [text.value for text in app.text]


def test_nothing_raised_nothing_said(raising):
    assert texts(raising) == ["above", "in the part", "inner", "below", "the page's end", "after the page"]
    assert not raising.warning and not raising.error and not raising.exception


@pytest.mark.parametrize(
    ("place", "lost"), [("page", "the page's end"), ("part", "in the part"), ("fragment", "below")]
)
@pytest.mark.parametrize("kind", ["visitor", "program"])
def test_a_sentence_where_it_happened(raising, caplog, place, lost, kind):
    everything = texts(raising)
    with caplog.at_level(logging.ERROR, "regard"):
        raising.selectbox(key=f"raise_{place}").select(kind).run()
    assert texts(raising) == [text for text in everything if text != lost]
    check_told(raising, caplog, kind)


@pytest.mark.parametrize("kind", ["visitor", "program"])
def test_a_callback_is_told_once_and_the_page_is_drawn(raising, caplog, kind):
    everything = texts(raising)
    with caplog.at_level(logging.ERROR, "regard"):
        raising.button(key=f"call_{kind}").click().run()
    assert texts(raising) == everything
    check_told(raising, caplog, kind)
    raising.button(key="again").click().run()
    assert not raising.warning and not raising.error


def check_told(app: AppTest, caplog, kind: str) -> None:
    assert not app.exception
    records = [record for record in caplog.records if record.name == "regard"]
    if kind == "visitor":
        assert [warning.value for warning in app.warning] == [SAID]
        assert not app.error and not records
        return
    (error,) = [error.value for error in app.error]
    assert error.startswith(PROGRAM) and "secret" not in error and "Traceback" not in error
    assert not app.warning
    assert ["secret" in str(record.exc_info[1]) for record in records] == [True]


def test_streamlits_own_signals_pass(raising):
    raising.button(key="call_rerun").click().run()
    assert not raising.error and not raising.warning and not raising.exception


def test_what_gets_around_shows_no_traceback(open_page):
    """The option that Streamlit has for it, as the app is started."""
    from streamlit import config

    open_page()
    assert config.get_option("client.showErrorDetails") == "none"
