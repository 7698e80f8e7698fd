"""What a language model writes by itself when it always takes the most probable token, and whether it repeats itself.

`python -m model.training.greedy_text --weights model/weights/story` says it of the model that is shipped, and how many
words of lessons its vocabulary holds whole: what its card says of both.
"""

import argparse
import json
from pathlib import Path

import torch

from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Transformer
from model.text.tokenizer import Tokenizer
from model.training import lessons

STARTS = ("The cat sat on the mat", "Once upon a time", "The dog barked at the cat.")
N_TOKEN = 60
GRAM = 8  # tokens that come again in a row are a loop, not a phrase


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m model.training.greedy_text", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="folder of the model, as --export writes it")
    lm = BuiltinModel.load(parser.parse_args(argv).weights)
    texts = {"lessons": lessons.whole(lm.tokenizer), "greedy": greedy_texts(lm.transformer, lm.tokenizer)}
    print(json.dumps(texts, indent=2, ensure_ascii=False))


@torch.inference_mode()
def greedy_texts(transformer: Transformer, tokenizer: Tokenizer) -> list[dict[str, str | int]]:
    """Of each start: the text with what is written after it, how many tokens that is, and how many times 8 tokens come
    that have come before. Writing stops after 60 tokens, or where the model ends the text.
    """
    texts, device = [], next(transformer.parameters()).device
    for start in STARTS:
        ids = tokenizer.encode_ids([start])[0]
        n_start = len(ids)
        while len(ids) < min(n_start + N_TOKEN, transformer.config.n_context):
            logits, _ = transformer(torch.tensor([ids], device=device))
            if (best := int(logits[0, -1].argmax())) == tokenizer.end_of_text:
                break
            ids.append(best)
        text = b"".join(tokenizer.token(id).piece for id in ids).decode(errors="replace")
        row = {"start": start, "text": text, "tokens": len(ids) - n_start, "repeated_8_grams": repeated(ids)}
        texts.append(row)
    return texts


def repeated(ids: list[int]) -> int:
    """How many times `GRAM` tokens in a row have been there before."""
    grams = [tuple(ids[i : i + GRAM]) for i in range(len(ids) - GRAM + 1)]
    return len(grams) - len(set(grams))


if __name__ == "__main__":
    main()
