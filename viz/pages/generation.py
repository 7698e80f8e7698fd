"""Generation: what may come next, what sampling makes of it, and a text written token by token."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from model.analysis.generation import Step
from model.language_model import Recorder
from model.run import ModelInfo, VisitorError
from viz.components.contents import contents
from viz.figures.generation import growing_text
from viz.guard import handler, part, section
from viz.plain import plain
from viz.sections.generation import (
    behind_choice,
    branches,
    continuation,
    conversation,
    film,
    layers,
    playground,
    saliency,
    sampling,
    surprise,
    ways,
    words,
)
from viz.ui import controls, glossary, session
from viz.ui.prose import quoted, to_read

MOST_AT_ONCE = 200  # tokens
WIDTH = 155  # px, of the button that is now Generate, now Stop: its neighbours stay where they are, under a pointer too
PACE = 0.1  # seconds of writing between two looks at what there is


def main() -> None:
    st.title("How is the next token chosen?")
    st.write(
        "A language model gives every token of its vocabulary a probability to come next. One of them is drawn, put at "
        "the end of the text, and the model reads everything again: that is all there is to writing."
    )
    glossary.show()
    contents()
    conversation.show()  # also one that is too long to be read: it can be taken back
    reads = session.current_run()  # whatever is wrong with the text is said here, once, before anything else is drawn
    if reads.info.labels:
        raise VisitorError(
            f"{reads.info.title} was trained to judge texts, not to write them: its labels and their probabilities "
            "are on the page Understanding, under “sentiment”. Choose a decoder in the sidebar to see one write."
        )
    if reads.info.family != "decoder" or reads.predictions is None:
        raise VisitorError(
            f"{reads.info.title} does not write on: it reads a whole text at once, or has no head that predicts "
            "tokens. Choose a decoder in the sidebar, such as “story”."
        )
    continuation.find()
    state = st.session_state
    state.clock_runs, state.looked_at = False, None
    section("writing")(writing)()
    state.looked_at = state.generated_as
    section("generation")(look)()
    if conversation.is_on():
        conversation.turns()
    if not sampling.cannot_draw(reads):
        ways.show()
    layers.show()
    with part():
        saliency.show(reads)
    surprise.show()


def writing() -> None:
    """The text and what writes it; while there is something to write, by a clock, so that nothing else is drawn again.

    The text is the same section with and without a clock: what stands in the browser stays, where another section would
    be built anew. It is sent before all else, with the token that the click has written, and stands below the buttons,
    which a growing text would push away from under the pointer; an answer stands below what it answers.
    """
    info, state = session.current_model().info, st.session_state
    clock_runs, state.clock_runs = state.to_go > 0, False
    above, text, below = st.container(key="write_above"), st.container(), st.container()  # frame.css on the first
    with text:
        places = section("growing", run_every=PACE if clock_runs else None)(growing)()
    with below if conversation.is_on() else above:
        if conversation.is_on():
            conversation.reply(clock_runs)
        end = finished(info, state.generated)
        # before anything is written: the first token of a long text may take seconds
        offer_to_write(state.generated, clock_runs, end)
    if end:
        st.info(end, icon=":material/stop_circle:")
    elif not clock_runs and (stop := state.stop_at) and stop in continuation.written(state.generated):
        st.caption(f"{quoted(stop)} was written, which ends each writing.")
    state.clock_runs = clock_runs
    if clock_runs and places:
        grow(*places)
    keep_up()


def growing() -> tuple[DeltaGenerator, DeltaGenerator]:
    """The text so far; called by the clock, as it grows. The places of the text, and of how much that is."""
    places = st.empty(), st.empty()
    draw(*places)
    if st.session_state.clock_runs:
        grow(*places)
        keep_up()
    return places


def grow(text: DeltaGenerator, how_much: DeltaGenerator) -> None:
    """What looks into the text needs a run of all of it, and is drawn again when nothing is to go."""
    info, state = session.current_model().info, st.session_state
    if not finished(info, state.generated):
        continuation.write_on(PACE)
        draw(text, how_much)
    if finished(info, state.generated):
        continuation.stop()


def draw(text: DeltaGenerator, how_much: DeltaGenerator) -> None:
    draw_text(text)
    state = st.session_state
    n = len(state.generated)
    tokens = f"{n} token{'s' * (n != 1)} written" if n else "Nothing is written yet"
    how_much.caption(f"{tokens}, {state.to_go} to go …" if state.to_go else f"{tokens}.")


def draw_text(place: DeltaGenerator) -> None:
    written = continuation.written(st.session_state.generated)
    if conversation.is_on():
        with place.container():
            conversation.answer(written)
        return
    to_read(growing_text(session.current_text(), written, st.context.theme.type or "light"), place)


def keep_up() -> None:
    """The clock of a fragment is stopped, and the other parts are drawn, when the whole page runs."""
    state = st.session_state
    behind = not state.clock_runs and state.looked_at not in (None, state.generated_as)
    if behind or bool(state.to_go) != state.clock_runs or not continuation.belongs_here():
        st.rerun()


def look() -> None:
    keep_up()
    steps = st.session_state.generated
    if steps:
        st.header("How it was written")
        film.show()
        branches.show()

    ended = bool(steps) and steps[-1].token.special
    sampling.show(ended)
    behind_choice.show(ended)
    playground.show()
    words.show()


def offer_to_write(steps: list[Step], writing: bool, end: str | None) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="actions"):
        blocked = writing or end is not None
        st.button(
            "Next token",
            key="next_one",
            icon=":material/play_arrow:",
            type="primary",
            on_click=handler(write_next),
            disabled=blocked,
        )
        # a limit of its own would turn the box red, and leave the number that stood there before
        n = controls.number("Tokens", 0, None, "n_generate", width=110)
        if writing:
            st.button(
                "Stop",
                key="stop",
                icon=":material/stop:",
                on_click=handler(continuation.stop),
                width=WIDTH,
            )
        else:
            st.button(
                f"Generate {n}",
                key="next_many",
                icon=":material/fast_forward:",
                on_click=handler(write_many),
                disabled=blocked or not 0 < n <= MOST_AT_ONCE,
                width=WIDTH,
            )
        st.button(
            "Clear",
            key="clear",
            icon=":material/delete:",
            on_click=handler(continuation.clear),
            disabled=not (steps or writing),
        )
        st.button(
            "Add to the text",
            key="add",
            icon=":material/subdirectory_arrow_left:",
            on_click=handler(continuation.add_to_text),
            disabled=writing or not continuation.written(steps),
            help="Puts what was written into the sidebar's text, to look into it on the other pages.",
        )

    if n == 0:
        st.info("0 tokens are none: say how many are to be written.", icon=":material/info:")
    if n > MOST_AT_ONCE:
        st.info(
            f"{n:,} tokens are more than the {MOST_AT_ONCE} that are written at once. Write fewer, and then go on.",
            icon=":material/info:",
        )


def finished(info: ModelInfo, steps: list[Step]) -> str | None:
    """Why no token can be added, if none can."""
    if steps and steps[-1].token.special:
        return f"The model has ended its text: it drew {quoted(steps[-1].token.label)}, a special token."
    n_token = len(session.current_tokens()) + len(steps)
    if n_token >= info.n_context:
        return (
            f"The context is full: {plain(info.title)} reads at most {info.n_context:,} tokens, and the text now has "
            f"{n_token:,}. Clear what was written, or shorten the text."
        )
    return sampling.cannot_draw(session.current_run())


def write_next() -> None:
    """Add one token."""
    st.session_state.to_go = 1
    continuation.write_on(0)


def write_many() -> None:
    st.session_state.to_go = st.session_state.n_generate
    if isinstance(session.current_model(), Recorder):  # it goes on from what it has read: the first token at once
        continuation.write_on(0)


main()
