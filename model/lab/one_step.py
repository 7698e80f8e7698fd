"""A short training in double precision of which any step can be opened: its batch, all gradients, AdamW's numbers.

The training itself is PyTorch's (autograd, `clip_grad_norm_`, `torch.optim.AdamW`); `model.lab.by_hand` makes the same
numbers again. What is learned, and how, says `model.lab.short_course`; all depends on that alone.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.builtin.transformer import Config, Transformer
from model.lab import by_hand
from model.lab.by_hand import Answer, Update
from model.lab.short_course import Batch, Settings, draw, rows_of, vocabulary_of

NUDGE = 1e-6  # by which a weight is moved to see what the loss does


@dataclass(frozen=True)
class Matrix:
    """A matrix of weights, and where it lies among all numbers that are trained."""

    name: str  # of the parameter
    shape: tuple[int, int]
    first: int

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Its own (R, C) of numbers for all weights (P,)."""
        return numbers[self.first : self.first + self.shape[0] * self.shape[1]].reshape(self.shape)

    def at(self, row: int, column: int) -> int:
        """The place of one weight among all."""
        return self.first + row * self.shape[1] + column


@dataclass(frozen=True)
class Flow:
    """What each token of the batch adds to the gradient of a matrix: at row i and column j, `left[i] · right[j]`."""

    kind: str  # "linear", "reads" (a table's row is looked up), "writes" (it makes a logit)
    left: np.ndarray  # (N, R)
    right: np.ndarray  # (N, C)

    def at(self, row: int, column: int) -> np.ndarray:
        """(N,)"""
        return self.left[:, row] * self.right[:, column]


@dataclass(frozen=True)
class Training:
    """One that has been gone through."""

    settings: Settings
    matrices: tuple[Matrix, ...]
    parameters: tuple[tuple[str, tuple[int, ...], int], ...]  # name, shape and first place of all, vectors too
    losses: np.ndarray  # (S, 2) of each step's batch, before and after it
    norms: np.ndarray  # (S,) of all gradients together, before they are clipped
    states: np.ndarray  # (S + 1, 3, P): weights, m, v before the first step, and after each

    @property
    def n_weight(self) -> int:
        """P, all numbers that are trained."""
        return self.states.shape[2]


@dataclass(frozen=True)
class Step:
    """One step, as PyTorch did it, and by hand."""

    t: int  # counted from 1
    rate: float
    batch: Batch
    answer: Answer  # by hand, from the model's logits
    loss: float  # by PyTorch
    loss_after: float  # on the same batch
    logit_gradient: np.ndarray  # (n, V) by autograd
    gradient: np.ndarray  # (P,) by autograd, before it is clipped
    norm: float  # by PyTorch
    share: float  # what clipping multiplies each gradient with, by hand
    norm_by_hand: float
    update: Update  # by hand
    after: np.ndarray  # (3, P) weights, m, v by torch.optim.AdamW
    flows: dict[str, tuple[Flow, ...]]  # of each matrix

    @property
    def clipped(self) -> bool:
        return self.share < 1


def train(settings: Settings) -> Training:
    """Go through all steps."""
    learner, n_step = _Learner(settings), settings.schedule.n_step
    losses, norms, states = np.empty((n_step, 2)), np.empty(n_step), np.empty((n_step + 1, 3, learner.n_weight))
    states[0] = learner.state(0)
    for t in range(1, n_step + 1):
        batch = learner.draw(t)
        loss = learner.loss(learner.logits(batch), batch)
        losses[t - 1, 0], norms[t - 1] = loss.item(), learner.step(loss, t)
        with torch.no_grad():
            losses[t - 1, 1] = learner.loss(learner.logits(batch), batch)
        states[t] = learner.state(t)
    return Training(settings, learner.matrices, learner.places, losses, norms, states)


def open_step(training: Training, t: int) -> Step:
    """Step `t` of it, counted from 1, with all numbers; ValueError if there is none."""
    settings = training.settings
    if not 1 <= t <= settings.schedule.n_step:
        raise ValueError(f"step {t} of {settings.schedule.n_step}")
    learner = _at(training, t)
    before, m_before, v_before = training.states[t - 1]
    batch = learner.draw(t)
    with learner.watched(batch) as flows:
        logits = learner.logits(batch)  # (n, V)
        logits.retain_grad()
        loss = learner.loss(logits, batch)
        learner.optimizer.zero_grad()
        loss.backward()
    gradient = learner.flat(lambda parameter: parameter.grad)
    rate = settings.schedule.rate(t)
    norm = learner.clip_and_move(t)
    targets = batch.targets[batch.asked]
    by_norm, share = by_hand.clipping(gradient, settings.clip)
    moved = by_hand.adamw(before, gradient * share, m_before, v_before, t=t, rate=rate, settings=settings.optimizer)
    with torch.no_grad():
        after = learner.loss(learner.logits(batch), batch).item()
    return Step(
        t,
        rate,
        batch,
        by_hand.cross_entropy(logits.detach().numpy(), targets),
        loss.item(),
        after,
        logits.grad.numpy(),
        gradient,
        norm,
        share,
        by_norm,
        moved,
        learner.state(t),
        flows(),
    )


def chain_rule_off(training: Training, step: Step) -> float:
    """How far the gradients of all matrices, as their flows add up, are from autograd's: the largest difference."""
    return max(
        float(np.abs(sum(flow.left.T @ flow.right for flow in step.flows[m.name]) - m.of(step.gradient)).max())
        for m in training.matrices
    )


def nudged(training: Training, t: int, place: int) -> float:
    """The gradient of one weight, by its place among all, as a difference: the loss with it a little larger, and a
    little smaller.
    """
    learner = _at(training, t)
    batch, weights = learner.draw(t), learner.flat(lambda parameter: parameter)
    losses = []
    for by in (NUDGE, -NUDGE):
        moved = weights.copy()
        moved[place] += by
        learner.put(moved)
        with torch.no_grad():
            losses.append(learner.loss(learner.logits(batch), batch).item())
    return (losses[0] - losses[1]) / (2 * NUDGE)


@dataclass(frozen=True)
class Way:
    """One weight through a whole training: what it was after each step (S + 1,), and what moved it (S,)."""

    weight: np.ndarray
    gradient: np.ndarray  # clipped
    m_hat: np.ndarray
    v_hat: np.ndarray


def way_of(training: Training, place: int) -> Way:
    """Of the weight at a place among all."""
    weight, m, v = training.states[:, :, place].T
    beta_1, beta_2 = training.settings.optimizer.betas
    steps = np.arange(1, len(weight))
    gradient = (m[1:] - beta_1 * m[:-1]) / (1 - beta_1)  # what m was made of
    return Way(weight, gradient, m[1:] / (1 - beta_1**steps), v[1:] / (1 - beta_2**steps))


def _at(training: Training, t: int) -> "_Learner":
    """As it was before step `t`."""
    learner = _Learner(training.settings)
    learner.restore(training.states[t - 1], t - 1)
    return learner


class _Learner:
    """The model and its optimizer."""

    def __init__(self, settings: Settings):
        self.settings = settings
        vocabulary, self._rows = vocabulary_of(settings), rows_of(settings)
        longest = max(map(len, self._rows)) - 1
        shape = Config(vocabulary.n_vocab, longest, settings.n_layer, settings.n_head, settings.d_model)
        self.transformer = Transformer(shape).double()
        named = list(self.transformer.named_parameters())
        self.parameters = [parameter for _, parameter in named]
        ends = np.cumsum([parameter.numel() for parameter in self.parameters]).tolist()
        firsts = zip(named, [0, *ends[:-1]], strict=True)
        self.n_weight = ends[-1]
        self.places = tuple((name, tuple(parameter.shape), first) for (name, parameter), first in firsts)
        self.matrices = tuple(Matrix(*place) for place in self.places if len(place[1]) == 2)
        self._begin()
        chosen = settings.optimizer
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=0.0, betas=chosen.betas, eps=chosen.epsilon, weight_decay=chosen.decay, foreach=False
        )

    def _begin(self) -> None:
        """Random weights by a generator of its own: PyTorch's is everybody's, also that of whoever trains beside."""
        random = torch.Generator().manual_seed(self.settings.seed)
        writers = (2 * self.settings.n_layer) ** 0.5
        for name, parameter in self.transformer.named_parameters():
            if parameter.ndim == 2:
                std = 0.02 / writers if name.endswith(("output.weight", "down.weight")) else 0.02
                nn.init.normal_(parameter, std=std, generator=random)

    def draw(self, t: int) -> Batch:
        """The batch of step `t`."""
        return draw(self.settings, self._rows, t)

    def logits(self, batch: Batch) -> Tensor:
        """(n, V) where something is asked."""
        with torch.enable_grad():
            logits = self.transformer(torch.from_numpy(batch.ids))[0]  # (B, T, V)
            return logits[torch.from_numpy(batch.asked)]

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        with torch.enable_grad():
            return F.cross_entropy(logits, torch.from_numpy(batch.targets[batch.asked]))

    def step(self, loss: Tensor, t: int) -> float:
        """The norm of all gradients, before they are clipped."""
        self.optimizer.zero_grad()
        loss.backward()
        return self.clip_and_move(t)

    def clip_and_move(self, t: int) -> float:
        norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.schedule.rate(t)
        self.optimizer.step()
        return norm.item()

    def flat(self, part: Callable[[Tensor], Tensor]) -> np.ndarray:
        """(P,) something of each parameter."""
        return torch.cat([part(parameter).detach().flatten() for parameter in self.parameters]).numpy()

    def state(self, t: int) -> np.ndarray:
        """(3, P): weights, m, v after `t` steps."""
        if t == 0:
            return np.stack([self.flat(lambda p: p), *np.zeros((2, self.n_weight))])
        kept = self.optimizer.state
        return np.stack(
            [
                self.flat(lambda p: p),
                self.flat(lambda p: kept[p]["exp_avg"]),
                self.flat(lambda p: kept[p]["exp_avg_sq"]),
            ]
        )

    def restore(self, state: np.ndarray, t: int) -> None:
        self.put(state[0])
        if t:
            for p, m, v in zip(self.parameters, self._parts(state[1]), self._parts(state[2]), strict=True):
                self.optimizer.state[p] = {"step": torch.tensor(float(t)), "exp_avg": m, "exp_avg_sq": v}

    def put(self, weights: np.ndarray) -> None:
        with torch.no_grad():
            for parameter, own in zip(self.parameters, self._parts(weights), strict=True):
                parameter.copy_(own)

    def _parts(self, numbers: np.ndarray) -> list[Tensor]:
        """Copies of each parameter's own."""
        parts = torch.from_numpy(numbers.copy()).split([p.numel() for p in self.parameters])
        return [part.view_as(p).clone() for part, p in zip(parts, self.parameters, strict=True)]

    @contextmanager
    def watched(self, batch: Batch):
        """Yields a function that tells, once the gradients are there, what each token adds to those of each matrix."""
        inputs, outputs, hooks = {}, {}, []

        def watch(name: str):
            def keep(_, given: tuple[Tensor, ...], out: Tensor) -> None:
                out.retain_grad()
                inputs[name], outputs[name] = given[0], out

            return keep

        for name, module in self.transformer.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding | nn.LayerNorm):
                hooks.append(module.register_forward_hook(watch(name)))
        whole = []
        hooks.append(self.transformer.register_forward_hook(lambda _, given, out: whole.append(_kept(out[0]))))

        def flows() -> dict[str, tuple[Flow, ...]]:
            read = _rows(outputs["token_embedding"].grad)  # (N, D): also of the position vectors, which are added
            of_all = {}
            for matrix in self.matrices:
                name = matrix.name.removesuffix(".weight")
                if name == "token_embedding":
                    looked_up = np.eye(matrix.shape[0])[batch.ids.ravel()]  # (N, V)
                    writes = Flow("writes", _rows(whole[0].grad), _rows(outputs["final_norm"]))
                    of_all[matrix.name] = writes, Flow("reads", looked_up, read)
                elif name == "position_embedding":
                    at = np.tile(np.eye(matrix.shape[0])[: batch.ids.shape[1]], (len(batch.ids), 1))  # (N, T)
                    of_all[matrix.name] = (Flow("reads", at, read),)
                else:
                    of_all[matrix.name] = (Flow("linear", _rows(outputs[name].grad), _rows(inputs[name])),)
            return of_all

        try:
            yield flows
        finally:
            for hook in hooks:
                hook.remove()


def _kept(out: Tensor) -> Tensor:
    out.retain_grad()
    return out


def _rows(values: Tensor) -> np.ndarray:
    """(B, T, …) as (N, …)."""
    return values.detach().flatten(0, -2).numpy()
