"""What a stranger's tokenizer may ask for: a text that stays about as long as it was, and one pass over it.

Its normalizer, decoder and template are small programs that the `tokenizers` library runs as they stand: a replacement
of one letter by a hundred, four times over, makes gigabytes of a line. The growth that they could bring is bounded
here: in tokenizer.json before the library is given it, and in what was loaded, from whatever file. What a pattern (a
regular expression) costs cannot be told beforehand; the library gives up on a match after ten million steps.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

GROWTH = 16  # times as many characters, by all replacements together
PUT = 1_000  # characters of one text that is put in
MARKS = 100  # tokens around a text
LONGEST = 4_096  # characters of one entry of the vocabulary
N_PART = 100  # normalizers, pre-tokenizers … of one kind
N_PATTERN = 8_000  # characters of one
N_ADDED = 100_000  # tokens outside the vocabulary
WORD = 1_000  # characters of a word that WordPiece cuts, in time that grows with the square
KINDS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")

_FORM = 64  # bytes that one character may become in a table of Unicode's normal forms: the longest true one has 33
_MAY_BE_EMPTY = re.compile(r"[*?|^$]|\{0|\\[bBAzZG]")  # what a pattern that matches nothing at all is made of


def check(stated: Any) -> None:
    """The content of a tokenizer.json. Raises `ValueError` with the reason."""
    model = stated.get("model") if isinstance(stated, dict) else None
    if not isinstance(model, dict):
        raise ValueError("it describes no tokenizer")
    check_parts(stated)
    added = stated.get("added_tokens") or []
    if not isinstance(added, list) or len(added) > N_ADDED:
        raise ValueError(f"it adds more than {N_ADDED:,} tokens")
    names = (entry.get("content") for entry in added if isinstance(entry, dict))
    if any(isinstance(entry, str) and len(entry) > LONGEST for entry in (*_entries(model.get("vocab")), *names)):
        raise ValueError(f"an entry has more than {LONGEST:,} characters")
    word = model.get("max_input_chars_per_word", 0)
    if not isinstance(word, int) or word > WORD:
        raise ValueError(f"it cuts words of more than {WORD:,} characters")


def n_entry(stated: dict[str, Any]) -> int:
    """How many entries a tokenizer.json has, not counting those added later, which need not be in use."""
    vocabulary = stated["model"].get("vocab")
    ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary or []))
    return 1 + max(ids, default=-1)


def check_loaded(backend: Any) -> None:
    """A tokenizer of the library, as it was made of any file. Raises `ValueError` with the reason."""
    parts = {kind: getattr(backend, kind, None) for kind in KINDS}
    check_parts({kind: json.loads(part.__getstate__()) for kind, part in parts.items() if part is not None})
    word = getattr(backend.model, "max_input_chars_per_word", 0)
    if word > WORD:
        raise ValueError(f"it cuts words of more than {WORD:,} characters")


def check_parts(stated: Mapping[str, Any]) -> None:
    """Raises `ValueError` with the reason."""
    for kind in KINDS:
        parts = list(_nodes(stated.get(kind)))
        if len(parts) > N_PART + 2 * MARKS:
            raise ValueError(f"its {kind} has more than {N_PART} parts")
        _check_growth(kind, parts)
        _check_template(parts)


def _entries(vocabulary: Any) -> list[Any]:
    """Of a dict of ids (BPE, WordPiece), or of pairs with a score (Unigram)."""
    if isinstance(vocabulary, dict):
        return list(vocabulary)
    if isinstance(vocabulary, list):
        return [pair[0] for pair in vocabulary if isinstance(pair, list) and pair]
    return []


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in a tree of JSON. Parts are told by what they hold: some versions write no type."""
    if isinstance(tree, dict):
        yield tree
    if isinstance(tree, dict | list):
        for child in tree.values() if isinstance(tree, dict) else tree:
            yield from _nodes(child)


def _check_growth(kind: str, parts: list[dict[str, Any]]) -> None:
    growth, n_table = 1.0, 0
    for part in parts:
        pattern, content = part.get("pattern"), str(part.get("content") or part.get("prepend") or "")
        if len(content) > PUT:
            raise ValueError(f"its {kind} puts in a text of more than {PUT:,} characters")
        if isinstance(pattern, dict) and any(len(str(text)) > N_PATTERN for text in pattern.values()):
            raise ValueError(f"its {kind} has a pattern of more than {N_PATTERN:,} characters")
        if pattern is not None:
            growth *= _growth(pattern, len(content))
        if part.get("type") == "ByteLevel":
            growth *= 2  # a byte becomes a character of one or two bytes
        if "precompiled_charsmap" in part:
            growth *= _FORM if n_table else 1
            n_table += 1
            _check_table(part["precompiled_charsmap"])
    if growth > GROWTH:
        raise ValueError(f"its {kind} can make a text {growth:,.0f} times as long, and {GROWTH} is the most")


def _growth(pattern: Any, n_put: int) -> float:
    """How many times as long a text can get where `pattern` is replaced by so many characters."""
    literal = isinstance(pattern, dict) and "String" in pattern
    text = next(iter(pattern.values()), "") if isinstance(pattern, dict) else pattern
    if not isinstance(text, str) or not text or (not literal and _MAY_BE_EMPTY.search(text)):
        return 1.0 + n_put
    return max(1.0, n_put / (len(text) if literal else 1))


def _check_table(table: Any) -> None:
    """SentencePiece's table of normal forms: the bytes of a trie, the trie, and texts that each end with a zero."""
    try:
        content = base64.b64decode(table or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("its table of normal forms is damaged") from None
    forms = content[4 + int.from_bytes(content[:4], "little") :]
    if max(map(len, forms.split(b"\0"))) > _FORM:
        raise ValueError(f"its table of normal forms makes more than {_FORM} bytes of one character")


def _check_template(parts: list[dict[str, Any]]) -> None:
    """What is put around a text: the text once, and a bounded number of tokens."""
    n_mark = 0
    for part in parts:
        for name, n_text in (("single", 1), ("pair", 2)):
            pieces = part.get(name) or []
            n_mark += len(pieces)
            if sum("Sequence" in piece or str(piece).startswith("$") for piece in pieces) > n_text:
                raise ValueError("its template writes a text more than once")
        ids = part.get("ids")
        n_mark += len(ids) if isinstance(ids, list) else 0
    if n_mark > MARKS:
        raise ValueError(f"its template puts more than {MARKS} tokens around a text")


@contextmanager
def as_an_exception() -> Iterator[None]:
    """Where the library, written in Rust, panics, what it raises is no `Exception`: raises `ValueError` instead."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(" ".join(str(error).split()) or "it panics") from error
