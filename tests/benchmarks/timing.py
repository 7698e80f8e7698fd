"""Interleaved rounds, and the rows of the table that all subjects fill."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_ROUND = 0.2  # seconds: the kernel counts processor time in hundredths
_LONG = 3.0  # a round that has taken so long is over, even if nothing was called three times


class NotMeasurable(Exception):
    """Something that a subject needs is missing here; the message says what."""


@dataclass(frozen=True)
class Measured:
    """One row: what was measured, what came out, what was wanted; `met` is None where nothing was."""

    what: str
    figure: str
    target: str = ""
    met: bool | None = None


def at_most(what: str, value: float, target: float, unit: str = "", note: str = "") -> Measured:
    """A row with an upper limit."""
    figure = (f"{value:,.0f}" if value >= 100 else f"{value:.3g}") + unit + (f"  ({note})" if note else "")
    return Measured(what, figure, f"≤ {target:g}{unit}", value <= target)


def part_of(what: str, ours: float, theirs: float, target: int | None, note: str) -> Measured:
    """A row that wants ours to be at most 1/`target` of theirs."""
    figure = f"1/{theirs / ours:,.0f}  ({note})"
    return Measured(what, figure, f"≤ 1/{target}", ours * target <= theirs) if target else Measured(what, figure)


def table(rows: Sequence[Measured]) -> str:
    verdict = {True: "met", False: "NOT MET", None: ""}
    cells = [("what", "target", "", "figure")] + [(row.what, row.target, verdict[row.met], row.figure) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


@dataclass(frozen=True)
class Rounds:
    """Seconds of each variant in each of the quieter half of the rounds."""

    seconds: dict[str, np.ndarray]
    processor: dict[str, np.ndarray]  # what this process itself used of them: it knows no waiting for a core
    others: float  # median share of one core that other processes used in these rounds; nan where it cannot be known

    def median(self, name: str) -> float:
        return float(np.median(self.seconds[name]))

    def ratio(self, name: str, to: str) -> float:
        """The median of the rounds' own ratios: a slow drift of the machine cancels out."""
        return float(np.median(self.seconds[name] / self.seconds[to]))

    def processor_ratio(self, name: str, to: str) -> float:
        """The same by processor time; says more where others use the cores, for work on one thread."""
        return float(np.median(self.processor[name] / self.processor[to]))


def interleaved(variants: dict[str, Callable[[], object]], n_round: int) -> Rounds:
    """Run all variants in turn, again and again, for `n_round` rounds of about 0.2 s; keep the quieter half.

    A variant that takes seconds is called once a round, and warmed up once.

    A round's figure for a variant is the median of its calls in the round. What a call returns is let go only after the
    clock has stopped, so that keeping a result costs what it costs and freeing it does not count.
    """
    names = list(variants)
    began = time.perf_counter()
    for name in names * 2:
        if name == names[0] and time.perf_counter() - began > _LONG:
            break
        variants[name]()
    rounds, others = {name: [] for name in names}, []  # (seconds, processor seconds)
    for _ in range(n_round):
        calls = {name: [] for name in names}
        busy, own, began = _busy_seconds(), time.process_time(), time.perf_counter()
        while (passed := time.perf_counter() - began) < _ROUND or (passed < _LONG and len(calls[names[0]]) < 3):
            for name in names:
                start, used = time.perf_counter(), time.process_time()
                kept = variants[name]()
                calls[name].append((time.perf_counter() - start, time.process_time() - used))
                del kept
            names.reverse()  # nobody always comes first
        wall = time.perf_counter() - began
        others.append(np.maximum(0.0, _busy_seconds() - busy - (time.process_time() - own)) / wall)
        for name in names:
            rounds[name].append(np.median(calls[name], axis=0))
    quiet = np.argsort(others, kind="stable")[: max(1, n_round // 2)]
    wall, processor = ({name: np.array(rounds[name])[quiet, clock] for name in names} for clock in (0, 1))
    return Rounds(wall, processor, float(np.median(np.array(others)[quiet])))


def _busy_seconds() -> float:
    """Processor seconds that all processes of this machine have used; nan where the kernel does not say."""
    try:
        user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    except (OSError, ValueError):
        return float("nan")
    return (user + nice + system + irq + softirq) / 100
