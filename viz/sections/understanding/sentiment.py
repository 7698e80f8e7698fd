"""On the page Understanding: a text judged by a classifier, ours or the chosen one, and which tokens moved the
judgement.
"""

from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.measures import attention_received
from model.run import Token, VisitorError
from model.text.masking import masked
from model.text.prompt import Prompt, RunKey
from viz.components.bar_list import Row, bar_list
from viz.components.token_line import Piece, token_line
from viz.figures import theme
from viz.figures.numbers import percent
from viz.guard import section
from viz.plain import plain
from viz.sections.understanding.two_stages import card, how_often_right, show_stages
from viz.ui import cache, corners, heads, provenance, session
from viz.ui.choices import ALL
from viz.ui.pictures import caption, twin
from viz.ui.prose import check, quoted

EXAMPLES = (
    "A funny and touching film with a wonderful cast.",
    "The plot is dull and the jokes fall flat.",
    "The film is not good.",
    "Not bad at all: I was never bored.",
)
MODEL = "sentiment"
GRADIENT, OCCLUSION, ATTENTION = "gradient × input", "occlusion", "attention received"
MEANINGS = {
    GRADIENT: "which way, and how fast, the judgement would move if the token's vector grew a little, in logits "
    "(Simonyan et al. 2013, Denil et al. 2014)",
    OCCLUSION: "how much the judgement loses when the token is hidden behind the mask and the text is read again, in "
    "logits (Zeiler & Fergus 2014)",
    ATTENTION: "the mean weight that all tokens give it, over all heads of all layers: how much it is looked at, not "
    "which way it moves anything; all of them add up to 1",
}
FEW = 3  # tokens: below this, an order says nothing
ROUNDING = 1e-5  # logits: what counts for less counts for nothing
MOST_NUMBERS = 40  # tokens with their number below them
MOST_LABELS = 8  # drawn of more, the most probable first


@dataclass(frozen=True)
class Judgement:
    """One text judged, and what each token counted for one label."""

    model: str  # by its name
    title: str
    tokens: tuple[Token, ...]
    labels: tuple[str, ...]
    probability: np.ndarray  # (C,)
    label: int  # the one that is explained
    margin: float  # its logit less the mean of the others'
    carried: dict[str, np.ndarray]  # (T,) by each measure
    untold: tuple[str, ...]  # why a measure is missing

    @property
    def against(self) -> str:
        """What speaks against the label that is explained."""
        return self.labels[1 - self.label] if len(self.labels) == 2 else "the others"


@cache.kept(spinner="Hiding one token after another …")
def judgement(model: str, text: str) -> Judgement:
    """Raises as `session.run_of` does."""
    lm, run = session.language_model(model), session.run_of(RunKey(model, Prompt(text)))
    found = lm.classify(run.tokens)
    # of two labels, one scale says both: for the last, against the first
    label = 1 if len(found.labels) == 2 else found.best
    weights = session.map_of(RunKey(model, Prompt(text)), heads.spec(ALL, run)).weights
    carried, untold = {}, []
    for name, measure in ((GRADIENT, lm.gradient_x_input), (OCCLUSION, lm.occlusion)):
        try:
            values = measure(run.tokens, label)
            carried[name] = np.where(np.abs(values) < ROUNDING, 0, values)
        except VisitorError as error:
            untold.append(str(error))
    carried[ATTENTION] = attention_received(weights)
    ahead = margin(found.log_prob, label)
    probability = np.exp(found.log_prob)
    return Judgement(model, lm.info.title, run.tokens, found.labels, probability, label, ahead, carried, tuple(untold))


def margin(log_prob: np.ndarray, label: int) -> float:
    """How far a label is ahead of the mean of the others, in logits (their differences are those of log-probs)."""
    return float(log_prob[label] - np.delete(log_prob, label).mean())


def explained() -> tuple[str, str]:
    """The question that the section answers, and who answers it."""
    if (judge := session.judge_name(MODEL)) == MODEL:
        return (
            "Is this good or bad?",
            "Our encoder, with a layer that learned from sentences that people had judged: it reads your text and says "
            "what it makes of it.",
        )
    info = session.language_model(judge).info
    return (
        "What is this?",
        f"{plain(info.title)} was trained to judge texts, and to give each of its {len(info.labels)} labels a "
        "probability: it reads your text and says what it makes of it.",
    )


@section("sentiment")
def show() -> None:
    with corners.about(model=session.language_model(session.judge_name(MODEL)).info):
        _show()


def _show() -> None:
    found = judgement(session.judge_name(MODEL), session.current_text())
    show_verdict(found)
    show_tokens(found)
    show_agreement(found)
    if found.model == MODEL:
        show_stages(card("encoder"), card(MODEL))


def show_verdict(found: Judgement) -> None:
    best = int(found.probability.argmax())
    order = np.argsort(-found.probability, kind="stable").tolist()
    shown = order[:MOST_LABELS] if len(order) > MOST_LABELS else sorted(order)
    left, right = st.columns([1.2, 1], gap="large", vertical_alignment="center")
    with left:
        bar_list(
            [
                Row(found.labels[i], float(p), percent(float(p)), picks=False, colour=colour_of(found, i))
                for i, p in ((i, found.probability[i]) for i in shown)
            ],
            key="verdict",
            name="The probability of each label",
            full=1.0,
        )
        if len(shown) < len(order):
            rest = percent(float(found.probability[order[MOST_LABELS:]].sum()))
            caption(f"The most probable of {len(order):,} labels; all others share {rest}.")
    # our labels are words, those of others may be anything
    label = found.labels[best].capitalize() if found.model == MODEL else found.labels[best]
    right.markdown(
        f"**{plain(label)}**, says {plain(found.title)}. Before the softmax, the logit of "
        f"{quoted(found.labels[found.label])} less that of {plain(found.against)} is **{signed(found.margin, 3)}**: "
        "what is to be explained." + (how_often_right(card(MODEL)) if found.model == MODEL else "")
    )


def colour_of(found: Judgement, label: int) -> str:
    return theme.signed_background(1.0 if label == found.label else -1.0, 1.0)


def signed(value: float, digits: int) -> str:
    """With its sign, as people write it."""
    return f"{value:+.{digits}f}".replace("-", "−")


def show_tokens(found: Judgement) -> None:
    st.subheader("Which tokens carry it?", anchor=False)
    st.markdown(
        f"{len(found.carried)} answers, token by token: :blue[**blue**] speaks for "
        f"{quoted(found.labels[found.label])}, :orange[**orange**] for {plain(found.against)}; each row has its own "
        "scale."
    )
    chosen = chosen_token(found)
    for name, values in found.carried.items():
        largest = float(np.abs(values).max())
        st.markdown(f"**{name.capitalize()}** :small[· {MEANINGS[name]}]")
        say = "{:.{}f}".format if name == ATTENTION else signed
        under = 2 if len(found.tokens) <= MOST_NUMBERS else None
        token_line(
            [
                Piece(
                    token.label,
                    f"token {i}\n{name} {say(value, 4)}",
                    theme.signed_background(value, 1.6 * largest),
                    "changed" if i == chosen else "",
                    under=say(value, under) if under else "",
                )
                for i, (token, value) in enumerate(zip(found.tokens, values.tolist(), strict=True))
            ],
            key=f"carried_{name.split()[0]}",
            name=f"The text, shaded by {name}; the largest is {largest:.4f}",
            on_pick=partial(pick, found.model, name, len(found.tokens)),
        )
    for reason in found.untold:
        caption(plain(reason))
    below = "click it for its arithmetic below; " if OCCLUSION in found.carried else ""
    caption(f"Point at a token for its number, {below}a click in the last row opens its card.")
    twin(
        lambda: pd.DataFrame({"token": [token.label for token in found.tokens]} | found.carried),
        key="carried_numbers",
    )
    show_arithmetic(found, chosen)


def chosen_token(found: Judgement) -> int:
    chosen = st.session_state.carrier
    if chosen is not None and chosen < len(found.tokens):
        return chosen
    measure = next(name for name in (OCCLUSION, GRADIENT, ATTENTION) if name in found.carried)
    return int(np.abs(found.carried[measure]).argmax())


def pick(model: str, name: str, n: int, i: int) -> None:
    st.session_state.carrier = i
    if name == ATTENTION:
        key = RunKey(model, Prompt(session.current_text()))
        spec = heads.spec(ALL, session.run_of(key))
        provenance.open_cell(provenance.Cell(key, spec, tuple(range(n)), (i,), beside=True), also=["sentiment"])


def show_arithmetic(found: Judgement, i: int) -> None:
    """One token's occlusion, made again by a run in which it is hidden."""
    if OCCLUSION not in found.carried:
        return
    lm, token = session.language_model(found.model), found.tokens[i]
    without = margin(lm.classify(masked(found.tokens, i, lm.mask_token())).log_prob, found.label)
    difference = abs(found.margin - without - float(found.carried[OCCLUSION][i]))
    check(
        checks.occlusion_again(difference),
        f"with {quoted(token.label)} (token {i}) hidden and the text read once more, it is {signed(without, 4)} "
        f"instead of {signed(found.margin, 4)}: a difference of **{signed(found.margin - without, 4)}**, and the "
        f"occlusion of this token above is {signed(float(found.carried[OCCLUSION][i]), 4)}.",
    )


def show_agreement(found: Judgement) -> None:
    st.subheader("Attention is not explanation", anchor=False)
    if len(found.tokens) < FEW:
        st.markdown("A text of one or two tokens has no order to compare: type a longer one.")
        return
    ranks = pd.DataFrame(found.carried).abs().corr(method="spearman")
    pairs = list(combinations(found.carried, 2))
    if not pairs:
        st.markdown("There is nothing to compare it with here.")
        return
    for column, (one, other) in zip(st.columns(3, gap="medium"), pairs, strict=False):
        value = float(ranks.loc[one, other])
        column.metric(f"{one.capitalize()} and {other}", "none" if np.isnan(value) else signed(value, 2))
    caption(
        f"Spearman's rank correlation of their sizes over the {len(found.tokens)} tokens, whatever their sign: +1, the "
        "two order the tokens alike; 0, they have nothing to do with each other."
    )
    st.markdown(
        "What is looked at is not therefore what decides. Jain & Wallace (2019) found that attention often disagrees "
        "with gradients, and that very different weights can give the same answer; Wiegreffe & Pinter (2019) reply "
        "that it depends on what one calls an explanation. Gradient and occlusion ask the model directly, one with a "
        "very small change, the other with a large one, and need not agree either: compare before you believe."
    )
