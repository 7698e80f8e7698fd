"""The model: how it is built, where its parameters are, what a run of it keeps, and where its weights came from."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from model import catalog
from model.analysis import checks
from model.analysis.parameters import INSTEAD, parameters_by_part
from model.architecture import Architecture, record_bytes, weights_bytes
from model.language_model import Captured, LanguageModel
from model.run import PromptError
from viz.components.contents import contents
from viz.components.drawing import drawing
from viz.figures.architecture import facts, facts_table
from viz.figures.block import block_drawing, legend
from viz.figures.model_charts import learning_lines, memory_lines, parameter_bars, size_in_words
from viz.figures.numbers import percent
from viz.figures.training import (
    Curves,
    Table,
    how_trained,
    how_well,
    learning_curves,
    training_table,
    what_it_read,
    written_by_itself,
)
from viz.plain import plain
from viz.ui import glossary, lab_models, links, session
from viz.ui.choices import TRAINING
from viz.ui.lab_models import Trained
from viz.ui.pictures import caption, picture
from viz.ui.prose import check, quoted, to_read

PART_MEANINGS = {
    "embeddings": "a vector for each token",
    "positions": "what says where a token stands",
    "attention": "queries, keys, values and what is written back",
    INSTEAD: "what layers without attention work by",
    "MLP": "what each block does with one token's vector at a time",
    "norms": "a gain, and often a shift, for each number",
    "head": "from the last vector to the answer",
    "other": "what fits none of these, such as a pooler",
}
UNLIMITED = 4096  # tokens on the chart of a model whose positions set no limit
MOST_TOKENS = 131_072


def main() -> None:
    st.title("The model")
    st.markdown(
        "What reads your text: how one of its blocks is built, drawn from this model's own configuration, and where "
        "its parameters and its memory go."
    )
    glossary.show()
    contents()
    lm = session.current_model()
    architecture = lm.architecture()
    show_block(lm, architecture)
    show_parameters(lm)
    show_memory(lm, architecture)
    show_origin(lm)


def show_block(lm: LanguageModel, architecture: Architecture) -> None:
    st.header(f"How {plain(lm.info.title)} is built", divider="gray", anchor=False)
    for remark in lm.info.remarks:
        st.info(plain(remark), icon=":material/info:")
    if not architecture.known:
        st.info(
            f"Models of the type {quoted(architecture.model_type)} are not known to Regard. What their configuration "
            "says is shown; the rest is called unknown. That attention comes before the MLP, as in most models, is the "
            "drawing's own assumption.",
            icon=":material/help:",
        )
    lines, title = facts(architecture), f"{architecture.name}, in numbers"
    if len(architecture.stacks) > 1:  # twice as wide: a row of its own, and below it the numbers in two columns
        show_drawing(lm, architecture)
        half = (len(lines) + 1) // 2
        for place, some, above in zip(
            st.columns(2, gap="large"), (lines[:half], lines[half:]), (title, ""), strict=True
        ):
            to_read(facts_table(some, above), place)
        return
    left, right = st.columns([1.15, 1], gap="large")
    with left:
        show_drawing(lm, architecture)
    to_read(facts_table(lines, title), right)


def show_drawing(lm: LanguageModel, architecture: Architecture) -> None:
    mode = st.context.theme.type or "light"
    drawing(
        block_drawing(architecture, mode),
        key="block",
        called=f"A drawing of the blocks of {lm.info.title}",
        light=block_drawing(architecture, "light"),
        numbers=lambda: _by_part(parameters_by_part(lm.parameter_shapes(), lm.info.others)),
    )
    caption(legend(architecture))


def _by_part(parts: dict[str, int]) -> dict:
    return {"part": list(parts), "parameters": list(parts.values())}


def show_parameters(lm: LanguageModel) -> None:
    parts = parameters_by_part(lm.parameter_shapes(), lm.info.others)
    total, largest = sum(parts.values()), max(parts, key=parts.get)
    st.header(f"Where its {total:,} parameters are", divider="gray", anchor=False)
    picture(
        parameter_bars(parts, st.context.theme.type or "light"),
        key="parameters",
        how="One bar a part of the model, in the colours of the drawing: how many of the trained numbers it holds.",
        alt=f"Bars of parameters by part; {largest} hold{'s' * (largest[-1] != 's')} most: {parts[largest]:,}, "
        f"{percent(parts[largest] / total)} of all.",
        table=lambda: pd.DataFrame(
            {
                "parameters": parts,
                "share": {part: n / total for part, n in parts.items()},
                "what they are": {part: PART_MEANINGS[part] for part in parts},
            }
        ),
    )
    check(
        checks.same("parameters by part, and in all", total == lm.info.n_parameter),
        f"the parts add up to {total:,} parameters; counted on the loaded model, it has **{lm.info.n_parameter:,}**.",
    )


def show_memory(lm: LanguageModel, architecture: Architecture) -> None:
    st.header("What a run keeps, and what it would take", divider="gray", anchor=False)
    longest = min(max(stack.n_context or 0 for stack in architecture.stacks) or UNLIMITED, MOST_TOKENS)
    lengths = np.unique(np.geomspace(1, longest, 40).round().astype(int)).tolist()
    record = [record_bytes(architecture, n) for n in lengths]
    weights = [weights_bytes(architecture, n) for n in lengths]
    if None in record or None in weights:
        st.markdown(
            "The configuration does not say how many heads there are or how wide they are, so there is nothing to draw."
        )
        return
    try:
        now = len(session.current_tokens())
    except PromptError:
        now = None
    both = " on both sides" if len(architecture.stacks) > 1 else ""
    small, large = (size_in_words(values[-1]) for values in (record, weights))
    st.markdown(f"{how_it_keeps(lm)} At {longest:,} tokens{both} that is **{small}** against **{large}**.")
    picture(
        memory_lines(lengths, record, weights, now),
        key="memory",
        how="Both scales count in factors of ten. Where the dotted line lies above the solid one, it takes less memory "
        "to keep queries, keys and values than the weights themselves.",
        alt=f"Two lines over the length of the text, up to {longest:,} tokens: queries, keys and values rise to "
        f"{small}, all attention weights to {large}.",
        table=lambda: pd.DataFrame(
            {"queries, keys, values": record, "all weights": weights}, pd.Index(lengths, name="tokens")
        ),
    )


def how_it_keeps(lm: LanguageModel) -> str:
    # only models that came from elsewhere can have kept anything but queries and keys
    if isinstance(lm, Captured) and lm.captured == "weights":
        return (
            "This model gives its **attention weights** and nothing they are made of, so a run keeps those, and they "
            "grow with the square of the text. **Queries, keys and values**, which other models give, grow in step "
            "with it."
        )
    return (
        "Every picture of attention here is made from **queries, keys and values**, kept as they were in the run. They "
        "grow in step with the text; a table of all **attention weights** grows with its square."
    )


def show_origin(lm: LanguageModel) -> None:
    st.header("Where its weights came from", divider="gray", anchor=False)
    if trained := lab_models.find(lm.info.name):
        show_trained_here(trained)
        return
    # by the catalogue, not by the name alone, which may be a stranger's path
    ours = session.built_in(lm.info.name)
    folder = Path(ours.where) if ours else None
    if not (folder and (folder / "card.json").is_file()):
        st.markdown(
            f"The weights of {quoted(lm.info.title)}, with the fingerprint {quoted(lm.info.fingerprint)}, did not come "
            "with Regard: who trained them, and on which texts, only their own model card can tell. "
            f"Regard reads them as they are{', but for what is said above' if lm.info.remarks else ''}."
        )
        return
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    if "hours" in card:
        show_training(card)
    if (folder / "NOTICE.md").is_file():
        with st.expander("Whose texts these are: the notice", icon=":material/article:"):
            st.markdown((folder / "NOTICE.md").read_text(encoding="utf-8").partition("\n")[2])
    of_what = "a SHA-256 of them" if catalog.steps_of(ours) else "the file's SHA-256"
    st.markdown(f":small[Weights {lm.info.fingerprint}, the first 16 digits of {of_what}.]")


def show_trained_here(trained: Trained) -> None:
    st.markdown(
        f"It was **{lab_models.SOURCE}**, on the page Training. {plain(trained.origin)}\n\nNo other visitor can open "
        f"it, and a link to it works in this session alone: {lab_models.BOUND}."
    )
    st.markdown(f":small[Weights {plain(trained.lm.info.fingerprint)}, the first 16 digits of a SHA-256 of them.]")


def show_training(card: dict) -> None:
    st.markdown(how_trained(card))
    left, right = st.columns(2, gap="large")
    with left:
        show_table("What it read", what_it_read(card))
    with right:
        show_curves(learning_curves(card))
    if tested := how_well(card):
        show_table("How well it does, on texts that it did not learn from", tested)
    if "checkpoints" in card:
        links.link(TRAINING, "Watch it learn, checkpoint by checkpoint", "school")
    if texts := written_by_itself(card):
        st.markdown("**What it writes by itself, always the most probable token**")
        to_read(texts)


def show_curves(curves: Curves | None) -> None:
    if curves is None:
        return
    first = next(iter(curves.values))
    tokens, values = curves.tokens[first], curves.values[first]
    st.markdown("**How it learned**")
    picture(
        learning_lines(curves),
        key="training_loss",
        how=f"While it was being trained: {curves.unit}, on texts that it did not learn from. Lower is better.",
        alt=f"A line from {values[0]:.2f} {curves.unit}, after {tokens[0]:,} tokens, to {values[-1]:.2f}, after "
        f"{tokens[-1]:,}.",
        table=lambda: pd.concat(
            pd.DataFrame({"line": name, "tokens": curves.tokens[name], curves.unit: curves.values[name]})
            for name in curves.values
        ),
    )


def show_table(title: str, table: Table) -> None:
    st.markdown(f"**{title}**")
    to_read(training_table(table))
    if table.note:
        caption(table.note)


main()
