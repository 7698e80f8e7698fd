"""On the page Generation: one prediction taken apart, into what the embedding, every head and every MLP add to it."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.attribution import Attribution, Reading, attribution, reading
from model.run import ModelRun, VisitorError
from model.text.prompt import RunKey
from viz.figures.head_scores import score_map
from viz.figures.heads import head_name, others_in_words
from viz.figures.lens import part_bars
from viz.figures.numbers import how_far
from viz.guard import handler
from viz.plain import plain
from viz.ui import cache, links, session
from viz.ui.choices import ATTENTION, ONE
from viz.ui.loads import language_model
from viz.ui.pictures import caption, picture
from viz.ui.prose import check, quoted

_OPENED = "opened_part"  # in the session's state: the head that was clicked, until the next run can go there
N_NAMED = 3


def show(run: ModelRun, position: int, id: int) -> None:
    """Of the entry `id` of the vocabulary, behind a token."""
    if opened := st.session_state.pop(_OPENED, None):
        links.go(ATTENTION, layer=opened[0], head=opened[1], token=position, show=ONE)
    token = quoted(session.current_model().token(id).label)
    st.subheader(f"Who made {token}", anchor=False)
    if not st.toggle("Take the prediction apart", key=links.key("parts")):
        st.markdown(
            f"The logit of {token} is a sum: each head and each MLP wrote something into the vector that it is read "
            "off. How much of it is whose?"
        )
        return
    try:
        its = parts_of(session.current_key(), position, id)
    except VisitorError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    draw(run, its, token)


@cache.kept(spinner="Taking it apart …")
def reading_of(model: str, id: int) -> Reading:
    """Raises `VisitorError`."""
    return reading(language_model(model), id)


@cache.kept(spinner="Taking it apart …")
def parts_of(run_key: RunKey, position: int, id: int) -> Attribution:
    """Raises `VisitorError`."""
    its = reading_of(run_key.model, id)
    return attribution(language_model(run_key.model), session.run_of(run_key), position, its, id)


def pick(layer: int, head: int) -> None:
    """For callbacks: the next run goes to that head."""
    st.session_state[_OPENED] = layer, head


def draw(run: ModelRun, its: Attribution, token: str) -> None:
    there = ~np.isnan(its.heads)
    n_part = int(there.sum()) + np.count_nonzero(its.bias) + len(its.rest) + 2
    order = [divmod(int(i), its.heads.shape[1]) for i in np.argsort(-np.abs(np.nan_to_num(its.heads)), axis=None)]
    strongest = [each for each in order[:N_NAMED] if there[each]]
    most = [f"{head_name(*each)} {its.heads[each]:+.3f}" for each in strongest]
    heads, apart = float(np.nansum(its.attention)), there[:, 0]
    sums = {
        "what enters": its.embedding,
        "all heads, with biases": heads,
        "all MLPs": float(its.rest[apart].sum()),
        "layers as a whole": float(its.rest[~apart].sum()),
        "the constant": its.constant,
    }
    absent = {"layers as a whole"} if apart.all() else set() if apart.any() else {"all heads, with biases", "all MLPs"}
    said = " · ".join(f"{name} {value:+.3f}" for name, value in sums.items() if name not in absent)
    st.markdown(
        f"The logit of {token} behind {quoted(run.labels[its.position])} is **{its.logit:.4f}**: {said}."
        + f" The heads that moved it most: {'; '.join(most)}." * bool(most)
    )
    made = checks.parts_again(its.total, its.logit, its.largest)
    far = how_far(made.difference)
    check(made, f"the {n_part:,} parts add up to {its.total:.4f}, and the logit differs by **{far}**.")
    if not apart.all():
        reason = its.why[0] if its.why else others_in_words(run.info.grid)
        st.info(
            plain(reason) + f" So {int((~apart).sum())} of {len(apart)} layers are one part each.",
            icon=":material/info:",
        )
    picture(
        part_bars(its.attention, its.rest, its.embedding, its.constant, st.context.theme.type or "light"),
        key="parts_by_layer",
        how="What each layer adds to the logit, its heads together with the bias of their output projection. Above "
        "zero it speaks for the token, below zero against it. The constant is the shift of the last norm, and a bias.",
        alt=f"Bars over {len(apart)} layers. {said}.",
        table=lambda: pd.DataFrame(
            {"heads": its.attention, "of it bias": its.bias, "MLP, or the whole layer": its.rest},
            [f"layer {i}" for i in range(len(apart))],
        ),
    )
    if most:
        texts = [
            [
                f"{head_name(layer, head)}\n{value:+.4f}\nclick: see it on Attention"
                if there[layer, head]
                else "one part"
                for head, value in enumerate(row)
            ]
            for layer, row in enumerate(its.heads.tolist())
        ]
        picture(
            score_map(its.heads, texts, title="part", signed=True),
            key="parts_by_head",
            how="The same of every head. A click opens its attention, and what it looked at when it wrote this.",
            alt=f"A map of {its.heads.shape[0]} layers by {its.heads.shape[1]} heads. Largest: {'; '.join(most)}.",
            table=lambda: pd.DataFrame(
                its.heads,
                [f"layer {i}" for i in range(len(apart))],
                [f"head {i}" for i in range(its.heads.shape[1])],
            ),
            on_pick=pick,
        )
        caption("See on Attention:")
        with st.container(horizontal=True, gap="small", key="parts_of_heads"):
            for layer, head in strongest:
                name = head_name(layer, head)
                st.button(name.capitalize(), key=f"part_{layer}_{head}", on_click=handler(pick), args=(layer, head))
    caption(
        "Direct logit attribution (Elhage et al. 2021): the size by which the last norm divides is kept as it is here. "
        "It counts what goes straight to the logit: what a head gives to the layers behind it is counted there. And "
        "what raises the logits of all tokens alike makes none of them more probable."
    )
