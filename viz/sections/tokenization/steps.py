"""The steps by which one word became its tokens: merges, look-ups of the longest piece, or the best of all ways."""

from collections.abc import Callable, Sequence

import streamlit as st

from model.analysis import checks
from model.language_model import LanguageModel
from model.run import Token, readable
from model.text.bpe import BytePairs, Piece
from model.text.cut import Cut, Cutting, Word
from model.text.unigram import Unigram
from model.text.word_piece import WordPieces
from viz.figures import tokenization as figures
from viz.figures.tokenization import Step
from viz.ui.pictures import caption
from viz.ui.prose import check, to_read

MOST_BYTES = 48  # of the table; of a longer word, what lies around the chosen token is shown

# the names of the first columns, the rows, how the steps are counted, and how to read them
Told = tuple[tuple[str, ...], list[Step], str, str]


def how_it_works(cutting: Cutting) -> str:
    """What this kind of tokenizer does, in general."""
    model = cutting.model
    if isinstance(model, BytePairs):
        begins = "single bytes" if cutting.byte_level else "single characters"
        if cutting.n_byte and not cutting.byte_level:
            begins += " (of one that is no entry of the vocabulary, its bytes)"
        whole = " A word that is an entry as it stands is taken whole." * model.takes_whole_words
        return (
            f"The cutting begins with {begins}. Again and again, the two neighbours whose merge was **learned "
            "earliest** become one, until no learned merge is left. In training, the pair seen most often was always "
            f"learned next: so frequent words end as one token, and rare ones in pieces.{whole}"
        )
    if isinstance(model, Unigram):
        return (
            "Each entry of the vocabulary has a log-probability, learned in training. Of all ways to write a word with "
            "entries, the one whose log-probabilities have the **highest sum** is taken: so frequent words end as one "
            "token, and rare ones in pieces."
        )
    if model.whole_only:
        return "Each word is looked up in the vocabulary as it stands. One that is no entry is unknown as a whole."
    return (
        "A word is cut from its beginning: the **longest** entry of the vocabulary that it begins with is taken, then "
        f"the longest with which the rest goes on, written with `{model.prefix}` before it. If at one place nothing "
        "fits, the whole word is unknown."
    )


def first_steps(cutting: Cutting) -> str:
    """What this tokenizer does to a text before the cutting."""
    parts = []
    if cutting.normalizer:
        parts.append(f"a normalizer rewrites the text ({', '.join(cutting.normalizer)})")
    if cutting.pre_tokenizer:
        parts.append(f"a pre-tokenizer divides it into words ({', '.join(cutting.pre_tokenizer)})")
    before = f"Before that, {' and '.join(parts)}." if parts else ""
    if not cutting.pre_tokenizer:
        before += " The text is cut as a whole: shown are its parts between spaces, where no piece of it crosses them."
    return before


def show(
    lm: LanguageModel, cutting: Cutting, cut: Cut, text: str, tokens: Sequence[Token], token: int, word: Word
) -> None:
    """The table of the chosen token's word, and whether it ends at the tokens."""
    first, last = figures.stretch_around(tokens, token, word.first, word.last, MOST_BYTES)
    written, opens, closes = part_of(cutting, word, first, last)
    start, end = tokens[first].start, tokens[last].end
    if (first, last) != (word.first, word.last):
        st.caption(
            f"This word is {len(text[word.start : word.end].encode()):,} bytes long: shown are the "
            f"{len(text[start:end].encode())} bytes around token {token}. No piece crosses to the rest, so what "
            "happens here does not depend on it."
        )
    pieces = cutting.model.pieces(written, opens, closes)
    head, rows, n_step, how = _told(lm, cutting, written, opens, closes, pieces)
    n_note, n_column = len(head) - 1, max(sum(cell.width for cell in step.cells) for step in rows)
    before = [("as typed", readable(text[start:end].encode()))]
    if cutting.normalizer:
        before.append(("normalized", cutting.readable_normalized(cut.after_normalizer(start, end))))
    if cutting.pre_tokenizer:
        before.append(("pre-tokenized", cutting.readable(written)))
    rows = [figures.text_step(name, n_note, part, n_column) for name, part in before] + rows
    to_read(figures.steps_table(head, rows))
    caption(how)
    n_piece = last - first + 1
    check(
        checks.same(
            "pieces after the last step, and the tokens",
            [piece.id for piece in pieces] == [token.id for token in tokens[first : last + 1]],
        ),
        f"after {n_step}, the last row must equal what the tokenizer gave for this part of your text: {n_piece} "
        f"token{'s' * (n_piece != 1)}, {f'{first} to {last}' if n_piece > 1 else f'number {first}'}.",
    )


def part_of(cutting: Cutting, word: Word, first: int, last: int) -> tuple[str, bool, bool]:
    """What the model was given for these tokens of the word, and whether the word begins and ends with it."""
    if (first, last) == (word.first, word.last):
        return word.written, word.opens, word.closes
    pieces = cutting.model.pieces(word.written, word.opens, word.closes)
    start, end = pieces[first - word.first].start, pieces[last - word.first].end
    return word.written[start:end], word.opens and first == word.first, word.closes and last == word.last


def _told(lm: LanguageModel, cutting: Cutting, word: str, opens: bool, closes: bool, pieces: Sequence[Piece]) -> Told:
    if isinstance(cutting.model, BytePairs):
        return _merges(lm.token, cutting, cutting.model, word, opens, closes, pieces)
    if isinstance(cutting.model, Unigram):
        return _ways(lm.token, cutting, cutting.model, word, pieces)
    return _matches(lm.token, cutting.model, word, opens, closes, pieces)


def _merges(
    named: Callable[[int], Token],
    cutting: Cutting,
    model: BytePairs,
    word: str,
    opens: bool,
    closes: bool,
    pieces: Sequence[Piece],
) -> Told:
    head = ("step", "merge learned as")
    if model.whole(word, opens, closes) is not None:
        rows = [figures.tokens_step("an entry as it stands", [""], pieces, named)]
        return head, rows, "one look-up", "The whole word is an entry of the vocabulary: no merges are made."
    smallest = "single bytes" if cutting.byte_level else "single characters"
    rows = figures.merge_steps(model.steps(word, opens, closes), named, smallest)
    n_merge = len(rows) - 1
    return (
        head,
        rows,
        f"{n_merge} merge{'s' * (n_merge != 1)}",
        f"From top to bottom: the {smallest}, then one row a merge, with the piece just made in a frame. The number "
        "says when that merge was learned, counted from 0: of all merges possible in a row, the lowest number wins.",
    )


def _matches(
    named: Callable[[int], Token], model: WordPieces, word: str, opens: bool, closes: bool, pieces: Sequence[Piece]
) -> Told:
    head = ("longest that fits", "looked up before, in vain")
    matches = list(model.steps(word, opens, closes))
    entry_of = {id: entry for entry, id in model.ids.items()}
    rows = figures.match_steps(matches, word, entry_of.__getitem__)
    if model.too_long(word):
        how = f"A word of more than {model.longest_word} characters is unknown without a look-up."
    else:
        how = (
            "From top to bottom, one row a piece: the longest entry that fits there, in a frame, and what is left. "
            "The longer ones that were looked up before it are no entries of the vocabulary."
        )
    if not matches or matches[-1].piece is None:
        rows.append(figures.tokens_step("unknown", [""], pieces, named))
    n = len(matches)
    return head, rows, f"{n} look-up{'s' * (n != 1)}", how


def _ways(named: Callable[[int], Token], cutting: Cutting, model: Unigram, word: str, pieces: Sequence[Piece]) -> Told:
    lattice = model.lattice(word)
    rows = figures.lattice_steps(lattice.best, word, named, model.unknown, cutting.readable)
    total = lattice.best[-1].total
    rows.append(figures.tokens_step("the tokens", ["", f"{total:.2f}"], pieces, named))
    other = (
        "There is no other way to write it."
        if lattice.other is None
        else f"The best of the other ways has {lattice.other:.2f}, which is {total - lattice.other:.2f} less."
    )
    unknown = (
        f" A character that is no entry counts as {model.unknown_log_prob:.2f}."
        if any(best.piece.id == model.unknown for best in lattice.best)
        else ""
    )
    return (
        ("up to", "log p", "sum"),
        rows,
        f"all {len(lattice.best)} places",
        "One row for each place where a piece can end: the last piece of the best way up to there, its "
        "log-probability in nats, and the sum of that way. Read the framed pieces from the bottom: each begins where "
        f"the one before it must end. {lattice.n_considered} pieces fit somewhere in this word. {other}{unknown}",
    )
