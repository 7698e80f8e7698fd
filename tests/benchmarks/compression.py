"""Bits per byte of the shipped model on the held-out documents of the story mix, against a 5-gram and xz.

Bytes are the UTF-8 of the documents. Model and 5-gram predict the same tokens of the same streams, the end-of-text
token after each document included (it costs bits and counts no bytes); xz gets one zero byte in its place. The first
token of each source is predicted by nobody: its bytes are left out for both. Model and 5-gram have learned from the
training documents; xz has seen nothing before. The model reads rows of its longest context, and begins each without a
past; the 5-gram never does.
"""

import argparse
import hashlib
import lzma
from collections.abc import Iterator

import numpy as np

from model import catalog
from model.tokenizer import Tokenizer
from model.training.data import STORY_MIX, Source, Stream, documents, encode_stream
from model.training.story import held_out_loss
from tests.benchmarks.timing import Measured, NotMeasurable

ORDER = 5
_BITS = 12  # of a token id: five ids fit into an int64
_MASK = (1 << _BITS * ORDER) - 1


def measure(args: argparse.Namespace) -> Iterator[Measured]:
    if not args.data:
        raise NotMeasurable("say where the story mix is, --data DIR")
    lm = catalog.load(catalog.DEFAULT)
    tokenizer = lm.tokenizer
    held_out = [stream_of(tokenizer, args, source, held_out=True) for source in STORY_MIX]
    n_byte = np.array([counted_bytes(tokenizer, stream) for stream in held_out])
    most = 8192 if args.quick else None
    model_bits, whole = [], []
    for stream in held_out:
        nats, n_token = held_out_loss(lm._transformer, stream, most=most)
        model_bits.append(nats * n_token / np.log(2))
        whole.append(n_token / (len(stream.ids) - 1))  # all of it, unless quick
    model_bits = np.array(model_bits) / whole
    trained = [stream_of(tokenizer, args, source, held_out=False).ids for source in STORY_MIX]
    if args.quick:
        trained = [ids[: len(ids) // 20] for ids in trained]
    probabilities = five_gram(trained, [stream.ids for stream in held_out], tokenizer.n_vocab)
    gram_bits = np.array([-np.log2(probability).sum() for probability in probabilities])
    text = "\0".join(
        document for source in STORY_MIX for document in documents(args.data, source, held_out=True)
    ).encode()

    for source, model, gram, size in zip(STORY_MIX, model_bits, gram_bits, n_byte, strict=True):
        figure = f"{model / size:.3f} | {gram / size:.3f}  ({size:,.0f} bytes)"
        yield Measured(f"compression, {source.name}: model | 5-gram, bits per byte", figure)
    ours, theirs = model_bits.sum() / n_byte.sum(), gram_bits.sum() / n_byte.sum()
    n_trained = sum(map(len, trained))
    yield Measured("compression: 5-gram, bits per byte", f"{theirs:.3f}  (modified Kneser-Ney, {n_trained:,} tokens)")
    n_document_byte = sum(stream.n_byte for stream in held_out)
    packed = {
        name: 8 * len(lzma.compress(text, preset=preset)) / n_document_byte
        for name, preset in (("xz -9", 9), ("xz -9e", 9 | lzma.PRESET_EXTREME))
    }
    for name, bits in packed.items():
        yield Measured(f"compression: {name}, bits per byte", f"{bits:.3f}  ({n_document_byte:,} bytes)")
    floor = min(theirs, *packed.values())
    figure = f"{ours:.3f}  ({ours / theirs:.2f} of the 5-gram, {ours / packed['xz -9e']:.2f} of xz)"
    yield Measured("compression: the shipped model, bits per byte", figure, f"< {floor:.3f}", bool(ours < floor))


def stream_of(tokenizer: Tokenizer, args: argparse.Namespace, source: Source, *, held_out: bool) -> Stream:
    """One source, encoded once and kept in the cache folder."""
    path = args.cache / f"{source.name}.{'held_out' if held_out else 'train'}.{tokenizer_mark()}.npz"
    if not path.exists():
        print(f"   encoding {path.name} …", flush=True)
        stream = encode_stream(tokenizer, list(documents(args.data, source, held_out=held_out)))
        np.savez(path, **vars(stream))
    with np.load(path) as saved:
        return Stream(saved["ids"], saved["starts"], int(saved["n_byte"]))


def tokenizer_mark() -> str:
    """A tokenizer trained anew must not meet the ids of an old one."""
    return hashlib.sha256((catalog.WEIGHTS / catalog.DEFAULT / "tokenizer.json").read_bytes()).hexdigest()[:8]


def counted_bytes(tokenizer: Tokenizer, stream: Stream) -> int:
    """Of a stream's documents, without its first token."""
    return stream.n_byte - len(tokenizer.token(int(stream.ids[0])).piece)


def five_gram(trained: list[np.ndarray], read: list[np.ndarray], n_vocab: int) -> list[np.ndarray]:
    """Probability of each token but the first of each stream in `read`, after at most the four tokens before it.

    Interpolated modified Kneser-Ney (Chen & Goodman 1999, §3 and eq. 26): the highest order counts n-grams, every lower
    one counts in how many contexts an n-gram was met; three discounts an order, from the counts of counts; below the
    single tokens lies the uniform distribution. The streams start after a past of end-of-text tokens, whose id is 0.
    """
    asked = np.concatenate([_grams(ids)[1:] for ids in read])
    grams, counts = np.unique(np.concatenate([_grams(ids) for ids in trained]), return_counts=True)
    own, passed_on = np.empty((2, ORDER, len(asked)))
    for order in range(ORDER, 0, -1):
        own[order - 1], passed_on[order - 1] = _one_order(grams, counts, asked & _low(order))
        # the distinct n-grams without their first token: each has as many contexts as it then appears times
        grams, counts = np.unique(grams & _low(order - 1), return_counts=True)
    probability = np.full(len(asked), 1 / n_vocab)
    for order in range(ORDER):
        probability = own[order] + passed_on[order] * probability
    return np.split(probability, np.cumsum([len(ids) - 1 for ids in read])[:-1])


def _grams(ids: np.ndarray) -> np.ndarray:
    """Each token with the four before it, as one number; the token itself is in the lowest bits."""
    padded = np.concatenate([np.zeros(ORDER - 1, np.int64), ids.astype(np.int64)])
    grams = np.zeros(len(ids), np.int64)
    for back in range(ORDER):
        grams |= padded[ORDER - 1 - back : len(padded) - back] << (_BITS * back)
    return grams


def _low(order: int) -> int:
    return _MASK >> (_BITS * (ORDER - order))


def _one_order(grams: np.ndarray, counts: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each n-gram asked: its discounted share of its history, and the mass that the history hands to lower orders.

    `grams` is sorted and distinct. After a history that was never met, all mass is handed down.
    """
    n1, n2, n3, n4 = (np.count_nonzero(counts == i) or 1 for i in range(1, 5))
    y = n1 / (n1 + 2 * n2)
    discount = np.clip([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3], 0, [0, 1, 2, 3])
    taken = discount[np.minimum(counts, 3)]
    history = grams >> _BITS
    first = np.flatnonzero(np.concatenate([[True], history[1:] != history[:-1]]))
    histories = history[first]
    total = np.add.reduceat(counts, first)
    handed_down = np.add.reduceat(taken, first) / total

    at = np.minimum(np.searchsorted(histories, asked >> _BITS), len(histories) - 1)
    met = histories[at] == asked >> _BITS
    place = np.minimum(np.searchsorted(grams, asked), len(grams) - 1)
    seen = grams[place] == asked
    share = np.where(seen, (counts[place] - taken[place]) / total[at], 0.0)
    return share, np.where(met, handed_down[at], 1.0)
