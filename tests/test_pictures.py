"""What the README shows is what the command makes."""

import re
from xml.etree import ElementTree

import pytest

from tests import pictures
from tests.readme import README

NUMBER = re.compile(r"\d+\.\d+(?:e-?\d+)?")  # weights, which another machine rounds otherwise; not ids and sizes
COLOUR = re.compile(r"#([0-9a-f]{6})")


def told(tree: ElementTree.Element) -> list[str]:
    """Every word, attribute and place of a picture, without the digits of weights and the shades of colours."""
    rows = []
    for each in tree.iter():
        if each.tag.endswith("path"):  # of all cells of a shade: compared as `levels`
            continue
        values = [each.tag, each.text or "", *(f"{name}={value}" for name, value in sorted(each.attrib.items()))]
        rows.append(COLOUR.sub("#", NUMBER.sub("0.0", " ".join(values))))
    return rows


def numbers(tree: ElementTree.Element) -> list[float]:
    return [float(found) for each in tree.iter() if each.tag.endswith("title") for found in NUMBER.findall(each.text)]


def levels(tree: ElementTree.Element) -> dict[str, dict[tuple[int, int], int]]:
    """Of each tile the shade of every cell that is not 0."""
    found = {}
    for tile in (each for each in tree.iter() if each.get("id", "").startswith("head-")):
        found[tile.get("id")] = cells = {}
        for path in (each for each in tile.iter() if each.tag.endswith("path")):
            for x, y, n in re.findall(r"M(\d+) (\d+)h(\d+)", path.get("d")):
                cells |= {(int(x) + i, int(y)): int(path.get("data-level")) for i in range(int(n))}
    return found


def test_the_readme_shows_these_and_says_how_they_were_made():
    readme = README.read_text(encoding="utf-8")
    shown = re.findall(r"!\[([^\]]+)\]\(\.github/pictures/([\w.-]+)\)", readme)
    assert {name for _, name in shown} == set(pictures.PICTURES) == {path.name for path in pictures.FOLDER.iterdir()}
    assert all(len(alt) > 20 for alt, _ in shown)
    for name, command in pictures.PICTURES.items():
        assert f"\n{command}" in readme and readme.index(command) < readme.index(f"pictures/{name}")


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_the_command_makes_it_again(name, tmp_path):
    assert pictures.make(name, tmp_path / name) == 0
    kept, made = (ElementTree.parse(folder / name).getroot() for folder in (pictures.FOLDER, tmp_path))
    assert told(kept) == told(made)
    tiles, again = levels(kept), levels(made)
    assert tiles.keys() == again.keys() and bool(tiles) == ("--all" in pictures.PICTURES[name])
    for tile, cells in tiles.items():
        for cell in cells | again[tile]:
            assert abs(cells.get(cell, 0) - again[tile].get(cell, 0)) <= 1, (tile, cell)
    assert numbers(kept) == pytest.approx(numbers(made), abs=1e-4)
    assert numbers(kept)


def test_another_picture_is_not_taken_for_it(tmp_path):
    """The comparison itself."""
    kept = ElementTree.parse(pictures.FOLDER / "cat.svg").getroot()
    text = (pictures.FOLDER / "cat.svg").read_text(encoding="utf-8")
    assert told(ElementTree.fromstring(text.replace("␣cat", "␣dog"))) != told(kept)
    weight = next(found for found in map(float, NUMBER.findall(text.partition("→")[2])) if 0 < found < 1)
    other = ElementTree.fromstring(text.replace(f"{weight}", f"{weight / 2}"))
    assert numbers(other) != pytest.approx(numbers(kept), abs=1e-4)
