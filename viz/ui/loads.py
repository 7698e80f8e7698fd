"""Models being loaded: what each costs, how far it is, and the model once it is there."""

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model import catalog, serving
from model.language_model import LanguageModel
from model.run import ModelNotAvailable
from model.sources.cost import Cost, size
from model.sources.places import Allowed, Entry
from model.sources.progress import Progress, in_words, told_to
from viz.ui import cache, lab_models

_UNSEEN = 0.5  # seconds that a load may take before its progress is shown
_LOADS: dict[str, Progress] = {}  # those under way, of all visitors


@cache.kept(cache.MODELS, size=cache.model_size)
def loaded(name: str) -> LanguageModel:
    """Raises `ModelNotAvailable`."""
    serving.load_torch()
    with suppress(ModelNotAvailable):  # loading it says why
        cache.make_room(cost_of(name).needed)
        _LOADS[name] = Progress(catalog.stages(catalog.find(name, allowed())))
    try:
        with told_to(_LOADS.get(name)):
            lm = catalog.load(name, allowed=allowed())
    finally:
        _LOADS.pop(name, None)
    serving.settle()
    return lm


def language_model(name: str, place: DeltaGenerator | None = None) -> LanguageModel:
    """A loaded model. How far it is stands in `place`, else above the page; it goes on if the visitor turns away.

    Raises `ModelNotAvailable`.
    """
    if trained := lab_models.find(name):
        return trained.lm
    if loaded.has(name) or cache.is_computing():
        return loaded(name)
    # whoever shows the progress is bound to this thread, so another loads
    pool = ThreadPoolExecutor(1)
    loading = pool.submit(loaded, name)
    pool.shutdown(wait=False)
    if wait([loading], _UNSEEN).done:
        return loading.result()
    place = place or st.session_state.get("waiting", st).empty()
    try:
        while not wait([loading], 0.25).done:
            place.progress(*_said(_LOADS.get(name)))
    finally:
        place.empty()
    return loading.result()


def _said(progress: Progress | None) -> tuple[float, str]:
    """The part that is done, and a line on it; None: the load waits for others."""
    if progress is None:
        return 0.0, "Loading the model …"
    done, n_byte = progress.counted
    counted = f": {size(done)} of {size(n_byte)}" if n_byte else ""
    left = "" if progress.seconds_left is None else f" · {in_words(progress.seconds_left)}"
    return progress.part, f"Loading the model · {progress.words}{counted}{left}"


def allowed() -> Allowed:
    """What visitors of this server may load."""
    return Allowed.by_operator(st.get_option("server.address"))


def find(name: str) -> Entry:
    """A model that this visitor may ask for: one of their session, or of the catalogue. Raises `ModelNotAvailable`."""
    trained = lab_models.find(name)
    return trained.entry if trained else catalog.find(name, allowed())


@cache.kept(seconds=20)
def cost_of(name: str) -> Cost:
    """What a model on this machine takes. Raises `ModelNotAvailable`."""
    if trained := lab_models.find(name):
        return trained.cost
    entry = catalog.find(name, allowed())
    cost = catalog.cost(entry)
    if cost is None:
        raise ModelNotAvailable(f"“{entry.where}” is not on this machine yet.")
    # what is kept of others' goes for it
    return replace(cost, available=cost.available and cost.available + cache.held())
