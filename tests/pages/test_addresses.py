"""Each page's address holds all that is seen there: opened again, it shows the same; no other page changes it."""

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.reading import address, said
from viz.ui.choices import CHOICES, HOME, of
from viz.ui.links import LONGEST_TEXT, PAGES, path

TEXT = "the cat saw the dog and the dog saw the cat"
# what each choice is set to, where none of its options will do: something else than at first, and there in TEXT
SET = {
    **{"text": TEXT, "layer": 1, "head": 2, "token": 3, "key": 2, "heads": "1.2, 2.*", "least": 0.1, "top": 2},
    **{
        "followed": "1.2",
        "beside": "1.0",
        "summed": "1.3",
        "numbers": "head_map.strips.head.layers",
        "step": 1,
        "width": 2,
    },
    **{"penalty": 0.5, "reference": "le chat", "followed_word": 1, "n_shown": 5, "n_generate": 3, "seed": 7},
    **{"min_p": 0.05, "typical_p": 0.9, "repetition_penalty": 1.2, "no_repeat_ngram": 2, "stop_at": "dog"},
    **{"before": '[["user","Hi"],["assistant","Hello"]]', "between_messages": True},
    **{"flow_token": 2, "beside_model": "copier", "n_samples": 3, "lens_token": 2, "lens_layer": 1},
    **{"other_temperature": 0.7, "other_top_k": 9, "other_top_p": 0.8},
    **{"word": 5, "word_behind": 2, "beside_text": "the dog saw the cat"},
    **{"temperature": 0.5, "top_k": 5, "top_p": 0.9, "compared": 1, "second": "a dog", "decoder_layer": 1},
    **{"decoder_head": 2, "asked_token": 2, "carrier": 1, "token_pair": "1.1", "map_neighbours": 2},
    **{"training_step": 4, "prediction": 1, "matrix": "P", "matrix_row": 1, "matrix_column": 2, "counted": "encoder"},
    **{
        "learned": TEXT,
        "learned_steps": 9,
        "learned_seed": 1,
        "learned_at": 5,
        "unseen": "a cat",
        "other_line": "a dog",
    },
    **{"checkpoint": 80, "enlarged": "1.0", "copier_seed": 1, "copier_layers": 1, "copier_steps": 9},
    **{"other_steps": 9, "other_at": 5, "tuned_lines": TEXT, "tuned_steps": 9, "tuned_seed": 1},
    **{"tuned_before": "copier", "tuned_after": "copier", "tuned_beginning": "the cat"},
    **{"checkpoint": 80, "enlarged": "0.1", "copier_seed": 1, "copier_layers": 1, "copier_steps": 40},
    **{"query_layer": 0, "key_layer": 0, "effect": "next token", "effect_token": 4, "effect_place": 2},
    **{
        "compare": "heads",
        "other_text": "the cat saw the dogs",
        "other_layer": 2,
        "other_head": 1,
        "other_model": "copier",
    },
    **{"explained_token": 4, "explained_place": 2, "steps": 8},
    **{"similarity_of": 1, "softmax_temperature": 2, "beside": "1.0"},
}
# not set together with the others: what says something of one model or text only, or hides the others
WIDGETS = ("slider", "select_slider", "toggle", "number_input", "text_input", "text_area", "radio", "segmented_control")
APART = {
    "model",
    "target",
    "target_ids",
    "chat",
    "card",
    "written",
    "branches",
    "opened",
    "hidden",
    "present",
    "behind",
}
APART |= {"whose_tokens"}


def everything(page: str) -> dict[str, str]:
    """A link to a page that sets all its choices to what they are not at first."""
    link = {}
    for name, choice in of(page).items():
        if name not in APART:
            other = [option for option in choice.options if option != choice.default]
            value = SET.get(name, other[-1] if other else choice.default is not True)
            link[name] = value if isinstance(value, str) else choice.write(value)
    return link


def shown(at: AppTest) -> tuple:
    """Words, numbers and pictures of a page, and what its widgets say."""
    pictures = [chart.proto.spec for chart in at.get("plotly_chart")]
    parts = [part.proto.json for part in at.get("bidi_component") if '"others"' not in part.proto.json]
    widgets = {each.key: each.value for kind in ("slider", "toggle", "number_input") for each in at.get(kind)}
    return said(at), pictures, parts, widgets


def open_path(open_page, page: str, **link: str) -> AppTest:
    at = open_page(page or "home", **link)
    assert not at.exception and not at.error
    return at


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page or "home")
def test_an_address_shows_the_same_again(open_page, page):
    link = everything(page)
    if page == "understanding":  # one part at a time
        link["section"] = "both"
    first = open_path(open_page, page, **link)
    told = address(first)
    at_first = {name: first.session_state.memory.default.get(name, choice.default) for name, choice in of(page).items()}
    missing = {name for name in link if name not in told and link[name] != CHOICES[name].write(at_first[name])}
    assert missing == set(), "set, but not in the address"
    again = open_path(open_page, page, **told)
    assert address(again) == told
    assert shown(again) == shown(first)
    assert not [info for info in again.info if "link" in info.value]


@pytest.mark.parametrize("section", ["blank", "sentiment", "similarity"])
def test_so_does_each_part_of_understanding(open_page, section):
    first = open_path(open_page, "understanding", **everything("understanding") | {"section": section})
    again = open_path(open_page, "understanding", **address(first))
    assert shown(again) == shown(first)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page or "home")
def test_no_widget_is_told_what_the_browser_has_said(open_page, page):
    """It would take back what is pressed while the run is on its way."""
    at = open_path(open_page, page, **everything(page)).run()
    widgets = [each for kind in WIDGETS for each in at.get(kind) if not each.disabled]  # AppTest sends nothing of those
    assert widgets and [each.key for each in widgets if each.proto.set_value] == []


def test_no_visit_to_a_page_changes_what_was_chosen_on_another(open_page):
    pages = [page for page in PAGES if page not in ("translation", "understanding")]  # read by other models
    at = open_path(open_page, HOME, text=TEXT)
    for page in pages:
        at.switch_page(path(page)).run()
        for name, value in everything(page).items():
            if value != CHOICES[name].write(CHOICES[name].default) and not CHOICES[name].here:
                at.session_state[name] = CHOICES[name].parse(value)
        at.run()
    before = {}
    for _ in range(2):
        for page in (*pages, "translation", "understanding"):
            at.switch_page(path(page)).run()
            assert not at.exception
            assert before.setdefault(page, address(at)) == address(at)
            # a field of another meaning has another name
            held = {name for name in CHOICES if name in at.session_state}
            assert held <= of(page).keys()


def test_what_was_generated_is_there_again(open_page):
    at = open_path(open_page, "generation", text=TEXT, seed="3", temperature="0.8")
    for _ in range(2):
        at.button(key="next_one").click().run()
    at.slider(key="temperature").set_value(0.4).run()
    at.button(key="next_one").click().run()
    steps = at.session_state.generated
    again = open_path(open_page, "generation", **address(at), opened="1")
    assert len(steps) == 3 == len(again.session_state.generated)
    for one, other in zip(steps, again.session_state.generated, strict=True):  # in one go, and one by one
        assert (one.token, one.sampling, one.rank, one.number) == (
            other.token,
            other.sampling,
            other.rank,
            other.number,
        )
        assert one.probability == pytest.approx(other.probability, rel=1e-5)
    assert again.session_state.opened == 1 and "Behind the choice of token" in said(again)
    # and is no longer, when the text is another
    again.text_area(key="text").set_value("a dog").run()
    assert again.session_state.generated == [] and "written" not in address(again)
    assert any("its continuation was dropped" in info.value for info in again.info)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [("nonsense", "cannot be read"), ("0.1.2@0,0,1,0", "Of the link’s 3 written tokens, 0 come out the same here")],
)
def test_what_cannot_be_generated_again_is_said(open_page, written, sentence):
    at = open_path(open_page, "generation", text=TEXT, written=written)
    assert any(sentence in info.value for info in at.info) and at.session_state.generated == []
    assert "written" not in address(at)


def test_an_open_card_is_in_the_address(open_page):
    at = open_path(open_page, "attention", text=TEXT, card="self~1.2~3~1")
    assert at.session_state.cell.plain and at.session_state.cell.queries == (3,)
    assert address(at)["card"] == "self~1.2~3~1"
    at.switch_page(path("tokenization")).run()  # closed with its page
    assert "card" not in address(at) and at.session_state.cell is None
    at = open_path(open_page, "attention", text=TEXT, card="self~1.2~3~99")
    assert any("the card stays closed" in warning.value for warning in at.warning) and "card" not in address(at)


def test_a_text_that_is_too_long_for_an_address_is_found_by_its_hash(open_page):
    text = "the cat " * (LONGEST_TEXT // 8 + 1)
    at = open_path(open_page, "tokenization", text=text)
    told = address(at)
    assert "text" not in told and len(told["text_id"]) == 32
    assert any("Longer than the 4,000 bytes" in caption.value for caption in at.sidebar.caption)
    assert open_path(open_page, "tokenization", **told).session_state.text == text
    lost = open_path(open_page, "tokenization", text_id="0" * 32)
    assert any("this server does not keep it" in info.value for info in lost.info)


def test_names_of_other_pages_in_a_link_are_kept_for_them(open_page):
    at = open_path(open_page, "tokenization", text=TEXT, layer="1", show="all", zzz="1")
    assert set(address(at)) == {"text"}
    at.switch_page(path("attention")).run()
    assert address(at)["layer"] == "1" and address(at)["show"] == "all"
