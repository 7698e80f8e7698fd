"""On the page Generation: behind one choice, what the token was drawn from and what its position looked at."""

import streamlit as st

from model.analysis.generation import Step
from model.run import ModelRun
from viz.components.token_chips import MOST_CHIPS, token_chips
from viz.sections.generation import continuation, film, sampling
from viz.ui import corners, heads, provenance, session
from viz.ui.chapters import chapter
from viz.ui.pictures import row_picture
from viz.ui.prose import quoted


@chapter("behind", "Behind the choice", part="behind_choice")
def show(ended: bool) -> None:
    steps, opened = st.session_state.generated, st.session_state.opened
    if opened is None and ended:
        opened = len(steps) - 1
    if opened is None:
        run = continuation.run_after(steps)
        st.markdown(
            f"The next token is chosen at the last position, by the vector of {quoted(run.tokens[-1].label)}. This is "
            "where that position looks. Write some tokens to see the same for each."
        )
    else:
        run = continuation.run_after(steps[:opened])
        st.markdown(
            f"Behind the choice of token {len(run.tokens)}: {quoted(steps[opened].token.label)}, written after "
            f"{quoted(run.tokens[-1].label)}."
        )
        the_choice(run, steps[opened])
        st.markdown(
            f"**What it attended to.** It was chosen at position {len(run.tokens) - 1}, by the vector of "
            f"{quoted(run.tokens[-1].label)}; this is where that position looked."
        )
    what_it_looked_at(continuation.ids(steps if opened is None else steps[:opened]))


def the_choice(run: ModelRun, step: Step) -> None:
    """The alternatives a token was chosen from, and how the draw fell on it."""
    choice = sampling.following(run, step.sampling)
    if step.number is None:
        how = "Nothing drew it: it was chosen by hand."
    elif step.sampling.temperature == 0:
        how = "It was the most probable token, and temperature 0 always takes that one."
    else:
        start, end = choice.stretch(step.token.id)
        how = (
            "Lay the chances of all tokens end to end, the most probable first: this token covers "
            f"{start:.6f} to {end:.6f}. The seed drew the number **{step.number:.6f}**, which falls there."
        )
    at = "" if step.number is None else f"; drawn at {continuation.in_words(step.sampling)}"
    st.markdown(f"{continuation.note(step).capitalize()}{at}. {how}")
    sampling.candidates(choice, "opened", 10, len(run.tokens) - 1, chosen=step.token.id)


def what_it_looked_at(written: tuple[int, ...]) -> None:
    """The attention row of the last position: the one that chooses the token after the text and its continuation."""
    run = session.current_run(written)
    last = len(run.tokens) - 1
    if not st.session_state.generated:  # else it stands above the film, which shows the same head
        film.choose_head(run)
    if not heads.has_attention(run, key="nearest"):
        return
    spec = film.spec(run)
    weights = session.map_of(session.current_key(written), spec).weights[last]
    where = heads.in_words(spec, run)
    most = int(weights.argmax())
    place = f"position {most}" if most <= last else "which is no token"
    strongest = f"{place}, with weight {weights[most]:.3f}"

    def open_weight(key: int) -> None:
        provenance.open_value(spec, (last,), (key,), continuation=written)

    looked_at = run.sides()[1]
    first = max(0, len(looked_at) - MOST_CHIPS)
    with corners.about(where):
        token_chips(
            looked_at[first:],
            key="looked_at_chips",
            first=first,
            on_pick=lambda i: open_weight(first + i),
            notes=[f"weight {weight:.4f} in {where}" for weight in weights[first:].tolist()],
            shades=weights[first:] / weights.max(),
        )
    row_picture(
        weights,
        run.key_labels(),
        sink=run.has_sink(),
        key="looked_at",
        which=where,
        how=f"The attention row of the position that chooses: in {where} it looks most at "
        f"{quoted(looked_at[most].label)}, {strongest}. Chips and bars show the same {len(weights)} weights, which "
        f"sum to {weights.sum():.4f}; the chips are shaded relative to the largest. Click one to see how it was made."
        + (f" The first {first:,} have bars alone." if first else ""),
        title=f"weight, {where}",
        on_pick=open_weight,
    )
