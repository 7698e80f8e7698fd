"""On the page Comparison: what A and B say comes next, and how far the two are apart."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.differences import divergence
from model.analysis.logits import softmax
from model.intervention import Intervention
from model.language_model import LanguageModel
from model.run import VisitorError
from model.text.prompt import RunKey
from viz.figures.generation import next_token_pairs
from viz.figures.numbers import percent
from viz.plain import plain
from viz.ui import cache, corners, session
from viz.ui.choices import OF_HEADS, OF_LAYERS, OF_MODELS
from viz.ui.compared import Compared, Side
from viz.ui.loads import language_model
from viz.ui.pictures import caption, picture
from viz.ui.prose import formula, quoted

N_BEST = 6  # next tokens of each
_ASKED = {
    OF_LAYERS: "Both layers belong to one run, which ends in one prediction. Shown is what the model would say if each "
    "were its last layer, the final norm made anew (logit lens).",
    OF_HEADS: "Both heads belong to one run, which ends in one prediction. Shown is what the model says without each "
    "of them (zero ablation), and so what depends on it.",
}


@dataclass(frozen=True)
class Asked:
    """Whose prediction, in a way that can be a key of what is kept."""

    run_key: RunKey
    layer: int | None = None  # as if it were the last
    off: tuple[int, int] | None = None  # without this head


@cache.kept()
def next_of(asked: Asked) -> np.ndarray:
    """(V,) the probability of each next token, in double precision. Raises `VisitorError`."""
    lm, run = language_model(asked.run_key.model), session.run_of(asked.run_key)
    position = 0 if run.source else -1  # a translator has written its text: asked is what it begins with
    if asked.off is not None:
        change = Intervention(heads_off=frozenset({asked.off}))
        logits = next(iter(lm.logits(run.tokens, [change], run.source, [position])))[0]
    else:
        logits = lm.unembed(run.stream[-1 if asked.layer is None else asked.layer + 1, position])
    return softmax(logits.astype(np.float64))


@cache.kept()
def same_vocabulary(a: str, b: str) -> bool:
    """Whether every entry stands for the same bytes in both models."""
    one, other = (language_model(name) for name in (a, b))
    if one.info.n_vocab != other.info.n_vocab:
        return False
    return all(one.token(id).piece == other.token(id).piece for id in range(one.info.n_vocab))


def show(both: Compared) -> None:
    st.header("What comes next", anchor=False)
    runs = both.a.run, both.b.run
    for run in runs:
        if run.predictions is None or not run.predictions.of_next:
            caption(f"{plain(run.info.title)} predicts no next token: there is nothing to compare here.")
            return
    if both.what == OF_HEADS and both.a.spec.of != "self":
        caption("What depends on a head of cross-attention, or of the encoder, is not asked here.")
        return
    if both.what == OF_MODELS and not same_vocabulary(both.a.run_key.model, both.b.run_key.model):
        raise VisitorError("The two vocabularies are not the same, so the probabilities are of other tokens.")
    if both.what in _ASKED:
        st.markdown(_ASKED[both.what])
    a, b = (next_of(_asked(both, side)) for side in (both.a, both.b))
    lm = language_model(both.a.run_key.model)
    behind = [quoted(run.labels[0 if run.source else -1]) for run in runs]
    leads = [f"{quoted(lm.token(int(p.argmax())).label)} ({percent(float(p.max()))})" for p in (a, b)]
    st.markdown(f"Behind {behind[0]}, A expects most {leads[0]}; behind {behind[1]}, B expects most {leads[1]}.")
    left, right = st.columns([1.2, 1], gap="medium")
    ids = list(dict.fromkeys(id for p in (a, b) for id in np.argsort(-p, kind="stable")[:N_BEST].tolist()))
    labels = [lm.token(id).label for id in ids]
    with left:
        show_bars(both, lm, ids, {"A": a[ids], "B": b[ids]})
    with right:
        st.dataframe(
            pd.DataFrame({"token": labels, "A": a[ids], "B": b[ids], "B − A": b[ids] - a[ids]}),
            key="next_differences",
            hide_index=True,
            column_config={
                **{name: st.column_config.NumberColumn(format="%.4f") for name in "AB"},
                "B − A": st.column_config.NumberColumn(format="%+.4f"),
            },
        )
    show_divergence(a, b)


def _asked(both: Compared, side: Side) -> Asked:
    head = side.spec.heads[0]
    return Asked(
        side.run_key,
        head[0] if both.what == OF_LAYERS else None,
        head if both.what == OF_HEADS else None,
    )


def show_bars(both: Compared, lm: LanguageModel, ids: list[int], shown: Mapping[str, np.ndarray]) -> None:
    labels = [lm.token(id).label for id in ids]
    rest = " and ".join(f"{percent(max(1 - float(p.sum()), 0.0))} in {name}" for name, p in shown.items())
    leads = "; ".join(
        f"in {name}, “{labels[p.argmax()]}” leads with {percent(float(p.max()))}" for name, p in shown.items()
    )
    with corners.about(
        f"A: {both.a.name}, B: {both.b.name}", model=both.a.run.info, text=f"{both.a.text} / {both.b.text}"
    ):
        picture(
            next_token_pairs(labels, shown),
            key="compared_next",
            how=f"The {N_BEST} most probable next tokens of each, those of A first. All others share {rest}.",
            alt=f"Bars of the most probable next tokens: {leads}.",
            table=lambda: pd.DataFrame(
                {"token": labels, "id": ids, **shown, "B − A": shown["B"] - shown["A"]},
            ),
        )


def show_divergence(a: np.ndarray, b: np.ndarray) -> None:
    apart = divergence(a, b)
    st.markdown(
        f"The two distributions are **{apart.jensen_shannon:.4f} nats** apart (Jensen-Shannon divergence; at most ln 2 "
        f"= {np.log(2):.4f}); {percent(apart.share)} of the probability is elsewhere (total variation)."
    )
    with st.expander("The divergence, worked out"), st.container(key="divergence_formula"):
        formula(
            "The entropy of the mean of both, less the mean of their entropies; H(p) = −Σ p ln p over the whole "
            "vocabulary",
            (
                r"JS = H\left(\frac{A + B}{2}\right) - \frac{H(A) + H(B)}{2}",
                rf"= {apart.mean:.4f} - \frac{{{apart.p:.4f} + {apart.q:.4f}}}{{2}}",
                f"= {apart.jensen_shannon:.4f}",
            ),
        )
