"""Break the mechanism: take a part of attention away, and read the same text with and without it."""

import streamlit as st

from model.intervention import UNCHANGED
from model.run import ModelRun, VisitorError
from viz.figures.mechanism import without_effect
from viz.guard import handler, part, section
from viz.plain import plain
from viz.sections.mechanism import effect, maps, switches
from viz.ui import glossary, session
from viz.ui.pictures import caption


def main() -> None:
    st.title("Break the mechanism")
    st.markdown(
        "What is each part of attention for? Take it away, and see: the same model reads the same text **as trained** "
        "and **changed**."
    )
    glossary.show()
    session.current_run()  # whatever is wrong with the text is said here, once, before anything else is drawn
    experiment()


@section("mechanism")
def experiment() -> None:
    trained = session.current_run()
    change = switches.choose(trained)
    st.session_state.changed_now = change or UNCHANGED
    if change is None:
        return
    try:
        changed = session.current_run(intervention=change)
    except VisitorError as error:
        st.warning(f"{plain(error)} Flip that switch back.", icon=":material/info:")
        return
    show_summary(trained, changed)
    maps.show(trained, changed)
    if effect.predicts_next(trained):
        with part():  # some models' last vectors cannot be read as tokens: the losses can be told all the same
            effect.show_next_token(trained, changed)
        effect.show_loss(trained, changed)
    else:
        caption("This model does not predict next tokens, so there is no loss to compare.")


def show_summary(trained: ModelRun, changed: ModelRun) -> None:
    change = changed.intervention
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(switches.name_of(change, trained), anchor=False, width="stretch")
        st.button(
            "Back to as trained",
            key="as_trained",
            icon=":material/restart_alt:",
            on_click=handler(switches.as_trained_again),
            disabled=change == UNCHANGED,
        )
    if idle := without_effect(trained, change):
        st.info("These do nothing here:\n" + "".join(f"\n- {sentence}" for sentence in idle), icon=":material/block:")
    if change != UNCHANGED and len(trained.tokens) > 1 and effect.predicts_next(trained):
        st.markdown(
            f"Loss on this text: {trained.predictions.loss:.3f} nats a token as trained, "
            f"**{changed.predictions.loss:.3f}** changed."
        )
        if not change.causal_mask:
            st.warning(
                "Without the mask this loss loses its meaning: the model has already seen each token that it must "
                "predict, and since it was never trained to look ahead, the number need not even be small.",
                icon=":material/visibility_off:",
            )


main()
