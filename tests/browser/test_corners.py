"""What leaves a page from a picture's corner: an SVG whose text is text, a PNG of it, numbers to the last digit."""

import base64
import csv
import io
import re
import struct
from collections.abc import Collection
from xml.etree import ElementTree

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import until, wear
from viz.figures import theme

SVG = "{http://www.w3.org/2000/svg}"
# each picture that says what it takes along has its corner
THERE = """(app) => {
  const pictures = [...app.querySelectorAll(".js-plotly-plot, [data-testid=stBidiComponentIsolated]")]
    .filter((each) => each.layout?.meta?.regard ?? each.regardCorner);
  return app.querySelector(".st-key-corners [data-drawn]")
    && pictures.every((each) => each.closest(".stElementContainer").querySelector(":scope > .regard-corner"));
}"""
# All that the corners of a page save, by their own buttons; nothing goes to a disk.
SAVE_ALL = """async (app, but) => {
  const blobs = new Map(), made = URL.createObjectURL, click = HTMLAnchorElement.prototype.click, saved = [];
  URL.createObjectURL = (blob) => { const url = made(blob); blobs.set(url, blob); return url; };
  let last = null;
  HTMLAnchorElement.prototype.click = function () { last = { name: this.download, blob: blobs.get(this.href) }; };
  const frame = () => new Promise((done) => setTimeout(done, 4));
  try {
    for (const corner of app.querySelectorAll(".regard-corner")) {
      if (!corner.checkVisibility()) continue;
      const box = corner.parentElement, picture = [...box.querySelectorAll(".js-plotly-plot, [data-drawn]")][0];
      const told = picture.layout?.meta?.regard ?? picture.regardCorner, one = { told, files: {} };
      if (but.includes(told.key)) continue;
      corner.click();
      const menu = app.querySelector(".regard-corner-menu");
      for (const kind of ["svg", "png", "csv"]) {
        const said = menu.querySelector(".said"), entry = menu.querySelector(`[data-does=${kind}]`);
        entry.click();
        while (said.textContent.startsWith("One moment")) await frame();
        one.said = said.textContent;
        if (!one.said.startsWith("Saved")) break;
        if (kind === "png") {
          const bitmap = await createImageBitmap(last.blob);
          const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), pen = canvas.getContext("2d");
          pen.drawImage(bitmap, 0, 0);
          const data = new Uint32Array(pen.getImageData(0, 0, bitmap.width, bitmap.height).data.buffer);
          one.png = [last.name, bitmap.width, bitmap.height, data.filter((each) => each !== 0xffffffff).length];
        } else one.files[kind] = [last.name, await last.blob.text()];
      }
      menu.hidePopover();
      saved.push(one);
    }
  } finally {
    URL.createObjectURL = made;
    HTMLAnchorElement.prototype.click = click;
  }
  return saved;
}"""


def save_all(page: Page, but: Collection[str] = ()) -> list[dict]:
    """Of each picture, `but` those with these keys."""
    until(page.get_by_test_id("stApp"), THERE)
    return page.get_by_test_id("stApp").evaluate(SAVE_ALL, list(but))


def check_saved(one: dict) -> None:
    """That what one picture saved is what it is to be."""
    told, key = one["told"], one["told"]["key"]
    assert one["said"].startswith("Saved"), (key, one["said"])
    names = {*(name for name, _ in one["files"].values()), one["png"][0]}
    assert names == {f"{told['name']}.{kind}" for kind in ("svg", "csv", "png")}
    text = one["files"]["svg"][1]
    root = ElementTree.fromstring(text)
    caption = [each.text for each in root.find(f"{SVG}g[@class='caption']")]
    written = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert " ".join(caption).startswith(" ".join(told["caption"])), key
    assert len(written) > len(caption), f"{key}: no text of its own"
    images = list(root.iter(f"{SVG}image"))
    assert bool(images) == (caption[-1] == "Part of it is drawn as pixels."), key
    assert not list(root.iter(f"{SVG}foreignObject")) and not list(root.iter(f"{SVG}script"))
    assert not re.search(r'href="(?!data:|#)|url\((?!["\']?#|&quot;#)', text), key
    dark = {theme.PAGE["dark"][0], theme.PAGE["dark"][1], *theme.SEQUENTIAL["dark"][:4], *theme.CATEGORICAL["dark"]}
    assert not {colour for colour in dark if colour in text.lower()}, f"{key}: colours of the dark theme"
    _, width, height, drawn = one["png"]
    assert (width, height) == pytest.approx([2 * float(root.get(side)) for side in ("width", "height")], abs=1)
    assert drawn > 400, f"{key}: an empty picture"
    check_numbers(told, one["files"]["csv"][1])


def check_numbers(told: dict, text: str) -> None:
    """The CSV against the bytes that were sent."""
    if not (sent := told.get("numbers")):
        assert len(text.splitlines()) > 1
        return
    head, *rows = csv.reader(io.StringIO(text))
    if "axes" in sent:
        values = floats(sent["values"])
        n = sent["axes"][1][1] if len(sent["axes"]) == 2 else 1
        cells = [cell for row in rows for cell in row[-n:]] if n else []
        same(cells, values)
        return
    assert head == [harmless(name) for name, _ in sent["columns"]]
    for i, (_, column) in enumerate(sent["columns"]):
        cells = [row[i] for row in rows]
        if isinstance(column, dict):
            same(cells, floats(column))
        else:
            assert all(is_told(cell, each) for cell, each in zip(cells, column, strict=False)), cells[:9]


def floats(column: dict | list) -> np.ndarray:
    if isinstance(column, list):
        return np.array(column)
    [(kind, text)] = column.items()
    return np.frombuffer(base64.b64decode(text), f"<{kind}")


def same(cells: list[str], values: np.ndarray) -> None:
    found = np.array([float(cell or "nan") for cell in cells[: len(values)]]).astype(values.dtype)
    assert len(cells) >= len(values) and np.array_equal(found, values, equal_nan=values.dtype.kind == "f")


def is_told(cell: str, value: object) -> bool:
    """A number may be written in another way, and is the same."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(cell) == value
    return cell == ("" if value is None else harmless(str(value)) if isinstance(value, str) else str(value).lower())


def harmless(word: str) -> str:
    return f"'{word}" if word[:1] and word[0] in "=+-@\t\r" else word


def test_a_picture_is_the_same_from_either_theme(visit, page):
    """Drawn anew in light colours, not a dark picture on white."""
    visit("attention?text=%3Da+%3Cb%3E+-1+the+%3Cb%3E&layer=2&head=3")
    found = {}
    for scheme in ("light", "dark"):
        wear(page, scheme)
        for one in save_all(page):
            check_saved(one)
            # plotly's names of parts are drawn by lot
            text = re.sub(r' (class|id)="[^"]*"|url\([^)]*\)', "", one["files"]["svg"][1])
            found.setdefault(one["told"]["key"], []).append((text, one["files"]["csv"][1]))
    assert set(found) == {"head_grid", "head_map", "token_graph"}
    for key, (light, dark) in found.items():
        assert light == dark, key
    texts = [each.text for each in ElementTree.fromstring(found["head_map"][0][0]).iter(f"{SVG}text")]
    assert {"<", "b", ">", "“=a <b> -1 the <b>”"} < set(texts)  # text as text, and no markup
    assert {line.split(",")[0] for line in found["head_map"][0][1].splitlines()} > {"0 ="}


def test_the_menu_is_for_keyboards_too(look):
    page = look("attention")
    until(page.get_by_test_id("stApp"), THERE)
    corner = page.locator(".st-key-head_grid .regard-corner")
    expect(corner).to_have_accessible_name(re.compile(r"Save or copy: Attention maps of \d+ layers by \d+ heads"))
    menu = page.get_by_role("menu")
    corner.focus()
    page.keyboard.press("Enter")
    expect(menu.get_by_role("menuitem", name="SVG")).to_be_focused()
    expect(corner).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(menu.get_by_role("menuitem", name="PNG")).to_be_focused()
    page.keyboard.press("End")
    expect(menu.get_by_role("menuitem", name="Copy")).to_be_focused()
    page.set_viewport_size({"width": 390, "height": 800})
    box = menu.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(corner).to_be_focused()
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_picture_is_copied_or_else_its_numbers(look):
    page = look("attention")
    until(page.get_by_test_id("stApp"), THERE)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    try:
        page.locator(".st-key-token_graph .regard-corner").click()
        copy, said = page.get_by_role("menuitem", name="Copy"), page.locator(".regard-corner-menu .said")
        copy.click()
        expect(said).to_have_text("The picture is copied.")
        kind = page.evaluate(
            "navigator.clipboard.read().then(([item]) => item.getType('image/png'))"
            ".then((blob) => blob.slice(0, 24).arrayBuffer()).then((head) => [...new Uint8Array(head)])"
        )
        width, height = struct.unpack(">II", bytes(kind)[16:24])
        assert bytes(kind).startswith(b"\x89PNG") and width > 600 and height > 200
        page.evaluate("() => { navigator.clipboard.write = () => Promise.reject(new Error('not here')) }")
        copy.click()
        expect(said).to_contain_text("its numbers are copied instead")
        assert page.evaluate("navigator.clipboard.readText()").startswith("query / key,0 The,1 ␣cat")
        page.evaluate("delete navigator.clipboard.write")
        page.keyboard.press("Escape")
    finally:
        page.context.clear_permissions()


def test_without_plotly_in_the_window_what_is_drawn_is_copied(look):
    """Nobody promises that Streamlit leaves it there."""
    page = look("attention")
    page.evaluate("() => { window.kept = window.Plotly; window.Plotly = { version: 'another' } }")
    try:
        [one] = [each for each in save_all(page) if each["told"]["key"] == "head_map"]
    finally:
        page.evaluate("() => { window.Plotly = window.kept }")
    check_saved(one)
    texts = [each.text for each in ElementTree.fromstring(one["files"]["svg"][1]).iter(f"{SVG}text")]
    assert texts.count("␣cat") == 2 and "key: the token looked at" in texts


def test_more_numbers_than_travel_along_are_asked_for(look):
    text = "+".join(["cat"] * 150)
    page = look(f"attention?text={text}&layer=1&head=1")
    until(page.get_by_test_id("stApp"), THERE)
    told = page.locator(".st-key-head_map_light .js-plotly-plot").evaluate("(plot) => plot.layout.meta.regard")
    assert told["asks"] > 20_000 and "numbers" not in told
    page.locator(".st-key-head_map_light .regard-corner").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="CSV").click()
    from model import catalog
    from model.analysis.attention import attention_weights

    lm = catalog.load("story")
    run = lm.run(lm.encode(text.replace("+", " ")))
    _, *rows = csv.reader(download.value.path().read_text(encoding="utf-8").splitlines())
    found = np.array([[float(cell) for cell in row[1:]] for row in rows], np.float32)
    assert np.array_equal(found, attention_weights(run.attention[1], 1))
