"""The sidebar that every page shares: which model, which text, and what the current run is."""

import contextlib

import streamlit as st

from model import catalog
from model.run import ModelNotAvailable, VisitorError
from model.sources import places as sources
from model.sources.cost import size
from model.sources.places import Entry, HuggingFaceHub
from model.sources.progress import Progress, Stage, in_words
from viz.figures.heads import layers_and_heads
from viz.figures.numbers import in_short
from viz.guard import handler, section
from viz.plain import plain
from viz.ui import checkpoints, lab_models, links, session
from viz.ui.choices import READER
from viz.ui.loads import allowed as allowed_here
from viz.ui.prose import quoted


def choose() -> None:
    """Model and text, both restored from the URL."""
    models = {entry.name: entry for entry in session.models_offered()}
    if st.session_state.model not in models:
        st.session_state.model = catalog.DEFAULT
    titles = session.titles()
    with st.sidebar:
        st.markdown("## :material/visibility: Regard")
        st.selectbox(
            "Model",
            list(models),
            key=links.key("model"),
            format_func=lambda name: titles.get(name, name),
            help="Those that are built in need no download: we trained them ourselves. Then come those that are "
            "installed, those that you trained on the page Training, and those that you load below.",
        )
        if entry := models.get(st.session_state.model):  # else it was uninstalled a moment ago
            _describe(entry)
            checkpoints.choose(entry)
        with contextlib.suppress(VisitorError):  # the page says what is wrong
            reader = session.model_name()
            links.belong_to(reader, READER)
            if reader != st.session_state.model:
                _other_reader(models.get(reader))
        with st.expander("Use a model of your own", icon=":material/folder_open:"):
            _own_model()
        st.text_area(
            "Text",
            key=links.key("text"),
            height=110,
            help="Anything you like. Ctrl + Enter (⌘ + Enter on a Mac) reads it.",
        )
        if links.is_long(st.session_state.text):
            st.caption(
                f"Longer than the {links.LONGEST_TEXT:,} bytes that an address takes: a link to this page finds the "
                "text on this server only, as long as it keeps it."
            )
        with contextlib.suppress(VisitorError):  # the page says what is wrong
            _how_it_is_read(models)
        st.selectbox(
            "Examples",
            checkpoints.examples(st.session_state.model),
            index=None,
            key="example",
            placeholder="or choose an example …",
            label_visibility="collapsed",
            on_change=handler(_use_example),
        )


def _describe(entry: Entry) -> None:
    """What was chosen and, if it is not our own, what it takes: said before it is loaded."""
    description = f"**{plain(entry.title)}** · {plain(entry.source)}"
    if entry.name.startswith("folder:"):
        description += f"  \n{plain(entry.where)}"
    if entry.name.startswith(catalog.LAB):
        description += "  \nNobody else can open it. It is gone when you close or reload this page."
    elif entry.source != catalog.BUILT_IN:
        with contextlib.suppress(ModelNotAvailable):  # loading it says why
            description += f"  \n{session.cost_of(entry.name).memory}"
        if catalog.is_slow_once(entry):
            description += "  \n:material/hourglass_top: The first time, the GGUF file is unpacked."
    st.caption(description)
    if gone := lab_models.gone():
        titles = ", ".join(map(quoted, gone[:3])) + " and others" * (len(gone) > 3)
        st.caption(f":material/delete: Gone: {titles}. {lab_models.BOUND.capitalize()}.")


def _other_reader(entry: Entry | None) -> None:
    """This page is about another family of models than the chosen one's."""
    if entry is None:
        return

    st.markdown(f":small[:material/swap_horiz: This page is read by **{plain(entry.title)}**.]")
    st.button(
        "Use it on every page",
        key="use_reader",
        on_click=handler(session.choose_next),
        kwargs={"model": entry.name},
        type="tertiary",
        icon=":material/done_all:",
    )


def _how_it_is_read(models: dict[str, Entry]) -> None:
    """What only some models have: a template for chats, a target to write. Raises `VisitorError`."""
    name = session.model_name()
    _keep_known_languages()
    # ours have no template, and their family is known beforehand: the page need not wait until they are loaded
    ours = name in models and models[name].source == catalog.BUILT_IN
    if not ours and session.current_model().chat_text("") is not None:
        st.toggle(
            "As a message of a chat",
            key=links.key("chat"),
            help="Puts the text into the template this model was tuned on: its tokens are shown like all others.",
        )
    if session.family_of(name) == "encoder-decoder":
        st.text_area(
            "Target",
            key=links.key("target"),
            height=80,
            placeholder="nothing: the model writes it",
            on_change=handler(lambda: st.session_state.update(target_ids="")),
            help="What the decoder is read with. Empty: the model writes it itself.",
        )


def _keep_known_languages() -> None:
    """Let a language that the model does not know be its own: from a link, or chosen for another model."""
    if session.family_of(session.model_name()) != "encoder-decoder" or not (known := session.languages_known()):
        return
    for name, codes in (("source_language", known.source), ("target_language", known.target)):
        if st.session_state[name] not in (None, *codes):
            st.session_state[name] = None


@section("own_model")
def _own_model() -> None:
    """A folder or a hub id, typed; what it takes; and only then, loading it."""
    allowed = allowed_here()
    if not allowed.roots and not allowed.hub:
        st.caption(
            "This server opens no folders and downloads nothing. Whoever runs it can change that: "
            "`regard --models FOLDER`, `regard --hub`."
        )
        return
    places = [f"folders in {', '.join(map(str, allowed.roots))}"] if allowed.roots else []
    places += ["models of the Hugging Face hub"] if allowed.hub else []
    typed = st.text_input(
        "Folder" if not allowed.hub else "Folder, or hub id" if allowed.roots else "Hub id",
        key="own_model",
        persist_state="session",
        placeholder="~/models/mine" if allowed.roots else "org/name",
        max_chars=500,
        help=f"This server opens {plain(' and '.join(places))}. A folder holds config.json, model.safetensors and a "
        "tokenizer, or one GGUF file. Weights stored with pickle, and code that comes with a model, are never run.",
    )
    if not typed.strip():
        return
    try:
        entry = catalog.find_typed(typed, allowed)
        on_hub = entry.name.startswith("hub:") and HuggingFaceHub().local(entry.where) is None
        cost = session.hub_listing(entry.where) if on_hub else session.cost_of(entry.name)
        st.markdown(f"**{plain(entry.title)}** · {plain(entry.source)}  \n:small[{cost}]")
        if st.button("Download and load" if on_hub else "Load", key="load_own_model", width="stretch"):
            if on_hub:
                _download(entry)
            session.use_model(entry, st.empty())
            st.rerun()
    except ModelNotAvailable as error:
        st.warning(f":small[{plain(error)}]")


def _download(entry: Entry) -> None:
    bar = st.progress(0.0, "Downloading …")
    so_far: Progress | None = None

    def progress(here: int, in_all: int) -> None:
        nonlocal so_far
        so_far = so_far or Progress([Stage("download", "Downloading", 1.0, max(in_all, 1))])
        so_far.count(here - so_far.counted[0])
        left = "" if so_far.seconds_left is None else f" · {in_words(so_far.seconds_left)}"
        bar.progress(so_far.part, f"{size(here)} of {size(in_all)}{left}")

    sources.download(entry.where, HuggingFaceHub(), progress)
    session.cost_of.clear()
    bar.empty()


def _use_example() -> None:
    if st.session_state.example:
        st.session_state.text = st.session_state.example
        st.session_state.example = None


def summarise(place) -> None:
    """What the current run is, once there is one; says nothing where the page already says what is wrong."""
    try:
        info, n_token = session.current_model().info, len(session.current_tokens())
        unknown = checkpoints.unknown_words()
    except VisitorError:
        return
    place.markdown(
        f"**{n_token:,}** token{'s' if n_token != 1 else ''} × {layers_and_heads(info.grid, '**')}  \n"
        f":small[{in_short(info.n_parameter)} parameters · reads up to {info.n_context:,} tokens · "
        f"weights {info.fingerprint[:8]}]"
        + (f"  \n:small[{unknown}]" if unknown else "")
        # the rest of each stands on The model
        + "".join(f"  \n:small[:material/info: {plain(remark.partition(': ')[0])}.]" for remark in info.remarks)
    )
