"""What a change of the model does to what it predicts: two runs of one text, as trained and changed."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.sampling import Sampling, next_token
from model.intervention import UNCHANGED
from model.run import ModelRun
from viz.figures.generation import next_token_pairs
from viz.figures.mechanism import COUNTS, has_room_for_pairs, token_loss_changes, token_losses
from viz.figures.numbers import percent
from viz.sections.mechanism.switches import name_of
from viz.ui import session
from viz.ui.pictures import measures, picture
from viz.ui.prose import quoted

N_BEST = 6  # next tokens of each run
ROUNDING = 1e-6  # of a probability


def predicts_next(run: ModelRun) -> bool:
    return run.predictions is not None and run.predictions.of_next


def show_next_token(trained: ModelRun, changed: ModelRun) -> None:
    lm, last = session.current_model(), quoted(trained.labels[-1])
    st.subheader("What comes next", anchor=False)
    probability = {
        name: next_token(lm.unembed(run.stream[-1, -1]), Sampling()).probability
        for name, run in runs_shown(trained, changed).items()
    }
    best = {name: np.argsort(-p, kind="stable")[:N_BEST].tolist() for name, p in probability.items()}
    first, *_ = best["as trained"]
    for name, p in probability.items():  # what is as probable as the best, but for rounding, is not overtaken
        if first in best[name] and p.max() - p[first] < ROUNDING:
            best[name] = [first, *(id for id in best[name] if id != first)]
    favourite = {
        name: f"{quoted(lm.token(ids[0]).label)} ({percent(probability[name][ids[0]])}) {name}"
        for name, ids in best.items()
    }
    same = len({ids[0] for ids in best.values()}) == 1
    st.markdown(
        f"After {last}, the model expects most: " + (", still " if same else ", but ").join(favourite.values()) + "."
    )
    ids = list(dict.fromkeys(id for of_run in best.values() for id in of_run))
    labels = [lm.token(id).label for id in ids]
    shown = {name: p[ids] for name, p in probability.items()}
    rest = " and ".join(f"{percent(max(1 - p.sum(), 0.0))} {name}" for name, p in shown.items())
    leads = "; ".join(f"{name}, “{labels[p.argmax()]}” leads with {percent(p.max())}" for name, p in shown.items())
    picture(
        next_token_pairs(labels, shown),
        key="next_tokens",
        which=name_of(changed.intervention, trained),
        how=f"The {N_BEST} most probable next tokens of each run, those of the model as trained first. All others "
        f"share {rest}.",
        alt=f"Bars of the most probable next tokens: {leads}.",
        table=lambda: pd.DataFrame({"token": labels, "id": ids, **shown}),
    )


def show_loss(trained: ModelRun, changed: ModelRun) -> None:
    st.subheader("What it costs", anchor=False)
    if len(trained.tokens) == 1:
        st.markdown("A text of one token has no loss: there is no next token to compare with. Type one token more.")
        return
    labels = trained.labels
    losses = {name: -run.predictions.next_log_prob[:-1] for name, run in runs_shown(trained, changed).items()}
    loss = {name: run.predictions.loss for name, run in runs_shown(trained, changed).items()}
    unsure = "e to the power of the loss: the model is as unsure as if it chose among so many equally likely tokens."
    numbers = {f"Loss {name}": (f"{nats:.3f} nats", None) for name, nats in loss.items()}
    measures(
        "losses", numbers | {f"Perplexity {name}": (f"{np.exp(nats):,.1f}", unsure) for name, nats in loss.items()}
    )
    if "changed" in losses:
        st.markdown(
            f"{loss_in_words(trained.predictions.loss, changed.predictions.loss)} "
            f"{losses_in_words(labels, losses['as trained'], losses['changed'])}"
        )
    if len(losses) == 1 or has_room_for_pairs(len(labels)):
        fig = token_losses(labels, losses)
        how = (
            "The loss of each token: −ln of the probability it was given after the tokens before it, 0 if it was "
            "certain. The first token has none. The mean of these is the loss on the text."
        )
    else:
        fig = token_loss_changes(labels, *losses.values())
        how = (
            "What the change adds to the loss of each token: above 0 it became harder to predict, below 0 easier; by "
            f"less than {COUNTS:g} nats, neither. The first token has no loss."
        )
    worst = "; ".join(f"{name}, at most {v.max():.2f}, for “{labels[v.argmax() + 1]}”" for name, v in losses.items())
    picture(
        fig,
        key="token_losses",
        which=name_of(changed.intervention, trained),
        how=how,
        alt=f"Losses of {len(labels) - 1} tokens in nats: {worst}.",
        table=lambda: pd.DataFrame({"position": range(1, len(labels)), "token": labels[1:], **losses}),
    )


def loss_in_words(before: float, after: float) -> str:
    """What a difference in loss means: the ratio of the geometric means of the probabilities."""
    difference = after - before
    if abs(difference) < COUNTS:
        return f"The change moves the loss on this text by **less than {COUNTS:g} nats** a token."
    factor = np.exp(abs(difference))
    if factor < 2:
        much = percent(1 - 1 / factor if difference > 0 else factor - 1)
    else:
        much = f"{factor:,.{0 if factor >= 20 else 1}f} times"
    return (
        f"The loss {'rises' if difference > 0 else 'falls'} by {abs(difference):.3f} nats a token: changed, the model "
        f"gives the token that really comes next **{much} {'less' if difference > 0 else 'more'} probability** "
        "(geometric mean)."
    )


def losses_in_words(labels: list[str], before: np.ndarray, after: np.ndarray) -> str:
    """How many tokens it makes harder and easier to predict, and which is hit hardest; by `COUNTS` nats or more."""
    rise = after - before
    how_many = (
        f"By {COUNTS:g} nats or more, {(rise >= COUNTS).sum():,} of {len(rise):,} tokens became harder to predict, "
        f"{(rise <= -COUNTS).sum():,} easier."
    )
    if rise.max() < COUNTS:
        return how_many
    worst = int(rise.argmax())
    return (
        f"{how_many} Hit hardest: {quoted(labels[worst + 1])} at position {worst + 1}, from {before[worst]:.2f} to "
        f"**{after[worst]:.2f}** nats."
    )


def runs_shown(trained: ModelRun, changed: ModelRun) -> dict[str, ModelRun]:
    """Both by name, or only the first while nothing is changed."""
    if changed.intervention == UNCHANGED:
        return {"as trained": trained}
    return {"as trained": trained, "changed": changed}
