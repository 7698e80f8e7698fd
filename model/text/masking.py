"""Blanks in a text: hide a token behind the mask, put another in its place, bring back what stood there.

An encoder reads a text, not a list of tokens, so each of these is a new text. It is chosen so that it is cut into the
same tokens but for the one that changed, wherever there is such a text: tokenizers write spaces in different ways.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from model.run import Token

Encode = Callable[[str], Sequence[Token]]


@dataclass(frozen=True)
class Place:
    """Where a text was changed: text[start:end] stands there now."""

    start: int
    end: int
    was: str  # what stood there before the first change
    token: Token | None  # the token that this was, if the text is cut as before but for it; else None


@dataclass(frozen=True)
class Blanked:
    """A text, and the places where it was changed by `put`, from left to right; they do not overlap."""

    text: str
    places: tuple[Place, ...] = ()

    def place_of(self, token: Token) -> Place | None:
        """The changed place that a token of the text stands in."""
        return next((p for p in self.places if token.start < p.end and p.start < token.end), None)


def put(blanked: Blanked, tokens: Sequence[Token], i: int, new: Token, encode: Encode) -> Blanked:
    """The text with `new`, the mask or another vocabulary entry, instead of token i of `tokens`.

    Raises UnicodeDecodeError if `new` is only a part of a character: no text can say that.
    """
    text, old = blanked.text, tokens[i]
    wanted = [token.id for token in (*tokens[:i], new, *tokens[i + 1 :])]
    start, end, written, exact = _fitting(text, old, new.piece.decode(), wanted, encode)
    before = [place for place in blanked.places if place.start < end and start < place.end]
    first, last = min([start, *(place.start for place in before)]), max([end, *(place.end for place in before)])
    grown = len(written) - (end - start)
    token = before[0].token if before else old  # of what stood there first
    place = Place(first, last + grown, _undone(text, before, first, last), token if exact and len(before) < 2 else None)
    places = _moved([other for other in blanked.places if other not in before], last, grown)
    text = text[:start] + written + text[end:]
    if text[place.start : place.end] != place.was:
        places = sorted([*places, place], key=lambda place: place.start)
    return Blanked(text, tuple(places))


def restore(blanked: Blanked, place: Place) -> Blanked:
    """The text with what stood at one of its places before."""
    others = [other for other in blanked.places if other != place]
    grown = len(place.was) - (place.end - place.start)
    text = blanked.text[: place.start] + place.was + blanked.text[place.end :]
    return Blanked(text, tuple(_moved(others, place.end, grown)))


def restore_all(blanked: Blanked) -> Blanked:
    """The text as it was before any change."""
    return Blanked(_undone(blanked.text, blanked.places, 0, len(blanked.text)))


def write_places(places: Sequence[Place]) -> str:
    """As one line without spaces, for an address: start-end-id-what stood there, with ~ between."""
    parts = [(p.start, p.end, p.token.id if p.token else "", quote(p.was, safe="").replace("~", "%7E")) for p in places]
    return "~".join("-".join(map(str, part)) for part in parts)


def read_places(written: str, text: str, token: Callable[[int], Token], n_vocab: int) -> tuple[Place, ...]:
    """The places in a text that `write_places` wrote. ValueError if they cannot be places of this text."""
    found, behind = [], 0
    for place in filter(None, written.split("~")):
        if not (parts := re.fullmatch(r"(\d{1,7})-(\d{1,7})-(\d{0,7})-(.*)", place, re.DOTALL)):
            raise ValueError(place)
        start, end = int(parts[1]), int(parts[2])
        if not behind <= start <= end <= len(text) or (parts[3] and int(parts[3]) >= n_vocab):
            raise ValueError(place)
        stood = token(int(parts[3])) if parts[3] else None
        found.append(Place(start, end, unquote(parts[4]), stood))
        behind = end
    return tuple(found)


def cut_behind(tokens: Sequence[Token], i: int) -> tuple[Token, ...]:
    """The tokens up to number i, and the marks that a tokenizer put at the end: the text as if it ended there."""
    return (*tokens[: i + 1], *(token for token in tokens[i + 1 :] if token.special and token.start == token.end))


def masked(tokens: Sequence[Token], i: int, mask: Token) -> tuple[Token, ...]:
    """The tokens with the mask in the place of number i."""
    hidden = replace(mask, start=tokens[i].start, end=tokens[i].end, type=tokens[i].type)
    return (*tokens[:i], hidden, *tokens[i + 1 :])


def _fitting(text: str, old: Token, word: str, wanted: Sequence[int], encode: Encode) -> tuple[int, int, str, bool]:
    """What to cut out and what to write there, and whether the text is then cut into the tokens `wanted`."""
    bare, stripped = word.lstrip(" "), len(text[: old.start].rstrip(" "))
    # as a person would write it, then in any other way
    natural = f" {bare}" if text[old.start : old.end].startswith(" ") else bare if stripped < old.start else word
    ways = [
        (old.start, natural),
        *((start, way) for start in (old.start, stripped) for way in (word, f" {bare}", bare)),
    ]
    for start, written in ways:
        if [token.id for token in encode(text[:start] + written + text[old.end :])] == wanted:
            return start, old.end, written, True
    return old.start, old.end, natural, False


def _undone(text: str, places: Sequence[Place], first: int, last: int) -> str:
    """What text[first:last] was before its `places` were changed."""
    for place in reversed(places):
        text = text[: place.start] + place.was + text[place.end :]
        last += len(place.was) - (place.end - place.start)
    return text[first:last]


def _moved(places: Sequence[Place], behind: int, by: int) -> list[Place]:
    """Places after a change of the text's length; those that begin at `behind` or later stand elsewhere now."""
    return [replace(p, start=p.start + by, end=p.end + by) if p.start >= behind else p for p in places]
