"""Under a map: what each token receives, gives and loses to the sink, and what several of them add up to."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.attention_map import AttentionMap, MapSpec
from model.analysis.measures import attention_entropy, attention_received
from model.run import Attention
from viz.figures.attention import Bars, token_bars
from viz.ui import controls, links, provenance, reading, session
from viz.ui.choices import GIVE, PANELS, RECEIVED, SUMS
from viz.ui.pictures import picture


def show(read_now: AttentionMap, spec: MapSpec) -> None:
    """The panel that was asked for, if any."""
    panel = st.segmented_control(
        f"{spec.kind.capitalize()} one by one",
        PANELS,
        key=links.key("panel"),
        help="received and given: numbers of each one · sums of tokens: what several give or get, added up",
    )
    if panel == RECEIVED:
        show_received_and_given(read_now, spec)
    elif panel == SUMS:
        show_sums(read_now, spec)


def show_received_and_given(read_now: AttentionMap, spec: MapSpec) -> None:
    weights, names, key_names = read_now.weights, read_now.units.labels, read_now.key_units.labels
    received, entropy, sink = attention_received(weights), attention_entropy(weights), read_now.removed
    rows, columns = [names[i] for i in read_now.queries], [key_names[i] for i in read_now.keys]
    holders = "first and special tokens" + " and the learned sink" * read_now.has_sink
    panels = [
        Bars(
            "received: mean of the column",
            received,
            read_now.keys,
            columns,
            lambda label, value: f"“{label}” receives {value:.4f} on average",
            clickable=True,
            sink=read_now.shows_sink,
        ),
        Bars(
            "given: entropy of the row, in nats",
            entropy,
            read_now.queries,
            rows,
            lambda label, value: f"“{label}” looks with an entropy of {value:.4f} nats",
        ),
        Bars(
            f"sink: the part of the row that {holders} hold",
            sink,
            read_now.queries,
            rows,
            lambda label, value: f"“{label}” gives {value:.4f} to the sink",
        ),
    ]
    most, widest = (int(np.nanargmax(np.nan_to_num(values, nan=-1))) for values in (received, entropy))
    picture(
        token_bars(panels),
        key="received",
        which=reading.title(spec, session.current_run()),
        how=f"Above, how much each is looked at: click a bar to see what went into it.{early_tokens(spec)} In the "
        "middle, how widely each looks: 0 is all on one key. Below, what the sink holds of each row.",
        alt=f"Bars for {reading.columns(read_now)}. “{columns[most]}” receives most, {received[most]:.3f} on average; "
        f"“{rows[widest]}” looks most widely, {entropy[widest]:.2f} nats.",
        table=lambda: pd.DataFrame(
            {
                "received": pd.Series(received, [f"{i} {key_names[i]}" for i in read_now.keys]),
                "entropy of the row": pd.Series(entropy, [f"{i} {names[i]}" for i in read_now.queries]),
                "sink": pd.Series(read_now.removed, [f"{i} {names[i]}" for i in read_now.queries]),
            }
        ),
        on_pick=open_received,
    )


def early_tokens(spec: MapSpec) -> str:
    """What to bear in mind where a mask hides what comes later."""
    layers = session.current_run().attending(spec.of)
    causal = all(isinstance(layer, Attention) and layer.causal for layer in layers)
    return " Early tokens can be seen by more queries." if causal else ""


def show_sums(read_now: AttentionMap, spec: MapSpec) -> None:
    left, right = st.columns([2, 1], gap="medium", vertical_alignment="bottom")
    with right:
        way = controls.choose("taken", "taken")
    names, key_names = read_now.units.labels, read_now.key_units.labels
    options, labels = (read_now.queries, names) if way == GIVE else (read_now.keys, key_names)
    drop_lost(len(labels))
    with left:
        chosen = st.multiselect(
            f"Some {spec.kind}",
            range(len(labels)),
            format_func=lambda i: f"{i} {labels[i]}",
            key=links.key("summed"),
            placeholder="choose one or more …",
        )
    chosen = sorted(set(chosen) & set(options.tolist()))
    if not chosen:
        st.info(f"Choose some {spec.kind}, to add up what they look at, or how much they are looked at.")
        return
    offset = int(options[0])
    picked = [i - offset for i in chosen]
    block = read_now.weights[picked] if way == GIVE else read_now.weights[:, picked].T
    sums = np.where(np.isnan(block).all(axis=0), np.nan, np.nansum(block, axis=0))
    over, others = (read_now.keys, key_names) if way == GIVE else (read_now.queries, names)
    names = [others[i] for i in over]
    who = ", ".join(labels[i] for i in chosen[:6]) + (f" and {len(chosen) - 6} more" if len(chosen) > 6 else "")
    does = f"gets from {who}" if way == GIVE else f"gives to {who}"
    picture(
        token_bars(
            [
                Bars(
                    f"sum of what each {does}",
                    sums,
                    over,
                    names,
                    lambda label, value: f"“{label}” {does}: {value:.4f}",
                    clickable=True,
                    sink=read_now.shows_sink and way == GIVE,
                )
            ],
            panel_height=180,
        ),
        key="sums",
        which=reading.title(spec, session.current_run()),
        how=f"{len(chosen)} {'rows' if way == GIVE else 'columns'} of the map added up: {np.nansum(sums):.4f} in all. "
        "Click a bar to see what went into it.",
        alt=f"Bars over {reading.columns(read_now) if way == GIVE else f'{len(names)} {spec.kind}'}, which sum to "
        f"{np.nansum(sums):.3f}.",
        table=lambda: pd.DataFrame({"sum": sums}, [f"{i} {others[i]}" for i in over]),
        on_pick=open_sum,
    )


def drop_lost(n: int) -> None:
    """Chosen tokens that the present text does not have are dropped with a word."""
    chosen = list(st.session_state[links.key("summed")] or ())
    if lost := [i for i in chosen if i >= n]:
        chosen = [i for i in chosen if i < n]
        st.toast(f"{len(lost)} of the chosen tokens {'are' if len(lost) > 1 else 'is'} not in this text any more.")
    if st.session_state.summed != chosen:
        st.session_state.summed = chosen


def open_received(key: int) -> None:
    queries = session.current_map(reading.spec(session.current_run())).queries
    provenance.open_value(reading.whole_spec(), tuple(queries.tolist()), (key,))


def open_sum(place: int) -> None:
    chosen = tuple(sorted(st.session_state.summed))
    queries, keys = (chosen, (place,)) if st.session_state.taken == GIVE else ((place,), chosen)
    provenance.open_value(reading.whole_spec(), queries, keys, over="sum")
