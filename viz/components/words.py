"""A line of words, each with what it means on hover and on focus."""

from collections.abc import Sequence

from viz.components import register

_words = register(
    "words",
    shared=["renew", "tip", "rove"],
    html='<div class="words"><span class="name" aria-hidden="true">Words</span><ul aria-label="Words of art"></ul>'
    '<div class="tip" hidden></div></div>',
    picture=False,
)


def words_line(words: Sequence[tuple[str, str]], *, key: str) -> None:
    """Words with their meanings; nothing is sent to Python."""
    _words(key=key, data={"words": [{"name": name, "meaning": meaning} for name, meaning in words]})
