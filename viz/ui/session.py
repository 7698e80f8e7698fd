"""What a visitor's session holds: the model, the text, the run.

Runs are shared by all visitors, read-only, and found again by a `model.text.prompt.RunKey`; `viz.ui.cache` keeps them.
The visitor's own choices live in st.session_state under the names of `viz.ui.choices`, and `viz.ui.links` puts them
into the address.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model import catalog
from model.analysis.attention import Overview, pooled_overview
from model.analysis.attention_map import AttentionMap, MapSpec, attention_map, heads_at
from model.analysis.beam import PENALTY, WIDTH, Beam
from model.analysis.telling import telling_head, telling_weight
from model.intervention import UNCHANGED, Intervention
from model.language_model import BeamSearcher, LanguageModel, Languages, Translator, Writing
from model.layer import AttentionOutput
from model.run import ModelNotAvailable, ModelRun, PromptError, Token, VisitorError
from model.sources import places as sources
from model.sources.places import Entry, HuggingFaceHub, Listing
from model.text import prompt as prompts
from model.text.conversation import read_messages
from model.text.cut import Cut, Cutting
from model.text.prompt import (
    Prompt,
    RunKey,
    as_read,
    encode,
    ids_in,
    speaking,
    text_of,
    tokens_of,
    writing_of,
    written_text,
)
from model.text.units import Units, and_sink, second_text, units_of
from viz.figures.scale import weights_in_steps
from viz.plain import visible
from viz.ui import cache, held, lab_models, waiting
from viz.ui.loads import cost_of, find, language_model

EXAMPLES = (
    "The cat sat on the mat",
    "Once upon a time there was a little girl who lived in the forest.",
    "The animal didn't cross the street because it was too tired.",
    "When Mary and John went to the store, John gave a drink to",
    "The dog barked at the cat. The dog barked at the",
)
# pages that are about one family of models, and the built-in model that reads there if the chosen one is of another
READ_BY = {
    "generation": ("decoder", "story"),
    "translation": ("encoder-decoder", "translator"),
    "understanding": ("encoder", "encoder"),
}
_LANGUAGES = "source_language", "target_language"

own = lab_models.own  # a model that was trained here becomes one of this session's


@cache.kept(seconds=60)
def models_here() -> tuple[Entry, ...]:
    """What can be chosen without typing anything."""
    return catalog.available()


def models_offered() -> list[Entry]:
    """The models that this visitor can choose: those here, those trained in this session, and those that they, or
    their link, asked for.
    """
    own: list[Entry] = st.session_state.setdefault("own_models", [])
    trained = lab_models.entries()
    wanted = st.session_state.memory.asked.get("model")
    if wanted and wanted not in {entry.name for entry in (*models_here(), *trained, *own)}:
        try:
            entry = find(wanted)
            cost_of(entry.name).check(entry.title)
            own.append(entry)
        except VisitorError as error:
            st.session_state.refused = str(error)  # said where the link's model is dropped
    # of those that are kept at every checkpoint, the one that is read is enough
    own[:] = [entry for entry in own if catalog.AT not in entry.name or entry.name in (wanted, st.session_state.model)]
    return [*models_here(), *trained, *(entry for entry in own if entry not in models_here())]


def built_in(name: str) -> Entry | None:
    """A model of ours, as it was after some step of its training too; None: it is another."""
    whole, at, _ = name.partition(catalog.AT)
    ours = (entry for entry in models_here() if entry.name == whole and entry.source == catalog.BUILT_IN)
    with suppress(ModelNotAvailable):
        return (catalog.find(name) if at else entry) if (entry := next(ours, None)) else None


def titles() -> dict[str, str]:
    """What the models that this visitor can choose are called, by their names."""
    return {name: visible(title) for name, title in catalog.titles(models_offered()).items()}


@cache.kept(seconds=300, spinner="Asking the hub …")
def hub_listing(id: str) -> Listing:
    """What the hub has of a model. Raises `ModelNotAvailable`."""
    return sources.hub_listing(id, HuggingFaceHub())


def use_model(entry: Entry, place: DeltaGenerator) -> None:
    """Load a model, with the progress in a place, and let the sidebar hold it from the next full rerun on.

    Raises `ModelNotAvailable`, and then nothing has changed.
    """
    language_model(entry.name, place)
    if entry not in models_offered():
        st.session_state.own_models.append(entry)
    choose_next(model=entry.name, own_model="")


@cache.kept()
def cutting_of(name: str) -> Cutting:
    """How a model's tokenizer puts words together. Raises `VisitorError`."""
    return language_model(name).cutting()


@cache.kept()
def cut_of(name: str, text: str, languages: tuple[str, str]) -> Cut:
    """How a model's tokenizer cut a text. Raises `VisitorError`."""
    return prompts.cut_of(speaking(language_model(name), languages), cutting_of(name), text)


@cache.kept()
def run_of(run_key: RunKey) -> ModelRun:
    """Raises `PromptError`, `ModelNotAvailable`."""
    lm, prompt = language_model(run_key.model), run_key.prompt

    def best_of_beam(lm: LanguageModel, _) -> tuple[int, ...]:
        best = beam_of(RunKey(run_key.model, replace(prompt.without_target, continuation=())), WIDTH, PENALTY).finished[
            0
        ]
        return best.ids[len(writing_of(lm).forced) :]

    tokens, source = tokens_of(lm, prompt, best_of_beam if isinstance(lm, BeamSearcher) else None)
    with waiting.reading(lm.info, len(tokens)):
        return lm.run(tokens, run_key.intervention, source=source)


@cache.kept()
def recomputed(run_key: RunKey, layer: int) -> float:
    """How far a layer done again by hand is from what the model computed: see `LanguageModel.recompute_layer`.

    Raises `VisitorError` for a model that cannot be checked so.
    """
    return language_model(run_key.model).recompute_layer(run_of(run_key), layer)


@cache.kept()
def behind_attention(run_key: RunKey, layer: int) -> AttentionOutput:
    """What the model itself has behind a layer's attention. Raises `VisitorError` where that is not known."""
    return language_model(run_key.model).attention_output(run_of(run_key), layer)


@dataclass(frozen=True)
class FirstLook:
    """What is shown of a run's attention before anyone has chosen."""

    layer: int
    head: int
    query: int
    key: int
    stated: bool  # by the model's card; else found in this run


@cache.kept()
def first_look_of(run_key: RunKey, kind: str | None = None) -> FirstLook:
    """The telling head, and its strongest weight between two different tokens, in this kind of attention or in the one
    that is read first. Raises as `run_of` does.
    """
    run = run_of(run_key)
    entry = built_in(run_key.model)
    stated = entry and catalog.telling_head_of(entry)
    if stated and not (0 <= stated[0] < run.info.n_layer and 0 <= stated[1] < run.info.n_head):
        stated = None  # of other weights
    layer, head = stated or telling_head(run)
    shown = min(layer, len(run.layers(kind)) - 1) if kind else layer
    return FirstLook(layer, head, *telling_weight(run, shown, head, kind), stated is not None)


@cache.kept()
def overview_of(run_key: RunKey, kind: str = "self") -> Overview:
    """All heads of one kind of attention of a run, pooled to at most 64 x 64 each."""
    return pooled_overview(run_of(run_key).layers(kind))


@cache.kept()
def map_of(run_key: RunKey, spec: MapSpec) -> AttentionMap:
    """A run's attention as a spec reads it: see `model.analysis.attention_map`."""
    return _maps(run_key, [spec])[0]


@cache.kept()
def every_map_of(run_key: RunKey, spec: MapSpec) -> np.ndarray:
    """(L, H, Q, K), in steps of `weights_in_steps`: each head alone, read as a spec reads; nothing in a layer without.

    Which heads a spec names and how it combines them does not matter.
    """
    there = run_of(run_key).grid(spec.of)
    maps = _maps(run_key, [replace(spec, heads=(pair,)) for pair in heads_at(there)])
    weights = np.array([each.weights for each in maps])
    every = np.full((there.n_layer, there.n_head, *weights.shape[1:]), np.nan, np.float32)
    every[list(there.layers)] = weights.reshape(len(there.layers), *every.shape[1:])
    return weights_in_steps(every)


@cache.kept()
def pooled_maps_of(run_key: RunKey, kind: str = "self") -> np.ndarray:
    """(L, H, P, P), in the same steps: each head as the grid shows it."""
    return weights_in_steps(overview_of(run_key, kind).maximum)


def _maps(run_key: RunKey, specs: list[MapSpec]) -> list[AttentionMap]:
    """By specs that differ in their heads only."""
    run, rules = run_of(run_key), specs[0]
    units, key_units = (units_in(run_key, rules.kind, side) for side in SIDES[rules.of])
    key_units = and_sink(key_units) if run.has_sink(rules.of) else key_units
    second = second_text(run.tokens, text_of(run_key.prompt, run)) if not run.source else None
    layers, (_, keys) = run.layers(rules.of), run.sides(rules.of)
    return [attention_map(layers, keys, units, spec, second, key_units) for spec in specs]


@cache.kept(spinner="Searching …")
def beam_of(run_key: RunKey, width: int, length_penalty: float) -> Beam:
    """What a beam search makes of a run's source, by a model that can search. Raises `PromptError`."""
    lm = speaking(language_model(run_key.model), run_key.prompt.languages)
    return lm.beam_search(encode(lm, run_key.prompt.text), width, length_penalty)


# the texts that look and are looked at, for each kind of attention
SIDES = {"self": ("text", "text"), "encoder": ("source", "source"), "cross": ("text", "source")}


@cache.kept()
def units_in(run_key: RunKey, kind: str, side: str = "text") -> Units:
    """A run's tokens, or those of its source, taken together: see `model.text.units`."""
    run = run_of(run_key)
    if side == "source":
        return units_of(run.source, run_key.prompt.text, kind)
    return units_of(run.tokens, text_of(run_key.prompt, run), kind)


def model_name() -> str:
    """The model that reads on the page that is open. Raises `ModelNotAvailable` where only loading tells."""
    return reader_of(st.session_state.page, family_of)


def reader_of(page: str, family_of: Callable[[str], str | None] | None = None, chosen: str = "") -> str:
    """The model that reads on a page, with this one `chosen`. Without `family_of` none is loaded to tell: it suits."""
    chosen = chosen or st.session_state.model
    suits, ours = READ_BY.get(page, (None, chosen))
    family = suits and (family_of or known_family)(chosen)
    return chosen if family in (None, suits) else ours


def judge_name(ours: str) -> str:
    """The model that judges texts: the chosen one if it was trained to, else ours. Raises `ModelNotAvailable`."""
    chosen = st.session_state.model
    built_in = any(entry.name == chosen and catalog.architecture_of(entry) for entry in models_here())
    return ours if built_in or not language_model(chosen).info.labels else chosen


def family_of(name: str) -> str:
    """One of `model.run.FAMILIES`, or "classifier"; without loading it, if the model is built in.

    Raises `ModelNotAvailable`.
    """
    families = st.session_state.setdefault("families", {})
    if known_family(name) is None:
        families[name] = language_model(name).info.family
    return families[name]


def known_family(name: str) -> str | None:
    """The same, or None where only loading tells."""
    families = st.session_state.setdefault("families", {})
    if name not in families and (entry := built_in(name)) and (family := catalog.architecture_of(entry)):
        families[name] = family
    return families.get(name)


def current_model() -> LanguageModel:
    """With the languages that were chosen, where there are some to choose. Raises `VisitorError`."""
    return speaking(language_model(model_name()), _languages())


def languages_known() -> Languages | None:
    """What can be chosen of the current model; None: nothing. Raises `VisitorError`."""
    lm = language_model(model_name())
    return lm.languages if isinstance(lm, Translator) else None


def current_writing() -> Writing:
    """What the current model's settings say of writing a target. Raises `VisitorError`."""
    return writing_of(current_model())


def _languages(now: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """The codes that were chosen; "" for the model's own."""
    now = now or held.values(_LANGUAGES)
    return now.get(_LANGUAGES[0]) or "", now.get(_LANGUAGES[1]) or ""


def current_text() -> str:
    """What is read: what the visitor typed, or that as a message of a chat.

    Raises `PromptError` if nothing was typed.
    """
    prompt = _typed()
    return as_read(current_model(), prompt).text if prompt.chat else prompt.text


def _typed(continuation: tuple[int, ...] = ()) -> Prompt:
    """What the visitor typed, and what was generated after it. Raises `PromptError` if nothing was typed."""
    now = held.values(("text", "target", "target_ids", "chat", "before", *_LANGUAGES))
    if not now["text"]:
        raise PromptError("There is no text to read. Type one in the sidebar, or choose an example there.")
    ids = ids_in(now.get("target_ids", ""))
    chat = bool(now.get("chat"))
    before = read_messages(now.get("before", "")) if chat else ()
    return Prompt(now["text"], continuation, now.get("target", ""), ids, None, chat, before, _languages(now))


def current_tokens() -> tuple[Token, ...]:
    return encode(current_model(), current_text())


def current_cut() -> Cut:
    return cut_of(model_name(), current_text(), _languages())


def current_key(continuation: tuple[int, ...] = (), intervention: Intervention = UNCHANGED, text: str = "") -> RunKey:
    """Of the current model and text, or another one, and what was generated after it or changed in the model."""
    name, typed = model_name(), _typed(continuation)
    lm = speaking(language_model(name), typed.languages)
    return RunKey(name, as_read(lm, replace(typed, text=text or typed.text)), intervention)


def current_run(continuation: tuple[int, ...] = (), intervention: Intervention = UNCHANGED) -> ModelRun:
    run = run_of(current_key(continuation, intervention))
    st.session_state.read_before = st.session_state.text
    return run


def current_map(spec: MapSpec) -> AttentionMap:
    return map_of(current_key(), spec)


def first_look() -> FirstLook:
    """Of the current model and text, in the attention that is read. Raises `VisitorError` where they cannot be read."""
    key, kind = current_key(), st.session_state.get("kind")  # not every page lets one be chosen
    return first_look_of(key, kind if kind in run_of(key).kinds else "self")


def current_every_map(spec: MapSpec) -> np.ndarray:
    return every_map_of(current_key(), spec)


def current_pooled_maps(kind: str) -> np.ndarray:
    return pooled_maps_of(current_key(), kind)


def current_overview(kind: str = "self") -> Overview:
    return overview_of(current_key(), kind)


def choose_next(**choices: object) -> None:
    """Let choices be these from the next full run on.

    For fragments: what their callbacks write to the sidebar's widgets never reaches the browser, which then takes it
    back. So too for widgets that are drawn already.
    """
    st.session_state.next = {**st.session_state.get("next", {}), **choices}


def read_next(text: str) -> None:
    """Let the sidebar hold another text."""
    choose_next(text=text)


def read_target(text: str) -> None:
    """Another target of an encoder-decoder; nothing: the model writes it."""
    choose_next(target=text, target_ids="")


def read_tokens(ids: Sequence[int]) -> None:
    """A target of these tokens, of the present model, whatever its text would be cut into."""
    text = written_text(map(current_model().token, ids))
    # a point also behind the last: no tokens are something else than nothing said
    choose_next(target=text, target_ids="".join(f"{id}." for id in ids) or ".")
