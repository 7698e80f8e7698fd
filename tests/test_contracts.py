"""The floors of the project: who may import whom, and which calls of Streamlit are traps."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.readme import README
from viz.ui import links, navigation

SCRIPTS = [ROOT / "app.py", *sorted((ROOT / "viz").rglob("*.py"))]


def test_imports_point_one_way():
    # the command lies beside the interpreter, on the path or not
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 broken" in checked.stdout


def imported_by(module: str) -> set[str]:
    """The top names in sys.modules of a fresh interpreter that has imported `module`."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_runs_and_figures_are_light():
    figures = [f"viz.figures.{path.stem}" for path in (ROOT / "viz/figures").glob("*.py") if path.stem != "__init__"]
    modules = ", ".join(
        ["model.run", "model.analysis.attention", "model.catalog", "model.analysis.generation", *figures]
    )
    assert len(figures) >= 2
    assert not {"torch", "streamlit", "transformers"} & imported_by(modules)


def test_a_built_in_model_needs_no_transformers():
    names = imported_by("model.builtin.language_model")
    assert "torch" in names
    assert not {"transformers", "streamlit", "plotly"} & names


def test_the_model_floor_draws_nothing():
    for path in (ROOT / "model").rglob("*.py"):
        imported = {name.split(".")[0] for name in imports(path)}
        assert not {"plotly", "streamlit", "viz"} & imported, path


def imports(path: Path) -> list[str]:
    """Every module that a file names in an import, at the top or within a function."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return names


def calls(path: Path, name: str) -> list[ast.Call]:
    """The calls of `st.<name>(…)` in a file."""
    return [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
    ]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_traps_of_streamlit(path):
    """What writes the address besides viz.ui.links adds entries to the browser's history, or forgets what is chosen."""
    if path.name != "links.py":
        for call in (*calls(path, "switch_page"), *calls(path, "page_link")):
            raise AssertionError(f"line {call.lineno}: links.go and links.link keep what is chosen")
        assert "query_params" not in path.read_text(encoding="utf-8")
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        named = {keyword.arg for keyword in call.keywords} if isinstance(call, ast.Call) else set()
        assert "bind" not in named, f"line {call.lineno}: key=links.key(name) instead"
    for call in calls(path, "image"):
        raise AssertionError(f"line {call.lineno}: st.image blurs, shrinks and sends JPEG")


def test_html_is_set_in_one_place():
    """There the rule stands which of it has no corner: what is read. Elsewhere are styles, and marks without words."""
    for path in SCRIPTS:
        source = path.read_text(encoding="utf-8")
        for call in [] if path == ROOT / "viz/ui/prose.py" else calls(path, "html"):
            given = ast.get_source_segment(source, call.args[0])
            where = f"{path.relative_to(ROOT)}, line {call.lineno}"
            assert re.match(r"f?[\"']<(style|p class=\"on-paper|span class=)|STYLE", given), where


def test_no_module_for_leftovers():
    for folder in ("model", "viz"):
        assert not {"utils", "helpers", "common", "misc"} & {path.stem for path in (ROOT / folder).rglob("*")}


def test_every_page_is_in_the_menu():
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "viz/pages").glob("*.py")} - {
        "viz/pages/__init__.py"
    }
    assert {links.path(entry.page) for entry in navigation.ENTRIES} == pages
    assert set(links.PAGES) == {entry.page for entry in navigation.ENTRIES}


def test_the_readme_tells_where_every_file_is():
    """Each module in its folder's lines; figures, components and pages are called by what they show."""
    tree = README.read_text(encoding="utf-8").partition("## Where things are")[2].split("```")[1]
    places, above = {}, {}
    for line in tree.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        if depth < 8 and (name := re.match(r"\s*(\w+)/", line)):  # deeper lines go on with what stands above them
            above = {at: folder for at, folder in above.items() if at < depth} | {depth: name[1]}
        elif depth < 8:
            above = {at: folder for at, folder in above.items() if at < depth}
        places.setdefault("/".join(above.values()), set()).update(re.findall(r"\w+\.py", line))
    told = {folder: names for folder, names in places.items() if names}
    for folder in ("model", *(f"model/{path.parent.name}" for path in (ROOT / "model").glob("*/__init__.py"))):
        there = {path.name for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}
        assert there == told.get(folder, set()) - {"app.py", "__init__.py"}, folder
    for path in (ROOT / "viz").rglob("*.py"):
        folder = path.parent.relative_to(ROOT).as_posix()
        if path.name != "__init__.py" and folder not in ("viz/figures", "viz/components", "viz/pages"):
            assert path.name in told[folder], path
