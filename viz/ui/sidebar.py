"""The sidebar that every page shares: which model, which text, and what the current run is."""

import contextlib

import streamlit as st

from model import catalog
from model.run import ModelNotAvailable, VisitorError
from model.sources import places as sources
from model.sources.cost import size
from model.sources.places import Entry, HuggingFaceHub
from viz.guard import handler, section
from viz.plain import plain
from viz.ui import own_choices, session


def choose() -> None:
    """Model and text, both restored from the URL."""
    if "next_text" in st.session_state:  # see session.read_next: a widget can only be set before it is drawn
        st.session_state.text = st.session_state.pop("next_text")
    if "next_target" in st.session_state:
        st.session_state.target = st.session_state.pop("next_target")
        st.session_state.target_ids = st.session_state.pop("next_target_ids")
    if "next_model" in st.session_state:
        st.session_state.model = st.session_state.pop("next_model")
        st.session_state.own_model = ""
    models = {entry.name: entry for entry in session.models_offered()}
    with st.sidebar:
        st.markdown("## :material/visibility: Regard")
        st.selectbox(
            "Model",
            list(models),
            key="model",
            bind="query-params",
            help="Those that are built in need no download: we trained them ourselves. Then come those that are "
            "installed, and those that you load below.",
        )
        if entry := models.get(st.session_state.model):  # else it was uninstalled a moment ago
            _describe(entry)
        with contextlib.suppress(VisitorError):  # the page says what is wrong
            reader = session.model_name()
            own_choices.belong_to(reader, own_choices.READER)
            if reader != st.session_state.model:
                _other_reader(models.get(reader))
        with st.expander("Use a model of your own", icon=":material/folder_open:"):
            _own_model()
        st.text_area(
            "Text",
            session.EXAMPLES[0],
            key="text",
            bind="query-params",
            height=110,
            help="Anything you like. Ctrl + Enter (⌘ + Enter on a Mac) reads it.",
        )
        with contextlib.suppress(VisitorError):  # the page says what is wrong
            _how_it_is_read(models)
        st.selectbox(
            "Examples",
            session.EXAMPLES,
            index=None,
            key="example",
            placeholder="or choose an example …",
            label_visibility="collapsed",
            on_change=handler(_use_example),
        )


def _describe(entry: Entry) -> None:
    """What was chosen and, if it is not our own, what it takes: said before it is loaded."""
    said = f"**{plain(entry.title)}** · {plain(entry.source)}"
    if entry.source != catalog.BUILT_IN:
        with contextlib.suppress(ModelNotAvailable):  # loading it says why
            said += f"  \n{session.cost_of(entry.name).memory}"
        if catalog.is_slow_once(entry):
            said += "  \n:material/hourglass_top: The first time, the GGUF file is unpacked: about a minute."
    st.caption(said)


def _other_reader(entry: Entry | None) -> None:
    """This page is about another family of models than the chosen one's."""
    if entry is None:
        return

    def use() -> None:
        st.session_state.next_model = entry.name

    st.markdown(f":small[:material/swap_horiz: This page is read by **{plain(entry.title)}**.]")
    st.button(
        "Use it on every page", key="use_reader", on_click=handler(use), type="tertiary", icon=":material/done_all:"
    )


def _how_it_is_read(models: dict[str, Entry]) -> None:
    """What only some models have: a template for chats, a target to write. Raises `VisitorError`."""
    name = session.model_name()
    # ours have no template, and their family is known beforehand: the page need not wait until they are loaded
    ours = name in models and models[name].source == catalog.BUILT_IN
    if not ours and session.current_model().chat_text("") is not None:
        st.toggle(
            "As a message of a chat",
            key="chat",
            bind="query-params",
            help="Puts the text into the template this model was tuned on: its tokens are shown like all others.",
        )
    if session.family_of(name) == "encoder-decoder":
        st.text_area(
            "Target",
            key="target",
            bind="query-params",
            height=80,
            placeholder="nothing: the model writes it",
            on_change=handler(lambda: st.session_state.update(target_ids="")),
            help="What the decoder is read with. Empty: the model writes it itself.",
        )


@section("own_model")
def _own_model() -> None:
    """A folder or a hub id, typed; what it takes; and only then, loading it."""
    allowed = session.allowed()
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
            with st.container(height=48, border=False):  # the spinner of a cache takes no room of its own
                session.use_model(entry)
            st.rerun()
    except ModelNotAvailable as error:
        st.warning(f":small[{plain(error)}]")


def _download(entry: Entry) -> None:
    bar = st.progress(0.0, "Downloading …")

    def progress(here: int, in_all: int) -> None:
        bar.progress(here / max(in_all, 1), f"{size(here)} of {size(in_all)}")

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
    except VisitorError:
        return
    place.markdown(
        f"**{n_token:,}** token{'s' if n_token != 1 else ''} × **{info.n_layer}** layers × **{info.n_head}** heads  \n"
        f":small[{info.n_parameter / 1e6:.1f} M parameters · reads up to {info.n_context:,} tokens · "
        f"weights {info.fingerprint[:8]}]"
    )
