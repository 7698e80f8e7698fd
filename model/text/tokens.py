"""Tokens of any transformers tokenizer as people read them: the bytes each stands for, and its place in the text.

Tokenizers write the same thing in different ways, by family: " cat" is "Ġcat" in a byte-level vocabulary (GPT-2),
"▁cat" in a SentencePiece one (Llama, T5), and "cat" in WordPiece (BERT), where what goes on within a word is "##s". A
single byte of a character is a sign like "Ġ" in the first and "<0xE2>" in the second. Here all of them become bytes:
b" cat", b"s", b"\\xe2".

Places are those in the text as typed, also where the tokenizer lower-cases, drops accents or rewrites characters:

- A token that begins with a space covers the white space before its word, so that every character is covered.
- A character that takes several tokens is covered by each of them.
- What the tokenizer dropped (an accent, a control character) belongs to the token before it.
- A special token that the tokenizer added covers nothing; one that was typed ([MASK]) covers what was typed.
- A second text begins two characters after the first: places are those in ``text + "\\n\\n" + text_pair``.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import tokenizers

from model.run import ModelInfo, PromptError, Token, short
from model.sources.tokenizer_file import as_an_exception
from model.text.bpe import byte_alphabet
from model.text.cut import Cutting
from model.text.lengths import check_characters
from model.text.piece_tokenizer import Around, PieceTokenizer
from model.text.tokenizer import PAIR_JOINT, check_encodable

if TYPE_CHECKING:  # it takes seconds to import, and whoever has a tokenizer has imported it
    from transformers import PreTrainedTokenizerFast

    AnyTokenizer = PreTrainedTokenizerFast | PieceTokenizer

_BYTE = byte_alphabet()
_BYTE_FALLBACK = re.compile("<0x([0-9A-F]{2})>")
_SPACE = re.compile(r"\s")
# fewer than those of `model.text.units`: the planes that tokenizers of BERT's time knew
_CHINESE = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F))


def tokens_of(
    tokenizer: "AnyTokenizer", text: str, text_pair: str | None = None, around: Around | None = None
) -> tuple[Token, ...]:
    """Cut one text, or two, into tokens, with the special tokens that the tokenizer adds, and with its types. `around`:
    the ids put before a text and behind it, in place of those.

    Names of special tokens in the text are read as these, as transformers does. Raises `PromptError` if the text holds
    half of a character, or the tokenizer fails.
    """
    return _vocabulary(tokenizer).tokens(text, text_pair, around)


def marks_pairs(tokenizer: "AnyTokenizer") -> bool:
    """Whether it tells two texts apart: by a mark between them, or by their types."""
    if isinstance(tokenizer, PieceTokenizer):
        return tokenizer.marks.between is not None
    encoding = _encode(_vocabulary(tokenizer).backend, "a", "b")
    texts, types = encoding.sequence_ids, encoding.type_ids
    if not {0, 1} <= set(texts):
        return False
    last, first = len(texts) - 1 - texts[::-1].index(0), texts.index(1)
    return first > last + 1 or types[last] != types[first]


def token_of(tokenizer: "AnyTokenizer", id: int) -> Token:
    """The vocabulary entry `id`, outside any text (its offsets are 0)."""
    return _vocabulary(tokenizer).token(id)


def added_tokens(tokenizer: "AnyTokenizer") -> dict[str, int]:
    """The ids of the tokens that are none of its model's, by their names."""
    return _vocabulary(tokenizer).added


def cutting_of(tokenizer: "AnyTokenizer") -> Cutting:
    """How it puts words together. Raises `model.text.cut.NotFollowed`."""
    return _vocabulary(tokenizer).cutting()


def check_fits(tokenizer: "AnyTokenizer", info: ModelInfo, *texts: str) -> None:
    """Raises `PromptError` for texts that by their characters alone cannot fit: see `model.text.lengths`."""
    check_characters(info.title, info.n_context, _vocabulary(tokenizer).longest, *texts)


def _encode(backend: tokenizers.Tokenizer, text: str, text_pair: str | None, marks: bool = True) -> tokenizers.Encoding:
    for part in (text, text_pair or ""):
        check_encodable(part)
    try:
        with as_an_exception():
            return backend.encode(text, text_pair, add_special_tokens=marks)
    except Exception as error:  # a bare one: a word that is no entry, say, and no entry for the unknown
        raise PromptError(
            f"The model's tokenizer cannot cut this text ({short(error)}). Write it otherwise, or choose another model."
        ) from error


class _Vocabulary:
    """How one tokenizer's entries are read."""

    def __init__(self, tokenizer: "PreTrainedTokenizerFast"):
        self.backend: tokenizers.Tokenizer = tokenizer.backend_tokenizer
        # a tokenizer.json may ask for 128 tokens, cut or filled up: that was for its training
        self.backend.no_truncation()
        self.backend.no_padding()
        added = self.backend.get_added_tokens_decoder()
        self._added = {id: entry.content for id, entry in added.items()}
        self._special = {id for id, entry in added.items() if entry.special} | set(tokenizer.all_special_ids)
        # the unknown token is no mark of its own: it stands where a piece of text was. With all bytes in the vocabulary
        # nothing is unknown, and GPT-2's settings name its end of text instead
        self._unknown = None if self._byte_level else tokenizer.unk_token_id
        self._special -= {self._unknown}

    @property
    def added(self) -> dict[str, int]:
        return {name: id for id, name in self._added.items()}

    @cached_property
    def longest(self) -> int:
        """The characters of the longest entry (its bytes, where entries are written by bytes)."""
        return max(map(len, self.backend.get_vocab()), default=0)

    @cached_property
    def _parts(self) -> set[str]:
        """The types of the backend's decoder and pre-tokenizer, and the texts that they replace."""
        parts: set[str] = set()
        for part in (self.backend.decoder, self.backend.pre_tokenizer):
            if part is not None:
                parts.update(_texts(json.loads(part.__getstate__())))
        return parts

    @cached_property
    def _byte_level(self) -> bool:
        return "ByteLevel" in self._parts

    @cached_property
    def _sentencepiece(self) -> bool:
        return not self._byte_level and "▁" in self._parts

    @cached_property
    def _continues(self) -> str:
        """What a piece within a word begins with (WordPiece)."""
        return getattr(self.backend.model, "continuing_subword_prefix", None) or ""

    @cached_property
    def _ends(self) -> str:
        """What the last piece of a word ends with (the first GPT, CLIP)."""
        return getattr(self.backend.model, "end_of_word_suffix", None) or ""

    def tokens(self, text: str, text_pair: str | None, around: Around | None) -> tuple[Token, ...]:
        encoding = _encode(self.backend, text, text_pair, marks=around is None)
        # once each: the library makes these lists anew whenever they are asked for
        ids, spans, texts = encoding.ids, encoding.offsets, encoding.sequence_ids
        covering: dict[int, Token] = {}
        for of, (part, first) in enumerate([(text, 0), (text_pair or "", len(text) + len(PAIR_JOINT))]):
            places = [i for i in range(len(ids)) if texts[i] == of]
            tokens = self.covering(part, [ids[i] for i in places], [spans[i] for i in places])
            for i, token in zip(places, tokens, strict=True):
                covering[i] = replace(token, start=token.start + first, end=token.end + first)
        tokens, end = [], 0
        for i, (id, type) in enumerate(zip(ids, encoding.type_ids, strict=True)):
            token = covering.get(i) or replace(self.token(id), start=end, end=end)
            tokens.append(replace(token, type=type))
            end = token.end
        before, behind = ([self.token(id) for id in its] for its in around or ((), ()))
        return (*before, *tokens, *(replace(token, start=end, end=end) for token in behind))

    def cutting(self) -> Cutting:
        return Cutting(self.backend)

    def token(self, id: int) -> Token:
        """An entry outside any text. In WordPiece a word's first piece begins with a space, to tell it from "##"."""
        entry = self.backend.id_to_token(id) or f"<{id}>"  # an embedding may have more rows than the vocabulary entries
        piece = self._piece(id)
        starts_word = self._spaced_by_text(id) and self._continues and not entry.startswith(self._continues)
        if starts_word and entry[0].isalnum() and not _stands_alone(entry[0]):
            piece = b" " + piece
        return Token(id, piece, 0, 0, id in self._special)

    def _piece(self, id: int) -> bytes:
        if id in self._added:
            return self._added[id].encode()
        entry = self.backend.id_to_token(id)
        if entry is None:
            return f"<{id}>".encode()
        if self._byte_level:
            entry = entry.removesuffix(self._ends) if self._ends else entry
            return b"".join(bytes([_BYTE[c]]) if c in _BYTE else c.encode() for c in entry)
        if self._sentencepiece:
            if "ByteFallback" in self._parts and (match := _BYTE_FALLBACK.fullmatch(entry)):
                return bytes([int(match[1], 16)])
            return entry.replace("▁", " ").encode()
        if self._continues and len(entry) > len(self._continues):
            entry = entry.removeprefix(self._continues)
        return (entry.removesuffix(self._ends) if self._ends else entry).encode()

    def _spaced_by_text(self, id: int) -> bool:
        """Whether the entry is silent about the white space before it."""
        if id in self._added:
            return False
        return bool(self._ends) or not (self._byte_level or self._sentencepiece)

    def covering(self, text: str, ids: list[int], spans: list[tuple[int, int]]) -> Iterator[Token]:
        """The tokens of one text, with their places in it."""
        pieces = [self._piece(id) for id in ids]
        if self._byte_level and not self._ends:
            spans = _byte_spans(text, pieces) or spans
        reached, tokens = 0, []
        for id, piece, (start, end) in zip(ids, pieces, spans, strict=True):
            if piece == b" " and end == start + 1 and not text[start].isspace():
                end = start  # the space that SentencePiece puts before a text
            if start > reached:
                gap = text[reached:start]
                space = _SPACE.search(gap)
                dropped = (space.start() if space else len(gap)) if tokens else 0
                if dropped:
                    tokens[-1] = replace(tokens[-1], end=reached + dropped)
                start = reached + dropped
                if space and (self._spaced_by_text(id) or id == self._unknown):
                    piece = b" " + piece
            tokens.append(Token(id, piece, start, end, id in self._special))
            reached = max(reached, end)
        if tokens and reached < len(text):
            tokens[-1] = replace(tokens[-1], end=len(text))
        return iter(tokens)


# a tokenizer is read once, and forgotten with its model
_VOCABULARIES: "WeakKeyDictionary[PreTrainedTokenizerFast, _Vocabulary]" = WeakKeyDictionary()


def _vocabulary(tokenizer: "AnyTokenizer") -> _Vocabulary | PieceTokenizer:
    if isinstance(tokenizer, PieceTokenizer):
        return tokenizer
    if tokenizer not in _VOCABULARIES:
        _VOCABULARIES[tokenizer] = _Vocabulary(tokenizer)
    return _VOCABULARIES[tokenizer]


def _byte_spans(text: str, pieces: list[bytes]) -> list[tuple[int, int]] | None:
    """Where pieces lie that are exactly the text's bytes, perhaps after one space put before it; else None."""
    joined, raw = b"".join(pieces), text.encode()
    ahead = len(joined) - len(raw)
    if joined != raw and joined != b" " + raw:
        return None
    # the character that each byte belongs to, and one past the end
    owner = [0] * ahead + [i for i, character in enumerate(text) for _ in character.encode()] + [len(text)]
    spans, end = [], 0
    for piece in pieces:
        start, end = end, end + len(piece)
        spans.append((owner[start], owner[end - 1] + 1 if end > ahead and piece else owner[start]))
    return spans


def _stands_alone(character: str) -> bool:
    """Whether WordPiece cuts before the character without a space: Chinese characters."""
    return any(first <= ord(character) <= last for first, last in _CHINESE)


def _texts(node: object) -> Iterator[str]:
    """Every text in a tree of JSON."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _texts(child)
    elif isinstance(node, str):
        yield node
