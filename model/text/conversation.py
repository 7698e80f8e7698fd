"""A conversation: messages with their roles, as a link writes them, and where each stands in a filled template."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from model.run import Token
from model.text.units import Units

SYSTEM, USER, ASSISTANT = ROLES = ("system", "user", "assistant")
TEMPLATE = "template"  # whose tokens are nobody's message
MOST_MESSAGES, LONGEST = 40, 16_000  # messages, and characters of all together
_MARKS = "\ue0f0", "\ue0f1"  # of nobody's text: for private use, says Unicode


@dataclass(frozen=True)
class Message:
    """What one side has said. ValueError for another role."""

    role: str  # one of ROLES
    content: str

    def __post_init__(self):
        if self.role not in ROLES:
            raise ValueError(f"{self.role!r} is none of {', '.join(ROLES)}")


def write_messages(messages: Iterable[Message]) -> str:
    """As `read_messages` reads them; nothing for none."""
    rows = [[each.role, each.content] for each in messages]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if rows else ""


def read_messages(text: str) -> tuple[Message, ...]:
    """The messages of a link: a JSON list of pairs, role and words. ValueError for anything else, or for too many."""
    if not text:
        return ()
    try:
        rows = json.loads(text)
    except RecursionError as error:
        raise ValueError(text) from error
    if not isinstance(rows, list) or len(rows) > MOST_MESSAGES:
        raise ValueError(text)
    for row in rows:
        if not (isinstance(row, list) and len(row) == 2 and all(isinstance(part, str) for part in row)):
            raise ValueError(text)
    messages = tuple(Message(*row) for row in rows)
    if sum(len(each.content) for each in messages) > LONGEST:
        raise ValueError(text)
    return messages


def spans(fill: Callable[[Sequence[Message]], str], messages: Sequence[Message]) -> tuple[tuple[int, int], ...]:
    """Where each message stands in the text that a template makes of them, in their order: (start, end) in characters.

    The template is filled a second time, with a mark at either end of each message, and they stand where the marks do.
    If that does not change the rest, this is sure. A template that looks at what it is given may do something else with
    marks; then each message is looked for behind the one before it. (n, n) for one that a template leaves out, n being
    where the one before it ends.
    """
    filled, words = fill(messages), [each.content.strip() for each in messages]
    found, at = [], 0
    if not any(mark in filled for mark in _MARKS):
        begin, end = _MARKS
        marked = fill([Message(each.role, begin + its + end) for each, its in zip(messages, words, strict=True)])
        parts = re.split(f"[{begin}{end}]", marked)
        if "".join(parts) == filled and parts[1::2] == words:
            ends = list(accumulate(map(len, parts)))
            return tuple(zip(ends[:-1:2], ends[1::2], strict=True))
    for its in words:
        start = filled.find(its, at) if its else -1
        found.append((at, at) if start < 0 else (start, start + len(its)))
        at = found[-1][1]
    return tuple(found)


def turns_of(tokens: Sequence[Token], fill: Callable[[Sequence[Message]], str], messages: Sequence[Message]) -> Units:
    """The tokens of a filled template, and of an answer behind it, by whose they are: U turns in their order.

    A token belongs to the message that its first character, white space aside, stands in; between two messages it is
    the template's. What stands behind the text is the answer that is being written.
    """
    filled, places = fill(messages), spans(fill, messages)
    owner = np.array([_owner(token, filled, places) for token in tokens])
    begins = np.ones(len(tokens), bool)
    begins[1:] = owner[1:] != owner[:-1]
    starts = np.flatnonzero(begins)
    labels = tuple(_label(int(owner[start]), messages) for start in starts)
    return Units("turns", labels, starts, len(tokens), "a token belongs to the message that its first character is in")


def _owner(token: Token, filled: str, places: Sequence[tuple[int, int]]) -> int:
    """The number of its message; -1: the template's; one more than there are messages: of the answer."""
    if token.start >= len(filled):
        return len(places)
    covered = filled[token.start : token.end]
    at = token.start + (len(covered) - len(covered.lstrip()) if covered.strip() else 0)
    return next((i for i, (start, end) in enumerate(places) if start <= at < end), -1)


def _label(owner: int, messages: Sequence[Message]) -> str:
    """Such as "user 2", where there are several of a role; an answer stands behind all messages."""
    if owner < 0:
        return TEMPLATE
    roles = [*(each.role for each in messages), ASSISTANT]
    role = roles[owner]
    return f"{role} {roles[: owner + 1].count(role)}" if roles.count(role) > 1 else role
