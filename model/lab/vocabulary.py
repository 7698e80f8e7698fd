"""Vocabularies of a lab: a few words, or a few characters, and one entry for all that is unknown.

Words are runs of letters and digits, and single signs; what is between them is white space, and is dropped. Any text
can be read: what is no entry is the unknown token, in its place.
"""

import re
from collections.abc import Iterable
from functools import cached_property

import tokenizers
from tokenizers import models, pre_tokenizers

from model.run import Token
from model.text.cut import Cutting
from model.text.tokens import cutting_of, token_of, tokens_of

UNKNOWN, START = "[UNK]", "<s>"
UNITS = ("words", "characters")
_FOUND = {"words": r"\w+|[^\w\s]", "characters": r"[\s\S]"}


class Vocabulary:
    """Keeps what `model.text.tokenizer.Tokenizer` does for the built-in models."""

    mask = None

    def __init__(self, backend: tokenizers.Tokenizer):
        self.backend_tokenizer = backend
        self.unk_token_id = self.unknown = backend.token_to_id(UNKNOWN)
        self.end_of_text: int = backend.token_to_id(START)  # stands before a text, and so behind the one before it
        self.all_special_ids = [self.end_of_text]

    @property
    def n_vocab(self) -> int:
        return self.backend_tokenizer.get_vocab_size()

    @cached_property
    def longest(self) -> int:
        """The characters of the longest entry."""
        return max(map(len, self.backend_tokenizer.get_vocab()))

    def encode(self, text: str) -> tuple[Token, ...]:
        """Raises `PromptError` if the text holds half of a character."""
        return tokens_of(self, text)

    def encode_ids(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def token(self, id: int) -> Token:
        return token_of(self, id)

    def cutting(self) -> Cutting:
        return cutting_of(self)


def of_entries(entries: Iterable[str], units: str) -> Vocabulary:
    """With these words or characters, in this order, behind the two that each has."""
    names = dict.fromkeys([UNKNOWN, START, *entries])
    backend = tokenizers.Tokenizer(models.WordLevel({name: id for id, name in enumerate(names)}, unk_token=UNKNOWN))
    found = tokenizers.Regex(_FOUND[units])
    backend.pre_tokenizer = pre_tokenizers.Split(found, behavior="removed", invert=True)
    backend.add_special_tokens([START])
    backend.encode_special_tokens = True  # a visitor who types "<s>" means these three characters
    return Vocabulary(backend)


def of_texts(texts: Iterable[str], units: str) -> Vocabulary:
    """With all words or characters of some texts, in the order in which they come."""
    return of_entries((found for text in texts for found in re.findall(_FOUND[units], text)), units)
