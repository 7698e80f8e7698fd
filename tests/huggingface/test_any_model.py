"""Every page with every built-in model, and with one of each family that was never ours: tiny random checkpoints in a
folder of the visitor's. Pages and built-in models are listed from where they lie, so that none is forgotten."""

import html

import numpy as np
import pytest

from model import catalog
from model.analysis.attention import layer_weights
from model.analysis.beam import PENALTY, WIDTH
from model.text.prompt import Prompt, RunKey, encode
from tests.any_models import KINDS, TEXT, write_models
from tests.conftest import ROOT
from tests.pages.reading import component, heatmap, said
from viz.ui import session

FEW = {"heads": {"texts": "own", "lines": TEXT}}  # one text, not 64
PAGES = sorted(path.stem for path in (ROOT / "viz/pages").glob("*.py") if path.stem != "__init__")
BUILT_IN = [entry.name for entry in catalog.available() if entry.source == catalog.BUILT_IN]
SECTIONS = ["blank", "both", "sentiment", "similarity"]  # of the page Understanding


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of models, as an operator allows it."""
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def open_with(open_page, root, monkeypatch):
    """`open_with("encoder", "attention", layer=1)`: a page of the app, with that model."""
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(root))

    def open(name: str, page: str, **link):
        return open_page(page, model=f"folder:{root / name}", **({"text": TEXT} | link))

    return open


def content(app) -> int:
    """How much a page shows: pictures, components and tables; without the watcher of the theme, on every page."""
    return sum(len(app.get(kind)) for kind in ("plotly_chart", "bidi_component", "dataframe")) - 1


def check_page(app, name: str, model: str, family: str, caplog) -> None:
    assert not app.exception and not app.error
    assert [record.message for record in caplog.records if record.name == "regard"] == []
    assert "**Check failed" not in said(app) and "cannot be read" not in said(app)
    assert app.title
    assert content(app) or (model not in BUILT_IN and (app.info or app.warning))
    # what random weights write comes to no end
    unended = ("Do not take this for a translation: it came to no end", "No candidate came to an end in")
    known = ("without the head", *(unended if model not in BUILT_IN else ()))
    assert [warning.value for warning in app.warning if not any(words in warning.value for words in known)] == []
    assert app.session_state.model == model
    # a page about one family of models is read by the built-in one where the chosen one is of another
    wanted, ours = session.READ_BY.get(name, (family, None))
    read_by = ours if family != wanted and ours != model else None
    assert ("This page is read by" in said(app)) == (read_by is not None)
    if read_by:
        assert session.language_model(read_by).info.title in said(app).replace("\\", "")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("model", BUILT_IN)
def test_every_page_opens_with_every_built_in_model(open_page, model, name, caplog):
    family = catalog.architecture_of(catalog.find(model))
    check_page(open_page(name, model=model, **FEW.get(name, {})), name, model, family, caplog)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_page_opens_or_says_why_not(open_with, root, kind, name, caplog):
    app = open_with(kind, name, **FEW.get(name, {}))
    check_page(app, name, f"folder:{root / kind}", KINDS[kind], caplog)
    if name == "understanding" and kind in ("headless", "classifier"):
        assert "without the head" in said(app)


@pytest.mark.parametrize("kind", ["sinusoidal", "of two"])
def test_a_text_longer_than_a_translator_reads_is_scored_by_its_beginning(open_with, kind):
    app = open_with(kind, "heads", texts="own", lines="the cat saw the dog " * 30)
    assert "their beginning is read" in said(app) and "over 1 text" in said(app) and not app.error


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("kind", [*BUILT_IN, *KINDS])
def test_every_part_of_understanding_opens_with_every_model(open_with, open_page, kind, section, caplog):
    if kind in BUILT_IN:
        app = open_page("understanding", model=kind, section=section, text=TEXT)
    else:
        app = open_with(kind, "understanding", section=section)
    assert not app.exception and not app.error
    assert [record.message for record in caplog.records if record.name == "regard"] == []
    assert "**Check failed" not in said(app)
    assert app.segmented_control(key="section").value == section


def test_the_sections_tested_are_those_there_are(open_page):
    assert open_page("understanding").segmented_control(key="section").options == SECTIONS


def test_a_model_that_gives_only_weights_says_what_cannot_be_checked(open_with):
    app = open_with("weights", "attention")
    app.get_by_key("sink").set_value("hide").run()  # only the fragment runs again
    assert not app.exception
    assert "gives its attention weights, but not the values" in said(app)


def test_a_switch_that_this_model_does_not_have_gets_a_sentence(open_with):
    app = open_with("weights", "mechanism")
    assert app.get_by_key("scale_off").disabled  # what its scale is cannot be said, nor taken away
    assert any("its scale is not known here" in caption.value for caption in app.caption)
    app.get_by_key("positions_off").set_value(True).run()  # only the fragment runs again
    assert not app.exception
    assert "only whole heads can be switched off in it. Flip that switch back." in app.warning[0].value
    app.get_by_key("positions_off").set_value(False)
    app.get_by_key("head_off").set_value(True).run()
    assert not app.exception and not app.warning


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("decoder", "positions come in inside attention"),
        ("encoder", "learned vectors for positions too"),
        ("encoder-decoder", "positions come in inside attention"),
        ("sinusoidal", "Sines and cosines that belong to its position are added"),
    ],
)
def test_how_positions_come_in_is_this_models_way(open_with, kind, sentence):
    assert sentence in said(open_with(kind, "embeddings"))


@pytest.mark.parametrize(("kind", "sentence"), [("decoder", "**adds** something to it."), ("encoder", "normalises")])
def test_what_a_block_does_is_this_models_way(open_with, kind, sentence):
    assert sentence in said(open_with(kind, "embeddings"))


@pytest.mark.parametrize(("kind", "causal"), [("decoder", True), ("encoder", False)])
def test_early_tokens_are_seen_by_more_queries_only_under_a_mask(open_with, kind, causal):
    app = open_with(kind, "attention", panel="received and given")
    assert ("Early tokens can be seen by more queries." in said(app)) == causal


def test_home_shows_the_tokens_that_were_typed(open_with):
    """An encoder-decoder has read these, and written others."""
    app = open_with("encoder-decoder", "home")
    drawn = html.unescape(component(app, "drawing")["svg"])
    source = session.run_of(RunKey(app.session_state.model, Prompt(TEXT))).source
    assert f"{len(source)} tokens: {', '.join(token.label for token in source)}. " in drawn
    assert f"become {len(source)} tokens, and each becomes 32 numbers: its entry of the vocabulary." in said(app)


def test_a_pair_without_a_head_writes_nothing_and_reads_what_is_typed(open_with):
    app = open_with("headless pair", "translation")
    assert "so it writes nothing" in said(app) and not app.error
    assert any("no step chooses anything" in info.value for info in app.info)
    app = open_with("headless pair", "translation", target="a dog")
    assert "**Alignment:**" in said(app) and not app.error


def test_an_edge_outside_the_window_cannot_go(open_with):
    """A query of a sliding window of 3 sees no key before it: there is no edge to take away."""
    app = open_with("window", "mechanism", token=4, key=2)
    assert not app.toggle(key="edge_off").disabled
    app.slider(key="key").set_value(1).run()
    assert app.toggle(key="edge_off").disabled and "choose another key" in said(app)


@pytest.mark.parametrize("page", ["attention", "model"])
def test_a_part_for_pictures_is_said_to_be_there_and_not_read(open_with, page):
    app = open_with("window", page)
    sidebar = "".join(element.value for element in app.sidebar.markdown)
    assert "Its part for pictures is in the files and is not read" in (sidebar if page == "attention" else said(app))


def test_an_adapter_is_said_to_be_merged(open_with):
    app = open_with("weights", "model")
    assert any(header.value == "How base + weights is built" for header in app.header)
    assert (
        said(app).count("This is “base” with the adapter “weights” merged into it (LoRA of rank 4 in 2 matrices)") == 2
    )
    assert "Regard reads them as they are, but for what is said above." in said(app)
    app = open_with("weights", "home")
    assert "base + weights" in said(app) and "an adapter on this machine" in app.sidebar.caption[0].value


def test_grouped_heads_share_their_keys(open_with, root):
    lm = session.language_model(open_with("decoder", "attention").session_state.model)
    run = lm.run(lm.encode(TEXT))
    assert (lm.info.n_head, lm.info.n_key_head) == (4, 2)
    assert run.attention[0].key.shape[0] == 2
    assert layer_weights(run.attention[0]).sum(-1) == pytest.approx(1, abs=1e-5)


def test_an_encoder_fills_the_blank(open_with):
    app = open_with("encoder", "understanding", text="the [MASK] saw the dog")
    lm = session.language_model(app.session_state.model)
    run = lm.run(lm.encode("the [MASK] saw the dog"))
    (place,) = (i for i, token in enumerate(run.tokens) if token.id == lm.mask_token().id)
    assert run.tokens[place].special and f"The blank at position {place}" in said(app)
    best = np.exp(run.predictions.top_log_prob[place, :8])
    assert f"they hold {100 * best.sum():.1f} % of the probability" in said(app)


def test_two_texts_are_two_segments_for_an_encoder(open_with):
    app = open_with("encoder", "attention", text="the cat\n\na dog", segment="A → B")
    assert not app.exception
    lm = session.language_model(app.session_state.model)
    tokens = encode(lm, "the cat\n\na dog")
    assert [token.label for token in tokens if token.special] == ["[CLS]", "[SEP]", "[SEP]"]
    assert "".join("the cat\n\na dog"[token.start : token.end] for token in tokens) == "the cata dog"
    assert "A → B" in said(app)


@pytest.mark.parametrize("kind", ["self", "encoder", "cross"])
def test_all_three_kinds_of_an_encoder_decoder_are_read(open_with, kind):
    app = open_with("encoder-decoder", "attention", kind=kind, target="a dog", layer=0, head=0)
    assert not app.exception and "Check failed" not in said(app)
    words = {"self": "the decoder's own", "encoder": "the encoder's own", "cross": "cross-attention"}[kind]
    assert words in said(app)
    key = RunKey(app.session_state.model, Prompt(TEXT, target="a dog"))
    run = session.run_of(key)
    assert run.kinds == ("self", "encoder", "cross")
    assert [token.label for token in run.tokens][1:] == ["a", "␣dog"]
    n_query, n_key = (len(side) for side in run.sides(kind))
    assert heatmap(app).shape == (n_query, n_key)
    assert heatmap(app) == pytest.approx(layer_weights(run.layers(kind)[0])[0], abs=1e-6)


def test_a_chat_template_is_shown_as_tokens(open_with, open_page, root):
    app = open_with("decoder", "attention", chat="true")
    message = f"</s>user {TEXT}</s>assistant "
    assert encode(session.language_model(app.session_state.model), message)[0].special
    assert len(heatmap(app)) == len(encode(session.language_model(app.session_state.model), message))
    assert not any(toggle.key == "chat" for toggle in open_page("attention").toggle)  # our own model has no template


def test_an_encoder_decoder_writes_its_own_target(open_with):
    app = open_with("encoder-decoder", "attention")
    run = session.run_of(RunKey(app.session_state.model, Prompt(TEXT)))
    lm = session.language_model(app.session_state.model)
    best = lm.beam_search(run.source, WIDTH, PENALTY).finished[0]
    assert [token.id for token in run.tokens] == [lm.start_token().id, *best.ids]
    read = run.predictions.next_log_prob[:-1].sum()  # in one go
    assert read == pytest.approx(best.log_prob, abs=1e-3) and len(best.ids) > 1
