"""What the command `regard` does besides serving the app: one module a command, imported when it is asked for.

Data goes to stdout or into the file after -o, all that is said to stderr. The exit status is 0; 1 for what one sentence
tells how to mend; 2 for a wrong command, as argparse has it; 130 after Ctrl-C and 141 on a closed pipe, as shells do.
"""

from importlib import import_module

COMMANDS = {
    "tokens": "how a model cuts a text into tokens",
    "generate": "a text written on, as it is written",
    "heads": "what each head does, scored over many texts",
    "picture": "a picture of one head, or of many, as SVG, HTML or PNG",
    "export": "a run as data: an NPZ file that NumPy reads",
    "report": "all heads alive in one HTML file, offline",
}


def main(name: str, argv: list[str]) -> int:
    """The exit status. KeyError for another name; SystemExit, with 2, for arguments that are wrong."""
    from viz.commands import shell

    if name not in COMMANDS:
        raise KeyError(name)
    made = import_module(f"viz.commands.{name}")
    parser = made.parser()
    args = parser.parse_args(argv)
    return shell.guarded(parser.prog, lambda: made.run(args, parser))
