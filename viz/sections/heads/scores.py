"""On the page Heads: all heads by one score or by what they are called, beside a table of them."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.head_patterns import ABOVE_CHANCE, FIXED_OFFSET, INDUCTION, LABELS, MIXED, SPREAD
from model.analysis.head_survey import Found, Survey
from model.analysis.ov_circuit import Copying
from viz.figures.head_scores import label_map, score_map
from viz.figures.heads import head_name
from viz.guard import handler
from viz.plain import plain
from viz.ui.pictures import caption, picture

Pick = Callable[[int, int], object]


def in_words(made: Survey, title: str) -> list[str]:
    """What the scores of the open model say, as Markdown: nothing of it is known beforehand."""
    counts = " · ".join(f"{label} {n}" for label, n in made.count().items())
    sentences = [f"**{title}**, {sum(made.count().values())} heads: {counts}."]
    induction = made.found[INDUCTION.name]
    if induction.there:
        layer, head = induction.strongest()
        score, chance = float(induction.mean[layer, head]), float(induction.chance[layer])
        times = f"{score / chance:.0f} times" if score >= 1.5 * chance else "hardly more than"
        compared = f"{score:.2f}, {times} what looking alike at everything gives ({chance:.2f})"
        n = int(induction.reached.sum())
        strongest = f"the strongest is {head_name(layer, head)}: {compared}"
        sentences.append(
            f"**Induction heads**: {n}; {strongest}."
            if n
            else f"**No induction head**: a head is called so from {INDUCTION.threshold} on, and {strongest}."
        )
    return sentences


def hover(made: Survey, name: str = "") -> list[list[str]]:
    """What is said of each head where it is pointed at: (L)(H)."""

    def of(layer: int, head: int) -> str:
        words = f"{head_name(layer, head)}\n{', '.join(made.all_labels(layer, head))}"
        if name:
            found = made.found[name]
            words += f"\n{name} {found.mean[layer, head]:.3f} (chance {found.chance[layer]:.3f})"
            words += f", at {made.offset[layer, head]:+d}" * (name == FIXED_OFFSET.name)
        return words + "\nclick: see it on Attention"

    n_layer, n_head = made.labels.shape
    return [[of(layer, head) for head in range(n_head)] for layer in range(n_layer)]


def show_labels(made: Survey, pick: Pick) -> None:
    labels = label_map(made.labels, hover(made), LABELS, MIXED, st.context.theme.type or "light")
    count = made.count()
    picture(
        labels,
        key="head_labels",
        how="A square is a head, its colour what the head is called: the first pattern in the list below that it "
        "reaches. A click opens it on Attention, with the text in which it is strongest.",
        alt=f"A map of {made.labels.shape[0]} layers by {made.labels.shape[1]} heads by what they are called: "
        + ", ".join(f"{n} {label}" for label, n in count.items()),
        table=lambda: pd.DataFrame(made.labels, *_axes(made.labels)),
        on_pick=pick,
    )


def show_together(made: Survey, together: Callable[[str], object]) -> None:
    """All heads that are called alike, read together on Attention."""
    counts = {label: n for label, n in made.count().items() if label != MIXED}
    if not counts:
        return
    caption("Read together on Attention:")
    with st.container(horizontal=True, gap="small", key="heads_together"):
        for label, n in counts.items():
            st.button(f"{label} ({n})", key=f"together_{label}", on_click=handler(together), args=(label,))


def show_score(made: Survey, name: str, pick: Pick) -> None:
    found = made.found[name]
    layer, head = found.strongest()
    picture(
        score_map(found.mean, hover(made, name), title=name, most=found.score.most),
        key="head_scores",
        how=f"{found.score.meaning} `{found.score.formula}`, {over(found, made)}. A click opens a head on Attention, "
        "with the text in which it is strongest.",
        alt=f"A map of {found.mean.shape[0]} layers by {found.mean.shape[1]} heads, {name}; the highest is "
        f"{head_name(layer, head)}, {found.mean[layer, head]:.3f}.",
        table=lambda: pd.DataFrame(found.mean, *_axes(found.mean)),
        on_pick=pick,
    )


def show_copying(made: Survey, copying: Copying, pick: Pick) -> None:
    """Read off the parameters: no text has anything to do with it."""
    if copying.why:
        more = f" So it is in {len(copying.why) - 1} more layers." if len(copying.why) > 1 else ""
        st.info(plain(copying.why[0]) + more, icon=":material/info:")
    if np.isnan(copying.value).all():
        return
    texts = [
        [f"{words}\ncopying {copying.value[layer, head]:+.3f}" for head, words in enumerate(row)]
        for layer, row in enumerate(hover(made))
    ]
    layer, head = np.unravel_index(np.nanargmax(copying.value), copying.value.shape)
    picture(
        score_map(copying.value, texts, title="copying", signed=True),
        key="head_copying",
        how="Whether what a head writes raises the logit of the token that it looks at: the sum of the eigenvalues "
        "of its OV circuit by the sum of their sizes, from -1 to 1 (Elhage et al. 2021). Read off the parameters, "
        "norms folded in; what the layers behind the head make of it is left out. `Σ λ / Σ |λ|` of `W_E W_V W_O W_U`.",
        alt=f"A map of {copying.value.shape[0]} layers by {copying.value.shape[1]} heads, copying; the highest is "
        f"{head_name(int(layer), int(head))}, {copying.value[layer, head]:.3f}.",
        table=lambda: pd.DataFrame(copying.value, *_axes(copying.value)),
        on_pick=pick,
    )


def over(found: Found, made: Survey) -> str:
    """Over what the mean is taken."""
    if found.score.random or not made.n_text:
        return f"the mean over {found.n_text} texts of random tokens that come twice"
    return f"the mean over the {found.n_text} of {made.n_text} texts in which it can occur"


def _axes(values: np.ndarray) -> tuple[list[str], list[str]]:
    return [f"layer {i}" for i in range(values.shape[0])], [f"head {i}" for i in range(values.shape[1])]


def show_table(made: Survey, names: list[str], first: str, pick: Pick, copying: Copying | None = None) -> None:
    """Every head with every score, to be sorted by any; a row that is chosen opens that head."""
    table = rows(made, names, first)
    if copying:
        table.insert(3, "copying", copying.value[table["layer"], table["head"]])
        table = table.sort_values("copying", ascending=False, kind="stable", ignore_index=True)
    key = "heads_table"

    def picked() -> None:
        chosen = st.session_state[key].selection.rows
        if chosen:
            pick(int(table.iloc[chosen[0]]["layer"]), int(table.iloc[chosen[0]]["head"]))

    columns = {
        name: st.column_config.NumberColumn(help=made.found[name].score.meaning, format="%.3f") for name in names
    }
    columns["copying"] = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        table,
        key=key,
        hide_index=True,
        height=min(35 * (len(table) + 1) + 3, 480),
        column_config=columns,
        on_select=handler(picked),
        selection_mode="single-row",
    )
    caption("A click on the name of a column sorts by it; the box before a row opens that head on Attention.")


def rows(made: Survey, names: list[str], first: str) -> pd.DataFrame:
    """The table's: by the score that is shown, the highest first; else by what heads are called."""
    heads = np.argwhere(made.labels != "")
    layer, head = heads.T
    table = pd.DataFrame({"layer": layer, "head": head, "called": made.labels[layer, head]})
    for name in sorted(names, key=lambda name: name != first):
        table[name] = made.found[name].mean[layer, head]
    if first in names:
        return table.sort_values(first, ascending=False, kind="stable", ignore_index=True)
    order = table["called"].map({label: i for i, label in enumerate(LABELS)})
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def show_rules(made: Survey) -> None:
    """Every label with its threshold."""
    with st.expander("How heads are called", icon=":material/label:", key="label_rules"):
        st.dataframe(
            pd.DataFrame(
                {
                    "called": [f.score.label for f in made.found.values() if f.score.label],
                    "if": [f"{f.score.name} ≥ {f.score.threshold:g}" for f in made.found.values() if f.score.label],
                    "heads that reach it": [int(f.reached.sum()) for f in made.found.values() if f.score.label],
                    "chance": [
                        float(np.nanmean(f.chance)) if f.there else np.nan for f in made.found.values() if f.score.label
                    ],
                    "what is measured": [f.score.meaning for f in made.found.values() if f.score.label],
                }
            ),
            key="label_table",
            hide_index=True,
            column_config={"chance": st.column_config.NumberColumn(format="%.3f")},
        )
        caption(
            f"A head is called by the first line that it reaches, and “{MIXED}” where it reaches none. All but "
            f"“{SPREAD.label}” also have to be at least {ABOVE_CHANCE:g} times chance, which is what a head that looks "
            "alike at all visible keys would get in the same rows of the same texts."
        )
