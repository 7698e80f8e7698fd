"""Train the story model: `python -m model.training.story --data DIR --work DIR --hours 2`.

Everything needed to go on after an interruption is in `--work`; the same command resumes. `--export DIR` writes what
the app ships (weights in float16, config, tokenizer, model card) from the newest checkpoint and stops.
"""

import argparse
import ctypes
import json
import math
import platform
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from tqdm import tqdm

from model.tokenizer import Tokenizer
from model.tokenizer import train as train_tokenizer
from model.training.data import STORY_MIX, Stream, documents, draw_rows, encode_stream
from model.transformer import Config, Transformer

# rows of several lengths, so that short texts and every position are learned: {tokens in a row: share of the steps}
ROW_LENGTHS = {64: 0.25, 128: 0.30, 256: 0.30, 512: 0.15}
CHECKPOINT = "checkpoint.pt"


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    keep_large_buffers()
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer = prepare_tokenizer(args)
    trained, held_out = prepare_streams(args, tokenizer)
    trainer = Trainer(args, tokenizer.n_vocab)
    resumed = trainer.resume()
    if args.export:
        if not resumed:
            raise SystemExit(f"nothing to export: there is no {CHECKPOINT} in {args.work}")
        trainer.export(args.export, tokenizer, trained, held_out)
        return
    trainer.train(trained, held_out)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.training.story", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the story mix, *.txt.xz")
    parser.add_argument("--work", type=Path, required=True, help="folder for the tokenizer, the ids and checkpoints")
    parser.add_argument("--export", type=Path, help="write weights, config, tokenizer and model card here, and stop")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="train for this many steps")
    budget.add_argument("--hours", type=float, help="train for this long: the learning rate then follows the clock")
    parser.add_argument("--vocab", type=int, default=4096, help="entries of the tokenizer, if the texts yield so many")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--d-model", type=int, default=192)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--batch-tokens", type=int, default=4096, help="tokens a step")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="the highest, after warm-up")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 autocast")
    parser.add_argument("--check-every", type=int, default=250, help="steps between held-out losses and checkpoints")
    args = parser.parse_args(argv)
    if not (args.export or args.steps or args.hours):
        parser.error("say how long: --steps or --hours")
    args.command = _command(parser, args)
    return args


def _command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> str:
    """What to type to train the same model again; the folders of this machine are left out."""
    words = ["python -m model.training.story --data DATA --work WORK"]
    for name, value in vars(args).items():
        if name not in ("data", "work", "export", "device", "threads") and value != parser.get_default(name):
            words.append(f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}"))
    return " ".join(words)


def keep_large_buffers() -> None:
    """Stop glibc from giving every large buffer back to the kernel: 25-30 % faster on a CPU."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no buffer is mapped on its own
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap is not trimmed


def prepare_tokenizer(args: argparse.Namespace) -> Tokenizer:
    path = args.work / "tokenizer.json"
    if not path.exists():
        print("training the tokenizer …")
        texts = (text for source in STORY_MIX for text in documents(args.data, source, held_out=False))
        train_tokenizer(texts, args.vocab).save(path)
    return Tokenizer.load(path)


def prepare_streams(args: argparse.Namespace, tokenizer: Tokenizer) -> tuple[list[Stream], list[Stream]]:
    """(training, held-out) streams, one a source, encoded once and kept in the work folder."""
    both = []
    for held_out in (False, True):
        streams = []
        for source in STORY_MIX:
            path = args.work / f"{source.name}.{'held_out' if held_out else 'train'}.npz"
            if not path.exists():
                print(f"encoding {path.stem} …")
                texts = list(documents(args.data, source, held_out=held_out))
                if not texts:
                    raise SystemExit(f"no {path.stem} documents: about one in a hundred is held out, add more text")
                np.savez(path, **vars(encode_stream(tokenizer, texts)))
            with np.load(path) as saved:
                streams.append(Stream(saved["ids"], saved["starts"], int(saved["n_byte"])))
        both.append(streams)
    return both[0], both[1]


def row_lengths(n_context: int, streams: list[Stream]) -> list[int]:
    """The lengths that the transformer can read and every source can fill."""
    longest = min(n_context, *(len(stream.ids) - 1 for stream in streams))
    if longest < min(ROW_LENGTHS):
        raise SystemExit(
            f"rows can have at most {longest} tokens (the context, or the smallest source), and the shortest that are "
            f"trained have {min(ROW_LENGTHS)}: raise --context, or add text"
        )
    return [length for length in ROW_LENGTHS if length <= longest]


class Trainer:
    """The transformer, its optimizer, and how far they are."""

    def __init__(self, args: argparse.Namespace, n_vocab: int):
        torch.manual_seed(args.seed)
        torch.set_num_threads(args.threads)
        self.args, self.command = args, args.command
        self.config = Config(n_vocab, args.context, args.layers, args.heads, args.d_model)
        self.transformer = Transformer(self.config).to(args.device)
        matrices = [p for p in self.transformer.parameters() if p.ndim > 1]
        vectors = [p for p in self.transformer.parameters() if p.ndim == 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": args.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            betas=(0.9, 0.95),
            fused=True,
        )
        self.step, self.seconds, self.n_token, self.history = 0, 0.0, 0, []

    def resume(self) -> bool:
        """Go on from the newest checkpoint, if there is one."""
        path = self.args.work / CHECKPOINT
        if not path.exists():
            return False
        saved = torch.load(path, map_location=self.args.device, weights_only=True)
        if (config := Config(**saved["config"])) != self.config:
            raise SystemExit(f"{path} holds another shape, {config}: choose another --work")
        self.command = saved.get("command", self.command)
        self.transformer.load_state_dict(saved["transformer"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.n_token, self.history = saved["n_token"], saved["history"]
        print(f"resumed at step {self.step:,}, {self.n_token:,} tokens")
        return True

    def save(self) -> None:
        path = self.args.work / CHECKPOINT
        state = {
            "config": asdict(self.config),
            "command": self.command,
            "transformer": self.transformer.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "n_token": self.n_token,
            "history": self.history,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)  # never half a checkpoint

    def progress(self) -> float:
        """How much of the budget is used: 0 to 1."""
        if self.args.hours:
            return min(self.seconds / (self.args.hours * 3600), 1.0)
        return min(self.step / self.args.steps, 1.0)

    def learning_rate(self) -> float:
        """Linear warm-up over 200 steps, then half a cosine down to a fiftieth."""
        warm_up = min((self.step + 1) / 200, 1.0)
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.progress()))
        return self.args.learning_rate * warm_up * cosine

    def train(self, trained: list[Stream], held_out: list[Stream]) -> None:
        shares = [source.share for source in STORY_MIX]
        lengths = row_lengths(self.config.n_context, trained)
        odds = np.array([ROW_LENGTHS[length] for length in lengths])
        bar = tqdm(total=1000, bar_format="{l_bar}{bar}| {elapsed}<{remaining} {postfix}", mininterval=5)
        while self.progress() < 1:
            began = time.perf_counter()
            # one generator a step: a resumed run draws the rows that an uninterrupted one would have drawn
            rng = np.random.default_rng([self.args.seed, self.step])
            n_token = int(rng.choice(lengths, p=odds / odds.sum()))
            rows = draw_rows(trained, shares, n_row=max(self.args.batch_tokens // n_token, 1), n_token=n_token, rng=rng)
            loss = self.update(torch.from_numpy(rows).to(self.args.device))
            self.step += 1
            self.n_token += rows[:, 1:].size
            self.seconds += time.perf_counter() - began
            bar.n = round(1000 * self.progress())
            bar.set_postfix_str(f"step {self.step:,} loss {loss:.3f} {self.n_token / self.seconds:,.0f} tokens/s")
            if self.step % self.args.check_every == 0 or self.progress() >= 1:
                self.check(held_out)
        bar.close()

    def update(self, rows: torch.Tensor) -> float:
        """One step on rows of ids (B, T + 1); the mean cross-entropy in nats per token before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        with self.autocast():
            logits, _ = self.transformer(rows[:, :-1])  # (B, T, V)
        loss = F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.transformer.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()

    def autocast(self):
        return nullcontext() if self.args.float32 else torch.autocast(self.args.device, torch.bfloat16)

    def check(self, held_out: list[Stream]) -> None:
        nats = sum(
            source.share * held_out_loss(self.transformer, stream, most=16_384)[0]
            for source, stream in zip(STORY_MIX, held_out, strict=True)
        )
        self.history.append([self.step, self.n_token, round(self.seconds), nats])
        tqdm.write(f"step {self.step:,}  {self.n_token:,} tokens  held-out {nats:.4f} nats per token")
        self.save()

    def export(self, folder: Path, tokenizer: Tokenizer, trained: list[Stream], held_out: list[Stream]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: t.detach().half().cpu().contiguous() for name, t in self.transformer.state_dict().items()}
        # the losses in the card are those of the shipped float16 weights
        self.transformer.load_state_dict({name: t.float() for name, t in weights.items()})
        save_file(weights, folder / "weights.safetensors")
        tokenizer.save(folder / "tokenizer.json")
        card = {
            "title": "Story",
            "architecture": "decoder",
            "command": self.command,
            "parameters": sum(p.numel() for p in self.transformer.parameters()),
            "steps": self.step,
            "tokens": self.n_token,
            "hours": round(self.seconds / 3600, 2),
            "seed": self.args.seed,
            "machine": f"{platform.machine()}, {self.args.threads} threads, {self.args.device}",
            "data": {
                source.name: {"share": source.share, "tokens": len(stream.ids)}
                for source, stream in zip(STORY_MIX, trained, strict=True)
            },
            "held_out": {},
            "history": {"columns": ["step", "tokens", "seconds", "held-out nats per token"], "rows": self.history},
        }
        total_nats = total_tokens = total_bytes = 0
        for source, stream in zip(STORY_MIX, held_out, strict=True):
            nats, n_token = held_out_loss(self.transformer, stream)
            n_byte = stream.n_byte * n_token / len(stream.ids)
            card["held_out"][source.name] = _loss_row(nats * n_token, n_token, n_byte)
            total_nats, total_tokens = total_nats + nats * n_token, total_tokens + n_token
            total_bytes += n_byte
        card["held_out"]["all"] = _loss_row(total_nats, total_tokens, total_bytes)
        (folder / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
        (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")
        print(json.dumps(card["held_out"], indent=2))


def _loss_row(nats: float, n_token: int, n_byte: float) -> dict[str, float]:
    return {
        "tokens": n_token,
        "nats_per_token": round(nats / n_token, 4),
        "perplexity": round(math.exp(nats / n_token), 2),
        "bits_per_byte": round(nats / math.log(2) / n_byte, 4),
    }


@torch.inference_mode()
def held_out_loss(transformer: Transformer, stream: Stream, most: int | None = None) -> tuple[float, int]:
    """(mean cross-entropy in nats per token, tokens counted) over a stream cut into rows of the longest context.

    `most`: stop after about this many tokens.
    """
    n = transformer.config.n_context
    ids = torch.from_numpy(stream.ids[:most].astype(np.int64)).to(next(transformer.parameters()).device)
    total, count = 0.0, 0
    for start in range(0, len(ids) - 1, n):
        row = ids[start : start + n + 1]
        logits, _ = transformer(row[None, :-1])
        total += F.cross_entropy(logits[0], row[1:], reduction="sum").item()
        count += len(row) - 1
    return total / count, count


if __name__ == "__main__":
    main()
