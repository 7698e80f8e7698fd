"""The course of a copier's training: step by step, with what each head did at each checkpoint.

Two heads have to find each other. One, in a lower layer, has to look at the token before, and write what it was;
another, above it, looks for the place whose token before is the present one, and copies what stands there: an induction
head (Elhage et al. 2021; Olsson et al. 2022). Before both are there neither is of use, so nothing seems to happen, and
then both lock within a few steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.analysis import head_scores
from model.attention_call import AS_TRAINED, Changes
from model.builtin.transformer import Attention, Config, Transformer
from model.intervention import Intervention
from model.lab import copying
from model.progress import tell
from model.run import VisitorError

BETAS, WEIGHT_DECAY, CLIP, WARM_UP = (0.9, 0.98), 0.01, 1.0, 50
SILENCE = 0.01  # how much a head costs for what it can write: one that is of no use falls silent
N_ROW, N_JUDGED = 64, 64  # rows of a step, and those on which a checkpoint is judged
FIRST = 2  # the id of the first symbol: before it stand the unknown token and the start
LOST = 100.0  # nats: from such a loss none comes back
LOCKED = {"induction": 0.8, "previous": 0.25}
_MOST = {"n_layer": 3, "n_head": 4, "d_model": 64, "n_step": 2000}


class LabError(VisitorError):
    """A training that cannot be begun, or not be gone on with."""


@dataclass(frozen=True)
class Settings:
    """What a copier is made of, and how it is trained."""

    n_layer: int = 2
    n_head: int = 2
    d_model: int = 32
    mlp: bool = False  # without, the layers have attention alone
    rate: float = 1e-2  # AdamW's learning rate, after the warm-up
    n_step: int = 600
    seed: int = 6
    spans: bool = True  # else each row repeats as a whole: see `copying`
    known_only: bool = True  # whether only what can be known counts in the loss
    every: int = 20  # steps from checkpoint to checkpoint

    def __post_init__(self):
        for name, most in _MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise LabError(f"{name} is {getattr(self, name)}: a copier takes 1 to {most}.")
        if self.d_model % self.n_head:
            raise LabError(f"A width of {self.d_model} cannot be shared evenly by {self.n_head} heads.")
        if not 0 < self.rate <= 10:
            raise LabError(f"The learning rate is {self.rate}: it has to be above 0, and at most 10.")


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stood after some steps, judged on rows that it was not trained on."""

    step: int
    trained: float  # loss, in nats, where the token can be known, on rows of the kind that it is trained on
    known: float  # the same on rows of spans
    unknown: float  # and where it cannot: ln 32 is to guess
    copied: float  # how much of what can be known has the highest probability
    previous: np.ndarray  # (L, H) scores of the heads: see `model.analysis.head_scores`
    induction: np.ndarray  # (L, H)
    weights: dict[str, np.ndarray]  # float16, of all tensors that are trained


def train(settings: Settings) -> Iterator[Checkpoint]:
    """A checkpoint before the first step, then one after every few, the last after the last step.

    Whoever lets the iterator go ends the training. Raises `LabError` once the loss is beyond `LOST`, or no number.
    """
    rng = np.random.default_rng(settings.seed)
    with torch.random.fork_rng(devices=()):  # whoever else draws random numbers here goes on with theirs
        torch.manual_seed(settings.seed)
        transformer = network(settings)
    trained = [parameter for parameter in transformer.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.rate, betas=BETAS, weight_decay=WEIGHT_DECAY)
    judged, alike = (copying.draw(N_JUDGED, np.random.default_rng(1), FIRST, spans=s) for s in (True, settings.spans))
    yield judge(0, transformer, judged, alike)
    for step in range(1, settings.n_step + 1):
        rows = copying.draw(N_ROW, rng, FIRST, spans=settings.spans)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * min(1, step / WARM_UP)
        with torch.enable_grad():
            loss = losses(transformer, rows)  # (N, T - 1)
            counted = torch.from_numpy(rows.known[:, 1:]) if settings.known_only else torch.ones_like(loss).bool()
            optimizer.zero_grad()
            (loss[counted].mean() + SILENCE * written(transformer)).backward()
        nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        tell(step, settings.n_step)
        if step % settings.every == 0 or step == settings.n_step:
            checkpoint = judge(step, transformer, judged, alike)
            check(checkpoint, settings.rate)
            yield checkpoint


def check(checkpoint: Checkpoint, rate: float) -> None:
    """Raises `LabError` once its loss is beyond `LOST`, or no number; `rate`: the learning rate that led there."""
    if checkpoint.trained < LOST:
        return
    loss = f"{checkpoint.trained:,.0f}" if np.isfinite(checkpoint.trained) else "no number"
    raise LabError(
        f"The loss is {loss} at step {checkpoint.step:,}, where to guess costs {np.log(len(copying.SYMBOLS)):.1f}: a "
        f"learning rate of {rate:g} is likely too high. The checkpoints before are kept."
    )


def config(settings: Settings) -> Config:
    n_vocab = FIRST + len(copying.SYMBOLS)
    return Config(n_vocab, copying.N_TOKEN, settings.n_layer, settings.n_head, settings.d_model, mlp=settings.mlp)


def network(settings: Settings) -> Transformer:
    """With random weights. Without an MLP, what it would write is 0, and is not trained."""
    return Transformer(config(settings))


def losses(transformer: Transformer, rows: copying.Rows, changes: Changes = AS_TRAINED) -> Tensor:
    """Cross-entropy of each token but the first of each row, among the symbols: (N, T - 1)."""
    ids = torch.from_numpy(rows.ids)
    logits = transformer(ids, changes)[0][:, :-1, FIRST:]  # what is no symbol never comes: left in, it delays the lock
    return F.cross_entropy(logits.transpose(1, 2), ids[:, 1:] - FIRST, reduction="none")


def written(transformer: Transformer) -> Tensor:
    """The sum over all heads of the size (Frobenius norm) of what they write by."""
    matrices = [_by_head(block.attention) for block in transformer.blocks]
    return sum(matrix.square().sum((0, 2)).sqrt().sum() for matrix in matrices)


def _by_head(attention: Attention) -> Tensor:
    return attention.output.weight.unflatten(1, (attention.n_head, attention.d_head))  # (D, H, K)


@torch.no_grad()
def judge(step: int, transformer: Transformer, rows: copying.Rows, alike: copying.Rows) -> Checkpoint:
    """On `rows` of spans, and on rows of the kind that it is trained on."""
    ids = torch.from_numpy(rows.ids)
    logits, record = transformer(ids)
    loss, known = losses(transformer, rows).numpy(), rows.known[:, 1:]
    right = logits[:, :-1, FIRST:].argmax(-1).numpy() + FIRST == rows.ids[:, 1:]
    previous, induction = [], []
    for call in record.attention:
        scores = call.query @ call.key.transpose(-1, -2) * call.scale  # (N, H, T, T)
        weights = scores.masked_fill(torch.ones(scores.shape[-2:]).bool().triu(1), -torch.inf).softmax(-1).numpy()
        previous.append(head_scores.previous_token(weights).mean(0))
        induction.append(np.mean([head_scores.induction(w, i) for w, i in zip(weights, rows.ids, strict=True)], 0))
    kept = {name: p.detach().half().numpy() for name, p in transformer.named_parameters() if p.requires_grad}
    return Checkpoint(
        step,
        float(losses(transformer, alike).numpy()[alike.known[:, 1:]].mean()),
        float(loss[known].mean()),
        float(loss[~known].mean()),
        float(right[known].mean()),
        np.array(previous),
        np.array(induction),
        kept,
    )


def locked(checkpoints: list[Checkpoint]) -> Checkpoint | None:
    """The first of them from which on both heads stay: the best scores are above those of `LOCKED` to the end."""
    found = None
    for checkpoint in checkpoints:
        both = checkpoint.induction.max() >= LOCKED["induction"] and checkpoint.previous.max() >= LOCKED["previous"]
        found = (found or checkpoint) if both else None
    return found


def restored(settings: Settings, checkpoint: Checkpoint) -> Transformer:
    """The transformer as it was then, but for the last digits that float16 does not hold."""
    transformer = network(settings).requires_grad_(False)
    transformer.load_state_dict({name: torch.from_numpy(w) for name, w in checkpoint.weights.items()})
    return transformer


def without(transformer: Transformer, rows: copying.Rows, layer: int, head: int) -> float:
    """The loss where the token can be known, with one head taken out."""
    ablated = Changes((Intervention(heads_off=((layer, head),)),))
    return float(losses(transformer, rows, ablated).numpy()[rows.known[:, 1:]].mean())
