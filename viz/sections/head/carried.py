"""On the page Inside a head: what it moves from one key to one query, what that is made of, and what it says."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.carried import Carried, Said, said_by
from model.analysis.score_parts import ScoreParts, largest
from model.run import ModelRun, VisitorError
from viz.figures.axes import cut
from viz.figures.numbers import how_far
from viz.figures.score_parts import part_bars, part_in_words, part_name
from viz.plain import plain
from viz.ui import session
from viz.ui.pictures import caption, picture
from viz.ui.prose import check, formula, quoted

N_PARTS = 8  # that are named


def draw(run: ModelRun, its: Carried, cell: ScoreParts, looks: str, at: str) -> None:
    if not its.length:
        st.markdown(f"{looks} gets nothing of {at}: its weight is {its.weight:.4f}.")
        return
    formula(
        f"What {looks} gets of {at} is the value of {at} times the weight, brought back to the width of the stream. It "
        f"is a vector of length {its.length:.4f}.",
        [rf"a\cdot W_o\,v={its.weight:.4f}\cdot W_o\,v,\quad", rf"\lVert a\cdot W_o\,v\rVert={its.length:.4f}"],
    )
    made = checks.carried_again(its.value_apart, its.value_size)
    check(
        made, f"v, added up from its {len(its.parts)} parts, equals the model's own to **{how_far(made.difference)}**."
    )
    try:
        its_words = said_by(session.current_model(), run, cell.layer, cell.query, its.write)
    except VisitorError as error:
        st.info(plain(error), icon=":material/info:")
    else:
        draw_words(run, its_words, cell, looks, at)
    draw_parts(run, its, at)


def draw_words(run: ModelRun, its: Said, cell: ScoreParts, looks: str, at: str) -> None:
    lm = session.current_model()
    ids = [*its.up.tolist(), *its.down[::-1].tolist()]
    labels, change = [lm.token(id).label for id in ids], its.change[ids].astype(np.float64)
    own, expected = run.tokens[cell.key].id, int(run.predictions.top_id[cell.query, 0])
    rank = its.rank(own)
    place = "most of all" if rank == 0 else f"more than all but {rank:,} of {len(its.change):,}"
    st.markdown(
        f"In words: behind {looks} it moves the logit of {at} itself by **{its.change[own]:+.3f}** ({place}), and that "
        f"of {quoted(lm.token(expected).label)}, which the model finds most probable there, by "
        f"**{its.change[expected]:+.3f}**."
    )
    picture(
        part_bars(
            [f"“{cut(label)}”" for label in labels],
            change,
            [f"“{label}” {value:+.5f} to its logit" for label, value in zip(labels, change.tolist(), strict=True)],
            st.context.theme.type or "light",
        ),
        key="carried_words",
        how=f"The tokens that this write makes more likely behind {looks}, and at the bottom those it makes less "
        "likely: by how much it moves the logit of each, against all tokens on average. Read by the last norm, with "
        "its size as it is here, and the unembedding: what later layers make of the write is not in it.",
        alt="; ".join(f"“{label}” {value:+.3f}" for label, value in zip(labels, change.tolist(), strict=True)),
        table=lambda: pd.DataFrame({"token": labels, "id": ids, "to the logit": change}),
    )


def draw_parts(run: ModelRun, its: Carried, at: str) -> None:
    shares, cross = its.shares, bool(run.cross)
    best = [i for (i,) in largest(shares, N_PARTS)]
    rest = float(1 - shares[best].sum())
    names = [part_name(its.parts[i]) for i in best]
    said = [f"{name} {100 * share:.1f} %" for name, share in zip(names, shares[best].tolist(), strict=True)]
    n_other = len(shares) - len(best)
    picture(
        part_bars(
            [*names, *([f"{n_other} others"] if n_other else [])],
            100 * np.array([*shares[best], *([rest] if n_other else [])]),
            [
                *(f"{part_in_words(its.parts[i], cross)}\n{100 * shares[i]:.3f} % of what is carried" for i in best),
                *(["all other parts together"] if n_other else []),
            ],
            st.context.theme.type or "light",
            form="{:.1f} %",
        ),
        key="carried_parts",
        how=f"What of {at} is carried: how much of the write comes from each part of its vector, measured along the "
        "write, so that all together are 100 %. One below zero is carried against the rest.",
        alt=f"Bars of the {len(best)} largest parts. {'; '.join(said)}; all others {100 * rest:.1f} %.",
        table=lambda: pd.DataFrame(
            {
                "part": [part_name(part) for part in its.parts],
                "share": shares,
                "length": np.linalg.norm(its.writes, axis=-1),
            }
        ).sort_values("share", key=np.abs, ascending=False),
    )
    caption(
        "What a head looks at and what it carries are two things: the score is made by queries and keys, the write by "
        "values (Elhage et al. 2021, the QK and the OV circuit)."
    )
