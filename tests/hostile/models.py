"""Models whose every string is hostile: the folder's name, each entry of the vocabulary, each special token, the labels
and the free texts of the configuration. Tiny, random, of each family."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from tests.hostile.strings import ATOMS, ELSEWHERE

KINDS = ("decoder", "encoder", "classifier", "encoder-decoder")
FOLDER = f":streamlit: [f](www.{ELSEWHERE}) <b>f<b> someone@{ELSEWHERE}"
MASK, END = f"![mask](http://{ELSEWHERE}/mask.png)", f"[end](http://{ELSEWHERE}/end)"
WORDS = [atom.replace(" ", "_") for atom in ATOMS if "\n" not in atom]
TEXT = " ".join(WORDS[:9] + WORDS[-9:])
BLANKED = " ".join([WORDS[0], MASK, *WORDS[3:9]])


def tokenizer() -> PreTrainedTokenizerFast:
    """A vocabulary of words, cut at white space: each entry is one atom."""
    entries = {entry: id for id, entry in enumerate(["<pad>", END, MASK, *WORDS])}
    words = Tokenizer(models.WordLevel(entries, unk_token=WORDS[0]))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single="$A END", pair="$A END $B:1 END:1", special_tokens=[{"id": "END", "ids": [1], "tokens": [END]}]
    )
    marks = {"pad_token": "<pad>", "eos_token": END, "sep_token": END, "mask_token": MASK}
    return PreTrainedTokenizerFast(tokenizer_object=words, **marks)


def write(root: Path) -> dict[str, Path]:
    """The folders, by the kind of model in each."""
    words = tokenizer()
    n, folders = len(words), {}
    small = dict.fromkeys(("num_hidden_layers", "num_attention_heads"), 2) | {"vocab_size": n}
    small |= dict.fromkeys(("hidden_size", "intermediate_size"), 16)
    stack = {"layers": 2, "attention_heads": 2, "ffn_dim": 16}
    stacks = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in stack.items()}
    labels = {0: WORDS[0], 1: WORDS[1]}
    for kind in KINDS:
        torch.manual_seed(0)
        match kind:
            case "decoder":
                lm = GPT2LMHeadModel(GPT2Config(vocab_size=n, n_embd=16, n_layer=2, n_head=2, n_positions=64))
            case "encoder":
                lm = BertForMaskedLM(BertConfig(**small, max_position_embeddings=64))
            case "classifier":
                lm = BertForSequenceClassification(BertConfig(**small, max_position_embeddings=64, id2label=labels))
            case "encoder-decoder":
                marks = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 1, "forced_eos_token_id": None}
                size = {"vocab_size": n, "d_model": 16, "max_position_embeddings": 64}
                lm = BartForConditionalGeneration(BartConfig(**size, **stacks, **marks))
        for parameter in lm.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        folders[kind] = root / f"{FOLDER} {kind}"
        lm.save_pretrained(folders[kind])
        words.save_pretrained(folders[kind])
        path = folders[kind] / "config.json"
        free = {"_name_or_path": WORDS[1], "finetuning_task": WORDS[0], "task_specific_params": {WORDS[2]: WORDS[3]}}
        path.write_text(json.dumps(json.loads(path.read_text()) | free))
    return folders
