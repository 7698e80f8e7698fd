"""Heads: what every head does, over many texts, as scores with a definition each."""

from functools import partial

import streamlit as st

from model.analysis.attention import attention_weights
from model.analysis.attention_map import write_heads
from model.analysis.head_patterns import sides_of, strongest_key
from model.analysis.head_survey import Survey
from model.grid import Grid
from model.run import ModelInfo
from model.text.passages import MOST_TOKENS
from model.text.prompt import Prompt, RunKey, as_read
from viz.components.contents import contents
from viz.figures.heads import layers_and_heads
from viz.guard import part
from viz.plain import plain
from viz.sections.heads import matter, one, scores, texts
from viz.ui import controls, glossary, links, session, surveys, waiting
from viz.ui.choices import ATTENTION, CHOSEN, COPYING, LABEL, MECHANISM, ONE
from viz.ui.heads import KINDS
from viz.ui.pictures import caption

_OPENED = "opened_head"  # in the session's state: what was clicked, until the next run can go there
_BROKEN = "broken_head"  # the same, of one that is to be seen switched off
_TOGETHER = "heads_together_label"  # and of all heads that are called so
_ENCODER = (
    "An encoder's tokens see those on both sides: copies and distances count both ways, “previous token” is the one to "
    "the left, and the one to the right is a fixed offset of +1. There is no next token to guess, so an induction head "
    "has nothing to copy for."
)
_CROSS = "Two texts have no distances between them: only what needs none is scored."


def main() -> None:
    st.title("Heads")
    st.markdown(
        "One picture of one text says little of what a head is for. Here every head reads **many texts**, and how much "
        "of its weight goes where is counted: to the token before, to what stood behind an earlier copy, to full stops."
    )
    glossary.show()
    contents()
    lm = session.current_model()
    info, kind = lm.info, "self"
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="heads_of"):
        if info.family == "encoder-decoder":
            described = " · ".join(f"{kind}: {words}" for kind, words in KINDS.items())
            kind = controls.choose("Attention", "kind", tuple(KINDS), help=described)
        texts.choose()
    read = texts.read()
    if not read:
        return
    of = surveys.subject(read, kind)
    reading = surveys.read(of)
    say_how_far(of, reading)
    if reading.survey is None:
        return
    if opened := st.session_state.pop(_OPENED, None):
        go_to(of, reading, *opened)
    if broken := st.session_state.pop(_BROKEN, None):
        links.go(MECHANISM, layer=broken[0], head=broken[1], head_off=True)
    if label := st.session_state.pop(_TOGETHER, None):
        heads = write_heads(reading.survey.heads(label), grid_of(of, reading.survey, info))
        links.go(ATTENTION, show=CHOSEN, heads=heads, kind=of.kind)
    show(of, reading, info)


def grid_of(of: surveys.Subject, made: Survey, info: ModelInfo) -> Grid:
    """Which layers have heads of the attention that is scored."""
    return info.grid if of.kind == "self" else Grid(*made.labels.shape)


def say_how_far(of: surveys.Subject, reading: surveys.Reading) -> None:
    """What of the texts was not read, and why."""
    if not reading.complete:
        waiting.stopped(f"{reading.n_read} of {reading.n_all} texts were read.", surveys.go_on, key="go_on")
    if reading.unread:
        st.info(
            f"Not read: {len(reading.unread)} of {reading.n_all} texts. {plain(reading.unread[0])}"
            + " What is scored is random tokens that come twice." * bool(reading.survey and not reading.survey.n_text),
            icon=":material/info:",
        )
    if reading.n_cut:
        most = min(MOST_TOKENS, session.current_model().info.n_context)
        caption(f"{reading.n_cut} texts are longer than {most} tokens: their beginning is read.")


def show(of: surveys.Subject, reading: surveys.Reading, info: ModelInfo) -> None:
    made = reading.survey
    for sentence in scores.in_words(made, plain(session.titles().get(of.model, info.title))):
        st.markdown(sentence)
    if of.kind == "cross":
        caption(_CROSS)
    elif of.kind == "encoder" or not info.causal:
        caption(_ENCODER)
    names = [name for name, found in made.found.items() if found.there]
    with st.container(key="roomy_heads"):
        left, right = st.columns([1.1, 1], gap="medium")
    copying = None
    with left:
        shown = choose_score(names)
        if shown == LABEL:
            scores.show_labels(made, pick)
            scores.show_together(made, together)
        elif shown == COPYING:
            with part():
                copying = surveys.copying_of(of.model)
                scores.show_copying(made, copying, pick)
        else:
            scores.show_score(made, shown, pick)
    with right:
        scores.show_table(made, names, shown, pick, copying)
    scores.show_rules(made)
    say_of_what(of, reading, info)
    there = grid_of(of, made, info)
    with part():
        one.show(made, there, partial(text_at, of, reading), pick)
    with part():
        matter.show(of, made, there, shown, pick, break_it)


def text_at(of: surveys.Subject, reading: surveys.Reading, number: int, row: int) -> tuple[str, str]:
    """A text in one line, and its token at a place; of an encoder-decoder the token is one of what it wrote."""
    text, lm = of.texts[reading.numbers[number]], session.current_model()
    written = lm.info.family == "encoder-decoder" and of.kind != "encoder"
    tokens = () if written else lm.encode(text)
    return " ".join(text.split()), tokens[row].label if row < len(tokens) else ""


def choose_score(names: list[str]) -> str:
    """The score that is shown, of those that this attention has."""
    options, key = (LABEL, *names, COPYING), links.key("score")
    if st.session_state[key] not in options:
        st.session_state[key] = LABEL
    return st.selectbox("Show", options, key=key, help="What the map shows of each head, and the table first.")


def say_of_what(of: surveys.Subject, reading: surveys.Reading, info: ModelInfo) -> None:
    made = reading.survey
    of_random = f"{made.n_random} of random tokens that come twice" if made.n_random else ""
    texts = f"{made.n_text} text{'s' * (made.n_text != 1)}" if made.n_text else ""
    over = " and ".join(filter(None, (texts, of_random)))
    caption(f"Scored: {layers_and_heads(grid_of(of, made, info))}, over {over}.")
    if reading.held and reading.held[1]:
        holds, n = reading.held
        caption(
            f"Of {n} heads that have a label by every other text, {holds} have the same by the rest "
            f"({100 * holds / n:.0f} %)."
        )


def pick(layer: int, head: int, score: str | None = None) -> None:
    """For callbacks: the next run goes to that head."""
    st.session_state[_OPENED] = layer, head, score or st.session_state.score


def together(label: str) -> None:
    """For callbacks: the next run reads all heads that are called so."""
    st.session_state[_TOGETHER] = label


def break_it(layer: int, head: int) -> None:
    """For callbacks: the next run shows the visitor's text without that head."""
    st.session_state[_BROKEN] = layer, head


def go_to(of: surveys.Subject, reading: surveys.Reading, layer: int, head: int, score: str) -> None:
    """Open a head on Attention, with the text where it is strongest by a score, or by what it is called."""
    made = reading.survey
    name = shown_by(made, layer, head, score)
    number, row = int(made.found[name].text[layer, head]), int(made.found[name].row[layer, head])
    choices = {"show": ONE, "kind": of.kind, "layer": layer, "head": head}
    if number < 0:
        links.go(ATTENTION, **choices)
    text = of.texts[reading.numbers[number]]
    with_text = {"text": text, "chat": False, "target": "", "target_ids": ""}
    with part():  # of a text that is longer than the model can read whole, Attention says so
        prompt = as_read(session.current_model(), Prompt(text, languages=of.languages))
        run = session.run_of(RunKey(of.model, prompt))
        queries, keys = run.sides(of.kind)
        sides = sides_of(queries, keys[: len(keys) - run.has_sink(of.kind)], own=of.kind != "cross")
        weights = attention_weights(run.layers(of.kind)[layer], head, slice(row, row + 1))[0]
        choices |= {"token": row, "key": strongest_key(weights, made.measure(name, layer, head), sides, row)}
    links.go(ATTENTION, **choices, **with_text)


def shown_by(made: Survey, layer: int, head: int, score: str) -> str:
    """The name of a score that this head has: the one that is shown, else that of its label, else its highest above
    chance.
    """
    if score in made.found and made.found[score].mean[layer, head] >= 0:
        return score
    for name, found in made.found.items():
        if found.reached[layer, head]:
            return name
    above = {n: f.mean[layer, head] - f.chance[layer] for n, f in made.found.items() if f.score.label}
    return max(above, key=lambda name: above[name] if above[name] == above[name] else -1)


main()
