"""README's pictures, made by the command itself: `python -m tests.pictures` makes them again."""

import shlex
import sys

from tests.conftest import ROOT
from viz import cli

FOLDER = ROOT / ".github/pictures"
# each stands in the README, below the command that made it
PICTURES = {
    "cat.svg": 'regard picture "The cat sat on the mat" --layer 4 --head 4 -o cat.svg',
    "heads.svg": 'regard picture "The dog barked at the cat. The dog barked at the" --all -o heads.svg',
}


def make(name: str, where) -> int:
    """The exit status of a picture's command, which writes it to `where`."""
    command, *argv = shlex.split(PICTURES[name])
    if command != "regard" or argv[-2:] != ["-o", name]:
        raise ValueError(f"{name} is not made by {PICTURES[name]!r}")
    try:
        cli.main([*argv[:-1], str(where), "--force"])
    except SystemExit as ended:
        return ended.code or 0
    return 0


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    sys.exit(max(make(name, FOLDER / name) for name in PICTURES))
