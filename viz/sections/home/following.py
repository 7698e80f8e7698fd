"""On the home page: what the model expects, as bars, at a temperature that moves them in the browser."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from model.run import VisitorError
from model.text.masking import masked
from model.text.prompt import RunKey
from viz.components.next_tokens import Candidates, next_tokens
from viz.guard import section
from viz.plain import plain
from viz.ui import cache, links, session
from viz.ui.choices import GENERATION, TRANSLATION, UNDERSTANDING
from viz.ui.pictures import caption
from viz.ui.prose import quoted

N_BEST = 6
TEMPERATURES = tuple(step / 20 for step in range(41))  # those of the slider on the page Generation


@dataclass(frozen=True)
class Step:
    """The last step of the way: its name, the page behind it, what is expected and where."""

    title: str
    page: str | None
    sentence: str
    candidates: Candidates | None = None
    moves: bool = True  # whether temperature means anything


@cache.kept()
def expected(run_key: RunKey, temperature: float) -> Step:
    """Raises `VisitorError` as `run_of` does; `temperature` is one that the slider has besides its own."""
    lm, run = session.language_model(run_key.model), session.run_of(run_key)
    at = sorted({*TEMPERATURES, temperature})
    if run.info.labels:
        found = lm.classify(run.tokens)
        candidates = Candidates.of(found.log_prob, lambda i: found.labels[i], N_BEST, (1.0,))
        return Step("Label", UNDERSTANDING, "It judges the text as a whole.", candidates, moves=False)
    if run.predictions is None:
        return Step("The end", None, f"{plain(run.info.title)} has no head that predicts tokens: it ends here.")

    def of(place: int, page: str, title: str, sentence: str) -> Step:
        try:
            logits = lm.unembed(run.stream[-1, place])
        except VisitorError:  # a head that cannot be repeated: the best that the run itself told
            best, log_prob = run.predictions.top_id[place, :N_BEST], run.predictions.top_log_prob[place, :N_BEST]
            labels = [lm.token(int(id)).label for id in best]
            alone = Candidates(labels, log_prob.astype(float), np.ones(1), np.zeros(1), run.info.n_vocab - len(best))
            return Step(title, page, sentence, alone, moves=False)
        return Step(title, page, sentence, Candidates.of(logits, lambda id: lm.token(id).label, N_BEST, at))

    if run.source:
        return of(0, TRANSLATION, "Next token", "With which token its translation may begin.")
    if run.predictions.of_next:
        last = quoted(run.tokens[-1].label)
        return of(len(run.tokens) - 1, GENERATION, "Next token", f"What may come after {last}.")
    mask = lm.mask_token()
    places = [i for i, token in enumerate(run.tokens) if mask and token.id == mask.id]
    if places:
        return of(places[0], UNDERSTANDING, "What fits", f"What may stand in the place of token {places[0]}.")
    place = [i for i, token in enumerate(run.tokens) if not token.special][-1:] or [len(run.tokens) - 1]
    label = quoted(run.tokens[place[0]].label)
    if mask is None:
        return of(place[0], UNDERSTANDING, "What fits", f"What may stand in the place of {label}.")
    logits = next(lm.logits(masked(run.tokens, place[0], mask), positions=place))[0]
    candidates = Candidates.of(logits, lambda id: lm.token(id).label, N_BEST, at)
    return Step("What fits", UNDERSTANDING, f"What it expects in the place of {label} when that is hidden.", candidates)


def step() -> Step:
    """Of the current run. Raises `VisitorError`."""
    return expected(session.current_key(), float(st.session_state[links.key("temperature")]))


@section("home_next")
def show() -> None:
    last = step()
    if last.candidates is not None:
        now = float(st.session_state.temperature) if last.moves else 1.0
        name = f"{last.title}: the most probable"
        next_tokens(
            last.candidates, now, key="home_next_tokens", name=name, on_set=set_temperature if last.moves else None
        )
    caption(last.sentence)


def set_temperature(value: float) -> None:
    st.session_state.temperature = value
