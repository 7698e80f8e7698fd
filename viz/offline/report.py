"""The report: what was seen, as one HTML file that opens anywhere, offline, with all heads alive.

Letters: L layers, H heads, Q rows look, K columns are looked at. Weights travel as ten-thousandths, uint16, because
four digits are what the pictures say; a script of the page (report.js) draws whatever head is clicked from these.
"""

import html
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np

from model.analysis.attention import layer_weights, pooled_overview
from model.run import Layer, ModelRun, NoAttention, Token
from viz.figures.heads import head_name
from viz.figures.scale import ColourScale
from viz.offline.citation import Citation, versions
from viz.offline.film import FILM, Film
from viz.offline.page import HERE, page
from viz.offline.pictures import CHIPS, GRID, LINES, chips_data
from viz.offline.source import Columns, Source
from viz.offline.vectors import Drawing
from viz.plain import visible

# weights of all heads that travel exactly, 2 bytes each before they are packed: 128 tokens of 144 heads; of more, each
# map as the grid has it, pooled to 64 x 64
MOST_EXACT = 2_500_000
NOTHING, UNIT = 2**16 - 1, 10_000  # as in report.js
LEAST_LINE = 0.02  # lines of less are left out, as at first on the page
MAP = Source(
    "head_map",
    '<div class="map"><div class="keys" aria-hidden="true"></div><div class="queries" aria-hidden="true"></div>'
    '<div class="cells"><canvas tabindex="0" role="application"></canvas><div class="cell" hidden></div></div>'
    '<div class="legend" role="img" aria-label="The colours of weights"><div class="bar"></div>'
    '<div class="marks"></div></div><div class="tip" hidden></div><div class="spoken" aria-live="polite"></div></div>',
    ("palette", "watch", "tip", "scale_bar"),
    HERE,
)


@dataclass(frozen=True)
class Heads:
    """The attention of all heads between two rows of labels, of one kind."""

    layers: Sequence[Layer | NoAttention]
    rows: Sequence[str]  # (Q,)
    columns: Sequence[str]  # (K,), a sink last
    head: tuple[int, int] = (0, 0)  # the one that is shown at first
    joined: bool = True  # both are of one text
    chips: Sequence[tuple[str, Sequence[Token], bool]] = ()  # a name, its tokens, whether these are the rows

    @property
    def n_weight(self) -> int:
        some = next(each for each in self.layers if not isinstance(each, NoAttention))
        return len(self.layers) * some.n_head * len(self.rows) * len(self.columns)


@dataclass(frozen=True)
class Map:
    """One map as it was read: of several heads, by words, with the rules in force."""

    weights: np.ndarray  # (Q, K); NaN: no such weight
    rows: Sequence[str]
    columns: Sequence[str]
    scale: ColourScale = field(default_factory=ColourScale)
    lines: bool = False  # as lines instead
    least: float = LEAST_LINE
    top: int = 0  # lines of each row; 0: all
    joined: bool = True


@dataclass(frozen=True)
class View:
    """One thing that was on screen."""

    title: str
    link: str = ""  # the path and query of its address; "" where it has none
    note: str = ""  # the visitor's
    rules: str = ""  # in force, in words
    map: Map | None = None
    film: Film | None = None
    drawings: Sequence[Drawing] = ()  # the other pictures that were there


@dataclass(frozen=True)
class Reading:
    """One text read by one model, and what was looked at; or a page about no text."""

    text: str  # "" where there is none
    model: str  # as people read it
    fingerprint: str  # of its weights; "" where there are none that stay
    about: Sequence[str]  # lines that say what it is
    heads: Heads | None = None
    views: Sequence[View] = ()
    link: str = ""
    note: str = ""  # the visitor's, on all of it


def reading_of(
    run: ModelRun,
    text: str,
    *,
    kind: str = "self",
    head: tuple[int, int],
    views: Sequence[View] = (),
    link: str = "",
    note: str = "",
    more: Sequence[str] = (),
) -> Reading:
    """Of a run: all heads of one kind of its attention. `head`: the one that is shown at first. `more`: lines on it."""
    queries, keys = run.sides(kind)
    words = {"encoder": "the encoder’s attention", "cross": "cross-attention", "self": "attention"}[kind]
    if kind == "self" and run.source:
        words = "the decoder’s own attention"
    chips = [("Tokens", run.tokens, kind != "encoder")]
    if run.source:
        chips = [
            ("Tokens of the source", run.source, kind == "encoder"),
            ("Tokens written", run.tokens, kind != "encoder"),
        ]
    there = run.grid(kind)
    return Reading(
        text,
        run.info.title,
        run.info.fingerprint,
        [
            f"{run.info.title} (model {run.info.name}, weights {run.info.fingerprint[:12]}): {words} of "
            f"{there.n_layer} layers × {there.n_head} heads, {len(queries)} tokens"
            + (f" looking at {len(keys)}" if kind == "cross" else "")
            + "; softmax weights of one run, to four digits.",
            *more,
        ],
        Heads(run.layers(kind), [t.label for t in queries], [t.label for t in keys], head, kind != "cross", chips),
        views,
        link,
        note,
    )


def report(
    readings: Sequence[Reading], *, title: str = "", address: str = "", day: date | None = None, bare: bool = False
) -> str:
    """The file. `address`: where Regard runs, before the path of a link: http://localhost:8501; "" for no links.

    `bare`: without a heading of its own, as a cell of a notebook shows it.
    """
    on = (day or date.today()).isoformat()
    title = title or f"Regard: {readings[0].text or readings[0].model}"
    sources: dict[str, Source] = {}
    if any(reading.heads for reading in readings):
        sources |= {each.name: each for each in (CHIPS, GRID, MAP, LINES)}
    for view in (view for reading in readings for view in reading.views):
        if view.map:
            sources |= {each.name: each for each in (MAP, LINES)}
        if view.film:
            sources[FILM.name] = FILM
    data = {"readings": [_reading_data(reading) for reading in readings]}
    body = "".join(_reading_html(reading, i, address, on, bare) for i, reading in enumerate(readings))
    by = ", ".join(f"{name.capitalize()} {version}" for name, version in versions().items())
    if not bare:
        body = (
            f"<header><h1>{_text(_shortened(title))}</h1>"
            '<button type="button" class="theme">Light or dark</button>'
            f'<p class="about">Made on {on} by {_text(by)}. It needs no network. Point at a tile to see that head, '
            "click it to keep it; Shift, or the name of a layer or a column, takes several.</p></header>"
            f"<main>{body}</main>"
        )
    else:
        body = f'<main class="bare">{body}</main>'
    script = (HERE / "report.js").read_text(encoding="utf-8")
    return page(_shortened(title), body, data, list(sources.values()), script)


def in_units(weights: np.ndarray) -> np.ndarray:
    """Weights of any shape as ten-thousandths, uint16; `NOTHING` for NaN."""
    there = np.isnan(weights)
    units = np.rint(np.where(there, 0, weights).astype(np.float64) * UNIT).clip(0, NOTHING - 1)
    return np.where(there, NOTHING, units).astype(np.uint16)


def _reading_data(reading: Reading) -> dict[str, Any]:
    heads = reading.heads
    return {
        "heads": heads and _heads_data(heads),
        "views": [
            {
                "map": view.map and _map_data(view.map),
                "film": view.film and view.film.data,
                "drawings": [_drawing_data(each) for each in view.drawings],
            }
            for view in reading.views
        ],
    }


def _heads_data(heads: Heads) -> dict[str, Any]:
    exact = heads.n_weight <= MOST_EXACT
    rows, columns = list(heads.rows), list(heads.columns)
    others = {str(i): each.what for i, each in enumerate(heads.layers) if isinstance(each, NoAttention)}
    n_head = next(each for each in heads.layers if not isinstance(each, NoAttention)).n_head
    if exact:
        nothing = np.full((n_head, len(rows), len(columns)), np.nan, np.float32)
        maps = [nothing if isinstance(each, NoAttention) else layer_weights(each) for each in heads.layers]
    else:
        overview = pooled_overview(heads.layers)
        maps = overview.maximum
        rows, columns = (
            [_spoken_of(names, *ends) for ends in itertools.pairwise(edges)]
            for names, edges in ((rows, overview.query_edges), (columns, overview.key_edges))
        )
    return {
        "n_layer": len(heads.layers),
        "n_head": n_head,
        "rows": rows,
        "columns": columns,
        "others": others,
        "head": list(heads.head),
        "exact": exact,
        "joined": heads.joined,
        "least": LEAST_LINE,
        "top": 0,
        "chips": [{"data": chips_data(tokens), "looks": looks} for _, tokens, looks in heads.chips],
        "maps": Columns(w=in_units(np.asarray(maps))),
    }


def _drawing_data(drawing: Drawing) -> Columns:
    return Columns(svg=np.frombuffer(drawing.svg.encode(), np.uint8))


def _spoken_of(names: list[str], start: int, end: int) -> str:
    """Several tokens that one cell stands for."""
    return names[start] if end - start == 1 else f"{names[start]} … {names[end - 1]}"


def _map_data(shown: Map) -> dict[str, Any]:
    low, high = shown.scale.ends
    at, said = shown.scale.ticks
    return {
        "rows": list(shown.rows),
        "columns": list(shown.columns),
        "scale": {"low": low, "high": high, "log": shown.scale.log},
        "marks": [[(place - low) / (high - low), text] for place, text in zip(at, said, strict=True)],
        "lines": shown.lines,
        "joined": shown.joined,
        "least": shown.least,
        "top": shown.top,
        "maps": Columns(w=in_units(shown.weights)),
    }


def _reading_html(reading: Reading, i: int, address: str, on: str, bare: bool) -> str:
    heads, made = reading.heads, []
    named = _text(_shortened(reading.text or reading.model))
    made.append(f"<h2>“{named}”</h2>" if reading.text else f"<h2>{named}</h2>")
    if len(reading.text) > len(_shortened(reading.text)) or "\n" in reading.text:
        made.append(f'<div class="typed" tabindex="0" role="group" aria-label="The text">{_text(reading.text)}</div>')
    made += [f'<p class="about">{_text(line)}</p>' for line in reading.about]
    what = head_name(*heads.head).capitalize() if heads else "The text"
    made.append(_note(reading.note))
    if reading.text:
        made.append(_ways(reading, what, reading.link, address, on))
    if heads:
        made += [
            f'<h3>{_text(name)}</h3><div data-show="chips-{n}"></div>' for n, (name, _, _) in enumerate(heads.chips)
        ]
        exact = heads.n_weight <= MOST_EXACT
        cell = (
            "" if exact else " Each cell is the largest weight of several tokens: of the exact one, open it in Regard."
        )
        made.append(
            '<div class="two"><div class="all"><h3>All heads</h3><div data-show="grid"></div>'
            '<p class="how">A tile is a head: rows are the tokens that look, columns the tokens looked at. Arrow keys '
            f"go from head to head, Enter keeps one.{cell}</p></div>"
            '<div class="stage"><h3 class="stage-title" aria-live="polite"></h3><div data-show="map"></div>'
            '<p class="how">Read along a row: how what stands on the left shares its attention.</p></div></div>'
        )
        if exact:
            made.append(
                '<h3>The same as lines</h3><div data-show="lines"></div><p class="how">Thicker and darker for more; '
                f"lines of less than {LEAST_LINE:g} are left out. Point at a token to see only its own, click it "
                "to keep them.</p>"
            )
        made.append(
            '<details class="numbers"><summary>The numbers of this map</summary><div tabindex="0"></div></details>'
        )
    made += [_view_html(reading, view, address, on) for view in reading.views]
    return f'<section class="reading" id="reading-{i}" aria-label="{named}">{"".join(made)}</section>'


def _view_html(reading: Reading, view: View, address: str, on: str) -> str:
    picture = '<div data-show="view"></div><p class="said" role="status"></p>' if view.map or view.film else ""
    ways = _ways(reading, view.title, view.link, address, on)
    rules = f'<p class="about">{_text(view.rules)}</p>' if view.rules else ""
    more = f'<div class="drawings">{"".join(map(_drawing_html, view.drawings))}</div>' if view.drawings else ""
    return f'<article class="view"><h3>{_text(view.title)}</h3>{_note(view.note)}{rules}{picture}{more}{ways}</article>'


def _drawing_html(drawing: Drawing) -> str:
    said = _text(" · ".join(filter(None, (drawing.title, drawing.own))))
    return (
        f'<figure><div data-show="drawing" tabindex="0" role="group" aria-label="{_text(drawing.title)}"></div>'
        f"<figcaption>{said}</figcaption></figure>"
    )


def _note(note: str) -> str:
    return f'<div class="note" role="note">{_text(note.strip())}</div>' if note.strip() else ""


def _ways(reading: Reading, what: str, link: str, address: str, on: str) -> str:
    """Where it opens, and how it is cited; nothing of the latter of weights that no model gave."""
    where = f"{address.rstrip('/')}/{link.lstrip('/')}" if address and link else ""
    cited = Citation(what, reading.text, reading.model, reading.fingerprint, on, where)
    opens = (
        f'<a href="{html.escape(where)}" target="_blank" rel="noopener" '
        f'title="Where Regard runs: {html.escape(address)}">Open in Regard</a>'
        if where.startswith(("http://", "https://"))
        else ""
    )
    if not reading.fingerprint:
        return f'<div class="ways">{opens}</div>' if opens else ""
    figures = "".join(
        f'<figure><figcaption>{name} <button type="button" class="copy">Copy</button></figcaption>'
        f"<pre>{_text(text)}</pre></figure>"
        for name, text in (("BibTeX", cited.bibtex), ("Plain text", cited.plain))
    )
    return f'<div class="ways">{opens}<details><summary>Cite this view</summary>{figures}</details></div>'


def _text(text: str) -> str:
    return html.escape(visible(text))


def _shortened(text: str, most: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
