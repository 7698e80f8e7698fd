"""On the page Training: a model learns a few lines by heart, from random numbers on; then one more, and forgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from model import serving
from viz.figures.sentences import MOST_TOKENS, token_loss_map
from viz.guard import handler, part
from viz.plain import plain
from viz.sections.training import other_line, unseen
from viz.sections.training.lines import OPEN_MEANS, open_model, show_course
from viz.ui import controls, links, trainings
from viz.ui.choices import BY_PIECES, CHOICES, RATES
from viz.ui.pictures import caption, measures, picture
from viz.ui.trainings import Training

if TYPE_CHECKING:  # torch is imported where it is needed, once its threads are set
    from model.lab.sentences import Checkpoint, Run, Settings

KIND = "a few lines"
SECONDS = 60  # that a training may take
_BEGUN = "lines_begun"  # in the session's state: the run that was begun last
_ASKED = "lines_asked"  # and whether a link asked for one, until it is begun
UNITS_MEAN = (
    "words: each word and each sign is a token. characters: each letter. pieces: as the story model cuts, by byte-pair "
    "merges."
)


@dataclass(frozen=True)
class Found:
    """What there is of the chosen settings: a run, and its checkpoints so far."""

    run: Run
    checkpoints: list[Checkpoint]
    ships: bool  # it was trained once, and is not this session's


def show() -> None:
    serving.load_torch()
    from model.lab.sentences import begin

    st.markdown(
        "The example of many lessons: three short sentences, each word a token. All weights begin as random numbers. "
        "At each **step** the model is asked for every next token; its **loss** is −ln of the probability that it gave "
        "to the right one; and every weight is moved a little so that the loss falls."
    )
    other_line.remember_link()
    settings = choose()
    run = begin(settings)  # what cannot be learned is said here
    _begin_as_asked(settings)
    found = of_settings(settings)
    offer(settings, found)
    say_what_is_trained(run, found)
    trainings.watch(KIND, lambda training: draw(training, found))
    if found is None or trainings.is_under_way(KIND):
        return
    with part():
        show_losses(found)
    with part():
        unseen.show(found.run)
    with part():
        other_line.show(found.run, ships=found.ships)


def choose() -> Settings:
    """The lines, and how they are learned. Raises `VisitorError`."""
    from model.lab.sentences import MOST_STEPS, Settings, lines_of

    left, right = st.columns([2, 3], gap="large")
    with left:
        st.text_area(
            "Lines to learn",
            key=links.key("learned"),
            height=150,
            help="One sentence a line, or anything else. Ctrl + Enter (⌘ + Enter on a Mac) takes them.",
        )
    with right:
        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            controls.choose("Cut into", "learned_units", help=UNITS_MEAN)
            st.toggle(
                "Each line by itself",
                key=links.key("learned_apart"),
                help="Else they are read as one text, and what stands before a line tells which one comes.",
            )
        with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
            st.select_slider(
                "Learning rate",
                RATES,
                key=links.key("learned_rate"),
                format_func="{:g}".format,
                help="How far a step moves the weights. 0.0003 is slow enough to watch; 0.01 learns within ten steps; "
                "10 destroys.",
                width=180,
            )
            controls.number("Steps", 0, MOST_STEPS, "learned_steps", width=90)
            controls.number(
                "Seed",
                0,
                2**31 - 1,
                "learned_seed",
                width=90,
                help="Other random numbers at the start.",
            )
    state = st.session_state
    return Settings(
        lines_of(state.learned),
        state.learned_units,
        state.learned_apart,
        float(state.learned_rate),
        int(state.learned_steps),
        int(state.learned_seed),
    )


def of_settings(settings: Settings) -> Found | None:
    """What this session trained with these settings, or what ships; None: nothing yet."""
    from model.lab.finished import finished

    run, training = st.session_state.get(_BEGUN), trainings.of_session(KIND)
    if run and training and run.settings == settings:
        return Found(run, list(training.steps), False) if training.steps or training.under_way else None
    shipped = finished()
    return Found(shipped.run, shipped.checkpoints, True) if shipped.settings == settings else None


def _begin_as_asked(settings: Settings) -> None:
    """A link shows what was seen: a run that only its settings tell is made again, once."""
    names = [name for name in CHOICES if name.startswith("learned")]
    asked = st.session_state.setdefault(_ASKED, any(map(links.is_asked, names)))
    if not asked or trainings.of_session(KIND):
        return
    st.session_state[_ASKED] = False
    if of_settings(settings) is None:
        begin_training(settings)


def begin_training(settings: Settings) -> None:
    """Raises `VisitorError`."""
    from model.lab.sentences import begin, n_checkpoints

    run = begin(settings)
    trainings.start(
        KIND,
        lambda: run.learner.each_step(settings.n_step),
        seconds=SECONDS,
        expected=n_checkpoints(settings.n_step),
    )
    st.session_state[_BEGUN] = run


def _train(settings: Settings) -> None:
    begin_training(settings)
    st.session_state.learned_at = None


def go_on() -> None:
    """From the last checkpoint to the last step."""
    from model.lab.sentences import every_few, n_checkpoints

    run, before = st.session_state[_BEGUN], trainings.of_session(KIND)
    n_step = run.settings.n_step
    trainings.start(
        KIND,
        lambda: run.learner.each_step(n_step - run.learner.step, every_few(n_step)),
        seconds=SECONDS,
        since=before.steps,
        expected=n_checkpoints(n_step),
    )


def offer(settings: Settings, found: Found | None) -> None:
    training = trainings.of_session(KIND)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Train" if found is None else "Train again",
            key="train_lines",
            type="primary" if found is None else "secondary",
            icon=":material/model_training:",
            on_click=handler(_train),
            args=(settings,),
        )
        if found and not found.ships and training.state == trainings.STOPPED:
            st.button("Go on", key="go_on_lines", icon=":material/play_arrow:", on_click=handler(go_on), type="primary")
        if (
            found
            and not trainings.is_under_way(KIND)
            and st.button("Open this model", key="open_lines", icon=":material/visibility:", help=OPEN_MEANS)
        ):
            open_model(found.run, "Lines by heart")


def say_what_is_trained(run: Run, found: Found | None) -> None:
    """Its sizes, its vocabulary, and where what is shown comes from."""
    from model.lab.finished import difference, finished
    from model.lab.sentences import D_MODEL, N_HEAD, N_LAYER

    n_parameter = sum(tensor.numel() for tensor in run.learner.kept.values())
    n_vocab = run.vocabulary.n_vocab
    entries = (
        "the story model's"
        if run.settings.units == BY_PIECES
        else " ".join(f"`{_code(run.vocabulary.token(id).label)}`" for id in range(min(n_vocab, 60)))
        + (" …" if n_vocab > 60 else "")
    )
    st.markdown(
        f"**The model:** {N_LAYER} layers of {N_HEAD} heads, vectors of {D_MODEL} numbers, **{n_parameter:,} weights** "
        f"in all. **Its vocabulary:** {n_vocab:,} entries, {entries}. **A step** asks for all {len(run.text.targets)} "
        f"next tokens at once; before the first one, to guess costs ln {n_vocab:,} = {np.log(n_vocab):.2f} nats each."
    )
    if found is None:
        st.info("Not trained yet with these settings: press “Train”. It takes a few seconds.", icon=":material/info:")
    elif found.ships:
        caption(
            f"Shown is a run that was trained once with these settings, by torch {plain(finished().torch)}, and ships "
            "with Regard. “Train again” makes it here, and says how far the numbers are apart."
        )
    elif trainings.of_session(KIND).state == trainings.STOPPED:
        step = found.run.learner.step
        caption(f"Stopped after step {step:,} of {found.run.settings.n_step:,}: “Go on” continues from there.")
    elif not trainings.is_under_way(KIND) and found.run.settings == finished().settings:
        apart = difference(finished().checkpoints, found.checkpoints)
        caption(
            "Trained in this session. The largest difference of any token's loss, at any checkpoint, from the run "
            f"that ships: {apart:.4f} nats."
        )


def _code(label: str) -> str:
    return label.replace("`", "'")


def draw(training: Training | None, found: Found | None) -> None:
    """The course so far; what runs is shown, whatever is chosen meanwhile."""
    if training is not None and training.under_way:
        run = st.session_state[_BEGUN]
        if found is None or found.run is not run:
            caption("What runs was begun with other settings than those that are chosen now.")
        found = Found(run, list(training.steps), False)
    if found is None or not found.checkpoints:
        return
    show_course(
        found.checkpoints,
        {"the lines": found.run.text},
        found.run,
        until=found.run.settings.n_step,
        key="lines_course",
        at="learned_at",
        marks=marks(found.run),
    )


def marks(run: Run) -> dict[str, float]:
    best = float(run.text.best().mean())
    return {"to guess": float(np.log(run.vocabulary.n_vocab))} | ({"the least possible": best} if best else {})


def show_losses(found: Found) -> None:
    """Each token's loss over the steps, and what it came to."""
    first, last = found.checkpoints[0], found.checkpoints[-1]
    text, best = found.run.text, found.run.text.best()
    right = [nats < np.log(2) for nats in last.losses[0]]
    measures(
        "lines_measures",
        {
            "Loss before": (f"{first.loss():.3f} nats", "The mean over all tokens, of random numbers."),
            f"After {last.step:,} steps": (f"{last.loss():.3f} nats", "The mean over all tokens."),
            "Perplexity": (f"{np.exp(last.loss()):.2f}", "As unsure as a fair choice among so many tokens."),
            "Surer than a half": (f"{sum(right)} of {len(right)}", "Tokens that got a probability above ½."),
        },
    )
    if best.any():
        labels = [found.run.vocabulary.token(t.id).label for t, nats in zip(text.targets, best, strict=True) if nats]
        st.markdown(
            f"**Nobody can know better:** lines that begin alike go on differently, so the loss of "
            f"{len(labels)} tokens ({', '.join(f'“{plain(label)}”' for label in labels[:6])}"
            f"{' …' if len(labels) > 6 else ''}) cannot fall to 0. The least mean that any model can have here is "
            f"**{best.mean():.3f} nats**: the dashed line above."
        )
    labels = [found.run.vocabulary.token(token.id).label for token in text.targets]
    steps = [checkpoint.step for checkpoint in found.checkpoints]
    losses = np.array([checkpoint.losses[0] for checkpoint in found.checkpoints])  # (C, N)
    slowest = labels[int(losses.sum(0).argmax())]
    picture(
        token_loss_map(labels, steps, losses),
        key="line_losses",
        how="Each row is a token, each column a checkpoint: the darker, or in the dark theme the brighter, the larger "
        "its loss. What follows only one token is learned first; where the same token goes on differently, what stands "
        "before must tell, which takes longer."
        + (f" Only the first {MOST_TOKENS} tokens are drawn." if len(labels) > MOST_TOKENS else ""),
        alt=f"The loss of {len(labels)} tokens at {len(steps)} checkpoints: from {first.loss():.2f} to "
        f"{last.loss():.2f} nats in the mean; “{slowest}” took longest.",
        table=lambda: pd.DataFrame(losses, index=[f"step {step}" for step in steps], columns=_named(labels)),
    )


def _named(labels: list[str]) -> list[str]:
    return [f"{i} {label}" for i, label in enumerate(labels, 1)]
