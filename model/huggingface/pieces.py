"""The tokenizers of translators that come as SentencePiece files beside a vocabulary: opus-mt (Marian), M2M100.

transformers reads these with the package `sentencepiece`, and then knows no places; `model.text.piece_tokenizer` does.
"""

import re
from dataclasses import dataclass
from typing import Any

from model.run import ModelNotAvailable, short
from model.sources import sentence_piece
from model.sources.snapshot import Snapshot
from model.text.piece_tokenizer import PieceTokenizer
from model.text.sentence_piece import SentencePiece

# the languages of each kind of M2M100, by the order of their ids, which come behind the vocabulary's
M2M100 = (
    "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu hy "
    "id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt ro ru "
    "sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu"
)
_LANGUAGES = {"m2m100": M2M100.split(), "wmt21": "en ha is ja cs ru zh de".split()}
_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_MARIAN = ("source.spm", "target.spm", "vocab.json")
_M2M = ("sentencepiece.bpe.model", "vocab.json")


@dataclass(frozen=True)
class TwoTokenizers:
    """Of the text that is read, and of the one that is written."""

    source: PieceTokenizer
    target: PieceTokenizer


def read_pieces(held: Snapshot, config: Any) -> TwoTokenizers | None:
    """None for a folder whose tokenizer transformers can read. Raises `ModelNotAvailable` for damaged files."""
    kind = held.json("tokenizer_config.json").get("tokenizer_class")
    if config.model_type == "marian" and held.of("*.spm"):
        return _marian(held, config)
    if config.model_type == "m2m_100" and kind in (None, "M2M100Tokenizer") and all(map(held.has, _M2M)):
        return _m2m100(held, config)
    return None


def check_files(held: Snapshot) -> None:
    """The SentencePiece files of a folder, before a library reads them. Raises `ModelNotAvailable`."""
    for name in held.of("*.model", "*.spm"):
        if not is_tiktoken(held, name):
            _file(held, name)


def is_tiktoken(held: Snapshot, name: str) -> bool:
    """Whether a file holds the lines of a tiktoken vocabulary."""
    with (held.path / name).open("rb") as file:
        return re.match(rb"[A-Za-z0-9+/]+=* \d+\n", file.read(1000)) is not None


def _marian(held: Snapshot, config: Any) -> TwoTokenizers:
    if missing := [name for name in _MARIAN if not held.has(name)]:
        raise ModelNotAvailable(
            f"A part of the tokenizer is missing in “{held.folder}”: a Marian model has {', '.join(_MARIAN)}, and "
            f"{missing[0]} is not there. Copy or download it again."
        )
    settings = held.json("tokenizer_config.json")
    if settings.get("separate_vocabs"):
        raise ModelNotAvailable(
            f"The tokenizer in “{held.folder}” cannot be used: it has one vocabulary for what is read and another for "
            "what is written, and Regard reads those with one. Choose another model."
        )
    ids = _vocabulary(held, config)
    marks = _marks(held, {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}, ids)
    more = {
        "added": marks.added,
        "unknown": marks.unknown,
        "around": ((), (marks.end,)),
        "takes_codes": True,
        "longest_text": _longest(settings),
    }
    source, target = (PieceTokenizer(_cutter(held, name), ids, **more) for name in _MARIAN[:2])
    return TwoTokenizers(source, target)


def _m2m100(held: Snapshot, config: Any) -> TwoTokenizers:
    settings, ids = held.json("tokenizer_config.json"), _vocabulary(held, config)
    languages = _LANGUAGES.get(settings.get("language_codes", "m2m100"))
    if languages is None:
        raise ModelNotAvailable(
            f"The tokenizer in “{held.folder}” has languages that are not known here (language_codes "
            f"{short(str(settings['language_codes']))}). Choose another model."
        )
    codes = {f"__{code}__": len(ids) + i for i, code in enumerate(languages)}
    codes = {name: id for name, id in codes.items() if id < config.vocab_size}
    names = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    marks = _marks(held, names, ids | codes)
    first = codes.get(f"__{settings.get('src_lang') or 'en'}__", min(codes.values(), default=marks.end))
    only = PieceTokenizer(
        _cutter(held, _M2M[0]),
        ids,
        added=marks.added,
        unknown=marks.unknown,
        put=codes,
        around=((first,), (marks.end,)),
        longest_text=_longest(settings),
    )
    return TwoTokenizers(only, only)


@dataclass(frozen=True)
class _Marks:
    added: dict[str, int]
    unknown: int
    end: int


def _marks(held: Snapshot, names: dict[str, str], ids: dict[str, int]) -> _Marks:
    """The tokens of their own: what the settings call them, or else `names`. Raises `ModelNotAvailable`."""
    stated: dict[str, Any] = held.json("special_tokens_map.json") | held.json("tokenizer_config.json")
    its = names | {name: _content(stated[name]) for name in _NAMES if stated.get(name)}
    if missing := [name for name in ("unk_token", "eos_token") if its[name] not in ids]:
        raise ModelNotAvailable(
            f"The vocab.json in “{held.folder}” has no entry for the {missing[0]}, {short(repr(its[missing[0]]))}. "
            "Download it again."
        )
    more = [*(stated.get("additional_special_tokens") or []), *(stated.get("extra_special_tokens") or [])]
    listed = (stated.get("added_tokens_decoder") or {}).values()
    own = {name for name in (*its.values(), *map(_content, more), *map(_content, listed)) if name in ids}
    return _Marks({name: ids[name] for name in own if name}, ids[its["unk_token"]], ids[its["eos_token"]])


def _content(stated: Any) -> str:
    """The name of a token, written alone or with its properties."""
    return str(stated.get("content", "")) if isinstance(stated, dict) else str(stated)


def _longest(settings: dict[str, Any]) -> int:
    stated = settings.get("model_max_length", 512)
    return int(stated) if isinstance(stated, int | float) and 0 < stated < 1 << 30 else 1 << 30


def _vocabulary(held: Snapshot, config: Any) -> dict[str, int]:
    """vocab.json: the id of each entry. Raises `ModelNotAvailable`."""
    ids = held.json("vocab.json")
    if not ids or not all(isinstance(id, int) and not isinstance(id, bool) and id >= 0 for id in ids.values()):
        raise ModelNotAvailable(
            f"The vocab.json in “{held.folder}” cannot be used (not every entry has an id). Download it again."
        )
    if (n_entry := 1 + max(ids.values())) > config.vocab_size:
        raise ModelNotAvailable(
            f"The vocab.json in “{held.folder}” disagrees with the weights: it has {n_entry:,} entries, the embedding "
            f"{config.vocab_size:,} rows. The files belong to different models: download them again."
        )
    return ids


def _cutter(held: Snapshot, name: str) -> SentencePiece:
    try:
        return SentencePiece(_file(held, name))
    except ValueError as error:
        raise _unusable(held, name, error) from error


def _file(held: Snapshot, name: str) -> sentence_piece.SentencePieceFile:
    try:
        return sentence_piece.read((held.path / name).read_bytes())
    except ValueError as error:
        raise _unusable(held, name, error) from error


def _unusable(held: Snapshot, name: str, error: ValueError) -> ModelNotAvailable:
    return ModelNotAvailable(
        f"The {name} in “{held.folder}” cannot be used ({short(error)}). Download it again, or choose another model."
    )
