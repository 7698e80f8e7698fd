"""`regard export`: a run as data."""

import argparse
import shutil
from pathlib import Path

from model.run import VisitorError
from viz.commands import shell


def parser() -> argparse.ArgumentParser:
    made = shell.parser(
        "export",
        "Write all that a model computed while it read a text into one NPZ file: tokens with their places, queries, "
        "keys, values, hidden vectors, predictions, and the weights of heads. NumPy reads it, a README.txt inside says "
        "what is what, and model.load_run(FILE) gives the run back, equal to the last bit. How much it takes is said "
        "first.",
        'regard export "The cat sat on the mat" --heads "3.2, 4.*" -o run.npz',
    )
    made.add_argument(
        "--heads",
        default="*.*",
        metavar="HEADS",
        help="of which heads the weights are written: layer.head, * for all (default: all), or none",
    )
    shell.add_out(made, required=True)
    return made


def run(args: argparse.Namespace, asked: argparse.ArgumentParser) -> None:
    text = shell.text_of(args.text)
    shell.check_out(args.out, args.force)
    from model.analysis.attention_map import parse_heads
    from model.analysis.run_file import save_run, sizes
    from model.text.prompt import Prompt, tokens_of

    lm = shell.loaded(args.model)
    tokens, source = tokens_of(lm, Prompt(text))
    made = lm.run(tokens, source=source)
    heads = [
        (kind, layer, head)
        for kind in made.kinds
        if args.heads.strip() != "none"
        for layer, head in parse_heads(args.heads, made.grid(kind))
    ]
    parts = sizes(made, heads)
    for part, n_byte in parts.items():
        shell.say(f"{NAMES[part]}: {n_byte:,} bytes")
    path, needed = Path(args.out), sum(parts.values())
    into_a_file = args.out != shell.STDOUT and (path.is_file() or not path.exists())
    if into_a_file and needed > (free := shutil.disk_usage(path.parent).free):
        raise VisitorError(
            f"{args.out} would take {needed:,} bytes, and {free:,} are free there. Name fewer --heads, or another disk."
        )
    with shell.opened(args.out, args.force) as file:
        save_run(made, file, heads, text)
    if args.out != shell.STDOUT:
        shell.say(f"Written: {args.out}")


NAMES = {
    "attention": "Queries, keys and values",
    "hidden": "Hidden vectors",
    "predictions": "Predictions",
    "weights": "Weights of heads",
}
