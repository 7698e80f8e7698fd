"""What a visitor collects for a report: views, with notes, kept in the session; and the file that is made of them.

A view is kept as what finds it again (the key of its run, the spec of its map), not as its numbers: the cache has
those, or makes them again.
"""

from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Any
from urllib.parse import urlencode, urlsplit

import streamlit as st

from model.analysis.attention_map import MapSpec
from model.run import ModelRun, VisitorError
from model.text.prompt import RunKey
from viz.figures.heads import head_name
from viz.figures.scale import colour_scale
from viz.guard import handler, section
from viz.offline import report as file
from viz.offline.citation import Citation
from viz.offline.film import Film, film_of
from viz.plain import plain
from viz.ui import heads, links, navigation, reading, session
from viz.ui.choices import ATTENTION, GENERATION, LAYER, LINES, MODEL, ONE, TRAINING, TRANSLATION
from viz.ui.choices import of as choices_of

MOST_VIEWS, MOST_NOTE = 12, 2000  # views; characters of a note
MOST_BYTES = 16 * 10**6  # of the file, which stays in memory until it is taken
WITHOUT = (MODEL, TRAINING)  # pages that are about no text


@dataclass(frozen=True)
class Pin:
    """One view, as it was on screen."""

    number: int  # of the session, for its widgets
    run_key: RunKey
    kind: str
    head: tuple[int, int]
    title: str
    link: str  # path and query
    about: tuple[str, ...] = ()  # the model, in words, and its fingerprint
    note: str = ""
    rules: str = ""  # in force, in words
    spec: MapSpec | None = None  # of its map
    look: dict[str, Any] = field(default_factory=dict)  # how the map was drawn
    film: Film | None = None


@section("report")
def show() -> None:
    """The switch, and behind it what is collected."""
    if not st.toggle(
        "Report",
        key=links.key("report"),
        help="Collect views with your notes, cite them, and save them as one file that works without a network.",
    ):
        return
    pins: list[Pin] = st.session_state.setdefault("pins", [])
    st.button(
        "Add what is on screen",
        key="add_to_report",
        icon=":material/add:",
        on_click=handler(add),
        disabled=len(pins) >= MOST_VIEWS,
        width="stretch",
    )
    if not pins:
        st.caption(f"Nothing yet. Up to {MOST_VIEWS} views, from any page that reads a text; gone with your visit.")
        return
    for pin in pins:
        _one(pin)
    _take()


def _one(pin: Pin) -> None:
    with st.expander(plain(pin.title), key=f"pin_{pin.number}"):
        st.caption(plain(_short(pin.run_key.prompt.text)))
        st.text_area(
            "Your note",
            pin.note,
            key=f"note_{pin.number}",
            max_chars=MOST_NOTE,
            height=80,
            on_change=handler(_note),
            args=(pin.number,),
        )
        model, fingerprint = pin.about
        cited = Citation(
            pin.title, pin.run_key.prompt.text, model, fingerprint, date.today().isoformat(), f"{address()}/{pin.link}"
        )
        st.caption("Cite this view")
        st.code(cited.bibtex, language=None, wrap_lines=True, height=110)
        st.code(cited.plain, language=None, wrap_lines=True, height=80)
        st.button("Let go of it", key=f"drop_{pin.number}", on_click=handler(_drop), args=(pin.number,))


def _take() -> None:
    """The file is made when it is asked for, and saved by a second press: a browser saves nothing unasked."""
    state = st.session_state
    st.button("Make the file", key="make_report", on_click=handler(make), width="stretch")
    made = state.get("report_file")
    if made is None:
        return
    st.download_button(
        f"Save it ({len(made) / 1e6:.2f} MB)",
        made,
        "regard-report.html",
        "text/html",
        key="take_report",
        icon=":material/download:",
        on_click="ignore",
        type="primary",
        width="stretch",
    )


def add() -> None:
    """Put what is on screen behind what was collected. Raises `VisitorError` where there is nothing of a text."""
    state = st.session_state
    page = state.page
    title = next(entry.title for entry in navigation.ENTRIES if entry.page == page)
    if page in WITHOUT:
        raise VisitorError(f"The page {title} is about no text: a report shows what was read. Open another page.")
    if len(state.setdefault("pins", [])) >= MOST_VIEWS:
        raise VisitorError(f"A report holds {MOST_VIEWS} views at most. Let go of one first.")
    query = {name: value for name, value in links.query(page).items() if name != "report"}
    link = "" if "text_id" in query else f"{page}?{urlencode(query)}"
    state.report_number = number = state.get("report_number", 0) + 1
    pin = _seen(Pin(number, session.current_key(), "self", (0, 0), title, link))
    state.pins = [*state.pins, pin]
    state.report_file = None


def _seen(pin: Pin) -> Pin:
    """With what its page shows of the run."""
    state, page = st.session_state, st.session_state.page
    steps = state.get("generated") if page == GENERATION else ()
    if steps:
        pin = replace(pin, run_key=session.current_key(tuple(step.token.id for step in steps)))
    run = session.run_of(pin.run_key)
    kind = "cross" if page == TRANSLATION else heads.attention_read(run)
    head = _head(run, kind, pin.run_key)
    pin = replace(pin, kind=kind, head=head, about=(run.info.title, run.info.fingerprint))
    if page == ATTENTION:
        spec = reading.spec(run)
        look = {"log": state.scale == "log", "fitted": state.range == "fitted", "lines": state.stage == LINES}
        look |= {"least": state.least, "top": state.top}
        title, rules = reading.title(spec, run), f"In force: {reading.in_force(spec)}."
        head = spec.heads[0] if len(spec.heads) == 1 else head
        return replace(pin, head=head, spec=spec, look=look, title=title, rules=rules)
    if steps:
        spec = heads.spec(LAYER if state.mean_of_heads else ONE, run)
        lm = session.current_model()
        film = film_of(
            run,
            spec,
            steps,
            who=heads.in_words(spec, run),
            label=lambda id: lm.token(id).label,
            at=len(steps) - 1 if state.opened is None else state.opened,
        )
        return replace(pin, title=f"{pin.title}: {len(steps)} tokens written", film=film)
    if "layer" in choices_of(page):
        return replace(pin, title=f"{pin.title}: {head_name(*head)}")
    return pin


def _head(run: ModelRun, kind: str, run_key: RunKey) -> tuple[int, int]:
    """The chosen one, where it is one of this run's; else a telling one."""
    state, there = st.session_state, run.grid(kind)
    chosen = (state.get("layer"), state.get("head"))
    if chosen[0] in there.layers and chosen[1] is not None and chosen[1] < there.n_head:
        return chosen
    first = session.first_look_of(run_key, kind)
    return (first.layer, first.head) if first.layer in there.layers else (there.layers[0], 0)


def _note(number: int) -> None:
    said = (st.session_state[f"note_{number}"] or "")[:MOST_NOTE]
    st.session_state.pins = [replace(pin, note=said) if pin.number == number else pin for pin in st.session_state.pins]
    st.session_state.report_file = None


def _drop(number: int) -> None:
    st.session_state.pins = [pin for pin in st.session_state.pins if pin.number != number]
    st.session_state.report_file = None


def make() -> None:
    """The file, of all that is collected. Raises `VisitorError`."""
    made = file.report(readings(st.session_state.pins), address=address()).encode()
    if len(made) > MOST_BYTES:
        raise VisitorError(
            f"The report would have {len(made) / 1e6:.0f} MB, and {MOST_BYTES / 1e6:.0f} can be. Let go of some views."
        )
    st.session_state.report_file = made


def readings(pins: list[Pin]) -> list[file.Reading]:
    """The views of one run stand below one grid of its heads. Raises `VisitorError` where a run cannot be had again."""

    def of(pin: Pin) -> tuple[RunKey, str]:
        return pin.run_key, pin.kind

    order = list(dict.fromkeys(map(of, pins)))
    made = []
    for (run_key, kind), some in groupby(sorted(pins, key=lambda pin: order.index(of(pin))), key=of):
        some = list(some)
        run = session.run_of(run_key)
        views = [file.View(pin.title, pin.link, pin.note, pin.rules, _map(pin), pin.film) for pin in some]
        n = len(run_key.prompt.continuation)
        more = [f"Of its tokens, the last {n} were written by the model."] if n else []
        first = some[0]
        made.append(
            file.reading_of(
                run, run_key.prompt.text, kind=kind, head=first.head, views=views, link=first.link, more=more
            )
        )
    return made


def _map(pin: Pin) -> file.Map | None:
    if pin.spec is None:
        return None
    read, look = session.map_of(pin.run_key, pin.spec), pin.look
    return file.Map(
        read.weights,
        [read.units.labels[i] for i in read.queries],
        [read.key_units.labels[i] for i in read.keys],
        colour_scale(read.weights, log=look["log"], fitted=look["fitted"]),
        lines=look["lines"],
        least=look["least"],
        top=look["top"],
        joined=False,
    )


def address() -> str:
    """Where this visitor's browser found Regard; "" where it does not say."""
    parts = urlsplit(st.context.url or "")
    if parts.scheme not in ("http", "https"):
        return ""
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"{parts.scheme}://{parts.netloc}" + (f"/{base}" if base else "")


def _short(text: str, most: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
