"""What a component is made of, for Streamlit and for a page without it: its files, its HTML, columns of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from viz.figures import theme

COMPONENTS = Path(__file__).parent.parent / "components"


@dataclass(frozen=True)
class Source:
    """The component made of `name`.js and `name`.css.

    Components cannot import each other's scripts: the files of the names in `shared` are put before its own; what is
    shared may be a script alone.
    """

    name: str
    html: str
    shared: Sequence[str] = ()
    folder: Path = COMPONENTS  # of its own files; those shared lie with the components

    @property
    def js(self) -> str:
        return self._joined("js")

    @property
    def css(self) -> str:
        return f":host {{ --regard-accent: {theme.ACCENT} }}\n{self._joined('css')}"

    def _joined(self, kind: str) -> str:
        files = [COMPONENTS / f"{each}.{kind}" for each in ("base", *self.shared)]
        files.append(self.folder / f"{self.name}.{kind}")
        return "\n".join(file.read_text(encoding="utf-8") for file in files if file.exists())


class Columns(dict[str, np.ndarray]):
    """In a component's data: numbers by name, which reach its script as `data.x.getChild(name).toArray()`."""
