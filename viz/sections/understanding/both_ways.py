"""On the page Understanding: the encoder's attention, which sees both ways, beside a decoder's, which looks back."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from model import catalog
from model.analysis import checks
from model.analysis.attention import visible
from model.analysis.attention_map import MapSpec
from model.run import ModelRun, Token
from model.text.prompt import Prompt, RunKey
from viz.components.token_line import Piece, token_line
from viz.figures import theme
from viz.figures.attention import is_clickable
from viz.figures.numbers import percent
from viz.figures.scale import ColourScale, colour_scale
from viz.figures.understanding import seen_heatmap
from viz.guard import section
from viz.plain import plain
from viz.ui import controls, corners, heads, links, provenance, session
from viz.ui.choices import DECODER, ONE
from viz.ui.pictures import picture, token_table
from viz.ui.prose import check, quoted

EXAMPLES = (
    "The bank of the river was green.",
    "The bank lent him the money.",
    "She did not see the dog that barked.",
)


@dataclass(frozen=True)
class Side:
    """One of the two models, and how its attention is read."""

    name: str  # of its widgets
    run_key: RunKey
    spec: MapSpec
    weights: np.ndarray  # (T, T), and a column more where heads have learned a sink
    visible: np.ndarray  # (T, T) of bool: what the masks of the heads that are read let a token look at
    position: int  # of the token that both are asked about

    @property
    def run(self) -> ModelRun:
        return session.run_of(self.run_key)

    @property
    def sees(self) -> np.ndarray:
        """The keys that this token may look at, whatever weight it gives them."""
        return np.flatnonzero(self.visible[self.position])


@section("both")
def show() -> None:
    square_key = session.current_key()
    triangle_key = RunKey(decoder(), Prompt(session.current_text()))
    links.belong_to(triangle_key.model, DECODER)
    square_run, triangle_run = session.run_of(square_key), session.run_of(triangle_key)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        maps = controls.choose(
            "Each map shows",
            "maps",
            help="mean: of all heads of all layers · head: one head of each model",
        )
        colours = controls.choose(
            "Colours",
            "scale",
            help="A logarithmic scale tells small weights apart. One scale for both maps.",
        )
        token = choose_token(square_run)
    with st.container(key="roomy_sides"):
        columns = st.columns(2, gap="medium")
    sides = []
    for column, name, key, run, position in (
        (columns[0], "square", square_key, square_run, token),
        (columns[1], "triangle", triangle_key, triangle_run, same_place(square_run, token, triangle_run)),
    ):
        with column:
            st.subheader(f"{'A square' if name == 'square' else 'A triangle'}: {plain(run.info.title)}", anchor=False)
            # the encoder's are those of all pages; the decoder's have names of their own
            before = "" if name == "square" else "decoder_"
            if maps == ONE:
                look = session.first_look_of(key)
                places = st.columns(2, gap="medium")
                heads.choose_one(run, places=places, before=before, first=(look.layer, look.head))
                if not heads.has_attention(run, before=before, key=f"nearest_{name}"):
                    return
            spec = heads.spec(maps, run, before=before)
            sees = np.logical_or.reduce([visible(run.layer(layer), head) for layer, head in spec.heads])
            sees = sees[:, : len(run.tokens)]
            sides.append(Side(name, key, spec, session.map_of(key, spec).weights, sees, position))
    scale = colour_scale(np.concatenate([side.weights.ravel() for side in sides]), log=colours == "log", fitted=True)
    for column, side in zip(columns, sides, strict=True):
        with column:
            show_side(side, scale)
    say_difference(*sides)


def decoder() -> str:
    """The model chosen in the sidebar if it is a decoder, else our own."""
    chosen = st.session_state.model
    return chosen if session.family_of(chosen) == "decoder" else catalog.DEFAULT


def choose_token(run: ModelRun) -> int:
    """A token of the text, by its position for the encoder; at first the middle one."""
    there = [i for i, token in enumerate(run.tokens) if not token.special] or list(range(len(run.tokens)))
    middle = there[len(there) // 2]
    if st.session_state[links.key("asked_token", middle)] not in there:
        st.session_state.asked_token = middle
    if len(there) == 1:
        st.markdown(f"The text has one token: {quoted(run.labels[there[0]])}.")
        return there[0]
    return st.select_slider(
        "What does this token see?",
        there,
        key="asked_token",
        format_func=lambda i: f"{i} {plain(run.labels[i])}",
    )


def same_place(run: ModelRun, i: int, other: ModelRun) -> int:
    """The token of another run that stands where token i stands in the text."""
    token, text = run.tokens[i], session.current_text()
    piece = text[token.start : token.end]
    first = token.start + len(piece) - len(piece.lstrip())  # the first visible character
    return next((j for j, found in enumerate(other.tokens) if found.end > first), len(other.tokens) - 1)


def show_side(side: Side, scale: ColourScale) -> None:
    run, row, i = side.run, side.weights[side.position], side.position
    n, sees = len(run.tokens), side.sees
    before, after = int((sees < i).sum()), int((sees > i).sum())
    largest = float(row.max())
    sink = f" The sink takes {row[n]:.3f} of its row." if run.has_sink() else ""
    pieces = [
        Piece(
            label,
            f"{i} “{run.labels[i]}” looks at {k} “{label}”\n"
            + (f"weight {row[k]:.4f}\nclick: how it was made" if k in sees else "not seen: weight 0"),
            theme.signed_background(float(np.sqrt(row[k] / largest)), 1.6) if row[k] > 0 else "transparent",
            "changed" if k == i else "" if k in sees else "mark",
        )
        for k, label in enumerate(run.labels)
    ]
    st.markdown(
        f"{quoted(run.labels[i])}, token {i} of {n}, sees **{len(sees)} of {n}**: {before} before it, "
        f"{'itself' if i in sees else 'not itself'}, **{after} after it**.{sink}"
    )
    with corners.about(heads.in_words(side.spec, run), model=run.info):
        token_line(
            pieces,
            key=f"{side.name}_line",
            name=f"What token {i} sees in {run.info.title}",
            on_pick=partial(open_weight, side, i),
        )
    on_pick = partial(open_weight, side) if is_clickable(n) else None
    n_seen = int((side.weights[:, :n] > 0).sum())
    with corners.about(heads.in_words(side.spec, run), model=run.info):
        picture(
            seen_heatmap(side.weights, run.labels, i, scale=scale, key_labels=run.key_labels()),
            key=f"{side.name}_map",
            how=f"{heads.in_words(side.spec, run).capitalize()}: {n_seen:,} of {n * n:,} cells have weight; the others "
            "are blank. "
            + ("The last column is the sink. " if sink else "")
            + (
                "Click a cell to see how it was made."
                if on_pick
                else "Click a token above to see how its weight was made."
            ),
            alt=f"Heatmap of {n} by {n} tokens; {n_seen} cells have weight.{sink} Token {i} sees {len(sees)} tokens, "
            f"{after} of them after it.",
            table=lambda: token_table(side.weights, run.labels, run.key_labels()),
            on_pick=on_pick,
        )


def open_weight(side: Side, query: int, key: int) -> None:
    beside = side.run_key != session.current_key()
    provenance.open_cell(provenance.Cell(side.run_key, side.spec, (query,), (key,), beside=beside))


def say_difference(square: Side, triangle: Side) -> None:
    # of the weights on tokens
    maps = [side.weights[:, : len(side.weights)] for side in (square, triangle)]
    ahead = [float(np.triu(weights, 1).sum() / len(weights)) for weights in maps]
    m = len(triangle.weights)
    st.markdown(
        f"Of all the weight in the square, **{percent(ahead[0])}** lies on tokens that come later; in the triangle, "
        f"**{percent(ahead[1])}**. {plain(triangle.run.info.title)} learned to write, one token after the other: what "
        "comes later is what it must guess, so a mask hides it. An encoder reads a text that is all there, "
        "and may look both ways."
    )
    st.markdown(cut_alike(square.run, triangle.run, session.current_text()) + read_as_blank(triangle.run))
    possible = m * (m + 1) // 2
    seen = int((maps[1] > 0).sum())
    check(
        checks.same("weight above the diagonal, and none", ahead[1] == 0 and seen <= possible),
        f"a triangle of {m} rows has {m} · {m + 1} / 2 = {possible:,} cells; **{seen:,}** of them have weight, and no "
        "cell outside of it has.",
    )


def cut_alike(square: ModelRun, triangle: ModelRun, text: str) -> str:
    """Whether both models cut the text into the same pieces, and stand on the same rows, in a sentence or two."""
    pieces = [
        [place for token in run.tokens if not token.special and (place := place_of(token, text))]
        for run in (square, triangle)
    ]
    n, m = len(square.tokens), len(triangle.tokens)
    one, other = (quoted(run.info.title) for run in (square, triangle))
    if pieces[0] != pieces[1]:
        return (
            f"The two models do not cut the text alike: it is **{n} tokens** for {one} and **{m}** for {other}. So a "
            "row on the left and the row at the same height on the right may stand for different pieces; the outlined "
            "rows stand for the same place in the text."
        )
    if [token.special for token in square.tokens] == [token.special for token in triangle.tokens]:
        return f"Both models cut this text into the same **{n} tokens**: rows at the same height stand for one piece."
    return (
        f"Both models cut this text alike, but not with the same special tokens: it is **{n} tokens** for {one} and "
        f"**{m}** for {other}. The outlined rows stand for the same piece."
    )


def place_of(token: Token, text: str) -> tuple[int, int] | None:
    """Where the visible part of a token stands in the text: some tokenizers count the space before a word, some do not.

    None if nothing of it is visible.
    """
    piece = text[token.start : token.end]
    start = token.start + len(piece) - len(piece.lstrip())
    return (start, start + len(piece.strip())) if piece.strip() else None


def read_as_blank(triangle: ModelRun) -> str:
    """What becomes of a mask that stands in the text, for a model that has none; nothing if none does."""
    mask, text = session.current_model().mask_token(), session.current_text()
    if mask is None or (at := text.find(name := mask.piece.decode(errors="replace"))) < 0:
        return ""
    if any(token.special and token.start <= at < token.end for token in triangle.tokens):
        return ""
    return f" {quoted(name)} is a blank on the left, and plain text on the right."
