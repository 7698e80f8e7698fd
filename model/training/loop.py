"""What every training has in common: an optimizer, a learning rate that follows the budget, checkpoints to resume."""

import argparse
import ctypes
import math
import platform
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

CHECKPOINT = "checkpoint.pt"
# options that the model does not depend on
_OF_THIS_MACHINE = ("data", "work", "export", "encoder", "device", "threads")


def options(program: str, description: str | None) -> argparse.ArgumentParser:
    """The options that every training takes."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder with the training texts")
    parser.add_argument("--work", type=Path, required=True, help="folder for the tokenizer, the ids and checkpoints")
    parser.add_argument("--export", type=Path, help="write weights, config, tokenizer and model card here, and stop")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="train for this many steps")
    budget.add_argument("--hours", type=float, help="train for this long: the learning rate then follows the clock")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="the highest, after warm-up")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 autocast")
    parser.add_argument("--check-every", type=int, default=250, help="steps between held-out losses and checkpoints")
    return parser


def parse(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """The arguments, with `command`: what to type to train the same model again, without this machine's folders."""
    args = parser.parse_args(argv)
    if not (args.export or args.steps or args.hours):
        parser.error("say how long: --steps or --hours")
    words = [f"{parser.prog} --data DATA --work WORK"]
    for name, value in vars(args).items():
        if name not in _OF_THIS_MACHINE and value != parser.get_default(name):
            words.append(f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}"))
    args.command = " ".join(words)
    return args


def keep_large_buffers() -> None:
    """Stop glibc from giving every large buffer back to the kernel: 25-30 % faster on a CPU."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no buffer is mapped on its own
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap is not trimmed


class Trainer:
    """A transformer, its optimizer, and how far they are; a training adds what it draws, minimises and checks."""

    def __init__(self, args: argparse.Namespace, config, transformer: nn.Module):
        torch.set_num_threads(args.threads)
        self.args, self.command, self.config = args, args.command, config
        self.transformer = transformer.to(args.device)
        matrices = [p for p in transformer.parameters() if p.ndim > 1]
        vectors = [p for p in transformer.parameters() if p.ndim == 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": args.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            betas=(0.9, 0.95),
            fused=True,
        )
        self.step, self.seconds, self.n_token, self.history = 0, 0.0, 0, []

    def draw(self, rng: np.random.Generator):
        """The next batch, and how many tokens are predicted in it."""
        raise NotImplementedError

    def loss(self, batch) -> torch.Tensor:
        """What is made smaller."""
        raise NotImplementedError

    def check(self) -> list[float]:
        """The figures of the learning curve, on held-out texts; printed and kept with each checkpoint."""
        raise NotImplementedError

    def resume(self) -> bool:
        """Go on from the newest checkpoint, if there is one."""
        path = self.args.work / CHECKPOINT
        if not path.exists():
            return False
        saved = torch.load(path, map_location=self.args.device, weights_only=True)
        if (config := type(self.config)(**saved["config"])) != self.config:
            raise SystemExit(f"{path} holds another shape, {config}: choose another --work")
        first = saved.get("command", self.command)
        # resumed with other options: the card names both
        self.command = first if self.args.export or first == self.command else f"{first}, then {self.command}"
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

    def start(self) -> None:
        """Before the first step of a training that is not resumed."""

    def export(self, folder: Path) -> None:
        """Write what the app ships."""
        raise NotImplementedError

    def carry_out(self) -> None:
        """Do what the command says: go on, or begin, or write what there is."""
        resumed = self.resume()
        if self.args.export:
            if not resumed:
                raise SystemExit(f"nothing to export: there is no {CHECKPOINT} in {self.args.work}")
            self.export(self.args.export)
            return
        if not resumed:
            self.start()
        self.train()

    def train(self) -> None:
        bar = tqdm(total=1000, bar_format="{l_bar}{bar}| {elapsed}<{remaining} {postfix}", mininterval=5)
        while self.progress() < 1:
            began = time.perf_counter()
            # one generator a step: a resumed run draws what an uninterrupted one would have drawn
            batch, n_token = self.draw(np.random.default_rng([self.args.seed, self.step]))
            loss = self.update(batch)
            self.step += 1
            self.n_token += n_token
            self.seconds += time.perf_counter() - began
            bar.n = round(1000 * self.progress())
            bar.set_postfix_str(f"step {self.step:,} loss {loss:.3f} {self.n_token / self.seconds:,.0f} tokens/s")
            if self.step % self.args.check_every == 0 or self.progress() >= 1:
                figures = self.check()
                self.history.append([self.step, self.n_token, round(self.seconds), *figures])
                shown = " ".join(f"{figure:.4f}" for figure in figures)
                tqdm.write(f"step {self.step:,}  {self.n_token:,} tokens  held-out {shown}")
                self.save()
        bar.close()

    def update(self, batch) -> float:
        """One step; the loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        loss = self.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.transformer.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()

    def autocast(self):
        return nullcontext() if self.args.float32 else torch.autocast(self.args.device, torch.bfloat16)

    def half(self) -> dict[str, torch.Tensor]:
        """The weights in float16, as they are shipped; the transformer takes them over, so that cards tell of these."""
        weights = {name: t.detach().half().cpu().contiguous() for name, t in self.transformer.state_dict().items()}
        self.transformer.load_state_dict({name: t.float() for name, t in weights.items()})
        return weights

    def card(self) -> dict:
        """What every model card says of its training."""
        return {
            "command": self.command,
            "parameters": sum(p.numel() for p in self.transformer.parameters()),
            "steps": self.step,
            "tokens": self.n_token,
            "hours": round(self.seconds / 3600, 2),
            "seed": self.args.seed,
            "machine": f"{platform.machine()}, {self.args.threads} threads, {self.args.device}",
        }
