"""On the page Generation: what was written so far, token by token, kept for one text and one model."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields
from itertools import groupby

import streamlit as st

from model.analysis.generation import Draw, Step, by_hand, generate, read_draws, write_draws
from model.analysis.sampling import Sampling
from model.language_model import Decoding, Recorder
from model.run import ModelRun
from model.text.prompt import encode, tokens_of
from model.text.writing import decoding_of
from viz.figures.numbers import percent
from viz.offline.film import NAMES
from viz.ui import links, session

_BETWEEN = "_"  # branches, in an address
MOST_BRANCHES = 8  # that were left, kept: the address holds them
AT_ONCE = 8  # tokens written between two looks: that there is writing shall be seen


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
    """What a continuation is about: one text read by one model, in a chat behind what was said before."""
    state = st.session_state
    return session.model_name(), state.text, state.chat, state.before if state.chat else ""


def belongs_here() -> bool:
    return not links.is_about_other("written", subject())


def find() -> None:
    """Let `generated` be what the address says was written; what was written after another text is dropped."""
    state = st.session_state
    if state.setdefault("generated", []) and not belongs_here():
        st.info("The text or the model has changed, so its continuation was dropped.", icon=":material/info:")
    written = links.about("written", subject())
    links.about("branches", subject())
    if not state.setdefault("to_go", 0):
        _let_go()
    if written != state.setdefault("generated_as", ""):
        opened = state.opened
        start_anew()
        if written:
            _write_again(written)
            state.opened = opened
    if state.opened is not None and state.opened >= len(state.generated):
        state.opened = None


def _write_again(written: str) -> None:
    """Draw the tokens of an address again, to have their probabilities; what comes out otherwise is cut off."""
    steps: list[Step] = []
    try:
        wanted = read_draws(written)
    except ValueError:
        st.info("The link’s continuation cannot be read: nothing is shown of it.", icon=":material/info:")
        return
    with st.spinner("Writing the link’s continuation again …"):
        for draw, step in zip(wanted, _drawn_again(wanted), strict=False):
            if step.token.id != draw.id:
                break
            steps.append(step)
    if steps:
        _say(steps, wanted[: len(steps)])
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
    """Add tokens by the chosen settings, one at least; never more than are to go, nor than `AT_ONCE`.

    `seconds` of processor time: who writes beside many others writes as much at a time as who is alone.
    """
    state, begun, n = st.session_state, time.thread_time(), min(st.session_state.to_go, AT_ONCE)
    writer, steps = _writer(), []
    while len(steps) < n and (not steps or time.thread_time() - begun <= seconds):
        step = next(writer, None)
        if step is None:  # a stop was written, or the context is full
            n = state.to_go = len(steps)
            break
        steps.append(step)
    state.to_go -= len(steps)
    if steps:
        add(steps, state.seed)
        state.writer_for = _written_for()


def _let_go() -> None:
    """Of what wrote, with the keys and values that it keeps; what it has computed is the run of all that was written,
    where the model keeps that.
    """
    state = st.session_state
    writer, decoding, written_for = (state.pop(name, None) for name in ("writer", "decoding", "writer_for"))
    if writer is None or written_for is None or not isinstance(session.current_model(), Recorder):
        return
    *its, now = written_for
    if its[0] == subject() and now == ids(state.generated):
        decoding.write([now[-1]])  # the last token was not read yet: nothing came behind it
        session.run_of.know(decoding.run(), session.current_key(now))


def _writer() -> Iterator[Step]:
    """What comes behind the steps so far: the writer that wrote them, while nothing else has changed them."""
    state, lm = st.session_state, session.current_model()
    if "writer" not in state or state.get("writer_for") != _written_for():
        tokens = (*session.current_tokens(), *(step.token for step in state.generated))
        stops = (state.stop_at,) if state.stop_at else ()
        state.writer_for, state.decoding = None, _decoding(ids(state.generated))
        state.writer = generate(
            lm, tokens, lm.info.n_context, chosen(), state.seed, stops=stops, decoding=state.decoding
        )
    return state.writer


def _written_for() -> tuple:
    state = st.session_state
    return subject(), chosen(), state.seed, state.stop_at, ids(state.generated)


def _decoding(written: tuple[int, ...]) -> Decoding:
    """Of the text and these tokens behind it; nothing is read again that need not be."""
    lm = session.current_model()
    if isinstance(lm, Recorder):
        return lm.go_on(session.current_run(written))
    tokens, _ = tokens_of(lm, session.current_key(written).prompt)
    return decoding_of(lm, tokens)


def branch(at: int, candidate: int) -> None:
    """Write on with another candidate in the place of token number `at`, for as long as the text was."""
    state = st.session_state
    steps, draws = state.generated, read_draws(state.written)
    id = int(steps[at].candidates.ids[candidate])
    tokens = (*session.current_tokens(), *(step.token for step in steps[:at]))
    other = by_hand(session.current_model(), tokens, id, steps[at].sampling)
    leave()
    state.generated, state.written, state.to_go = steps[:at], write_draws(draws[:at]), 0
    add([other], None)
    if not other.token.special:
        state.to_go = len(steps) - at - 1


def leave() -> None:
    """What is written now becomes a branch that one can go back to; the oldest of many is forgotten."""
    state = st.session_state
    links.about("branches", subject())
    others = [each for each in (*state.branches.split(_BETWEEN), state.generated_as) if each]
    links.say("branches", _BETWEEN.join(list(dict.fromkeys(others[::-1]))[:MOST_BRANCHES][::-1]), subject())


def branches() -> list[list[Draw]]:
    """What was left for another branch, the last first; what begins another one, or the present text, is none.

    What a link says that cannot be is left out.
    """
    info = session.current_model().info
    room = info.n_context - len(session.current_tokens())
    found = {}
    for written in reversed(links.about("branches", subject()).split(_BETWEEN)):
        with suppress(ValueError):
            draws = read_draws(written)
            its = tuple(draw.id for draw in draws)
            if max(its) < info.n_vocab and len(its) <= room:
                found.setdefault(its, draws)
    now = ids(st.session_state.generated)
    kept = [its for its in found if not any(text[: len(its)] == its for text in (now, *(found.keys() - {its})))]
    return [found[its] for its in kept[:MOST_BRANCHES]]


def take(draws: list[Draw]) -> None:
    """Let this be what was written, in a callback of any part of the page."""
    stop()
    leave()
    st.session_state.opened = None
    links.say("written", write_draws(draws), subject())
    st.rerun()  # the whole page: what an address says was written is written again at its beginning


def add(steps: Sequence[Step], seed: int | None) -> None:
    """Put tokens behind the others that were drawn with this seed, or chosen by hand."""
    state = st.session_state
    draws = [Draw(step.token.id, step.sampling, seed) for step in steps]
    _say([*state.generated, *steps], [*(read_draws(state.written) if state.written else ()), *draws])


def _say(steps: list[Step], draws: Sequence[Draw]) -> None:
    """This is what was written, and so it was drawn."""
    state = st.session_state
    state.generated, state.generated_as, state.opened = steps, write_draws(draws), None
    links.say("written", state.generated_as, subject())


def clear() -> None:
    """Forget what was written, and every branch of it."""
    start_anew()
    links.say("branches", "", subject())


def start_anew() -> None:
    state = st.session_state
    state.generated, state.generated_as, state.opened, state.to_go = [], "", None, 0
    links.say("written", "", subject())


def stop() -> None:
    st.session_state.to_go = 0


def open_token(i: int) -> None:
    stop()
    st.session_state.opened, st.session_state.behind = i, True


def add_to_text() -> None:
    """Let the text be all that was read and written; of a chat, with the words of its template."""
    steps = st.session_state.generated
    text = session.current_text() + written(steps)
    session.choose_next(text=text, chat=False)
    were = (*session.current_tokens(), *(step.token for step in steps if not step.token.special))
    now = encode(session.current_model(), text)
    if [token.id for token in now] != [token.id for token in were]:
        st.toast(f"As text it is cut anew: into {len(now)} tokens, not the {len(were)} that were read and written.")
    clear()
    links.say("written", "", (session.model_name(), text, False, ""))


def ids(steps: list[Step]) -> tuple[int, ...]:
    return tuple(step.token.id for step in steps)


def run_after(steps: list[Step]) -> ModelRun:
    """Of the text, and of the steps after it."""
    return session.current_run(ids(steps))


def written(steps: list[Step]) -> str:
    """The generated tokens as text; bytes that are no whole character yet are left out."""
    return b"".join(step.token.piece for step in steps if not step.token.special).decode(errors="ignore")


def note(step: Step) -> str:
    how = (
        f"drawn with chance {percent(step.chance)}"
        if step.number is not None
        else f"chosen by hand, where its chance was {percent(step.chance)}"
    )
    return f"probability {percent(step.probability)}, {how}, rank {step.rank} (0 is the most probable)"
