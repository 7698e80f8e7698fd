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


def wrapped(tokenizer: Tokenizer, **names: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def byte_level(*, prefix: bool = False, trim: bool = False, nfc: bool = False) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC() if nfc else None
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = ["<|endoftext|>", "<mask>"]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
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
    """As BERT has it: lower case, no accents; and, as sentence models come, cut and filled up to 8 tokens."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=names, show_progress=False)
    tokenizer.train_from_iterator([TEXTS[k] for k in ("English", "French", "Chinese", "Arabic")] * 4, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    keys = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return wrapped(tokenizer, **dict(zip(keys, names, strict=True)))
