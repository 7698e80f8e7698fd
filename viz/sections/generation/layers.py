"""On the page Generation: what each layer would say if it were the last (logit lens)."""

import math

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.lens import ENTROPY, PROBABILITY, RANK, Lens, logit_lens
from model.run import ModelRun, VisitorError
from model.text.prompt import RunKey
from viz.figures.generation import next_token_pairs
from viz.figures.lens import lens_table
from viz.figures.numbers import how_far, percent
from viz.guard import part
from viz.plain import plain
from viz.sections.generation import parts
from viz.ui import cache, controls, session
from viz.ui.chapters import chapter
from viz.ui.loads import language_model
from viz.ui.pictures import caption, picture
from viz.ui.prose import check, quoted

MOST = 12  # tokens side by side: of more, the words could not be read
WORK = 6e10  # floating-point operations: about a second of one core


@chapter(
    "each_layer",
    "What each layer would say",
    of=("lens", "lens_token", "lens_layer", "parts"),
    tables=("lens_picture", "lens_cell"),
    part="layers",
)
def show() -> None:
    st.markdown(
        "The vector of a token grows from layer to layer, and only the last is read as a prediction. Read each of them "
        "so, with the same norm and the same vocabulary, and you see where the answer comes up. This is the "
        "**logit lens** (nostalgebraist 2020)."
    )
    run = session.current_run()
    n_layer, n = run.info.n_layer, len(run.tokens)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="lens_of"):
        colour = controls.choose(
            "Colour",
            "lens",
            help="the probability of the word in the cell · the rank, from 0, of what the model says in the end · how "
            "open the choice is there, in nats",
        )
        token = controls.position("Token", "lens_token", n, first=n - 1, help="After which token one looks.")
        row = controls.position(
            "Layers", "lens_layer", n_layer + 1, first=n_layer, help="How many have worked on it: 0, none."
        )
    first, last = window(n, token, per_token=2.0 * (n_layer + 1) * run.info.d_model * run.info.n_vocab)
    try:
        lens = lens_of(session.current_key(), first, last)
    except VisitorError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    draw(run, lens, colour, (row, token - first))
    one_cell(run, lens, row, token - first)
    with part():
        parts.show(run, token, int(lens.answer[token - first]))


def window(n: int, token: int, per_token: float) -> tuple[int, int]:
    """From which token to before which is shown: counted in steps from the end, so that a click moves nothing."""
    most = max(1, min(MOST, int(WORK / per_token)))
    last = n - (n - 1 - token) // most * most
    return max(0, last - most), last


@cache.kept(spinner="Reading every layer …")
def lens_of(run_key: RunKey, first: int, last: int) -> Lens:
    """Of the tokens from `first` to before `last`. Raises `VisitorError`."""
    return logit_lens(language_model(run_key.model), session.run_of(run_key), range(first, last))


def row_name(row: int) -> str:
    return f"after layer {row - 1}" if row else "before layer 0"


def draw(run: ModelRun, lens: Lens, colour: str, selected: tuple[int, int]) -> None:
    lm, first, n = session.current_model(), int(lens.positions[0]), len(run.tokens)
    label = {int(id): lm.token(int(id)).label for id in np.unique(np.append(lens.top_id[..., 0], lens.answer))}
    words = [[label[id] for id in row] for row in lens.top_id[..., 0].tolist()]
    probability = np.exp(lens.top_log_prob[..., 0])
    values = {PROBABILITY: probability, RANK: lens.answer_rank, ENTROPY: lens.entropy}[colour]
    answers = [label[id] for id in lens.answer.tolist()]
    n_row = len(words)
    texts = [
        [
            f"{row_name(row)}, after “{run.labels[first + i]}”\n“{words[row][i]}” {percent(probability[row, i])}\n"
            f"the answer “{answer}” has rank {lens.answer_rank[row, i]:,}\nentropy {lens.entropy[row, i]:.3f} nats"
            for i, answer in enumerate(answers)
        ]
        for row in range(n_row)
    ]
    rows = ["input", *(f"layer {i}" for i in range(n_row - 1))]
    tokens = run.labels[first : first + len(answers)]

    def pick(row: int, column: int) -> None:
        st.session_state.lens_layer, st.session_state.lens_token = row, first + column

    shown = "" if len(tokens) == n else f" Tokens {first} to {first + len(tokens) - 1} of {n:,}: choose another above."
    coloured = {
        PROBABILITY: "the stronger its colour, the more probable",
        RANK: "the stronger the colour, the nearer is what the model says in the end to the first place (rank 0)",
        ENTROPY: "the stronger the colour, the more open is the choice",
    }[colour]
    with st.container(key="lens_map"):  # which frame.css keeps wide enough for its words
        picture(
            lens_table(
                words,
                values,
                tokens,
                rows,
                texts,
                of=colour,
                most=math.log(run.info.n_vocab) if colour == ENTROPY else 1.0,
                first=first,
                selected=selected,
            ),
            key="lens_picture",
            how="A column is a token of your text, a row what comes out of a layer; in the cell stands the token that "
            f"would come next if that were the last layer; {coloured}. The last row is what the model says. "
            f"A click opens a cell.{shown}",
            alt=f"A table of {n_row} rows by {len(tokens)} tokens. "
            + " ".join(f"After “{token}”: {', '.join(row[i] for row in words)}." for i, token in enumerate(tokens)),
            table=lambda: table(run, lens, label),
            on_pick=pick,
        )
    made = checks.lens_again(lens.apart(run.predictions))
    check(made, f"the last row and the run's own predictions differ by **{how_far(made.difference)}**.")


def table(run: ModelRun, lens: Lens, label: dict[int, str]) -> pd.DataFrame:
    row, column = (index.ravel() for index in np.indices(lens.entropy.shape))
    at = lens.positions[column]
    return pd.DataFrame(
        {
            "layers": row,
            "position": at,
            "token": [run.labels[i] for i in at],
            "would say": [label[id] for id in lens.top_id[..., 0].ravel().tolist()],
            "probability": np.exp(lens.top_log_prob[..., 0]).ravel(),
            "answer": [label[id] for id in lens.answer[column].tolist()],
            "rank of the answer": lens.answer_rank.ravel(),
            "its probability": np.exp(lens.answer_log_prob).ravel(),
            "entropy": lens.entropy.ravel(),
        }
    )


def one_cell(run: ModelRun, lens: Lens, row: int, column: int) -> None:
    """The best tokens of a cell, and how far the answer is from being one."""
    lm, position = session.current_model(), int(lens.positions[column])
    answer = quoted(lm.token(int(lens.answer[column])).label)
    labels = [lm.token(id).label for id in lens.top_id[row, column].tolist()]
    st.subheader(f"{row_name(row).capitalize()}, behind {quoted(run.labels[position])}", anchor=False)
    settled, rank = int(lens.settled[column]), int(lens.answer_rank[row, column])
    held = f"stays in the first place from layer {settled - 1} on" if settled else "is in the first place all the way"
    if settled == len(lens.entropy) - 1:
        held = "comes to the first place only in the last layer"
    st.markdown(
        f"What the model says in the end, {answer}, has rank **{rank:,}** here, of {run.info.n_vocab:,} from 0, with "
        f"probability {percent(float(np.exp(lens.answer_log_prob[row, column])))}; it {held}. Entropy: "
        f"{lens.entropy[row, column]:.3f} nats, of at most {math.log(run.info.n_vocab):.3f}."
    )
    probability = np.exp(lens.top_log_prob[row, column])
    picture(
        next_token_pairs(labels, {"probability": probability}),
        key="lens_cell",
        how=f"The {len(labels)} most probable tokens, if the model ended {row_name(row)}.",
        alt=", ".join(f"“{token}” {percent(p)}" for token, p in zip(labels, probability.tolist(), strict=True)),
        table=lambda: pd.DataFrame({"token": labels, "probability": probability}),
    )
    caption(
        "A layer in the middle was never trained to be read so: it may know the answer in a form that the last layers "
        "still have to turn. A word that does not come up here is no proof that it is not known."
    )
