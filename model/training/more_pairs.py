"""More pairs for a translator, made from the training pairs alone: what visitors type, and Tatoeba hardly holds.

Words by themselves, texts without the mark at the end, several sentences at once, names other than Tom and Mary,
numbers in digits. What is put in place of a name or a number stands on both sides: it is to be copied.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np

from model.training.lexicon import usual_spelling, word_pairs, words

Pairs = list[tuple[str, str]]

_END_MARKS = ".!?…"
_SPACES = " \u00a0\u202f"  # French puts one before some of them
_VOWELS = "AEIOUYÉ"
# names written for this purpose: the same in both languages; none is in `model.training.typed`
_MEN = (
    "Adam Alan Albert Alex Andrew Anthony Arthur Ben Bill Brian Carl Charles Chris Colin Diego Edward Eric Ethan Felix "
    "Frank Gabriel George Harry Henry Hugo Ian Ivan Jacob James Jason Jonas Joseph Karl Kevin Leon Louis Luke Marcus "
    "Mark Martin Matthew Max Michael Mohamed Nathan Neil Nicholas Noah Omar Otto Patrick Paul Philip Ralph Robert Ryan "
    "Samuel Simon Stefan Steven Theo Thomas Tim Victor Vincent Walter William"
).split()
_WOMEN = (
    "Amelia Amina Amy Angela Barbara Bella Carla Carol Charlotte Chloe Clara Diana Elena Eliza Ella Ellen Emily Erika "
    "Eva Fatima Fiona Flora Grace Greta Hannah Helen Ida Iris Isabel Jane Jessica Joan Kate Karen Laura Lea Lily Linda "
    "Lisa Lucy Maria Marta Maya Mia Molly Monica Nadia Naomi Nora Olga Olivia Paula Rachel Rita Rosa Ruth Sandra Sofia "
    "Sonia Stella Susan Tanya Teresa Vera Victoria Yasmin Zoe"
).split()
_TOWNS = (
    "Amsterdam Bergen Boulder Bristol Budapest Chicago Dallas Denver Dublin Glasgow Helsinki Houston Istanbul Kyoto "
    "Lagos Leeds Lima Liverpool Manchester Melbourne Miami Milan Mumbai Nagoya Nairobi Nantes Oakland Oslo Oxford "
    "Perth Porto Riga Salem Seattle Stockholm Sydney Toronto Toulouse Turin Zurich"
).split()
# names on both sides of many pairs, and what comes in their place
_REPLACED = {"Tom": _MEN, "John": _MEN, "Mary": _WOMEN, "Boston": _TOWNS, "Tokyo": _TOWNS}
# numbers that stand for others in a sentence; French says "un" and "une" for more than the number
_NUMBERS = {
    **{"two": "deux", "three": "trois", "four": "quatre", "five": "cinq", "six": "six", "seven": "sept"},
    **{"eight": "huit", "nine": "neuf", "ten": "dix", "twelve": "douze", "fifteen": "quinze", "twenty": "vingt"},
    **{"thirty": "trente", "forty": "quarante", "fifty": "cinquante", "sixty": "soixante"},
}
_COPIES = 3  # of a pair with a number, each with another one


def more_pairs(pairs: Pairs, bare_share: float, seed: int) -> dict[str, Pairs]:
    """{what they are: pairs}, all made from `pairs`; `bare_share`: of all the others without their end mark."""
    rng = np.random.default_rng(seed)
    spelling = tuple(usual_spelling(map(words, side)) for side in zip(*pairs, strict=True))
    lexicon = word_pairs(pairs)
    made = {
        "words": lexicon + [tuple(word[:1].upper() + word[1:] for word in pair) for pair in lexicon],
        "names": other_names(pairs, rng),
        "numbers": other_numbers(pairs, rng),
        "joined": joined(pairs, len(pairs) // 20, rng),
    }
    made["bare"] = bare([*pairs, *made["names"], *made["numbers"]], bare_share, spelling)
    return made


def bare(pairs: Pairs, share: float, spelling: tuple[dict[str, str], dict[str, str]] = ({}, {})) -> Pairs:
    """A share of the pairs, evenly drawn, without the mark at the end of both sides, as visitors often type them.

    Every second one also begins with a small letter, where the first words of both sides are usually written so.
    """
    chosen = pairs[:: round(1 / share)] if share else []
    marked = [pair for pair in chosen if all(side.endswith(tuple(_END_MARKS)) for side in pair)]
    without = [tuple(side.rstrip(_END_MARKS + _SPACES) for side in pair) for pair in marked]
    return [_small(pair, spelling) if i % 2 else pair for i, pair in enumerate(without)]


def _small(pair: tuple[str, str], spelling: tuple[dict[str, str], dict[str, str]]) -> tuple[str, str]:
    firsts = [next(iter(words(side)), "").lower() for side in pair]
    if all(usual.get(first, "X").islower() for usual, first in zip(spelling, firsts, strict=True)):
        return tuple(side[:1].lower() + side[1:] for side in pair)
    return pair


def joined(pairs: Pairs, n: int, rng: np.random.Generator) -> Pairs:
    """`n` times two or three pairs, drawn at random, one after the other."""
    made = []
    for _ in range(n):
        drawn = [pairs[i] for i in rng.integers(len(pairs), size=rng.integers(2, 4))]
        made.append(tuple(" ".join(side) for side in zip(*drawn, strict=True)))
    return made


def other_names(pairs: Pairs, rng: np.random.Generator) -> Pairs:
    """Each pair that holds one of the common names as often on both sides, with other names."""
    return _changed(pairs, re.compile(rf"\b({'|'.join(_REPLACED)})\b"), str, lambda name: _name(name, rng))


def _name(instead_of: str, rng: np.random.Generator) -> str:
    """A name, every third time one that nobody has: three to nine letters that can be spoken."""
    if rng.random() < 2 / 3:
        return str(rng.choice(_REPLACED[instead_of]))
    parts = [rng.choice(list("bcdfghjklmnprstvwz")) + rng.choice(list("aeiou")) for _ in range(rng.integers(1, 4))]
    return ("".join(parts) + str(rng.choice(["n", "r", "s", "l", "lla", "ck", "t"]))).capitalize()


def other_numbers(pairs: Pairs, rng: np.random.Generator) -> Pairs:
    """Pairs with the same numbers on both sides, in digits or in words, with other numbers in digits."""
    digits = re.compile(r"(?<![\d.,])\d+(?![\d.,]*\d)")
    english, french = (re.compile(rf"(?<!-)\b({'|'.join(side)})\b(?![-’'])") for side in (_NUMBERS, _NUMBERS.values()))
    made = []
    for _ in range(_COPIES):
        made += _changed(pairs, digits, str, lambda number: _number(number, rng))
        made += _changed(pairs, english, _NUMBERS.get, lambda word: _small_number(word, rng), french)
    return made


def _number(instead_of: str, rng: np.random.Generator) -> str:
    """As long a number; a year stays one, and an hour or its minutes stay possible."""
    n = len(instead_of)
    if n == 4 and instead_of[:2] in ("18", "19", "20"):
        return str(rng.integers(1800, 2030))
    if n == 2 and int(instead_of) < 60:
        return str(rng.integers(10, 60))
    return str(rng.integers(10 ** (n - 1), 10**n)) if n > 1 else str(rng.integers(2, 10))


def _small_number(instead_of: str, rng: np.random.Generator) -> str:
    """Every second time up to twelve in place of such a number, for an hour may be meant."""
    small = list(_NUMBERS).index(instead_of) <= list(_NUMBERS).index("twelve") and rng.random() < 0.5
    return str(rng.integers(2, 13 if small else 400))


def _changed(
    pairs: Sequence[tuple[str, str]],
    pattern: re.Pattern,
    translated: Callable[[str], str],
    other: Callable[[str], str],
    pattern_there: re.Pattern | None = None,
) -> Pairs:
    """The pairs in which what `pattern` finds is on both sides, as often, with something else in its place on both."""
    made = []
    for pair in pairs:
        found = pattern.findall(pair[0])
        if not found or sorted(map(translated, found)) != sorted((pattern_there or pattern).findall(pair[1])):
            continue
        new = {each: other(each) for each in sorted(set(found))}
        there = {translated(each): instead for each, instead in new.items()}
        made.append(
            (
                pattern.sub(lambda m, new=new: new[m[0]], pair[0]),
                _elided((pattern_there or pattern).sub(lambda m, new=there: f"\0{new[m[0]]}", pair[1])),
            )
        )
    return made


def _elided(french: str) -> str:
    """With d', qu' and the like where a new word, marked by a null character, begins with a vowel, and de, que where
    it does not."""
    french = re.sub(rf"\b(d|qu|jusqu|lorsqu|puisqu)e \0(?=[{_VOWELS}])", r"\1'", french, flags=re.IGNORECASE)
    return french.replace("\0", "")
