"""What every training has in common: an optimizer, a learning rate that follows the budget, checkpoints to resume."""

import argparse
import ctypes
import json
import math
import platform
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from model.builtin.transformer import Config
from model.sources import builtin_files
from model.text.tokenizer import Tokenizer
from model.text.tokenizer import train as train_tokenizer
from model.training.muon import Muon
from model.training.written_out import WrittenOut

CHECKPOINT = "checkpoint.pt"
BEFORE_DECAY = "before-decay.pt"  # the last checkpoint at the full learning rate: from here a run can be prolonged
# options that the model does not depend on
_OF_THIS_MACHINE = ("data", "work", "export", "teacher", "device", "threads", "stop_at")
THEN = ", then "  # between the commands that made a model, one after another


def options(program: str, description: str | None, **defaults: float) -> argparse.ArgumentParser:
    """The options that every training takes; those of the transformer's shape have no other defaults than these."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder with the training texts")
    parser.add_argument("--work", type=Path, required=True, help="folder for the tokenizer, the ids and checkpoints")
    parser.add_argument("--export", type=Path, help="write weights, config, tokenizer and model card here, and stop")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=int, help="train for this many steps")
    budget.add_argument("--tokens", type=float, help="train on this many tokens")
    budget.add_argument("--hours", type=float, help="train for this long: the learning rate then follows the clock")
    parser.add_argument("--stop-at", type=int, help="go no further than this step, for another command to go on from")
    parser.add_argument("--optimizer", choices=("muon", "adamw"), default="muon", help="of the blocks' matrices")
    parser.add_argument("--matrix-rate", type=float, default=0.02, help="the highest learning rate of Muon")
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="the highest of AdamW")
    parser.add_argument("--warm-up", type=int, default=100, help="steps until the learning rates are at their highest")
    parser.add_argument("--decay", type=float, default=0.4, help="last part of the budget, in which they fall to zero")
    parser.add_argument(
        "--batch-growth", type=int, default=1, help="so many times larger batches after a third of the budget"
    )
    parser.add_argument("--dropout", type=float, default=0.0, help="of what attention and MLPs write, in training only")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--mean", type=int, default=1, help="export the mean of so many last checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--float32", action="store_true", help="no bfloat16: faster on a CPU that has no instructions for it"
    )
    parser.add_argument("--check-every", type=int, default=250, help="steps between held-out losses and checkpoints")
    parser.add_argument("--vocab", type=int, help="entries of the tokenizer, if the texts yield so many")
    parser.add_argument("--layers", type=int, help="of each stack")
    parser.add_argument("--heads", type=int)
    parser.add_argument("--d-model", type=int)
    parser.add_argument("--context", type=int)
    parser.add_argument("--batch-tokens", type=int, help="tokens a step; of pairs, the targets' tokens")
    parser.set_defaults(**defaults)
    return parser


def parse(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """The arguments, with `command`: what to type to train the same model again, without this machine's folders."""
    args = parser.parse_args(argv)
    if not (args.export or args.steps or args.tokens or args.hours):
        parser.error("say how long: --steps, --tokens or --hours")
    words = [f"{parser.prog} --data DATA --work WORK"]
    for name, value in vars(args).items():
        if name not in _OF_THIS_MACHINE and value != parser.get_default(name):
            words.append(f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}"))
    args.command = " ".join(words)
    return args


def after(before: str, command: str, step: int, export: object) -> str:
    """What makes the same model: the commands so far, each with the step at which the next one went on from it.

    Resumed with the options that it had, it is one command still; so it is where it is only exported.
    """
    *earlier, last = before.split(THEN)
    return before if export or last == command else THEN.join([*earlier, f"{last} --stop-at {step}", command])


def keep_large_buffers() -> None:
    """Stop glibc from giving every large buffer back to the kernel: 25-30 % faster on a CPU."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no buffer is mapped on its own
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap is not trimmed


def run(
    args: argparse.Namespace, prepare_tokenizer: Callable[[argparse.Namespace], Tokenizer], trainer: type["Trainer"]
) -> None:
    """What a training's command does."""
    keep_large_buffers()
    args.work.mkdir(parents=True, exist_ok=True)
    trainer(args, prepare_tokenizer(args)).carry_out()


def kept_tokenizer(args: argparse.Namespace, texts: Iterable[str], **more: bool) -> Tokenizer:
    """That of the work folder; learned from the texts, which are only read then, if there is none."""
    path = args.work / builtin_files.TOKENIZER
    if not path.exists():
        print("training the tokenizer …")
        train_tokenizer(texts, args.vocab, **more).save(path)
    return Tokenizer.load(path)


class Trainer:
    """A transformer, its optimizers, and how far they are; a training adds what it draws, minimises and checks.

    The matrices of the blocks learn by Muon; embeddings, norms and biases by AdamW. Learning rates warm up, stay, and
    fall to zero over the last part of the budget (MiniCPM, arXiv 2404.06395): until they fall, a run can be prolonged
    or ended by the same command with another budget.
    """

    architecture: str
    printed: tuple[str, ...]  # what of the card is shown when it is written

    def __init__(self, args: argparse.Namespace, tokenizer: Tokenizer, build: Callable[[Config], nn.Module], **more):
        """`build` makes the transformer of a configuration, and `more` is in that besides what the options say."""
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        self.args, self.command, self.tokenizer = args, args.command, tokenizer
        self.config = Config(tokenizer.n_vocab, args.context, args.layers, args.heads, args.d_model, **more)
        self.transformer = build(self.config).to(args.device)
        self.optimizers = optimizers(args, self.transformer)
        for name, module in self.transformer.named_modules():
            if args.dropout and (isinstance(module, nn.Embedding) or name.endswith((".output", ".down"))):
                module.register_forward_hook(self._drop)
        self.step, self.seconds, self.n_token, self.history = 0, 0.0, 0, []

    def _drop(self, module: nn.Module, _inputs, output: Tensor) -> Tensor:
        """Dropout where something is written to the residual stream; a hook, so that the transformer stays readable."""
        return F.dropout(output, self.args.dropout, module.training)

    def draw(self, rng: np.random.Generator):
        """The next batch, and how many tokens are predicted in it."""
        raise NotImplementedError

    def loss(self, batch) -> Tensor:
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
        self.command = after(saved.get("command", self.command), self.command, saved["step"], self.args.export)
        self.transformer.load_state_dict(saved["transformer"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.n_token, self.history = saved["n_token"], saved["history"]
        print(f"resumed at step {self.step:,}, {self.n_token:,} tokens")
        return True

    def save(self) -> None:
        """Write a checkpoint, never half of one, and keep the weights of those whose mean is exported."""
        state = {
            "config": asdict(self.config),
            "command": self.command,
            "transformer": self.transformer.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "seconds": self.seconds,
            "n_token": self.n_token,
            "history": self.history,
        }
        new = self.args.work / "checkpoint.new"
        names = [CHECKPOINT] if self.progress() > 1 - self.args.decay else [CHECKPOINT, BEFORE_DECAY]
        for name in names:
            torch.save(state, new)
            new.replace(self.args.work / name)
        weights = {name: t.clone() for name, t in self.transformer.state_dict().items()}
        torch.save(weights, self.args.work / f"weights-{self.step:07}.pt")
        for old in self.last_weights()[: -max(self.args.mean, 1)]:
            old.unlink()

    def last_weights(self) -> list[Path]:
        """The weights of the last checkpoints, the newest last."""
        return sorted(self.args.work.glob("weights-*.pt"))

    def take_mean(self) -> None:
        """Put the mean of the last checkpoints' weights in place of the last ones (Vaswani et al. 2017, §6.1)."""
        kept = self.last_weights()
        if len(kept) < self.args.mean:
            raise SystemExit(f"--mean {self.args.mean}: {self.args.work} holds the weights of {len(kept)} checkpoints")
        states = [
            torch.load(path, map_location=self.args.device, weights_only=True) for path in kept[-self.args.mean :]
        ]
        self.transformer.load_state_dict({name: sum(s[name] for s in states) / len(states) for name in states[0]})

    def progress(self) -> float:
        """How much of the budget is used: 0 to 1."""
        args = self.args
        if args.hours:
            return min(self.seconds / (args.hours * 3600), 1.0)
        return min(self.n_token / args.tokens if args.tokens else self.step / args.steps, 1.0)

    def ended(self) -> bool:
        """Whether this command has no step to go."""
        return self.progress() >= 1 or self.step >= (self.args.stop_at or math.inf)

    def schedule(self) -> float:
        """What part of the highest learning rates is in force: warm-up, constant, linear to zero."""
        warm_up = (self.step + 1) / self.args.warm_up if self.args.warm_up else 1.0
        left = (1 - self.progress()) / self.args.decay if self.args.decay else 1.0
        return min(warm_up, left, 1.0)

    def grown(self, size: int) -> int:
        """A batch's size by now: small batches learn faster at first, large ones learn more later."""
        return size * (self.args.batch_growth if self.progress() >= 1 / 3 else 1)

    def start(self) -> None:
        """Before the first step of a training that is not resumed."""

    def export(self, folder: Path) -> None:
        """Write what the app ships."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.half(), folder / builtin_files.WEIGHTS)
        self.tokenizer.save(folder / builtin_files.TOKENIZER)
        kind = {"architecture": self.architecture}
        card = {"title": self.title(), **kind, **self.card(), **self.facts()}
        (folder / builtin_files.CONFIG).write_text(json.dumps(asdict(self.config) | kind, indent=2) + "\n")
        write_card(folder, card)
        print(json.dumps({name: card.get(name) for name in self.printed}, indent=2, ensure_ascii=False))

    def title(self) -> str:
        """Of the model, for its card."""
        return self.architecture.capitalize()

    def facts(self) -> dict:
        """What the card says besides how it was trained: the data, and how well it does on what is held out."""
        raise NotImplementedError

    def carry_out(self) -> None:
        """Do what the command says: go on, or begin, or write what there is."""
        resumed = self.resume()
        if self.args.export:
            if not resumed:
                raise SystemExit(f"nothing to export: there is no {CHECKPOINT} in {self.args.work}")
            if self.args.mean > 1:
                self.take_mean()
            self.transformer.eval()
            self.export(self.args.export)
            return
        if not resumed:
            self.start()
        self.train()

    def train(self) -> None:
        bar = tqdm(total=1000, bar_format="{l_bar}{bar}| {elapsed}<{remaining} {postfix}", mininterval=5)
        while not self.ended():
            began = time.perf_counter()
            # one generator a step: a resumed run draws what an uninterrupted one would have drawn
            batch, n_token = self.draw(np.random.default_rng([self.args.seed, self.step]))
            loss = self.update(batch)
            self.step += 1
            self.n_token += n_token
            self.seconds += time.perf_counter() - began
            bar.n = round(1000 * self.progress())
            bar.set_postfix_str(f"step {self.step:,} loss {loss:.3f} {self.n_token / self.seconds:,.0f} tokens/s")
            if self.step % self.args.check_every == 0 or self.ended():
                self.transformer.eval()  # without dropout
                figures = self.check()
                self.transformer.train()
                self.history.append([self.step, self.n_token, round(self.seconds), *figures])
                shown = " ".join(f"{figure:.4f}" for figure in figures)
                tqdm.write(f"step {self.step:,}  {self.n_token:,} tokens  held-out {shown}")
                self.save()
        bar.close()

    def update(self, batch) -> float:
        """One step; the loss before it."""
        loss = self.loss(batch)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.transformer.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["highest"] * self.schedule()
            optimizer.step()
        return loss.item()

    def autocast(self) -> ExitStack:
        """How a forward pass is computed while training: in bfloat16 and, on a CPU, with attention written out."""
        stack = ExitStack()
        if not self.args.float32:
            stack.enter_context(torch.autocast(self.args.device, torch.bfloat16))
            if self.args.device == "cpu":
                stack.enter_context(WrittenOut())
        return stack

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
            "machine": machine(self.args.threads, self.args.device),
        }


def write_card(folder: Path, card: dict) -> None:
    (folder / builtin_files.CARD).write_text(builtin_files.card_text(card), encoding="utf-8")


def machine(n_thread: int, device: str = "cpu") -> str:
    """On what a training ran, for its card."""
    return f"{platform.machine()}, {n_thread} thread{'s' * (n_thread != 1)}, {device}"


def optimizers(args: argparse.Namespace, transformer: nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside blocks unless told otherwise, AdamW for the rest; vectors are never decayed.

    Each group holds its `highest` learning rate; the schedule says what part of it a step takes.
    """
    named = dict(transformer.named_parameters())
    blocks = [name for name, p in named.items() if p.ndim == 2 and name.startswith(("blocks.", "encoder.", "decoder."))]
    inside = [named.pop(name) for name in blocks] if args.optimizer == "muon" else []
    tables = [p for p in named.values() if p.ndim > 1]
    vectors = [p for p in named.values() if p.ndim == 1]
    rate, decay = args.learning_rate, args.weight_decay
    adamw = torch.optim.AdamW(
        [
            {"params": tables, "weight_decay": decay, "highest": rate},
            {"params": vectors, "weight_decay": 0.0, "highest": rate},
        ],
        betas=(0.9, 0.95),
        fused=True,
    )
    if not inside:
        return [adamw]
    matrices = {"params": inside, "weight_decay": decay, "highest": args.matrix_rate}
    return [adamw, Muon([matrices], dtype=torch.float32 if args.float32 else torch.bfloat16)]
