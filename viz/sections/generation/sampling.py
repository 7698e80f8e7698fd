"""On the page Generation: what may come next, how the draw is set, and what that makes of the model's choice."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.logits import entropy
from model.analysis.sampling import NextToken, Sampling, next_token
from model.run import ModelRun, VisitorError
from viz.figures.generation import next_token_bars, next_token_pairs
from viz.figures.numbers import percent
from viz.guard import section
from viz.plain import plain
from viz.sections.generation import continuation, words
from viz.ui import controls, links, session
from viz.ui.pictures import measures, picture

MORE = ("min_p", "typical_p", "repetition_penalty", "no_repeat_ngram", "stop_at")  # seldom wanted: folded away


@section("sampling")  # of its own inside the page's: a slider redraws nothing but this
def show(ended: bool) -> None:
    st.header("What may come next")
    run = continuation.run_after(st.session_state.generated)
    if cannot_draw(run):  # the page has said why
        the_best(run)
        return
    left, right = st.columns([2, 5], gap="large")
    with left:
        choose()
    with right:
        st.markdown(explain(continuation.chosen()))
        if ended:
            st.write("The text is at its end, and nothing comes next. Open its last token to see that choice.")
        else:
            what_comes_next(run)


def cannot_draw(run: ModelRun) -> str | None:
    """Why no token can be drawn after a run, if none can: the head of some classes cannot be repeated."""
    try:
        session.current_model().unembed(run.stream[-1, -1])
    except VisitorError as error:
        return plain(error)
    return None


def the_best(run: ModelRun) -> None:
    """Of a model that tells only its most probable tokens."""
    ids, lm = run.predictions.top_id[-1].tolist(), session.current_model()
    labels, probability = [lm.token(id).label for id in ids], np.exp(run.predictions.top_log_prob[-1])
    picture(
        next_token_pairs(labels, {"probability": probability}),
        key="best_only",
        how=f"The {len(ids)} most probable of {run.info.n_vocab:,} tokens, as the run itself gave them; they hold "
        f"{percent(float(probability.sum()))}. To draw one, the probabilities of all would be needed.",
        alt=f"Bars of {len(ids)} tokens; “{labels[0]}” leads with {percent(float(probability[0]))}.",
        table=lambda: pd.DataFrame({"token": labels, "id": ids, "probability": probability}),
    )


def choose() -> None:
    temperature = controls.slider(
        "Temperature",
        0.0,
        2.0,
        "temperature",
        step=0.05,
        help="The logits are divided by it. Below 1 favours the likely tokens, above 1 gives the unlikely ones more of "
        "a chance, 0 always takes the most probable token.",
    )
    greedy = temperature == 0
    controls.slider(
        "Top-k",
        0,
        100,
        "top_k",
        disabled=greedy,
        help="Only the k most probable tokens may be drawn. 0: no limit.",
    )
    controls.slider(
        "Top-p",
        0.05,
        1.0,
        "top_p",
        step=0.05,
        disabled=greedy,
        help="Only the most probable tokens that together hold this much of the chance may be drawn. 1: no limit.",
    )
    said = links.are_said(MORE)
    place = st.expander("More of what can be done", said, key="more_of_sampling", on_change="rerun")
    if place.open:  # five fields less for the browser, which at each click draws all that there are
        with place:
            more(greedy)
    controls.number(
        "Seed",
        0,
        2**31 - 1,
        "seed",
        disabled=greedy,
        help="Where the random numbers come from: the same text, settings and seed give the same continuation.",
    )
    controls.slider("Tokens shown", 3, 30, "n_shown")


def more(greedy: bool) -> None:
    controls.slider(
        "Min-p",
        0.0,
        1.0,
        "min_p",
        step=0.01,
        disabled=greedy,
        help="Only tokens may be drawn that are at least so probable, as a part of the most probable one. 0: no limit.",
    )
    controls.slider(
        "Typical-p",
        0.05,
        1.0,
        "typical_p",
        step=0.05,
        disabled=greedy,
        help="Only the tokens may be drawn whose surprise is nearest to the mean surprise, the entropy, and that "
        "together hold so much. 1: no limit.",
    )
    controls.slider(
        "Repetition penalty",
        0.5,
        2.0,
        "repetition_penalty",
        step=0.05,
        help="Of tokens that are in the text already, positive logits are divided by it and negative ones multiplied. "
        "1: nothing is done; below 1, repeating is favoured.",
    )
    controls.slider(
        "No sequence twice, of",
        0,
        10,
        "no_repeat_ngram",
        help="Tokens that would complete a sequence of so many tokens which is there already are not written. 0: all "
        "may.",
    )
    st.text_input(
        "Stop once this was written",
        key=links.key("stop_at"),
        max_chars=100,
        placeholder="such as a full stop",
        help="Case and spaces count. The token with which it comes is still written; to go on is possible.",
    )


def explain(sampling: Sampling) -> str:
    parts = []
    if sampling.repetition_penalty != 1:
        way = "pay" if sampling.repetition_penalty > 1 else "gain"
        parts.append(f"Tokens that are there already {way}: a penalty of {sampling.repetition_penalty:g}.")
    if sampling.no_repeat_ngram:
        parts.append(f"No sequence of {sampling.no_repeat_ngram} tokens may come twice.")
    if sampling.temperature == 0:
        so_far = " ".join(parts)
        return f"{so_far} " * bool(parts) + (
            "**Greedy**: at temperature 0 nothing is left to chance. The most probable token is always taken, so "
            "neither the seed nor what cuts the choice changes anything."
        )
    effects = {
        True: "sharpens the choice: likely tokens become likelier",
        False: "flattens the choice: unlikely tokens get more of a chance",
    }
    if sampling.temperature != 1:
        parts.append(f"Temperature {sampling.temperature:g} {effects[sampling.temperature < 1]}.")
    if sampling.top_k:
        parts.append(f"Top-k lets only the {sampling.top_k} most probable tokens through.")
    if sampling.top_p < 1:
        parts.append(f"Top-p lets only the most probable tokens through that hold {percent(sampling.top_p)} together.")
    if sampling.min_p:
        parts.append(f"Min-p lets only tokens through at least {percent(sampling.min_p)} as probable as the best.")
    if sampling.typical_p < 1:
        parts.append(f"Typical-p lets only the most typical tokens through that hold {percent(sampling.typical_p)}.")
    return " ".join(parts) or "Nothing is changed: each token is drawn with exactly the probability the model gave it."


def what_comes_next(run: ModelRun) -> None:
    choice = following(run, continuation.chosen())
    candidates(choice, "next", st.session_state.n_shown, len(run.tokens) - 1)
    before, after = entropy(choice.probability), entropy(choice.chance)
    open_before = f"How open the choice is: as open as one among {np.exp(before):,.1f} equally likely tokens."
    open_after = f"After sampling: as open as a choice among {np.exp(after):,.1f} equally likely tokens."
    measures(
        "measures",
        {
            "Tokens kept": (f"{choice.kept.sum():,} of {len(choice.kept):,}", None),
            "Mass kept": (percent(choice.mass_kept), "How much of the model's own probability lies on them."),
            "Entropy, model": (f"{before:.2f} nats", open_before),
            "Entropy, drawn": (f"{after:.2f} nats", open_after),
        },
    )


def following(run: ModelRun, sampling: Sampling) -> NextToken:
    before = [token.id for token in run.tokens]
    return next_token(session.current_model().unembed(run.stream[-1, -1]), sampling, before)


def candidates(choice: NextToken, key: str, n: int, position: int, chosen: int | None = None) -> None:
    """The bars of one choice, made at a position; `chosen`: the id that was drawn, shown even if not among the best."""
    lm = session.current_model()
    shown = choice.best(n).tolist()
    if chosen is not None and chosen not in shown:
        shown.append(chosen)
    labels = [lm.token(id).label for id in shown]
    rest = 1 - choice.probability[shown].sum()
    best = "; ".join(
        f"“{label}” {percent(choice.probability[id])}, drawn with chance {percent(choice.chance[id])}"
        for id, label in list(zip(shown, labels, strict=True))[:3]
    )
    how = (
        "Upper bar: the probability that the model itself gives a token. Lower bar: the chance with which it is drawn, "
        f"after temperature, top-k and top-p. The other {len(choice.probability) - len(shown):,} tokens share "
        f"{percent(max(rest, 0.0))} of the model's probability. Click a bar to see its logit worked out below."
    )

    def numbers() -> pd.DataFrame:
        return pd.DataFrame(
            {
                "rank": [choice.rank(id) for id in shown],
                "token": labels,
                "id": shown,
                "probability": choice.probability[shown],
                "chance": choice.chance[shown],
                "kept": choice.kept[shown],
                "drawn": [id == chosen for id in shown],
            }
        )

    picture(
        next_token_bars(
            labels,
            choice.probability[shown],
            choice.chance[shown],
            chosen=None if chosen is None else shown.index(chosen),
        ),
        key=key,
        how=how,
        alt=f"Bars of the {len(shown)} tokens shown, most probable first: {best}.",
        table=numbers,
        on_pick=lambda i: words.look_at(shown[i], position),
    )
