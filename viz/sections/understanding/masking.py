"""On the page Understanding: words hidden by click, what the encoder expects there, and words put in by click."""

import numpy as np
import pandas as pd
import streamlit as st

from model.analysis import checks
from model.analysis.logits import rank
from model.analysis.masked_tokens import PseudoLogLikelihood, expectation, pseudo_log_likelihood
from model.run import ModelRun, Token, VisitorError
from model.text.masking import Blanked, Place, cut_behind, put, read_places, restore, restore_all, write_places
from model.text.prompt import RunKey, encode
from model.text.units import text_gap
from viz.components.bar_list import Row, bar_list
from viz.components.token_line import Piece, token_line
from viz.figures import theme
from viz.figures.numbers import how_far, percent
from viz.guard import handler
from viz.plain import plain
from viz.ui import cache, links, session
from viz.ui.pictures import caption, twin
from viz.ui.prose import check, quoted

EXAMPLES = (
    "Once upon a [MASK] there was a little girl.",
    "She opened the [MASK] and went into the house.",
    "He opened his [MASK] and began to cry.",
    "The old [MASK] was very [MASK] and went to bed.",
)
N_BEST = 8  # guesses shown for each blank
N_WITHOUT = 3  # guesses named for the text without what comes after the blank
MOST_BLANKS = 9  # shown one by one
MOST_IN_TURN = 64  # tokens of a text that are hidden one after another: one run for each
QUICK = 5e8  # parameters times runs that need not be asked for: well below a second


def show() -> None:
    run = session.current_run()
    mask = mask_of(run)
    blanks = [i for i, token in enumerate(run.tokens) if token.id == mask.id]
    in_turn = None
    line, below = st.container(), st.container(horizontal=True, vertical_alignment="center")
    with below:
        in_turn = ask_in_turn(run, blanks)
        st.button(
            "Undo all changes",
            key="undo_blanks",
            icon=":material/undo:",
            on_click=handler(undo),
            disabled=not present().places,
            help="Your text as it was before you hid or put in anything here.",
        )
    with line:
        show_text(run, mask, in_turn)
    if in_turn:
        say_in_turn(run, in_turn, besides=bool(blanks))
    if not blanks:
        st.info(f"Nothing is hidden yet. Click a word above, or write {mask.label} into the text.")
        return
    show_blanks(run, blanks)


def mask_of(run: ModelRun) -> Token:
    """What hides a word. Raises `VisitorError` where there is nothing to show."""
    info = run.info
    if info.family != "encoder":
        raise VisitorError(f"{info.title} is no encoder: it guesses what comes next, on the page Generation.")
    mask = session.current_model().mask_token()
    if run.predictions is None or mask is None:
        raise VisitorError(
            f"{info.title} was saved without the head that guesses hidden words, so it cannot fill a blank. Its "
            "attention and its vectors can be read in the other parts of this page."
        )
    return mask


# what was changed by click, as long as text and model are the ones it was changed in


def present() -> Blanked:
    text, model, lm = session.current_text(), session.model_name(), session.current_model()
    try:
        places = read_places(links.about("hidden", (text, model)), text, lm.token, lm.info.n_vocab)
    except ValueError:  # a link that was written by hand
        st.session_state.hidden, places = "", ()
    return Blanked(text, places)


def keep(changed: Blanked) -> None:
    links.say("hidden", write_places(changed.places), (changed.text, session.model_name()))
    session.read_next(changed.text)


def undo() -> None:
    keep(restore_all(present()))


def put_in(run: ModelRun, i: int, new: Token) -> None:
    lm = session.current_model()
    keep(put(present(), run.tokens, i, new, lambda text: encode(lm, text)))


# the text


def show_text(run: ModelRun, mask: Token, in_turn: PseudoLogLikelihood | None) -> None:
    lm, blanked = session.current_model(), present()

    def piece(i: int, token: Token) -> Piece:
        place = blanked.place_of(token)
        if token.id == mask.id:
            return blank(i, place)
        if token.special:
            return Piece(token.label, "special: marks where a text begins or ends", look="mark", picks=False)
        note, colour, under = f"token {i}, id {token.id}", "", ""
        if in_turn:
            best = lm.token(int(in_turn.best[i])).label
            note += f"\nhidden, it would get {percent(in_turn.probability[i])}"
            note += f", number {in_turn.rank[i] + 1:,}" + (f"; first is “{best}”" if in_turn.rank[i] else "")
            under = percent(in_turn.probability[i])
            colour = theme.signed_background(in_turn.probability[i] ** 0.5, 1.6)
        if place:
            note += f"\nyou put it here, in the place of “{shown(place)}”"
        return Piece(token.label, f"{note}\nclick: hide it", colour, "changed" if place else "", under=under)

    def blank(i: int, place: Place | None) -> Piece:
        guess = lm.token(int(run.predictions.top_id[i, 0])).label
        chance = percent(float(np.exp(run.predictions.top_log_prob[i, 0])))
        note = f"token {i} is hidden\nfirst guess: “{guess}”, {chance}\n"
        note += f"click: bring back “{shown(place)}”" if place else "you wrote this blank: put in a word below"
        return Piece(f"{guess} ?", note, look="blank", picks=place is not None)

    def pick(i: int) -> None:
        token = run.tokens[i]
        if token.id == mask.id:
            keep(restore(blanked, blanked.place_of(token)))
        else:
            put_in(run, i, mask)

    pieces = [piece(i, token) for i, token in enumerate(run.tokens)]
    token_line(pieces, key="blank_line", name="The text as the encoder reads it", on_pick=pick)
    caption(
        "Click a word to hide it: the dashed box that takes its place shows the first guess. Click the box to bring "
        "the word back. " + ("Pale tokens are special." if any(p.look == "mark" for p in pieces) else "")
    )


def shown(place: Place) -> str:
    """What stood at a place, as a token is shown."""
    return place.token.label if place.token else place.was.strip()


# every token hidden in its turn


def ask_in_turn(run: ModelRun, blanks: list[int]) -> PseudoLogLikelihood | None:
    n = sum(not token.special for token in run.tokens)
    if not n:
        return None
    short = n <= MOST_IN_TURN
    wanted = st.toggle(
        "How well could each token be guessed?",
        key=links.key("in_turn", short and not blanks and n * run.info.n_parameter < QUICK),
        disabled=not short,
        help=f"Hides each token alone, one after the other: one run of the model for each, in texts of up to "
        f"{MOST_IN_TURN} tokens.",
    )
    if not (wanted and short):
        return None
    try:
        return in_turn_of(session.current_key())
    except VisitorError as error:
        caption(plain(error))
        return None


@cache.kept(spinner="Hiding one token after another …")
def in_turn_of(run_key: RunKey) -> PseudoLogLikelihood:
    lm = session.language_model(run_key.model)
    return pseudo_log_likelihood(lm, session.run_of(run_key).tokens, lm.mask_token())


def say_in_turn(run: ModelRun, in_turn: PseudoLogLikelihood, *, besides: bool) -> None:
    hidden, alone = np.flatnonzero(in_turn.rank >= 0), " besides the blanks" if besides else ""
    first, n = int((in_turn.rank[hidden] == 0).sum()), len(hidden)
    caption(
        f"Below each token: the probability it gets where it alone is hidden{alone}. {first} of {n} would "
        "be the first guess; the geometric mean of their probabilities is "
        f"{percent(in_turn.mean)}, a pseudo-perplexity of {1 / in_turn.mean:,.1f} (Salazar et al. 2020)."
    )
    lm = session.current_model()
    twin(
        lambda: pd.DataFrame(
            {
                "position": hidden,
                "token": [run.labels[i] for i in hidden],
                "probability if hidden": in_turn.probability[hidden],
                "number": in_turn.rank[hidden] + 1,
                "first guess": [lm.token(int(in_turn.best[i])).label for i in hidden],
            }
        ),
        key="in_turn_numbers",
    )


# the blanks one by one


def show_blanks(run: ModelRun, blanks: list[int]) -> None:
    if len(blanks) > 1:
        st.markdown(
            f"**{len(blanks)} blanks, each guessed on its own**, from what is not hidden: the model does not know what "
            "it guesses for the others. Put a word into one, and the others may change."
        )
    found = {i: log_probabilities(run, i) for i in blanks[:MOST_BLANKS]}
    across = min(3, len(found))
    places = list(found)
    for first in range(0, len(places), across):
        for column, place in zip(st.columns(across, gap="medium"), places[first : first + across], strict=False):
            with column, st.container(border=True):
                show_guesses(run, place, found[place])
    if len(blanks) > MOST_BLANKS:
        caption(f"{len(blanks) - MOST_BLANKS} more blanks are guessed too: hover over them in the text.")
    caption(
        "Click a guess to put it into the text. "
        + ("Amber: what you hid. " if any(present().place_of(run.tokens[i]) for i in found) else "")
        + "␣ is the space before a word; without it, a token goes on within one."
    )
    twin(lambda: table_of(run, found), key="guesses")
    check_sum(run, found)


def log_probabilities(run: ModelRun, place: int) -> np.ndarray | None:
    """Of every entry in a blank (V,), in nats; None where a model cannot tell but its best."""
    try:
        return expectation(session.current_model(), run, place)
    except VisitorError:
        return None


def show_guesses(run: ModelRun, i: int, log_prob: np.ndarray | None) -> None:
    lm, changed = session.current_model(), present().place_of(run.tokens[i])
    ids = run.predictions.top_id[i, :N_BEST].tolist()
    probability = np.exp(run.predictions.top_log_prob[i, :N_BEST]).astype(float).tolist()
    st.markdown(f"**The blank at position {i}**")
    n, held = len(ids), sum(probability)
    own = changed.token.id if changed and changed.token else None
    if own is not None and log_prob is not None:
        number, p = rank(log_prob, own) + 1, float(np.exp(log_prob[own]))
        st.markdown(f"You hid {quoted(shown(changed))}: **{percent(p)}**, its guess number **{number:,}**.")
        if own not in ids:
            ids, probability = [*ids, own], [*probability, p]
    elif changed:
        st.markdown(
            f"You hid {quoted(shown(changed))}, but around the blank the text is now cut into other tokens, so that "
            "word has no probability of its own."
        )
    tokens = [lm.token(id) for id in ids]
    rows = [
        Row(
            token.label,
            p,
            percent(p),
            "what you hid: click to bring it back" if token.id == own else "click to put it in",
            marked=token.id == own,
            picks=writable(token),
        )
        for token, p in zip(tokens, probability, strict=True)
    ]

    def pick(row: int) -> None:
        if tokens[row].id == own:
            keep(restore(present(), changed))
        else:
            put_in(run, i, tokens[row])

    bar_list(rows, key=f"guesses_{i}", name=f"Guesses for position {i}", full=max(probability), on_pick=pick)
    caption(f"The {n} tokens it expects most; they hold {100 * held:.1f} % of the probability.")
    if sentence := without_the_rest(run, i, own):
        caption(sentence)


def without_the_rest(run: ModelRun, i: int, own: int | None) -> str:
    """What would be expected if the text ended with the blank; nothing if it does."""
    lm, text, whole = session.current_model(), session.current_text(), run.tokens
    gap = text_gap(text) if lm.info.reads_pairs else None
    if gap and whole[i].start < gap[0]:
        whole = lm.encode(text[: gap[0]])  # it ends within the first of two texts: nothing marks a second one
    cut = cut_behind(whole, i)
    if len(cut) == len(run.tokens):
        return ""
    log_prob = log_probabilities(lm.run(cut), i)
    if log_prob is None:
        return ""
    best = np.argsort(-log_prob, kind="stable")[:N_WITHOUT].tolist()
    ids = best if own is None or own in best else [*best, own]
    guesses = ", ".join(f"{quoted(lm.token(id).label)} {percent(float(np.exp(log_prob[id])))}" for id in ids)
    guesses = guesses.replace(" %", "\N{NO-BREAK SPACE}%")
    return f"**Without what comes after it:** {guesses}."


def writable(token: Token) -> bool:
    """Whether a token can be typed: some are only a part of a character, or no text at all."""
    try:
        return bool(token.piece.decode().strip()) and not token.special
    except UnicodeDecodeError:
        return False


def table_of(run: ModelRun, found: dict[int, np.ndarray | None]) -> pd.DataFrame:
    lm, top = session.current_model(), run.predictions
    return pd.concat(
        pd.DataFrame(
            {
                "position": i,
                "number": range(1, top.top_id.shape[1] + 1),
                "token": [lm.token(int(id)).label for id in top.top_id[i]],
                "id": top.top_id[i],
                "probability": np.exp(top.top_log_prob[i]),
            }
        )
        for i in found
    )


def check_sum(run: ModelRun, found: dict[int, np.ndarray | None]) -> None:
    made = {i: log_prob for i, log_prob in found.items() if log_prob is not None}
    if not made:
        return
    adds_up, largest = checks.blanks_again(made, run.predictions)
    check(
        largest if adds_up.passed else adds_up,
        f"all {run.info.n_vocab:,} probabilities of each blank, made again from its last vector, add up to 1 and are "
        f"those of the run; the largest difference is **{how_far(largest.difference)}**.",
    )
