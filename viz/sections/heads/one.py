"""On the page Heads: one head with all of its scores, and where each of them is strongest."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from model.analysis.head_patterns import FIXED_OFFSET
from model.analysis.head_survey import Survey
from model.grid import Grid
from viz.figures.heads import head_name, others_in_words
from viz.guard import handler
from viz.ui import controls
from viz.ui.pictures import caption

# a text by its number in the survey, and the token at a place of it
TextAt = Callable[[int, int], tuple[str, str]]


def show(made: Survey, there: Grid, text_at: TextAt, open_head: Callable[..., object]) -> None:
    """`open_head`: called with layer and head."""
    st.header("One head", anchor=False)
    told = {"help": others_in_words(there)} if there.others else {}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="one_head"):
        layer = controls.position("Layer", "layer", there.n_layer, **told)
        head = controls.position("Head", "head", there.n_head)
        st.button(
            "See it on Attention",
            key="open_one",
            icon=":material/visibility:",
            on_click=handler(open_head),
            args=(layer, head),
            disabled=not made.labels[layer, head],
        )
    if not made.labels[layer, head]:
        st.info(f"Layer {layer} works by {there.instead(layer)}: it has no heads to score.", icon=":material/layers:")
        return
    st.markdown(f"**{head_name(layer, head).capitalize()}**: {', '.join(made.all_labels(layer, head))}.")
    st.dataframe(
        table(made, layer, head, text_at),
        key="one_head_table",
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.3f") for name in ("score", "± over texts", "chance")
        },
    )
    caption(
        "± is the standard deviation over the texts; chance is what looking alike at all visible keys gives; from: the "
        "threshold of the label. Where a score is of random tokens, the text is the one of the others where it is "
        "highest."
    )


def table(made: Survey, layer: int, head: int, text_at: TextAt) -> pd.DataFrame:
    """A row for each score that this head has."""
    rows = []
    for name, found in made.found.items():
        if not found.mean[layer, head] >= 0:
            continue
        number, row = int(found.text[layer, head]), int(found.row[layer, head])
        offset = f" ({made.offset[layer, head]:+d})" if name == FIXED_OFFSET.name else ""
        text, token = text_at(number, row) if number >= 0 else ("", "")
        rows.append(
            {
                "score of": name + offset,
                "score": found.mean[layer, head],
                "± over texts": found.spread[layer, head],
                "chance": found.chance[layer],
                "from": f"{found.score.threshold:g}" if found.score.label else "",
                "strongest at": f"{row} {token}" if number >= 0 else "",
                "in the text": text,
            }
        )
    return pd.DataFrame(rows)
