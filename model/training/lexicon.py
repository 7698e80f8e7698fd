"""Words and their translations, counted in sentence pairs: what a translator needs to be asked for one word.

Sentences hardly ever are one word long, so a translator that has read nothing else makes a sentence of "cat". The pairs
come from the training sentences alone, by IBM's first model of translation (Brown et al. 1993; the EM of Och and Ney
2003, in both directions): a word and its translation are kept where each is the other's most probable one.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

# letters, with hyphens between them; the apostrophe of an elision belongs to the word before it: l' eau, it' s
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*['’]?")
_LETTERS = re.compile(r"[^\W\d_]{2,}")
LEAST_OFTEN = 8  # sentences that an English word is in
LEAST_SURE = 0.1  # the product of both directions' probabilities
ROUNDS = 6


def words(text: str) -> list[str]:
    """The words of a text, as they are written in it."""
    return _WORD.findall(text)


def word_pairs(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """(word, its translation) for the words that have one clear translation, in the order of the alphabet."""
    sides = [list(map(words, side)) for side in zip(*pairs, strict=True)]
    spelt = [usual_spelling(side) for side in sides]
    ids, names = zip(*map(_numbered, sides), strict=True)
    there, back = (translation_table(*each) for each in ((ids[0], ids[1]), (ids[1], ids[0])))
    often = Counter(word for sentence in ids[0] for word in set(sentence))
    kept = []
    for word, row in there.items():
        other = max(row, key=row.get)
        backwards = back.get(other, {})
        sure = row[other] * backwards.get(word, 0.0)
        if often[word] >= LEAST_OFTEN and sure >= LEAST_SURE and max(backwards, key=backwards.get) == word:
            written = [names[side][id] for side, id in enumerate((word, other))]
            pair = tuple(spelt[side].get(each, each) for side, each in enumerate(written))
            if all(map(_LETTERS.fullmatch, pair)):
                kept.append(pair)
    return sorted(kept)


def usual_spelling(sentences: Iterable[list[str]]) -> dict[str, str]:
    """How each word is mostly written where no sentence begins, Monday but cat: {word in small letters: it}."""
    counts = defaultdict(Counter)
    for _, *words in filter(None, sentences):
        for word in words:
            counts[word.lower()][word] += 1
    return {word: forms.most_common(1)[0][0] for word, forms in counts.items()}


def _numbered(sentences: list[list[str]]) -> tuple[list[list[int]], list[str]]:
    """Sentences as numbers of words in small letters, and the words; 0 is the empty word."""
    names = [""]
    known = {"": 0}
    rows = []
    for words in sentences:
        row = []
        for word in map(str.lower, words):
            if word not in known:
                known[word] = len(names)
                names.append(word)
            row.append(known[word])
        rows.append(row)
    return rows, names


def translation_table(sources: list[list[int]], targets: list[list[int]]) -> dict[int, dict[int, float]]:
    """p(target word | source word) of IBM's first model: {source: {target: probability}}, the empty source left out."""
    source, target, place = _together(sources, targets)
    pair, which = np.unique(source * (target.max() + 1) + target, return_inverse=True)
    first, second = np.divmod(pair, target.max() + 1)
    probability = np.full(len(pair), 1.0)
    for _ in range(ROUNDS):
        weight = probability[which]  # of each source word for one word of a target
        total = np.bincount(place, weight)
        counts = np.bincount(which, weight / total[place], len(pair))
        probability = counts / np.bincount(first, counts)[first]
    table = defaultdict(dict)
    for one, other, p in zip(first.tolist(), second.tolist(), probability.tolist(), strict=True):
        if one and p > 0.01:
            table[one][other] = p
    return table


def _together(sources: list[list[int]], targets: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every source word, the empty one too, with every target word of the same pair, and which of all those it is."""
    source, target, place = [], [], []
    seen = 0
    for words, wanted in zip(sources, targets, strict=True):
        words = [0, *words]
        source.append(np.tile(words, len(wanted)))
        target.append(np.repeat(wanted, len(words)))
        place.append(np.repeat(np.arange(seen, seen + len(wanted)), len(words)))
        seen += len(wanted)
    return tuple(np.concatenate(each).astype(np.int64) for each in (source, target, place))
