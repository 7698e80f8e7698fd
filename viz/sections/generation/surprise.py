"""On the page Generation: how surprising a text is to a model, token by token, and to another one beside it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.logits import log_probabilities
from model.run import ModelRun, VisitorError
from model.text.prompt import Prompt, RunKey
from viz.components.token_chips import MOST_CHIPS, token_chips
from viz.figures.generation import bits_lines, running_bits
from viz.figures.numbers import how_far, percent
from viz.guard import part
from viz.plain import plain
from viz.ui import links, session
from viz.ui.chapters import chapter
from viz.ui.pictures import caption, measures, picture, twin
from viz.ui.prose import check, formula, quoted

MOST_CHARACTERS = 2000  # of the other text, which stands in the address
FULL = 8.0  # nats: of a token that has the full colour


@dataclass(frozen=True)
class Surprise:
    """What a model expected of each token of a text that it reads, but the first, before which nothing stands."""

    run: ModelRun

    @property
    def nats(self) -> np.ndarray:
        """(T - 1,) −ln p."""
        return -np.float64(self.run.predictions.next_log_prob[:-1])

    @property
    def loss(self) -> float:
        return float(self.nats.mean())

    @property
    def n_byte(self) -> int:
        """Of what is foreseen: the text behind its first token, special ones being no text."""
        return sum(len(token.piece) for token in self.run.tokens[1:] if not token.special)

    @property
    def bits_per_byte(self) -> float:
        return float(self.nats.sum()) / math.log(2) / self.n_byte if self.n_byte else math.nan


@chapter(
    "surprising",
    "How surprising the text itself is",
    of=("beside_text", "beside_model"),
    tables=("surprise_own_numbers",),
    part="surprise",
)
def show() -> None:
    run = session.current_run()
    if len(run.tokens) < 2:
        st.markdown("Of one token nothing can be said: no other stands before it. Type a longer text in the sidebar.")
        return
    st.markdown(
        "Every token of your text was the next one once. How probable the model held it, from what stands before it, "
        "tells how well it foresees such a text: in the mean this is the **loss** that it was trained to lower."
    )
    own = Surprise(run)
    draw(own, "own")
    added_up(own, "own")
    with part():
        another_text(own)
    beside(own)


def draw(its: Surprise, key: str) -> None:
    """The tokens, the stronger in colour the less they were expected, and what they come to."""
    said, tokens = its.run.predictions, its.run.tokens
    notes = ["the first: nothing stands before it"]
    for i, nats in enumerate(its.nats.tolist()):
        probability, rank = percent(math.exp(-nats)), int(said.next_rank[i])
        notes.append(f"{nats:.3f} nats: probability {probability}, rank {rank}; entropy {said.entropy[i]:.3f} nats")
    shades = [0.0, *np.minimum(1, its.nats / FULL)]
    token_chips(tokens[:MOST_CHIPS], key=f"surprise_{key}", notes=notes[:MOST_CHIPS], shades=shades[:MOST_CHIPS])
    most = int(its.nats.argmax()) + 1
    caption(
        f"The stronger its colour, the less a token was expected; it is full from {FULL:g} nats on. Most surprising: "
        f"{quoted(tokens[most].label)}, {its.nats[most - 1]:.2f} nats."
        + (
            f" Of {len(tokens):,} tokens the first {MOST_CHIPS} are drawn; the numbers have all."
            if len(tokens) > MOST_CHIPS
            else ""
        )
    )
    measures(
        f"surprise_{key}_measures",
        {
            "Loss": (f"{its.loss:.3f} nats a token", f"In the mean over {len(its.nats):,} tokens."),
            "Perplexity": (f"{math.exp(min(its.loss, 700)):,.1f}", "As unsure as among so many equally likely tokens."),
            "Bits per byte": (
                f"{its.bits_per_byte:.3f}",
                "The same by the length of the text: comparable between models that cut it in different ways.",
            ),
        },
    )
    twin(lambda: table(its), key=f"surprise_{key}_numbers")


def table(its: Surprise) -> pd.DataFrame:
    said = its.run.predictions
    return pd.DataFrame(
        {
            "position": range(1, len(its.run.tokens)),
            "token": its.run.labels[1:],
            "log-probability": -its.nats,
            "probability": np.exp(-its.nats),
            "rank": said.next_rank[:-1],
            "entropy before it": said.entropy[:-1],
        }
    )


def added_up(its: Surprise, key: str) -> None:
    """The sum, worked out, and one of its terms made again from the logits."""
    n, bits = len(its.nats), its.nats.sum() / math.log(2)
    some = " + ".join(f"{nats:.3f}" for nats in its.nats[:3].tolist())
    rest = r" + \dots" if n > 3 else ""
    with st.expander("The sum, worked out"), st.container(key=f"surprise_formula_{key}"):
        formula(
            "Cross-entropy: the mean of −ln p over the tokens that had to come",
            (r"L = -\frac{1}{n} \sum_t \ln p_t", rf"= \frac{{{some}{rest}}}{{{n}}}", f"= {its.loss:.4f}"),
        )
        formula("Perplexity", (r"e^{L}", rf"= e^{{{its.loss:.4f}}}", f"= {math.exp(min(its.loss, 700)):.4g}"))
        formula(
            "Bits per byte: all nats, as bits, over the bytes of the text behind its first token",
            (
                r"\frac{n \, L}{\ln 2 \cdot \text{bytes}}",
                rf"= \frac{{{bits:.2f}}}{{{its.n_byte}}}",
                f"= {its.bits_per_byte:.4f}",
            ),
        )
        again = log_probabilities(next(iter(session.current_model().logits(its.run.tokens, positions=[-2])))[0])
        made = checks.foreseen_again(float(its.nats[-1]), -float(again[its.run.tokens[-1].id]))
        check(
            made, f"−ln p of the last token, made again from logits alone, differs by **{how_far(made.difference)}**."
        )


def beside(own: Surprise) -> None:
    """Another model on the same text."""
    others = {name: title for name, title in session.titles().items() if name != session.model_name()}
    if st.session_state.beside_model not in others:  # not here, or this one: as in a link
        st.session_state.beside_model = ""
    name = st.selectbox(
        "As another model reads it",
        ["", *others],
        key=links.key("beside_model"),
        format_func=lambda name: others.get(name, "choose one …"),
    )
    if not name:
        return
    if session.family_of(name) != "decoder":
        st.info(f"{plain(others[name])} does not foresee the next token. Choose a decoder.", icon=":material/info:")
        return
    run = session.run_of(RunKey(name, Prompt(st.session_state.text)))
    if run.predictions is None or len(run.tokens) < 2:
        raise VisitorError(f"{run.info.title} says nothing of this text.")
    other = Surprise(run)
    draw(other, "other")
    pair = {session.titles().get(session.model_name(), own.run.info.title): own, others[name]: other}
    left = min(pair, key=lambda title: pair[title].bits_per_byte)
    compare(
        pair,
        "running_bits",
        f"The lower line foresees it better: {plain(left)}. The models may cut the text at different places; what a "
        "token costs is spread evenly over its characters.",
        "model",
    )


def another_text(own: Surprise) -> None:
    """The same model on a text that the visitor types, beside the one of the sidebar."""
    text = st.text_area(
        "Another text, as the same model reads it",
        key=links.key("beside_text"),
        height=80,
        max_chars=MOST_CHARACTERS,
        placeholder="such as the same words in another order",
    )
    if not text:
        return
    key = session.current_key()
    other = Surprise(session.run_of(replace(key, prompt=replace(key.prompt, text=text))))
    if len(other.run.tokens) < 2:
        raise VisitorError("The other text is one token, and no other stands before it: type a longer one.")
    draw(other, "second")
    added_up(other, "second")
    pair = {"your text": own, "the other text": other}
    least = min(pair, key=lambda name: pair[name].bits_per_byte)
    compare(
        pair,
        "running_bits_of_texts",
        f"By the byte, {least} is the less surprising one; by the token alone that could not be said, for the two are "
        "cut into pieces of other lengths. The first token of each, before which nothing stands, is not counted.",
        "text",
    )
    twin(lambda: sums(pair), key="surprise_sums")


def sums(pair: Mapping[str, Surprise]) -> pd.DataFrame:
    """What each text comes to, a row each."""
    each = pair.values()
    return pd.DataFrame(
        {
            "tokens foreseen": [len(its.nats) for its in each],
            "bytes": [its.n_byte for its in each],
            "nats": [float(its.nats.sum()) for its in each],
            "loss": [its.loss for its in each],
            "perplexity": [math.exp(min(its.loss, 700)) for its in each],
            "bits per byte": [its.bits_per_byte for its in each],
            "mean entropy": [float(np.mean(its.run.predictions.entropy[:-1])) for its in each],
            "mean rank": [float(np.mean(its.run.predictions.next_rank[:-1])) for its in each],
        },
        list(pair),
    )


def compare(pair: Mapping[str, Surprise], key: str, said: str, what: str) -> None:
    """Two of them as lines: what each has cost up to each character, by what they are called."""
    lines = {name: running_bits([token.end for token in its.run.tokens[1:]], its.nats) for name, its in pair.items()}
    picture(
        bits_lines(lines),
        key=key,
        how=f"Bits added up over the characters of the text: where a line is steep, the text was unexpected. {said}",
        alt="; ".join(f"{name}: {line[1][-1]:.1f} bits in all" for name, line in lines.items()),
        table=lambda: pd.concat(
            pd.DataFrame({what: name, "characters": line[0], "bits": line[1]}) for name, line in lines.items()
        ),
    )
