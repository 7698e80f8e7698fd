"""The Embeddings page and its pictures."""

import numpy as np
import pytest

from tests.pages.reading import charts, numbers
from tests.shipped import STORY
from viz.figures import embeddings as figures
from viz.figures import theme

LONG = "The cat sat on the mat. " * 90  # more than the model reads
TEXTS = {
    "a repeated word": "the cat and the dog",
    "one character": "a",
    "one token twice": "aa" * 2,
    "emoji": "🙂👨‍👩‍👧",
    "Chinese": "猫坐在垫子上",
    "right to left": "القطة جلست",
    "control characters": "a\x00b\x07\r\n\tc\x7f\u200b\u202e",
    "markup": "<script>alert(1)</script> `$x$` **b** :red[c]",
    "as long as the model reads": "The cat sat on the mat. " * 60,
}


def test_strips_are_the_three_vectors():
    token, position = np.array([1.0, -2.0], "f4"), np.array([0.5, 0.5], "f4")
    strips = figures.embedding_strips(token, position, token + position).data[0]
    np.testing.assert_array_equal(strips.z, [[1, -2], [0.5, 0.5], [1.5, -1.5]])
    assert (strips.zmin, strips.zmax) == (-2, 2)


POINTS = [
    figures.MapPoint(7, "the", (0, 3), (), ()),
    figures.MapPoint(8, "<b>", (1,), (0,), (0.5,)),  # of the text, and near the other one
    figures.MapPoint(9, "a", (), (0, 1), (0.9, 0.25)),
]


@pytest.mark.parametrize("n_axis", [2, 3])
def test_map_draws_each_token_once_and_joins_neighbours(n_axis):
    coordinates = np.arange(3.0 * n_axis).reshape(3, n_axis)
    fig = figures.neighbour_map(POINTS, coordinates, np.full(n_axis, 0.25), chosen=8, mode="light")
    links, around, text, chosen = fig.data
    assert (around.text, text.text, chosen.text) == (("a",), ("<b>the</b>",), ("<b>&lt;b&gt;</b>",))
    np.testing.assert_array_equal([text.x[0], text.y[0]], coordinates[0, :2])
    np.testing.assert_array_equal([chosen.x[0], chosen.y[0]], coordinates[1, :2])
    np.testing.assert_array_equal([around.x[0], around.y[0]], coordinates[2, :2])
    x = coordinates[:, 0].tolist()
    assert list(links.x) == [x[0], x[1], None, x[0], x[2], None, x[1], x[2], None]
    assert (text.marker.color, chosen.marker.color) == (theme.CATEGORICAL["light"][0], theme.ACCENT)
    assert around.hovertext[0] == "“a” · id 9<br>cosine 0.900 with “the”<br>cosine 0.250 with “&lt;b&gt;”"
    assert text.hovertext[0] == "“the” · id 7<br>position 0, 3"
    title = fig.layout.xaxis.title.text if n_axis == 2 else fig.layout.scene.xaxis.title.text
    assert title == "component 0 · 25 % of variance"


def test_a_crowded_map_names_the_chosen_token_first():
    points = [figures.MapPoint(i, str(i), (i,), (), ()) for i in range(62)]
    fig = figures.neighbour_map(points, np.zeros((62, 2)), np.zeros(2), chosen=5, mode="dark")
    assert len(fig.data[2].hovertext) == 61  # all are told on hover
    assert fig.data[3].text == ("<b>5</b>",) and fig.data[3].textposition == ("top center",)
    # there is room for four around one place
    assert [name for name in fig.data[2].text if name] == ["<b>0</b>", "<b>1</b>", "<b>2</b>"]


@pytest.mark.parametrize("n_axis", [2, 3])
def test_a_narrow_window_has_fewer_names(n_axis):
    points = [figures.MapPoint(i, f"name {i}", (i,), (), ()) for i in range(60)]
    coordinates = np.random.default_rng(0).normal(size=(60, n_axis))
    fig = figures.neighbour_map(points, coordinates, np.zeros(n_axis), chosen=3, mode="light")
    text, chosen = fig.data[2], fig.data[3]
    written = [family for name, family in zip(text.text, text.textfont.family, strict=True) if name]
    narrow = [family for family in written if "only-wide" not in family]
    assert 0 < len(narrow) <= len(written) < 59
    assert (len(narrow) < len(written)) == (n_axis == 2)  # the names of a scene that turns are not a page's elements
    assert chosen.text == ("<b>name 3</b>",)


def test_similarity_keeps_both_rows_of_a_repeated_word():
    labels = ["the", "cat", "the"]
    fig = figures.similarity_heatmap(np.eye(3), labels)
    assert fig.data[0].z.shape == (3, 3) and fig.data[0].x is None
    assert list(fig.layout.xaxis.ticktext) == list(fig.layout.yaxis.ticktext) == labels
    assert list(fig.layout.yaxis.tickvals) == [0, 1, 2]
    assert fig.layout.yaxis.range == (2.5, -0.5)  # the first token is on top
    assert (fig.data[0].zmin, fig.data[0].zmax) == (-1, 1)
    many = figures.similarity_heatmap(np.eye(57), [str(i) for i in range(57)])
    assert many.layout.xaxis.ticktext[:3] == ("0", "3", "6") and many.data[0].z.shape == (57, 57)


def test_layers_count_from_what_enters_block_0():
    hidden = np.arange(8.0).reshape(4, 2)
    strips = figures.layer_strips(hidden, np.array([1.0, 3, 0, 7])).data[0]
    np.testing.assert_array_equal(strips.customdata, hidden)  # what a hover shows
    np.testing.assert_allclose(strips.z, [[0, 1], [2 / 3, 1], [4, 5], [6 / 7, 1]])  # what the colours show
    assert (strips.zmin, strips.zmax, strips.colorbar.ticktext) == (-1, 1, ("−max", "0", "max"))
    same = figures.layer_strips(hidden, np.full(4, 7.0)).data[0]
    np.testing.assert_allclose(same.z, hidden / 7)
    assert same.colorbar.ticktext == ("−7.00", "0", "7.00")
    assert list(figures.layer_lengths(np.ones(4)).data[0].x) == [0, 1, 2, 3]
    assert list(figures.layer_turns(np.ones(3)).data[0].x) == [1, 2, 3]  # layer 0 has none before it


def test_position_pictures_show_the_positions_they_were_given():
    some = np.array([0, 4, 8])
    fig = figures.position_similarity(np.eye(3), some)
    np.testing.assert_array_equal(fig.data[0].x, some)
    np.testing.assert_array_equal(fig.data[0].y, some)
    np.testing.assert_array_equal(figures.position_matrix(np.eye(2)).data[0].z, np.eye(2))
    profile = figures.position_profile(np.array([0.1, 1.0, 0.3]), 1)
    np.testing.assert_array_equal(profile.data[0].y, [0.1, 1, 0.3])
    assert profile.layout.shapes[0].x0 == 1


def picture(at, beginning: str) -> dict:
    """The picture whose text alternative begins so."""
    pairs = zip(at.get("plotly_chart"), charts(at), strict=True)
    (found,) = [spec for chart, spec in pairs if chart.proto.alt.startswith(beginning)]
    return found


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_the_page_reads_any_text(open_page, story, text):
    at = open_page("embeddings", text=text)
    assert not at.exception and not at.warning
    assert len(charts(at)) == 9
    n_token = len(story.encode(text))
    similarity = numbers(picture(at, "Cosine similarity of " + str(n_token))["data"][0]["z"])
    assert similarity.shape == (n_token, n_token)
    assert any("**Check:**" in markdown.value for markdown in at.markdown)
    assert "\ufffd" not in " ".join(markdown.value for markdown in at.markdown)


def test_strips_on_the_page_are_the_models_own(open_page, story):
    text = "the cat and the dog"
    run = story.run(story.encode(text))
    at = open_page("embeddings", text=text, token=3)
    strips = numbers(picture(at, "Three strips")["data"][0]["z"])
    tokens, positions = story.embeddings()
    np.testing.assert_array_equal(strips, [tokens[run.tokens[3].id], positions[3], run.hidden[0, 3]])
    np.testing.assert_allclose(strips[0] + strips[1], strips[2], atol=1e-6)
    n = story.info.n_layer + 1
    layers = picture(at, f"{n} strips")["data"][0]
    np.testing.assert_array_equal(numbers(layers["customdata"]), run.hidden[:, 3])
    assert np.abs(numbers(layers["z"])).max(axis=1) == pytest.approx(np.ones(n))
    at.toggle(key="layers_apart").set_value(False).run()
    layers = numbers(picture(at, f"{n} strips")["data"][0]["z"])
    np.testing.assert_allclose(layers * np.abs(run.hidden[:, 3]).max(), run.hidden[:, 3], atol=1e-5)


def test_equal_tokens_are_alike_only_until_their_positions_are_added(open_page, story):
    at = open_page("embeddings", text="The cat and the dog saw the bird")
    shown = {metric.label: metric.value for metric in at.metric}
    assert shown["Positions 3 and 6, token vectors"] == "1.000"
    similarity = numbers(picture(at, "Cosine similarity of 8")["data"][0]["z"])
    assert similarity[3, 6] == pytest.approx(1, abs=1e-6)
    at.select_slider(key="similarity_of").set_value(2).run()
    hidden = story.run(story.encode("The cat and the dog saw the bird")).hidden[2]
    expected = hidden[3] @ hidden[6] / np.linalg.norm(hidden[3]) / np.linalg.norm(hidden[6])
    assert {metric.label: metric.value for metric in at.metric}["Positions 3 and 6, layer 2"] == f"{expected:.3f}"
    similarity = numbers(picture(at, "Cosine similarity of 8 tokens, layer 2")["data"][0]["z"])
    assert similarity[3, 6] == pytest.approx(expected, abs=1e-5)


def test_the_map_has_as_many_neighbours_and_dimensions_as_asked_for(open_page, story):
    at = open_page("embeddings", text="the cat and the dog", token=0)
    at.slider(key="map_neighbours").set_value(1).run()
    at.radio(key="map_axes").set_value(3).run()
    links, around, text, chosen = picture(at, "Map of 5 different tokens")["data"]
    assert links["type"] == text["type"] == "scatter3d"
    assert chosen["text"] == ["<b>the</b>"] and len(text["text"]) == 4  # “the” and “␣the” are two entries
    vectors, _ = story.embeddings()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for token in story.encode("the cat and the dog"):
        nearest = np.argsort(-(units @ units[token.id]))[1]
        label = story.token(int(nearest)).label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert any(
            f"“{label}” · id {nearest}" in hover
            for hover in around["hovertext"] + text["hovertext"] + chosen["hovertext"]
        )


def test_a_text_too_long_for_the_model_gets_a_sentence(open_page):
    at = open_page("embeddings", text=LONG)
    assert not at.exception and at.title[0].value == "Embeddings"
    assert f"reads at most {STORY.n_context}" in at.warning[0].value


def test_a_layer_that_the_model_does_not_have_is_not_kept(open_page):
    at = open_page("embeddings")
    at.session_state.similarity_of = 12
    at.run()
    assert not at.exception and at.select_slider(key="similarity_of").value == "token vectors"


def test_the_numbers_behind_a_picture_come_when_asked_for(open_page):
    at = open_page("embeddings", text="the cat and the dog")
    assert not at.dataframe
    at.toggle(key="similarity_twin").set_value(True).run()
    table = at.dataframe[0].value
    assert list(table.columns) == ["0 the", "1 ␣cat", "2 ␣and", "3 ␣the", "4 ␣dog"]
    np.testing.assert_allclose(np.diag(table), 1, atol=1e-6)
