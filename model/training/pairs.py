"""Sentence pairs, and how well a translator does on those it has never seen.

`python -m model.training.pairs --data DIR --weights model/weights/translator` measures the model that is shipped: BLEU
and chrF by sacrebleu, against all references of a sentence, of greedy and of beam search; and what it makes of forty
texts as visitors type them (see `model.training.typed`).
"""

import argparse
import json
import lzma
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import sacrebleu
import torch

from model.analysis.beam import WIDTH, beam_search
from model.builtin.decoding import TargetDecoding
from model.builtin.greedy import greedy
from model.builtin.transformer import EncoderDecoder
from model.text.tokenizer import Tokenizer
from model.training import typed


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m model.training.pairs", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the sentence pairs")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the model, as --export writes it")
    parser.add_argument("--to", default="fr", help="the other language, as in the names of the files")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    from model.builtin.translator import Translator  # not for training, which makes what this loads

    lm = Translator.load(args.weights)
    print(json.dumps(measured(lm.transformer, lm.tokenizer, args.data, args.to), indent=2, ensure_ascii=False))


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


def measured(transformer: EncoderDecoder, tokenizer: Tokenizer, folder: Path, to: str) -> dict[str, dict]:
    """What a card says of a translator: BLEU and chrF on the test split, and, of French, the typed texts."""
    found = {"test": on_the_test_split(transformer, tokenizer, folder, to)}
    if to == "fr":
        trained = sentence_pairs(folder, to, "train")
        found["typed"] = typed.score(lambda text: written_by_beam(transformer, tokenizer, text), trained)
    return found


def on_the_test_split(transformer: EncoderDecoder, tokenizer: Tokenizer, folder: Path, to: str) -> dict:
    """BLEU and chrF of greedy and beam search on the test split."""
    wanted = references(sentence_pairs(folder, to, "test"))
    found = {
        "greedy": written_greedily(transformer, tokenizer, list(wanted)),
        f"beam {WIDTH}": [written_by_beam(transformer, tokenizer, english) for english in wanted],
    }
    return {"sentences": len(wanted), "references": sum(map(len, wanted.values()))} | {
        name: scores(texts, list(wanted.values())) for name, texts in found.items()
    }


def written_greedily(transformer: EncoderDecoder, tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    """The greedy translations of texts, many at once."""
    end, most = tokenizer.end_of_text, transformer.config.n_context - 1
    sources = [[*ids, end] for ids in tokenizer.encode_ids(texts)]
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))  # little padding
    found = {}
    for start in range(0, len(order), 64):
        part = order[start : start + 64]
        found |= zip(part, greedy(transformer, [sources[i] for i in part], end, most), strict=True)
    return [_text(tokenizer, found[i]) for i in range(len(texts))]


def written_by_beam(transformer: EncoderDecoder, tokenizer: Tokenizer, text: str) -> str:
    """The best translation that the beam search finds which the app's pages begin with."""
    source = [*tokenizer.encode_ids([text])[0], tokenizer.end_of_text]
    most = transformer.config.n_context - 1
    end = tokenizer.end_of_text
    decoding = TargetDecoding(transformer, torch.tensor([source]), torch.tensor([[end]]))
    return _text(tokenizer, beam_search(decoding, {end}, most, WIDTH).finished[0].ids)


def _text(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    return b"".join(tokenizer.token(id).piece for id in ids).decode(errors="replace")


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
