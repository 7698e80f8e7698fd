"""Pre-train the encoder: `python -m model.training.encoder --data DIR --work DIR --hours 1`.

A masked language model as BERT is (Devlin et al. 2019, §3.1): of the tokens of a text some are hidden, and the encoder
is to name them from those on both sides. A quarter are hidden here, not 15 %: more is learned from each text (Wettig et
al. 2023, arXiv 2202.08005). Training begins from word vectors, not from noise: see `model.training.word_vectors`.

`--data` holds the folders stories/ and sentiment/; of the latter only the
texts are read here. The same command resumes; `--export DIR` writes what the app ships and stops.

No token is put around a text: what a visitor types stands alone, and `model.training.sentiment` averages over it.
"""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from model.tokenizer import Tokenizer
from model.tokenizer import train as train_tokenizer
from model.training import loop
from model.training.data import Source, Stream, documents, draw_rows, kept_stream, review_documents
from model.training.word_vectors import start_from, token_vectors
from model.transformer import Config, Transformer
from model.translation import padded

STORIES = (
    Source("gutenberg_children", 0.40),
    Source("gutenberg_simple", 0.20, every=4),
    Source("tinystories_5k", 0.10),
    Source("storybooks_ccby", 0.04),
    Source("tatoeba_en_sentences", 0.10, sentences=True),
)
REVIEWS = Source("reviews", 0.16)
MIX = (*STORIES, REVIEWS)
# whole passages, and short texts as people type them: {tokens in a row: share of the steps}
ROW_LENGTHS = {128: 0.5, 40: 0.5}
SHORT = ("tatoeba_en_sentences", REVIEWS.name)  # too short to fill the longer rows


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    loop.keep_large_buffers()
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer = prepare_tokenizer(args)
    Trainer(args, tokenizer).carry_out()


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = loop.options("model.training.encoder", __doc__)
    parser.add_argument("--vocab", type=int, default=5200, help="entries of the tokenizer, if the texts yield so many")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--d-model", type=int, default=128)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--batch-tokens", type=int, default=4096, help="tokens a step")
    parser.add_argument("--hidden", type=float, default=0.25, help="share of the tokens that are to be named")
    return loop.parse(parser, argv)


def texts(folder: Path, source: Source, *, held_out: bool) -> Iterator[str]:
    if source is REVIEWS:
        return review_documents(folder / "sentiment", held_out=held_out)
    return documents(folder / "stories", source, held_out=held_out)


def prepare_tokenizer(args: argparse.Namespace) -> Tokenizer:
    path = args.work / "tokenizer.json"
    if not path.exists():
        print("training the tokenizer …")
        all_texts = (text for source in MIX for text in texts(args.data, source, held_out=False))
        train_tokenizer(all_texts, args.vocab, mask=True).save(path)
    return Tokenizer.load(path)


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


class Trainer(loop.Trainer):
    """Rows of texts with some tokens hidden; the loss is that of the hidden ones."""

    def __init__(self, args: argparse.Namespace, tokenizer: Tokenizer):
        torch.manual_seed(args.seed)
        config = Config(tokenizer.n_vocab, args.context, args.layers, args.heads, args.d_model, causal=False)
        super().__init__(args, config, Transformer(config))
        self.tokenizer = tokenizer
        self.trained, self.held_out = (prepare_streams(args, tokenizer, held_out=part) for part in (False, True))

    def start(self) -> None:
        """From vectors of the tokens that these texts hold; a part of a long source says enough."""
        print("word vectors …")
        part = [replace(stream, ids=stream.ids[:6_000_000]) for stream in self.trained]
        start_from(self.transformer, token_vectors(part, self.tokenizer, self.config.d_model))

    def draw(self, rng: np.random.Generator) -> tuple[tuple[Tensor, ...], int]:
        length = int(rng.choice(list(ROW_LENGTHS), p=list(ROW_LENGTHS.values())))
        n_token = min(length, self.config.n_context)
        # short rows make up for the texts that long rows leave out
        short = np.array([source.name in SHORT for source in MIX])
        shares = np.array([source.share for source in MIX]) * np.where(short, 2 * (length == min(ROW_LENGTHS)), 1)
        n_row = max(self.grown(self.args.batch_tokens) // n_token, 1)
        drawn = draw_rows(self.trained, list(shares / shares.sum()), n_row=n_row, n_token=n_token, rng=rng)
        rows, visible = whole_rows(drawn, self.tokenizer.end_of_text)
        shown, chosen = hide(rows, visible, self.args.hidden, self.tokenizer, rng)
        batch = tuple(torch.from_numpy(a).to(self.args.device) for a in (rows, shown, visible, chosen))
        return batch, int(visible.sum())

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        """Mean cross-entropy in nats per hidden token; logits are computed for these alone."""
        rows, shown, visible, chosen = batch
        with self.autocast():
            x = self.transformer.read(self.transformer.embed(shown), visible=visible).hidden[-1]  # (B, T, D)
            logits = self.transformer.unembed(x[chosen])  # (hidden tokens, V)
        return F.cross_entropy(logits.float(), rows[chosen])

    def check(self) -> list[float]:
        figures = [self.blanks(stream, most=16_384) for stream in self.held_out]
        return [
            sum(source.share * figure[name] for source, figure in zip(MIX, figures, strict=True))
            for name in ("nats", "accuracy")
        ]

    def export(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.half(), folder / "weights.safetensors")
        self.tokenizer.save(folder / "tokenizer.json")
        card = {
            "title": "Encoder",
            "architecture": "encoder",
            **self.card(),
            "start": "word vectors of the same texts, and sinusoids as positions (model.training.word_vectors)",
            "data": {
                source.name: {"share": source.share, "tokens": len(stream.ids)}
                for source, stream in zip(MIX, self.trained, strict=True)
            },
            "held_out": {
                source.name: blanks_row(self.blanks(held_out), unigram(trained, held_out, self.tokenizer))
                for source, trained, held_out in zip(MIX, self.trained, self.held_out, strict=True)
            },
            "history": {
                "columns": ["step", "tokens", "seconds", "held-out nats per hidden token", "named right"],
                "rows": self.history,
            },
        }
        config = asdict(self.config) | {"architecture": "encoder"}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")
        print(json.dumps(card["held_out"], indent=2))

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
            x = self.transformer.read(self.transformer.embed(shown), visible=visible).hidden[-1]  # (B, T, D)
            logits = self.transformer.unembed(x[hidden])  # (hidden tokens, V)
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
