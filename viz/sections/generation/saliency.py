"""On the page Generation: one prediction explained in eight ways, side by side, and how far they agree."""

from itertools import combinations

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.saliency import agreement
from model.language_model import Said
from model.run import ModelRun, VisitorError
from viz.figures.numbers import how_far, percent
from viz.figures.saliency import agreement_map, saliency_map
from viz.plain import plain
from viz.ui import controls, links, saliency, session, waiting
from viz.ui.chapters import chapter
from viz.ui.pictures import caption, picture
from viz.ui.prose import check, quoted
from viz.ui.saliency import (
    CARRIED,
    FLOW,
    GRADIENT,
    INTEGRATED,
    LAST,
    LEFT_OUT,
    MEAN,
    ROLLOUT,
    SIGNED,
    Found,
    Subject,
)

N_NEXT = 5  # of the most probable tokens, any of which can be explained
FEW = 3  # tokens: below this, an order says nothing
MUCH = 0.05  # of the difference that integrated gradients are to add up to
TELLS = {
    LAST: "The weights in the row that the prediction is read off, mean of all heads of the last layer that has some "
    "(of a label: mean of all rows). *Can* tell what the last layer looked at; *cannot* tell what it took from there, "
    "nor what earlier layers had put into those places.",
    MEAN: "The same, mean of all layers. *Can* tell what was looked at on the whole; *cannot* tell what mattered: "
    "heads that have nothing to look for often look at the first token.",
    ROLLOUT: "Abnar & Zuidema 2020: 0.5 A + 0.5 I of each layer, multiplied along all paths. *Can* tell where a "
    "position's content may have come from; *cannot* see values or MLPs, and takes the half on trust.",
    FLOW: "Abnar & Zuidema 2020: the most that could pass through the same numbers as pipes. *Can* tell what is within "
    "reach; *cannot* tell what was used: under a causal mask early tokens have the most pipes.",
    CARRIED: "Kobayashi et al. 2020: ‖Σ a · W_O v‖ of each key as a share of its row, mean of all layers. *Can* tell "
    "long looks at short vectors from others; *cannot* tell which way a vector pushed the prediction.",
    GRADIENT: "Simonyan et al. 2013: the gradient of what is said with respect to a token's vector, times that vector. "
    "*Can* tell what a very small change would do; *cannot* tell what a large one does: where something is sure "
    "already, every small change does nothing.",
    INTEGRATED: "Sundararajan et al. 2017: gradients on the straight way from a baseline, the mean token vector in "
    "every place, to the text. *Can* share out all of the difference; *cannot* do it without a baseline, and another "
    "gives other shares.",
    LEFT_OUT: "Zeiler & Fergus 2014: what is said falls by so much without the token, read again. *Can* tell exactly "
    "what this one change does; *cannot* tell of two tokens that stand in for each other, and reads a text that is "
    "seldom one that anybody would write.",
}


@chapter("explained", "Why this token? Eight answers")
def show(run: ModelRun) -> None:
    st.markdown(question("the next token"))
    n, state = len(run.tokens), st.session_state
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="explained_of"):
        token = controls.position("Behind token", "explained_token", n, first=n - 1)
        ids = run.predictions.top_id[token, :N_NEXT].tolist()
        labels = [session.current_model().token(id).label for id in ids]
        chances = np.exp(run.predictions.top_log_prob[token, :N_NEXT]).tolist()
        place = st.selectbox(
            "What comes next",
            range(1, len(ids) + 1),
            key=place_key(len(ids)),
            format_func=lambda i: f"{labels[i - 1]}  {percent(chances[i - 1])}",
            help="Any of the most probable tokens can be explained.",
        )
        choose_steps()
    said, id = Said(ids[place - 1], token), ids[place - 1]
    found = find(Subject(session.current_key(), said, state.steps))
    if found is None:
        return
    label, before = quoted(session.current_model().token(id).label), quoted(run.labels[token])
    st.markdown(
        f"What is explained: ln of the probability of {label} behind {before}, **{found.whole.value:.4f}** nats "
        f"({percent(float(np.exp(found.whole.value)))})."
    )
    shown = float(run.predictions.top_log_prob[token, place - 1])
    made = checks.foreseen_again(shown, found.whole.value)
    check(made, f"the run that is shown everywhere says the same but for **{how_far(made.difference)}**.")
    draw(found, f"ln p of {label} behind {before}", "nats")


def place_key(n: int) -> str:
    """Of the chooser among so many tokens; a small vocabulary may not have the one that was chosen."""
    key = links.key("explained_place")
    st.session_state[key] = min(st.session_state[key], n)
    return key


def asks(switch: str, what: str) -> bool:
    """Whether it is wanted; nothing is computed before."""
    wanted = st.toggle("Ask in every way", key=links.key(switch))
    if not wanted:
        st.markdown(question(what))
    return wanted


def question(what: str) -> str:
    return (
        f"Which tokens made {what}? Attention offers an answer, and so do gradients, and so does the plainest of "
        "experiments, to leave each token out and look. **They need not agree**: see how far they do, on this text."
    )


def choose_steps() -> None:
    controls.choose(
        "Steps",
        "steps",
        help="Of integrated gradients, from the baseline to the text: one gradient each. More steps, a smaller gap.",
    )


def find(of: Subject) -> Found | None:
    """What there is of it; None, with a word, where it cannot be asked."""
    try:
        found = saliency.found(of)
    except VisitorError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return None
    if not found.complete:
        waiting.stopped("the answers that are there are shown.", saliency.go_on, key="saliency_on")
    return found


def draw(found: Found, of: str, unit: str) -> None:
    """`of`: what is explained, in words; `unit`: of what is said."""
    names, labels = list(found.values), found.labels
    values = np.array([found.values[name] for name in names])  # (M, T)
    largest = np.abs(values).max(1)
    scaled = values / np.where(largest > 0, largest, 1)[:, None]
    most = [int(np.abs(row).argmax()) for row in values]
    texts = [
        [
            f"{name}\n“{label}” ({i})\n{say(name, value)}"
            for i, (label, value) in enumerate(zip(labels, row, strict=True))
        ]
        for name, row in zip(names, values.tolist(), strict=True)
    ]
    hidden = f"hidden behind {found.asked.mask.label}" if found.asked.mask else "taken out of the text"
    picture(
        saliency_map(scaled, names, labels, texts),
        key="saliency_map",
        how="A row is a way to ask, a column a token. Each row is divided by its own largest size, so that only the "
        "pattern can be compared between rows: blue speaks for it, orange against. Attention has no sign: it is never "
        f"against. In the last row each token is {plain(hidden)}, and the text is read again.",
        alt=f"A map of {len(names)} ways by {len(labels)} tokens. Largest: "
        + "; ".join(f"by {name} “{labels[i]}” ({i})" for name, i in zip(names, most, strict=True))
        + ".",
        table=lambda: pd.DataFrame(values.T, [f"{i} {label}" for i, label in enumerate(labels)], names),
    )
    for name, why in found.untold.items():
        caption(f"Without {name}: {plain(why)}")
    completeness(found, unit)
    with st.expander("What each way can tell, and what it cannot"):
        for name in names:
            st.markdown(f"**{name.capitalize()}.** {TELLS[name]}")
    agree(found)
    caution(found, of, unit)


def say(name: str, value: float) -> str:
    return f"{value:+.4f}".replace("-", "−") if name in SIGNED else f"{value:.4f}"


def completeness(found: Found, unit: str) -> None:
    """Whether integrated gradients add up to what they share out."""
    if (made := found.integrated) is None:
        return
    part = abs(made.gap) / abs(made.difference) if made.difference else float("inf")
    enough = part <= MUCH
    sign = ":green[:material/check_circle:]" if enough else ":orange[:material/warning:]"
    st.markdown(
        f"{sign} **Completeness:** integrated gradients in {found.n_step} steps add up to {made.values.sum():+.4f} "
        f"{unit}; from the baseline ({made.at_baseline:.4f}) to the text ({made.at_text:.4f}) it is "
        f"{made.difference:+.4f}. The gap is **{'−' * (made.gap < 0)}{how_far(abs(made.gap))}**, {percent(part)} of it."
        + ("" if enough else " Too much to trust this row: take more steps.")
    )


def agree(found: Found) -> None:
    st.subheader("How far they agree", anchor=False)
    names = list(found.values)
    if len(found.labels) < FEW:
        st.markdown("Two tokens have no order to compare: type a longer text.")
        return
    by = controls.choose("Rank correlation", "agreement", help="Spearman's ρ, or Kendall's τ-b.")
    table = np.array([[agreement(found.values[a], found.values[b], by) for b in names] for a in names])
    pairs = [pair for pair in combinations(range(len(names)), 2) if not np.isnan(table[pair])]
    if not pairs:
        st.markdown("There is nothing to compare: all tokens count alike.")
        return
    least, most = (choose(pairs, key=lambda pair: table[pair]) for choose in (min, max))
    picture(
        agreement_map(table, names, st.context.theme.type or "light"),
        key="saliency_agreement",
        how=f"How alike two ways order the {len(found.labels)} tokens by size, whatever the sign: 1 the same order, 0 "
        "nothing to do with each other, −1 the opposite.",
        alt=f"A table of {len(names)} by {len(names)} rank correlations, from {table[least]:.2f} to {table[most]:.2f}.",
        table=lambda: pd.DataFrame(table, names, names),
    )
    (a, b), (c, d) = least, most
    st.markdown(
        f"Furthest apart: **{names[a]}** and **{names[b]}**, {table[least]:+.2f}; nearest: {names[c]} and {names[d]}, "
        f"{table[most]:+.2f}."
    )


def caution(found: Found, of: str, unit: str) -> None:
    """What attention points at, and what comes of leaving that out."""
    st.subheader("Weights are not explanations", anchor=False)
    if found.without and MEAN in found.values:
        weights, counts = found.values[MEAN], found.values[LEFT_OUT]
        looked, mattered = int(weights.argmax()), int(np.abs(counts).argmax())
        st.markdown(
            f"On this text: attention (mean of all layers) looks most at {named(found, looked)}, with "
            f"{weights[looked]:.3f}. Without that token, {of} changes by {-counts[looked]:+.4f} {unit}: number "
            f"**{place(np.abs(counts), looked)}** of {len(counts)} by what leaving it out does{then(found, looked)}."
        )
        if mattered != looked:
            st.markdown(
                f"What matters most is {named(found, mattered)}: without it, it changes by {-counts[mattered]:+.4f} "
                f"{unit}{then(found, mattered)}. By attention that token is number "
                f"**{place(weights, mattered)}**, with {weights[mattered]:.3f}."
            )
        else:
            st.markdown("Here, both name the same token. On another text they may not.")
    caption(
        "Jain & Wallace (2019) found that attention often disagrees with gradients and with leaving tokens out, and "
        "that very different weights can give the same answer; Wiegreffe & Pinter (2019) reply that it depends on what "
        "one calls an explanation. No row above is the truth. Only the last changes the text and looks; and it, too, "
        "answers one question only."
    )


def named(found: Found, i: int) -> str:
    return f"{quoted(found.labels[i])} ({i})"


def place(values: np.ndarray, i: int) -> int:
    return int((values > values[i]).sum()) + 1


def then(found: Found, i: int) -> str:
    """What would be most probable without a token."""
    if (answer := found.without[i]).best is None:
        return ""
    token = quoted(session.current_model().token(answer.best).label)
    same = "still " if answer.best == found.whole.best else ""
    return f"; most probable is then {same}{token}, {percent(float(np.exp(answer.best_log_prob)))}"
