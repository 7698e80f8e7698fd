"""The page Translation and its pictures, by their data and by what a visitor reads."""

import shutil

import numpy as np
import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from model.analysis.alignment import align
from model.analysis.attention import layer_weights
from model.analysis.attention_map import MapSpec
from model.analysis.beam import Beam, Candidate
from model.text.prompt import Prompt, RunKey, text_of
from model.text.units import units_of
from tests.pages.reading import address, component, open_card, said, traces
from tests.shipped import TRANSLATOR
from tests.tiny_tokenizers import of_family
from viz.figures import theme
from viz.figures.translation import beam_tree, crossing_heatmap, path, ranked
from viz.ui import provenance, session
from viz.ui.prose import quoted

TEXT = "The black cat saw the white cat."


# --- pictures ---------------------------------------------------------------------------------------------------------

WEIGHTS = np.array([[0.7, 0.2, 0.1], [0.6, 0.1, 0.3]], np.float32)


def test_the_map_marks_the_aligned_pairs():
    alignment = align(WEIGHTS)
    fig = crossing_heatmap(
        WEIGHTS, ["le", "<b>"], ["the", "the", "x"], marked=alignment.row_best, agreed=alignment.both
    )
    heatmap, marks, clicks = fig.data
    assert np.array_equal(heatmap.z, WEIGHTS)
    assert list(fig.layout.yaxis.ticktext) == ["le", "&lt;b&gt;"] and list(fig.layout.xaxis.tickvals) == [0, 1, 2]
    assert (fig.layout.xaxis.title.text, fig.layout.yaxis.title.text) == ("source", "written")
    assert list(zip(marks.y, marks.x, strict=True)) == [(0, 0), (1, 0)]
    assert list(marks.marker.symbol) == ["circle", "circle-open"] and marks.marker.color == theme.ACCENT
    assert clicks.text[3] == "writing “&lt;b&gt;” looked at “the”<br>weight 0.6000"
    assert clicks.customdata.tolist()[3] == [1, 0]


def test_without_marks_there_is_the_map_alone():
    assert len(crossing_heatmap(WEIGHTS, ["a", "b"], ["x", "y", "z"]).data) == 2
    assert len(crossing_heatmap(WEIGHTS, ["a", "b"], ["x", "y", "z"], marked=np.zeros((2, 3), bool)).data) == 2


def test_a_beam_as_a_tree():
    a, b = Candidate((1,), -0.5, 0, False), Candidate((2,), -1.0, 0, False)
    dropped = Candidate((3,), -2.0, 0, False)
    a_end, b_on = Candidate((1,), -0.75, 0, True), Candidate((2, 4), -1.5, 1, False)
    lost = Candidate((1, 5), -1.25, 0, False)
    b_end = Candidate((2, 4), -1.625, 1, True)
    beam = Beam(((a, b), (a_end, lost, b_on), (b_end,)), ((dropped,), (), ()), (b_end, a_end))
    nodes, ends = beam_tree(beam, {1: "a", 2: "b", 3: "c", 4: "d", 5: "e"}.get, "end")
    assert [(node.column, node.row, node.label, node.fate) for node in nodes] == [
        (0, 0, "", "kept"),
        (1, 0, "a", "kept"),
        (1, 1, "b", "kept"),
        (1, 2, "c", "dropped"),
        (2, 0, "end", "finished"),
        (2, 1, "e", "kept"),
        (2, 2, "d", "kept"),
        (3, 0, "end", "finished"),
    ]
    assert [node.own for node in nodes] == [0, -0.5, -1.0, -2.0, -0.25, -0.75, -0.5, -0.125]
    assert [node.parent for node in nodes] == [-1, 0, 0, 0, 1, 1, 2, 6]
    assert [i for i, node in enumerate(nodes) if not node.lives] == [3, 5]
    assert ends == [7, 4] and path(nodes, 7) == [0, 2, 6, 7]
    rows = ranked(beam, 1.0, lambda candidate: "".join(map(str, candidate.ids)))
    assert [(row["rank"], row["text"], row["score"], row["tokens"]) for row in rows] == [
        (0, "24", -1.625 / 3, 3),  # the end is one of the tokens
        (1, "1", -0.75 / 2, 2),
    ]


def test_a_beam_that_did_not_end_leads_to_what_was_being_written():
    a, b = Candidate((1,), -0.5, 0, False), Candidate((1, 2), -1.0, 0, False)
    nodes, ends = beam_tree(Beam(((a,), (b,)), ((), ()), (b,)), str, "end")
    assert ends == [2] and all(node.lives for node in nodes)


# --- the page, with the shipped model ---------------------------------------------------------------------------------


@pytest.fixture
def translate(open_page):
    """`translate(across="head")`: the page, opened without an error."""

    def open(**link: object):
        app = open_page("translation", **({"text": TEXT} | link))
        assert not app.exception and "**Check failed" not in said(app)
        return app

    return open


def run_on(app):
    key = RunKey("translator", Prompt(app.session_state.text, target=app.session_state.target))
    return key, session.run_of(key)


def test_the_words_and_their_alignment(translate):
    app = translate(target="Le chat noir a vu le chat blanc.", across="layer", layer=1)
    key, run = run_on(app)
    view = component(app, "cross_lines")["view"]
    written = units_of(run.tokens[1:], key.prompt.target, "words").labels
    assert view["labels"] == [*written, *units_of(run.source, TEXT, "words").labels]
    assert "Le" in written and "chat" in written and view["labels"][-1] == run.source[-1].label
    weights = layer_weights(run.cross[1]).mean(0)  # rows: the start token, Le …
    source = units_of(run.source, TEXT, "words")
    first = np.add.reduceat(weights[0], source.starts)  # “Le” is one token, written while the start token looked
    assert [0, int(first[:-1].argmax())] in view["aligned"]
    assert f"“Le” ← “{source.labels[int(first[:-1].argmax())]}”" in said(app)
    assert "It is a reading of these weights, not a truth" in said(app)


def test_what_is_marked_is_what_was_chosen(translate):
    app = translate(between="tokens", aligned="grow-diag")
    _, run = run_on(app)
    weights = np.mean([layer_weights(layer) for layer in run.cross], axis=(0, 1))[:-1]
    weights[:, -1] = 0  # the end token of the source goes with nothing
    assert component(app, "cross_lines")["view"]["aligned"] == np.argwhere(align(weights).grown).tolist()
    app = translate(between="tokens", aligned="argmax")
    assert component(app, "cross_lines")["view"]["aligned"] == np.argwhere(align(weights).row_best).tolist()
    without = translate(aligned="none")
    assert component(without, "cross_lines")["view"]["aligned"] == [] and "**Alignment:**" not in said(without)


def test_one_head_token_by_token(translate):
    app = translate(across="head", layer=2, head=5, between="tokens")
    _, run = run_on(app)
    sent = traces(app)[0][0]["z"]
    assert "by layer 2, head 5." in said(app)
    assert [int(n) for n in sent["shape"].split(",")] == [len(run.tokens) - 1, len(run.source)]


def test_every_token_of_a_target_gets_its_probability(translate):
    app = translate(target="Le chat noir.", step=2)
    _, run = run_on(app)
    lm = session.language_model("translator")
    logits = torch.tensor(lm.unembed(run.hidden[-1])).double().log_softmax(-1)
    ids = [token.id for token in (*run.tokens[1:], run.source[-1])]
    expected = [float(logits[t, id]) for t, id in enumerate(ids)]
    chips = component(app, "token_chips")
    assert [chip["shade"] for chip in chips["chips"]] == pytest.approx(np.exp(expected).tolist(), abs=1e-5)
    assert chips["selected"] == 2 and chips["chips"][-1]["label"] == run.source[-1].label
    metrics = {metric.label: metric.value for metric in app.metric}
    assert float(metrics["Log-probability"]) == pytest.approx(sum(expected), abs=2e-3)
    assert float(metrics["Perplexity"].replace(",", "")) == pytest.approx(np.exp(-np.mean(expected)), rel=1e-2)
    assert metrics["Tokens"] == str(len(ids))


def test_the_steps_can_be_moved_through(translate):
    app = translate(target="Le chat noir", across="head", layer=1, head=3)
    _, run = run_on(app)
    last = len(run.tokens) - 1
    assert "What step 0 may write" in said(app)
    app.slider(key="step").set_value(last).run()
    assert not app.exception and f"What step {last} may write" in said(app)
    row = layer_weights(run.cross[1])[3, last]
    where = f"Where step {last} looks, from {quoted(run.tokens[-1].label)}, the last token it has: most at "
    assert f"{where}{quoted(run.source[row.argmax()].label)}, {row.max():.3f}" in said(app)


def test_a_beam_and_what_it_found(translate):
    app = translate(width=3, penalty=0.5)
    key, _ = run_on(app)
    beam = session.beam_of(key, 3, 0.5)
    tree = component(app, "beam_tree")
    assert len(tree["nodes"]) == 1 + sum(map(len, (*beam.steps, *beam.dropped)))
    assert [each["sum"] for each in tree["candidates"]] == [each.log_prob for each in beam.finished]
    assert [each["score"] for each in tree["candidates"]] == [each.score(0.5) for each in beam.finished]
    for each in tree["candidates"]:
        assert each["score"] == pytest.approx(each["sum"] / each["tokens"] ** 0.5)  # of what is shown
    assert "the 3 best are kept" in said(app)


def test_a_candidate_that_is_read_is_checked_against_reading_it_in_one_go(translate):
    key, _ = run_on(translate())
    best = session.beam_of(key, 4, 1.0).finished[0]
    text = b"".join(session.language_model("translator").token(id).piece for id in best.ids).decode()
    app = translate(target=text)
    assert component(app, "beam_tree")["chosen"] == 0
    assert "candidate 0 is what is read above" in said(app)


def spelled(word: str) -> tuple[int, ...]:
    """The ids of a word's letters, one by one: other tokens than the word is cut into."""
    lm = session.language_model("translator")
    ids = tuple(lm.encode(letter)[0].id for letter in word)
    assert len(lm.encode(word)) < len(ids) + 1  # the end mark aside
    return ids


def read_ids(app) -> tuple[int, ...]:
    """The tokens whose steps the page shows, without the end."""
    return tuple(chip["id"] for chip in component(app, "token_chips")["chips"])[:-1]


def test_the_tokens_of_a_target_are_read_not_its_text_cut_anew(translate):
    ids = spelled("chat")
    app = translate(target="chat", target_ids="".join(f"{id}." for id in ids))
    assert read_ids(app) == ids and app.text_area(key="target").value == "chat"
    assert "".join(f"{id}." for id in ids) in address(app)["target_ids"]
    app.text_area(key="target").set_value("chats").run()  # another text: its own tokens
    assert read_ids(app) == read_ids(translate(target="chats"))
    assert "target_ids" not in address(app) and not app.exception


def test_a_candidate_of_no_tokens_is_read_too(translate):
    app = translate(target="", target_ids=".")
    assert read_ids(app) == ()
    assert "Nothing was written: the target is empty." in [info.value for info in app.info]
    assert app.button(key="let_it_write").click().run() and read_ids(app) != ()


@pytest.mark.parametrize("ids", ["1.2", "x", "9999999.", "1" * 9 + ".", "1." * 1001, "4.5.6."])
def test_tokens_that_are_not_those_of_the_target_are_not_read(translate, ids):
    app = translate(target="chat", target_ids=ids)
    assert not app.exception and not app.error
    assert read_ids(app) == read_ids(translate(target="chat"))


def test_what_the_model_writes_itself_is_the_best_of_its_beam(translate):
    app = translate()
    key, run = run_on(app)
    best = session.beam_of(key, 4, 1.0).finished[0]
    assert tuple(token.id for token in run.tokens[1:]) == best.ids
    assert component(app, "beam_tree")["chosen"] == 0 and "candidate 0 is what is read above" in said(app)
    assert "Written by the model: the best text that a beam of 4 finds" in said(app)
    ends = [(token.start, token.end) for token in run.tokens[1:]]
    text = text_of(key.prompt, run)
    assert text[ends[0][0] : ends[-1][1]] == text
    narrow = translate(width=1, penalty=0.0)  # another search leaves what is read as it is
    assert run_on(narrow)[0] == key
    if component(narrow, "beam_tree")["chosen"] is None:
        assert "the best of a beam of 4 with penalty 1, is not among these candidates" in said(narrow)


def test_a_reference_is_compared(translate):
    app = translate(target="le chat noir dort", reference="le chat dort")
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["BLEU of this sentence"] == "35.4"  # worked by hand in test_translation.py
    assert "smooth:exp" in said(app) and "both made again from the counts" in said(app)
    assert app.table[0].value["in both"].tolist() == [3, 1, 0, 0]
    assert "Type a reference" in said(translate())


def test_a_pair_opens_the_card_on_the_rows_that_predict_it(translate):
    app = translate(target="Le chat noir.")
    key, run = run_on(app)
    written = units_of(run.tokens[1:], key.prompt.target, "words")
    unit = next(i for i in range(len(written)) if written.labels[i] == "chat")
    spec = MapSpec(tuple((layer, head) for layer in range(3) for head in range(8)), of="cross")
    cell = provenance.Cell(key, spec, tuple(written.tokens(unit)), (1,))
    open_card(app, cell)
    assert not app.exception
    weights = np.mean([layer_weights(layer) for layer in run.cross], axis=(0, 1))
    expected = weights[list(written.tokens(unit)), 1].mean()
    card = "\n".join(element.value for element in app.get("html") if hasattr(element, "value"))
    shown = card or "\n".join(each.proto.body for each in app.get("html"))
    assert f"{expected:.4f}" in shown and "✓" in shown


def test_a_card_of_cross_attention_closes_with_its_source(translate):
    app = translate(target="Le chat noir a vu le chat blanc.", across="head")
    key, run = run_on(app)
    cell = provenance.Cell(key, MapSpec(((0, 0),), of="cross"), (1,), (len(run.source) - 2,))
    open_card(app, cell)
    assert not app.exception and app.session_state.cell == cell
    app.text_area(key="text").set_value("Yes.").run()  # shorter than the place that was looked at
    assert not app.exception and app.session_state.cell is None


def test_a_target_typed_on_the_page_reaches_the_sidebar(translate):
    app = translate()
    app.text_area(key="own_target").set_value("Le chat.").run()
    assert app.session_state.target == "Le chat." and app.text_area(key="target").value == "Le chat."
    app.text_area(key="own_source").set_value("The cat.").run()
    assert app.session_state.text == "The cat." and app.session_state.target == "Le chat."
    app.button[[button.label for button in app.button].index("Let the model write it")].click().run()
    assert app.session_state.target == "" and not app.exception


# --- what visitors type -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["猫在垫子上。", "👍🏽", "\u202eabc", "a", "<script>alert(1)</script>", "\x00\x07 x", "**b** $x$ [y](z)", "   "],
)
def test_any_text_gets_an_answer(translate, text):
    app = translate(text=text)
    assert "<script>" not in "\n".join(element.value for element in app.markdown)


def test_what_is_no_translation_is_not_given_out_as_one(translate):
    """Whatever the weights: a source without a word; and what was typed is not the model's to answer for."""
    app = translate(text="12 34 !?")
    (doubted,) = [warning.value for warning in app.warning if "Do not take this for a translation" in warning.value]
    assert "there is no word in the source" in doubted
    app.text_area(key="own_target").set_value("12 34").run()
    assert not app.exception and "Do not take this for a translation" not in said(app)


def test_a_source_beyond_the_context(open_page):
    app = open_page("translation", text="word " * (2 * TRANSLATOR.n_context))
    assert not app.exception
    assert "tokens long; Translator" in said(app) and f"reads at most {TRANSLATOR.n_context}" in said(app)


def test_a_target_beyond_the_context(open_page):
    app = open_page("translation", text=TEXT, target="chat " * (2 * TRANSLATOR.n_context))
    assert not app.exception and f"reads at most {TRANSLATOR.n_context}" in said(app)


@pytest.mark.parametrize("target", ["!", "日本", "👍", " "])
def test_any_target_gets_an_answer(translate, target):
    translate(target=target, reference="x")


# --- a model of the visitor's own -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random T5 in a folder."""
    torch.manual_seed(0)
    config = T5Config(vocab_size=120, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0)
    transformer = T5ForConditionalGeneration(config)
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    root = tmp_path_factory.mktemp("models")
    transformer.save_pretrained(root / "t5")
    of_family("encoder-decoder").save_pretrained(root / "t5")
    return root / "t5"


def test_a_hugging_face_model_is_read_and_shows_its_beam(open_page, folder, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(folder.parent))
    app = open_page("translation", model=f"folder:{folder}", text="the cat saw the dog", target="a dog", across="head")
    assert not app.exception and "**Check failed" not in said(app)
    assert "Of all ways to go on, the 4 best are kept" in said(app)
    assert component(app, "cross_lines")["view"]["labels"][:2] == ["a", "dog"]
    assert "What step 0 may write" in said(app)


def test_a_model_that_cannot_be_searched_says_so(open_page, folder, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(folder.parent))
    monkeypatch.setattr("model.huggingface.decoding._ROUNDING", -1.0)  # whatever it finds is taken for another
    copied = shutil.copytree(folder, folder.with_name("another"), dirs_exist_ok=True)
    app = open_page("translation", model=f"folder:{copied}", text="the cat saw the dog")
    assert not app.exception
    assert "cannot be searched step by step here, so it writes greedily, the most probable token each time" in said(app)


def test_a_model_of_ones_own_is_doubted_too(open_page, folder, monkeypatch):
    monkeypatch.setenv("REGARD_MODEL_ROOTS", str(folder.parent))
    app = open_page("translation", model=f"folder:{folder}", text="12 34 !?")
    assert not app.exception and "there is no word in the source" in said(app)


def test_the_built_in_translator_reads_where_a_decoder_is_chosen(translate):
    app = translate()
    assert app.session_state.model == "story"  # the sidebar keeps it for other pages
    assert component(app, "cross_lines")["view"]["labels"][-1] == "<|endoftext|>"
