"""On the page Heads: whether anything depends on a head, on random tokens and on a text, beside its score."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.head_patterns import INDUCTION
from model.analysis.head_survey import Found, Survey
from model.analysis.knock_out import rank_correlation
from model.grid import Grid
from viz.figures.head_scores import score_map
from viz.figures.heads import head_name
from viz.guard import part
from viz.ui import knock_outs, links, session, surveys, waiting
from viz.ui.choices import ABLATIONS, MEAN, ZERO
from viz.ui.knock_outs import Effects
from viz.ui.pictures import caption, picture

Pick = Callable[[int, int], object]
INSTEAD = {ZERO: "nothing", MEAN: f"its mean over the texts above (the first {knock_outs.N_MEAN} of them)"}
SCORE, RANDOM, TEXT = "its score", "without it: random tokens", "without it: your text"


def show(of: surveys.Subject, made: Survey, there: Grid, shown: str, pick: Pick, break_it: Pick) -> None:
    """`shown`: what the map above shows. `pick`, `break_it`: open a head on Attention, or switched off."""
    st.header("Does it matter?", anchor=False)
    st.markdown(
        "A score says where a head looks. What depends on it is another question: take the head out, and see how much "
        "worse the next tokens are foreseen. That, too, depends on the text. **Three statements**, and none stands for "
        "another."
    )
    lm = session.current_model()
    if lm.info.family == "encoder":
        st.info(
            "An encoder foresees no next token, so no loss says what depends on a head. What a head does to one text "
            "can be seen on “Break the mechanism”.",
            icon=":material/info:",
        )
        return
    st.toggle(
        f"Take each of the {there.n_total} heads out in turn",
        key=links.key("knocked_out"),
        help="Each head alone; what lies below it is computed once. Large models take minutes, and can be stopped.",
    )
    if not st.session_state.knocked_out:
        return
    st.radio(
        "In place of what it finds, the head writes",
        ABLATIONS,
        key=links.key("ablation"),
        format_func=INSTEAD.get,
        horizontal=True,
        help="Nothing (zero ablation) is easy to understand, but later layers never met that in training. The mean of "
        "what it gives over all tokens of texts (mean ablation) takes away only what it tells of this text.",
    )
    found = made.found[shown] if shown in made.found and made.found[shown].there else _usual(made)
    random, text = (knock_out(name, of, there) for name in (RANDOM, TEXT))
    columns = st.columns(3, gap="medium")
    with columns[0]:
        show_score(found, pick)
    with columns[1]:
        show_effects(RANDOM, random, "head_random_out", None)
    with columns[2]:
        show_effects(TEXT, text, "head_text_out", break_it if of.kind == "self" else None)
    compare(found, {RANDOM: random, TEXT: text})


def _usual(made: Survey) -> Found:
    induction = made.found[INDUCTION.name]
    return induction if induction.there else next(found for found in made.found.values() if found.there)


def knock_out(name: str, of: surveys.Subject, there: Grid) -> Effects | None:
    """None where it cannot be told, which is said."""
    with part():
        lm = session.current_model()
        subject = knock_outs.on_text(of, there) if name == TEXT else knock_outs.on_random(of, lm, there)
        if subject is None:
            return None
        found = knock_outs.effects(subject, "Your text" if name == TEXT else "Random tokens")
        if not found.complete:
            waiting.stopped("the layers that are there are shown.", knock_outs.go_on, key=f"go_on_{name == TEXT}")
        return found
    return None


def show_score(found: Found, pick: Pick) -> None:
    st.subheader(f"{found.score.name.capitalize()}: {SCORE}", anchor=False)
    layer, head = found.strongest()
    _map(
        found.mean,
        found.score.name,
        "head_score_again",
        f"Where it looks. Highest: {head_name(layer, head)}, {found.mean[layer, head]:.2f}.",
        pick,
        most=found.score.most,
    )


def show_effects(name: str, found: Effects | None, key: str, pick: Pick | None) -> None:
    st.subheader(name.capitalize(), anchor=False)
    if found is None or np.isnan(found.rise).all():
        unread = "Only decoders are given random tokens that come twice." if name == RANDOM else "Not to be had here."
        caption(unread if found is None else "Nothing is there yet.")
        return
    layer, head = np.unravel_index(np.nanargmax(found.rise), found.rise.shape)
    _map(
        found.rise,
        "nats",
        key,
        f"By how much the loss rises where a head writes {'its mean' if found.mean else 'nothing'}, from "
        f"{found.trained:.2f} nats a token as trained"
        + (", the second time that they come" if name == RANDOM else "")
        + f". Most without {head_name(int(layer), int(head))}: {found.rise[layer, head]:+.3f}; without half of the "
        f"heads by less than {np.nanmedian(found.rise):+.3f}." + (" A click breaks that head." if pick else ""),
        pick,
    )


def _map(values: np.ndarray, title: str, key: str, how: str, pick: Pick | None, most: float | None = None) -> None:
    texts = [
        [f"{head_name(layer, head)}\n{title} {value:.3f}" for head, value in enumerate(row)]
        for layer, row in enumerate(values)
    ]
    signed = title == "nats"
    picture(
        score_map(values, texts, title=title, most=most, signed=signed),
        key=key,
        how=how,
        alt=f"A map of {values.shape[0]} layers by {values.shape[1]} heads. {how}",
        table=lambda: pd.DataFrame(
            values, [f"layer {i}" for i in range(len(values))], [f"head {i}" for i in range(values.shape[1])]
        ),
        on_pick=pick,
    )


def compare(found: Found, effects: dict[str, Effects | None]) -> None:
    """The head with the highest score in all three, and how alike the orders of all heads are."""
    layer, head = found.strongest()
    there = {name: each for name, each in effects.items() if each and each.complete}
    if not there:
        return
    said = [f"{head_name(layer, head).capitalize()} has the highest score of {found.score.name}"]
    for name, each in there.items():
        rise = each.rise[layer, head]
        place = int((each.rise > rise).sum()) + 1
        said.append(f"{name}, the loss changes by {rise:+.3f} nats (number {place} of {np.isfinite(each.rise).sum()})")
    st.markdown("; ".join(said) + ".")
    pairs = [(SCORE, found.mean, name, each.rise) for name, each in there.items()]
    if len(there) > 1:
        pairs.append((RANDOM, there[RANDOM].rise, TEXT, there[TEXT].rise))
    st.dataframe(
        pd.DataFrame({"of": a, "and": b, "rank correlation": rank_correlation(x, y)} for a, x, b, y in pairs),
        key="rank_correlations",
        hide_index=True,
        column_config={"rank correlation": st.column_config.NumberColumn(format="%.2f")},
    )
    caption(
        "Spearman's rank correlation over all heads: 1 is the same order, 0 none, -1 the opposite. A head can look "
        "where its score says and nothing depends on it, because others do the same: only one is off at a time."
    )
