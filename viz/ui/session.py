"""What a visitor's session holds: the model, the text, the run. The only caches are here.

Runs are shared by all visitors, read-only, and found again by small keys: model name and text, never arrays.
The visitor's own choices live in st.session_state under the names in `LINKED`, each bound to the URL by its widget.
"""

import streamlit as st

from model import catalog, serving
from model.run import LanguageModel, ModelRun, PromptError, Token

EXAMPLES = (
    "The cat sat on the mat",
    "Once upon a time there was a little girl who lived in the forest.",
    "The animal didn't cross the street because it was too tired.",
    "When Mary and John went to the store, John gave a drink to",
    "The dog barked at the cat. The dog barked at the",
)
LINKED = ("model", "text", "layer", "head", "token", "key")  # what a link restores, besides the page


@st.cache_resource(show_spinner="Loading the model …", max_entries=4)
def language_model(name: str) -> LanguageModel:
    """Raises `ModelNotAvailable`."""
    serving.load_torch()
    lm = catalog.load(name)
    serving.settle()
    return lm


@st.cache_resource(show_spinner=False, max_entries=32)
def run_of(model: str, text: str) -> ModelRun:
    """Raises `PromptError`, `ModelNotAvailable`."""
    lm = language_model(model)
    return lm.run(lm.encode(text))


@st.cache_resource(show_spinner=False, max_entries=32)
def overview_of(model: str, text: str):
    """All heads of a run, pooled to at most 64 x 64 each (`model.attention.Overview`)."""
    from model.attention import pooled_overview

    return pooled_overview(run_of(model, text).attention)


@st.cache_resource(show_spinner=False, max_entries=16)
def continued_run_of(model: str, text: str, continuation: tuple[int, ...]) -> ModelRun:
    """The run of a text and of tokens generated after it, by id: encoding the grown text may split it otherwise."""
    from model.generation import placed

    lm = language_model(model)
    tokens = list(lm.encode(text))
    for id in continuation:
        tokens.append(placed(lm.token(id), tokens))
    return lm.run(tokens)


def current_model() -> LanguageModel:
    return language_model(st.session_state.model)


def current_text() -> str:
    """Raises `PromptError` if the visitor has not typed anything."""
    text = st.session_state.text
    if not text:
        raise PromptError("There is no text to read. Type one in the sidebar, or choose an example there.")
    return text


def current_tokens() -> tuple[Token, ...]:
    return current_model().encode(current_text())


def current_run() -> ModelRun:
    return run_of(st.session_state.model, current_text())


def current_continued_run(continuation: tuple[int, ...]) -> ModelRun:
    """The current text and what was generated after it; `current_run` if that is nothing."""
    if not continuation:
        return current_run()
    return continued_run_of(st.session_state.model, current_text(), continuation)


def current_overview():
    return overview_of(st.session_state.model, current_text())


def read_next(text: str) -> None:
    """Let the sidebar hold another text from the next full rerun on.

    For fragments: what their callbacks write to the sidebar's widgets never reaches the browser, which then takes it
    back.
    """
    st.session_state.next_text = text


def remember_link() -> None:
    """Keep what the URL asked for when the session began, before any widget drops a value."""
    if "asked" not in st.session_state:
        st.session_state.asked = {name: st.query_params[name] for name in LINKED if name in st.query_params}
        st.session_state.pinned = "token" in st.session_state.asked  # in the token graph


def dropped_from_link() -> list[str]:
    """One sentence for each value of the link that the first page's widgets refused; told once."""
    asked, st.session_state.asked = st.session_state.asked, {}
    return [
        f"The link asked for {name} “{wanted[:80]}”, which does not exist here: showing {st.session_state[name]}."
        for name, wanted in asked.items()
        if name in st.session_state and str(st.session_state[name]) != wanted
    ]
