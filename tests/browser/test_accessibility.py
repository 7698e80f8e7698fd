"""What every page is held to, in test_every_view.py: nothing stands in anyone's way, and nothing lies sideways.

Not for axe-core, not on a telephone, not at 200 % on a small laptop, not for an eye that wants no motion.
"""

from collections.abc import Collection

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import until, wear

# what is right need not be told of node by node: three quarters of axe's time
ONLY_WRONG = {"resultTypes": ["violations"]}
OF_COLOURS = ["color-contrast", "link-in-text-block"]  # all that another theme can change
GRAVE = ("critical", "serious", "moderate")  # not minor: the corner of a table of numbers has no name
# of everything seen in the page and in its components: what ends beyond the window, and what is cut within its box
MISSING = """(main) => {
  const roots = [main, ...[...main.querySelectorAll("*")].map((each) => each.shadowRoot).filter(Boolean)];
  const kinds = "p, h1, h2, h3, li, button, label, span, small, canvas, svg, img, div";
  const all = roots.flatMap((root) => [...root.querySelectorAll(kinds)])
    .filter((each) => each.clientWidth > 1 && each.checkVisibility({ visibilityProperty: true })
      && !each.closest(".js-plotly-plot svg *, [data-testid=stDataFrame], .katex"));
  const up = (each) => each.parentElement ?? each.getRootNode().host;
  const scrolled = (each) => {
    for (let box = up(each); box && box !== main; box = up(box))
      if (/auto|scroll/.test(getComputedStyle(box).overflowX) && box.scrollWidth > box.clientWidth) return true;
    return false;
  };
  const named = (each) => `${each.tagName} ${each.className} ${each.textContent.slice(0, 30)}`;
  return {
    sideways: Math.max(document.documentElement.scrollWidth, main.scrollWidth) - innerWidth,
    beyond: all.filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && !scrolled(each)).map(named),
    cut: all.filter((each) => ["hidden", "clip"].includes(getComputedStyle(each).overflowX) && each.innerText?.trim()
      && each.scrollWidth > each.clientWidth + 1).map(named),
  };
}"""
# what observes its size draws anew within a frame; what that moves, in the next
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
NOTHING = {"sideways": 0, "beyond": [], "cut": []}


def resize(page: Page, width: int, height: int) -> None:
    """Give the window another size, and wait until all is drawn for it."""
    page.set_viewport_size({"width": width, "height": height})
    main = page.get_by_test_id("stMain")
    # plotly draws anew for a new width, or for that of a frame which is wider by itself and is moved within its place
    frame = "svg.closest('[data-testid=stFullScreenFrame]')?.clientWidth ?? 0"
    drawn = f"svg.clientWidth <= Math.max({width}, {frame})"
    until(main, f"(main) => [...main.querySelectorAll('.main-svg')].every((svg) => {drawn})")
    main.evaluate(FRAMES)


def whole(page: Page, width: int, height: int) -> dict:
    resize(page, width, height)
    return page.get_by_test_id("stMain").evaluate(MISSING)


def findings(page: Page, scheme: str, rules: Collection[str] = ()) -> list[str]:
    """What axe finds in a theme, by all of its rules or by these: rule, place, reason."""
    wear(page, scheme)
    options = ONLY_WRONG | ({"runOnly": list(rules)} if rules else {})
    return [
        f"{scheme}: {found['id']}, {node['target'][-1]}: {node['failureSummary']}"
        for found in Axe().run(page, options=options).response["violations"]
        if found["impact"] in GRAVE
        for node in found["nodes"]
    ]


def test_axe_finds_what_is_wrong(visit, page):
    """So that a page without findings means something, also within a component."""
    visit("tokenization")
    chips = page.locator("ul.chips").first
    expect(chips).to_be_visible()
    chips.evaluate("list => list.querySelector('button').setAttribute('role', 'listitem')")
    page.locator("h1").evaluate("title => title.style.opacity = 0.3")
    found = {each.split(",")[0] for each in findings(page, "light") + findings(page, "dark", OF_COLOURS)}
    assert {"light: aria-allowed-attr", "light: color-contrast", "dark: color-contrast"} <= found


def test_what_is_cut_would_be_seen(visit, page):
    visit("generation")
    page.locator(".st-key-next_one button").first.evaluate(
        "button => { button.style.cssText = 'width: 40px; min-width: 0; overflow: hidden; white-space: nowrap'; }"
    )
    page.locator("h1").evaluate("title => { title.style.width = '4000px'; }")
    missing = whole(page, 320, 640)
    assert any("Next token" in each for each in missing["cut"])
    assert any("H1" in each for each in missing["beyond"])


MOVING = """(app) => {
  const roots = [app, ...[...app.querySelectorAll("*")].map((each) => each.shadowRoot).filter(Boolean)];
  return roots.flatMap((root) => [...root.querySelectorAll("*")]).filter((each) => {
    const style = getComputedStyle(each), long = (times) => Math.max(...times.split(",").map(parseFloat)) > 0.01;
    return long(style.transitionDuration) || (style.animationName !== "none" && long(style.animationDuration));
  }).map((each) => `${each.tagName} ${each.className}`);
}"""


def test_nothing_moves_where_no_motion_is_wanted(visit, page):
    page.emulate_media(reduced_motion="no-preference")
    visit("head")
    assert any("CANVAS" in each for each in page.get_by_test_id("stApp").evaluate(MOVING))
    page.emulate_media(reduced_motion="reduce")
    assert page.get_by_test_id("stApp").evaluate(MOVING) == []
