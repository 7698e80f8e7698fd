"""A SentencePiece model (`source.spm`, `spiece.model` …): its pieces, and how it normalizes, read off its protobuf.

Read here and not by a library, which would first make an object of everything that a stranger's file says there is: two
bytes of the file each. Numbers of fields and their defaults are those of SentencePiece's sentencepiece_model.proto.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

N_PIECE = 400_000  # the largest known have 262,144
LONGEST = 256  # characters of a piece; trainers stop at 16 unless they are told otherwise
N_CHARACTER = 8_000_000  # of all pieces; of BPE each is looked at for the two parts that it may be made of
N_CHARSMAP = 4 * 2**20  # bytes of the table of normal forms; those that there are have 0.3 MiB at most
FORM = 64  # bytes that one rule of it may make: the longest true one has 33

UNIGRAM, BPE = 1, 2  # kinds of model
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # kinds of piece


class SpPiece(NamedTuple):  # a quarter of a million of them are made sooner than of a dataclass
    """An entry, by its place in the file."""

    text: str  # "▁" is a space
    score: float  # log-probability in nats (Unigram); the higher, the earlier its merge was learned (BPE)
    kind: int


@dataclass(frozen=True)
class SentencePieceFile:
    """What a file says."""

    kind: int
    pieces: tuple[SpPiece, ...]
    charsmap: bytes  # a trie of texts, and what each becomes; empty: all stay
    dummy_prefix: bool  # a space before the text
    trims: bool  # drops spaces around the text, and all but one within
    escapes: bool  # writes a space as "▁"
    suffix: bool  # the space is behind a word, not before it
    byte_fallback: bool  # an unknown character is written with its bytes


def read(content: bytes) -> SentencePieceFile:
    """Raises `ValueError` with the reason for what is no such file, cut short, or absurd."""
    pieces: list[SpPiece] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in _fields(content):
        if number == 1:
            if len(pieces) == N_PIECE:
                raise ValueError(f"it has more than {N_PIECE:,} pieces")
            pieces.append(_piece(value))
        elif number in (2, 3):
            (trainer if number == 2 else normalizer).update(_fields(_bytes(value)))
    if sum(len(piece.text) for piece in pieces) > N_CHARACTER:
        raise ValueError(f"its pieces have more than {N_CHARACTER:,} characters")
    if not any(piece.kind == NORMAL for piece in pieces):
        raise ValueError("it has no pieces")
    charsmap = _bytes(normalizer.get(2, b""))
    check_charsmap(charsmap)
    return SentencePieceFile(
        kind=_number(trainer.get(3, UNIGRAM)),
        pieces=tuple(pieces),
        charsmap=charsmap,
        dummy_prefix=bool(normalizer.get(3, True)),
        trims=bool(normalizer.get(4, True)),
        escapes=bool(normalizer.get(5, True)),
        suffix=bool(trainer.get(24, False)),
        byte_fallback=bool(trainer.get(35, False)),
    )


def check_charsmap(charsmap: bytes) -> None:
    """Four bytes with the size of the trie, the trie, and texts that each end with a zero. Raises `ValueError`."""
    if len(charsmap) > N_CHARSMAP:
        raise ValueError(f"its table of normal forms has more than {N_CHARSMAP:,} bytes")
    if not charsmap:
        return
    n_trie = int.from_bytes(charsmap[:4], "little")
    forms = charsmap[4 + n_trie :]
    if not n_trie or n_trie % 4 or not forms.endswith(b"\0"):
        raise ValueError("its table of normal forms is damaged")
    if max(map(len, forms.split(b"\0"))) > FORM:
        raise ValueError(f"its table of normal forms makes more than {FORM} bytes of one character")


def _piece(value: int | bytes) -> SpPiece:
    stated = dict(_fields(_bytes(value)))
    try:
        text = _bytes(stated.get(1, b"")).decode()
    except UnicodeDecodeError:
        raise ValueError("a piece is no text") from None
    score, kind = stated.get(2, b"\0\0\0\0"), _number(stated.get(3, NORMAL))
    if not text or len(text) > LONGEST:
        raise ValueError(f"a piece has {len(text):,} characters")
    if not isinstance(score, bytes) or len(score) != 4 or kind not in range(1, 7):
        raise ValueError("a piece is damaged")
    (number,) = struct.unpack("<f", score)
    if not abs(number) < 1e30:
        raise ValueError(f"a piece has the score {number:.3g}")
    return SpPiece(text, number, kind)


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message, by their numbers: a whole number, or bytes. Raises `ValueError`."""
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(content, place)
        elif wire in (1, 2, 5):
            size, place = _varint(content, place) if wire == 2 else (8 if wire == 1 else 4, place)
            value, place = content[place : place + size], place + size
        else:
            raise ValueError("it is no SentencePiece model")
        if place > len(content):
            raise ValueError("it is cut short")
        yield number, value


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A whole number, seven bits a byte, and where it ends."""
    if place < len(content) and content[place] < 0x80:  # nearly all of them
        return content[place], place + 1
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(content):
            raise ValueError("it is cut short")
        byte = content[place]
        value, place = value | (byte & 0x7F) << shift, place + 1
        if byte < 0x80:
            return value, place
    raise ValueError("it is no SentencePiece model")


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("it is no SentencePiece model")
    return value


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("it is no SentencePiece model")
    return value
