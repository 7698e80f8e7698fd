"""Sentence pairs, and how well a translator does on those it has never seen.

`python -m model.training.pairs --data DIR --weights model/weights/translator` measures the model that is shipped: BLEU
and chrF by sacrebleu, against all references of a sentence, of greedy and of beam search.
"""

import argparse
import json
import lzma
from collections import defaultdict
from pathlib import Path

import sacrebleu
import torch

from model.tokenizer import Tokenizer
from model.transformer import EncoderDecoder
from model.translation import beam_search, greedy

BEAM = 4


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m model.training.pairs", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the sentence pairs")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the model, as --export writes it")
    parser.add_argument("--to", default="fr", help="the other language, as in the names of the files")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    from model.translator import Translator  # not for training, which makes what this loads

    lm = Translator.load(args.weights)
    print(json.dumps(on_the_test_split(lm.transformer, lm.tokenizer, args.data, args.to), indent=2))


def sentence_pairs(folder: Path, to: str, split: str) -> list[tuple[str, str]]:
    """(English, other) of one split."""
    with lzma.open(folder / f"tatoeba.en-{to}.{split}.tsv.xz", "rt", encoding="utf-8") as file:
        return [tuple(line.rstrip("\n").split("\t")[:2]) for line in file]


def references(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    """All translations of each English sentence, in the order of the file."""
    found = defaultdict(list)
    for english, other in pairs:
        found[english].append(other)
    return dict(found)


@torch.inference_mode()
def on_the_test_split(transformer: EncoderDecoder, tokenizer: Tokenizer, folder: Path, to: str) -> dict:
    """BLEU and chrF of greedy and beam search on the test split."""
    wanted = references(sentence_pairs(folder, to, "test"))
    end, most = tokenizer.end_of_text, transformer.config.n_context - 1
    sources = [[*ids, end] for ids in tokenizer.encode_ids(list(wanted))]
    found = {"greedy": [], f"beam {BEAM}": []}
    for start in range(0, len(sources), 64):
        found["greedy"] += greedy(transformer, sources[start : start + 64], end, most)
    for source in sources:
        found[f"beam {BEAM}"].append(beam_search(transformer, source, end, most, BEAM).finished[0].ids)

    def text(ids: list[int]) -> str:
        return b"".join(tokenizer.token(id).piece for id in ids).decode(errors="replace")

    return {"sentences": len(wanted), "references": sum(map(len, wanted.values()))} | {
        name: scores([text(ids) for ids in all_ids], list(wanted.values())) for name, all_ids in found.items()
    }


def scores(found: list[str], wanted: list[list[str]]) -> dict[str, float | str]:
    """Corpus BLEU and chrF against several references a sentence; sacrebleu wants as many for each: None fills up."""
    most = max(map(len, wanted))
    columns = [[refs[i] if i < len(refs) else None for refs in wanted] for i in range(most)]
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    result = {
        "BLEU": round(bleu.corpus_score(found, columns).score, 2),
        "chrF": round(chrf.corpus_score(found, columns).score, 2),
    }
    return result | {"signatures": f"{bleu.get_signature()} {chrf.get_signature()}"}


if __name__ == "__main__":
    main()
