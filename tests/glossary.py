"""README's table of words of art, made of the list that explains them on the pages: `python -m tests.glossary`."""

from tests.readme import write
from viz.ui.glossary import WORDS


def table() -> str:
    """As Markdown."""
    rows = ["| word | what it is |", "| --- | --- |", *(f"| {word.name} | {word.meaning} |" for word in WORDS)]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    write("glossary", table())
