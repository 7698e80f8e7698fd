"""README's table of what an address can say, made of the choices themselves: `python -m tests.addresses` writes it."""

from tests.readme import write
from viz.ui.choices import CHOICES, Choice


def table() -> str:
    """As Markdown."""
    rows = ["| address parameter | what it says | at first | on |", "| --- | --- | --- | --- |"]
    for name, choice in CHOICES.items():
        pages = "every page" if not choice.pages else ", ".join(page or "home" for page in choice.pages)
        rows.append(f"| `{name}` | {choice.meaning}{options(choice)} | {at_first(choice)} | {pages} |")
    return "\n".join(rows) + "\n"


def options(choice: Choice) -> str:
    if not choice.options:
        return ""
    return ": " + ", ".join(f"`{choice.write(option)}`" for option in choice.options)


def at_first(choice: Choice) -> str:
    if choice.default in ("", (), None):
        return "–"
    return " ↵ ".join(f"`{line}`" for line in choice.write(choice.default).splitlines())


if __name__ == "__main__":
    write("addresses", table())
