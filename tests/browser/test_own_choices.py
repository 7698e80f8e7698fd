"""Choices that belong to a model, in the widgets and in the address of a browser."""

import re
import shutil

import pytest
from playwright.sync_api import Page, expect

from model import catalog
from model.analysis.telling import telling_head, telling_weight
from model.sources.places import Allowed
from tests.browser.conftest import FIRST, settle
from tests.shipped import STORY

TEXT = "the+cat+saw+the+dog"


@pytest.fixture(scope="module", autouse=True)
def mine(own_models, tiny_gpt2):
    """A model of 2 layers, of a visitor's own."""
    shutil.copytree(tiny_gpt2, own_models / "mine")


def follow(page: Page, name: str) -> None:
    page.locator(f"a[href*='/{name}']:visible").first.click()
    expect(page).to_have_url(re.compile(rf"/{name}(\?|$)"))
    settle(page)


def check(page: Page, written: bool = True, **choices: int) -> None:
    """Sliders and address say the same; the address leaves out what nobody chose."""
    for name, value in choices.items():
        expect(page.locator(f".st-key-{name} input[type=range]")).to_have_value(str(value))
        if written:
            expect(page).to_have_url(re.compile(rf"[?&]{name}={value}(&|$)"))
        else:
            expect(page).not_to_have_url(re.compile(rf"[?&]{name}="))


def choose(page: Page, name: str, n_layer: int) -> None:
    page.locator(".st-key-model input").click()
    page.get_by_role("option", name=re.compile(f"{name}$")).click()
    expect(page.get_by_test_id("stSidebar")).to_contain_text(f"× {n_layer} layers")
    settle(page)


def test_a_visit_to_pages_of_other_models(visit, page, story):
    _, at_first = telling_weight(story.run(story.encode(TEXT.replace("+", " "))), *FIRST)
    key = 2 if at_first != 2 else 1
    layer, head = STORY.n_layer - 1, STORY.n_head - 1
    visit(f"attention?text={TEXT}&layer={layer}&head={head}&key={key}&heads={layer}.{head}")
    for name in ("translation", "understanding"):
        follow(page, name)
        expect(page).not_to_have_url(re.compile("[?&](layer|head|heads|key)="))
    follow(page, "tokenization")  # shows none of them but the token
    follow(page, "attention")
    check(page, layer=layer, head=head, key=key)
    expect(page.locator(".st-key-heads input")).to_have_value(f"{layer}.{head}")
    expect(page).to_have_url(re.compile(rf"heads={layer}\.{head}"))
    page.reload()
    settle(page)
    check(page, layer=layer, head=head, key=key)


def test_a_link_to_a_page_of_another_model_is_about_that_model(visit, page):
    visit(f"translation?text={TEXT}&across=head&layer=2&head=3")
    check(page, layer=2, head=3)
    follow(page, "tokenization")  # shows none of them but the token
    follow(page, "attention")
    check(page, False, layer=FIRST[0], head=FIRST[1])
    follow(page, "translation")
    check(page, layer=2, head=3)
    follow(page, "attention")
    check(page, False, layer=FIRST[0], head=FIRST[1])


def test_a_model_of_fewer_layers_takes_nothing_from_the_larger(visit, page, tiny_gpt2):
    lm = catalog.load(f"folder:{tiny_gpt2}", allowed=Allowed((tiny_gpt2.parent,), hub=False))
    layer, head = telling_head(lm.run(lm.encode(TEXT.replace("+", " "))))
    visit(f"attention?text={TEXT}&layer=1&head=1")
    page.locator(".st-key-layer input[type=range]").press("End")
    check(page, layer=STORY.n_layer - 1, head=1)
    page.get_by_text("Use a model of your own").click()
    box = page.locator(".st-key-own_model input")
    box.fill("mine")
    box.press("Enter")
    page.locator(".st-key-load_own_model button").click()
    expect(page.get_by_test_id("stSidebar")).to_contain_text("× 2 layers × 2 heads")
    settle(page)
    check(page, head != 1, layer=layer, head=1)  # not 1, which the link said to another model
    choose(page, "Story", STORY.n_layer)
    check(page, layer=STORY.n_layer - 1, head=1)
    choose(page, "mine", 2)
    check(page, head != 1, layer=layer, head=1)
