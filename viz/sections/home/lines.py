"""On the home page: the tokens with the lines of one head, the telling one unless another was chosen."""

import streamlit as st

from model.analysis.attention import attention_weights
from model.analysis.attention_map import MapSpec
from model.analysis.telling import kind_read_first, telling_weight
from model.run import ModelRun
from viz.components.token_graph import token_graph
from viz.figures.heads import head_name
from viz.ui import controls, corners, heads, provenance, session
from viz.ui.pictures import caption
from viz.ui.prose import quoted

MOST = 32  # tokens of a side; of a longer text, the first
LEAST = 0.02  # lines of less are hidden, as on the attention page at first
TALL = 300  # px


def show(run: ModelRun) -> None:
    kind = kind_read_first(run)
    layer, head = heads.shown_layer(run, kind), controls.held("head", run.info.n_head)
    with corners.about(head_name(layer, head)):
        _draw(run, kind, layer, head)


def _draw(run: ModelRun, kind: str, layer: int, head: int) -> None:
    layers, (queries, keys) = run.layers(kind), run.sides(kind)

    def open_weight(query: int, key: int) -> None:
        provenance.open_value(MapSpec(((layer, head),), of=kind), (query,), (key,))

    weights = attention_weights(layers[layer], head, slice(0, MOST))
    labels = [token.label for token in queries[:MOST]]
    if kind == "self":
        drawn = [*range(len(labels)), *range(len(queries), len(keys))]  # a learned sink is the last key
        token_graph(
            weights[:, drawn],
            [*labels, *(token.label for token in keys[len(queries) :])],
            range(len(labels)),
            range(len(drawn)),
            key="home_lines",
            threshold=LEAST,
            tall=TALL,
            on_open=lambda query, place: open_weight(query, drawn[place]),
        )
    else:  # row i is what was looked at while token i + 1 was chosen
        labels = labels[1:]
        both = [*labels, *(token.label for token in keys[:MOST])]
        written, source = range(len(labels)), range(len(labels), len(both))
        token_graph(
            weights[: len(labels), :MOST],
            both,
            written,
            source,
            key="home_lines",
            threshold=LEAST,
            tall=TALL,
            writes=True,
            offset=len(labels),
            on_open=lambda row, place: open_weight(row, place - len(labels)),
        )
    caption(in_words(run, layer, head))


def in_words(run: ModelRun, layer: int, head: int) -> str:
    """Which head it is and why, its strongest weight, and how much of the text is shown."""
    kind, look = kind_read_first(run), session.first_look()
    queries, keys = run.sides(kind)
    n_head = run.grid(kind).n_total
    name = head_name(layer, head).capitalize()
    parts, asked = [f"**{name}.**"], st.session_state.layer
    if what := run.grid(kind).instead(asked):
        parts = [f"Layer {asked} has no softmax attention ({what}); this is **{name.lower()}**."]
    elif (layer, head) != (look.layer, look.head):
        parts = [f"**{name}**, as chosen."]
    elif n_head > 1:
        where = "on a set of texts" if look.stated else "in this text"
        parts.append(f"Of {n_head} heads the most telling: where it looks depends most on which token looks, {where}.")
    query, key = telling_weight(run, layer, head)
    weight = attention_weights(run.layers(kind)[layer], head, slice(query, query + 1))[0, key]
    if kind == "cross" and len(keys) > 1:
        written = quoted(queries[query + 1].label) if query + 1 < len(queries) else "what comes next"
        parts.append(f"To write {written}, it looks at {quoted(keys[key].label)}: {weight:.3f}.")
    elif kind == "self" and len(keys) > 1:
        parts.append(f"{quoted(queries[query].label)} looks at {quoted(keys[key].label)}: {weight:.3f}.")
    n = max(len(queries), len(keys))
    if n > MOST:
        parts.append(f"Drawn are the first {MOST} of {n:,} tokens.")
    return " ".join(parts)
