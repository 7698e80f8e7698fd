"""What a head moves from one key to one query: its write, what that is made of, and what it says in words.

The key's vector becomes a value, the value times its weight is what the query gets of it, and the output projection
brings it back to the width of the stream: a · W_o v. It is a sum of what it makes of each part of the key's vector
(`model.analysis.score_parts`). Read as a logit is, by the last norm with its size frozen and the unembedding, it says
which tokens it makes more and less likely, if nothing behind it changes it. Letters as in `model.run`; N parts.
"""

from dataclasses import dataclass

import numpy as np

from model.analysis.attention import attention_weights
from model.analysis.attribution import last_norm, written_before_norm
from model.analysis.score_parts import OWN, Part, StreamParts, stream_parts, through
from model.language_model import LanguageModel
from model.layer import seal
from model.run import ModelRun, VisitorError

N_WORDS = 8  # tokens made more likely, and as many less
_LARGE = 1e3  # so long is a write that is read, that what a norm adds to the variance is nothing beside it
_STRAIGHT = 1e-3  # of what is read of two writes together, how much may differ from the sum of both


@dataclass(frozen=True)
class Carried:
    """What one head writes at a query of one key; its parts add up to it."""

    weight: float
    write: np.ndarray  # (D,) float64
    parts: tuple[Part, ...]  # N of the key's vector; the last is what the layer adds itself
    writes: np.ndarray  # (N, D) float64 of each
    value_apart: float  # the largest difference of the value, added up from its parts, to the model's own
    value_size: float  # the largest number of that
    why: tuple[str, ...]  # some layers are one part

    @property
    def length(self) -> float:
        return float(np.linalg.norm(self.write))

    @property
    def shares(self) -> np.ndarray:
        """(N,) how much of the write each part is: along it, as a part of its length. Together 1; 0 of nothing."""
        return self.writes @ self.write / (self.length**2 or 1.0)


@dataclass(frozen=True)
class Said:
    """What a write does to the logits, against what it does to all tokens on average."""

    change: np.ndarray  # (V,) float32
    up: np.ndarray  # the ids it raises most, and those it lowers most
    down: np.ndarray

    def __post_init__(self):
        seal(self.change)

    def rank(self, id: int) -> int:
        """How many tokens are raised more."""
        return int((self.change > self.change[id]).sum())


def carried(
    lm: LanguageModel, run: ModelRun, layer: int, head: int, query: int, key: int, made: StreamParts | None = None
) -> Carried:
    """Of one cell of a text's attention to itself; `made`: of query and key, where that is known.

    Raises as `score_parts` does, and where values are not known.
    """
    record = run.layer(layer)
    if key == len(run.tokens) and run.has_sink():
        raise VisitorError("The sink gives no value: what a head looks at it with is carried nowhere.")
    parameters = lm.layer_parameters(layer)
    if record.value is None:
        raise VisitorError("Of a text as long as this one no values are kept, so what a head carries is not known.")
    weight = float(attention_weights(record, head, slice(query, query + 1))[0, key])
    made = made or stream_parts(lm, run, layer, (key,))
    values = through(parameters, "value", head, made.vectors[-1], run.stream[layer][key], key)  # (N + 1, Kv)
    own = record.value[head // (record.n_head // len(record.value)), key]
    gain = run.intervention.output_gain(layer, record.n_head, range(record.n_query))
    by = weight * (1.0 if gain is None else float(gain[head, query]))
    writes = by * values @ parameters.output_weight[head].astype(np.float64).T  # (N + 1, D)
    if (norm := parameters.written_norm) is not None:  # its size is that of all heads together
        heads, shared = written_before_norm(record, parameters, query, gain)
        _, deviation = norm.sizes(heads.sum(0) + shared)
        writes = (writes - (writes.mean(-1, keepdims=True) if norm.centred else 0)) / deviation * norm.gain
    writes = parameters.multiplier * writes
    return Carried(
        weight=weight,
        write=writes.sum(0),
        parts=(*made.parts, Part(OWN, layer)),
        writes=writes,
        value_apart=float(np.abs(values.sum(0) - own).max()),
        value_size=float(np.abs(own).max()),
        why=made.why,
    )


def said_by(lm: LanguageModel, run: ModelRun, layer: int, query: int, write: np.ndarray) -> Said:
    """What a write (D,) of a layer at a query says in words, by the shortest way to the logits.

    Raises `VisitorError` where the model has no head that predicts tokens, or there is more than a norm and one matrix.
    """
    if run.predictions is None:
        raise VisitorError(f"{run.info.title} has no head that predicts tokens, so what is carried says no words.")
    if lm.layer_parameters(layer).norm_behind is not None:
        raise VisitorError(
            f"In {run.info.title} a norm stands behind each sum: what is written here reaches the words only through "
            "all of those, so it says none by itself."
        )
    last = last_norm(lm)
    some = np.random.default_rng(1).normal(size=write.shape)
    some *= (np.linalg.norm(write) or 1.0) / np.linalg.norm(some)
    vectors = np.stack([write, some, write + some])
    longer = vectors * (_LARGE / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-30))
    nothing = lm.unembed(np.zeros((1, len(write)), np.float32)).astype(np.float64)  # (1, V)
    read = lm.unembed(longer.astype(np.float32)) - nothing  # (3, V)
    factor = np.linalg.norm(vectors, axis=-1) / _LARGE
    size = np.array([last.size(each) for each in longer])
    read *= (factor * size)[:, None]
    together = read[2]
    if np.linalg.norm(together - read[0] - read[1]) > _STRAIGHT * np.linalg.norm(together):
        raise VisitorError(
            f"Between the last layer of {run.info.title} and its logits there is more than a norm and one matrix: what "
            "is carried cannot be read as words by itself."
        )
    change = read[0] / last.size(run.stream[-1][query])
    change = (change - change.mean()).astype(np.float32)
    order = np.argsort(-change, kind="stable")
    n = min(N_WORDS, len(order) // 2)
    return Said(change, order[:n], order[::-1][:n])
