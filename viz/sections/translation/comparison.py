"""A translation against a reference that the visitor types: BLEU and chrF, and the counts behind them."""

import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.comparison import Comparison, Matches, compare
from model.text.prompt import text_of
from viz.figures.numbers import how_far
from viz.guard import section
from viz.ui import links, session
from viz.ui.choices import MOST_REFERENCE
from viz.ui.pictures import caption
from viz.ui.prose import check


@section("comparison")
def show() -> None:
    text = text_of(session.current_key().prompt, session.current_run())
    reference = st.text_input(
        "Reference",
        key=links.key("reference"),
        max_chars=MOST_REFERENCE,
        placeholder="a translation that you hold to be right",
        help="The translation above is compared with it.",
    )
    if not reference.strip():
        caption("Type a reference to see how much of the translation stands in it.")
        return
    if not text.strip():
        st.info("Nothing was written, so there is nothing to compare.")
        return
    found = compare(text, reference)
    words, characters = st.columns(2, gap="large")
    with words:
        st.metric("BLEU of this sentence", f"{found.bleu:.1f}", help=found.signatures[0])
        st.table(words_table(found), border="horizontal")
        st.markdown(f":small[{bleu_in_words(found)}]")
    with characters:
        st.metric("chrF of this sentence", f"{found.chrf:.1f}", help=found.signatures[1])
        st.table(characters_table(found), border="horizontal")
        st.markdown(
            ":small[chrF = 100 · 5·P·R ÷ (4·P + R): P and R are the means of precision and recall over the lengths; "
            "recall counts twice as much. Spaces are left out.]"
        )
    caption(
        "Both by sacrebleu, from 0 to 100, for one sentence and one reference: they were made for whole test sets, and "
        f"other words can be as right. Signatures: `{found.signatures[0]}` and `{found.signatures[1]}`."
    )
    again = checks.scores_by_hand(found)
    check(
        again,
        f"both made again from the counts in these tables; the largest difference is {how_far(again.difference)}.",
    )


def words_table(found: Comparison) -> pd.DataFrame:
    rows = [_row(m, "words") | {"precision": f"{p:.1f} %"} for m, p in zip(found.words, found.precisions, strict=True)]
    for row, matches in zip(rows, found.words, strict=True):
        if not matches.found:
            row["precision"] = "–"
        elif not matches.both:
            row["precision"] += " *"
    return pd.DataFrame(rows).set_index("words")


def characters_table(found: Comparison) -> pd.DataFrame:
    return pd.DataFrame(
        [
            _row(m, "characters") | {"precision": _share(m.both, m.found), "recall": _share(m.both, m.wanted)}
            for m in found.characters
        ]
    ).set_index("characters")


def _row(matches: Matches, what: str) -> dict[str, object]:
    return {what: str(matches.n), "in both": matches.both, "written": matches.found, "reference": matches.wanted}


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def bleu_in_words(found: Comparison) -> str:
    words = f"BLEU = brevity {found.brevity:.3f} × the geometric mean of the precisions of the lengths there are. "
    if found.brevity < 1:
        words += f"It wrote {found.n_found} words, the reference has {found.n_wanted}: e^(1 − {found.n_wanted}/"
        words += f"{found.n_found}). " if found.n_found else "0). "
    if any(matches.found and not matches.both for matches in found.words):
        words += "\\* nothing matches: smoothed, so that one length alone does not make it 0" + (
            "." if found.words[0].both else "; but no word matches at all, and BLEU is 0."
        )
    return words
