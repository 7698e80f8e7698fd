"""A decoder that can write reads a few lines more: what it gains on them, and what it loses on other texts.

Each line is read as Regard reads a text, and followed by the token that ends one; the loss is the cross-entropy of all
tokens but the first. All weights are trained, with AdamW, a few lines at a time.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Transformer
from model.lab.course import LabError
from model.lab.held_out import STORIES
from model.progress import tell

MOST_LINES, MOST_IN_LINE, MOST_CHARACTERS = 40, 300, 4000  # characters of a line, and of all
MOST_STEPS, MOST_SECONDS = 200, 90  # of one go, and of all of a training
LARGEST_RATE = 10.0
N_ROW = 8  # lines of a step
EVERY = 5  # steps from checkpoint to checkpoint
WARM_UP = 5  # steps in which the learning rate rises to what it is set to
BETAS, WEIGHT_DECAY, CLIP = (0.9, 0.98), 0.01, 1.0
LOST = 50.0  # nats a token: from such a loss none comes back


@dataclass(frozen=True)
class Settings:
    """How it is trained."""

    n_step: int = 20
    rate: float = 3e-4  # AdamW's learning rate, after the warm-up
    seed: int = 0  # which lines make a step

    def __post_init__(self):
        if not 1 <= self.n_step <= MOST_STEPS:
            raise LabError(f"{self.n_step:,} steps are asked for: a fine-tuning takes 1 to {MOST_STEPS}.")
        if not 0 < self.rate <= LARGEST_RATE:
            raise LabError(f"The learning rate is {self.rate:g}: it has to be above 0, and at most {LARGEST_RATE:g}.")


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stood after some steps."""

    step: int
    lines: float  # nats a token, on the lines that it learns
    held_out: float  # nats a token, on `STORIES`


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of what was typed, without the empty ones. Raises `LabError` if there are none, or too many."""
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not lines:
        raise LabError("There are no lines to learn from: write one at least, or choose an example.")
    if len(lines) > MOST_LINES:
        raise LabError(f"There are {len(lines):,} lines: at most {MOST_LINES} are learned here. Remove some.")
    for n, line in enumerate(lines, 1):
        if len(line) > MOST_IN_LINE:
            raise LabError(
                f"Line {n} has {len(line):,} characters: at most {MOST_IN_LINE} can be read at once here. Break it."
            )
    if (n := sum(map(len, lines))) > MOST_CHARACTERS:
        raise LabError(f"The lines have {n:,} characters: at most {MOST_CHARACTERS:,} are learned here. Remove some.")
    return lines


class Rows:
    """Texts side by side, the shorter ones filled up: ids (N, T), and which tokens are to be foreseen."""

    def __init__(self, lm: BuiltinModel, texts: Sequence[str], *, ended: bool):
        """`ended`: whether the token that ends a text is behind each. Raises `PromptError` for what cannot be read."""
        end = lm.tokenizer.end_of_text
        cut = [[token.id for token in lm.encode(text)] + [end] * ended for text in texts]
        self.ids = torch.full((len(cut), max(map(len, cut))), end)
        self.counts = torch.zeros(self.ids.shape, dtype=torch.bool)
        for row, ids in enumerate(cut):
            self.ids[row, : len(ids)] = torch.tensor(ids)
            self.counts[row, 1 : len(ids)] = True

    def loss(self, transformer: Transformer, rows: Sequence[int] | slice = slice(None)) -> Tensor:
        """The mean cross-entropy of what is to be foreseen, in nats a token."""
        counts = self.counts[rows]
        n = int(counts.nonzero()[:, 1].max()) + 1  # what is padding in all of these is not read
        ids, counts = self.ids[rows][:, :n], counts[:, 1:n]
        logits, _ = transformer(ids)
        return F.cross_entropy(logits[:, :-1][counts], ids[:, 1:][counts])


class FineTuning:
    """A copy of a decoder that learns some lines. What is good of it is kept; it can be gone on with."""

    def __init__(self, lm: BuiltinModel, lines: Sequence[str], settings: Settings):
        """Raises `LabError` if nothing of the lines can be foreseen, `PromptError` if one cannot be read."""
        self.lm, self.lines, self.settings = lm, tuple(lines), settings
        self._rows, self._judged = Rows(lm, lines, ended=True), Rows(lm, lines, ended=False)
        self._held_out = Rows(lm, STORIES, ended=False)
        if not self._judged.counts.any():
            raise LabError(
                "Each line is a single token, and of one nothing can be foreseen: write two words in a line at least."
            )
        self._transformer = copy.deepcopy(lm.transformer).requires_grad_(True)
        self._good = _weights(self._transformer)
        self._optimizer = torch.optim.AdamW(
            self._transformer.parameters(), lr=settings.rate, betas=BETAS, weight_decay=WEIGHT_DECAY
        )
        self._rng = np.random.default_rng(settings.seed)
        self._order: list[int] = []
        self._n_step = 0
        self.checkpoint = Checkpoint(0, math.nan, math.nan)  # the last good one, judged when it begins

    @property
    def n_step(self) -> int:
        """Steps until the last good checkpoint."""
        return self.checkpoint.step

    def steps(self, n: int) -> Iterator[Checkpoint]:
        """`n` steps more: a checkpoint after every few and after the last, and at first the one before the first.

        Whoever lets the iterator go ends the training behind the last checkpoint. Raises `LabError` once the loss is
        beyond `LOST`, or no number; then the weights are those of the last checkpoint again.
        """
        if self._n_step == 0:
            self.checkpoint = self._judge()
            yield self.checkpoint
        elif self._n_step != self.n_step:
            self._back()
        last = self._n_step + n
        while self._n_step < last:
            loss = self._step()
            tell(self._n_step, last)
            if not loss < LOST:  # NaN neither
                raise self._lost(loss)
            if self._n_step % EVERY == 0 or self._n_step == last:
                checkpoint = self._judge()
                if not checkpoint.lines < LOST:
                    raise self._lost(checkpoint.lines)
                self._good, self.checkpoint = _weights(self._transformer), checkpoint
                yield checkpoint

    def finished(self, title: str) -> BuiltinModel:
        """The model of the last good checkpoint."""
        transformer = Transformer(self._transformer.config)
        transformer.load_state_dict(self._good)
        return BuiltinModel.of(transformer, self.lm.tokenizer, title=title)

    @torch.enable_grad()
    def _step(self) -> float:
        if len(self._order) < min(N_ROW, len(self.lines)):
            self._order += self._rng.permutation(len(self.lines)).tolist()
        rows, self._order = self._order[:N_ROW], self._order[N_ROW:]
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.rate * min(1.0, (self._n_step + 1) / WARM_UP)
        loss = self._rows.loss(self._transformer, rows)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._transformer.parameters(), CLIP)
        self._optimizer.step()
        self._n_step += 1
        return float(loss.detach())

    @torch.no_grad()
    def _judge(self) -> Checkpoint:
        return Checkpoint(
            self._n_step, float(self._judged.loss(self._transformer)), float(self._held_out.loss(self._transformer))
        )

    def _lost(self, loss: float) -> LabError:
        step = self._n_step
        self._back()
        return LabError(
            f"At step {step:,} the loss was {loss:,.0f} nats a token, far more than guessing costs "
            f"({np.log(self.lm.info.n_vocab):.1f}): a learning rate of {self.settings.rate:g} is likely too high. "
            f"The model of step {self.n_step:,} is kept."
        )

    def _back(self) -> None:
        """To the last good checkpoint; the optimizer's memory of what came after it goes."""
        self._transformer.load_state_dict(self._good)
        self._n_step = self.n_step
        self._optimizer.state.clear()


def _weights(transformer: Transformer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in transformer.state_dict().items()}
