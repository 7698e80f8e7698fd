"""A text that a model writes token by token: what it computed of it is kept, or the text is read again each time."""

import codecs
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from model.language_model import Decoding, LanguageModel, Translator, Writer, Writing
from model.run import PromptError, Token, VisitorError

MOST_WRITTEN = 40  # tokens of a target that a model writes itself


def decoding_of(lm: LanguageModel, tokens: Sequence[Token], source: Sequence[Token] = ()) -> Decoding:
    """Of any model that writes. Raises as `LanguageModel.logits` does."""
    return lm.decoding(tokens, source) if isinstance(lm, Writer) else ReadAgain(lm, tokens, source)


class ReadAgain:
    """Keeps nothing but the texts."""

    n_byte = 0

    def __init__(self, lm: LanguageModel, tokens: Sequence[Token], source: Sequence[Token] = ()):
        self._lm, self._texts, self._source = lm, [tuple(tokens)], source
        self.logits = self._read()  # (B, V)

    def write(self, ids: Sequence[int], rows: Sequence[int] | None = None) -> None:
        before = self._texts if rows is None else [self._texts[row] for row in rows]
        self._texts = [(*text, placed(self._lm.token(id), text)) for text, id in zip(before, ids, strict=True)]
        self.logits = self._read()

    def _read(self) -> np.ndarray:
        each = {text: self._lm.logits(text, source=self._source, positions=[-1]) for text in dict.fromkeys(self._texts)}
        last = {text: next(iter(logits))[0] for text, logits in each.items()}
        return np.stack([last[text] for text in self._texts])


def write_target(lm: LanguageModel, source: Sequence[Token], start: Token, n: int) -> tuple[Token, ...]:
    """What an encoder-decoder makes of a source, token by token, the most probable each time; at most `n` tokens.

    The start token comes first, and what the model's settings force; what ends the text is left out. A model without a
    head writes nothing behind it.
    """
    writing = writing_of(lm)
    tokens, never = [start, *map(lm.token, writing.forced)], np.array(sorted(writing.never), int)
    try:
        decoding = decoding_of(lm, tokens, source)
    except PromptError:
        raise
    except VisitorError:  # it has no head
        return tuple(tokens)
    while len(tokens) <= n:
        logits = decoding.logits[0].copy()
        logits[never] = -np.inf
        id = int(logits.argmax())
        token = placed(lm.token(id), tokens[1:])
        if id in writing.ends or (token.special and not writing.ends):
            break
        tokens.append(token)
        if len(tokens) <= n:
            decoding.write([id])
    return tuple(tokens)


def writing_of(lm: LanguageModel) -> Writing:
    """What a model's settings say of writing a target."""
    return lm.writing() if isinstance(lm, Translator) else Writing()


def placed(token: Token, before: Sequence[Token]) -> Token:
    """A generated token with its offsets in the text that `before` and it make.

    A model may write a character byte by byte; each of its tokens then covers that character. A special token covers
    nothing.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(_last_bytes(before))
    unfinished = decoder.getstate()[0]  # the bytes of a character that is begun: the tokens before cover it already
    # of the text that it goes on with, as in transformers' ``generate``
    type = before[-1].type if before else token.type
    # from where the others end, not from all bytes: a special token, or the space that some put first, covers nothing
    start = max([t.end for t in before], default=0) - bool(unfinished)
    end = start if token.special else start + len((unfinished + token.piece).decode(errors="replace"))
    return replace(token, start=start, end=end, type=type)


def _last_bytes(tokens: Sequence[Token], n: int = 3) -> bytes:
    """The end of a text, not cut within a token: of a character that is only begun, three bytes can be there."""
    end = b""
    for token in reversed(tokens):
        if len(end) >= n:
            break
        end = end if token.special else token.piece + end
    return end
