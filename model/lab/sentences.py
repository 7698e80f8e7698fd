"""A few lines that a small transformer learns by heart, from random numbers: the loss of each token, what it writes.

The lines are read as one text, so that in the end each next token can be known; or each by itself, and then the lines
that begin alike cannot be told apart: the loss has a least value above 0.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Config, Transformer
from model.lab.course import LabError
from model.lab.vocabulary import UNITS as OWN_UNITS
from model.lab.vocabulary import Vocabulary, of_texts
from model.run import Token
from model.sources import builtin_files
from model.text.tokenizer import Tokenizer

LINES = ("I am a student.", "I love to study.", "I will graduate soon.")
OTHER = "I love to graduate soon."
STORY = Path(__file__).parents[1] / "weights" / "story"
WORDS, CHARACTERS, PIECES = UNITS = (*OWN_UNITS, "pieces")  # the last by the story model's tokenizer
N_LAYER, N_HEAD, D_MODEL, LEAST_CONTEXT = 2, 4, 64, 64
BETAS = (0.9, 0.95)
LOST = 100.0  # nats: from such a loss none comes back
MOST_LINES, MOST_CHARACTERS, MOST_TOKENS, MOST_STEPS, MOST_RATE = 30, 2000, 256, 2000, 10.0
MOST_WRITTEN, LONGEST_WRITTEN = 6, 30  # lines that are written on at a checkpoint, and tokens of each
N_CHECKPOINT = 30

AnyVocabulary = Vocabulary | Tokenizer


@dataclass(frozen=True)
class Settings:
    """What is learned, and how."""

    lines: tuple[str, ...] = LINES
    units: str = WORDS
    apart: bool = False  # each line a text by itself
    rate: float = 3e-4  # AdamW's learning rate
    n_step: int = 300
    seed: int = 0

    def __post_init__(self):
        _check(self.rate, self.n_step)


def lines_of(typed: str) -> tuple[str, ...]:
    """The lines of a text, without empty ones. Raises `LabError` if there is none, or too much."""
    lines = tuple(line.strip() for line in typed.splitlines() if line.strip())
    n_character = sum(map(len, lines))
    if not lines:
        raise LabError("There is no line to learn: type at least one, of two words or more.")
    if len(lines) > MOST_LINES or n_character > MOST_CHARACTERS:
        raise LabError(
            f"These are {len(lines):,} lines of {n_character:,} characters: at most {MOST_LINES} lines of "
            f"{MOST_CHARACTERS:,} characters together are learned here. Take some away."
        )
    return lines


@dataclass(frozen=True)
class Line:
    """Where a line stands in a row: from `first` to `end`; up to `given`, its first word, one gives it."""

    row: int
    first: int
    given: int
    end: int


@dataclass(frozen=True)
class Text:
    """What is learned, or judged: one row, or one for each line; the end of the text is the last token of each."""

    rows: tuple[tuple[Token, ...], ...]
    lines: tuple[Line, ...]

    @cached_property
    def ids(self) -> Tensor:
        """(N, T) int64, filled up with -100, which counts in no loss."""
        rows = [torch.tensor([token.id for token in row]) for row in self.rows]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)

    @property
    def targets(self) -> list[Token]:
        """The tokens that are to be predicted, in the order of a checkpoint's losses: all but the first of each row."""
        return [token for row in self.rows for token in row[1:]]

    def best(self) -> np.ndarray:
        """The least loss that any model can have of each target together: −ln of how often it follows what is before.

        Above 0 where rows begin alike and go on differently.
        """
        rows = [tuple(token.id for token in row) for row in self.rows]
        begun = Counter(row[:n] for row in rows for n in range(1, len(row) + 1))
        followed = Counter(row[:n] for row in rows for n in range(1, len(row)))  # without the ends
        return np.array([-np.log(begun[row[: n + 1]] / followed[row[:n]]) for row in rows for n in range(1, len(row))])


def vocabulary_of(lines: Sequence[str], units: str) -> AnyVocabulary:
    """Of words or characters: those of the lines; else the story model's own."""
    if units == PIECES:
        return _story()
    return of_texts(["\n".join(lines)], units)


@lru_cache(1)
def _story() -> Tokenizer:
    return Tokenizer.load(builtin_files.body(STORY) / builtin_files.TOKENIZER)


def text_of(vocabulary: AnyVocabulary, lines: Sequence[str], *, apart: bool = False, most: int = MOST_TOKENS) -> Text:
    """Raises `LabError` if it is of more than `most` tokens, or of one alone, which leaves nothing to predict."""
    end, rows, places = vocabulary.token(vocabulary.end_of_text), [], []
    for row, together in enumerate([[line] for line in lines] if apart else [lines]):
        tokens, begins = vocabulary.encode("\n".join(together)), 0
        for line in together:
            word = begins + re.match(r"\w+|\S", line).end()
            first, given = (sum(token.end <= at for token in tokens) for at in (begins, word - 1))
            begins += len(line) + 1
            places.append(Line(row, first, given + 1, sum(token.end <= begins for token in tokens)))
        places[-1] = Line(row, places[-1].first, places[-1].given, len(tokens) + 1)
        rows.append((*tokens, end))
    n_token = sum(map(len, rows))
    if n_token > most:
        raise LabError(f"These are {n_token:,} tokens with the end: at most {most:,} can be read here. Take some away.")
    if n_token == 2 * len(rows):
        raise LabError("Of one token, nothing is left to predict but the end: type a second word.")
    return Text(tuple(rows), tuple(places))


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stood after some steps, on each of the texts that it is judged by."""

    step: int
    losses: tuple[np.ndarray, ...]  # of each text, (N,): nats of each of `Text.targets`
    written: tuple[tuple[tuple[int, ...], ...], ...]  # of each text and line: the most probable ids, one after another

    def loss(self, text: int = 0) -> float:
        return float(self.losses[text].mean())


class Learner:
    """A transformer that learns a text. Its steps are gone through once; to go on, ask for more of them."""

    def __init__(self, transformer: Transformer, text: Text, rate: float, *, judged: Sequence[Text], end: int):
        """`judged`: the texts of its checkpoints. `end`: the token behind a text."""
        _check(rate)
        self.step = 0
        self._transformer, self._text, self._rate, self.judged, self._end = transformer, text, rate, judged, end
        self._optimizer: torch.optim.AdamW | None = None  # torch needs a second for the first of a process
        self.kept, self._kept_at = weights_of(transformer), 0  # of the last checkpoint; replaced, and never changed

    def steps(self, n: int, every: int | None = None) -> Iterator[Checkpoint]:
        """`n` more: a checkpoint before the very first, one after every few, and one after the last."""
        return (checkpoint for checkpoint in self.each_step(n, every) if checkpoint is not None)

    def each_step(self, n: int, every: int | None = None) -> Iterator[Checkpoint | None]:
        """The same, with None after each other step, so that one may stop there, and go on from there.

        Raises `LabError` once the loss is beyond `LOST`, or no number: then the weights are those of the last
        checkpoint, and so is the step.
        """
        _check(self._rate, n)
        every, last = every or every_few(n), self.step + n
        if self.step == 0:
            yield self._judge()
        while self.step < last:
            self._learn()
            self.step += 1
            if self.step % every == 0 or self.step == last:
                yield self._judge()
            else:
                yield None

    def _learn(self) -> None:
        """One step on the whole text."""
        if self._optimizer is None:
            weights = self._transformer.parameters()
            self._optimizer = torch.optim.AdamW(weights, lr=self._rate, betas=BETAS, weight_decay=0.0)
        with torch.enable_grad():
            loss = losses(self._transformer, self._text).mean()
            self._optimizer.zero_grad()
            loss.backward()
        self._held(loss.item())
        self._optimizer.step()

    @torch.no_grad()
    def _judge(self) -> Checkpoint:
        found = tuple(losses(self._transformer, text).numpy() for text in self.judged)
        self._held(float(losses(self._transformer, self._text).mean()))
        self.kept, self._kept_at = weights_of(self._transformer), self.step
        return Checkpoint(self.step, found, tuple(write(self._transformer, text, self._end) for text in self.judged))

    def _held(self, loss: float) -> None:
        """Raises `LabError` for a loss from which none comes back."""
        if loss < LOST:  # NaN is not
            return
        at, self.step = self.step, self._kept_at
        self._transformer.load_state_dict(self.kept)
        found = "no number" if np.isnan(loss) else f"{loss:,.0f}"
        raise LabError(
            f"After {at:,} step{'s' * (at != 1)} the loss is {found}, where to guess costs "
            f"{np.log(self._transformer.config.n_vocab):.1f}: a learning rate of {self._rate:g} is likely too high. "
            f"The last checkpoint before, of step {self.step:,}, is kept."
        )


def every_few(n_step: int) -> int:
    """Steps from checkpoint to checkpoint."""
    return max(1, -(-n_step // N_CHECKPOINT))


def n_checkpoints(n_step: int) -> int:
    """How many there are in all, the one before the first step among them."""
    return 1 - (-n_step // every_few(n_step))


def _check(rate: float, n_step: int = 0) -> None:
    if not 0 < rate <= MOST_RATE:
        raise LabError(f"The learning rate is {rate:g}: it has to be above 0, and at most {MOST_RATE:g}.")
    if not 0 <= n_step <= MOST_STEPS:
        raise LabError(f"These are {n_step:,} steps: at most {MOST_STEPS:,} are made here.")


def weights_of(transformer: Transformer) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in transformer.state_dict().items()}


def network(n_vocab: int, n_context: int, seed: int) -> Transformer:
    """With GPT-2's random start, from a generator of its own: torch's is that of all threads."""
    transformer, generator = Transformer(Config(n_vocab, n_context, N_LAYER, N_HEAD, D_MODEL)), torch.Generator()
    generator.manual_seed(seed)
    for name, parameter in transformer.named_parameters():
        if parameter.dim() == 2:
            writes = name.endswith(("attention.output.weight", "mlp.down.weight"))
            nn.init.normal_(parameter, std=0.02 / (2 * N_LAYER) ** 0.5 if writes else 0.02, generator=generator)
    return transformer


def losses(transformer: Transformer, text: Text) -> Tensor:
    """Cross-entropy of each of the text's targets, (N,), in nats."""
    ids = text.ids
    logits = transformer(ids.clamp(min=0))[0][:, :-1]  # (N, T - 1, V)
    counted = ids[:, 1:] >= 0
    return F.cross_entropy(logits[counted], ids[:, 1:][counted], reduction="none")


@torch.no_grad()
def write(transformer: Transformer, text: Text, end: int) -> tuple[tuple[int, ...], ...]:
    """What is most probable, token after token, behind each line's first word and all that its row has before it.

    As many tokens as the line goes on for, or until the end of a text; of the first few lines.
    """
    lines = text.lines[:MOST_WRITTEN]
    rows = [[token.id for token in text.rows[line.row][: line.given]] for line in lines]
    n_more = [min(line.end - line.given, LONGEST_WRITTEN) for line in lines]
    for i in range(max(n_more)):
        going = [r for r, row in enumerate(rows) if i < n_more[r] and row[-1] != end]
        if not going:
            break
        ids = nn.utils.rnn.pad_sequence([torch.tensor(rows[r]) for r in going], batch_first=True)
        hidden = transformer.read(transformer.embed(ids)).hidden[-1]  # (B, T, D)
        last = hidden[torch.arange(len(going)), [len(rows[r]) - 1 for r in going]]  # (B, D)
        for r, id in zip(going, transformer.unembed(last).argmax(-1).tolist(), strict=True):
            rows[r].append(id)
    return tuple(tuple(row[line.given :]) for row, line in zip(rows, lines, strict=True))


@dataclass
class Run:
    """A training from random numbers on: what it learns, by which tokens, and the learner that goes through it."""

    settings: Settings
    vocabulary: AnyVocabulary
    text: Text
    learner: Learner


def begin(settings: Settings, start: dict[str, Tensor] | None = None) -> Run:
    """Before its first step; or with weights that were trained already. Raises `LabError`, `PromptError`."""
    vocabulary = vocabulary_of(settings.lines, settings.units)
    text = text_of(vocabulary, settings.lines, apart=settings.apart)
    transformer = network(vocabulary.n_vocab, max(LEAST_CONTEXT, *map(len, text.rows)), settings.seed)
    if start:
        transformer.load_state_dict(start)
    learner = Learner(transformer, text, settings.rate, judged=(text,), end=vocabulary.end_of_text)
    return Run(settings, vocabulary, text, learner)


def fine_tuned(run: Run, sentence: str, rate: float) -> Run:
    """Another training, of one sentence, from the weights that a run has come to; judged by the run's text and by it.

    Raises `LabError`.
    """
    (line,) = lines_of(sentence)[:1]
    n_context = run.learner.kept["position_embedding.weight"].shape[0]
    text = text_of(run.vocabulary, [line], most=n_context)
    transformer = network(run.vocabulary.n_vocab, n_context, run.settings.seed)
    transformer.load_state_dict(run.learner.kept)
    judged, end = (run.text, text), run.vocabulary.end_of_text
    return Run(run.settings, run.vocabulary, text, Learner(transformer, text, rate, judged=judged, end=end))


def language_model(run: Run, title: str) -> BuiltinModel:
    """With the weights of its last checkpoint, as all pages read it."""
    weights = run.learner.kept
    transformer = network(run.vocabulary.n_vocab, weights["position_embedding.weight"].shape[0], 0)
    transformer.load_state_dict(weights)
    return BuiltinModel.of(transformer, run.vocabulary, title=title)
