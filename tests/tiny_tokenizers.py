"""Tokenizers of each family, trained in a moment on a few lines of five writings."""

import json

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = {
    "English": "The cats sat on the mat, and the cat didn't move.",
    "French": "L'élève naïf a mangé une crêpe à Noël où ça ?",
    "Chinese": "那只猫坐在垫子上。猫很高兴！",
    "Arabic": "جلست القطة على الحصيرة، والقطة سعيدة.",
    "emoji": "I like 🐈 and 👩‍👩‍👧 and 🇫🇷!",
    "spaces": "  two  spaces\tand\na line \n",
    "decomposed": "e\u0301le\u0300ve ﬁn ½ Ａ",
}
CORPUS = [*TEXTS.values()] * 4
MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BERT_TOKENS = {f"{mark.strip('[]').lower()}_token": mark for mark in MARKS}  # as transformers calls them


def wrapped(tokenizer: Tokenizer, **names: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def byte_pairs(
    texts: list[str], n_vocab: int, names: list[str], *, prefix: bool = False, nfc: bool = False, n_byte: int = 256
) -> Tokenizer:
    """Byte-level BPE as GPT-2 has it, with these special tokens first, and the first `n_byte` of the bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC() if nfc else None
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())[:n_byte]
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab, special_tokens=names, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def word_pieces(texts: list[str], n_vocab: int) -> Tokenizer:
    """WordPiece as BERT has it: lower case, no accents."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    trainer = trainers.WordPieceTrainer(vocab_size=n_vocab, special_tokens=MARKS, show_progress=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(texts, trainer)
    return between_marks(tokenizer)


def between_marks(tokenizer: Tokenizer) -> Tokenizer:
    """One text, or two, between [CLS] and [SEP]."""
    marks = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
    )
    return tokenizer


def byte_level(*, prefix: bool = False, trim: bool = False, nfc: bool = False) -> PreTrainedTokenizerFast:
    names = ["<|endoftext|>", "<mask>"]
    tokenizer = byte_pairs(CORPUS, 400, names, prefix=prefix, nfc=nfc)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    return wrapped(tokenizer, eos_token=names[0], unk_token=names[0], mask_token=names[1])


def sentencepiece_bpe(*, old: bool = False) -> PreTrainedTokenizerFast:
    """As Llama 2 has it: the first files put the space before the text in a normalizer."""
    learned = Tokenizer(models.BPE(unk_token="<unk>"))
    learned.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    learned.train_from_iterator([TEXTS["English"], TEXTS["French"]] * 4, trainer)
    state = json.loads(learned.to_str())
    # the 256 bytes, for what no piece can write
    vocabulary = state["model"]["vocab"]
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    state["model"] |= {"byte_fallback": True, "fuse_unk": True}
    tokenizer = Tokenizer.from_str(json.dumps(state))
    if old:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.pre_tokenizer = None
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    bos = ("<s>", tokenizer.token_to_id("<s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[bos]
    )
    return wrapped(tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def unigram() -> PreTrainedTokenizerFast:
    """As T5 has it."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    names = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=names, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([TEXTS["English"], TEXTS["French"]] * 4, trainer)
    end = ("</s>", tokenizer.token_to_id("</s>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B:1 </s>:1", special_tokens=[end]
    )
    return wrapped(tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>")


def word_piece() -> PreTrainedTokenizerFast:
    """As BERT has it, and, as sentence models come, cut and filled up to 8 tokens."""
    tokenizer = word_pieces([TEXTS[k] for k in ("English", "French", "Chinese", "Arabic")] * 4, 300)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    return wrapped(tokenizer, **BERT_TOKENS)


def few_word_pieces() -> PreTrainedTokenizerFast:
    """Thirteen entries, known by their ids (5 the, 6 cat, 10 bird); a word is silent about the space before it."""
    entries = [*MARKS, "the", "cat", "saw", "dog", "##s", "bird", ".", ","]
    tokenizer = Tokenizer(models.WordPiece({entry: i for i, entry in enumerate(entries)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return wrapped(between_marks(tokenizer), **BERT_TOKENS)


def of_family(family: str) -> PreTrainedTokenizerFast:
    """120 entries, byte-level, with the special tokens of an "encoder", or of the other families."""
    names = [mark for mark in MARKS if mark != "[UNK]"] if family == "encoder" else ["<pad>", "</s>"]
    tokenizer = byte_pairs(["the cat saw the dog", "a dog and a cat"] * 4, 120, names, n_byte=100)
    if family == "encoder":
        return wrapped(between_marks(tokenizer), **{name: mark for name, mark in BERT_TOKENS.items() if mark in names})
    if family == "encoder-decoder":
        end = [("</s>", tokenizer.token_to_id("</s>"))]
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=end)
    return wrapped(tokenizer, pad_token="<pad>", eos_token="</s>")
