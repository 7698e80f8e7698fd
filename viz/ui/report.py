"""What a visitor collects for a report: views, with notes, kept in the session; and the file that is made of them.

A view is kept as what finds it again (the key of its run, the spec of its map), not as its numbers: the cache has
those, or makes them again. Pictures that a report does not draw itself are those that stood on the page: the browser is
asked for them, as their corners would save them, and they are kept compressed.
"""

import zlib
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Any
from urllib.parse import urlencode, urlsplit

import streamlit as st

from model.analysis.attention_map import MapSpec
from model.run import ModelInfo, ModelRun, VisitorError
from model.text.prompt import RunKey
from viz.components.collect import collect
from viz.figures.heads import head_name
from viz.figures.scale import colour_scale
from viz.guard import handler, section
from viz.offline import report as file
from viz.offline.citation import Citation
from viz.offline.film import Film, film_of
from viz.offline.vectors import Drawing, cleaned
from viz.plain import plain
from viz.ui import corners, heads, links, navigation, reading, session
from viz.ui.choices import ATTENTION, GENERATION, HEADS, LAYER, LINES, MODEL, ONE, TRAINING, TRANSLATION
from viz.ui.choices import of as choices_of

MOST_VIEWS, MOST_NOTE = 12, 2000  # views; characters of a note
MOST_BYTES = 16 * 10**6  # of the file, which stays in memory until it is taken
MOST_LETTERS, MOST_KEPT = 8 * 10**6, 2 * 10**6  # of a view's SVGs as they come, and bytes of them compressed
WITHOUT = (HEADS, MODEL, TRAINING)  # pages that are about no text of the visitor's
# pictures that the report draws itself, alive
ALIVE = {ATTENTION: ("head_grid", "head_map", "head_look", "token_graph"), GENERATION: ("film",)}
TOKENS = "chips"  # of any page: those of the text
_WANTED = "drawings_wanted"  # in the session: the number of the view whose pictures the browser is asked for


@dataclass(frozen=True)
class Pin:
    """One view, as it was on screen."""

    number: int  # of the session, for its widgets
    page: str
    title: str
    link: str  # path and query
    run_key: RunKey | None = None  # None: of no text
    kind: str = "self"
    head: tuple[int, int] = (0, 0)
    about: tuple[str, ...] = ()  # the model, in words, and its fingerprint
    note: str = ""
    rules: str = ""  # in force, in words
    spec: MapSpec | None = None  # of its map
    look: dict[str, Any] = field(default_factory=dict)  # how the map was drawn
    film: Film | None = None
    drawings: tuple[tuple[str, str, bytes], ...] = ()  # what each shows, what it is of, its SVG compressed
    left: int = 0  # pictures that were too large, or that the browser could not draw

    @property
    def text(self) -> str:
        return self.run_key.prompt.text if self.run_key else ""


@section("report")
def show() -> None:
    """The switch, and behind it what is collected."""
    if not st.toggle(
        "Report",
        key=links.key("report"),
        help="Collect views with your notes, cite them, and save them as one file that works without a network.",
    ):
        return
    state = st.session_state
    pins: list[Pin] = state.setdefault("pins", [])
    st.button(
        "Add what is on screen",
        key="add_to_report",
        icon=":material/add:",
        on_click=handler(add),
        disabled=len(pins) >= MOST_VIEWS,
        width="stretch",
    )
    if not pins:
        st.caption(f"Nothing yet. Up to {MOST_VIEWS} views, from any page; gone with your visit.")
        return
    for pin in pins:
        _one(pin)
        if state.get(_WANTED) == pin.number:
            collect(pin.number, (TOKENS, *ALIVE.get(pin.page, ())), MOST_LETTERS, key="collect", on_collected=receive)
    _take()


def _one(pin: Pin) -> None:
    with st.expander(plain(pin.title), key=f"pin_{pin.number}"):
        if pin.text:
            st.caption(plain(_short(pin.text)))
        st.caption(_pictures(pin))
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
        if fingerprint:
            where = f"{address()}/{pin.link}"
            cited = Citation(pin.title, pin.text, model, fingerprint, date.today().isoformat(), where)
            st.caption("Cite this view")
            st.code(cited.bibtex, language=None, wrap_lines=True, height=110)
            st.code(cited.plain, language=None, wrap_lines=True, height=80)
        st.button("Let go of it", key=f"drop_{pin.number}", on_click=handler(_drop), args=(pin.number,))


def _pictures(pin: Pin) -> str:
    """What the report will show of it, in words."""
    if st.session_state.get(_WANTED) == pin.number:
        return "The pictures of the page are being taken along …"
    n, left = len(pin.drawings), pin.left
    said = f"{n} picture{'s' * (n != 1)} of the page" if n else "No further picture of the page"
    return said + (f"; {left} {'is' if left == 1 else 'are'} too large, and left out" if left else "") + "."


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
    """Put what is on screen behind what was collected, and ask the browser for its pictures."""
    state = st.session_state
    page = state.page
    if len(state.setdefault("pins", [])) >= MOST_VIEWS:
        raise VisitorError(f"A report holds {MOST_VIEWS} views at most. Let go of one first.")
    title = next(entry.title for entry in navigation.ENTRIES if entry.page == page)
    query = {name: value for name, value in links.query(page).items() if name != "report"}
    link = "" if "text_id" in query else f"{page}?{urlencode(query)}"
    state.report_number = number = state.get("report_number", 0) + 1
    pin = Pin(number, page, title, link)
    state.pins = [*state.pins, _of_no_text(pin) if page in WITHOUT else _seen(pin)]
    state[_WANTED] = number
    state.report_file = None


def receive(found: object) -> None:
    """Pictures from the browser, for one of the views: only what draws is kept. What is none of them is dropped."""
    match found:
        case {"number": int(number), "left": int(left), "pictures": list(pictures)}:
            kept, room = [], MOST_KEPT
            for each in pictures:
                drawing = _drawing(each)
                room -= len(drawing[2]) if drawing else 0
                if drawing and room >= 0:
                    kept.append(drawing)
            left = max(0, left) + len(pictures) - len(kept)
            _change(number, drawings=tuple(kept), left=left)
            if st.session_state.get(_WANTED) == number:
                st.session_state[_WANTED] = None


def _drawing(sent: object) -> tuple[str, str, bytes] | None:
    match sent:
        case {"title": str(title), "own": str(own), "svg": str(svg)} if len(svg) <= MOST_LETTERS:
            try:
                return title[:MOST_NOTE], own[:MOST_NOTE], zlib.compress(cleaned(svg).encode())
            except ValueError:
                return None
    return None


def _change(number: int, **what: object) -> None:
    """Of one view; the file, if there is one, is not of this any more."""
    state = st.session_state
    state.pins = [replace(pin, **what) if pin.number == number else pin for pin in state.get("pins", ())]
    state.report_file = None


def _of_no_text(pin: Pin) -> Pin:
    model = corners.model_of(pin.page)
    if isinstance(model, ModelInfo):
        return replace(pin, about=(model.title, model.fingerprint))
    return replace(pin, about=(model or pin.title, ""))


def _seen(pin: Pin) -> Pin:
    """With what its page shows of the run."""
    state, page = st.session_state, pin.page
    steps = state.get("generated") if page == GENERATION else ()
    pin = replace(pin, run_key=session.current_key(tuple(step.token.id for step in steps or ())))
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
    _change(number, note=(st.session_state[f"note_{number}"] or "")[:MOST_NOTE])


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

    def of(pin: Pin) -> tuple:
        return pin.run_key, pin.kind, pin.run_key is None and pin.about

    order = list(dict.fromkeys(map(of, pins)))
    made = []
    for (run_key, kind, _), some in groupby(sorted(pins, key=lambda pin: order.index(of(pin))), key=of):
        some = list(some)
        views, first = [*map(_view, some)], some[0]
        if run_key is None:
            model, fingerprint = first.about
            about = [f"Weights {fingerprint[:12]}."] if fingerprint else []
            made.append(file.Reading("", model[:1].upper() + model[1:], fingerprint, about, views=views))
            continue
        run = session.run_of(run_key)
        n = len(run_key.prompt.continuation)
        more = [f"Of its tokens, the last {n} were written by the model."] if n else []
        made.append(
            file.reading_of(
                run, run_key.prompt.text, kind=kind, head=first.head, views=views, link=first.link, more=more
            )
        )
    return made


def _view(pin: Pin) -> file.View:
    drawings = [Drawing(title, own, zlib.decompress(packed).decode()) for title, own, packed in pin.drawings]
    return file.View(pin.title, pin.link, pin.note, pin.rules, _map(pin), pin.film, drawings)


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
