"""The widget's script in a real browser, with a model of the same words as anywidget's."""

import base64

import numpy as np

from model.analysis.attention import pooled_overview
from viz.figures.scale import weights_as_bytes
from viz.widget import esm


def test_its_script_tells_a_model_which_head_was_clicked(browser, tiny_run):
    maps = weights_as_bytes(pooled_overview(tiny_run.attention).maximum)
    n_layer, n_head, n, m = maps.shape
    shape = {"layers": n_layer, "heads": n_head, "queries": n, "keys": m, "others": {}, "compact": 0, "looks": False}
    context = browser.new_context(offline=True, viewport={"width": 900, "height": 700})
    page = context.new_page()
    page.set_content("<!DOCTYPE html><body><div id=cell></div></body>")
    # a model of the same words as anywidget's, whose values the page can look into
    page.evaluate(
        """async ([source, shape, packed]) => {
          const listeners = {}, maps = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
          const values = window.values = { shape, maps: new DataView(maps.buffer), chosen: [0, 0] };
          const model = window.model = {
            get: (name) => values[name],
            set: (name, value) => { values[name] = value; (listeners[`change:${name}`] ?? []).forEach((f) => f()); },
            save_changes: () => window.saved = structuredClone(values.chosen),
            on: (event, f) => (listeners[event] ??= []).push(f),
          };
          const made = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
          made.default.render({ model, el: document.getElementById("cell") });
        }""",
        [esm(), shape, base64.b64encode(maps.tobytes()).decode()],
    )
    canvas = page.locator(".grid canvas")
    left, top, pitch = page.locator(".grid").evaluate(
        """(grid) => ["--left", "--top", "--pitch"]
            .map((name) => parseFloat(getComputedStyle(grid).getPropertyValue(name)))"""
    )
    canvas.click(position={"x": left + 2.5 * pitch, "y": top + 1.5 * pitch})
    assert page.evaluate("window.saved") == [1, 2]
    page.evaluate("model.set('chosen', [2, 3])")
    frame = page.locator(".chosen").bounding_box()
    box = canvas.bounding_box()
    middle = np.array([frame["x"] + frame["width"] / 2 - box["x"], frame["y"] + frame["height"] / 2 - box["y"]])
    np.testing.assert_allclose(middle, [left + 3.5 * pitch, top + 2.5 * pitch], atol=1.5)
    context.close()
