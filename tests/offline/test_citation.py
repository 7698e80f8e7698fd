"""A view is described for good, and nothing in it upsets LaTeX."""

import re
import tomllib

import pytest
import yaml

from tests.conftest import ROOT
from viz.offline.citation import Citation, versions

VIEW = Citation(
    "Layer 3, head 2", "100 % of {it} & \\more_", "A#1", "0123456789abcdef01", "2026-11-30", "http://h/a?b=%20{c}"
)


def test_it_names_what_is_needed_to_see_the_same_again():
    for said in (VIEW.plain, VIEW.bibtex):
        for part in ("Layer 3, head 2", "0123456789abcdef", "2026-11-30", "http://h/a?b=%20", *versions().values()):
            assert part in said


def test_bibtex_is_balanced_and_escaped():
    depth = 0
    for sign in re.sub(r"\\[{}]", "", VIEW.bibtex):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0
    note = re.search(r"note = \{(.*)\},", VIEW.bibtex)[1]
    assert r"100 \% of \{it\} \& \textbackslash{}more\_" in note and r"A\#1" in note
    assert r"\url{http://h/a?b=%20%7Bc%7D}" in VIEW.bibtex


@pytest.mark.parametrize("link", ["", "http://h/"])
def test_without_a_link_it_says_none(link):
    cited = Citation("a", "b", "c", "d", "2026-01-01", link)
    assert ("howpublished" in cited.bibtex) == ("http" in cited.plain) == bool(link)


def test_the_software_is_cited_as_the_package_says():
    cff = yaml.safe_load((ROOT / ".github/CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cff["cff-version"] == "1.2.0" and cff["type"] == "software" and cff["message"] and cff["authors"]
    assert (cff["version"], cff["license"]) == (project["version"], project["license"])
    assert cff["title"].startswith("Regard") and cff["abstract"] == project["description"]
