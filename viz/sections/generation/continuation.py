"""On the page Generation: what was written so far, token by token, kept for one text and one model."""

import pandas as pd
import streamlit as st

from model.analysis.generation import Step
from model.run import ModelRun
from model.text.prompt import encode
from viz.components.token_chips import token_chips
from viz.figures.numbers import percent
from viz.ui import session
from viz.ui.pictures import caption, twin
from viz.ui.prose import quoted


def belongs_here() -> bool:
    """A continuation belongs to one text read by one model."""
    return st.session_state.get("generated_from") == (session.model_name(), st.session_state.text)


def forget_what_was_written_elsewhere() -> None:
    if belongs_here():
        return
    if st.session_state.get("generated"):
        st.info("The text or the model has changed, so its continuation was dropped.", icon=":material/info:")
    start_anew()


def start_anew() -> None:
    st.session_state.generated_from = (session.model_name(), st.session_state.text)
    st.session_state.generated = []
    st.session_state.opened = None
    st.session_state.to_go = 0


def stop() -> None:
    st.session_state.to_go = 0


def open_token(i: int) -> None:
    stop()
    st.session_state.opened = i


def add_to_text() -> None:
    steps = st.session_state.generated
    text = st.session_state.text + written(steps)
    session.read_next(text)
    if not st.session_state.get("chat"):
        were = (*session.current_tokens(), *(step.token for step in steps if not step.token.special))
        now = encode(session.current_model(), text)
        if [token.id for token in now] != [token.id for token in were]:
            st.toast(f"As text it is cut anew: into {len(now)} tokens, not the {len(were)} that were read and written.")
    start_anew()
    st.session_state.generated_from = (session.model_name(), text)


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
