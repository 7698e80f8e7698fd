"""The tokenizers of models that come as SentencePiece files without a tokenizer.json.

Each family counts in its own way: opus-mt (Marian) and M2M100 look the pieces up in a vocab.json, fairseq's models
(mBART, NLLB, XLM-R) move all ids by one and put languages behind them, T5 puts its sentinels there. Why they are not
left to transformers, which needs the package `sentencepiece` for that: see `model.text.piece_tokenizer`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from model.run import ModelNotAvailable, short
from model.sources import sentence_piece
from model.sources.sentence_piece import BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, SentencePieceFile
from model.sources.snapshot import Snapshot
from model.text.piece_tokenizer import Marks, PieceTokenizer
from model.text.sentence_piece import Names, SentencePiece

# the languages of each kind of M2M100, by the order of their ids, which come behind the vocabulary's; transformers'
# own list is in a module that asks for the package
M2M100 = (
    "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu hy "
    "id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt ro ru "
    "sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu"
)
_LANGUAGES = {"m2m100": M2M100.split(), "wmt21": "en ha is ja cs ru zh de".split()}
_NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>"}
_MARIAN = ("source.spm", "target.spm", "vocab.json")
_SENTINELS = 100  # of T5


@dataclass(frozen=True)
class TwoTokenizers:
    """Of the text that is read, and of the one that is written."""

    source: Any
    target: Any


def read_pieces(held: Snapshot, config: Any) -> Any:
    """A `PieceTokenizer` or two; None for a folder whose tokenizer transformers is to read.

    Raises `ModelNotAvailable` for damaged files.
    """
    whole = held.has("tokenizer.json")
    stated = held.json("tokenizer_config.json").get("tokenizer_class") or getattr(config, "tokenizer_class", None)
    kind = str(stated or _OF_TYPE.get(config.model_type, "")).removesuffix("Fast")
    if kind == "MarianTokenizer" and (held.of("*.spm") or not whole):
        _check_there(held, "a Marian model", _MARIAN)
        return _marian(held, config)
    if kind == "M2M100Tokenizer" and (held.has(_FILE) or not whole):
        _check_there(held, "an M2M100 model", (_FILE, "vocab.json"))
        return _m2m100(held, config)
    if whole or kind not in _FAMILIES or not held.has(_FAMILIES[kind][0]):
        return None
    name, read, about = _FAMILIES[kind]
    if is_tiktoken(held, name):
        return None
    file = _file(held, name)
    names, marks, mask = read(held, file, config, about)
    return _tokenizer(held, config, name, file, names, marks, mask)


def check_files(held: Snapshot) -> None:
    """The SentencePiece files of a folder, before a library reads them. Raises `ModelNotAvailable`."""
    for name in held.of("*.model", "*.spm"):
        if not is_tiktoken(held, name):
            _file(held, name)


def is_tiktoken(held: Snapshot, name: str) -> bool:
    """Whether a file holds the lines of a tiktoken vocabulary."""
    with (held.path / name).open("rb") as file:
        return re.match(rb"[A-Za-z0-9+/]+=* \d+\n", file.read(1000)) is not None


def _check_there(held: Snapshot, what: str, names: Sequence[str]) -> None:
    if missing := [name for name in names if not held.has(name)]:
        raise ModelNotAvailable(
            f"A part of the tokenizer is missing in “{held.folder}”: {what} has {', '.join(names)}, and {missing[0]} "
            "is not there. Copy or download it again."
        )


def _marian(held: Snapshot, config: Any) -> TwoTokenizers:
    if held.json("tokenizer_config.json").get("separate_vocabs"):
        raise ModelNotAvailable(
            f"The tokenizer in “{held.folder}” cannot be used: it has one vocabulary for what is read and another for "
            "what is written, and Regard reads those with one. Choose another model."
        )
    ids = _vocabulary(held)
    own = _own(held, config, ids)
    marks = Marks(own.typed, around=((), (own.end,)), codes=True)
    names = Names(ids, own.unknown)
    return TwoTokenizers(*(_tokenizer(held, config, name, _file(held, name), names, marks) for name in _MARIAN[:2]))


def _m2m100(held: Snapshot, config: Any) -> PieceTokenizer:
    settings, ids = held.json("tokenizer_config.json"), _vocabulary(held)
    languages = _LANGUAGES.get(settings.get("language_codes", "m2m100"))
    if languages is None:
        raise ModelNotAvailable(
            f"The tokenizer in “{held.folder}” has languages that are not known here (language_codes "
            f"{short(str(settings['language_codes']))}). Choose another model."
        )
    codes = {f"__{code}__": len(ids) + i for i, code in enumerate(languages)}
    own = _own(held, config, ids | codes)
    source = codes.get(f"__{settings.get('src_lang') or 'en'}__", codes["__en__"])
    marks = Marks(own.typed, codes, around=((source,), (own.end,)))
    return _tokenizer(held, config, _FILE, _file(held, _FILE), Names(ids, own.unknown), marks)


Read = tuple[Names, Marks, str | None]


def _t5(held: Snapshot, file: SentencePieceFile, config: Any, _: Any) -> Read:
    ids = {piece.text: i for i, piece in enumerate(file.pieces)}
    n_sentinel = held.json("tokenizer_config.json").get("extra_ids", _SENTINELS)
    n_sentinel = n_sentinel if isinstance(n_sentinel, int) and 0 <= n_sentinel <= 1000 else _SENTINELS
    sentinels = {f"<extra_id_{i}>": len(ids) + n_sentinel - 1 - i for i in range(n_sentinel)}
    sentinels = {name: id for name, id in sentinels.items() if id < config.vocab_size}
    own = _own(held, config, ids | sentinels)
    marks = Marks(own.typed | sentinels, around=((), (own.end,)), between=(own.end,))
    return _counted(file, own.unknown, 0), marks, None


def _fairseq(held: Snapshot, file: SentencePieceFile, config: Any, about: "_Fairseq") -> Read:
    if [piece.kind for piece in file.pieces[:3]] != [UNKNOWN, CONTROL, CONTROL]:
        raise _unusable(held, _FILE, "its first pieces are not those of the unknown, of the beginning and of the end")
    codes = import_module(about.languages).FAIRSEQ_LANGUAGE_CODES if about.languages else []
    n = len(file.pieces) + 1
    codes = {code: n + i for i, code in enumerate(codes)}
    first = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    if n + len(codes) < config.vocab_size:
        first["<mask>"] = n + len(codes)
    own = _own(held, config, first | codes)
    settings, source = held.json("tokenizer_config.json"), ()
    if codes:
        source = (codes.get(settings.get("src_lang"), codes.get("eng_Latn", codes.get("en_XX"))),)
    behind = about.language_behind or bool(settings.get("legacy_behaviour"))
    marks = Marks(
        first | codes | own.typed,
        around=((), (2, *source)) if behind and codes else (source or (0,), (2,)),
        between=None if codes else (2, 2),
        with_space=frozenset({"<mask>"}),
    )
    return _counted(file, 3, 1), marks, "<mask>"


def _counted(file: SentencePieceFile, unknown: int, first: int) -> Names:
    """The ids of pieces by their places in the file, the first being `first`."""
    ids = {p.text: i for i, p in enumerate(file.pieces, first) if p.kind in (NORMAL, USER_DEFINED)}
    of_bytes = {p.text: i for i, p in enumerate(file.pieces, first) if p.kind == BYTE}
    every = [of_bytes.get(f"<0x{byte:02X}>") for byte in range(256)] if file.byte_fallback else []
    return Names(ids, unknown, () if None in every else every)


@dataclass(frozen=True)
class _Fairseq:
    """What tells its models apart."""

    languages: str = ""  # the module with their codes; "": none
    language_behind: bool = False  # whether it stands behind a text, after its end


_FILE, _SPIECE = "sentencepiece.bpe.model", "spiece.model"
_MODULE = "transformers.models.{0}.tokenization_{0}"
# by the tokenizer's class in transformers: the file, how it is read, and what there is to know for that
_FAMILIES: Mapping[str, tuple[str, Callable[..., Read], Any]] = {
    **dict.fromkeys(("T5Tokenizer", "MT5Tokenizer"), (_SPIECE, _t5, None)),
    "XLMRobertaTokenizer": (_FILE, _fairseq, _Fairseq()),
    "MBartTokenizer": (_FILE, _fairseq, _Fairseq(_MODULE.format("mbart"), True)),
    "MBart50Tokenizer": (_FILE, _fairseq, _Fairseq(_MODULE.format("mbart50"))),
    "NllbTokenizer": (_FILE, _fairseq, _Fairseq(_MODULE.format("nllb"))),
}
# where no settings say it
_OF_TYPE = {
    "marian": "MarianTokenizer",
    "m2m_100": "M2M100Tokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "mbart": "MBartTokenizer",
    **dict.fromkeys(("t5", "mt5", "umt5"), "T5Tokenizer"),
}


@dataclass(frozen=True)
class _Own:
    typed: dict[str, int]
    unknown: int
    end: int


def _own(held: Snapshot, config: Any, ids: Mapping[str, int]) -> _Own:
    """The tokens that the settings name, and those that were added later. Raises `ModelNotAvailable`."""
    stated: dict[str, Any] = held.json("special_tokens_map.json") | held.json("tokenizer_config.json")
    its = _NAMES | {name: _content(stated[name]) for name in (*_NAMES, "cls_token", "mask_token") if stated.get(name)}
    if missing := [name for name in ("unk_token", "eos_token") if its[name] not in ids]:
        raise ModelNotAvailable(
            f"The tokenizer in “{held.folder}” has no entry for the {missing[0]}, {short(repr(its[missing[0]]))}. "
            "Download it again."
        )
    listed = [entry for name in ("additional", "extra") for entry in _several(stated.get(f"{name}_special_tokens"))]
    typed = {name: ids[name] for name in (*its.values(), *map(_content, listed)) if name in ids}
    added = {entry: id for entry, id in held.json("added_tokens.json").items() if isinstance(id, int)}
    decoder = stated.get("added_tokens_decoder")
    for id, entry in decoder.items() if isinstance(decoder, dict) else ():
        if str(id).isdecimal():
            added[_content(entry)] = int(id)
    later = {entry: id for entry, id in added.items() if entry and 0 <= id < config.vocab_size}
    return _Own(
        {name: id for name, id in (typed | later).items() if name}, ids[its["unk_token"]], ids[its["eos_token"]]
    )


def _several(stated: Any) -> list[Any]:
    return list(stated.values()) if isinstance(stated, dict) else stated if isinstance(stated, list) else []


def _content(stated: Any) -> str:
    """The name of a token, written alone or with its properties."""
    return str(stated.get("content", "")) if isinstance(stated, dict) else str(stated)


def _vocabulary(held: Snapshot) -> dict[str, int]:
    """vocab.json: the id of each entry. Raises `ModelNotAvailable`."""
    ids = held.json("vocab.json")
    if not ids or not all(isinstance(id, int) and not isinstance(id, bool) and id >= 0 for id in ids.values()):
        raise ModelNotAvailable(
            f"The vocab.json in “{held.folder}” cannot be used (not every entry has an id). Download it again."
        )
    return ids


def _tokenizer(
    held: Snapshot,
    config: Any,
    name: str,
    file: SentencePieceFile,
    names: Names,
    marks: Marks,
    mask: str | None = None,
) -> PieceTokenizer:
    """Raises `ModelNotAvailable`."""
    try:
        cutter = SentencePiece(file)
        if cutter.falls_to_bytes and not names.of_bytes:
            raise ValueError("it writes unknown characters as bytes, and the vocabulary has not all of them")
    except ValueError as error:
        raise _unusable(held, name, short(error)) from error
    if (n_entry := 1 + max(*names.ids.values(), *marks.around[0], *marks.around[1])) > config.vocab_size:
        raise ModelNotAvailable(
            f"The tokenizer in “{held.folder}” disagrees with the weights: it has {n_entry:,} entries, the embedding "
            f"{config.vocab_size:,} rows. The files belong to different models: download them again."
        )
    return PieceTokenizer(cutter, names, marks, mask=mask, longest=_longest(held.json("tokenizer_config.json")))


def _longest(settings: dict[str, Any]) -> int:
    stated = settings.get("model_max_length")
    return int(stated) if isinstance(stated, int | float) and 0 < stated < 1 << 30 else 1 << 30


def _file(held: Snapshot, name: str) -> SentencePieceFile:
    try:
        return sentence_piece.read((held.path / name).read_bytes())
    except ValueError as error:
        raise _unusable(held, name, short(error)) from error


def _unusable(held: Snapshot, name: str, reason: str) -> ModelNotAvailable:
    return ModelNotAvailable(
        f"The {name} in “{held.folder}” cannot be used ({reason}). Download it again, or choose another model."
    )
