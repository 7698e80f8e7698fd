"""A walk to every place that shows a weight: what the browser shows against the model's own tensors.

The true weights are made here, in double precision from the queries and keys that PyTorch recorded: not by
`model.analysis.attention`, which draws the pictures.
"""

import re

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from model.intervention import Intervention
from model.run import ModelRun
from tests.browser.conftest import N, until
from tests.browser.test_attention import choose

TEXT, LAYER, HEAD = "The cat sat on the mat", 2, 3
LINK = f"layer={LAYER}&head={HEAD}"
ONE_HEAD = f"attention?{LINK}"
LOGARITHMIC = f"attention?{LINK}&scale=log&graph=arcs"
ALL_HEADS = "attention?show=all&graph=layers&top=8&least=0.0"


def weights_of(run: ModelRun) -> np.ndarray:
    """(L, H, T, T) from the queries, keys, scale and mask that the model recorded."""
    layers = []
    for each in run.attention:
        query, key = (torch.tensor(vectors, dtype=torch.float64) for vectors in (each.query, each.key))
        scores = query @ key.transpose(1, 2) * each.scale
        if each.causal:
            scores = scores.masked_fill(torch.ones(scores.shape[1:], dtype=torch.bool).triu(1), -torch.inf)
        layers.append(scores.softmax(-1).numpy())
    return np.stack(layers)


@pytest.fixture(scope="module")
def true(story) -> np.ndarray:
    """Those of the shipped model on the text."""
    return weights_of(story.run(story.encode(TEXT)))


def numbers(texts: list[str]) -> list[float]:
    """The number at the end of each text."""
    return [float(re.findall(r"-?\d+\.\d+", text)[-1]) for text in texts]


def trace(page: Page, name: str, index: int = 0) -> dict:
    """One trace as plotly drew it in the browser."""
    plot = page.locator(f".st-key-{name}_light .js-plotly-plot, .st-key-{name}_dark .js-plotly-plot").first
    expect(plot).to_be_visible()
    return until(
        plot,
        f"""(plot) => {{
          const row = (r) => ArrayBuffer.isView(r) ? Array.from(r) : r;
          const flat = (v) => v == null ? null : Array.from(v, row);
          const trace = plot._fullData?.[{index}];
          return trace && {{ z: flat(trace.z), y: flat(trace.y), text: flat(trace.text) }};
        }}""",
    )


POINT_AT_ALL = """(canvas, [layers, heads, n]) => {
  const box = canvas.getBoundingClientRect(), tile = canvas.parentElement.querySelector(".chosen");
  const pitch = tile.getBoundingClientRect().width, side = pitch - 8;
  const stage = document.querySelector(".st-key-head_look [data-testid=stBidiComponentIsolated]");
  const told = stage.shadowRoot.querySelector(".title");
  const said = [];
  for (let i = 0; i < layers * heads * n * n; i++) {
    const [layer, head, row, column] = [i / heads / n / n, i / n / n % heads, i / n % n, i % n].map(Math.floor);
    canvas.dispatchEvent(new MouseEvent("mousemove", {
      clientX: box.left + 58 + head * pitch + 4 + (column + 0.5) / n * side,
      clientY: box.top + 24 + layer * pitch + 4 + (row + 0.5) / n * side,
    }));
    said.push(told.textContent);
  }
  return said;
}"""


def test_the_stage_while_each_cell_of_each_tile_is_pointed_at(look, true):
    page = look(ONE_HEAD)
    canvas = page.locator(".st-key-head_grid canvas")
    expect(canvas).to_have_attribute("data-drawn", re.compile("."))
    expect(page.locator(".st-key-head_look .title")).to_have_count(1)
    told = canvas.evaluate(POINT_AT_ALL, [*true.shape[:2], N])
    places = [f"Layer {layer}, head {head} " for layer, head, *_ in np.ndindex(true.shape)]
    assert [each.partition("“")[0] for each in told] == places
    assert numbers(told) == pytest.approx(true.ravel().tolist(), abs=0.0005 + 1e-6)  # three digits


def test_the_grid_of_all_heads_has_the_colours_of_the_weights(look, true):
    page = look(ONE_HEAD)
    canvas = page.locator(".st-key-head_grid canvas")
    expect(canvas).to_have_attribute("data-drawn", re.compile("."))
    left, top, gap = 58, 24, 4
    pixels, ratio, width, listed = canvas.evaluate(
        "c => [Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data), c.width / c.clientWidth,"
        " c.width, getComputedStyle(c).getPropertyValue('--st-chart-sequential-colors')]"
    )
    pixels = np.array(pixels).reshape(-1, width, 4)
    colours = np.array([[int(c.strip()[i : i + 2], 16) for i in (1, 3, 5)] for c in listed.split(",")])
    n_layer, n_head = true.shape[:2]
    pitch = (width / ratio - left) / n_head
    side = pitch - 2 * gap
    for layer, head, query, k in [
        (0, 0, N - 1, 0),
        (2, 3, 2, 2),
        (n_layer - 1, n_head - 1, 4, 1),
        (3, 1, 1, 5),
        (n_layer - 2, 2, N - 1, 3),
    ]:
        x = left + head * pitch + gap + side * (k + 0.5) / N
        y = top + layer * pitch + gap + side * (query + 0.5) / N
        drawn = pixels[round(y * ratio), round(x * ratio), :3]
        place = np.sqrt(true[layer, head, query, k]) * 9
        wanted = [np.interp(place, range(10), channel) for channel in colours.T]
        assert drawn == pytest.approx(wanted, abs=6), (layer, head, query, k)


def test_the_heatmap(look, true):
    page = look(ONE_HEAD)
    assert np.array(trace(page, "head_map")["z"]) == pytest.approx(true[LAYER, HEAD], abs=1e-6)
    told = numbers([text.split("weight ")[1] for text in trace(page, "head_map", 1)["text"]])
    assert told == pytest.approx(true[LAYER, HEAD].ravel(), abs=5.1e-5)


@pytest.mark.parametrize("query", [2, N - 1])
def test_the_token_graph(look, true, query):
    page = look(ONE_HEAD)
    graph = page.locator(".st-key-token_graph")
    graph.locator(".q button").nth(query).hover()
    expect(graph.locator(".count")).to_contain_text("looks at")
    assert numbers(graph.locator(".k .number").all_text_contents()) == pytest.approx(
        true[LAYER, HEAD, query], abs=5.1e-4
    )
    graph.locator(".k button").nth(1).hover()
    expect(graph.locator(".count")).to_contain_text("all that look at")
    assert numbers(graph.locator(".q .number").all_text_contents()) == pytest.approx(
        true[LAYER, HEAD, :, 1], abs=5.1e-4
    )


def test_the_card(look, true):
    page = look(ONE_HEAD)
    click_cell(page, "head_map", 5, 2)
    card = page.locator(".st-key-card .weight-card")
    expect(card).to_contain_text("query 5, key 2")
    weight = float(card.locator("b").first.inner_text())
    assert weight == pytest.approx(true[LAYER, HEAD, 5, 2], abs=5.1e-5)
    again = float(re.search(r"it is (\d\.\d{8})", card.inner_text()).group(1))
    assert again == pytest.approx(true[LAYER, HEAD, 5, 2], abs=1e-6)


def test_the_logarithmic_heatmap(look, true):
    page = look(LOGARITHMIC)
    z = np.array(trace(page, "head_map")["z"], float)
    seen = np.tril(np.ones_like(z, bool))
    assert 10 ** z[seen] == pytest.approx(true[LAYER, HEAD][seen], rel=1e-4)
    assert np.isnan(z[~seen]).all()


def test_the_arcs(look, true):
    page = look(LOGARITHMIC)
    arcs = page.locator(".st-key-token_arcs")
    arcs.locator("ol button").nth(4).hover()
    expect(arcs.locator(".count")).to_contain_text("looks at")
    shown = numbers(arcs.locator("ol .number.out").all_text_contents()[:5])
    assert shown == pytest.approx(true[LAYER, HEAD, 4, :5], abs=5.1e-4)


def test_received_and_sums(visit, page, true):
    visit(f"attention?{LINK}&panel=received+and+given&effect=loss&token=5&key=2")
    weights = true[LAYER, HEAD]
    assert trace(page, "received")["y"] == pytest.approx(weights.mean(0), abs=1e-6)
    entropy = -np.where(weights > 0, weights * np.log(np.where(weights > 0, weights, 1)), 0).sum(1)
    assert trace(page, "received", 1)["y"] == pytest.approx(entropy, abs=1e-5)
    assert trace(page, "received", 2)["y"] == pytest.approx(weights[:, 0], abs=1e-6)
    assert np.array(trace(page, "effect_weights_map")["z"]) == pytest.approx(weights, abs=1e-6)
    assert trace(page, "effect_row")["y"] == pytest.approx(weights[5], abs=1e-6)
    edge = page.locator(".st-key-effect_edge")
    expect(edge).to_contain_text(f"weight {weights[5, 2]:.4f}")
    click_cell(page, "effect_map", 4, 1)  # what depends on an edge: a click has it exactly
    expect(edge).to_contain_text(f"weight {weights[4, 1]:.4f}")
    click_cell(page, "effect_weights_map", 4, 2)
    expect(page.locator(".st-key-card .weight-card b").first).to_have_text(f"{weights[4, 2]:.4f}")


def click_cell(page: Page, name: str, query: int, key: int) -> None:
    plot = page.locator(f".st-key-{name}_light .nsewdrag, .st-key-{name}_dark .nsewdrag").first
    expect(plot).to_be_visible()
    box = plot.bounding_box()
    plot.click(position={"x": box["width"] * (key + 0.5) / N, "y": box["height"] * (query + 0.5) / N})


def test_words_without_the_sink(visit, page, true):
    visit(f"attention?{LINK}&units=words&sink=renormalise")
    z = np.array(trace(page, "head_map")["z"], float)
    weights = true[LAYER, HEAD][1:, 1:]
    weights = weights / weights.sum(1, keepdims=True)  # “The” is the sink; “mat” may be several tokens
    words = np.column_stack([weights[:, :4], weights[:, 4:].sum(1)])
    words = np.vstack([words[:4], words[4:].mean(0)])
    assert z[1:, 1:] == pytest.approx(words, abs=1e-6)
    assert np.isnan(z[0]).all() and np.isnan(z[:, 0]).all()


def test_the_lines_of_the_first_page(look, true):
    page = look(f"?{LINK}")
    queries = page.locator(".st-key-home_lines .q button")
    keys = page.locator(".st-key-home_lines .k .number")
    expect(queries).to_have_count(N)
    for query in range(N):
        queries.nth(query).hover()
        expect(keys.first).to_have_text(f"{true[LAYER, HEAD, query, 0]:.3f}")
        shown = numbers(keys.all_text_contents()[: query + 1])
        assert shown == pytest.approx(true[LAYER, HEAD, query, : query + 1], abs=5.1e-4)


def test_generation(visit, page, true):
    visit(f"generation?{LINK}")
    expect(page.locator(".st-key-looked_at_chips .chip")).to_have_count(N)
    assert trace(page, "looked_at")["y"] == pytest.approx(true[LAYER, HEAD, -1], abs=1e-6)
    chips = page.locator(".st-key-looked_at_chips .chip").evaluate_all("all => all.map(c => c.ariaLabel)")
    told = [float(re.search(r"weight (\d\.\d{4})", label).group(1)) for label in chips]
    assert told == pytest.approx(true[LAYER, HEAD, -1], abs=5.1e-5)


def test_inside_a_head(visit, page, true):
    visit(f"head?{LINK}&token=5&key=2")
    softmax = page.locator('.step[data-step="5"] button.bar .number')
    expect(softmax).to_have_count(N)
    assert numbers(softmax.all_text_contents()) == pytest.approx(true[LAYER, HEAD, 5], abs=5.1e-5)


def test_the_graph_of_layers(look, true):
    page = look(ALL_HEADS)
    canvas = page.locator(".st-key-layer_graph canvas")
    expect(page.locator(".st-key-layer_graph .count")).to_contain_text("100 % of the weight")
    canvas.focus()
    # from the last token after the last layer to the fifth after layer 0
    for key in ["ArrowLeft"] * (len(true) - 1) + ["ArrowUp"] * (N - 5):
        canvas.press(key)
    shares = page.locator(".st-key-layer_graph ol .number").all_text_contents()
    assert numbers(shares[:5]) == pytest.approx(true[0].mean(0)[4, :5], abs=5.1e-4)


def test_the_mean_and_the_maximum_of_all_heads(look, true):
    page = look(ALL_HEADS)
    assert np.array(trace(page, "head_map")["z"]) == pytest.approx(true.mean((0, 1)), abs=1e-6)
    choose(page, "combine", "max")
    assert np.array(trace(page, "head_map")["z"]) == pytest.approx(true.max((0, 1)), abs=1e-6)


def test_the_model_as_trained_and_changed(visit, page, story, true):
    visit(f"mechanism?{LINK}&mask_off=true&softmax_temperature=2")
    assert np.array(trace(page, "map_as_trained")["z"]) == pytest.approx(true[LAYER, HEAD], abs=1e-6)
    changed = weights_of(story.run(story.encode(TEXT), Intervention(causal_mask=False, temperature=2)))
    assert np.array(trace(page, "map_changed")["z"]) == pytest.approx(changed[LAYER, HEAD], abs=1e-6)
