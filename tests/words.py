"""What a visitor reads of the Markdown that a page was given."""

import html
import re


def seen(markdown: str) -> str:
    """The characters that `viz.plain.plain` has written as entities are signs again."""
    return html.unescape(re.sub(r":color\[(&#\d+;)\]", r"\1", markdown))
