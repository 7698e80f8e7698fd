"""Whether texts are read as transformers reads them with its own tokenizer, found out when a model is opened."""

from typing import Any

from model.huggingface.adapter import Opened
from model.huggingface.capture import ROUNDING
from model.huggingface.info import PROBE_TEXTS
from model.language_model import LanguageModel
from model.run import ModelNotAvailable
from model.text.piece_tokenizer import PieceTokenizer


def check_as_tokenized(lm: LanguageModel, opened: Opened, tokenizer: Any) -> None:
    """A text, and two where it reads pairs, are read as ``model(**tokenizer(…))`` reads them in transformers: the
    same ids and token types, and so the same weights and hidden vectors. Raises `ModelNotAvailable`.
    """
    if tokenizer is None or isinstance(tokenizer, PieceTokenizer) or opened.pair:
        return
    for texts in (PROBE_TEXTS[:1], PROBE_TEXTS)[: 1 + lm.info.reads_pairs]:
        tokens = lm.encode(*texts)
        theirs = tokenizer(*texts, return_token_type_ids=True)
        if [token.id for token in tokens] != theirs["input_ids"]:
            reason = "its tokenizer cuts {} otherwise in transformers"
        elif not 0 < len(tokens) <= lm.info.n_context or max(theirs["input_ids"]) >= lm.info.n_vocab:
            continue  # such a text gets a sentence of its own
        else:
            inputs = {"input_ids": theirs["input_ids"], "attention_mask": theirs["attention_mask"]}
            if opened.n_type not in (0, 1):
                inputs["token_type_ids"] = theirs["token_type_ids"]
            difference = opened.difference(lm.run(tokens), inputs)
            reason = f"transformers reads {{}} otherwise (weights or hidden vectors off by {difference:.2g})"
            if difference <= ROUNDING:
                continue
        read = " and ".join(f"“{text}”" for text in texts)
        raise ModelNotAvailable(f"Regard cannot show “{lm.info.title}” ({opened.class_name}): {reason.format(read)}.")
