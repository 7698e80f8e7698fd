"""On the page Generation: what was written so far, token by token, kept for one text and one model."""

import time
from collections.abc import Iterator
from dataclasses import fields
from itertools import groupby

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis.attention import layer_weights
from model.analysis.attention_map import MapSpec
from model.analysis.generation import Draw, Step, by_hand, generate, read_draws, write_draws
from model.analysis.sampling import Sampling
from model.run import Attention, ModelRun
from model.text.prompt import encode
from viz.components.film import Film, film
from viz.figures.numbers import percent
from viz.guard import handler
from viz.ui import heads, links, session
from viz.ui.choices import LAYER, ONE
from viz.ui.pictures import caption, twin

AT_ONCE = 8  # tokens written between two looks: that there is writing shall be seen
MOST_BEFORE, N_CANDIDATES = 200, 8  # tokens drawn before what was written; candidates of each step
NAMES = {  # of what sampling does, besides its temperature
    "top_k": "top-k",
    "top_p": "top-p",
    "min_p": "min-p",
    "typical_p": "typical-p",
    "repetition_penalty": "repetition penalty",
    "no_repeat_ngram": "no sequence twice, of",
}
# what took a candidate out of the choice
CUT = NAMES | {"no_repeat_ngram": "repeats", "greedy": "greedy", "temperature": "temperature", "model": "the model"}


def chosen() -> Sampling:
    """How the next token is to be drawn."""
    state = st.session_state
    return Sampling(**{each.name: state[each.name] for each in fields(Sampling)})


def in_words(sampling: Sampling) -> str:
    """The temperature, and what else is not as usual."""
    usual = Sampling()
    others = {name: getattr(sampling, name) for name in NAMES if getattr(sampling, name) != getattr(usual, name)}
    said = [f"temperature {sampling.temperature:g}", *(f"{NAMES[name]} {value:g}" for name, value in others.items())]
    return ", ".join(said)


def subject() -> tuple:
    """What a continuation is about: one text read by one model."""
    return session.model_name(), st.session_state.text, st.session_state.chat


def belongs_here() -> bool:
    return not links.is_about_other("written", subject())


def find() -> None:
    """Let `generated` be what the address says was written; what was written after another text is dropped."""
    state = st.session_state
    if state.setdefault("generated", []) and not belongs_here():
        st.info("The text or the model has changed, so its continuation was dropped.", icon=":material/info:")
    written = links.about("written", subject())
    state.setdefault("to_go", 0)
    if written != state.get("generated_as", ""):
        opened = state.opened
        start_anew()
        if written:
            _write_again(written)
            state.opened = opened
    if state.opened is not None and state.opened >= len(state.generated):
        state.opened = None


def _write_again(written: str) -> None:
    """Draw the tokens of an address again, to have their probabilities; what comes out otherwise is cut off."""
    steps = st.session_state.generated
    try:
        wanted = read_draws(written)
    except ValueError:
        st.info("The link’s continuation cannot be read: nothing is shown of it.", icon=":material/info:")
        return
    with st.spinner("Writing the link’s continuation again …"):
        for draw, step in zip(wanted, _drawn_again(wanted), strict=False):
            if step.token.id != draw.id:
                break
            add(step, draw.seed)
    if len(steps) < len(wanted):
        st.info(
            f"Of the link’s {len(wanted)} written tokens, {len(steps)} come out the same here. It was made with other "
            "weights, or on a machine that rounds otherwise: the rest is left out.",
            icon=":material/info:",
        )


def _drawn_again(wanted: list[Draw]) -> Iterator[Step]:
    """What comes of the same draws; it may end sooner."""
    lm, tokens = session.current_model(), list(session.current_tokens())
    for (sampling, seed), some in groupby(wanted, lambda draw: (draw.sampling, draw.seed)):
        draws = list(some)
        if seed is None:
            if any(draw.id >= lm.info.n_vocab for draw in draws):
                return
            steps = (by_hand(lm, tokens, draw.id, sampling) for draw in draws if len(tokens) < lm.info.n_context)
        else:
            steps = generate(lm, tokens, len(draws), sampling, seed)
        for step in steps:
            yield step
            tokens.append(step.token)


def write_on(seconds: float) -> None:
    """Add tokens by the chosen settings for so long, one at least; never more than are to go, nor than `AT_ONCE`."""
    state, begun = st.session_state, time.monotonic()
    for _ in range(min(state.to_go, AT_ONCE)):
        step = next(_writer(), None)
        if step is None:
            state.to_go = 0
            return
        add(step, state.seed)
        state.to_go -= 1
        if time.monotonic() - begun > seconds:
            return


def _writer() -> Iterator[Step]:
    """What goes on behind the steps so far: the same one while nothing else has changed them."""
    state = st.session_state
    made_for = (subject(), chosen(), state.seed, state.stop_at, ids(state.generated))
    if state.get("writer_for") != made_for or "writer" not in state:
        tokens = (*session.current_tokens(), *(step.token for step in state.generated))
        lm = session.current_model()
        stops = (state.stop_at,) if state.stop_at else ()
        state.writer = generate(lm, tokens, lm.info.n_context, chosen(), state.seed, stops=stops)
    step = next(state.writer, None)
    if step is None:
        del state.writer  # it has stopped: who goes on all the same begins behind that
        return iter(())
    state.writer_for = (*made_for[:-1], (*made_for[-1], step.token.id))
    return iter((step,))


def branch(at: int, candidate: int) -> None:
    """Write on with another candidate in the place of token number `at`, for as long as the text was."""
    state = st.session_state
    steps, draws = state.generated, read_draws(state.written)
    id = int(steps[at].candidates.ids[candidate])
    tokens = (*session.current_tokens(), *(step.token for step in steps[:at]))
    other = by_hand(session.current_model(), tokens, id, steps[at].sampling)
    state.left = state.generated_as, subject()
    state.generated, state.written, state.to_go = steps[:at], write_draws(draws[:at]), 0
    add(other, None)
    if not other.token.special:
        state.to_go = len(steps) - at - 1


def left() -> str:
    """What was written before the last branch, if it can be had again; else nothing."""
    written, about = st.session_state.get("left", ("", None))
    return written if about == subject() and written != st.session_state.written else ""


def go_back() -> None:
    """To what was written before the last branch."""
    stop()
    was, st.session_state.opened = left(), None
    links.say("written", was, subject())
    st.rerun()  # the whole page: what an address says was written is written again at its beginning


def take(draws: list[Draw]) -> None:
    """Let this be what was written, in a callback of another part of the page."""
    state = st.session_state
    stop()
    state.left, state.opened = (state.generated_as, subject()), None
    links.say("written", write_draws(draws), subject())
    st.rerun()  # as above: in a callback of another part of the page


def add(step: Step, seed: int | None) -> None:
    """Put a token behind the others that was drawn with this seed, or chosen by hand."""
    state = st.session_state
    state.generated.append(step)
    draws = [*(read_draws(state.written) if state.written else ()), Draw(step.token.id, step.sampling, seed)]
    state.generated_as = write_draws(draws)
    links.say("written", state.generated_as, subject())
    state.opened = None


def start_anew() -> None:
    state = st.session_state
    state.generated, state.generated_as, state.opened, state.to_go = [], "", None, 0
    links.say("written", "", subject())


def stop() -> None:
    st.session_state.to_go = 0


def open_token(i: int) -> None:
    stop()
    st.session_state.opened = i


def add_to_text() -> None:
    steps = st.session_state.generated
    text = st.session_state.text + written(steps)
    session.read_next(text)
    if not st.session_state.chat:
        were = (*session.current_tokens(), *(step.token for step in steps if not step.token.special))
        now = encode(session.current_model(), text)
        if [token.id for token in now] != [token.id for token in were]:
            st.toast(f"As text it is cut anew: into {len(now)} tokens, not the {len(were)} that were read and written.")
    start_anew()
    links.say("written", "", (session.model_name(), text, st.session_state.chat))


def ids(steps: list[Step]) -> tuple[int, ...]:
    return tuple(step.token.id for step in steps)


def run_after(steps: list[Step]) -> ModelRun:
    """Of the text, and of the steps after it."""
    return session.current_run(ids(steps))


def written(steps: list[Step]) -> str:
    """The generated tokens as text; bytes that are no whole character yet are left out."""
    return b"".join(step.token.piece for step in steps if not step.token.special).decode(errors="ignore")


def choose_head(run: ModelRun) -> None:
    """Whose look is shown, in the film and behind a choice."""
    columns = st.columns(3, vertical_alignment="bottom")
    mean = columns[2].toggle("Mean of the layer's heads", key=links.key("mean_of_heads"))
    heads.choose_one(run, places=columns[:2], disabled=(False, mean))


def spec(run: ModelRun) -> MapSpec:
    return heads.spec(LAYER if st.session_state.mean_of_heads else ONE, run)


def show() -> None:
    """Every generated token, among what could have stood in its place."""
    steps, lm = st.session_state.generated, session.current_model()
    run = run_after(steps)
    choose_head(run)
    if not heads.has_attention(run, key="nearest_of_film"):
        return
    its = spec(run)
    n_text = len(run.tokens) - len(steps)
    first = max(0, n_text - MOST_BEFORE)
    found = [step.candidates for step in steps]
    n = min(N_CANDIDATES, len(found[0].ids))
    opened = st.session_state.opened
    film(
        Film(
            labels=[token.label for token in run.tokens[first:]],
            written=st.session_state.written,
            probability=np.array([step.probability for step in steps]),
            entropy=np.array([each.entropy for each in found]),
            candidates=[[lm.token(int(id)).label for id in each.ids[:n]] for each in found],
            model=np.array([each.probability[:n] for each in found]),
            chance=np.array([each.chance[:n] for each in found]),
            cut_by=[[each.cut_by[i] and CUT[each.cut_by[i]] for i in range(n)] for each in found],
            drawn=[_place(step, n) for step in steps],
            n_vocab=run.info.n_vocab,
            weights=rows(run, its, len(steps))[:, first:],
            who=heads.in_words(its, run),
            n_byte=kept_bytes(run),
            n_layer=len(run.attention),
            first=first,
            at=len(steps) - 1 if opened is None else opened,
        ),
        key="film",
        on_open=open_token,
        on_branch=branch,
    )
    caption(
        f"Play it, or pull. Blue: how much {heads.in_words(its, run)} looked at a token when the one in the frame was "
        "chosen, relative to the most. The line below a written token is the more yellow, the more probable it was. "
        "Point at a token to see which later ones looked at it. Pale bars are the model’s probability, solid ones the "
        "chance to be drawn. Click a candidate that was not taken to write on with it."
        + (f" The first {first:,} tokens are left out." if first else "")
    )
    if left():
        st.button("Back to what was written before", key="go_back", icon=":material/undo:", on_click=handler(go_back))
    twin(numbers, key="generated")


def _place(step: Step, n: int) -> int:
    """Which of the first n candidates was written; -1: none of these."""
    found = np.flatnonzero(step.candidates.ids[:n] == step.token.id)
    return int(found[0]) if len(found) else -1


def rows(run: ModelRun, spec: MapSpec, n: int) -> np.ndarray:
    """(n, T) the weights of the positions that chose the last n tokens, of the heads of a spec, by their mean."""
    first = len(run.tokens) - n - 1  # the last token has chosen nothing yet
    chose = slice(first, first + n)
    each = [layer_weights(run.attention[layer], chose, [head])[0] for layer, head in spec.heads]
    return np.mean(each, axis=0)[:, : len(run.tokens)]


def kept_bytes(run: ModelRun) -> int:
    """Of the keys and values of one token, in all layers."""
    kept = (each for layer in run.attention if isinstance(layer, Attention) for each in (layer.key, layer.value))
    return sum(4 * each.shape[0] * each.shape[2] for each in kept if each is not None)


def note(step: Step) -> str:
    how = (
        f"drawn with chance {percent(step.chance)}"
        if step.number is not None
        else f"chosen by hand, where its chance was {percent(step.chance)}"
    )
    return f"probability {percent(step.probability)}, {how}, rank {step.rank} (0 is the most probable)"


def numbers() -> pd.DataFrame:
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
            **{name: [getattr(step.sampling, each) for step in steps] for each, name in NAMES.items()},
            "entropy": [step.candidates.entropy for step in steps],
        }
    )
