"""On the page Training: the story model reads a few lines more; and how a checkpoint of Hugging Face's does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from model import catalog, serving
from model.run import VisitorError
from viz.figures.fine_tuning import gain_and_loss
from viz.guard import handler, part
from viz.sections.training import before_after
from viz.ui import controls, lab_models, links, session, trainings
from viz.ui.choices import ATTENTION, RATES, TUNED_LINES
from viz.ui.lab_models import Trained
from viz.ui.pictures import caption, picture
from viz.ui.trainings import Training

if TYPE_CHECKING:  # torch is imported where it is needed, once its threads are set
    from model.lab.fine_tuning import Checkpoint, FineTuning, Settings

KIND = "a fine-tuning"
EXAMPLES = {
    "A robot in the kitchen": TUNED_LINES,
    "A captain's log": "Day one: the wind is from the west and the crew is in good spirits.\n"
    "Day two: the wind has turned and the cook has lost his hat.\n"
    "Day three: we have eaten nothing but onions.\n"
    "Day four: the hat was in the soup.\n"
    "Day five: the wind is from the west and the crew is in good spirits.",
    "Recipes": "Take two eggs, a cup of milk and a spoon of flour.\n"
    "Take three onions, a cup of oil and a spoon of salt.\n"
    "Take one apple, a cup of sugar and a spoon of butter.\n"
    "Take four carrots, a cup of water and a spoon of honey.",
}
_BEGUN = "tuning_begun"  # in the session's state: what was begun last, and with what
_ASKED = "tuning_asked"  # and whether a link asked for one, until it is begun
_OWNED = "tuning_owned"  # and the name of its model, for the step that it is of


@dataclass(frozen=True)
class Begun:
    key: tuple[tuple[str, ...], Settings]
    tuning: FineTuning


def show() -> None:
    serving.load_torch()
    before_after.go_if_picked()
    st.markdown(
        "The story model has read millions of tokens. **Fine-tuning** goes on where its training stopped, with a few "
        "lines of yours: the same loss, and a small learning rate. It soon knows them. But the same weights hold all "
        "else that it knows, and nothing asks for that any more: it **forgets**."
    )
    with part():
        tune()
    with part():
        before_after.show(tuned_name(), learned_lines())
    show_command()


def tune() -> None:
    """Raises `VisitorError`."""
    lines, settings = choose()
    key = (lines, settings)
    if asked() and begun() is None:
        begin(key)
    offer(key)
    of_key = begun() if begun() and begun().key == key else None
    trainings.watch(KIND, draw)
    if of_key and not trainings.is_under_way(KIND) and of_key.tuning.n_step:
        show_gain(of_key.tuning)
        hand_out(of_key.tuning)


def choose() -> tuple[tuple[str, ...], Settings]:
    """The lines, and how they are learned. Raises `VisitorError`."""
    from model.lab.fine_tuning import (
        MOST_CHARACTERS,
        MOST_IN_LINE,
        MOST_LINES,
        MOST_SECONDS,
        MOST_STEPS,
        Settings,
        lines_of,
    )

    left, right = st.columns([1.1, 1], gap="large")
    with left:
        st.text_area(
            "Lines to learn",
            key=links.key("tuned_lines"),
            height=160,
            help=f"At most {MOST_LINES} lines of {MOST_IN_LINE} characters, {MOST_CHARACTERS:,} in all. Ctrl + Enter "
            "(⌘ + Enter on a Mac) takes them.",
        )
    with right:
        st.selectbox(
            "Examples",
            EXAMPLES,
            index=None,
            key="tuned_example",
            placeholder="or choose an example …",
            on_change=handler(_use_example),
        )
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            controls.number("Steps", 0, MOST_STEPS, "tuned_steps", width=85, help=f"At most {MOST_STEPS} at once.")
            st.select_slider(
                "Learning rate",
                RATES,
                key=links.key("tuned_rate"),
                format_func="{:g}".format,
                width=130,
                help="How far a step moves the weights. 0.0003 learns a few lines in 20 steps; 0.00001 hardly moves; "
                "0.01 forgets all else; 10 destroys.",
            )
            controls.number("Seed", 0, 2**31 - 1, "tuned_seed", width=85, help="Which lines make a step together.")
        caption(
            f"At most {MOST_LINES} lines, {MOST_STEPS} steps and {MOST_SECONDS} seconds at once; one training at a "
            "time on this server."
        )
    state = st.session_state
    settings = Settings(int(state.tuned_steps), float(state.tuned_rate), int(state.tuned_seed))
    return lines_of(state.tuned_lines), settings


def _use_example() -> None:
    if st.session_state.tuned_example:
        st.session_state.tuned_lines = EXAMPLES[st.session_state.tuned_example]
        st.session_state.tuned_example = None


def begun() -> Begun | None:
    return st.session_state.get(_BEGUN) if trainings.of_session(KIND) else None


def asked() -> bool:
    """Whether a link asked for what only a training can show; told once."""
    found = st.session_state.setdefault(_ASKED, links.is_asked("tuned") and st.session_state[links.key("tuned")])
    st.session_state[_ASKED] = False
    return found


def learned_lines() -> tuple[str, ...]:
    """None where they cannot be learned, which is said above."""
    from model.lab.fine_tuning import lines_of

    try:
        return lines_of(st.session_state.tuned_lines)
    except VisitorError:
        return ()


def begin(key: tuple[tuple[str, ...], Settings]) -> None:
    """Raises `VisitorError`."""
    from model.lab.fine_tuning import FineTuning

    lines, settings = key
    tuning = FineTuning(session.language_model(catalog.DEFAULT), lines, settings)
    _start(tuning, first=True)
    st.session_state[_BEGUN] = Begun(key, tuning)
    st.session_state.tuned = True


def go_on() -> None:
    """As many steps more, from the last good checkpoint."""
    _start(st.session_state[_BEGUN].tuning)


def _start(tuning: FineTuning, *, first: bool = False) -> None:
    from model.lab.fine_tuning import EVERY, MOST_SECONDS

    n_step = tuning.settings.n_step
    since = [] if first else [step for step in trainings.of_session(KIND).steps if step.step <= tuning.n_step]
    expected = len(since) + first + -(-n_step // EVERY)
    trainings.start(KIND, lambda: tuning.steps(n_step), seconds=MOST_SECONDS, since=since, expected=expected)


def offer(key: tuple[tuple[str, ...], Settings]) -> None:
    of_key = begun() and begun().key == key
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Fine-tune again" if of_key else "Fine-tune",
            key="tune",
            type="secondary" if of_key else "primary",
            icon=":material/model_training:",
            on_click=handler(begin),
            args=(key,),
        )
        if of_key and not trainings.is_under_way(KIND):
            st.button(
                f"Go on, {_counted(key[1].n_step, 'step')} more",
                key="tune_more",
                icon=":material/play_arrow:",
                on_click=handler(go_on),
            )


def draw(training: Training | None) -> None:
    """The course so far."""
    if training is None or not training.steps:
        return
    checkpoints: list[Checkpoint] = training.steps
    losses = {
        "your lines": [checkpoint.lines for checkpoint in checkpoints],
        "stories that it was not trained on": [checkpoint.held_out for checkpoint in checkpoints],
    }
    steps = [checkpoint.step for checkpoint in checkpoints]
    told = "; ".join(f"{name}, from {values[0]:.2f} to {values[-1]:.2f}" for name, values in losses.items())
    picture(
        gain_and_loss(steps, losses),
        key="tuning_course",
        how="The loss on the lines that it learns, and on five stories that were written for Regard, which no model "
        "here was trained on. Where the first falls and the second rises, it gains here and forgets there.",
        alt=f"Two lines over {steps[-1]} steps, in nats a token: {told}.",
        table=lambda: pd.DataFrame(losses, index=pd.Index(steps, name="steps")),
    )


def show_gain(tuning: FineTuning) -> None:
    first, last = trainings.of_session(KIND).steps[0], tuning.checkpoint
    gained, lost = first.lines - last.lines, last.held_out - first.held_out
    said = (
        f"After **{_counted(last.step, 'step')}**, each next token of your lines is on average "
        f"**{_factor(gained)}** probable than before; of the stories, **{_factor(-lost)}**."
    )
    st.markdown(said + (" That is the price: try fewer steps, or a smaller learning rate." if lost > 0.2 else ""))


def _factor(nats: float) -> str:
    factor = np.exp(abs(nats))
    if factor < 1.005:
        return "as"
    times = f"{factor:.2f}" if factor < 10 else f"{factor:,.0f}"
    return f"{times} times {'more' if nats > 0 else 'less'}"


def tuned_name() -> str | None:
    """The model of this session that came of the training; kept as soon as that is over."""
    now = begun()
    if now is None or trainings.is_under_way(KIND) or not now.tuning.n_step:
        return None
    of, name = st.session_state.get(_OWNED, (None, None))
    if of != now.tuning.checkpoint or name not in {entry.name for entry in lab_models.entries()}:
        title = f"Story + your lines, {_counted(now.tuning.n_step, 'step')}"
        name = lab_models.own(now.tuning.finished(title), title, origin(now.tuning))
        st.session_state[_OWNED] = now.tuning.checkpoint, name
        st.rerun()  # the sidebar offers it
    return name


def origin(tuning: FineTuning) -> str:
    base, settings = tuning.lm.info, tuning.settings
    return (
        f"It began as Regard's {base.title} model (weights {base.fingerprint}) and was fine-tuned on "
        f"{_counted(len(tuning.lines), 'line')} of a visitor's in {_counted(tuning.n_step, 'step')} of AdamW, with a "
        f"learning rate of {settings.rate:g} and the seed {settings.seed}."
    )


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def hand_out(tuning: FineTuning) -> None:
    """Ways to look into the model, and to take it along."""
    name = tuned_name()
    trained = lab_models.find(name)
    if trained is None:
        return

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Open this model",
            key="open_tuned",
            icon=":material/visibility:",
            type="primary",
            on_click=handler(_open),
            args=(name, tuning.lines[0]),
            help="On the page Attention, with your first line as its text. It stands in the sidebar's list, for you "
            "alone, until you close or reload this page.",
        )
        st.download_button(
            "Download as a folder",
            partial(packed, trained),  # only once it is asked for
            "story-tuned.zip",
            "application/zip",
            key="take_tuned",
            icon=":material/download:",
            on_click="ignore",
            help="A zip with the model as a GPT-2 of Hugging Face's: config.json, model.safetensors, tokenizer.json. "
            "transformers reads the folder, and so does Regard, as a model of your own.",
        )


def packed(trained: Trained) -> bytes:
    from model.lab.exported import files_of, zipped

    return zipped("story-tuned", files_of(trained.lm, trained.origin, catalog.WEIGHTS / catalog.DEFAULT))


def _open(name: str, text: str) -> None:
    st.session_state[before_after.OPENED] = {"page": ATTENTION, "model": name, "text": text}


def show_command() -> None:
    st.subheader("A model of Hugging Face's", anchor=False)
    st.markdown(
        "Larger models are fine-tuned outside of this page, with transformers' own **Trainer**, on a GPU where there "
        "is one. In a terminal on your machine:"
    )
    st.code("pip install 'regard[finetune]'\nregard finetune MODEL --data lines.txt --out tuned", language="bash")
    st.markdown(
        "`MODEL` is a folder, the id of a model that you have downloaded from the hub, or `story`. Each line of the "
        "file is a text. `--lora` leaves the model as it is and trains an **adapter**: beside each matrix *W* two thin "
        "ones, *B·A*, whose product is added to it: a few hundredths of the numbers; it learns and forgets less. "
        "`--held-out other.txt` says what is. Ctrl + C ends it behind the next step, and `--resume` goes on.  \n"
        "Then open both folders under *Use a model of your own* in the sidebar, and choose them as **Before** and "
        "**After** above."
    )
