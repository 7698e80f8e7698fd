"""The console command `regard finetune`: a checkpoint reads a file of yours (`model.huggingface.fine_tuning`).

Nothing heavy is imported before the arguments are known to be good.
"""

import argparse
import contextlib
import importlib.util
import shutil
import sys
from pathlib import Path

from model.run import VisitorError

MOST_BYTES = 200 * 10**6  # of a data file: it is read into memory as a whole
PACKAGES = {"accelerate": "transformers' Trainer", "peft": "--lora"}
OPTIONS = ("lora", "by", "epochs", "steps", "batch", "block", "seed", "save_every", "cpu")
CHECKPOINTS, BASE = "checkpoints", "story"  # within --out
STOPPED = 130  # as a shell says it of Ctrl-C


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="regard finetune",
        description="Train a decoder of Hugging Face's on a text file, with transformers' Trainer, on the GPU if there "
        "is one. What comes out is a folder that transformers and Regard open.",
    )
    made.add_argument(
        "model",
        metavar="MODEL",
        help="a folder, the id of a hub model that you have downloaded, package:NAME, or story, Regard's own",
    )
    made.add_argument("--data", type=Path, required=True, metavar="FILE", help="a text file in UTF-8")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the new model goes; must not exist")
    made.add_argument("--lora", action="store_true", help="train an adapter of low rank (Hu et al. 2021) alone")
    made.add_argument("--resume", action="store_true", help="go on where a run into this DIR was stopped")
    made.add_argument("--held-out", type=Path, metavar="FILE", help="texts to judge what it forgets; not trained on")
    made.add_argument(
        "--by",
        choices=("lines", "blocks"),
        default="lines",
        help="what is read at once: each line alone (default), or the whole file cut into blocks",
    )
    number = {"epochs": (float, 3.0), "steps": (int, 0), "rate": (float, 0.0), "batch": (int, 8), "block": (int, 256)}
    number["save-every"] = int, 0
    meaning = {
        "epochs": "how often all is read (default: %(default)s)",
        "steps": "stop after so many steps, whatever --epochs says",
        "rate": "AdamW's learning rate (default: 5e-5, with --lora 2e-4)",
        "batch": "lines or blocks of a step (default: %(default)s)",
        "block": "tokens that are read at once, at most (default: %(default)s)",
        "save-every": "steps from checkpoint to checkpoint (default: a tenth of all, and ten at least)",
    }
    for name, (kind, default) in number.items():
        made.add_argument(f"--{name}", type=kind, default=default, metavar="N", help=meaning[name])
    made.add_argument("--seed", type=int, default=0, metavar="N", help="of the order of the lines (default: 0)")
    made.add_argument("--cpu", action="store_true", help="do not use a GPU")
    return made


def main(argv: list[str]) -> int:
    """The exit status: 0, or 1 with a sentence on stderr, or 130 after Ctrl-C. argparse itself ends with 2."""
    asked = parser()
    args = asked.parse_args(argv)
    for name in ("epochs", "batch", "block"):
        if not getattr(args, name) > 0:
            asked.error(f"argument --{name}: {getattr(args, name)} is not above 0")
    for name in ("steps", "rate", "seed", "save_every"):
        if not getattr(args, name) >= 0:
            asked.error(f"argument --{name.replace('_', '-')}: {getattr(args, name)} is below 0")
    try:
        texts = read(args.data, "--data")
        held_out = read(args.held_out, "--held-out") if args.held_out else []
        check_out(args.out, args.resume)
        check_packages(["accelerate", *["peft"] * args.lora])
        say("Starting transformers …")
        from model.huggingface.fine_tuning import Asked, fine_tune

        model = resolved(args.model, args.out)
        rate = args.rate or (2e-4 if args.lora else 5e-5)
        options = {name: getattr(args, name) for name in OPTIONS}
        fine_tune(Asked(model, args.out, rate=rate, **options), texts, held_out, args.resume, say)
    except VisitorError as error:
        say(f"regard finetune: {error}")
        return 1
    except KeyboardInterrupt:
        more = (
            "the same command with --resume goes on from the last checkpoint" if saved(args.out) else "nothing is saved"
        )
        say(f"Stopped: {more}.")
        return STOPPED
    finally:
        if not saved(args.out):
            clear(args.out)
    keep_base(args.out, args.lora)
    return 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def read(path: Path, option: str) -> list[str]:
    """The lines of a text file that are not empty. Raises `VisitorError`."""
    try:
        if (n_byte := path.stat().st_size) > MOST_BYTES:
            raise VisitorError(f"{option} {path} has {n_byte:,} bytes: at most {MOST_BYTES:,} are read. Cut it.")
        content = path.read_bytes()
    except OSError as error:
        raise VisitorError(f"{option} {path} cannot be read: {error.strerror or error}. Give a text file.") from error
    try:
        if b"\0" in content:
            raise ValueError("it holds bytes that no text has")
        text = content.decode("utf-8-sig")
    except ValueError as error:
        raise VisitorError(f"{option} {path} is no text in UTF-8 ({error}). Give a text file.") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise VisitorError(f"{option} {path} is empty: there is nothing to learn from. Write a line of text at least.")
    return lines


def check_out(out: Path, resume: bool) -> None:
    """Raises `VisitorError` if nothing can be written there, or nothing is there to go on with."""
    if resume:
        if not saved(out):
            raise VisitorError(f"--resume: {out} holds no checkpoint to go on from. Start without --resume.")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        more = " A run into it was stopped: --resume goes on with it." if saved(out) else ""
        raise VisitorError(f"--out {out} exists and is not empty. Give another folder, or empty it.{more}")
    try:
        (out / CHECKPOINTS).mkdir(parents=True)
    except OSError as error:
        raise VisitorError(f"--out {out} cannot be made: {error.strerror or error}. Give another folder.") from error


def saved(out: Path) -> bool:
    return any((out / CHECKPOINTS).glob("checkpoint-*"))


def clear(out: Path) -> None:
    """What a run began and did not come to save."""
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    if not (out / "config.json").exists() and not (out / "adapter_config.json").exists():
        shutil.rmtree(out / BASE, ignore_errors=True)
        with contextlib.suppress(OSError):  # it holds something else
            out.rmdir()


def keep_base(out: Path, lora: bool) -> None:
    """Of Regard's own model its notices, and all of it only where an adapter needs it."""
    for name in ("NOTICE.md", "storybooks-attribution.tsv"):
        if (out / BASE / name).is_file():
            shutil.copy(out / BASE / name, out / name)
    if not lora:
        shutil.rmtree(out / BASE, ignore_errors=True)


def check_packages(names: list[str]) -> None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        wanted = " and ".join(f"{name} (for {PACKAGES[name]})" for name in missing)
        raise VisitorError(f"It needs {wanted}, not installed here. Install with: pip install 'regard[finetune]'")


def resolved(name: str, out: Path) -> Path:
    """The folder of the checkpoint to begin from. Regard's own is written beside what comes out.

    Raises `ModelNotAvailable`.
    """
    from model import catalog

    if name != catalog.DEFAULT or Path(name).exists():
        return catalog.checkpoint_folder(name)
    from model.lab.exported import files_of

    lm, base = catalog.load(name), (out / BASE).resolve()
    base.mkdir(exist_ok=True)
    origin = "Regard's own story model, as it is shipped."
    for file, content in files_of(lm, origin, catalog.WEIGHTS / name).items():
        (base / file).write_bytes(content)
    return base
