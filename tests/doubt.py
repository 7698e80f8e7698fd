"""How probable the shipped translator finds what it writes for sentences that it can read, and for what it cannot.

`python -m tests.doubt DATA` (the folder that holds `parallel`) measures what `model.analysis.doubt` states: sentences
of the test set, which no training saw, and beside them Chinese, French, digits, and letters drawn at random.
"""

import lzma
import random
import sys
from pathlib import Path

import numpy as np

from model import catalog, serving
from model.analysis.beam import PENALTY, WIDTH
from model.analysis.doubt import LEAST_LOG_PROB, has_letters, part_in_bytes

N = 400


def pairs(path: Path) -> list[list[str]]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def samples(data: Path) -> dict[str, list[str]]:
    """Texts by what they are, the same each time."""
    draw = random.Random(0)
    french, chinese = (pairs(data / "parallel" / f"tatoeba.en-{to}.test.tsv.xz") for to in ("fr", "zh"))

    def drawn(characters: str, longest: int) -> str:
        return "".join(draw.choice(characters) for _ in range(draw.randint(3, longest)))

    def words(characters: str) -> str:
        return " ".join(drawn(characters, 8) for _ in range(draw.randint(1, 6)))

    letters, digits = "abcdefghijklmnopqrstuvwxyz", "0123456789"
    return {
        "English": [pair[0] for pair in draw.sample(french, N)],
        "Chinese": [pair[1] for pair in draw.sample(chinese, N // 8)],
        "French": [pair[1] for pair in draw.sample(french, N // 8)],
        "digits": [words(digits) for _ in range(N // 8)],
        "letters at random": [words(letters) for _ in range(N // 8)],
    }


def main() -> None:
    serving.load_torch()
    lm = catalog.load("translator")
    for kind, texts in samples(Path(sys.argv[1])).items():
        means, doubted = [], 0
        for text in texts:
            source = lm.encode(text)
            best = lm.beam_search(source, WIDTH, PENALTY).finished[0]
            means.append(best.log_prob / best.length)
            unread = part_in_bytes(text, source) > 0.5 or not has_letters(text)
            doubted += unread or not best.finished or means[-1] < LEAST_LOG_PROB
        least, few, middle = np.quantile(means, [0, 0.02, 0.5])
        below = np.mean(np.array(means) < LEAST_LOG_PROB)
        print(
            f"{kind}: {len(texts)}, mean log-probability least {least:.2f}, 2 % below {few:.2f}, median {middle:.2f}; "
            f"below {LEAST_LOG_PROB}: {100 * below:.1f} %; doubted for any reason: {100 * doubted / len(texts):.1f} %"
        )


if __name__ == "__main__":
    main()
