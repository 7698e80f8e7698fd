"""Fit the layer that judges texts: `python -m model.training.sentiment --data DIR --work DIR --export DIR/sentiment`.

The encoder stays as it is: `--export` names a folder beside that of the exported encoder (`--encoder`), and what is
written there is one linear layer over the mean of a text's final vectors, no copy of the encoder. It is a logistic
regression with soft labels (`model.training.judged`), fitted in minutes; how strongly it is held down is chosen on the
validation sentences. `--data` holds the folders stories/ and sentiment/, `--work` is the work folder of
`model.training.encoder`, in which the sentences and their vectors are. The card compares it with a logistic regression
on a bag of words, on the same texts.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from model.builtin.classifier import Classifier
from model.builtin.greedy import padded
from model.builtin.language_model import BuiltinModel
from model.sources import builtin_files
from model.training import encoder, loop, notice, sentences
from model.training.judged import LABELS, NEGATIVE, NEUTRAL, POSITIVE, SHARES, TYPED, Judged, judged_texts, soft_labels

OURS, BAG, FILMS_BAG, BOTH = "linear layer", "bag of words", "bag of words, films only", "layer and bag together"
MOST = 20_000  # texts of a kind
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2)  # of what holds the layer's weights down
BAG_STRENGTHS = (0.3, 1.0, 3.0, 10.0)  # of what lets them grow, as scikit-learn counts
_AT_ONCE = 64  # texts
Logits = np.ndarray  # (N, 3), or anything that differs from them by a number for each text


class Texts(NamedTuple):
    """N texts to learn from."""

    texts: list[str]
    kind: np.ndarray  # (N,) of `SHARES`
    labels: np.ndarray  # (N, 3) probabilities

    @property
    def weights(self) -> np.ndarray:
        """(N,) what each counts for, so that the kinds have their shares."""
        names, place, n = np.unique(self.kind, return_inverse=True, return_counts=True)
        return np.array([SHARES[name] for name in names])[place] / n[place]

    @classmethod
    def known(cls, known: sentences.Sentences, seed: int = 0) -> "Texts":
        """At most `MOST` of a kind, and none of those that are tested."""
        rng, labels = np.random.default_rng(seed), soft_labels(known)
        labelled = ~np.isnan(labels[:, 0])
        kinds = [rng.permutation(np.flatnonzero(labelled & (known.source == name)))[:MOST] for name in SHARES]
        which = np.concatenate(kinds)
        return cls([known.texts[i] for i in which], known.source[which], labels[which])

    def twice(self) -> "Texts":
        """Each as it is written, and as people type it: with a capital letter, and no full stop at its end."""
        typed = [(text[:1].upper() + text[1:]).removesuffix(".") or text for text in self.texts]
        return Texts(self.texts + typed, np.tile(self.kind, 2), np.tile(self.labels, (2, 1)))


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    began = time.perf_counter()
    lm = BuiltinModel.load(args.export.parent / args.encoder)
    texts = Texts.known(sentences.prepare(args.data, args.work, encoder.STORIES, 0), args.seed)
    judged = judged_texts(args.data / "sentiment")
    valid = judged["films"]["valid"]

    print("mean vectors …")
    more = texts.twice()
    vectors, of_valid = mean_vectors(lm, more.texts), mean_vectors(lm, [text for text, _ in valid])
    fits = []
    for strength in STRENGTHS:
        layer, steps = fitted_layer(vectors, more.labels, more.weights, strength)
        fits.append((right(layer(of_valid).numpy(), valid), strength, steps, layer))
        print(f"held down by {strength:g}: {fits[-1][0]:.4f} of the validation sentences are judged right")
    _, strength, steps, layer = max(fits, key=lambda fit: fit[:2])
    card = {
        "title": "Sentiment",
        "architecture": "classifier",
        "labels": LABELS,
        "command": args.command,
        "encoder": args.encoder,
        "parameters": lm.info.n_parameter + (own := sum(p.numel() for p in layer.parameters())),
        "own_parameters": own,
        "held_down_by": strength,
        "steps": steps,
        "tokens": sum(map(len, lm.tokenizer.encode_ids(more.texts))),
        "hours": round((time.perf_counter() - began) / 3600, 2),
        "seed": args.seed,
        "machine": loop.machine(args.threads),
        "data": {kind: {"share": share, "texts": int((texts.kind == kind).sum())} for kind, share in SHARES.items()},
    }
    export(args.export, args.encoder, layer, card)
    judge = Classifier.load(args.export)  # what is measured is what is shipped
    card |= compared(judge, texts, judged)
    export(args.export, args.encoder, layer, card)
    print(json.dumps({name: card[name] for name in ("test", "typed")}, indent=2))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.training.sentiment", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with stories/ and sentiment/")
    parser.add_argument("--work", type=Path, required=True, help="the encoder's work folder")
    parser.add_argument("--export", type=Path, required=True, help="write the layer and its card here")
    parser.add_argument("--encoder", default="encoder", help="name of the encoder's folder, beside that of --export")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    if not (args.work / sentences.TABLE).exists():
        raise SystemExit(
            f"{args.work} holds no {sentences.TABLE}: it is to be the work folder of an encoder's training"
        )
    args.command = f"{parser.prog} --data DATA --work WORK --export WEIGHTS/{args.export.name}"
    args.command += f" --seed {args.seed}" if args.seed else ""
    return args


# the layer


@torch.inference_mode()
def mean_vectors(lm: BuiltinModel, texts: Sequence[str]) -> torch.Tensor:
    """Of the final vectors of each text, cut at the longest context: (N, D)."""
    ids = [each[: lm.info.n_context] for each in lm.tokenizer.encode_ids(list(texts))]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found, body = torch.zeros(len(ids), lm.info.d_model), lm.transformer
    for start in range(0, len(order), _AT_ONCE):
        block = order[start : start + _AT_ONCE]
        rows, visible = padded([ids[i] for i in block], lm.tokenizer.end_of_text)
        hidden = body.read(body.embed(rows), visible=visible).hidden[-1]  # (B, T, D)
        found[block] = sentences.mean(body.final_norm(hidden), visible)
    return found


def fitted_layer(
    vectors: torch.Tensor, labels: np.ndarray, weights: np.ndarray, strength: float
) -> tuple[torch.nn.Linear, int]:
    """(the linear layer (N, D) -> (N, 3) of the least cross-entropy with soft labels, how many steps it took).

    `strength` times half the squares of its weights are added, of vectors brought to mean 0 and deviation 1.
    """
    x, wanted, counts = vectors.double(), torch.from_numpy(labels), torch.from_numpy(weights / weights.sum())
    centre, width = x.mean(0), x.std(0) + 1e-9
    x = (x - centre) / width
    weight, bias = (torch.zeros(shape, dtype=x.dtype, requires_grad=True) for shape in ((len(LABELS), x.shape[1]), 3))
    solver = torch.optim.LBFGS([weight, bias], max_iter=500, tolerance_grad=1e-7, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        each = F.cross_entropy(F.linear(x, weight, bias), wanted, reduction="none")  # (N,)
        total = (each * counts).sum() + strength / 2 * (weight**2).sum()
        total.backward()
        return total

    solver.step(loss)
    layer = torch.nn.Linear(x.shape[1], len(LABELS)).requires_grad_(False)
    layer.weight.copy_(weight.detach() / width)
    layer.bias.copy_(bias.detach() - (weight.detach() / width) @ centre)
    return layer, solver.state[weight]["n_iter"]


def export(folder: Path, name: str, layer: torch.nn.Linear, card: dict) -> None:
    """The layer in float16, its card, and what is owed; no tokenizer: it is the encoder's."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({f"head.{k}": t.half() for k, t in layer.state_dict().items()}, folder / builtin_files.WEIGHTS)
    config = {
        "architecture": "classifier",
        "encoder": name,
        "encoder_fingerprint": builtin_files.fingerprint(folder.parent / name / builtin_files.WEIGHTS),
        "labels": LABELS,
    }
    (folder / builtin_files.CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    loop.write_card(folder, card)
    # of a classifier that was here before, with a body of its own
    (folder / builtin_files.TOKENIZER).unlink(missing_ok=True)
    notice.write(folder)


# how often it is right


def compared(judge: Classifier, texts: Texts, by_source: dict[str, dict[str, list[Judged]]]) -> dict:
    """The tables of the card: how often the layer and its rivals are right, and what the layer says of typed texts."""
    films = by_source["films"]
    valid = films["valid"]
    same_texts = bag_of_words(texts.texts, texts.labels.argmax(1), texts.weights, valid)
    own, labels = zip(*films["train"], strict=True)
    films_alone = bag_of_words(own, np.array(labels), None, valid)

    def logits_of(judged: list[Judged]) -> dict[str, Logits]:
        read = [text for text, _ in judged]
        ours = np.array([judge.classify(judge.encode(text)[: judge.info.n_context]).log_prob for text in read])
        bag = same_texts(read)
        return {OURS: ours, BAG: bag, FILMS_BAG: films_alone(read), BOTH: ours + bag}

    def row(judged: list[Judged], *, three: bool) -> dict[str, float]:
        found = logits_of(judged)
        if three:
            found.pop(FILMS_BAG)  # it knows no neutral texts
        margin = round(1.96 * math.sqrt(0.25 / len(judged)), 3)
        shares = {name: round(right(logits, judged, three=three), 4) for name, logits in found.items()}
        return {"texts": len(judged), "margin": margin, **shares}

    clear = [each for each in by_source["rated"]["test"] if each.label != NEUTRAL]
    two = {
        "films, valid": valid,
        "films": films["test"],
        "films, valid and test": valid + films["test"],
        "remarks": by_source["remarks"]["test"],
        "rated": clear,
    }
    three = {
        "films, three labels": valid + films["test"],
        "rated, three labels": by_source["rated"]["test"],
        "typed, three labels": list(TYPED),
    }
    found = np.exp(logits_of(list(TYPED))[OURS])  # (N, 3)
    typed = [
        {"text": text, "wanted": LABELS[label], "found": LABELS[p.argmax()], "probability": round(float(p.max()), 3)}
        for (text, label), p in zip(TYPED, found, strict=True)
    ]
    tested = {name: row(part, three=False) for name, part in two.items()}
    return {"test": tested | {name: row(part, three=True) for name, part in three.items()}, "typed": typed}


def right(logits: Logits, judged: Sequence[Judged], *, three: bool = False) -> float:
    """The share of texts whose label has the largest logit: of all three, or of negative and positive alone."""
    labels = np.array([label for _, label in judged])
    if three:
        return float((logits.argmax(1) == labels).mean())
    return float(((logits[:, POSITIVE] > logits[:, NEGATIVE]) == (labels == POSITIVE)).mean())


def bag_of_words(
    texts: Sequence[str], labels: np.ndarray, weights: np.ndarray | None, valid: Sequence[Judged]
) -> Callable[[Sequence[str]], Logits]:
    """A logistic regression on the TF-IDF of words and pairs of words, its strength chosen on the validation texts."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|[!?]")
    counted = words.fit_transform(texts)
    if weights is not None:
        weights = weights * len(texts) / weights.sum()  # 1 on average: the strengths mean what they mean without
    fitted = []
    for strength in BAG_STRENGTHS:
        regression = LogisticRegression(C=strength, max_iter=1000).fit(counted, labels, sample_weight=weights)

        def judge(texts: Sequence[str], regression=regression) -> Logits:
            found = np.full((len(texts), len(LABELS)), -np.inf)
            found[:, regression.classes_] = regression.predict_log_proba(words.transform(texts))
            return found

        fitted.append((right(judge([text for text, _ in valid]), valid), -strength, judge))
    return max(fitted, key=lambda each: each[:2])[-1]


if __name__ == "__main__":
    main()
