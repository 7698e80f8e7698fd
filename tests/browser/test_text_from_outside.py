"""In a real browser: what came from outside is text on every page, and nothing elsewhere is asked for."""

from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settle
from tests.browser.text_app import HOSTILE
from tests.hostile import models
from tests.hostile.pages import PAGES
from tests.hostile.strings import ELSEWHERE

# of the whole page, open shadow roots too: links, pictures and whatever else a browser would follow or fetch, and signs
# that were turned into pictures or letters of another kind
ALIVE = """elsewhere => {
  const found = [], places = ["href", "src", "xlink:href", "action", "data"];
  const look = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) look(node.shadowRoot);
      // what a link to a page of ours says behind its path is text, percent-encoded
      const here = node.origin === location.origin;
      const said = here ? [node.pathname, node.hash] : places.map((name) => node.getAttribute(name) || "");
      const address = said.join(" ");
      const turned = node.matches(".katex, sup, sub, del, [aria-label='home icon'], img[alt='Streamlit logo']");
      const formulas = ".st-key-head_formula, [class*=st-key-surprise_formula], .st-key-divergence_formula";
      const formula = node.closest(`${formulas}, .symbol, sup:has(.symbol), .line > sup`);
      if (address.includes(elsewhere) || address.includes("javascript:") || (turned && !formula))
        found.push(node.outerHTML.slice(0, 200));
    }
  };
  look(document.body);
  return found;
}"""


@pytest.fixture(scope="module")
def folders(own_models):
    return models.write(own_models)


@pytest.fixture
def elsewhere(page: Page) -> list[str]:
    """What the page asks for that is not of this machine."""
    asked = []
    page.on("request", lambda request: None if _own(request.url) else asked.append(request.url))
    return asked


def _own(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


# which of the models reads a page, and what else its address asks for
VISITS = [
    *(("decoder", name, {}) for name in PAGES if name not in ("translation", "understanding", "mechanism")),
    ("decoder", "attention", {"graph": "arcs", "panel": "received and given", "units": "words"}),
    ("decoder", "attention", {"graph": "layers", "show": "all"}),
    ("decoder", "mechanism", {"head_off": "true"}),
    ("encoder-decoder", "translation", {"reference": models.TEXT}),
    ("encoder-decoder", "model", {}),
    ("classifier", "model", {}),
    ("encoder", "understanding", {"section": "blank", "text": models.BLANKED}),
    ("encoder", "understanding", {"section": "both"}),
    ("encoder", "understanding", {"section": "sentiment"}),
    ("encoder", "understanding", {"section": "similarity", "second": models.TEXT}),
    ("none", "tokenization", {"range": models.TEXT, "layer": models.MASK}),
]


@pytest.mark.parametrize(("kind", "name", "choices"), VISITS)
def test_a_hostile_model_is_text_in_the_browser(page, app_url, folders, elsewhere, kind, name, choices):
    link = {"model": f"folder:{folders.get(kind, models.FOLDER)}", "text": models.TEXT} | choices
    page.goto(f"{app_url}/{'' if name == 'home' else name}?{urlencode(link)}")
    done = expect(page.get_by_test_id("stApp"))
    done.to_have_attribute("data-test-script-state", "notRunning", timeout=120_000)  # transformers is imported once
    settle(page)
    expect(page.locator("h1").first).to_be_visible()
    for chart in page.locator(".js-plotly-plot .nsewdrag").all()[:3]:  # what is said where one points
        chart.hover(force=True)
    assert page.evaluate(ALIVE, ELSEWHERE) == []
    assert elsewhere == []


def test_every_place_for_words_shows_them_as_they_are(page, scripts_url, elsewhere):
    page.goto(f"{scripts_url}/text_app")
    settle(page)
    expect(page.get_by_test_id("stToast")).to_be_visible()
    # tables and charts come late and move what is below them: a list that is open then closes
    expect(page.get_by_test_id("stDataFrame").locator("canvas").first).to_be_visible()
    expect(page.locator(".js-plotly-plot .nsewdrag")).to_be_visible()
    box = page.locator(".st-key-shown_as_text [data-testid=stSelectbox] input")
    box.focus()
    box.element_handle().wait_for_element_state("stable")  # it was scrolled to, and scrolling closes a list too
    box.press("ArrowDown")
    expect(page.locator("[role=option]").first).to_have_text(HOSTILE)
    assert page.evaluate(ALIVE, ELSEWHERE) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Help").first.hover()
    expect(page.get_by_test_id("stTooltipContent")).to_contain_text(HOSTILE[:40])
    assert page.evaluate(ALIVE, ELSEWHERE) == []
    assert elsewhere == []
    # the same characters, wherever Markdown was read: 8 blocks, 3 in one, a check, …
    said = page.locator(".st-key-read_as_markdown [data-testid=stMarkdownContainer]").all_inner_texts()
    others = {text.strip() for text in said if HOSTILE not in " ".join(text.split())}
    assert others == {"0", "1", "b", ""} and len(said) > 40  # the ends of sliders, an option, the corner of a table
