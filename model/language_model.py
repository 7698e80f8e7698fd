"""The protocol that every model keeps: what the app needs of one; and a small one for each thing that only some can do.

Whether a model keeps a small one is asked by `isinstance`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from model.architecture import Architecture
from model.intervention import UNCHANGED, Intervention
from model.layer import AttentionOutput, LayerParameters
from model.run import ModelInfo, ModelRun, Token
from model.unembedding import Unembedding

if TYPE_CHECKING:  # of the floors above
    from model.analysis.beam import Beam
    from model.text.conversation import Message
    from model.text.cut import Cutting


class LanguageModel(Protocol):
    """What the app needs of a model; the batch axis is born and dies inside the implementations."""

    info: ModelInfo

    def encode(self, text: str, second: str | None = None) -> tuple[Token, ...]:
        """Cut a text, or two, into tokens; where `info.reads_pairs`, marked as two. Places are those in both texts with
        a blank line between them. An empty text has no tokens.

        Raises `PromptError` if it cannot be read, or by its characters alone cannot fit.
        """

    def token(self, id: int) -> Token:
        """The vocabulary entry `id`, outside any text."""

    def cutting(self) -> "Cutting":
        """How its tokenizer puts words together; read anew each time. Raises `model.text.cut.NotFollowed`."""

    def mask_token(self) -> Token | None:
        """What stands for a hidden word, where the model has such a token."""

    def start_token(self) -> Token | None:
        """What a target begins with, before its first word (encoder-decoder)."""

    def chat_text(self, text: str, before: Sequence["Message"] = ()) -> str | None:
        """The text as a visitor's message of a chat, behind what was said before; None if the model has no template for
        that. Raises `VisitorError` if it cannot be filled.
        """

    def run(
        self, tokens: Sequence[Token], intervention: Intervention = UNCHANGED, source: Sequence[Token] = ()
    ) -> ModelRun:
        """One forward pass; an encoder-decoder reads `source` and has written `tokens` so far, the start token first.

        Raises `PromptError` if there are no tokens, or more than `info.n_context`; `VisitorError` if an intervention
        cannot be done here; ValueError for a head that does not exist.
        """

    def logits(
        self,
        tokens: Sequence[Token],
        interventions: Sequence[Intervention] = (UNCHANGED,),
        source: Sequence[Token] = (),
        positions: Sequence[int] | None = None,
    ) -> Iterator[np.ndarray]:
        """The logits (P, V) at some positions of the text, or at all, once for each intervention, in their order:
        ``unembed(run(…).hidden[-1][positions])`` but for rounding. Nothing else of these runs is kept.

        Neighbours that differ only in the heads, rows and edges that they take out are read together, as many at a time
        as a bounded memory holds. Positions count from 0, or from the end below. Raises as `run` and `unembed` do,
        before the first is read; IndexError for a position that is not there.
        """

    def unembed(self, hidden: np.ndarray) -> np.ndarray:
        """Logits for any vectors of the residual stream: (…, D) -> (…, V)."""

    def unembedding(self, hidden: np.ndarray, ids: Sequence[int]) -> Unembedding:
        """How one vector of the residual stream (D,) becomes the logits of some entries. Raises `VisitorError` where
        more than one matrix and what `Unembedding` names makes them.
        """

    def embeddings(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The token vectors (V, D) and the learned position vectors (n_context, D), None where there are none."""

    def recompute_layer(self, run: ModelRun, layer: int) -> float:
        """Do a layer of a run again from the weights that `model.analysis.attention` shows; the largest difference."""

    def unfollowed(self, layer: int) -> str | None:
        """Why the steps of a head of this layer cannot be done again, as a sentence for a visitor; None if they can."""

    def layer_parameters(self, layer: int) -> LayerParameters:
        """What the attention of one layer was trained to be. Raises `VisitorError` where it is `unfollowed`."""

    def attention_output(self, run: ModelRun, layer: int) -> AttentionOutput:
        """Read the text of an unchanged run again up to this layer: what its attention gave. Raises as above."""

    def architecture(self) -> Architecture:
        """How the model is built."""

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and the shape of each trained tensor; one that is used in two places is there once."""


@dataclass(frozen=True)
class Languages:
    """What can be chosen, by the codes that the model's makers gave them."""

    source: tuple[str, ...]  # none: nothing to choose
    target: tuple[str, ...]
    default: tuple[str, str]  # of the source and of the target; "" where there is nothing to choose


@dataclass(frozen=True)
class Writing:
    """What a model's settings say of writing a target, whatever it finds probable."""

    forced: tuple[int, ...] = ()  # what comes first, behind the start token
    never: frozenset[int] = frozenset()  # what is not written
    ends: frozenset[int] = frozenset()  # what ends it; none: any special token


@runtime_checkable
class Translator(Protocol):
    """An encoder-decoder that cuts its two texts each in its own way, and may have languages to choose."""

    languages: Languages | None

    def speaking(self, source: str, target: str) -> "LanguageModel":
        """The same model with these languages, by their codes; "" is its own. Raises `PromptError` for another."""

    def encode_target(self, text: str) -> tuple[Token, ...]:
        """What it is to have written, cut into tokens. Raises as `LanguageModel.encode` does."""

    def writing(self) -> Writing:
        """How it begins and ends."""


@runtime_checkable
class BeamSearcher(Protocol):
    """An encoder-decoder with a beam search that shows its work."""

    def beam_search(self, source: Sequence[Token], width: int, length_penalty: float = 1.0) -> "Beam":
        """The targets that a search `width` wide finds for a source, and how it found them. Raises `PromptError`."""


@dataclass(frozen=True)
class Said:
    """One number that a model says of a text: the log-probability, in nats, of an entry of the vocabulary at a
    position; or, by a model that judges texts, how far a label is ahead of the mean of the others, in logits.
    """

    id: int  # of the entry, or the place of the label
    position: int | None  # None: it is a label


@runtime_checkable
class Differentiable(Protocol):
    """A model that tells how what it says changes with the vectors of its tokens."""

    def token_vectors(self, tokens: Sequence[Token]) -> np.ndarray:
        """(T, D) what stands for each token before anything is done to it, without where it stands."""

    def gradients(self, tokens: Sequence[Token], said: Said, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is said of N texts of these vectors (N, T, D), which stand where the tokens would: (N,) float64; and
        its gradient with respect to them, (N, T, D).

        Raises `PromptError`; `VisitorError` if this model gives no gradients, or says something else of the tokens'
        own vectors than of the tokens; IndexError if there is no such entry, label or position.
        """

    def head_gradients(
        self,
        tokens: Sequence[Token],
        said: Sequence[Said],
        layer: int,
        kind: str = "self",
        source: Sequence[Token] = (),
    ) -> tuple[float, np.ndarray]:
        """The mean of what is said of a text; and its gradient with respect to what each head of one layer of one kind
        of attention gives to the output projection: (H, T, K), K that of values.

        Raises as `LanguageModel.logits` does, and as above.
        """


class Decoding(Protocol):
    """Texts that a model writes on, B of them, all of one length; what it computed of them is kept."""

    @property
    def logits(self) -> np.ndarray:
        """(B, V) of what comes next in each."""

    @property
    def n_byte(self) -> int:
        """Of the keys and values that are kept."""

    def write(self, ids: Sequence[int], rows: Sequence[int] | None = None) -> None:
        """From now on, text i is what text rows[i] was, with ids[i] behind it; None: each goes on, in order."""


@runtime_checkable
class Writer(Protocol):
    """A model that reads a text it writes no more than once."""

    def decoding(self, tokens: Sequence[Token], source: Sequence[Token] = ()) -> Decoding:
        """Of this one text, or of a target that has begun so. Raises as `LanguageModel.logits` does."""


class Recording(Decoding, Protocol):
    """Of one text, which keeps all that a run shows: `rows` are not given to it."""

    def run(self) -> ModelRun:
        """Of the text so far: ``lm.run(…)`` but for rounding."""


@runtime_checkable
class Recorder(Protocol):
    """A writer that reads nothing again, neither before it writes nor when what was written is looked at."""

    def go_on(self, run: ModelRun) -> Recording:
        """Behind the text of a run. ValueError if that is of another model, or of one that was changed."""


@runtime_checkable
class Captured(Protocol):
    """A model that came from elsewhere: its attention was captured, in one of two forms."""

    @property
    def captured(self) -> str:
        """What a run keeps: "queries and keys", or only the "weights"."""


@runtime_checkable
class SmallVocabulary(Protocol):
    """A model to which much of a text may be unknown."""

    @property
    def unknown(self) -> int | None:
        """The id of the one token that stands for all of that; None: it knows everything."""
