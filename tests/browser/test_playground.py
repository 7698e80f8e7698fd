"""Sliders on one choice, in a real browser: no message while they move, the numbers of `model.analysis.sampling`."""

import re
from dataclasses import fields

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from model.analysis.generation import drawing_number
from model.analysis.sampling import Sampling, next_token
from tests.browser.conftest import settle

TEXT = "the cat saw the dog and the"
OWN = Sampling(0.33, top_k=7)  # as only a link says: between two places of a slider
SETTINGS = [
    OWN,
    Sampling(),
    Sampling(0),
    Sampling(2.0, top_p=0.95),  # the cut lies far behind the tokens that have a bar
    Sampling(1.5, min_p=0.01),
    Sampling(0.05, typical_p=0.2),
    Sampling(1.4, typical_p=0.85),
    Sampling(2.0, typical_p=0.3),  # the most probable token is not typical: it is cut
    Sampling(0.8, top_k=100, top_p=0.9, min_p=0.02, typical_p=0.7, repetition_penalty=1.7, no_repeat_ngram=2),
    Sampling(0, repetition_penalty=0.5),
    Sampling(1.1, top_k=60, repetition_penalty=0.6, no_repeat_ngram=1),
]
PULL = """(root, all) => all.map((settings) => {
  for (const [name, value] of Object.entries(settings)) {
    const slider = root.querySelector(`#slider-${name}`);
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
  }
  const rows = [...root.querySelectorAll("tr")].slice(1), text = (cell) => cell.textContent;
  return { cells: rows.map((row) => [...row.children].map(text)), told: root.querySelector(".told").textContent };
})"""


@pytest.fixture
def play(visit, page: Page):
    """`page.sent` is what the browser has said since."""

    def open(**link: object):
        page.sent = []
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: page.sent.append(frame)))
        more = "".join(f"&{name}={value}" for name, value in link.items())
        visit(f"generation?text={TEXT.replace(' ', '+')}&playground=true{more}")
        page.sent.clear()
        return page.locator(".playground")

    return open


def of(sampling: Sampling) -> dict[str, float]:
    return {each.name: getattr(sampling, each.name) for each in fields(Sampling)}


def agrees(found: dict, logits: np.ndarray, before: list[int], sampling: Sampling) -> None:
    expected = next_token(logits, sampling, before)
    *rows, rest = found["cells"]
    ids = [int(row[2]) for row in rows]
    assert ids == expected.best(50).tolist()
    np.testing.assert_allclose([float(row[4]) for row in rows], expected.probability[ids], atol=1e-6)
    np.testing.assert_allclose([float(row[5]) for row in rows], expected.chance[ids], atol=1e-6)
    others = np.delete(expected.chance, ids).sum(), np.delete(expected.probability, ids).sum()
    np.testing.assert_allclose([float(rest[5]), float(rest[4])], others, atol=1e-6)
    assert [bool(row[6]) for row in rows] == (~expected.kept[ids]).tolist()
    assert f"{expected.kept.sum():,} of {len(logits):,} tokens" in found["told"]


def test_sliders_do_what_sampling_does_without_a_message_and_are_then_used(play, page, story):
    its = play(temperature=OWN.temperature, top_k=OWN.top_k, seed=5)
    its.locator("summary").click()
    tokens = story.encode(TEXT)
    before, logits = [token.id for token in tokens], story.unembed(story.run(tokens).stream[-1, -1])
    (own,) = its.evaluate(PULL, [{}])
    agrees(own, logits, before, OWN)
    assert any(not next_token(logits, sampling, before).kept[logits.argmax()] for sampling in SETTINGS)
    for sampling, found in zip(SETTINGS[1:], its.evaluate(PULL, [of(each) for each in SETTINGS[1:]]), strict=True):
        agrees(found, logits, before, sampling)
        drawn = next_token(logits, sampling, before).pick(drawing_number(5, len(tokens)))
        (label,) = re.findall(r"draws (.*)\.$", found["told"])
        rank = int(np.flatnonzero(np.argsort(-logits, kind="stable") == drawn)[0])
        assert label in (f"“{story.token(drawn).label}”", f"the token of rank {rank}")
    its.get_by_role("button", name="Reset").click()
    expect(its.get_by_role("slider", name="Temperature")).to_have_attribute("aria-valuetext", "0.33")
    pull = its.get_by_role("slider", name="Top-k")
    pull.focus()
    pull.press("ArrowRight")
    expect(its.locator("#formula-top_k")).to_contain_text("Number 8 is")
    assert page.sent == []
    its.get_by_role("button", name="Use these settings").click()
    expect(page).to_have_url(re.compile("top_k=8"))
    settle(page)
    assert len(page.sent) == 1
    expect(page.locator(".st-key-top_k")).to_contain_text("8")  # between its ends, 0 and 100
    expect(page).to_have_url(re.compile("temperature=0.33"))


def test_they_act_on_the_choice_at_which_the_film_rests(play, page, story):
    its = play(written="40.50.60@0.8,0,1,hand")
    labels = [story.token(id).label for id in (40, 50, 60)]
    n = len(story.encode(TEXT))
    expect(its.locator(".where")).to_contain_text(f"Token {n + 2}, “{labels[2]}”, chosen by hand")
    its.get_by_role("slider", name="Temperature").evaluate(
        "(it) => { it.value = 1.5; it.dispatchEvent(new Event('input')) }"
    )
    assert page.sent == []
    film = page.get_by_label("Which of the written tokens")
    film.focus()
    film.press("Home")
    expect(its.locator(".where")).to_contain_text(f"Token {n}, “{labels[0]}”, chosen by hand")
    settle(page)
    assert len(page.sent) == 1
    expect(its.get_by_role("slider", name="Temperature")).to_have_attribute(
        "aria-valuetext", "1.5"
    )  # what is tried stays
    found, tokens = its.locator(".told"), story.encode(TEXT)
    expected = next_token(
        story.unembed(story.run(tokens).stream[-1, -1]), Sampling(1.5), [token.id for token in tokens]
    )
    expect(found).to_contain_text(f"{expected.kept.sum():,} of")
    expect(its.locator(".candidate .label").first).to_have_text(story.token(int(expected.best(1)[0])).label)
