"""Byte-level byte-pair encoding (Sennrich et al. 2016, on bytes as in GPT-2), of the built-in models.

The encoding itself is the `tokenizers` library's. Around it stands what a reader wants to see: the exact bytes of each
piece, and where it lies in the text. `model.text.cut` shows the merges of a word one by one.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from model.run import PromptError, Token
from model.text.bpe import byte_alphabet
from model.text.cut import Cutting

END_OF_TEXT = "<|endoftext|>"
MASK = "[MASK]"
PAIR_JOINT = "\n\n"  # between two texts, where places are counted
# a masked word's token holds the space before the word, so the space before a typed mask belongs to the mask
_TYPED_MASK = re.compile(f" ?{re.escape(MASK)}")


_BYTE = byte_alphabet()
_CHARACTER = {byte: character for character, byte in _BYTE.items()}


def byte_pieces(text: str) -> list[str]:
    """The bytes of a text, each as one character."""
    return [_CHARACTER[byte] for byte in text.encode()]


def piece_bytes(piece: str) -> bytes:
    """The bytes that a vocabulary entry stands for."""
    return bytes(_BYTE[character] for character in piece)


class Tokenizer:
    """A trained byte-level BPE. Any text that UTF-8 can write is encoded without loss."""

    unknown = None

    def __init__(self, bpe: tokenizers.Tokenizer):
        self._bpe = bpe
        # a visitor who types "<|endoftext|>" means these 13 characters
        self._bpe.encode_special_tokens = True
        self.end_of_text: int = bpe.token_to_id(END_OF_TEXT)
        self.mask: int | None = bpe.token_to_id(MASK)  # what hides a word; None: this vocabulary fills no blanks
        # characters of its longest entry: written as in `byte_alphabet`, each stands for a byte, so for one at most
        self.longest: int = max(map(len, bpe.get_vocab()))
        merges = json.loads(bpe.to_str())["model"]["merges"]
        # when each merge was learned, of pieces written as in `byte_alphabet`: 0 is the first
        self.rank: dict[tuple[str, str], int] = {tuple(pair): rank for rank, pair in enumerate(merges)}

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        return cls(tokenizers.Tokenizer.from_file(str(path)))

    def save(self, path: Path) -> None:
        self._bpe.save(str(path), pretty=False)

    @property
    def backend_tokenizer(self) -> tokenizers.Tokenizer:
        return self._bpe

    @property
    def n_vocab(self) -> int:
        return self._bpe.get_vocab_size()

    @property
    def n_merge(self) -> int:
        """How many merges were learned."""
        return len(self.rank)

    def encode(self, text: str) -> tuple[Token, ...]:
        """Cut `text` into tokens; their bytes, joined, are exactly the text's.

        If the vocabulary has a mask, a typed "[MASK]" is that one token, and takes the space before it along.
        Raises `PromptError` if the text holds half of a character (a lone surrogate), which no encoding can write.
        """
        check_encodable(text)
        tokens = []
        for start, part in self._parts(text):
            if self._is_mask(part):
                tokens.append(Token(self.mask, MASK.encode(), start, start + len(part), special=True))
            else:
                tokens += self._plain(part, start)
        return tuple(tokens)

    def _parts(self, text: str) -> Iterator[tuple[int, str]]:
        """The typed masks of a text, if the vocabulary has one, and what lies between them: (where it begins, it)."""
        reached = 0
        for typed in _TYPED_MASK.finditer(text) if self.mask is not None else ():
            yield reached, text[reached : typed.start()]
            yield typed.start(), typed[0]
            reached = typed.end()
        yield reached, text[reached:]

    def _is_mask(self, part: str) -> bool:
        return self.mask is not None and _TYPED_MASK.fullmatch(part) is not None

    def _plain(self, text: str, offset: int) -> Iterator[Token]:
        """The tokens of a text without masks that begins `offset` characters after the whole does."""
        byte_end = 0
        # the character that each byte of the text belongs to
        owner = [offset + i for i, character in enumerate(text) for _ in character.encode()]
        for id in self._bpe.encode(text, add_special_tokens=False).ids:
            piece = piece_bytes(self._bpe.id_to_token(id))
            byte_start, byte_end = byte_end, byte_end + len(piece)
            # a piece that ends within a character covers that character
            yield Token(id, piece, owner[byte_start], owner[byte_end - 1] + 1)

    def encode_ids(self, texts: list[str]) -> list[list[int]]:
        """Only the ids, of many texts at once; for training."""
        return [encoding.ids for encoding in self._bpe.encode_batch_fast(texts, add_special_tokens=False)]

    def token(self, id: int) -> Token:
        """The vocabulary entry `id`, outside any text (its offsets are 0)."""
        if id in (self.end_of_text, self.mask):
            return Token(id, self._bpe.id_to_token(id).encode(), 0, 0, special=True)
        return Token(id, piece_bytes(self._bpe.id_to_token(id)), 0, 0)

    def words(self, text: str) -> list[str]:
        """The pieces that merges never cross: words with their leading space, runs of digits, of signs; masks."""
        check_encodable(text)
        words = []
        for _, part in self._parts(text):
            cuts = self._bpe.pre_tokenizer.pre_tokenize_str(part)
            words += [part] if self._is_mask(part) else [part[start:end] for _, (start, end) in cuts]
        return words

    def cutting(self) -> Cutting:
        """How it puts words together. A typed mask is one from the start."""
        return Cutting(self._bpe, None if self.mask is None else _TYPED_MASK)

    def id_of(self, piece: str) -> int | None:
        """The vocabulary entry of a piece written as in `byte_alphabet`; None if there is none."""
        return self._bpe.token_to_id(piece)


def check_encodable(text: str) -> None:
    """Raise `PromptError` if UTF-8 cannot write `text`."""
    for position, character in enumerate(text):
        if "\ud800" <= character <= "\udfff":
            raise PromptError(
                f"The text holds half of a character (U+{ord(character):04X}, a lone surrogate) at position "
                f"{position + 1}. No model can read it: remove it, or paste the text again."
            )


def train(texts: Iterator[str], n_vocab: int, *, mask: bool = False) -> Tokenizer:
    """Learn a vocabulary of `n_vocab` entries: end of text, perhaps a mask, the 256 bytes, merges found in `texts`."""
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=[END_OF_TEXT, MASK] if mask else [END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return Tokenizer(bpe)
