"""How a text became tokens: tokens per word, and the merges of one word as a ladder that grows from its bytes."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate

import plotly.graph_objects as go

from model.run import Token, readable
from viz.figures import axes, theme

_LONGEST_NAME = 24

MERGE_LADDER_CSS = f"""
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
.merges td.rank {{ text-align: right; padding-right: 1.2rem; font-size: .85rem; font-variant-numeric: tabular-nums; }}
.merges thead th {{ font-weight: 600; opacity: .75; }}
"""


def word_name(word: str) -> str:
    """A word for a list or a tick: its spaces and signs visible, cut if it is long."""
    shown = readable(word.encode())
    return shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 1] + "…"


def words_of_tokens(words: Sequence[str], tokens: Sequence[Token]) -> list[int | None]:
    """The place in `words`, which joined are the text, that each token belongs to.

    None for a special token that stands for nothing in the text, such as an end mark.
    """
    starts = list(accumulate(map(len, words), initial=0))[:-1]
    return [
        None if token.special and token.start == token.end else bisect_right(starts, token.start) - 1
        for token in tokens
    ]


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
class MergeStep:
    """One rung: the pieces after a merge, and which of them it made."""

    pieces: tuple[bytes, ...]
    joined: tuple[int, ...]  # places in `pieces`; none on the first rung, the single bytes
    pair: tuple[bytes, bytes] | None
    rank: int | None  # when that merge was learned; 0 is the first


def merge_ladder(steps: Iterable[Sequence[bytes]], rank: Callable[[bytes, bytes], int]) -> list[MergeStep]:
    """The steps of a word from its bytes to its tokens, each with what the merge before it joined."""
    ladder, before = [], None
    for pieces in map(tuple, steps):
        joined, pair, i = [], None, 0  # i: the place among the pieces before
        for place, piece in enumerate(pieces if before is not None else ()):
            if piece != before[i]:
                joined.append(place)
                pair = before[i], before[i + 1]
                i += 1
            i += 1
        ladder.append(MergeStep(pieces, tuple(joined), pair, rank(*pair) if pair else None))
        before = pieces
    return ladder


def merge_table(ladder: Sequence[MergeStep]) -> str:
    """The ladder as an HTML table: a column a byte, a piece as wide as its bytes. Styled by `MERGE_LADDER_CSS`."""
    n_byte = len(ladder[0].pieces)
    rows = [
        "<thead><tr><th scope='col'>step</th><th scope='col'>merge learned as</th>"
        f"<th scope='col' colspan='{n_byte}'>the pieces</th></tr></thead><tbody>"
    ]
    for step in ladder:
        if step.pair:
            name = " + ".join(escape(readable(piece)) for piece in step.pair)
            rank = f"no. {step.rank:,}"
        else:
            name, rank = "single bytes", ""
        cells = "".join(_cell(piece, i in step.joined) for i, piece in enumerate(step.pieces))
        rows.append(f"<tr><th scope='row'>{name}</th><td class='rank'>{rank}</td>{cells}</tr>")
    return f"<div class='merges' tabindex='0'><table>{''.join(rows)}</tbody></table></div>"


def _cell(piece: bytes, joined: bool) -> str:
    kind = "joined" if joined else "piece"
    title = piece.hex(" ").upper()
    return f"<td colspan='{len(piece)}' class='{kind}' title='{title}'><span>{escape(readable(piece))}</span></td>"


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
