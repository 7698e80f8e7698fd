"""On the page Training: a copier that trains while one looks on, and the ways in which it learns something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from viz.components.course import Rest
from viz.components.course import course as course_picture
from viz.guard import handler, part
from viz.plain import plain
from viz.sections.training import copier_course as lesson
from viz.ui import controls, lab_models, links, trainings
from viz.ui.choices import ATTENTION, CHOICES, RATES
from viz.ui.pictures import caption, twin
from viz.ui.trainings import Training

if TYPE_CHECKING:  # torch is imported where it is needed, once its threads are set
    from model.lab.copier import Run
    from model.lab.course import Checkpoint, Settings

KIND = "a copier"
KEY = "copier_live"
SECONDS = 240  # that a training may take
MOST_CHECKPOINTS, LEAST_APART = 40, 20  # of a run, and steps between two of them
_BEGUN, _ASKED = "copier_begun", "copier_asked"  # in the session's state
NAMES = tuple(name for name in CHOICES if name.startswith("copier_"))
PRESETS = {
    "As it ships": ({}, ""),
    "A fixed period": (
        {"copier_spans": False},
        "The 16 symbols come again as a whole, so that each stands 16 places behind itself. To look back 15 places "
        "is enough, whatever stands there, and positions alone can do that. It predicts its own rows, the loss falls "
        "to 0; but on rows with pieces from random places it is worse than a guess, and no head scores as an "
        "induction head.",
    ),
    "Loss on all symbols": (
        {"copier_known": False},
        "Half of what counts now cannot be known, by anybody. That half gives only noise, and what there is to learn "
        "from is drowned in it: the heads find each other later, or not at all within these steps.",
    ),
    "One layer only": (
        {"copier_layers": 1},
        "A head compares what stands at one place with what stands at another. To find the place behind an earlier "
        "copy, it would have to compare its own symbol with the one before that place; but what stands before a "
        "place is only known there once a head of a lower layer has written it. With one layer there is none.",
    ),
}


@dataclass
class Begun:
    """A training of this session: the same course of steps, however often it was stopped."""

    settings: Settings
    course: Iterator[Checkpoint]  # what is left of it
    maps: list[np.ndarray] = field(default_factory=list)  # (L, H, T, T) of each checkpoint so far
    without: np.ndarray | None = None

    def run(self, checkpoints: list[Checkpoint]) -> Run:
        from model.lab.copier import Run

        return Run(self.settings, tuple(checkpoints), self.without)

    def weights(self, checkpoints: list[Checkpoint]) -> np.ndarray:
        """(C, L, H, T, T): those that are new are computed."""
        from model.lab.copier import maps

        new = checkpoints[len(self.maps) :]
        if new:
            self.maps += list(maps(self.run(new), lesson.text()))
        return np.array(self.maps[: len(checkpoints)])


def show(shipped: Run) -> None:
    st.subheader("Train it yourself", anchor=False)
    st.markdown("The same, from random numbers, here and now; or change one thing, and see what it takes.")
    offer_presets()
    settings = choose()
    for title, why in reasons():
        st.markdown(f"**{title}.** {why}")
    if settings is None:
        return
    begin_as_asked(settings)
    begun = st.session_state.get(_BEGUN)
    st.session_state.copier_trained = begun is not None and begun.settings == settings
    offer(settings)
    if begun and begun.settings != settings:
        caption("What is shown below was trained with other settings than those that are chosen now.")
    trainings.watch(KIND, lambda training: draw(training, shipped))


def offer_presets() -> None:
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="copier_presets"):
        st.markdown("Begin with:", width="content")
        for i, (title, (changes, _)) in enumerate(PRESETS.items()):
            st.button(
                title,
                key=f"copier_preset_{i}",
                on_click=handler(_set),
                args=(changes,),
                type="tertiary",
                width="content",
            )


def _set(changes: dict) -> None:
    for name in NAMES:
        if name != "copier_trained":
            st.session_state[name] = changes.get(name, CHOICES[name].default)


def reasons() -> list[tuple[str, str]]:
    """Of what is chosen, what cannot work, or learns something else: a title and sentences."""
    state = st.session_state
    return [
        (title, why)
        for title, (changes, why) in PRESETS.items()
        if changes and all(state[name] == value for name, value in changes.items())
    ]


def choose() -> Settings | None:
    """None where they do not go together, which is said."""
    from model.lab.course import LabError, Settings

    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="copier_settings"):
        controls.number("Seed", 0, 2**31 - 1, "copier_seed", width=110, help="Other random numbers.")
        controls.number("Layers", 1, 3, "copier_layers", width=100)
        controls.choose("Heads", "copier_heads")
        controls.choose("Width", "copier_width", help="Numbers in each vector; the heads of a layer share them.")
        st.toggle("MLP", key=links.key("copier_mlp"), help="Without, a block is attention alone.")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="copier_course_settings"):
        st.select_slider(
            "Learning rate",
            RATES,
            st.session_state[links.key("copier_rate")],
            key="copier_rate",
            format_func="{:g}".format,
            width=210,
            help="How far a step moves the weights. It ships with 0.01; 10 destroys.",
        )
        controls.number("Steps", 1, 2000, "copier_steps", width=110)
        st.toggle(
            "Pieces from random places",
            key=links.key("copier_spans"),
            help="Off: the first 16 symbols come again as a whole.",
        )
        st.toggle(
            "Loss only where it can be known",
            key=links.key("copier_known"),
            help="Off: every symbol counts, those that nobody can know too.",
        )
    state = st.session_state
    n_step = int(state.copier_steps)
    try:
        return Settings(
            n_layer=int(state.copier_layers),
            n_head=int(state.copier_heads),
            d_model=int(state.copier_width),
            mlp=bool(state.copier_mlp),
            rate=float(state.copier_rate),
            n_step=n_step,
            seed=int(state.copier_seed),
            spans=bool(state.copier_spans),
            known_only=bool(state.copier_known),
            every=max(LEAST_APART, -(-n_step // MOST_CHECKPOINTS)),
        )
    except LabError as error:
        st.warning(plain(error), icon=":material/info:")
        return None


def begin_as_asked(settings: Settings) -> None:
    """A link shows what was seen: a copier that was trained is trained again, once."""
    asked = st.session_state.setdefault(_ASKED, links.is_asked("copier_trained"))
    if not asked:
        return
    st.session_state[_ASKED] = False
    if st.session_state.copier_trained and trainings.of_session(KIND) is None:
        begin(settings)


def begin(settings: Settings) -> None:
    """Raises `VisitorError`."""
    from model.lab.course import train

    begun = Begun(settings, train(settings))
    trainings.start(KIND, lambda: rest_of(begun.course), seconds=SECONDS, expected=n_checkpoints(settings))
    st.session_state[_BEGUN] = begun
    st.session_state.pop(_rest_key(), None)


def n_checkpoints(settings: Settings) -> int:
    return 1 + -(-settings.n_step // settings.every)


def rest_of(course: Iterator[Checkpoint]) -> Iterator[Checkpoint]:
    """What is left, so that whoever stops this does not end the course."""
    yield from iter(lambda: next(course, None), None)


def go_on() -> None:
    begun, before = st.session_state[_BEGUN], trainings.of_session(KIND)
    trainings.start(
        KIND,
        lambda: rest_of(begun.course),
        seconds=SECONDS,
        since=before.steps,
        expected=n_checkpoints(begun.settings),
    )
    st.session_state.pop(_rest_key(), None)


def offer(settings: Settings) -> None:
    training, begun = trainings.of_session(KIND), st.session_state.get(_BEGUN)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="copier_begin"):
        st.button(
            "Train",
            key="copier_train",
            type="primary",
            icon=":material/model_training:",
            on_click=handler(begin),
            args=(settings,),
        )
        if training and training.state == trainings.STOPPED and len(training.steps) < n_checkpoints(begun.settings):
            st.button("Go on", key="copier_go_on", icon=":material/play_arrow:", on_click=handler(go_on))
    caption(
        "At most 3 layers of 4 heads, vectors of 64 numbers, 2,000 steps and "
        f"{SECONDS // 60} minutes. As it ships it takes about ten seconds of one core."
    )


def draw(training: Training | None, shipped: Run) -> None:
    """The course so far, beside the one that ships."""
    begun = st.session_state.get(_BEGUN)
    if training is None or begun is None or not training.steps:
        return
    checkpoints = list(training.steps)
    if not training.under_way and begun.without is None:
        from model.lab.copier import ablated

        begun.without = ablated(begun.settings, checkpoints[-1])
    run = begun.run(checkpoints)
    shown = lesson.course_of(
        run,
        begun.weights(checkpoints),
        beside=lesson.course_of(shipped, lesson.shipped_maps()),
        until=begun.settings.n_step,
    )
    rest = at_rest(run, training.under_way)

    def rested(found: Rest) -> None:
        st.session_state[_rest_key()] = found

    course_picture(shown, key=KEY, rest=rest, alt=lesson.in_words(run), on_rest=rested)
    caption(
        "The thin lines: the loss where a symbol can be known, and the best induction score, of the run that ships."
    )
    if training.under_way:
        return
    twin(lambda: lesson.numbers(run), key=KEY)
    with part():
        say_how_it_ended(run, shipped)
    with part():
        offer_to_open(run, rest)


def _rest_key() -> str:
    return f"{KEY}_rest"


def at_rest(run: Run, follow: bool) -> Rest:
    """Where the visitor left it; else the newest checkpoint, and the head that is best at induction."""
    kept: Rest | None = st.session_state.get(_rest_key())
    last = run.checkpoints[-1]
    best = int(last.induction.argmax())
    if kept is None or kept.at >= len(run.checkpoints) or kept.head >= last.induction.size:
        return Rest(len(run.checkpoints) - 1, best)
    return kept


def say_how_it_ended(run: Run, shipped: Run) -> None:
    last, lock = run.checkpoints[-1], run.locked
    said = (
        f"From step **{lock.step:,}** on both heads stay."
        if lock
        else f"The two heads did not come to stay within {last.step:,} steps."
    )
    st.markdown(
        f"**After {last.step:,} steps:** a loss of {last.trained:.2f} on rows of its own kind, of {last.known:.2f} on "
        f"pieces from random places; best induction score **{last.induction.max():.2f}**, best previous-token score "
        f"**{last.previous.max():.2f}**. {said} The run that ships: {shipped.checkpoints[-1].known:.2f}, "
        f"{shipped.checkpoints[-1].induction.max():.2f}, {shipped.checkpoints[-1].previous.max():.2f}, "
        f"from step {shipped.locked.step:,} on."
    )
    if run.settings == shipped.settings and last.step == shipped.checkpoints[-1].step:
        from model.lab.copier import difference

        apart = difference(run, shipped)
        caption(
            f"The same settings as the run that ships: no score at any checkpoint differs by more than {apart:.4f}."
        )
    if run.without is not None and lock:
        needed = [f"layer {layer}, head {head}" for layer, head in np.argwhere(run.without > last.known + 1)]
        st.markdown(
            f"Taken out alone, {' and '.join(needed) or 'no head'} "
            f"{'costs' if len(needed) < 2 else 'cost'} more than 1 nat where a symbol can be known."
        )


def offer_to_open(run: Run, rest: Rest) -> None:
    from model.lab.copier import Copier

    now = run.checkpoints[rest.at]
    if not st.button(
        f"Open it as it was after step {now.step:,}",
        key="copier_open_own",
        icon=":material/visibility:",
        help="On the page Attention, with this text. Every page can read it from then on: it stands in the sidebar's "
        "list, for you alone, until you close or reload this page.",
    ):
        return
    settings = run.settings
    title = f"My copier, step {now.step:,}"
    origin = (
        f"It learned to copy from random numbers (seed {settings.seed}), in {now.step:,} steps of a learning rate of "
        f"{settings.rate:g}: {settings.n_layer} layers of {settings.n_head} heads, vectors of {settings.d_model} "
        "numbers."
    )
    layer, head = divmod(rest.head, settings.n_head)
    name = lab_models.own(Copier.at(settings, now, title), title, origin)
    links.go(ATTENTION, model=name, text=lesson.text(), layer=layer, head=head)
