"""Inside one head: the whole path of one token, from its vector to what the head writes back, with every number."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.head import HeadSteps, entering, head_steps
from model.layer import AttentionOutput
from model.run import ModelRun
from viz.components.contents import contents
from viz.components.head_steps import head_pictures
from viz.figures.head import entering_in_words, head_formula, head_sentences
from viz.figures.heads import head_name
from viz.figures.numbers import how_far
from viz.guard import part, section
from viz.plain import plain
from viz.sections.head import why
from viz.ui import controls, corners, glossary, heads, later, provenance, session
from viz.ui.pictures import caption, shows_numbers
from viz.ui.prose import check

_ELSEWHERE = "The attention page reads this model all the same."
# the formula stays in sight beside the steps, where the window is high enough for both
_STICKY = """
.st-key-head_formula { background: BACKGROUND; padding: 0.25rem 1rem 0.75rem; }
.st-key-head_formula { margin: 0 -1rem; min-width: calc(100% + 2rem); }
.st-key-head_formula p { line-height: 3; margin: 0; }
@media (min-width: 900px) and (min-height: 600px) {
  :has(> .st-key-head_formula) { position: sticky; top: 3.75rem; z-index: 3; }
  .stApp .stMain { scroll-padding-top: 10.5rem; }
  .st-key-head_formula { border-bottom: 1px solid rgb(128 128 128 / 0.3); }
}
"""


def main() -> None:
    st.title("Inside a head")
    st.markdown(
        "One head, one token, and every number on the way: from the vector that stands for the token, to what the "
        "head adds to it. Point at any result to see what it was made from."
    )
    glossary.show()
    contents()
    read(session.current_run())


@section("head_page")
def read(run: ModelRun) -> None:
    layer, head, token, key = choose(run)
    if not heads.has_attention(run, key="nearest"):
        return
    lm = session.current_model()
    if reason := lm.unfollowed(layer):
        st.info(f"{plain(reason)} {_ELSEWHERE}")
        return
    steps = head_steps(run, lm.layer_parameters(layer), layer, head, token)
    if wrong := steps.wrong:
        st.info(
            f"In {plain(lm.info.title)}, the step “{wrong.step}” of layer {layer} cannot be followed in this text: "
            f"what is made here is off by {how_far(wrong.largest)}, where the largest number that the model used is "
            f"{wrong.size:.3g}. {_ELSEWHERE}"
        )
        return
    causal = run.layer(layer).causal
    show_formula(steps, causal)
    caption(
        "A vector is a strip with one cell for each number: blue is positive, orange negative, and full colour stands "
        "for the size written beside it (±), or more. A click on a score or a weight opens its card."
    )
    sentences = head_sentences(
        steps,
        run.labels[token],
        n_head=run.info.n_head,
        n_key_head=len(run.layer(layer).key),
        causal=causal,
        cross=bool(run.cross),
        entering=entering_in_words(entering(run, *lm.embeddings(), token)),
    )
    with corners.about(f"{head_name(layer, head)}, query {token}"):
        head_pictures(steps, run.labels, sentences, key="head_steps", chosen=key, causal=causal, on_pick=open_weight)
    show_numbers(steps, run.labels)
    show_checks(run, steps, layer)
    with part(), corners.about(f"{head_name(layer, head)}, query {token}, key {key}"):
        why.show(run, layer, head, token, key)


def choose(run: ModelRun) -> tuple[int, int, int, int]:
    columns = st.columns(4, gap="medium")
    layer, head = heads.choose_one(run, places=columns[:2])
    return layer, head, *heads.choose_pair(run, places=columns[2:])


def show_formula(steps: HeadSteps, causal: bool) -> None:
    mode = st.context.theme.type or "light"
    # in braces, or KaTeX would break a formula in two at the end of a line
    formulas = [rf"${{\displaystyle {formula}}}$" for formula in head_formula(steps, mode, causal=causal)]
    background = st.get_option(f"theme.{mode}.backgroundColor")
    st.html(f"<style>{_STICKY.replace('BACKGROUND', background)}</style>")
    with st.container(key="head_formula"):
        st.markdown(" &emsp; ".join(formulas))


def open_weight(key: int) -> None:
    """A score or weight was clicked: choose its key, and open the card."""
    controls.select("key", key)
    provenance.open_card(st.session_state.layer, st.session_state.head, st.session_state.token, key, also=["head_page"])


def show_numbers(steps: HeadSteps, labels: list[str]) -> None:
    """Every number of the pictures, also of the keys that a long text leaves undrawn."""
    if not shows_numbers("head"):
        return
    caption("Every key, from q·k to its weight." + (" The sink has a score, and no key." if steps.has_sink else ""))
    rows = pd.DataFrame(
        {
            "q·k": steps.dots,
            "scaled": steps.scaled,
            "score": steps.scores,
            "e^(score - largest)": steps.exponentials,
            "weight": steps.weights,
        },
        index=[f"{i} {label}" for i, label in enumerate(labels)],
    )
    if steps.has_sink:
        its = (np.nan, np.nan, steps.sink_score, steps.sink_exponential, steps.sink_weight)
        rows.loc[f"{len(labels)} sink"] = np.float32(its)
    st.dataframe(rows)
    stream, head = st.columns(2, gap="medium")
    with stream:
        caption("The vectors of the residual stream.")
        vectors = {
            "x": steps.hidden,
            "x̂": steps.normed if steps.norm else None,
            "o": steps.projected,
            "other heads": steps.others,
            "bias": steps.output_bias,
            "ŵ": steps.added if steps.written_norm else None,
            "x′": steps.after,
            "x″": steps.behind,
        }
        st.dataframe(pd.DataFrame({name: vector for name, vector in vectors.items() if vector is not None}))
    with head:
        caption("The vectors inside the head: the query token's own q, k and v, and the mix.")
        own_key, own_value = steps.keys.of(steps.query), steps.values.of(steps.query)
        vectors = {"q": steps.q.end, "k": own_key.end, "v": own_value.end, "z": steps.mixed}
        if steps.query_norm or steps.rotary:
            vectors |= {"q before": steps.q.projected, "k before": own_key.projected}
        st.dataframe(pd.DataFrame({name: pd.Series(vector) for name, vector in vectors.items()}))


def show_checks(run: ModelRun, steps: HeadSteps, layer: int) -> None:
    """What was compared before anything was drawn, and what needs the text to be read once more."""
    sentences = (
        "q and all k and v, made here from the hidden vectors and the layer's parameters, equal what the model itself "
        "used",
        "the weights of this path equal those that the attention page shows",
    )
    for made, sentence in zip(checks.head_again(steps.differences), sentences, strict=True):
        check(made, f"{sentence}, to **{how_far(made.difference)}** of the largest number.")
    later.by_reading_again(
        run,
        layer,
        session.behind_attention,
        session.current_key(),
        layer,
        place="head",
        show=lambda behind: show_check_behind(steps, layer, behind),
    )


def show_check_behind(steps: HeadSteps, layer: int, behind: AttentionOutput) -> None:
    found = steps.against(behind)
    where = "the sum x′" if len(found) == 1 or not steps.norm_behind else "the normed sum x″"
    what = "what all heads write together" + (f", and {where}," if len(found) > 1 else "")
    (made,) = checks.head_again(found)
    check(
        made,
        f"the text was read again up to layer {layer}: {what} equal the model's own, to "
        f"**{how_far(made.difference)}** of the largest number.",
    )


main()
