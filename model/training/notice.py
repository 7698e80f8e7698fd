"""What is owed to those whose texts and vectors the encoder, and what builds on it, were made with."""

from pathlib import Path

_LICENCE = (Path(__file__).parent / "notice.md").read_text(encoding="utf-8")


def write(folder: Path) -> None:
    """NOTICE.md beside the weights; the list of picture books that it names is kept there by hand."""
    (folder / "NOTICE.md").write_text(_LICENCE, encoding="utf-8")
