"""What the story model must beat on held-out texts: a 5-gram over the same tokens, and xz.

The 5-gram has learned from the same training texts, each read once; xz has seen nothing before.
"""

import lzma
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.training.data import STORY_MIX, Source, Stream, documents

ORDER = 5
_BITS = 16  # of a token's id


def bits_per_byte(
    folder: Path, trained: Sequence[Stream], held_out: Sequence[Stream], n_vocab: int
) -> dict[str, dict[str, float]]:
    """Of each source of the mix, and of all that are counted together: {"five_gram": …, "xz": …}.

    `folder`: where the texts are; the streams are those of `STORY_MIX`, in its order. Bytes are the UTF-8 of the
    documents. The 5-gram predicts the tokens that the model predicts: not the first of a source, but the end of text
    after each document, which costs bits and counts no bytes; xz gets one zero byte in its place.
    """
    probabilities = five_gram([stream.ids for stream in trained], [stream.ids for stream in held_out], n_vocab)
    bits = [float(-np.log2(probability).sum()) for probability in probabilities]
    n_byte = [stream.n_byte * (len(stream.ids) - 1) / len(stream.ids) for stream in held_out]

    def row(sources: Sequence[Source]) -> dict[str, float]:
        chosen = [STORY_MIX.index(source) for source in sources]
        text = "\0".join(text for source in sources for text in documents(folder, source, held_out=True)).encode()
        packed = 8 * len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
        return {
            "five_gram": round(sum(bits[i] for i in chosen) / sum(n_byte[i] for i in chosen), 4),
            "xz": round(packed / sum(held_out[i].n_byte for i in chosen), 4),
        }

    counted = [source for source in STORY_MIX if source.counted]
    return {source.name: row([source]) for source in STORY_MIX} | {"all": row(counted)}


def five_gram(trained: Sequence[np.ndarray], read: Sequence[np.ndarray], n_vocab: int) -> list[np.ndarray]:
    """Probability of each token but the first of each stream in `read`, after at most the four tokens before it.

    Streams are rows of ids below 2^16; each is read after a past of tokens with the id 0, as end of text has.
    Interpolated modified Kneser-Ney (Chen & Goodman 1999, §3 and eq. 26): the highest order counts n-grams, every lower
    one counts in how many contexts an n-gram was met; three discounts an order, from the counts of counts; below the
    single tokens lies the uniform distribution. 50 M tokens take some 4 GB.
    """
    past = ORDER - 1
    ids = np.concatenate([np.pad(stream, (past, 0)) for stream in (*trained, *read)]).astype(np.int64)
    starts = np.cumsum([past, *(len(stream) + past for stream in (*trained, *read))])
    where = [np.arange(start, start + len(s)) for start, s in zip(starts, (*trained, *read), strict=False)]
    met = np.concatenate(where[: len(trained)])  # places of an n-gram, as often as it counts
    scored = np.concatenate([places[1:] for places in where[len(trained) :]])

    # grams[n][t] numbers the n tokens that end at place t: equal numbers, equal tokens
    grams = [np.zeros(len(ids), np.int32)]
    for _ in range(ORDER):
        history = np.roll(grams[-1], 1).astype(np.int64)  # around the end: into a past, which is not scored
        grams.append(_numbered(history << _BITS | ids))
    own, passed_on = np.empty((2, ORDER, len(scored)))
    for order in range(ORDER, 0, -1):
        gram, history = grams[order], grams[order - 1]
        own[order - 1], passed_on[order - 1], met = _one_order(gram, history, met, scored)
    probability = np.full(len(scored), 1 / n_vocab)
    for order in range(ORDER):
        probability = own[order] + passed_on[order] * probability
    return np.split(probability, np.cumsum([len(stream) - 1 for stream in read])[:-1])


def _numbered(keys: np.ndarray) -> np.ndarray:
    """0, 1, … in place of the keys, in their order."""
    order = np.argsort(keys)
    ordered = keys[order]
    numbers = np.empty(len(keys), np.int32)
    numbers[order] = np.concatenate([[0], np.cumsum(ordered[1:] != ordered[:-1])])
    return numbers


def _one_order(
    gram: np.ndarray, history: np.ndarray, met: np.ndarray, scored: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each n-gram scored: its discounted share of its history, and the mass that the history hands to lower orders;
    and one place of each n-gram that was met: there, the n-gram without its first token has one context more.

    `gram` and `history` number, at each place, the n-gram and the (n-1)-gram that end there; `met` and `scored` are
    places. After a history that was never met, all mass is handed down.
    """
    counts = np.bincount(gram[met], minlength=gram.max() + 1)
    n1, n2, n3, n4 = (np.count_nonzero(counts == i) or 1 for i in range(1, 5))
    y = n1 / (n1 + 2 * n2)
    discount = np.clip([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3], 0, [0, 1, 2, 3])
    taken = discount[np.minimum(counts, 3)]

    place = np.zeros(len(counts), np.int64)
    place[gram[met]] = met
    place = place[counts > 0]
    histories = history[place - 1]
    n_history = history.max() + 1
    total = np.bincount(histories, counts[counts > 0], n_history)
    handed_down = np.bincount(histories, taken[counts > 0], n_history)
    this, after = gram[scored], history[scored - 1]
    known = total[after] > 0
    share = np.divide(counts[this] - taken[this], total[after], out=np.zeros(len(scored)), where=known)
    return share, np.divide(handed_down[after], total[after], out=np.ones(len(scored)), where=known), place
