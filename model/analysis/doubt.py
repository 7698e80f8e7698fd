"""Whether what a translator wrote is a translation at all: it writes its language whatever it is given to read.

What a model says of itself tells: how much of the source it could only read byte by byte, whether it came to an end,
and how probable it found its own words, on the average of its tokens.
"""

from collections.abc import Sequence

from model.run import Token

MOST_IN_BYTES = 0.5  # of the source's characters
# In nats a token, of what the built-in translator writes itself. Of 400 English sentences of the test set, which it
# never saw in training, it wrote 2 % with less than -0.64, and 0.8 % with less than this (median -0.24, least -0.83).
# Of 50 each that it cannot read, with less than this: Chinese 100 %, letters drawn at random 96 %, numbers 76 %,
# French 74 %. There is no gap between the two: hardly any sentence is to be doubted that could be read.
# `python -m tests.doubt DATA` measures it again.
LEAST_LOG_PROB = -0.75


def has_letters(text: str) -> bool:
    """Whether there is anything to translate."""
    return any(character.isalpha() for character in text)


def part_in_bytes(text: str, tokens: Sequence[Token], unknown: int | None = None) -> float:
    """The part of a text's characters, white space left out, that no entry of the vocabulary holds: each stands there
    as single bytes, or as the entry for the `unknown`.
    """
    lost = {
        i
        for token in tokens
        if token.id == unknown or not _whole(token.piece)
        for i in range(token.start, token.end)
        if not text[i].isspace()
    }
    return len(lost) / max(1, sum(not character.isspace() for character in text))


def doubts(
    text: str,
    tokens: Sequence[Token],
    *,
    finished: bool,
    log_prob: float | None = None,
    unknown: int | None = None,
) -> list[str]:
    """Why what was written for a text should not be taken for its translation: a clause for each reason, or none.

    `finished`: whether the end was written; `log_prob`: the mean of the written tokens, where it is known what that is
    for ordinary sentences.
    """
    reasons = []
    if not has_letters(text):
        reasons.append("there is no word in the source")
    if (part := part_in_bytes(text, tokens, unknown)) > MOST_IN_BYTES:
        reasons.append(f"{100 * part:.0f} % of the source's characters are in no entry of its vocabulary")
    if not finished:
        reasons.append("it came to no end")
    if log_prob is not None and log_prob < LEAST_LOG_PROB:
        reasons.append(
            f"it finds its own words improbable (on average {log_prob:.2f} a token; for sentences that it can read, "
            f"hardly ever below {LEAST_LOG_PROB:g})"
        )
    return reasons


def _whole(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True
