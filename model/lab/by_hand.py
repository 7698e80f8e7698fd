"""What one step of training computes, in NumPy and double precision: cross-entropy and its gradient, clipping, AdamW.

Each formula as it stands in its paper; `model.lab.one_step` holds the outcome against PyTorch's own.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Answer:
    """What a model expects at n places, and what that costs where the tokens that come are known."""

    logits: np.ndarray  # (n, V)
    targets: np.ndarray  # (n,) which of the V comes
    probability: np.ndarray  # (n, V)
    losses: np.ndarray  # (n,) nats
    gradient: np.ndarray  # (n, V) of the mean loss, with respect to each logit

    @property
    def loss(self) -> float:
        return float(self.losses.mean())


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> Answer:
    """p = softmax(z), ℓ = −ln p of the target, and ∂L/∂z = (p − onehot) / n of the mean L."""
    largest = logits.max(-1, keepdims=True)
    exponentials = np.exp(logits - largest)  # (n, V): the same shares, and no number too large
    total = exponentials.sum(-1, keepdims=True)
    gradient = (probability := exponentials / total).copy()
    places = np.arange(len(targets))
    gradient[places, targets] -= 1
    losses = (largest + np.log(total))[:, 0] - logits[places, targets]  # −ln p, also where p is too small for a number
    return Answer(logits, targets, probability, losses, gradient / len(targets))


CLIP_EPSILON = 1e-6  # torch.nn.utils.clip_grad_norm_ adds it to the norm


def clipping(gradient: np.ndarray, most: float) -> tuple[float, float]:
    """The norm ‖g‖ of all gradients together, and what each is multiplied with, so that it is at most `most`."""
    norm = float(np.sqrt(np.square(gradient).sum()))
    return norm, min(1.0, most / (norm + CLIP_EPSILON))


@dataclass(frozen=True)
class Optimizer:
    """AdamW's settings (Kingma & Ba 2015; decoupled weight decay: Loshchilov & Hutter 2019)."""

    betas: tuple[float, float] = (0.9, 0.95)
    epsilon: float = 1e-8
    decay: float = 0.1


@dataclass(frozen=True)
class Update:
    """One step of AdamW, for each weight: all arrays alike in shape."""

    before: np.ndarray
    gradient: np.ndarray  # g, clipped
    m_before: np.ndarray
    v_before: np.ndarray
    m: np.ndarray  # the mean of the gradients, later ones counting more
    v: np.ndarray  # the same of their squares
    m_hat: np.ndarray  # without what is left in them of the zeros that they began with
    v_hat: np.ndarray
    step: np.ndarray  # rate · m̂ / (√v̂ + ε), what is taken away
    decayed: np.ndarray  # rate · decay · weight, what is taken away too
    after: np.ndarray


def adamw(
    before: np.ndarray,
    gradient: np.ndarray,
    m_before: np.ndarray,
    v_before: np.ndarray,
    *,
    t: int,
    rate: float,
    settings: Optimizer,
) -> Update:
    """Step `t`, counted from 1."""
    beta_1, beta_2 = settings.betas
    m = beta_1 * m_before + (1 - beta_1) * gradient
    v = beta_2 * v_before + (1 - beta_2) * gradient**2
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    step = rate * m_hat / (np.sqrt(v_hat) + settings.epsilon)
    decayed = rate * settings.decay * before
    return Update(before, gradient, m_before, v_before, m, v, m_hat, v_hat, step, decayed, before - decayed - step)


@dataclass(frozen=True)
class Schedule:
    """The learning rate: it rises in a straight line, then stays, or falls in a straight line to its last step."""

    highest: float
    warm_up: int  # steps
    n_step: int
    falls: bool = False

    def rate(self, t: int) -> float:
        """Of step `t`, counted from 1."""
        return self.highest * self.share(t)

    def share(self, t: int) -> float:
        """What part of the highest rate that is."""
        if t <= self.warm_up:
            return t / self.warm_up
        left = self.n_step - self.warm_up + 1
        return (self.n_step - t + 1) / left if self.falls else 1.0
