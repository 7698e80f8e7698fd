"""Checkpoints of any class with tiny random weights, in folders as `save_pretrained` writes them."""

from pathlib import Path

import torch
from tokenizers import Tokenizer

from model.huggingface import checkpoint as huggingface
from model.huggingface.language_model import HuggingFaceModel
from model.run import Token
from tests.conftest import REPEATED
from tests.tiny_tokenizers import BERT_TOKENS, byte_pairs, word_pieces


def save(folder: Path, kind: str, tokenizer: Tokenizer, config: dict, **named: str) -> Path:
    """A folder as ``save_pretrained`` writes it."""
    import transformers

    torch.manual_seed(0)
    cls = getattr(transformers, kind)
    transformer = cls(cls.config_class(vocab_size=tokenizer.get_vocab_size(), **config))
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    transformer.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    return folder


class Wordless(HuggingFaceModel):
    """Without a tokenizer: its tokens are ids."""

    def token(self, id: int) -> Token:
        return Token(id, b"", 0, 0)


BERT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def byte_level() -> Tokenizer:
    return byte_pairs([REPEATED] * 3, 280, ["<|endoftext|>"])


def word_piece() -> Tokenizer:
    return word_pieces([REPEATED] * 3, 90)


def save_bert(folder: Path, kind: str = "BertForMaskedLM") -> Path:
    return save(folder, kind, word_piece(), BERT | {"max_position_embeddings": 40}, **BERT_TOKENS)


def load(folder: Path) -> HuggingFaceModel:
    return huggingface.load(folder, name=f"folder:{folder.name}", title="Tiny")
