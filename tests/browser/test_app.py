"""What only a browser can show: clicks, hovers, links, themes, and that nothing a visitor types is run."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FIRST, TOKENIZER, N, settle, type_text, until
from tests.shipped import STORY

UNUSUAL = "🙂👩‍👩‍👧 今天天气很好 مرحبا بالعالم a\u200b\u202eb\x07"
PAGES = ["", "tokenization", "embeddings", "attention", "head", "mechanism", "generation", "model"]


def test_hovering_a_token_shows_its_lines_without_the_server(look):
    page = look("attention")
    graph = page.locator(".st-key-token_graph")
    queries = graph.locator(".q button")
    expect(queries).to_have_count(N)
    all_lines = graph.locator("svg line").count()
    queries.nth(3).hover()
    expect(graph.locator(".count")).to_contain_text("of what “␣on” looks at")
    assert 0 < graph.locator("svg line").count() < all_lines
    shown = [float(text) for text in graph.locator(".k .number").all_text_contents()]
    assert sum(shown) == pytest.approx(1, abs=0.005)  # a few numbers of three decimals
    assert shown[4:] == [0] * (N - 4)
    queries.nth(3).click()
    expect(queries.nth(3)).to_have_attribute("aria-pressed", "true")
    assert len(page.sent) == 1  # the click: frames come in their order


def test_a_click_pins_a_token_and_python_knows(look):
    page = look("attention")
    graph = page.locator(".st-key-token_graph")
    graph.locator(".q button").nth(2).click()
    expect(graph.locator(".q button").nth(2)).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("token=2"))
    expect(graph.locator(".count")).to_contain_text("what “␣sat” looks at")


def test_a_click_on_the_grid_opens_that_head(look):
    page = look("attention")
    grid = page.locator(".st-key-head_grid canvas")
    expect(grid).to_have_attribute("data-drawn", re.compile("."))
    pitch = page.locator(".st-key-head_grid .chosen").bounding_box()["width"]  # of a tile
    grid.click(position={"x": 58 + 1.5 * pitch, "y": 24 + 2.5 * pitch})
    expect(page.get_by_role("heading", name="Layer 2, head 1", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("layer=2"))
    expect(page).to_have_url(re.compile("head=1"))


def test_typing_a_text_changes_the_run_and_the_link(look):
    page = look("attention")
    type_text(page, "the dog and the dog")
    expect(page.get_by_test_id("stSidebar")).to_contain_text(
        f"{len(TOKENIZER.encode('the dog and the dog'))} tokens × {STORY.n_layer} layers"
    )
    expect(page.locator(".st-key-token_graph .q button")).to_have_count(len(TOKENIZER.encode("the dog and the dog")))
    expect(page).to_have_url(re.compile(r"text=the(\+|%20)dog"))


def test_a_link_restores_the_view(visit, page):
    visit("attention?text=the+dog+and+the+cat&layer=3&head=2&token=4&key=1")
    expect(page.locator(".st-key-text textarea")).to_have_value("the dog and the cat")
    expect(page.get_by_role("heading", name="Layer 3, head 2", exact=True)).to_be_visible()
    expect(page.locator(".st-key-token_graph .q button").nth(4)).to_have_attribute("aria-pressed", "true")


def test_a_wrong_value_in_a_link_is_dropped_with_a_word(visit, page):
    visit("attention?model=nope&layer=99&head=x")
    alert = page.get_by_test_id("stAlert")
    expect(alert.first).to_contain_text(
        f"The link asked for layer “99”, which does not exist here: showing {FIRST[0]}."
    )
    expect(alert.first).to_contain_text("The link asked for model “nope”")
    expect(alert.first).to_contain_text("The link asked for head “x”")
    expect(page).not_to_have_url(re.compile("layer=99"))
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_choices_survive_a_change_of_page_and_the_way_back(visit, page):
    visit("attention?layer=3")
    type_text(page, "hello world")
    page.get_by_role("link", name="Tokenization").click()
    expect(page.get_by_role("heading", name="Tokenization", exact=True)).to_be_visible()
    expect(page.locator(".st-key-text textarea")).to_have_value("hello world")
    settle(page)
    page.get_by_role("link", name="Attention").click()
    expect(page.get_by_role("heading", name="Layer 3, head 0", exact=True)).to_be_visible()
    settle(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Tokenization", exact=True)).to_be_visible()
    expect(page.locator(".st-key-text textarea")).to_have_value("hello world")


def test_the_theme_switch_recolours_everything(visit, page):
    page.emulate_media(color_scheme="light")
    visit("attention")
    first_cell = page.locator(".st-key-head_grid canvas")
    expect(first_cell).to_have_attribute("data-drawn", re.compile("."))
    corner = "c => [...c.getContext('2d').getImageData(c.width - 8, 30, 1, 1).data]"
    light = first_cell.evaluate(corner)
    page.get_by_test_id("stMainMenu").locator("button").first.click()
    page.get_by_test_id("stMainMenuItem-theme-Dark").click()
    expect(page.locator(".st-key-head_map_dark .nsewdrag").first).to_be_visible()
    assert sum(light[:3]) > 600  # nothing looks like the page: white, then nearly black
    until(first_cell, f"canvas => ({corner})(canvas).slice(0, 3).reduce((a, b) => a + b) < 150")


def test_the_bar_of_pages_changes_its_theme_before_the_server_has_heard_of_it(page, app_url):
    silent = False

    def between(socket):
        server = socket.connect_to_server()
        socket.on_message(lambda message: None if silent else server.send(message))

    page.route_web_socket(re.compile("/_stcore/stream"), between)
    page.goto(app_url)
    settle(page)
    bar = page.locator(":has(> .st-key-pages)").last
    backgrounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        until(page.get_by_test_id("stApp"), f"(app) => getComputedStyle(app).colorScheme === '{scheme}'")
        app, over = (
            each.evaluate("(box) => getComputedStyle(box).backgroundColor")
            for each in (page.get_by_test_id("stApp"), bar)
        )
        assert over == app
        backgrounds.append(over)
        silent = True
    assert backgrounds[0] != backgrounds[1]


def test_the_longest_text_is_read_and_a_longer_one_gets_a_sentence(look):
    page = look("attention?layer=2")
    n = STORY.n_context
    type_text(page, "the " * (n - 1) + "end")
    expect(page.get_by_test_id("stSidebar")).to_contain_text(f"{n} tokens × {STORY.n_layer} layers")
    expect(page.locator(".st-key-token_graph .q button")).to_have_count(n)
    type_text(page, "the " * 4000)  # so many characters that it is not even cut
    expect(page.get_by_test_id("stAlert")).to_contain_text("The text has 16,000 characters")
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_an_empty_text_gets_a_sentence_and_loses_nothing(look):
    page = look("attention?layer=2")
    type_text(page, "")
    expect(page.get_by_test_id("stAlert")).to_contain_text("There is no text to read.")
    type_text(page, "hello")
    expect(page.get_by_role("heading", name="Layer 2, head 0", exact=True)).to_be_visible()


# the timers and observers of our scripts that were not ended
COUNT = """(() => {
  window.watching = new Set();
  const { setInterval, clearInterval } = window;
  const add = (watcher) => new Error().stack.includes("regard_") && watching.add(watcher);
  window.setInterval = (...what) => {
    const timer = setInterval(...what);
    add(timer);
    return timer;
  };
  window.clearInterval = (timer) => (watching.delete(timer), clearInterval(timer));
  for (const kind of ["ResizeObserver", "MutationObserver", "IntersectionObserver"]) {
    window[kind] = class extends window[kind] {
      observe(...what) {
        add(this);
        super.observe(...what);
      }
      disconnect() {
        watching.delete(this);
        super.disconnect();
      }
    };
  }
})()"""


@pytest.fixture(scope="module")
def counted(tabs):
    """A tab that knows what of our scripts goes on watching."""
    page = tabs.take()
    page.add_init_script(COUNT)
    page.on("pageerror", lambda error: page.complaints.append(error.stack))
    yield page
    tabs.give_back(page)


@pytest.fixture(scope="module", params=PAGES)
def read(request, counted, app_url: str):
    """A page to type texts into; pytest runs all tests of one before the next."""
    counted.complaints = []
    counted.goto(f"{app_url}/{request.param}")
    settle(counted)
    return counted


def test_what_a_visitor_types_is_never_run(read):
    page, dialogs, asked = read, [], []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    text = '<script>alert(1)</script><img src=x onerror="alert(2)">**b** $x$ &lt;' + UNUSUAL
    type_text(page, text)
    expect(page.get_by_test_id("stSidebar")).to_contain_text(f"{len(TOKENIZER.encode(text))} tokens ×")
    settle(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert "\ufffd" not in page.get_by_test_id("stMain").inner_text()
    assert page.locator("img[src=x]").count() == 0
    assert not [url for url in asked if url.endswith("/x")]  # an image that was made, and removed
    assert dialogs == []


def test_a_single_token_is_read(read):
    type_text(read, "a")
    expect(read.get_by_test_id("stSidebar")).to_contain_text(f"1 token × {STORY.n_layer} layers")
    expect(read.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.parametrize("read", [path for path in PAGES if path != "model"], indirect=True)  # which reads no text
def test_what_a_sentence_takes_the_place_of_leaves_nothing_behind_and_no_error(read):
    page, watching = read, []
    for text in ("two words", "cat " * 900, "two words"):  # too long for all that are built in
        type_text(page, text)
        if text == "two words":
            watching.append(page.evaluate("watching.size"))
        else:
            expect(page.get_by_test_id("stMain").get_by_test_id("stAlert").first).to_be_visible()
    assert page.complaints == []
    assert watching[0] == watching[1] > 0
