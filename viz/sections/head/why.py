"""On the page Inside a head: one cell's score taken apart, by what made the query's vector and what made the key's."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.attention import attention_weights
from model.analysis.carried import Carried
from model.analysis.carried import carried as carry
from model.analysis.score_parts import (
    HEAD,
    Part,
    ScoreParts,
    StreamParts,
    added_up,
    grouped,
    largest,
    score_parts,
    stream_parts,
)
from model.run import ModelRun, VisitorError
from model.text.prompt import RunKey
from viz.figures.numbers import how_far
from viz.figures.score_parts import pair_map, part_bars, part_in_words, part_name
from viz.guard import handler
from viz.plain import plain
from viz.sections.head import carried
from viz.ui import cache, controls, links, session
from viz.ui.choices import ATTENTION, ONE
from viz.ui.loads import language_model
from viz.ui.pictures import picture
from viz.ui.prose import check, formula, quoted

N_PAIRS = 10  # that are named
N_HEADS = 3  # that one can go on to, of each side
# parts of which each has its own row, as many as layer 1 of GPT-2 has; of more, layers are one each, but for one opened
MOST_APART = 18
WIDE = 12  # columns that fit on every screen
_OPENED = "opened_writer"  # in the session's state: the head that was clicked, until the next run can go there


def show(run: ModelRun, layer: int, head: int, query: int, key: int) -> None:
    """Of the cell that is chosen; the layer can be followed."""
    if opened := st.session_state.pop(_OPENED, None):
        links.go(ATTENTION, show=ONE, kind="self", **opened)
    st.header("Why does it look there, and what does it carry?")
    looks, at = (quoted(token.label) for token in (run.tokens[query], run.sides()[1][key]))
    if not st.toggle("Take the score apart", key=links.key("why")):
        st.markdown(
            f"The score that {looks} gives {at} is q·k, and both vectors are sums: of the token itself, its position, "
            "and what every earlier head and MLP wrote. So the score is a sum too. Which of them made it?"
        )
        return
    run_key = session.current_key()
    try:
        if key == len(run.tokens):
            raise VisitorError("The sink is no token: its score was learned as one number, and carries nothing.")
        score = score_of(run_key, layer, head, query, key)
    except VisitorError as error:
        st.info(plain(error), icon=":material/info:")
        return
    draw(run, score, looks, at)
    st.subheader("What does it carry?", anchor=False)
    try:
        carried.draw(run, carried_of(run_key, layer, head, query, key), score, looks, at)
    except VisitorError as error:
        st.info(plain(error), icon=":material/info:")


@cache.kept(spinner="Taking it apart …")
def parts_of(run_key: RunKey, layer: int, query: int, key: int) -> StreamParts:
    """Of all heads of a layer. Raises `VisitorError`."""
    return stream_parts(language_model(run_key.model), session.run_of(run_key), layer, (query, key))


def score_of(run_key: RunKey, layer: int, head: int, query: int, key: int) -> ScoreParts:
    made = parts_of(run_key, layer, query, key)
    return score_parts(language_model(run_key.model), session.run_of(run_key), layer, head, query, key, made)


def carried_of(run_key: RunKey, layer: int, head: int, query: int, key: int) -> Carried:
    made = parts_of(run_key, layer, query, key)
    return carry(language_model(run_key.model), session.run_of(run_key), layer, head, query, key, made)


def draw(run: ModelRun, score: ScoreParts, looks: str, at: str) -> None:
    st.subheader("Why does it look there?", anchor=False)
    names = [part_name(part) for part in score.parts]
    best = largest(score.pairs, N_PAIRS)
    rest = score.total - sum(score.pairs[pair] for pair in best)
    by_query, by_key = score.pairs.sum(1), score.pairs.sum(0)
    if score.masked:
        st.info(
            f"{looks} may not look at {at}: the mask hides it, and the weight is 0. This is the score that it would "
            "have.",
            icon=":material/info:",
        )
    where = " (key and query are the same token)" if score.query == score.key else ""
    formula(
        f"{looks} gives {at}{where} the score **{score.score:.4f}**, and the weight {score.weight:.4f}. Each vector is "
        f"a sum of {len(names)} parts, so q·k is a sum of {len(names)}² pairs.",
        _pieces(score, best, rest),
    )
    made = checks.pairs_again(score.total, score.scaled, score.exact)
    far = how_far(made.difference)
    what = f"the {score.pairs.size:,} pairs add up to {score.total:.4f}, and q·k times the scale differs by **{far}**."
    check(made, what)
    for sentence in score.why:
        st.info(f"{plain(sentence)} So such layers are one part each.", icon=":material/info:")
    cross = bool(run.cross)
    said = [f"{_pair(score, pair)} {score.pairs[pair]:+.3f}" for pair in best]
    shown = [*best, None] if rest else best
    if not shown:
        return
    picture(
        part_bars(
            [_pair(score, pair) if pair else f"{score.pairs.size - len(best):,} others" for pair in shown],
            np.array([score.pairs[pair] if pair else rest for pair in shown]),
            [_hover(score, pair, cross) if pair else "all other pairs together" for pair in shown],
            st.context.theme.type or "light",
        ),
        key="score_pairs",
        how="The largest pairs: a part of the query's vector × a part of the key's. To the right of the line a pair "
        "speaks for the look, to the left against it. Constants are what the layer adds to every token."
        + _heads_in_words(score),
        alt=f"Bars of the {len(best)} largest pairs. {'; '.join(said)}; all others {rest:+.3f}.",
        table=lambda: _table(score),
        on_pick=lambda row: _go_inside(run, score, best[row]) if row < len(best) else None,
    )
    _draw_map(score, cross)
    strongest = {name: _strongest(score.parts, each) for name, each in (("query", by_query), ("key", by_key))}
    told = {
        name: "; ".join(f"{part_name(score.parts[i])} {values[i]:+.3f}" for (i,) in largest(values, 3))
        for name, values in (("key", by_key), ("query", by_query))
    }
    st.markdown(
        f"With all its pairs together, of what {at} is made of, most moves the score: {told['key']}. Of what {looks} "
        f"is made of: {told['query']}."
    )
    _go_on(run, score, strongest)


def _pieces(score: ScoreParts, best: Sequence[tuple[int, ...]], rest: float) -> list[str]:
    """The formula, with the numbers of this cell."""
    pieces = [r"s=\text{scale}\cdot q\cdot k", r"=\sum_i\sum_j\text{scale}\cdot q_i\cdot k_j"]
    named = [float(score.pairs[pair]) for pair in best[:3]]
    others = score.total - sum(named)
    pieces += [f"{'' if i else '='}{value:+.3f}" for i, value in enumerate((*named, others))]
    pieces.append(f"={score.total:.4f}")
    if score.soft_cap:
        cap = f"{score.soft_cap:g}"
        capped = score.soft_cap * np.tanh(score.scaled / score.soft_cap)
        pieces.append(rf"\text{{soft cap: }}{cap}\tanh(s/{cap})={capped:.4f}")
    if score.bias and np.isfinite(score.bias):
        pieces.append(rf"\text{{position bias: }}{score.bias:+.4f}")
    if score.total != score.score and (score.soft_cap or score.bias):
        pieces.append(rf"\text{{score: }}{score.score:.4f}")
    return pieces


def _heads_in_words(score: ScoreParts) -> str:
    """What the name of a head says, where a head made a part: below layer 0 there is none."""
    one = next((part for part in score.parts if part.kind == HEAD), None)
    if one is None:
        return ""
    return (
        f" {part_name(one).capitalize()} is what head {one.head} of layer {one.layer} wrote at that token; a click on "
        "a pair with a head goes on inside that head."
    )


def _pair(score: ScoreParts, pair: tuple[int, ...]) -> str:
    return " × ".join(part_name(score.parts[i]) for i in pair)


def _hover(score: ScoreParts, pair: tuple[int, ...], cross: bool) -> str:
    of_query, of_key = (part_in_words(score.parts[i], cross) for i in pair)
    return f"query: {of_query}\nkey: {of_key}\n{score.pairs[pair]:+.5f} of the score"


def _table(score: ScoreParts) -> pd.DataFrame:
    query, key = (index.ravel() for index in np.indices(score.pairs.shape))
    values = score.pairs.ravel()
    order = np.argsort(-np.abs(values), kind="stable")
    names = np.array([part_name(part) for part in score.parts])
    return pd.DataFrame({"query's part": names[query], "key's part": names[key], "of the score": values}).iloc[order]


def _draw_map(score: ScoreParts, cross: bool) -> None:
    """Parts of the query downwards, of the key to the right; layers as one, where there are many parts."""
    few = len(score.parts) <= MOST_APART
    sides = []
    if not few:
        with st.container(horizontal=True, gap="medium", key="score_layers"):
            for name, label in (("query_layer", "Open a layer of the query"), ("key_layer", "Open a layer of the key")):
                sides.append(grouped(score.parts, _choose_layer(score, name, label)))
    else:
        every = score.parts, np.arange(len(score.parts))
        sides = [every, every]
    (rows, of_row), (columns, of_column) = sides
    values = added_up(score.pairs, of_row, of_column)
    texts = [
        [
            f"query: {part_in_words(row, cross)}\nkey: {part_in_words(column, cross)}\n{values[i, j]:+.5f}"
            for j, column in enumerate(columns)
        ]
        for i, row in enumerate(rows)
    ]
    names = [[part_name(part) for part in side] for side in (rows, columns)]

    def pick(row: int, column: int) -> None:
        for name, part in (("query_layer", rows[row]), ("key_layer", columns[column])):
            st.session_state[name] = part.layer if 0 <= part.layer < score.layer else None

    most = largest(values, 3)
    # frame.css keeps that of many parts wide enough for their names
    with st.container(key="pair_map" if len(columns) > WIDE else "few_pairs"):
        picture(
            pair_map(values, *names, texts),
            key="score_map",
            how="All pairs: rows are what the query's vector is made of, columns what the key's is; blue speaks for "
            "the look, orange against it, and all cells add up to the score before a cap or a position bias."
            + (" The column of constants is the same for every key: softmax leaves nothing of it." * score.same_for_all)
            + (" Each layer is one row and one column: a click opens the two layers of a cell." * (not few)),
            alt=f"A map of {len(rows)} parts of the query by {len(columns)} of the key. Largest: "
            + "; ".join(f"{names[0][i]} × {names[1][j]} {values[i, j]:+.3f}" for i, j in most),
            table=lambda: pd.DataFrame(values, *names),
            on_pick=None if few else pick,
        )


def _choose_layer(score: ScoreParts, name: str, label: str) -> int | None:
    options = sorted({part.layer for part in score.parts if part.kind == HEAD})
    key = links.key(name)
    if st.session_state[name] not in options:
        st.session_state[name] = None
    return st.selectbox(label, options, None, "layer {}".format, key=key, placeholder="none", width=220)


def _strongest(parts: Sequence[Part], values: np.ndarray) -> list[tuple[Part, float]]:
    """Of one side, the heads that move a score most, by the sum of all their pairs."""
    of_heads = np.where([part.kind == HEAD for part in parts], values, 0.0)
    return [(parts[i], float(values[i])) for (i,) in largest(of_heads, N_HEADS)]


def _go_on(run: ModelRun, score: ScoreParts, strongest: dict[str, list[tuple[Part, float]]]) -> None:
    """One click from a part to the head that made it: here, with the same token, or on Attention."""
    if not any(strongest.values()):
        return
    st.markdown("**Who wrote that?** Go on inside a head that wrote it, at the token where it did:")
    place = {"query": score.query, "key": score.key}
    for side in ("key", "query"):
        if not strongest[side]:
            continue
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"writers_{side}"):
            st.markdown(f"at {quoted(run.labels[place[side]])}, the {side}", width="content")
            for part, value in strongest[side]:
                st.button(
                    f"{part_name(part).capitalize()} {value:+.3f}",
                    key=f"writer_{side}_{part.layer}_{part.head}",
                    on_click=handler(_inside),
                    args=(run, part, place[side]),
                )
            part = strongest[side][0][0]
            st.button(
                f"{part_name(part).capitalize()} on Attention",
                key=f"see_{side}_{part.layer}_{part.head}",
                icon=":material/grid_on:",
                type="tertiary",
                on_click=handler(_see),
                args=(run, part, place[side]),
            )


def _go_inside(run: ModelRun, score: ScoreParts, pair: tuple[int, ...]) -> None:
    """A bar was clicked: the head on the key's side, or else that on the query's."""
    for i, token in ((pair[1], score.key), (pair[0], score.query)):
        if score.parts[i].kind == HEAD:
            _inside(run, score.parts[i], token)
            return


def _place(run: ModelRun, part: Part, token: int) -> dict[str, int]:
    """The head that wrote a part, at the token where it did, and what it looked at most when it did."""
    row = attention_weights(run.layer(part.layer), part.head, slice(token, token + 1))[0]
    return {"layer": part.layer, "head": part.head, "token": token, "key": int(row.argmax())}


def _inside(run: ModelRun, part: Part, token: int) -> None:
    for name, value in _place(run, part, token).items():
        controls.select(name, value)


def _see(run: ModelRun, part: Part, token: int) -> None:
    st.session_state[_OPENED] = _place(run, part, token)
