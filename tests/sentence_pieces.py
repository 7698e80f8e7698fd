"""SentencePiece files written by hand, and tiny random translators around them, in folders as the hub has them."""

import json
import struct
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from model.sources.sentence_piece import BPE, CONTROL, NORMAL, UNIGRAM, UNKNOWN, read
from tests.tiny_tokenizers import TEXTS

ENGLISH, FRENCH = [TEXTS["English"], TEXTS["emoji"]], [TEXTS["French"], TEXTS["spaces"]]
MARKS = (("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL))
T5_MARKS = (("<pad>", 0.0, CONTROL), ("</s>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN))
Pieces = Iterable[tuple[str, float, int]]
SIZES = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": 64,
}
FAIRSEQ = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
ENCODER = FAIRSEQ | {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 66,
}


def field(number: int, value: int | float | bytes) -> bytes:
    """One of a protobuf's fields."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    low = value & 0x7F
    return bytes([low]) if value < 0x80 else bytes([low | 0x80]) + varint(value >> 7)


def written(pieces: Pieces, kind: int = UNIGRAM, charsmap: bytes = b"", trainer: bytes = b"") -> bytes:
    """A SentencePiece file."""
    entries = (field(1, field(1, text.encode()) + field(2, score) + field(3, its)) for text, score, its in pieces)
    return b"".join([*entries, field(2, field(3, kind) + trainer), field(3, field(2, charsmap))])


def unigram(texts: list[str], n: int, marks: Pieces = MARKS) -> bytes:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(texts * 4, trainers.UnigramTrainer(vocab_size=n, show_progress=False))
    entries = json.loads(tokenizer.to_str())["model"]["vocab"]
    return written([*marks, *((text, float(score), NORMAL) for text, score in entries if text != "<unk>")])


def byte_pairs(texts: list[str], n: int) -> bytes:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(texts * 4, trainers.BpeTrainer(vocab_size=n, show_progress=False))
    entries = sorted(tokenizer.get_vocab().items(), key=lambda pair: (len(pair[0]) == 1, pair[1]))
    return written([*MARKS, *((text, float(-i), NORMAL) for i, (text, _) in enumerate(entries))], BPE)


def entries_of(file: bytes) -> list[str]:
    return [piece.text for piece in read(file).pieces if piece.kind == NORMAL]


def write_marian(folder: Path, source: bytes, target: bytes, *codes: str) -> Path:
    """As opus-mt: one vocabulary for both languages, the mark for padding last, which is where a text begins."""
    from transformers import MarianConfig, MarianMTModel

    entries = dict.fromkeys(["</s>", "<unk>", *codes, *entries_of(source), *entries_of(target)])
    entries["<pad>"] = None
    ids = {entry: id for id, entry in enumerate(entries)}
    marks = {"pad_token_id": ids["<pad>"], "eos_token_id": 0, "decoder_start_token_id": ids["<pad>"]}
    config = MarianConfig(
        vocab_size=len(ids), decoder_vocab_size=len(ids), forced_eos_token_id=0, bad_words_ids=[[ids["<pad>"]]],
        scale_embedding=True, activation_function="swish", **marks, **SIZES,
    )  # fmt: skip
    _save(MarianMTModel(config), folder)
    settings = {"tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "fr", "model_max_length": 512}
    _write(folder, settings, {"source.spm": source, "target.spm": target}, ids)
    return folder


def write_m2m100(folder: Path, file: bytes, *codes: str) -> Path:
    """`codes`: the languages' tokens that the settings list, so that they can be typed."""
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    ids = {entry: id for id, entry in enumerate(["<s>", "<pad>", "</s>", "<unk>", *entries_of(file)])}
    config = M2M100Config(vocab_size=len(ids) + 108, decoder_start_token_id=2, **FAIRSEQ, **SIZES)
    _save(M2M100ForConditionalGeneration(config), folder)
    settings = {"tokenizer_class": "M2M100Tokenizer", "additional_special_tokens": list(codes)}
    _write(folder, settings, {"sentencepiece.bpe.model": file}, ids)
    return folder


def write_lone(folder: Path, tokenizer: str, file: bytes) -> Path:
    """A model with one SentencePiece file and no vocabulary beside it; `tokenizer`: its class in transformers."""
    import transformers

    n = len(read(file).pieces)
    name, options = {
        "T5Tokenizer": ("T5", T5 | {"vocab_size": n + 100}),
        "AlbertTokenizer": ("Albert", ENCODER | {"vocab_size": n, "embedding_size": 8}),
        "XLMRobertaTokenizer": ("XLMRoberta", ENCODER | {"vocab_size": n + 2}),
        "MBartTokenizer": ("MBart", SIZES | FAIRSEQ | {"vocab_size": n + 27, "decoder_start_token_id": n + 1}),
        "MBart50Tokenizer": ("MBart", SIZES | FAIRSEQ | {"vocab_size": n + 54, "decoder_start_token_id": 2}),
        "NllbTokenizer": ("M2M100", SIZES | FAIRSEQ | {"vocab_size": n + 206, "decoder_start_token_id": 2}),
    }[tokenizer]
    kind = "ForMaskedLM" if name in ("Albert", "XLMRoberta") else "ForConditionalGeneration"
    config = getattr(transformers, f"{name}Config")(**options)
    _save(getattr(transformers, name + kind)(config), folder)
    place = "spiece.model" if name in ("Albert", "T5") else "sentencepiece.bpe.model"
    _write(folder, {"tokenizer_class": tokenizer}, {place: file})
    return folder


def _save(transformer: torch.nn.Module, folder: Path) -> None:
    torch.manual_seed(0)
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    transformer.save_pretrained(folder)


def _write(folder: Path, settings: dict, files: dict[str, bytes], ids: dict[str, int] | None = None) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if ids:
        (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_translators(root: Path) -> Path:
    """One folder of each kind; and of an encoder with such a file."""
    write_marian(root / "marian", unigram(ENGLISH, 90), unigram(FRENCH, 90), ">>deu<<", ">>fra<<")
    write_m2m100(root / "m2m100", byte_pairs(ENGLISH + FRENCH, 160))
    write_lone(root / "nllb", "NllbTokenizer", byte_pairs(ENGLISH + FRENCH, 160))
    write_lone(root / "t5", "T5Tokenizer", unigram(ENGLISH, 90, T5_MARKS))
    write_lone(root / "xlmr", "XLMRobertaTokenizer", unigram(ENGLISH, 90))
    return root
