"""On the page Comparison: which other models can be compared with the one that reads, and why others cannot."""

import streamlit as st

from model import catalog
from model.analysis.attention_map import MapSpec
from model.run import ModelRun, VisitorError
from model.text.prompt import Prompt, RunKey, encode
from viz.guard import handler
from viz.plain import plain
from viz.ui import cache, lab_models, links, session
from viz.ui.choices import COMPARISON, OF_MODELS
from viz.ui.loads import cost_of, find, language_model
from viz.ui.pictures import caption

_EXAMPLE = "copier"
_SHOWN = "shown_pair"  # in the session's state: the copier was asked for, until the next run can go there


@cache.kept()
def cuts_alike(a: str, b: str, text: str) -> bool:
    """Whether two models cut a text into the same tokens, by id and by bytes. Raises `VisitorError`."""
    one, other = ([(token.id, token.piece) for token in encode(language_model(name), text)] for name in (a, b))
    return one == other


def choose(here: RunKey) -> RunKey | None:
    """The key of B's run; None where there is no model for it, which is said with the reason."""
    state, name = st.session_state, here.model
    if state.pop(_SHOWN, False):
        links.go(COMPARISON, model=_EXAMPLE, text=example()[0][0].prompt.text, compare=OF_MODELS)
    titles = {other: title for other, title in session.titles().items() if other != name} | checkpoints(name)
    wanted = state[links.key("other_model")]
    if wanted and wanted not in titles:
        titles |= _asked_for(wanted)
    alike = [other for other in titles if known_alike(name, other, here.prompt.text)]
    others = [other for other in titles if other not in alike]
    default = partner(name, alike)
    st.selectbox(
        "Model B",
        ["", *alike, *others],
        key="other_model",
        format_func=lambda other: titles.get(other, other) if other else titles.get(default, "choose one …"),
        help="Subtracted are weights between the same tokens: so both models have to cut your text into the same ones.",
    )
    say(alike, others, titles)
    other = state.other_model or default
    if other is None:
        offer(name)
        return None
    if session.family_of(other) == "encoder-decoder" or session.family_of(name) == "encoder-decoder":
        st.info(
            "An encoder-decoder writes its own text, and two models write two: choose “texts” to compare what it does "
            "with two sources.",
            icon=":material/info:",
        )
        return None
    if not cuts_alike(name, other, here.prompt.text):
        one, another = plain(session.titles().get(name, name)), plain(titles[other])
        st.info(
            f"{another} cuts this text into other tokens than {one}: a row of one is no row of the other, so their "
            "weights cannot be subtracted. Choose another model.",
            icon=":material/info:",
        )
        return None
    return RunKey(other, here.prompt)


def checkpoints(name: str) -> dict[str, str]:
    """The titles of what a model of ours was at other steps of its training."""
    whole = name.partition(catalog.AT)[0]
    entry = session.built_in(whole)
    steps = catalog.steps_of(entry) if entry else ()
    found = {catalog.at_step(whole, step): f"{entry.title}, step {step:,}" for step in steps[:-1]}
    return {other: title for other, title in found.items() if other != name}


def _asked_for(name: str) -> dict[str, str]:
    """A model that a link names, if it is here; else that is said, and nothing is chosen."""
    try:
        entry = find(name)
        cost_of(name).check(entry.title)
        return {name: entry.title}
    except VisitorError as error:
        st.session_state.other_model = ""
        st.info(plain(error), icon=":material/info:")
        return {}


def known_alike(a: str, b: str, text: str) -> bool:
    """Whether two models are known to cut a text alike: checkpoints of one training are, of models of ours and of this
    session it is found out, and no other is loaded to tell.
    """
    if a.partition(catalog.AT)[0] == b.partition(catalog.AT)[0]:
        return True
    if not (session.built_in(b) or lab_models.find(b)) or session.family_of(b) == "encoder-decoder":
        return False
    try:
        return cuts_alike(a, b, text)
    except VisitorError:  # of this text or that model: said where it is chosen
        return False


def example() -> tuple[tuple[RunKey, RunKey], tuple[str, str]]:
    """The end of a training beside an early step of it, on a text that makes sense to both; and their titles."""
    entry, early = catalog.find(_EXAMPLE), partner(_EXAMPLE, []) or _EXAMPLE
    prompt = Prompt(catalog.texts_of(entry)[0])
    titles = entry.title, checkpoints(_EXAMPLE).get(early, entry.title)
    return (RunKey(_EXAMPLE, prompt), RunKey(early, prompt)), titles


def partner(name: str, alike: list[str]) -> str | None:
    """What is shown before anyone has chosen: what was trained here last; the end of a training, and an early step."""
    trained = [other for other in alike if other.startswith(catalog.LAB)]
    whole = name.partition(catalog.AT)[0]
    early = list(checkpoints(name))
    if name == whole and early:
        early = [early[len(early) // 5]]
    return next(iter([*trained, *([whole] if name != whole else early), *alike]), None)


def say(alike: list[str], others: list[str], titles: dict[str, str]) -> None:
    """Which can be compared."""
    n = sum(catalog.AT in name for name in alike)
    named = [plain(titles[name]) for name in alike if catalog.AT not in name]
    named += [f"{n} checkpoints of its training"] * bool(n)
    can = f"That cut this text alike: {', '.join(named)}." if named else "No other model here is known to cut it alike."
    ours = [plain(titles[name]) for name in others if session.built_in(name)]
    unknown = [plain(titles[name]) for name in others if not session.built_in(name)]
    caption(
        can
        + f" Other tokens, and so nothing to subtract: {', '.join(ours)}." * bool(ours)
        + f" Seen only once chosen: {', '.join(unknown)}." * bool(unknown)
    )


def offer(name: str) -> None:
    """Where no other model has the same tokens: how to get one, and a pair that there is."""
    st.info(
        "No other model here has this one's tokens. "
        + "Fine-tune it on the page Training, or load" * (name == catalog.DEFAULT)
        + "Load" * (name != catalog.DEFAULT)
        + " another of its family in the sidebar. Shown meanwhile: how a training changed a head of the copier.",
        icon=":material/compare:",
    )
    st.button(
        "Open the copier",
        key="show_copier",
        icon=":material/compare:",
        on_click=handler(st.session_state.update),
        args=({_SHOWN: True},),
    )


def has_head(other: ModelRun, spec: MapSpec) -> bool:
    """Whether B has the head that is chosen of A; where not, that is said."""
    (layer, head), info = spec.heads[0], other.info
    if layer < info.n_layer and head < info.n_head and not info.grid.instead(layer):
        return True
    st.info(
        f"{plain(info.title)} has no head {layer}.{head}: it has {info.n_layer} layers of {info.n_head} heads. Choose "
        "another layer or head.",
        icon=":material/info:",
    )
    return False
