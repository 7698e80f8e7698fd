"""A target as the decoder sees it, step by step: what is written, what may come next, where it looks at the source."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.logits import log_probabilities, rank
from model.run import ModelRun, Token, VisitorError
from model.text.prompt import written_text
from viz.components.token_chips import token_chips
from viz.figures.generation import growing_text, next_token_pairs
from viz.figures.numbers import percent
from viz.guard import section
from viz.plain import plain
from viz.sections.translation import crossing
from viz.ui import controls, heads, provenance, session
from viz.ui.pictures import caption, measures, picture, row_picture, twin
from viz.ui.prose import quoted, to_read

N_BEST = 8  # candidates of a step


def chosen_tokens(run: ModelRun) -> tuple[list[Token], np.ndarray, list[int]]:
    """What each step chose, its log-probability and its rank.

    The last step chose to end, where it is known which token ends a text: by the model's settings, else the one that
    ends the source.
    """
    tokens, log_prob = list(run.tokens[1:]), run.predictions.next_log_prob[:-1].astype(np.float64)
    ranks = run.predictions.next_rank[:-1].tolist()
    ends = session.current_writing().ends
    end = session.current_model().token(min(ends)) if ends else run.source[-1]
    if not end.special:
        return tokens, log_prob, ranks
    try:
        logits = session.current_model().unembed(run.stream[-1, -1])  # (V,)
    except VisitorError:  # a head that cannot be repeated: the end is left out
        return tokens, log_prob, ranks
    last = log_probabilities(logits)[end.id]
    return [*tokens, end], np.append(log_prob, last), [*ranks, rank(logits, end.id)]


@section("decoding")
def show(run: ModelRun) -> None:
    if run.predictions is None:
        st.info(f"{plain(run.info.title)} was saved without a head that predicts tokens: no step chooses anything.")
        return
    tokens, log_prob, rank = chosen_tokens(run)
    if not tokens:
        st.info("Nothing was written, and how this model ends a text is not known: there is no step to look at.")
        return
    above = st.container()  # drawn when the step is known
    step = controls.position(
        "Decoding step",
        "step",
        len(tokens),
        help="Move through the steps: nothing is run again, each was computed when the model read this target.",
    )
    with above:
        show_tokens(run, tokens, log_prob, rank, step)
    one_step(run, step, tokens[step], float(np.exp(log_prob[step])), rank[step])


def show_tokens(run: ModelRun, tokens: list[Token], log_prob: np.ndarray, rank: list[int], step: int) -> None:
    """Every token with its probability, and what they make together."""
    probability = np.exp(log_prob)
    token_chips(
        tokens,
        key="written_chips",
        first=1,
        selected=step,
        on_pick=go_to,
        notes=[
            f"probability {percent(p)}, rank {r} (0 is the most probable)\n{alternatives(run, t)}"
            for t, (p, r) in enumerate(zip(probability.tolist(), rank, strict=True))
        ],
        shades=probability,
    )
    least = int(probability.argmin())
    caption(
        f"Each token is shaded by the probability it was given; the least expected is {quoted(tokens[least].label)}, "
        f"{percent(float(probability[least]))}. Point at one for what else might have been; click it to see its step."
    )
    n_forced = len(session.current_writing().forced)
    if n_forced:
        caption(
            f"{quoted(tokens[0].label)} stands there by the model's settings, whatever is probable: it is not counted "
            "in the sums."
        )
    totals(log_prob[n_forced:], ended=len(tokens) == len(run.tokens))
    twin(lambda: numbers(tokens, log_prob, rank), key="written")


def totals(log_prob: np.ndarray, *, ended: bool) -> None:
    whole = "The sum over all tokens, natural logarithms: how probable the model finds this target as a whole."
    unsure = "e to the minus mean: as unsure as among so many equally likely tokens."
    measures(
        "totals",
        {
            "Log-probability": (f"{log_prob.sum():.3f}", whole),
            "Tokens": (f"{len(log_prob)}", "With the end." if ended else "Without the end."),
            "Per token": (f"{log_prob.mean():.3f}", None),
            "Perplexity": (f"{np.exp(-log_prob.mean()):,.2f}", unsure),
        },
    )


def numbers(tokens: list[Token], log_prob: np.ndarray, rank: list[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "token": [token.label for token in tokens],
            "probability": np.exp(log_prob),
            "log-probability": log_prob,
            "rank": rank,
            "sum so far": np.cumsum(log_prob),
        }
    )


def one_step(run: ModelRun, step: int, token: Token, probability: float, rank: int) -> None:
    """The decoder at one step: it has read the tokens up to `step`, and chooses the next."""
    so_far = written_text(run.tokens[1 : step + 1])
    # the last step's token may be the end, of which nothing is to be seen in the text
    after = f" ⟨{token.label}⟩" if token.special else written_text([token])
    to_read(growing_text(so_far, after, st.context.theme.type or "light"))
    left, right = st.columns(2, gap="large")
    with left:
        candidates(run, step, token, probability, rank)
    with right:
        looked_at(run, step)


def candidates(run: ModelRun, step: int, token: Token, probability: float, rank: int) -> None:
    lm, predictions = session.current_model(), run.predictions
    ids = predictions.top_id[step, :N_BEST].tolist()
    values = np.exp(predictions.top_log_prob[step, :N_BEST]).tolist()
    if token.id not in ids:
        ids, values = [*ids, token.id], [*values, probability]
    labels = [lm.token(id).label for id in ids]
    marked = [f"▸ {label}" if id == token.id else label for id, label in zip(ids, labels, strict=True)]
    held = float(np.exp(predictions.top_log_prob[step, :N_BEST]).sum())
    picture(
        next_token_pairs(marked, {"probability": np.array(values)}),
        key="step_candidates",
        how=f"What step {step} may write: {quoted(token.label)} (▸) has rank {rank} with {percent(probability)}. The "
        f"{min(N_BEST, len(ids))} most probable of {run.info.n_vocab:,} tokens hold {percent(held)}.",
        alt=f"Bars of {len(ids)} candidates of step {step}; “{labels[0]}” leads with {percent(values[0])}, "
        f"“{token.label}” is written.",
        table=lambda: pd.DataFrame({"token": labels, "id": ids, "probability": values}),
    )


def looked_at(run: ModelRun, step: int) -> None:
    """The step's row of cross-attention, over the tokens of the source."""
    spec = crossing.spec(run)
    weights = session.current_map(spec).weights[step]
    labels = [token.label for token in run.source]
    most = int(weights.argmax())
    row_picture(
        weights,
        labels,
        key="step_row",
        which=f"cross-attention, {heads.in_words(spec, run)}, step {step}",
        how=f"Where step {step} looks, from {quoted(run.tokens[step].label)}, the last token it has: most at "
        f"{quoted(labels[most])}, {weights[most]:.3f}. The row adds up to {weights.sum():.4f}. Click a bar to see how "
        "it was made.",
        title=f"weight on the source, {heads.in_words(spec, run)}",
        on_pick=lambda key: provenance.open_value(spec, (step,), (key,)),
        height=250,
        narrow=True,  # half a page
    )


def alternatives(run: ModelRun, step: int) -> str:
    lm, predictions = session.current_model(), run.predictions
    best = zip(predictions.top_id[step, :4].tolist(), np.exp(predictions.top_log_prob[step, :4]).tolist(), strict=True)
    return "most probable: " + ", ".join(f"“{lm.token(id).label}” {percent(p)}" for id, p in best)


def go_to(step: int) -> None:
    controls.select("step", step)
    st.rerun("decoding")
