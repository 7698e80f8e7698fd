"""On the page Generation: what was written so far, token by token, kept for one text and one model."""

import pandas as pd
import streamlit as st

from model.analysis.generation import Draw, Step, generate, read_draws, write_draws
from model.run import ModelRun
from model.text.prompt import encode
from viz.components.token_chips import token_chips
from viz.figures.numbers import percent
from viz.ui import links, session
from viz.ui.pictures import caption, twin
from viz.ui.prose import quoted


def subject() -> tuple:
    """What a continuation is about: one text read by one model."""
    return session.model_name(), st.session_state.text, st.session_state.chat


def belongs_here() -> bool:
    return not links.is_about_other("written", subject())


def find() -> None:
    """Let `generated` be what the address says was written; what was written after another text is dropped."""
    state = st.session_state
    if state.setdefault("generated", []) and not belongs_here():
        st.info("The text or the model has changed, so its continuation was dropped.", icon=":material/info:")
    written = links.about("written", subject())
    state.setdefault("to_go", 0)
    if written != state.get("generated_as", ""):
        opened = state.opened
        start_anew()
        if written:
            _write_again(written)
            state.opened = opened
    if state.opened is not None and state.opened >= len(state.generated):
        state.opened = None


def _write_again(written: str) -> None:
    """Draw the tokens of an address again, to have their probabilities; what comes out otherwise is cut off."""
    lm, steps = session.current_model(), st.session_state.generated
    try:
        wanted = read_draws(written)
    except ValueError:
        st.info("The link’s continuation cannot be read: nothing is shown of it.", icon=":material/info:")
        return
    with st.spinner("Writing the link’s continuation again …"):
        for draw in wanted:
            step = next(generate(lm, run_after(steps).tokens, 1, draw.sampling, draw.seed), None)
            if step is None or step.token.id != draw.id:
                st.info(
                    f"Of the link’s {len(wanted)} written tokens, {len(steps)} come out the same here. It was made "
                    "with other weights, or on a machine that rounds otherwise: the rest is left out.",
                    icon=":material/info:",
                )
                return
            add(step, draw.seed)


def add(step: Step, seed: int) -> None:
    """Put a token that was drawn with this seed behind the others."""
    state = st.session_state
    state.generated.append(step)
    draws = [*(read_draws(state.written) if state.written else ()), Draw(step.token.id, step.sampling, seed)]
    state.generated_as = write_draws(draws)
    links.say("written", state.generated_as, subject())
    state.opened = None


def start_anew() -> None:
    state = st.session_state
    state.generated, state.generated_as, state.opened, state.to_go = [], "", None, 0
    links.say("written", "", subject())


def stop() -> None:
    st.session_state.to_go = 0


def open_token(i: int) -> None:
    stop()
    st.session_state.opened = i


def add_to_text() -> None:
    steps = st.session_state.generated
    text = st.session_state.text + written(steps)
    session.read_next(text)
    if not st.session_state.chat:
        were = (*session.current_tokens(), *(step.token for step in steps if not step.token.special))
        now = encode(session.current_model(), text)
        if [token.id for token in now] != [token.id for token in were]:
            st.toast(f"As text it is cut anew: into {len(now)} tokens, not the {len(were)} that were read and written.")
    start_anew()
    links.say("written", "", (session.model_name(), text, st.session_state.chat))


def ids(steps: list[Step]) -> tuple[int, ...]:
    return tuple(step.token.id for step in steps)


def run_after(steps: list[Step]) -> ModelRun:
    """Of the text, and of the steps after it."""
    return session.current_run(ids(steps))


def written(steps: list[Step]) -> str:
    """The generated tokens as text; bytes that are no whole character yet are left out."""
    return b"".join(step.token.piece for step in steps if not step.token.special).decode(errors="ignore")


def show() -> None:
    """Every generated token, to be opened."""
    steps, n_text = st.session_state.generated, len(session.current_tokens())
    token_chips(
        [step.token for step in steps],
        key="generated_chips",
        first=n_text,
        selected=st.session_state.opened,
        on_pick=open_token,
        notes=[note(step) for step in steps],
        shades=[step.probability for step in steps],
    )
    last = steps[-1]
    caption(
        f"Last written: {quoted(last.token.label)}, {note(last)}. Each token is shaded by the probability that the "
        "model gave it; click one to open the choice behind it."
    )
    twin(numbers, key="generated")


def note(step: Step) -> str:
    return (
        f"probability {percent(step.probability)}, drawn with chance {percent(step.chance)}, rank {step.rank} "
        f"(0 is the most probable)"
    )


def numbers() -> pd.DataFrame:
    steps = st.session_state.generated
    return pd.DataFrame(
        {
            "token": [step.token.label for step in steps],
            "id": [step.token.id for step in steps],
            "probability": [step.probability for step in steps],
            "chance": [step.chance for step in steps],
            "rank": [step.rank for step in steps],
            "random number": [step.number for step in steps],
            "temperature": [step.sampling.temperature for step in steps],
            "top-k": [step.sampling.top_k for step in steps],
            "top-p": [step.sampling.top_p for step in steps],
        }
    )
