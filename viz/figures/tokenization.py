"""How a text became tokens: tokens per word, and the steps of one word as a table in which its pieces grow."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from model.run import Token, readable
from model.text.bpe import Merge, Piece
from model.text.unigram import Best
from model.text.word_piece import Match
from viz.figures import axes, theme

_LONGEST_NAME = 24
_MOST_TRIED = 3  # entries that are named, of those that WordPiece looked up in vain

STEPS_CSS = f"""
.merges {{ overflow-x: auto; padding-bottom: .5rem; }}
.merges table {{ border-collapse: separate; border-spacing: 3px 4px; direction: ltr; }}
.merges th, .merges td {{ padding: 0; border: 0; font-weight: 400; }}
.merges th {{ text-align: left; white-space: nowrap; padding-right: 1.2rem; font-size: .85rem; opacity: .8; }}
.merges td {{ min-width: 2.3rem; text-align: center; }}
.merges td span {{ display: block; padding: .1rem .4rem; border-radius: .3rem; white-space: pre; line-height: 1.6;
  font-family: {theme.MONOSPACE}; font-size: .9rem; unicode-bidi: isolate; border: 2px solid transparent;
  background: color-mix(in srgb, currentColor 9%, transparent); }}
.merges td.joined span {{ border-color: {theme.ACCENT};
  background: color-mix(in srgb, {theme.ACCENT} 22%, transparent); }}
.merges td.rest span {{ background: transparent; border: 1px dashed color-mix(in srgb, currentColor 40%, transparent);
  opacity: .75; }}
.merges td.note {{ text-align: right; padding-right: 1.2rem; font-size: .85rem; font-variant-numeric: tabular-nums;
  white-space: nowrap; }}
.merges thead th {{ font-weight: 600; opacity: .75; }}
@media (max-width: 40rem) {{
  .merges tbody th, .merges td.note, .merges thead th {{ font-size: .75rem; padding-right: .4rem; max-width: 6.5rem;
    white-space: normal; overflow-wrap: break-word; }}
  .merges td {{ min-width: 1.6rem; }}
}}
"""


def word_name(word: str) -> str:
    """A word for a list or a tick: its spaces and signs visible, cut if it is long."""
    shown = readable(word.encode())
    return shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 1] + "…"


def tokens_per_word(words: Sequence[str], counts: Sequence[int], chosen: int | None) -> go.Figure:
    """One bar a word, as high as the word has tokens; the chosen word, if one is, in the accent colour."""
    names = [axes.escape(word_name(word)) for word in words]
    every = list(range(len(words)))
    others = [i for i in every if i != chosen]
    fig = go.Figure()
    for positions, colour in ((others, None), ([] if chosen is None else [chosen], theme.ACCENT)):
        fig.add_bar(
            x=positions,
            y=[counts[i] for i in positions],
            customdata=[[names[i], len(words[i].encode())] for i in positions],
            hovertemplate="%{customdata[0]}<br>%{y} tokens for %{customdata[1]} bytes<extra></extra>",
            marker_color=colour,
        )
    fig.update_layout(
        xaxis=axes.token_axis([word_name(word) for word in words], "", constrain=None),
        yaxis={"title": "tokens", "rangemode": "tozero", "dtick": max(1, round(max(counts) / 5))},
        barmode="overlay",
        bargap=0.35 if len(words) < 40 else 0,
        showlegend=False,
        height=250,
        margin={"t": 10, "b": 10},
    )
    return fig


@dataclass(frozen=True)
class Cell:
    """A piece in the table of steps."""

    label: str
    width: int  # columns
    kind: str = "piece"  # or "joined", which is framed; "rest", not cut yet; "blank"
    title: str = ""


@dataclass(frozen=True)
class Step:
    """One row: what was done, a number or two, and how the word stood then."""

    name: str
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]


# the token of a vocabulary entry
Named = Callable[[int], Token]


def piece_cell(token: Token, width: int, kind: str = "piece", label: str | None = None) -> Cell:
    return Cell(token.label if label is None else label, width, kind, f"{token.piece.hex(' ').upper()}, id {token.id}")


def merge_steps(merges: Iterable[Merge], named: Named, start: str) -> list[Step]:
    """The pieces before the first merge, and a row for each; `start`: what the pieces are then."""
    rows = []
    for merge in merges:
        cells = [
            piece_cell(named(piece.id), piece.width, "joined" if i in merge.joined else "piece")
            for i, piece in enumerate(merge.pieces)
        ]
        name = " + ".join(named(id).label for id in merge.pair) if merge.pair else start
        rank = "" if merge.rank is None else f"no. {merge.rank:,}"
        rows.append(Step(name, (rank,), tuple(cells)))
    return rows


def match_steps(matches: Iterable[Match], word: str, entries: Callable[[int], str]) -> list[Step]:
    """A row for each look-up of WordPiece: what was tried in vain, what was found, and what is left."""
    rows, found = [], []
    for match in matches:
        tried = ", ".join(match.tried[:_MOST_TRIED])
        if len(match.tried) > _MOST_TRIED:
            tried += f" … ({len(match.tried):,})"
        if match.piece is None:
            cells = (*found, Cell(readable(word[match.start :].encode()), len(word) - match.start, "rest"))
            rows.append(Step("nothing fits", (tried,), cells))
            break
        name, width = entries(match.piece.id), match.piece.end - match.piece.start
        rest = word[match.piece.end :]
        cells = [*found, Cell(name, width, "joined", f"id {match.piece.id}")]
        if rest:
            cells.append(Cell(readable(rest.encode()), len(rest), "rest"))
        rows.append(Step(name, (tried,), tuple(cells)))
        found.append(Cell(name, width, "piece", f"id {match.piece.id}"))
    return rows


def lattice_steps(
    best: Iterable[Best], word: str, named: Named, unknown: int | None, shown: Callable[[str], str]
) -> list[Step]:
    """A row for each place where a piece can end: the best last piece up to there; those of the best way are framed.
    `shown`: how a part of the word is written.
    """
    best = list(best)
    column = {0: 0}  # where what follows each place begins
    for each in best:
        column[each.piece.end] = column[each.piece.start] + each.piece.width
    n_column, rows = max(column.values()), []
    for each in best:
        piece, start = each.piece, column[each.piece.start]
        rest = n_column - start - piece.width
        # an unknown character is shown as itself
        label = shown(word[piece.start : piece.end]) if piece.id == unknown else None
        cells = (
            *([Cell("", start, "blank")] if start else []),
            piece_cell(named(piece.id), piece.width, "joined" if each.on_path else "piece", label),
            *([Cell("", rest, "blank")] if rest else []),
        )
        note = f"{each.log_prob:.2f}{', unknown' * (piece.id == unknown)}"
        reached = shown(word[: piece.end])
        reached = reached if len(reached) <= _LONGEST_NAME else f"…{reached[1 - _LONGEST_NAME :]}"
        rows.append(Step(reached, (note, f"{each.total:.2f}"), cells))
    return rows


def tokens_step(name: str, notes: Sequence[str], pieces: Iterable[Piece], named: Named) -> Step:
    """The row of what came out."""
    return Step(name, tuple(notes), tuple(piece_cell(named(piece.id), piece.width) for piece in pieces))


def text_step(name: str, n_note: int, text: str, n_column: int) -> Step:
    """The row of a text that is not cut yet."""
    return Step(name, ("",) * n_note, (Cell(text, n_column, "rest"),))


def steps_table(head: Sequence[str], steps: Sequence[Step]) -> str:
    """The steps as an HTML table: a column for each of the smallest parts, a piece as wide as it has. `head`: the names
    of the first columns, one more than a step has notes. Styled by `STEPS_CSS`."""
    n_column = max(sum(cell.width for cell in step.cells) for step in steps)
    names = "".join(f"<th scope='col'>{escape(name)}</th>" for name in head)
    rows = [f"<thead><tr>{names}<th scope='col' colspan='{n_column}'>the pieces</th></tr></thead><tbody>"]
    for step in steps:
        notes = "".join(f"<td class='note'>{escape(note)}</td>" for note in step.notes)
        rows.append(f"<tr><th scope='row'>{escape(step.name)}</th>{notes}{''.join(map(_cell, step.cells))}</tr>")
    return f"<div class='merges' tabindex='0'><table>{''.join(rows)}</tbody></table></div>"


def _cell(cell: Cell) -> str:
    title = f" title='{escape(cell.title)}'" if cell.title else ""
    inside = f"<span>{escape(cell.label)}</span>" if cell.label else ""
    return f"<td colspan='{cell.width}' class='{cell.kind}'{title}>{inside}</td>"


def stretch_around(tokens: Sequence[Token], chosen: int, first: int, last: int, n_byte: int) -> tuple[int, int]:
    """The tokens around the chosen one, within `first` … `last`, that make whole characters and at most `n_byte` bytes.

    Returns the first and the last of them. At least the chosen token's own characters are there, whatever their length.
    """
    # where a character ends with the token: tokens that share a character stay together
    starts = [i for i in range(first, last + 1) if i == first or tokens[i].start >= tokens[i - 1].end] + [last + 1]
    group = max(i for i, start in enumerate(starts) if start <= chosen)
    low, high = group, group + 1  # groups low … high - 1 are taken

    def fits(low: int, high: int) -> bool:
        if low < 0 or high >= len(starts):
            return False
        return sum(len(token.piece) for token in tokens[starts[low] : starts[high]]) <= n_byte

    while True:
        wider = [pair for pair in ((low, high + 1), (low - 1, high)) if fits(*pair)]
        if not wider:
            return starts[low], starts[high] - 1
        low, high = min(wider, key=lambda pair: abs(pair[0] + pair[1] - 2 * group - 1))
