"""A visitor loads a model of their own: the cost first, then the model, then its weights on the page."""

import re

import pytest
from playwright.sync_api import Page, expect

from model.analysis.attention import attention_weights
from model.huggingface.checkpoint import load
from tests.any_models import TEXT, write_models, write_wide
from tests.browser.conftest import settle
from tests.browser.test_every_weight import trace


@pytest.fixture(scope="module")
def root(own_models):
    root = write_models(own_models)
    (root / "empty").mkdir()
    write_wide(root / "wide", n_layer=12, d_mlp=8_000, n_context=8_200)
    return root


@pytest.fixture
def typed(page: Page, app_url, root):
    """`typed("decoder")` opens the attention page and asks for that folder."""

    def ask(folder: str) -> Page:
        page.goto(f"{app_url}/attention?text={TEXT}&layer=1&head=2")
        settle(page)
        page.get_by_text("Use a model of your own").click()
        box = page.locator(".st-key-own_model input")
        box.fill(folder)
        box.press("Enter")
        return page

    return ask


def test_the_cost_the_model_and_its_weights(typed, root):
    page = typed("decoder")
    sidebar = page.get_by_test_id("stSidebar")
    expect(
        sidebar.get_by_text(re.compile("2 layers × 4 heads · reads up to 40 tokens · needs .* free"))
    ).to_be_visible()
    sidebar.get_by_role("button", name="Load").click()
    expect(page).to_have_url(re.compile("model=folder%3A|model=folder:"))
    expect(sidebar).to_contain_text("tokens × 2 layers × 4 heads")
    expect(page.get_by_role("heading", name="Layer 1, head 2")).to_be_visible()
    lm = load(root / "decoder", name="decoder", title="decoder")
    run = lm.run(lm.encode(TEXT))
    weights = attention_weights(run.attention[1], 2)
    shown = trace(page, "head_map")["z"]
    assert shown == [pytest.approx(row, abs=1e-5) for row in weights.tolist()]


@pytest.mark.parametrize("folder, said", [("empty", "is empty"), ("../..", "outside|not allowed|may be opened")])
def test_what_cannot_be_loaded_is_a_sentence_and_nothing_is_lost(typed, folder, said):
    page = typed(folder)
    warning = page.get_by_test_id("stSidebar").get_by_test_id("stAlert")
    expect(warning).to_have_text(re.compile(said))
    expect(page.get_by_role("heading", name="Layer 1, head 2")).to_be_visible()
    assert "model=" not in page.url


def test_a_long_reading_says_how_far_it_is_and_can_be_stopped(page, app_url, root):
    page.goto(f"{app_url}/attention?text={TEXT}&model=folder:{root / 'wide'}&layer=0&head=0")
    settle(page)
    box = page.locator(".st-key-text textarea")
    box.fill("the cat saw the dog " * 1600)
    box.press("Control+Enter")
    expect(page.locator("[class*=st-key-reading_]")).to_contain_text(re.compile(r"layer \d+ of 12, about \d+ s left"))
    page.locator("[class*=st-key-reading_]").get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped: this is the text that was read before.")).to_be_visible()
    expect(box).to_have_value(TEXT)
    settle(page)
    expect(page.locator("[class*=st-key-reading_]")).to_have_count(0)
    expect(page.get_by_role("heading", name="Layer 0, head 0")).to_be_visible()
