"""A small change of a text, to compare the two: a minimal pair."""

import re

# what is put for the last of each word; the first that the text has is changed
CHANGES = {
    **{"tired": "wide", "cat": "cats", "cats": "cat", "girl": "boy", "boy": "girl", "John": "Mary", "Mary": "John"},
    **{"dog": "dogs", "black": "white", "red": "white", "good": "bad", "happy": "sad", "king": "queen", "man": "woman"},
}
_WORD = re.compile(r"\w+")


def minimal_pair(text: str) -> str:
    """The text with one word changed; never the same text, but for an empty one.

    By the list above; else the second word gives way to the last that is another one, for that is a word that the model
    knows. A text of one word, over and over, ends with one less, or comes twice.
    """
    words = list(_WORD.finditer(text))
    for word, other in CHANGES.items():
        if found := [each for each in words if each[0] == word]:
            return _put(text, found[-1], other)
    if len(words) > 1:
        second = words[1]
        others = [each[0] for each in words if each[0] != second[0]]
        return _put(text, second, others[-1]) if others else text[: words[-1].start()].rstrip()
    return f"{text} {text}" if text else text


def _put(text: str, where: re.Match, word: str) -> str:
    return text[: where.start()] + word + text[where.end() :]
