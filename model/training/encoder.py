"""Pre-train the encoder: `python -m model.training.encoder --data DIR --work DIR --hours 2`.

A masked language model as BERT is (Devlin et al. 2019, §3.1): of the tokens of a text some are hidden, and the encoder
is to name them from those on both sides. A quarter are hidden here, not 15 %: more is learned from each text (Wettig et
al. 2023, arXiv 2202.08005). Training begins from word vectors, not from noise: see `model.training.word_vectors`.

Half of what it reads are single sentences. Some of their tokens are hidden too; and a linear layer over the mean of
their final vectors is to give the vector that all-MiniLM-L6-v2 gives the sentence (`model.training.sentences`). While
the learning rates fall, many of these are texts that people have judged, and a second layer is to say how
(`model.training.judged`). Both layers are left behind: what is shipped is the encoder, whose mean vector tells what
they asked of it. `model.training.sentiment` fits the layer that judges.

`--data` holds the folders stories/ and sentiment/. The same command resumes; `--export DIR` writes what the app ships
and stops. No token is put around a text: what a visitor types stands alone.
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.builtin.greedy import padded
from model.builtin.transformer import Config, Transformer
from model.text.tokenizer import Tokenizer
from model.training import judged, lessons, loop, notice, sentences, story
from model.training.bpe_dropout import Cut
from model.training.data import Source, Stream, documents, draw_rows, kept_stream, review_documents
from model.training.word_vectors import start_from, token_vectors

STORIES = (
    Source("gutenberg_children", 0.40),
    Source("gutenberg_simple", 0.20, every=4),
    Source("tinystories_5k", 0.10),
    Source("storybooks_ccby", 0.04),
    Source("tatoeba_en_sentences", 0.10, sentences=True, lessons=10),
)
REVIEWS = Source("reviews", 0.16)
MIX = (*STORIES, REVIEWS)
# whole passages, and short texts as people type them: {tokens in a row: share of the steps}
ROW_LENGTHS = {128: 0.5, 40: 0.5}
SHORT = ("tatoeba_en_sentences", REVIEWS.name)  # too short to fill the longer rows
SINGLE = 0.5  # share of the tokens that are single sentences
UNMARKED = 0.15  # share of the sentences that are read without their end mark
LIKE_LENGTH = 0.02  # share of the sentences, sorted by length, that one batch is drawn from: little padding


def main(argv: list[str] | None = None) -> None:
    loop.run(parse(argv), prepare_tokenizer, Trainer)


def parse(argv: list[str] | None) -> argparse.Namespace:
    defaults = {"batch_tokens": 2048, "batch_growth": 2, "check_every": 500}
    shape = {"vocab": 8192, "layers": 6, "heads": 6, "d_model": 192, "context": 128}
    parser = loop.options("model.training.encoder", __doc__, **shape, **defaults)
    parser.add_argument("--hidden", type=float, default=0.25, help="share of the tokens that are to be named")
    parser.add_argument("--sentences", type=int, default=400_000, help="about so many are read one by one")
    parser.add_argument("--teacher", type=Path, help="folder of all-MiniLM-L6-v2, if its package is not installed")
    parser.add_argument("--sentence-weight", type=float, default=1.0, help="of the loss of mean vectors")
    parser.add_argument("--label-weight", type=float, default=1.0, help="of the loss of labels")
    parser.add_argument("--judged", type=float, default=0.5, help="share of the late sentences that are judged texts")
    return loop.parse(parser, argv)


def texts(folder: Path, source: Source, *, held_out: bool) -> Iterator[str]:
    if source is REVIEWS:
        return review_documents(folder / "sentiment", held_out=held_out)
    return documents(folder / "stories", source, held_out=held_out)


def prepare_tokenizer(args: argparse.Namespace) -> Tokenizer:
    """Its vocabulary is learned as the story model's is, the words of lessons included, and from reviews."""
    reviews = review_documents(args.data / "sentiment", held_out=False)
    return loop.kept_tokenizer(args, chain(story.tokenizer_texts(args.data / "stories"), reviews), mask=True)


def prepare_streams(args: argparse.Namespace, tokenizer: Tokenizer, *, held_out: bool) -> list[Stream]:
    """One a source, encoded once and kept in the work folder."""
    part = "held_out" if held_out else "train"
    return [
        kept_stream(args.work / f"{source.name}.{part}.npz", tokenizer, texts(args.data, source, held_out=held_out))
        for source in MIX
    ]


def hide(
    rows: np.ndarray, visible: np.ndarray, share: float, tokenizer: Tokenizer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """BERT's masking of rows of ids (B, T): (the rows as the encoder sees them, which positions it is to name).

    Of the chosen ones 80 % become the mask, 10 % any other token, 10 % stay: so that the encoder cannot tell which
    tokens it may trust, and must know something of each.
    """
    chosen = visible & (rng.random(rows.shape) < share)
    kind = rng.random(rows.shape)
    shown = np.where(chosen & (kind < 0.8), tokenizer.mask, rows)
    anything = rng.integers(max(tokenizer.mask, tokenizer.end_of_text) + 1, tokenizer.n_vocab, rows.shape)
    return np.where(chosen & (kind >= 0.9), anything, shown), chosen


def whole_rows(rows: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (B, T + 1) of a stream cut to one text each: (ids (B, T), which of them belong to the text (B, T))."""
    rows = np.where(rows[:, :1] == end, rows[:, 1:], rows[:, :-1])  # (B, T)
    return rows, np.cumsum(rows == end, axis=1) == 0


class Pretraining(Transformer):
    """The encoder, and two layers that read the mean of its final vectors while it is trained."""

    def __init__(self, config: Config):
        super().__init__(config)
        self.to_sentence = nn.Linear(config.d_model, sentences.D_TEACHER)
        self.to_label = nn.Linear(config.d_model, len(judged.LABELS))


class Pool:
    """Sentences as ids, cut at the longest context, to be drawn in batches of like length."""

    def __init__(self, known: sentences.Sentences, tokenizer: Tokenizer, most: int):
        self.known, self.end_mark = known, tokenizer.encode_ids(["."])[0]
        capital = [text[:1].upper() + text[1:] for text in known.texts]  # films are written in small letters
        self.ids = [one_after_another(tokenizer, texts, most) for texts in (known.texts, capital)]
        self.labels = judged.soft_labels(known)
        self.length = np.array([len(text) for text in known.texts])  # ascending
        labelled = ~np.isnan(self.labels[:, 0])
        self.of = {name: np.flatnonzero(labelled & (known.source == name)) for name in judged.SHARES}
        self.all = np.flatnonzero(~known.held_out)

    def near(self, which: np.ndarray, length: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """`n` of these sentences, of about this length in characters."""
        around = max(int(LIKE_LENGTH * len(which)), n)
        first = np.clip(np.searchsorted(self.length[which], length) - around // 2, 0, max(len(which) - around, 0))
        return which[first + rng.integers(min(around, len(which)), size=n)]

    def draw(self, n_token: int, share: float, rng: np.random.Generator) -> np.ndarray:
        """Sentences with about `n_token` tokens in all; `share` of them are judged texts and everyday sentences."""
        middle = rng.choice(self.all)
        n = max(n_token // max(int(self.ids[0].lengths[middle]), 1), 2)
        counts = rng.multinomial(n, [1 - share, *(share * part for part in judged.SHARES.values())])
        pools = (self.all, *self.of.values())
        drawn = [self.near(p, self.length[middle], k, rng) for p, k in zip(pools, counts, strict=True) if k]
        return np.concatenate(drawn)

    def row(self, i: int, rng: np.random.Generator) -> list[int]:
        """A sentence's ids: with a capital letter or as it is written, and sometimes without its end mark."""
        ids = self.ids[int(rng.integers(2))][i]
        bare = rng.random() < UNMARKED and len(ids) > 1 and ids[-1:] == self.end_mark
        return ids[:-1] if bare else ids


def one_after_another(tokenizer: Tokenizer, texts: list[str], most: int) -> Cut:
    """Texts as ids, at most so many of each, in as little memory as they take."""
    ids = [each[:most] for each in tokenizer.encode_ids(texts)]
    return Cut(np.fromiter(chain.from_iterable(ids), np.uint16), np.cumsum([0, *map(len, ids)]))


class Trainer(loop.Trainer):
    """Rows of texts with some tokens hidden, and single sentences; the loss is that of the hidden tokens, plus what
    the two layers lack."""

    architecture, printed = "encoder", ("lessons", "sentences", "held_out")

    def __init__(self, args: argparse.Namespace, tokenizer: Tokenizer):
        super().__init__(args, tokenizer, Pretraining, causal=False)
        self.trained, self.held_out = (prepare_streams(args, tokenizer, held_out=part) for part in (False, True))
        teacher = sentences.Reader(args.teacher)
        known = sentences.prepare(args.data, args.work, STORIES, args.sentences, teacher)
        self.pool = Pool(known, tokenizer, args.context)
        self.films = judged.judged_texts(args.data / "sentiment")["films"]["valid"]

    def start(self) -> None:
        """From vectors of the tokens that these texts hold; a part of a long source says enough."""
        print("word vectors …")
        part = [replace(stream, ids=stream.ids[:6_000_000]) for stream in self.trained]
        start_from(self.transformer, token_vectors(part, self.tokenizer, self.config.d_model))

    def draw(self, rng: np.random.Generator) -> tuple[tuple[Tensor, ...], int]:
        n_token = self.grown(self.args.batch_tokens)
        rows, visible = self.draw_passages(int(n_token * (1 - SINGLE)), rng)
        shown, chosen = hide(rows, visible, self.args.hidden, self.tokenizer, rng)
        late = self.progress() > 1 - self.args.decay
        which = self.pool.draw(int(n_token * SINGLE), self.args.judged if late else 0.0, rng)
        single, there = (each.numpy() for each in padded([self.pool.row(i, rng) for i in which], 0))
        whole = rng.random((len(single), 1)) < 0.5  # half are read as they are
        single_shown, single_chosen = hide(single, there & ~whole, self.args.hidden, self.tokenizer, rng)
        wanted = self.pool.known.vectors[which].astype(np.float32)
        labels = (self.pool.labels[which] if late else np.full((len(which), len(judged.LABELS)), np.nan)).astype("f4")
        batch = (rows, shown, visible, chosen, single, single_shown, there, single_chosen, wanted, labels)
        return tuple(torch.from_numpy(a).to(self.args.device) for a in batch), int(visible.sum() + there.sum())

    def draw_passages(self, n_token: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        length = min(int(rng.choice(list(ROW_LENGTHS), p=list(ROW_LENGTHS.values()))), self.config.n_context)
        # short rows make up for the texts that long rows leave out
        short = np.array([source.name in SHORT for source in MIX])
        shares = np.array([source.share for source in MIX]) * np.where(short, 2 * (length == min(ROW_LENGTHS)), 1)
        n_row = max(n_token // length, 1)
        drawn = draw_rows(self.trained, list(shares / shares.sum()), n_row=n_row, n_token=length, rng=rng)
        return whole_rows(drawn, self.tokenizer.end_of_text)

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        """Mean cross-entropy in nats per hidden token, for which alone logits are computed; and, weighted, 1 less the
        cosine of a sentence's vector, and the cross-entropy of its label where there is one."""
        rows, shown, visible, chosen, single, single_shown, there, single_chosen, vectors, labels = batch
        with self.autocast():
            x, y = self.read(shown, visible), self.read(single_shown, there)  # (B, T, D)
            logits = self.transformer.unembed(torch.cat([x[chosen], y[single_chosen]]))  # (hidden tokens, V)
            means = self.means(y, there)  # (B, D)
            like, label_logits = self.transformer.to_sentence(means), self.transformer.to_label(means)
        total = F.cross_entropy(logits.float(), torch.cat([rows[chosen], single[single_chosen]]))
        total = total + self.args.sentence_weight * (1 - F.cosine_similarity(like.float(), vectors).mean())
        if (known := ~labels[:, 0].isnan()).any():
            total = total + self.args.label_weight * F.cross_entropy(label_logits.float()[known], labels[known])
        return total

    def read(self, ids: Tensor, visible: Tensor) -> Tensor:
        """(B, T) -> the residual stream after the last block (B, T, D)"""
        return self.transformer.read(self.transformer.embed(ids), visible=visible).hidden[-1]

    def means(self, hidden: Tensor, visible: Tensor) -> Tensor:
        return sentences.mean(self.transformer.final_norm(hidden).float(), visible)

    def check(self) -> list[float]:
        """Nats per hidden token over all sources by their share, and of each; the cosine of sentence vectors; the
        share of film sentences judged right, positive or negative."""
        nats = [self.blanks(stream, most=8_192)["nats"] for stream in self.held_out]
        everywhere = sum(source.share * each for source, each in zip(MIX, nats, strict=True))
        return [everywhere, *nats, self.likeness(most=1000)["cosine"], self.films_right()]

    def half(self) -> dict[str, Tensor]:
        """Without the layers that are left behind."""
        return {name: t for name, t in super().half().items() if not name.startswith("to_")}

    def export(self, folder: Path) -> None:
        super().export(folder)
        notice.write(folder)

    def facts(self) -> dict:
        columns = ["step", "tokens", "seconds"]
        sizes = {source.name: len(stream.ids) for source, stream in zip(MIX, self.trained, strict=True)}
        return {
            "parameters": sum(t.numel() for t in self.half().values()),
            "start": "word vectors of the same texts, and sinusoids as positions (model.training.word_vectors)",
            "lessons": lessons.whole(self.tokenizer),
            "data": {
                **{s.name: {"share": round((1 - SINGLE) * s.share, 3), "tokens": sizes[s.name]} for s in MIX},
                "sentences": {"share": SINGLE, "texts": len(self.pool.all)},
            },
            "sentences": {"teacher": sentences.CREDIT, "read": len(self.pool.all), **self.likeness()},
            "judged": {name: len(which) for name, which in self.pool.of.items()},
            "held_out": {
                source.name: blanks_row(self.blanks(held_out), unigram(trained, held_out, self.tokenizer))
                for source, trained, held_out in zip(MIX, self.trained, self.held_out, strict=True)
            },
            "history": {
                "columns": [*columns, "all", *(source.name for source in MIX)],
                "unit": "nats per hidden token",
                "rows": [row[:-2] for row in self.history],
            },
            "sentence_history": {
                "columns": [*columns, "cosine", "films judged right (learned in the decay only)"],
                "rows": [[*row[:3], *row[-2:]] for row in self.history],
            },
        }

    @torch.inference_mode()
    def mean_vectors(self, texts: list[list[int]]) -> Tensor:
        """Of texts as ids, whole and each in its place: (N, D)."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found = torch.zeros(len(texts), self.config.d_model, device=self.args.device)
        for start in range(0, len(order), 64):
            block = order[start : start + 64]
            ids, visible = (t.to(self.args.device) for t in padded([texts[i] for i in block], 0))
            found[block] = self.means(self.read(ids, visible), visible)
        return found

    @torch.inference_mode()
    def likeness(self, most: int | None = None) -> dict[str, float]:
        """How like the teacher's vectors those of held-out sentences are: the mean cosine; and that of always giving
        the mean of all vectors. `most`: of about so many sentences."""
        apart = np.flatnonzero(self.pool.known.held_out)
        apart = apart[:: max(len(apart) // most, 1) if most else 1]
        wanted = torch.from_numpy(self.pool.known.vectors[apart].astype(np.float32)).to(self.args.device)
        like = self.transformer.to_sentence(self.mean_vectors([self.pool.ids[0][i] for i in apart]))
        cosines = F.cosine_similarity(like, wanted), F.cosine_similarity(wanted.mean(0, keepdim=True), wanted)
        cosine, of_the_mean = (round(each.mean().item(), 4) for each in cosines)
        return {"held_out": len(apart), "cosine": cosine, "cosine_of_the_mean": of_the_mean}

    @torch.inference_mode()
    def films_right(self) -> float:
        """Of the validation sentences, by the layer that is left behind; neutral is no answer here."""
        ids = [each[: self.config.n_context] for each in self.tokenizer.encode_ids([text for text, _ in self.films])]
        logits = self.transformer.to_label(self.mean_vectors(ids))
        positive = logits[:, judged.POSITIVE] > logits[:, judged.NEGATIVE]
        wanted = torch.tensor([label == judged.POSITIVE for _, label in self.films], device=self.args.device)
        return (positive == wanted).float().mean().item()

    @torch.inference_mode()
    def blanks(self, stream: Stream, most: int | None = None) -> dict[str, float]:
        """How well hidden tokens of a stream's texts are named: mean nats, share named right, tokens hidden.

        Each text is cut at the longest context; 15 % of its tokens, the same ones each time, are replaced by the mask.
        `most`: stop after about this many tokens.
        """
        rng, end, n = np.random.default_rng(0), self.tokenizer.end_of_text, self.config.n_context
        ids = stream.ids[:most].astype(np.int64)
        rows = [text[text != end][:n].tolist() for text in np.split(ids, np.flatnonzero(ids == end))]
        rows = sorted((row for row in rows if row), key=len)
        nats = right = count = 0
        for start in range(0, len(rows), 32):
            block, visible = padded(rows[start : start + 32], end)  # (B, T)
            hidden = visible & torch.from_numpy(rng.random(block.shape) < 0.15)
            shown, wanted = block.masked_fill(hidden, self.tokenizer.mask), block[hidden]
            shown, wanted, visible = (each.to(self.args.device) for each in (shown, wanted, visible))
            logits = self.transformer.unembed(self.read(shown, visible)[hidden])  # (hidden tokens, V)
            nats += F.cross_entropy(logits, wanted, reduction="sum").item()
            right += int((logits.argmax(-1) == wanted).sum())
            count += len(wanted)
        return {"nats": nats / count, "accuracy": right / count, "hidden": count}


def unigram(trained: Stream, held_out: Stream, tokenizer: Tokenizer) -> dict[str, float]:
    """The same for who knows only how often each token is in the training texts of this source (add-one smoothing)."""
    counts, wanted = (np.bincount(s.ids, minlength=tokenizer.n_vocab).astype(float) for s in (trained, held_out))
    counts += 1
    for special in (tokenizer.end_of_text, tokenizer.mask):
        counts[special] = wanted[special] = 0
    with np.errstate(divide="ignore"):
        log_prob = np.log(counts / counts.sum())
    nats = -(wanted[counts > 0] * log_prob[counts > 0]).sum() / wanted.sum()
    return {"nats": float(nats), "accuracy": float(wanted[counts.argmax()] / wanted.sum())}


def blanks_row(found: dict[str, float], baseline: dict[str, float]) -> dict[str, float]:
    return {
        "hidden_tokens": found["hidden"],
        "accuracy": round(found["accuracy"], 4),
        "perplexity": round(math.exp(found["nats"]), 2),
        "unigram_accuracy": round(baseline["accuracy"], 4),
        "unigram_perplexity": round(math.exp(baseline["nats"]), 2),
    }


if __name__ == "__main__":
    main()
