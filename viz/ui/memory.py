"""What a session knows of its choices besides their values; `viz.ui.links` keeps it."""

import weakref
from collections.abc import Hashable, Set
from dataclasses import dataclass, field
from typing import Any

from viz.ui import held


@dataclass
class Memory:
    """Of one session, from its first run on."""

    chosen: dict[str, Any] = field(default_factory=dict)  # the values, of every page, as they were last seen
    own: dict[str, dict[str, Any]] = field(default_factory=dict)  # those of each model that is not read now
    reader: dict[str, str | None] = field(default_factory=dict)  # whose the present ones are; None: whoever reads
    default: dict[str, Any] = field(default_factory=dict)  # where the page makes it of its text and model
    about: dict[str, Hashable] = field(default_factory=dict)  # what some choices were made about
    asked: dict[str, str] = field(default_factory=dict)  # what an address says, until it was told what was dropped
    got: dict[str, str] | None = None  # with what query the session began, until the browser has confirmed it
    too_long: tuple[int, int] | None = None  # characters and choices of a link that was not read
    lost_text: bool = False
    # what was set here and by callbacks, until the browser sends it back after a run that drew its widget and came to
    # its end: of one that is broken off it may have got nothing, and of two together it shows the second alone
    unsaid: set[str] = field(default_factory=set)
    drawn: set[str] = field(default_factory=set)  # in this run
    told: set[str] = field(default_factory=set)  # of what is unsaid: drawn by runs that came to their end
    run: weakref.ref | None = None  # in which a part was last drawn
    around: bool = False  # whether the first one of this run, which writes the address, is being drawn
    among: dict[str, int] = field(default_factory=dict)  # how many there were when one of them was last chosen

    def is_unsaid(self, names: Set[str]) -> None:
        """The browser is to be told these."""
        self.unsaid |= names
        self.told -= names

    def hear(self) -> None:
        """At the start of a run: what the browser sends back needs to be told no more."""
        back = held.sent(self.told)
        self.unsaid -= back
        self.told -= back
