"""On the page Training: what pre-training took."""

import html
import json
from pathlib import Path

import pandas as pd
import streamlit as st

from model import catalog
from model.analysis import checks
from model.analysis.pre_training import CHINCHILLA, PUBLISHED, PreTraining, of_card
from model.sources import builtin_files
from viz.figures.pre_training import (
    arithmetic,
    colours_of,
    cost_table,
    curve_panel,
    duration,
    in_words,
    scientific,
    tokens_and_parameters,
    unit_of,
)
from viz.figures.training import Card, Curves, learning_curves, training_table
from viz.guard import section
from viz.plain import plain
from viz.ui import cache, controls, links, session
from viz.ui.pictures import caption, picture
from viz.ui.prose import check, formula, to_read


@section("in_numbers")
def show() -> None:
    cards = {name: json.loads((folder / builtin_files.CARD).read_text("utf-8")) for name, folder in _folders().items()}
    show_curves({card["title"]: found for card in cards.values() if (found := learning_curves(card))})
    found = trainings()
    ours = [each for each in found if each.speed]
    if not ours:
        st.info(
            "The cards of the models here do not say how long they were trained, so there is nothing to reckon with."
        )
        return
    show_costs(found, ours)
    show_picture(found)
    show_arithmetic(found, ours, cards)


def _folders() -> dict[str, Path]:
    """Of the built-in models that have a card, by their names."""
    here = {entry.name: Path(entry.where) for entry in session.models_here() if entry.source == catalog.BUILT_IN}
    return {name: folder for name, folder in here.items() if (folder / builtin_files.CARD).is_file()}


@cache.kept(seconds=60)
def trainings() -> tuple[PreTraining, ...]:
    """Those of the built-in models, the one that is opened at first before others, and those of published numbers."""
    found = []
    for name, folder in _folders().items():
        card = json.loads((folder / builtin_files.CARD).read_text("utf-8"))
        found.append(of_card(name, card, builtin_files.shapes(folder)))
    return (*(each for each in found if each), *PUBLISHED)


def show_curves(curves: dict[str, Curves]) -> None:
    """Side by side, each in the measure that its training was judged by."""
    st.subheader("How the models here learned", anchor=False)
    mode = st.context.theme.type or "light"
    colours = colours_of(list(curves.values()), mode)
    for place, (title, each) in zip(st.columns(max(len(curves), 1), gap="medium"), curves.items(), strict=False):
        first, *others = each.values
        tokens, values = each.tokens[first], each.values[first]
        unit = unit_of(each)
        with place:
            st.markdown(f"**{plain(title)}**")
            picture(
                curve_panel(each, colours, mode),
                key=f"curve_{''.join(filter(str.isalnum, title))[:20]}",
                how=f"{unit[:1].upper()}{unit[1:]}, on texts that it did not learn from"
                + ("; the strong line: all of them together." if others else "."),
                alt=f"A line from {values[0]:.2f} {unit}, after {tokens[0]:,} tokens, to {values[-1]:.2f}, after "
                f"{tokens[-1]:,}" + (f"; {len(others)} thin lines for single kinds of text." if others else "."),
                table=lambda each=each: pd.concat(
                    pd.DataFrame({"texts": name, "tokens": each.tokens[name], each.unit: each.values[name]})
                    for name in each.values
                ),
            )
    to_read(legend(colours))
    caption(
        "Lower is better. The units differ, so heights can be compared within one picture, not between them: bits for "
        "each byte of text, nats for each token that had to be written, nats for each token that was hidden. A fall at "
        "the end is the learning rate going down to 0."
    )


def show_costs(found: tuple[PreTraining, ...], ours: list[PreTraining]) -> None:
    st.subheader("What that took, and what larger models took", anchor=False)
    rate = ours[0]
    st.markdown(
        "One rule counts them all: each of the **N** parameters that work on a token is used in one multiplication and "
        "one addition forward, and in twice as many backward: **6 N operations a token, 6 N D for all D tokens** "
        "(Kaplan et al. 2020, “Scaling Laws for Neural Language Models”, section 2.1)."
    )
    to_read(training_table(cost_table(found, rate.speed)))
    caption(
        "Tokens are counted as often as they were read. The time of our own models was measured; that of others is "
        f"what the machine that trained {plain(rate.title)} ({plain(rate.machine)}) would take at its speed, "
        f"{scientific(rate.speed)} operations a second, if it had the memory. About {CHINCHILLA} tokens a parameter "
        "make the most of a given number of operations (Hoffmann et al. 2022). Where no text was sent backward through "
        "a model, as for the layer that judges sentiment, the rule does not hold, and it is left out."
    )


def show_picture(found: tuple[PreTraining, ...]) -> None:
    read = [each for each in found if each.n_token]
    said = "; ".join(f"{each.title}: {in_words(each.n_working)}, {in_words(each.n_token)} tokens" for each in read)
    picture(
        tokens_and_parameters(found, st.session_state[links.key("counted")], st.context.theme.type or "light"),
        key="tokens_and_parameters",
        how="Both scales count in factors of ten. Along a grey line, 6ND stays the same: the number that stands at it. "
        f"On the dashed line, {CHINCHILLA} tokens are read for each parameter. Dotted: models whose tokens were not "
        "published. A click on a point shows below how its numbers were made.",
        on_pick=lambda i: controls.select("counted", found[i].name),
        alt=f"Tokens over parameters: {said}.",
        table=lambda: pd.DataFrame(
            {
                "training": [each.title for each in found],
                "parameters": [each.n_parameter for each in found],
                "N": [each.n_working for each in found],
                "D": [each.n_token for each in found],
                "6ND": [each.operations for each in found],
                "6(N + Vd)D": [each.with_output for each in found],
                "published operations": [each.published for each in found],
                "seconds measured": [each.seconds for each in found],
            }
        ).astype({"D": "Int64"}),
    )


def show_arithmetic(found: tuple[PreTraining, ...], ours: list[PreTraining], cards: dict[str, Card]) -> None:
    st.subheader("How each number was made", anchor=False)
    by_name = {each.name: each for each in found}
    chosen = by_name[
        controls.choose(
            "Model", "counted", tuple(by_name), format_func=lambda name: by_name[name].title.partition(" (")[0]
        )
    ]
    caption(
        "N: the parameters that work on each token. D: the tokens read. V: the tokens in the vocabulary. d: the "
        "numbers of a token's vector. L: the layers. C: the operations, multiplications and additions together."
    )
    for words, pieces in arithmetic(chosen, ours[0]):
        formula(words, pieces)
    if chosen.n_layer:
        caption(chosen.source)
        return
    card = cards[chosen.name]
    check(
        checks.same("parameters in the file, and on the card", chosen.n_parameter == card["parameters"]),
        f"the tensors in the file of its weights hold {chosen.n_parameter:,} numbers; its card says "
        f"**{card['parameters']:,}**.",
    )
    both = (
        " The card counts the tokens of translations. For each, about one of the source went through the encoder: N is "
        "the parameters of both halves, each used by its own side."
        if card["architecture"] == "encoder-decoder"
        else ""
    )
    caption(
        f"From its card: D is {card['tokens']:,} tokens in {card['steps']:,} steps, {duration(chosen.seconds)} on "
        f"{plain(chosen.machine)}. V d is the table of {plain(card['title'])}'s token vectors, by which it also writes."
        f"{both}"
    )


def legend(colours: dict[str, str]) -> str:
    """Names behind a piece of line each, as HTML; they wrap where there is no room."""
    swatch = '<span aria-hidden="true" style="display:inline-block;width:1.4em;height:3px;margin-right:.4em;'
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.85rem">'
        + "".join(
            f'<span>{swatch}vertical-align:middle;background:{colour}"></span>{html.escape(name)}</span>'
            for name, colour in colours.items()
        )
        + "</div>"
    )
