"""`python -m tests.telling_heads` writes into the cards of the built-in models which head is shown first.

It is the one that `model.analysis.telling` finds over the first sentences of `model.training.lessons`. Do it whenever
weights are replaced: a test holds the cards to it.
"""

import json
from pathlib import Path

from model import catalog, serving
from model.analysis.telling import telling_head
from model.language_model import LanguageModel
from model.run import ModelRun
from model.sources.builtin_files import card_text
from model.sources.places import Entry
from model.text.prompt import Prompt, tokens_of
from model.training.lessons import LESSONS

N = 12  # sentences


def found(entry: Entry) -> list[int]:
    """Layer and head."""
    lm = catalog.load(entry.name)
    return list(telling_head(*(_run(lm, text) for text in catalog.texts_of(entry) or LESSONS[:N])))


def _run(lm: LanguageModel, text: str) -> ModelRun:
    tokens, source = tokens_of(lm, Prompt(text))
    return lm.run(tokens, source=source)


def main() -> None:
    serving.load_torch()  # threads as the app sets them
    for entry in catalog.available():
        if entry.source == catalog.BUILT_IN:
            card = Path(entry.where) / "card.json"
            stated = json.loads(card.read_text(encoding="utf-8"))
            stated["telling_head"] = found(entry)
            ascii = card.read_text(encoding="utf-8").isascii()
            card.write_text(card_text(stated, ascii=ascii), encoding="utf-8")
            print(f"{entry.name}: layer {stated['telling_head'][0]}, head {stated['telling_head'][1]}")


if __name__ == "__main__":
    main()
