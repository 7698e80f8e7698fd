"""Text from outside within Markdown: the one way for it into what Streamlit draws as Markdown."""

import re

_MARKS = re.compile(
    r"""
    # what Streamlit looks for once Markdown has been read, when an entity is a sign again: addresses, :smile:,
    # :material_home:, arrows and dashes of signs
    (?P<late> :(?=\S) | @ | (?<=www)\. | (?<!\w)- | -(?!\w) | = )
    # what Markdown itself reads: marks, underscores outside of words, the number of a list, spaces that make code
    | [\\`*{}\[\]<>|~$&\n\t] | ^[+\#] | (?<![^\W_])_ | _(?![^\W_]) | ^\d(?=\d*[.)]) | ^[ ] | (?<=\s)[ ]
    """,
    re.VERBOSE | re.IGNORECASE,
)


def plain(text: object) -> str:
    """Anything from outside (a link, a file, a folder's name, a configuration, a token, a typed text) as Markdown that
    shows just these characters; what cannot be seen is shown by its number, U+202E.
    """
    return _MARKS.sub(_as_text, visible(str(text)))


def visible(text: str) -> str:
    """A direction mark would turn a sentence around, half a character could not be sent: they stand as numbers."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"U+{ord(c):04X}" for c in text)


def _as_text(mark: re.Match) -> str:
    entity = f"&#{ord(mark[0])};"
    # a directive that says nothing takes the sign into an element of its own, where nothing is to be found
    return f":color[{entity}]" if mark["late"] else entity
