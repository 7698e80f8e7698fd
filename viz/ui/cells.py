"""Which value of which run the card explains, and how an address says it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from model.analysis.attention_map import COMBINE, SEGMENTS, SINK, MapSpec, parse_heads, write_heads
from model.intervention import UNCHANGED, Intervention
from model.run import PromptError, VisitorError
from model.text.prompt import Prompt, RunKey
from model.text.units import KINDS
from viz.ui import compared, session

OVER = ("mean", "sum")


@dataclass(frozen=True)
class Cell:
    """Which value of which run the card explains."""

    run_key: RunKey
    spec: MapSpec
    queries: tuple[int, ...]  # units of the spec's kind
    keys: tuple[int, ...]
    over: str = "mean"  # several queries
    beside: bool = False  # the run is not the current model's, but of one that the page shows beside it
    side: str = ""  # on the page Comparison: one of `compared.SIDES`
    less: "Cell | None" = None  # and what is subtracted from it: A's, from B's

    @property
    def plain(self) -> bool:
        """Whether it is one weight of one head."""
        return self.spec.plain and len(self.queries) == len(self.keys) == 1


def write_cell(cell: Cell) -> str:
    """As one line for an address: parts with ~ between, those that are as usual left out."""
    if cell.side:
        return "~".join([cell.side, _write_places(cell.queries), _write_places(cell.keys)])
    spec, run_key = cell.spec, cell.run_key
    parts = [spec.of, write_heads(spec.heads, session.run_of(run_key).grid(spec.of))]
    parts += [_write_places(cell.queries), _write_places(cell.keys)]
    named = {
        "combine": (spec.combine, COMBINE[0]),
        "sink": (spec.sink, SINK[0]),
        "units": (spec.kind, KINDS[0]),
        "segment": (spec.segment, SEGMENTS[0]),
        "over": (cell.over, OVER[0]),
        "after": (len(run_key.prompt.continuation), 0),
        "model": ("changed" if run_key.intervention != UNCHANGED else "as trained", "as trained"),
        "beside": (run_key.model if cell.beside else "", ""),
    }
    parts += [f"{name}:{value}" for name, (value, usual) in named.items() if value != usual]
    return "~".join(parts).replace(" ", "")


def read_cell(written: str, continuation: Sequence[int], change: Intervention) -> Cell:
    """What `write_cell` wrote, in the present text; `continuation` and `change` as the page has them now.

    Raises `PromptError` if there is no such value.
    """
    try:
        return _read(written, tuple(continuation), change)
    except (ValueError, LookupError, VisitorError) as error:
        raise PromptError(
            "The link's open card is on a weight that is not in this text and model: the card stays closed."
        ) from error


def compared_cell(side: str, query: int, key: int) -> Cell:
    """A value of what the page Comparison shows now, by the places of A, else those of B. IndexError if there is none,
    as where a difference would need a partner.
    """
    if (both := compared.now()) is None:
        raise IndexError("nothing is compared")
    here = both.a if side == compared.A else both.b
    if not (0 <= query < len(here.map.units) and 0 <= key < len(here.map.key_units)):
        raise IndexError(f"no query {query}, key {key}")
    cell = Cell(here.run_key, here.spec, (query,), (key,), side=side)
    if side != compared.LESS:
        return cell
    of_a = both.partner(side, query, key)
    if None in of_a:
        raise IndexError("no partner")
    return replace(cell, less=compared_cell(compared.A, *of_a))


def _read(written: str, continuation: tuple[int, ...], change: Intervention) -> Cell:
    if written.partition("~")[0] in compared.SIDES:
        side, query, key = written.split("~")
        return compared_cell(side, int(query), int(key))
    of, heads, queries, keys, *more = written.split("~")
    named = dict(part.split(":", 1) for part in more)
    n_after = int(named.pop("after", "0"))
    if not 0 <= n_after <= len(continuation):
        raise ValueError(written)
    run_key = session.current_key(continuation[:n_after], change if named.pop("model", "") == "changed" else UNCHANGED)
    if beside := named.pop("beside", ""):
        if beside not in {entry.name for entry in session.models_here()}:
            raise ValueError(written)
        run_key = RunKey(beside, Prompt(session.current_text()))
    run = session.run_of(run_key)
    if of not in run.kinds:
        raise ValueError(written)
    spec = MapSpec(
        parse_heads(heads, run.grid(of)),
        _among(COMBINE, named.pop("combine", None)),
        _among(SINK, named.pop("sink", None)),
        _among(KINDS, named.pop("units", None)),
        _among(SEGMENTS, named.pop("segment", None)),
        of,
    )
    read_now = session.map_of(run_key, spec)
    cell = Cell(
        run_key,
        spec,
        _read_places(queries, len(read_now.units)),
        _read_places(keys, len(read_now.key_units)),
        _among(OVER, named.pop("over", None)),
        bool(beside),
    )
    if named:
        raise ValueError(written)
    return cell


def _among(options: tuple[str, ...], word: str | None) -> str:
    """ValueError if it is none of them."""
    return options[0] if word is None else options[[option.replace(" ", "") for option in options].index(word)]


def _write_places(places: Sequence[int]) -> str:
    """0,1,2,5 as 0-2.5."""
    parts: list[list[int]] = []
    for place in places:
        if parts and place == parts[-1][-1] + 1:
            parts[-1][1:] = [place]
        else:
            parts.append([place])
    return ".".join("-".join(map(str, part)) for part in parts)


def _read_places(written: str, n: int) -> tuple[int, ...]:
    """ValueError unless each of them is one of `n`."""
    if not re.fullmatch(r"\d{1,7}(-\d{1,7})?(\.\d{1,7}(-\d{1,7})?){0,999}", written):
        raise ValueError(written)
    found: list[int] = []
    for part in written.split("."):
        first, _, last = part.partition("-")
        if not int(first) <= int(last or first) < n:
            raise ValueError(written)
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def present_cell() -> Cell | None:
    """The one whose card is open. A link's is looked up when it is first asked for; raises `PromptError` then."""
    state = st.session_state
    if state.card != state.get("cell_as", ""):  # by a link, or gone with a change of page
        written, state.cell, state.card, state.cell_as = state.card, None, "", ""
        if written:
            steps, change = state.get("generated", ()), state.get("changed_now", UNCHANGED)
            keep_cell(read_cell(written, [step.token.id for step in steps], change))
    return state.get("cell")


def keep_cell(cell: Cell | None) -> None:
    """Open the card on it when it is next drawn; None closes it."""
    state = st.session_state
    state.cell = cell
    state.card = state.cell_as = write_cell(cell) if cell else ""
