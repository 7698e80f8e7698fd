"""Training: how a transformer comes to do what it does. Five ways to watch it, one at a time."""

import streamlit as st

from viz.sections.training import copier, fine_tuning, in_numbers, one_step, sentences
from viz.ui import controls, glossary
from viz.ui.choices import COPIER, FINE_TUNING, NUMBERS, SENTENCES, STEP

TITLES = {
    COPIER: "A copier is born",
    SENTENCES: "Three sentences",
    STEP: "One step under the microscope",
    FINE_TUNING: "Fine-tuning",
    NUMBERS: "Pre-training in numbers",
}
EXPLAINED = {
    COPIER: "A transformer of two layers learns to go on with what it has seen before. Nothing seems to happen, until "
    "two heads find each other.",
    SENTENCES: "A model begins with random numbers, and learns a few lines by heart. Then it learns one more, and "
    "forgets.",
    STEP: "One step of training, from the batch to the new weights, with every formula and its numbers.",
    FINE_TUNING: "A model that can already write reads a few lines of yours: what it gains there, what it loses "
    "elsewhere, which heads moved.",
    NUMBERS: "What the models here have read, what that took, and what the same rule says of larger ones.",
}
SHOWN = {
    COPIER: copier.show,
    SENTENCES: sentences.show,
    STEP: one_step.show,
    FINE_TUNING: fine_tuning.show,
    NUMBERS: in_numbers.show,
}


def main() -> None:
    st.title("Training")
    st.markdown(
        "A transformer begins as random numbers. **Training** shows it texts, asks for each next token, and moves "
        "every number a little towards the right answer, many times."
    )
    glossary.show()
    lesson = controls.choose("Lesson", "lesson", help=" · ".join(f"{name}: {TITLES[name]}" for name in TITLES))
    st.header(TITLES[lesson], divider="gray", anchor=False)
    st.markdown(EXPLAINED[lesson])
    SHOWN[lesson]()


main()
