"""`python -m tests.model_cards` writes into the README what the cards of the built-in models say, and nothing else.

Do it whenever weights are replaced: a test holds the README to the cards. With ``--print`` it is shown instead.
"""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

from model import catalog
from model.sources import builtin_files
from model.training.loop import THEN
from tests import readme
from viz.figures.numbers import percent
from viz.figures.training import TEXTS, Card, Table, how_trained, how_well, what_it_read

PART = "models"
OWN = ("linear layer", "fine-tuned")  # a classifier's own figures among those of its rivals
TOGETHER = "layer and bag together"  # with one of them, and none itself
# the decoder first, and a classifier after what it began from
ORDER = ("story", "translator", "encoder", "sentiment", "copier")


def text(weights: Path = catalog.WEIGHTS) -> str:
    """How each built-in model is built, how it was trained, how well it does; how to train the default again."""
    names = sorted((path.parent.name for path in weights.glob("*/card.json")), key=_place)
    parts = [part for name in names for part in model(weights / name)]
    return "\n\n".join([*parts, *training(weights / catalog.DEFAULT)]) + "\n"


def _place(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def model(folder: Path) -> Iterator[str]:
    card, config = json.loads((folder / "card.json").read_text(encoding="utf-8")), builtin_files.config(folder)
    pair = f" + {config['n_layer']}" if card["architecture"] == "encoder-decoder" else ""
    yield (
        f"`{folder.name}`, {card['architecture']}: {config['n_layer']}{pair} layers x {config['n_head']} heads, "
        f"d_model {config['d_model']}, {config['n_context']} positions, a vocabulary of {config['n_vocab']:,}, "
        f"{card['parameters']:,} weights. {how_trained(card)}"
    )
    yield from table("read", what_it_read(card))
    if tested := how_well(card):
        yield from table("on texts that it did not learn from", tested)
    yield from against_five_gram(card)
    yield from against_rivals(card)
    yield from typed(card)
    yield from written(card)


def table(title: str, table: Table) -> Iterator[str]:
    lines = [(title, *table.heads), ("---",) * (1 + len(table.heads)), *((name, *cells) for name, cells in table.rows)]
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if table.note:
        yield table.note


def against_five_gram(card: Card) -> Iterator[str]:
    """Of which texts an interpolated 5-gram knows as much as the model."""
    rows = {name: row for name, row in card.get("held_out", {}).items() if "five_gram" in row}
    behind = [TEXTS.get(name, name) for name, row in rows.items() if row["bits_per_byte"] >= row["five_gram"]]
    if rows:
        where = f"not ahead of it on: {', '.join(behind)}" if behind else "ahead of it on all of these"
        yield f"The 5-gram is interpolated (modified Kneser-Ney), over the same tokens; the model is {where}."


def against_rivals(card: Card) -> Iterator[str]:
    """What a classifier is ahead by, or behind, in points; each of the texts has its margin."""
    for name, row in card.get("test", {}).items():
        own = next((own for own in OWN if isinstance(row, dict) and own in row), None)
        if own:
            rivals = [key for key in row if key not in ("texts", "margin", own, TOGETHER)]
            said = "; ".join(f"{100 * (row[own] - row[key]):+.1f} against {key}" for key in rivals)
            yield f"{TEXTS.get(name, name)} (± {percent(row['margin'])}), in points: {said}."


def typed(card: Card) -> Iterator[str]:
    """What a classifier says of each of the texts written for a test."""
    rows = [
        (row["text"], (row["wanted"], row["found"], percent(row["probability"])))
        for row in card.get("typed", ())
        if "probability" in row
    ]
    if rows:
        yield from table("typed", Table(("we say", "it says", "probability"), tuple(rows), ""))


def written(card: Card) -> Iterator[str]:
    """What it writes by itself, on one line each, and whether that loops."""
    lines = []
    for row in card.get("greedy", ()):
        rest = " ".join(row["text"].removeprefix(row["start"]).splitlines())
        lines.append(f"> **{row['start']}**{rest}\\\n> {row['tokens']} tokens, {row['repeated_8_grams']} repeated")
    if lines:
        yield "Always the most probable token; repeated: how many times eight tokens come that have come before."
        yield "\n>\n".join(lines)


def training(folder: Path) -> Iterator[str]:
    """The commands that the default model was made by, those of a smaller one that it began as before them."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    commands, work, smaller = [], f"runs/{folder.name}", f"runs/smaller-{folder.name}"
    if "grown_from" in card:
        commands += exported(card["grown_from"]["command"], smaller, f"{smaller}/weights")
    commands += exported(card["command"], work, f"model/weights/{folder.name}")
    commands = [re.sub(r"(?<=--grow-from )\S+", f"{smaller}/weights", command) for command in commands]
    yield f"`{folder.name}` was made by these commands:"
    yield "\n".join(["```sh", *(f".venv/bin/{command}" for command in commands), "```"])


def exported(stated: str, work: str, folder: str) -> list[str]:
    """The commands of a card, one after another, and the one that writes the model to `folder`."""
    commands = [command.replace("WORK", work) for command in stated.split(THEN)]
    return [*commands, f"{commands[-1]} --export {folder}"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.model_cards", description=__doc__)
    parser.add_argument("--print", action="store_true", help="show it, and leave the README as it is")
    if parser.parse_args().print:
        print(text(), end="")
    else:
        readme.write(PART, text())


if __name__ == "__main__":
    main()
