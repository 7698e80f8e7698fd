"""Generation: what may come next, what sampling makes of it, and a text written token by token."""

import numpy as np
import pandas as pd
import streamlit as st

from model.generation import NextToken, Sampling, Step, entropy, generate, next_token
from model.reading import Rule
from model.run import ModelInfo, ModelRun, VisitorError
from viz.components.token_chips import token_chips
from viz.figures.attention import Bars, token_bars
from viz.figures.generation import growing_text, next_token_bars
from viz.figures.numbers import percent
from viz.ui import controls, pictures, provenance, session
from viz.ui.prose import quoted

PACE = 0.12  # seconds between two tokens, so that the eye can follow; the model itself is faster


def belongs_here() -> bool:
    """A continuation belongs to one text read by one model."""
    return st.session_state.get("generated_from") == (session.model_name(), st.session_state.text)


def forget_what_was_written_elsewhere() -> None:
    if belongs_here():
        return
    if st.session_state.get("generated"):
        st.info("The text or the model has changed, so its continuation was dropped.", icon=":material/info:")
    start_anew()


def start_anew() -> None:
    st.session_state.generated_from = (session.model_name(), st.session_state.text)
    st.session_state.generated = []
    st.session_state.opened = None
    st.session_state.to_go = 0


def open_token(i: int) -> None:
    stop()
    st.session_state.opened = i


def write_next() -> None:
    """Add one token; called from callbacks and by the clock."""
    steps = st.session_state.generated
    tokens = session.current_run(ids(steps)).tokens
    steps.extend(generate(session.current_model(), tokens, 1, sampling(), st.session_state.seed))
    st.session_state.opened = None


def write_many() -> None:
    st.session_state.to_go = st.session_state.n_generate


def stop() -> None:
    st.session_state.to_go = 0


def written(steps: list[Step]) -> str:
    """The generated tokens as text; bytes that are no whole character yet are left out."""
    return b"".join(step.token.piece for step in steps if not step.token.special).decode(errors="ignore")


def add_to_text() -> None:
    text = st.session_state.text + written(st.session_state.generated)
    session.read_next(text)
    start_anew()
    st.session_state.generated_from = (session.model_name(), text)


def ids(steps: list[Step]) -> tuple[int, ...]:
    return tuple(step.token.id for step in steps)


def following(run: ModelRun, sampling: Sampling) -> NextToken:
    return next_token(session.current_model().unembed(run.hidden[-1, -1]), sampling)


def sampling() -> Sampling:
    state = st.session_state
    return Sampling(state.temperature, state.top_k, state.top_p)


def choose_sampling() -> None:
    temperature = st.slider(
        "Temperature",
        0.0,
        2.0,
        1.0,
        0.05,
        key="temperature",
        persist_state="session",
        help="The logits are divided by it. Below 1 favours the likely tokens, above 1 gives the unlikely ones more of "
        "a chance, 0 always takes the most probable token.",
    )
    greedy = temperature == 0
    st.slider(
        "Top-k",
        0,
        100,
        0,
        key="top_k",
        persist_state="session",
        disabled=greedy,
        help="Only the k most probable tokens may be drawn. 0: no limit.",
    )
    st.slider(
        "Top-p",
        0.05,
        1.0,
        1.0,
        0.05,
        key="top_p",
        persist_state="session",
        disabled=greedy,
        help="Only the most probable tokens that together hold this much of the chance may be drawn. 1: no limit.",
    )
    st.number_input(
        "Seed",
        0,
        2**31 - 1,
        0,
        key="seed",
        persist_state="session",
        disabled=greedy,
        help="Where the random numbers come from: the same text, settings and seed give the same continuation.",
    )
    st.slider("Tokens shown", 3, 30, 10, key="n_shown", persist_state="session")


def explain(sampling: Sampling) -> str:
    if sampling.temperature == 0:
        return (
            "**Greedy**: at temperature 0 nothing is left to chance. The most probable token is always taken, so seed, "
            "top-k and top-p change nothing."
        )
    said = {
        True: "sharpens the choice: likely tokens become likelier",
        False: "flattens the choice: unlikely tokens get more of a chance",
    }
    parts = []
    if sampling.temperature != 1:
        parts.append(f"Temperature {sampling.temperature:g} {said[sampling.temperature < 1]}.")
    if sampling.top_k:
        parts.append(f"Top-k lets only the {sampling.top_k} most probable tokens through.")
    if sampling.top_p < 1:
        parts.append(f"Top-p lets only the most probable tokens through that hold {percent(sampling.top_p)} together.")
    return " ".join(parts) or "Nothing is changed: each token is drawn with exactly the probability the model gave it."


def candidates(choice: NextToken, key: str, n: int, chosen: int | None = None) -> None:
    """The bars of one choice; `chosen` is the id that was drawn, shown even if it is not among the best."""
    lm = session.current_model()
    shown = choice.best(n).tolist()
    if chosen is not None and chosen not in shown:
        shown.append(chosen)
    labels = [lm.token(id).label for id in shown]
    rest = 1 - choice.probability[shown].sum()
    best = "; ".join(
        f"“{label}” {percent(choice.probability[id])}, drawn with chance {percent(choice.chance[id])}"
        for id, label in list(zip(shown, labels, strict=True))[:3]
    )
    how = (
        "Upper bar: the probability that the model itself gives a token. Lower bar: the chance with which it is drawn, "
        f"after temperature, top-k and top-p. The other {len(choice.probability) - len(shown):,} tokens share "
        f"{percent(max(rest, 0.0))} of the model's probability."
    )

    def numbers() -> pd.DataFrame:
        return pd.DataFrame(
            {
                "rank": [choice.rank(id) for id in shown],
                "token": labels,
                "id": shown,
                "probability": choice.probability[shown],
                "chance": choice.chance[shown],
                "kept": choice.kept[shown],
                "drawn": [id == chosen for id in shown],
            }
        )

    pictures.picture(
        next_token_bars(
            labels,
            choice.probability[shown],
            choice.chance[shown],
            chosen=None if chosen is None else shown.index(chosen),
        ),
        key=key,
        how=how,
        alt=f"Bars of the {len(shown)} tokens shown, most probable first: {best}.",
        table=numbers,
    )


def what_comes_next() -> None:
    choice = following(session.current_run(ids(st.session_state.generated)), sampling())
    candidates(choice, "next", st.session_state.n_shown)
    st.html("<style>.st-key-measures [data-testid=stMetricValue] { font-size: 1.35rem }</style>")
    with st.container(horizontal=True, gap="large", key="measures"):
        st.metric("Tokens kept", f"{choice.kept.sum():,} of {len(choice.kept):,}", width="content")
        st.metric(
            "Mass kept",
            percent(choice.mass_kept),
            width="content",
            help="How much of the model's own probability lies on the tokens kept.",
        )
        before, after = entropy(choice.probability), entropy(choice.chance)
        st.metric(
            "Entropy, model",
            f"{before:.2f} nats",
            width="content",
            help=f"How open the choice is: as open as one among {np.exp(before):,.1f} equally likely tokens.",
        )
        st.metric(
            "Entropy, drawn",
            f"{after:.2f} nats",
            width="content",
            help=f"After sampling: as open as a choice among {np.exp(after):,.1f} equally likely tokens.",
        )


def note(step: Step) -> str:
    return (
        f"probability {percent(step.probability)}, drawn with chance {percent(step.chance)}, rank {step.rank} "
        f"(0 is the most probable)"
    )


def continuation() -> None:
    """Every generated token, to be opened."""
    steps, n_text = st.session_state.generated, len(session.current_tokens())
    token_chips(
        [step.token for step in steps],
        key="generated_chips",
        first=n_text,
        selected=st.session_state.opened,
        on_pick=open_token,
        notes=[note(step) for step in steps],
        shades=[step.probability for step in steps],
    )
    last = steps[-1]
    pictures.caption(
        f"Last written: {quoted(last.token.label)}, {note(last)}. Each token is shaded by the probability that the "
        "model gave it; click one to open the choice behind it."
    )
    pictures.twin(generated_numbers, key="generated")


def generated_numbers() -> pd.DataFrame:
    steps = st.session_state.generated
    return pd.DataFrame(
        {
            "token": [step.token.label for step in steps],
            "id": [step.token.id for step in steps],
            "probability": [step.probability for step in steps],
            "chance": [step.chance for step in steps],
            "rank": [step.rank for step in steps],
            "random number": [step.number for step in steps],
            "temperature": [step.sampling.temperature for step in steps],
            "top-k": [step.sampling.top_k for step in steps],
            "top-p": [step.sampling.top_p for step in steps],
        }
    )


def the_choice(run: ModelRun, step: Step) -> None:
    """The alternatives a token was chosen from, and how the draw fell on it."""
    choice = following(run, step.sampling)
    if step.sampling.temperature == 0:
        how = "It was the most probable token, and temperature 0 always takes that one."
    else:
        start, end = choice.stretch(step.token.id)
        how = (
            "Lay the chances of all tokens end to end, the most probable first: this token covers "
            f"{start:.6f} to {end:.6f}. The seed drew the number **{step.number:.6f}**, which falls there."
        )
    settings = step.sampling
    st.markdown(
        f"{note(step).capitalize()}; drawn at temperature {settings.temperature:g}, top-k {settings.top_k or 'off'}, "
        f"top-p {settings.top_p:g}. {how}"
    )
    candidates(choice, "opened", 10, chosen=step.token.id)


def what_it_looked_at(continuation: tuple[int, ...]) -> None:
    """The attention row of the last position: the one that chooses the token after the text and its continuation."""
    run = session.current_run(continuation)
    last = len(run.tokens) - 1
    columns = st.columns(3, vertical_alignment="bottom")
    with columns[0]:
        layer = controls.position("Layer", "layer", run.info.n_layer)
    with columns[2]:
        mean = st.toggle("Mean of the layer's heads", key="mean_of_heads", persist_state="session")
    with columns[1]:
        head = controls.position("Head", "head", run.info.n_head, disabled=mean)
    rule = Rule(tuple((layer, each) for each in (range(run.info.n_head) if mean else [head])))
    weights = session.reading_of(session.current_key(continuation), rule).weights[last]
    where = f"layer {layer}, mean of all heads" if mean else f"layer {layer}, head {head}"
    most = int(weights.argmax())
    strongest = f"position {most}, with weight {weights[most]:.3f}"

    def open_weight(key: int) -> None:
        provenance.open_value(rule, (last,), (key,), continuation=continuation)

    def open_bar() -> None:
        for data in pictures.clicked("looked_at"):
            open_weight(*data)

    token_chips(
        run.tokens,
        key="looked_at_chips",
        on_pick=open_weight,
        notes=[f"weight {weight:.4f} in {where}" for weight in weights.tolist()],
        shades=weights / weights.max(),
    )
    pictures.picture(
        token_bars(
            [
                Bars(
                    "weight",
                    weights,
                    np.arange(len(weights)),
                    run.labels,
                    lambda label, weight: f"“{label}” weight {weight:.4f}",
                    clickable=True,
                )
            ]
        ),
        key="looked_at",
        how=f"The attention row of the position that chooses: in {where} it looks most at "
        f"{quoted(run.tokens[most].label)}, {strongest}. Chips and bars show the same {len(weights)} weights, which "
        f"sum to {weights.sum():.4f}; the chips are shaded relative to the largest. Click one to see how it was made.",
        alt=f"Bars over {len(weights)} tokens, {where}; the highest is “{run.tokens[most].label}”, {strongest}.",
        table=lambda: pd.DataFrame({"position": range(len(weights)), "token": run.labels, "weight": weights}),
        on_select=open_bar,
        selection_mode="points",
    )


@st.fragment
def behind_a_token(ended: bool) -> None:
    steps, opened = st.session_state.generated, st.session_state.opened
    if opened is None and ended:
        opened = len(steps) - 1
    if opened is None:
        run = session.current_run(ids(steps))
        st.subheader("Behind the choice: what the model is looking at now")
        st.markdown(
            f"The next token is chosen at the last position, by the vector of {quoted(run.tokens[-1].label)}. This is "
            "where that position looks. Write some tokens and click one of them to see the same for it."
        )
    else:
        run = session.current_run(ids(steps[:opened]))
        st.subheader(f"Behind the choice of token {len(run.tokens)}")
        st.markdown(f"Opened: {quoted(steps[opened].token.label)}, written after {quoted(run.tokens[-1].label)}.")
        the_choice(run, steps[opened])
        st.markdown(
            f"**What it attended to.** It was chosen at position {len(run.tokens) - 1}, by the vector of "
            f"{quoted(run.tokens[-1].label)}; this is where that position looked."
        )
    what_it_looked_at(ids(steps if opened is None else steps[:opened]))


@st.fragment  # of its own inside the page's: a slider redraws nothing but this
def the_next_choice(ended: bool) -> None:
    st.subheader("What may come next")
    left, right = st.columns([2, 5], gap="large")
    with left:
        choose_sampling()
    with right:
        st.markdown(explain(sampling()))
        if ended:
            st.write("The text is at its end, and nothing comes next. Open its last token to see that choice.")
        else:
            what_comes_next()


def generation() -> None:
    info, steps = session.current_model().info, st.session_state.generated
    if st.session_state.to_go:
        write_next()
        st.session_state.to_go = 0 if finished(info, steps) else st.session_state.to_go - 1
    # the clock of a fragment is set, and the sidebar is drawn, when the whole page runs
    if bool(st.session_state.to_go) != st.session_state.clock_runs or not belongs_here():
        st.rerun()
    writing, end = st.session_state.clock_runs, finished(info, steps)

    st.html(growing_text(session.current_text(), written(steps), st.context.theme.type or "light"))
    if steps:
        continuation()
    with st.container(horizontal=True, vertical_alignment="bottom", key="actions"):
        blocked = writing or end is not None
        st.button(
            "Next token",
            key="next_one",
            icon=":material/play_arrow:",
            type="primary",
            on_click=write_next,
            disabled=blocked,
        )
        n = st.number_input("Tokens", 1, 200, 20, key="n_generate", persist_state="session", width=110)
        if writing:
            st.button(f"Stop ({st.session_state.to_go} to go)", key="stop", icon=":material/stop:", on_click=stop)
        else:
            st.button(
                f"Generate {n}", key="next_many", icon=":material/fast_forward:", on_click=write_many, disabled=blocked
            )
        st.button("Clear", key="clear", icon=":material/delete:", on_click=start_anew, disabled=not steps)
        st.button(
            "Add to the text",
            key="add",
            icon=":material/subdirectory_arrow_left:",
            on_click=add_to_text,
            disabled=writing or not written(steps),
            help="Puts what was written into the sidebar's text, to look into it on the other pages.",
        )
    if end:
        st.info(end, icon=":material/stop_circle:")

    ended = bool(steps) and steps[-1].token.special
    the_next_choice(ended)
    st.divider()
    behind_a_token(ended)


def finished(info: ModelInfo, steps: list[Step]) -> str | None:
    """Why no token can be added, if none can."""
    if steps and steps[-1].token.special:
        return "The model has ended its text: it drew the token that stands between two texts of its training data."
    n_token = len(session.current_tokens()) + len(steps)
    if n_token >= info.n_context:
        return (
            f"The context is full: {info.title} reads at most {info.n_context:,} tokens, and the text now has "
            f"{n_token:,}. Clear what was written, or shorten the text."
        )
    return None


st.title("How is the next token chosen?")
st.write(
    "A language model gives every token of its vocabulary a probability to come next. One of them is drawn, put at the "
    "end of the text, and the model reads everything again: that is all there is to writing."
)
reads = session.current_run()  # whatever is wrong with the text is said here, once, before anything else is drawn
if reads.info.family != "decoder" or reads.predictions is None:
    raise VisitorError(
        f"{reads.info.title} does not write on: it reads a whole text at once, or has no head that predicts tokens. "
        "Choose a decoder in the sidebar, such as “story”."
    )
forget_what_was_written_elsewhere()
st.session_state.clock_runs = st.session_state.to_go > 0
st.fragment(generation, run_every=PACE if st.session_state.clock_runs else None)()
