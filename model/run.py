"""The nouns of Regard: Token, ModelInfo, Attention, Predictions, ModelRun, LanguageModel, and the errors.

A run is plain data: frozen, NumPy, float32, no batch axis, every field present, shapes checked once at birth. Its
arrays are made read-only then, because all visitors with the same text share one run. Letters in shape comments, as in
`model.builtin.transformer`: L layers, H heads, G key heads, T tokens that look (queries), S tokens looked at (keys), D
d_model, K d_head, V n_vocab.
"""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from model.grid import Grid
from model.intervention import Intervention
from model.layer import SINGLE, seal


class VisitorError(Exception):
    """Something a visitor can cause. The message is a sentence for them: what came, the limit, what to do."""


class PromptError(VisitorError):
    """The text cannot be read."""


class ModelNotAvailable(VisitorError):
    """The model cannot be loaded."""


class NoAttentionHere(VisitorError):
    """A layer was asked for its attention, and has none. `nearest`: the number of the nearest that has."""

    def __init__(self, message: str, nearest: int):
        super().__init__(message)
        self.nearest = nearest


def short(error: BaseException) -> str:
    """What an error says, in one line; of one that points to where a visitor does not see, what it is."""
    message = " ".join(str(error).split())
    if not message or re.search(r"\b(above|below|log|logs|logged|warning)\b", message):
        return type(error).__name__
    return message[:160].rstrip(".")


@dataclass(frozen=True)
class Token:
    """One entry of a vocabulary, at a place in a text: `text[start:end]` (characters)."""

    id: int
    piece: bytes
    start: int
    end: int
    special: bool = False
    type: int = 0  # which of several texts the model is told that it belongs to (BERT's token types)

    @property
    def label(self) -> str:
        """The token as people read it: spaces and line ends as signs, bytes that are no whole character as <E2 96>."""
        return readable(self.piece)


_SIGNS = {" ": "␣", "\n": "↵", "\t": "⇥", "\u00a0": "⍽"}
# fillers and variation selectors: Unicode calls them printable, but nothing is drawn
_BLANK = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
_BLANK |= {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}


def readable(piece: bytes) -> str:
    """Any bytes as visible text, without loss for the eye: never a replacement character, never nothing."""
    # surrogateescape turns each byte that is no part of a whole character into U+DC80 … U+DCFF
    shown, broken = "", []

    def flush() -> str:
        return f"<{' '.join(broken)}>" if broken else ""

    for character in piece.decode(errors="surrogateescape"):
        if "\udc80" <= character <= "\udcff":
            broken.append(f"{ord(character) - 0xDC00:02X}")
            continue
        shown, broken = shown + flush(), []
        visible = _visible(character)
        if not shown and visible == character and unicodedata.category(character).startswith("M"):
            shown = "◌"  # an accent needs something to stand on
        shown += visible
    return shown + flush()


def _visible(character: str) -> str:
    code = ord(character)
    if character in _SIGNS:
        return _SIGNS[character]
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures ␀ ␁ …
    if code == 0x7F:
        return "␡"
    if not character.isprintable() or character == "\ufffd" or code in _BLANK:
        return f"U+{code:04X}"  # zero-width and direction marks, private use, a replacement sign in the text itself
    return character


# what a map shows in the column after the keys, where heads have a sink of their own: it stands for no token
LEARNED_SINK = Token(-1, b"sink", 0, 0, special=True)

HALF = np.dtype(np.float16)
FAMILIES = ("decoder", "encoder", "encoder-decoder")


@dataclass(frozen=True)
class ModelInfo:
    """What can be said of a model without running it."""

    name: str  # as the catalogue knows it
    title: str  # as people read it
    n_layer: int
    n_head: int
    n_key_head: int  # fewer than n_head where heads share keys (grouped queries)
    d_model: int
    d_head: int
    n_vocab: int
    n_context: int
    n_parameter: int
    causal: bool
    fingerprint: str  # of the weights: part of every cache key
    family: str = "decoder"  # or encoder, or encoder-decoder
    reads_pairs: bool = False  # whether `encode` takes a second text, marked as such (an encoder's segments)
    labels: tuple[str, ...] = ()  # of a text as a whole: this is a `model.builtin.classifier.Judge`
    remarks: tuple[str, ...] = ()  # sentences: what of its files is not read, what was made of them
    # a hybrid's layers without softmax attention, and what each works by instead: see `Grid`
    others: tuple[tuple[int, str], ...] = ()

    def __post_init__(self):
        if self.family not in FAMILIES:
            raise ValueError(f"no family {self.family!r}: there are {', '.join(FAMILIES)}")

    @property
    def grid(self) -> Grid:
        """Which layers have heads, of the text's attention to itself."""
        return Grid(self.n_layer, self.n_head, self.others)

    def check_attention(self, layer: int) -> None:
        """Raises `NoAttentionHere` for a layer that works otherwise."""
        if self.others and (what := self.grid.instead(layer)):
            nearest = self.grid.nearest(layer)
            raise NoAttentionHere(
                f"Layer {layer} of {self.title} is of another kind ({what}): it has no softmax attention, so there are "
                f"no weights of heads in it. The nearest layer that has some is layer {nearest}.",
                nearest,
            )


@dataclass(frozen=True)
class Attention:
    """One layer's attention, kept as queries and keys; `model.analysis.attention` reads weights, scores, arithmetic off
    it.

    Of a long text, queries and keys may be kept in half precision, and then no values (`model.huggingface.capture` says
    when).
    """

    query: np.ndarray  # (H, T, K) float32; float16 in half precision
    key: np.ndarray  # (G, S, K) of the same type, H a multiple of G
    value: np.ndarray | None  # (G, S, K) float32; None in half precision
    scale: float
    causal: bool  # whether query t sees only the keys 0 … t
    window: int = 0  # it sees only keys nearer than this, itself included (sliding window); 0: all
    soft_cap: float = 0.0  # scores become cap · tanh(score / cap); 0: they stay
    bias: np.ndarray | None = None  # (H or 1, T, S) added to the scores, as some models tell positions
    # what the queries were multiplied with before they came here: a part of the scale (OPT, ESM); None: not known
    query_scale: float | None = 1.0
    # (H, T or 1) the score of one more entry of each softmax, after the keys, which every query sees and which gives no
    # value: a learned sink (GPT-OSS); -inf where this layer has none and others of the model have; None: no layer has
    sink_score: np.ndarray | None = None

    def __post_init__(self):
        n_head, n_query, d_head = self.query.shape
        n_key_head, n_key, d_key = self.key.shape
        value_shape = self.key.shape if self.value is None else self.value.shape
        if value_shape[:2] != (n_key_head, n_key) or d_key != d_head or n_head % n_key_head:
            raise ValueError(
                f"query {self.query.shape}, key {self.key.shape} and value {value_shape} do not fit together"
            )
        if self.causal and n_query != n_key:
            raise ValueError(f"causal attention of {n_query} queries over {n_key} keys")
        if self.window < 0 or self.soft_cap < 0:
            raise ValueError(f"a window of {self.window} keys, a soft cap of {self.soft_cap}")
        if self.query_scale is not None and not self.query_scale > 0:
            raise ValueError(f"queries scaled by {self.query_scale}")
        if self.exact != (self.value is not None):
            raise ValueError(f"queries in {self.query.dtype} {'without' if self.exact else 'with'} values")
        seal(self.query, self.key, dtype=SINGLE if self.exact else HALF)
        seal(*(array for array in (self.value, self.bias, self.sink_score) if array is not None))
        if self.bias is not None and self.bias.shape not in ((n_head, n_query, n_key), (1, n_query, n_key)):
            raise ValueError(f"a bias {self.bias.shape} for {n_head} heads, {n_query} queries, {n_key} keys")
        if self.sink_score is not None and self.sink_score.shape not in ((n_head, n_query), (n_head, 1)):
            raise ValueError(f"scores of a sink {self.sink_score.shape} for {n_head} heads, {n_query} queries")

    @property
    def exact(self) -> bool:
        """Whether queries and keys are as the model computed them; else rounded, and weights off by about 2e-3."""
        return self.query.dtype != HALF

    @property
    def whole_scale(self) -> float | None:
        """What the products of queries and keys are multiplied with before softmax, wherever that is done; None where
        it is not known.
        """
        return None if self.query_scale is None else self.scale * self.query_scale

    @property
    def n_byte(self) -> int:
        """What queries, keys and values take. (A bias is often shared by all layers, and not counted.)"""
        return self.query.nbytes + self.key.nbytes + (0 if self.value is None else self.value.nbytes)

    @property
    def n_head(self) -> int:
        return self.query.shape[0]

    @property
    def n_query(self) -> int:
        return self.query.shape[1]

    @property
    def n_key(self) -> int:
        return self.key.shape[1]

    @property
    def n_column(self) -> int:
        """Of its weights: the keys, and a sink after them where there is one."""
        return self.n_key + (self.sink_score is not None)


@dataclass(frozen=True)
class DenseAttention:
    """One layer's attention of a model that gives its weights and nothing they are made of."""

    weights: np.ndarray  # (H, T, S)

    def __post_init__(self):
        if self.weights.ndim != 3:
            raise ValueError(f"weights {self.weights.shape}, expected heads x queries x keys")
        seal(self.weights)

    @property
    def exact(self) -> bool:
        """They are the model's own."""
        return True

    @property
    def n_head(self) -> int:
        return self.weights.shape[0]

    @property
    def n_query(self) -> int:
        return self.weights.shape[1]

    @property
    def n_key(self) -> int:
        return self.weights.shape[2]

    @property
    def n_column(self) -> int:
        return self.n_key


@dataclass(frozen=True)
class NoAttention:
    """One layer of a hybrid that has no softmax attention: there are no weights of tokens to each other in it."""

    what: str  # it works by: linear attention, state space, convolution …


Layer = Attention | DenseAttention


@dataclass(frozen=True)
class Predictions:
    """What the model expects after each token, or, an encoder, in the place of each; natural logarithms throughout."""

    top_id: np.ndarray  # (T, k) the k most probable next tokens, best first
    top_log_prob: np.ndarray  # (T, k)
    next_log_prob: np.ndarray  # (T,) of the token that did come next, or stands there; nan for the last if of_next
    next_rank: np.ndarray  # (T,) its place among all, 0 is the best; -1 for the last if of_next
    entropy: np.ndarray  # (T,) in nats
    of_next: bool = True  # what comes after each token (a decoder); False: what stands in its place (an encoder)

    def __post_init__(self):
        n_token = len(self.top_id)
        if self.top_id.shape != self.top_log_prob.shape or self.top_id.ndim != 2:
            raise ValueError(f"top ids {self.top_id.shape} with log-probabilities {self.top_log_prob.shape}")
        for values in (self.next_log_prob, self.next_rank, self.entropy):
            if values.shape != (n_token,):
                raise ValueError(f"{values.shape} values for {n_token} tokens")
        seal(self.top_log_prob, self.next_log_prob, self.entropy)
        seal(self.top_id, self.next_rank, dtype=np.dtype(np.int64))

    @property
    def loss(self) -> float:
        """Mean cross-entropy on the text, nats per token; nan for a text of one token, and for an encoder."""
        return float(-self.next_log_prob[:-1].mean()) if self.of_next and len(self.next_log_prob) > 1 else float("nan")


@dataclass(frozen=True)
class ModelRun:
    """Everything one forward pass showed."""

    info: ModelInfo
    tokens: tuple[Token, ...]
    # L of them; self-attention: the decoder's, or the encoder's if there is no decoder
    attention: tuple[Layer | NoAttention, ...]
    # (L + 1, T, D) the residual stream before each block and, before the final norm, after the last; None: not known
    hidden: np.ndarray | None
    predictions: Predictions | None  # None where the model has no head that predicts tokens
    intervention: Intervention
    source: tuple[Token, ...] = ()  # what the encoder of an encoder-decoder read; else empty, and so are these two:
    encoder: tuple[Layer, ...] = ()  # its self-attention, (S, S)
    cross: tuple[Layer, ...] = ()  # L of them; the tokens look at the source, (T, S)

    def __post_init__(self):
        n_layer, n_token, d_model = self.info.n_layer, len(self.tokens), self.info.d_model
        if len(self.attention) != n_layer:
            raise ValueError(f"{len(self.attention)} attention records for {n_layer} layers")
        others = tuple((i, each.what) for i, each in enumerate(self.attention) if isinstance(each, NoAttention))
        if others != self.info.others:
            raise ValueError(f"layers without attention {others}, expected {self.info.others}")
        if self.hidden is not None and self.hidden.shape != (n_layer + 1, n_token, d_model):
            raise ValueError(f"hidden states {self.hidden.shape}, expected {(n_layer + 1, n_token, d_model)}")
        both = self.info.family == "encoder-decoder"
        if both != bool(self.source) or both != bool(self.encoder) or len(self.cross) != n_layer * both:
            raise ValueError(f"source, encoder and cross-attention do not fit the family {self.info.family}")
        for kind in self.kinds:
            queries, keys = self.sides(kind)
            for number in self.grid(kind).layers:
                layer = self.layers(kind)[number]
                shape = (layer.n_head, layer.n_query, layer.n_column)
                if shape != (self.info.n_head, len(queries), len(keys)):
                    raise ValueError(f"{kind} attention {shape}, expected {self.info.n_head, len(queries), len(keys)}")
        if self.predictions is not None and len(self.predictions.top_id) != n_token:
            raise ValueError(f"{len(self.predictions.top_id)} predictions for {n_token} tokens")
        if self.hidden is not None:
            seal(self.hidden)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of attention there are: "self" alone, or with the "encoder"'s and "cross"."""
        return ("self", "encoder", "cross") if self.source else ("self",)

    def layers(self, kind: str = "self") -> tuple[Layer | NoAttention, ...]:
        """The attention of one kind, by the number of the layer. KeyError for another word."""
        return {"self": self.attention, "encoder": self.encoder, "cross": self.cross}[kind]

    def grid(self, kind: str = "self") -> Grid:
        """Which layers have heads of one kind of attention."""
        return Grid(len(self.layers(kind)), self.info.n_head, self.info.others if kind == "self" else ())

    def attending(self, kind: str = "self") -> tuple[Layer, ...]:
        """The same as `layers`, without those that have none."""
        return tuple(each for each in self.layers(kind) if not isinstance(each, NoAttention))

    def layer(self, number: int, kind: str = "self") -> Layer:
        """The attention of one layer. Raises `NoAttentionHere` where it has none; IndexError for no layer at all."""
        if kind == "self":
            self.info.check_attention(number)
        return self.layers(kind)[number]

    def sides(self, kind: str = "self") -> tuple[tuple[Token, ...], tuple[Token, ...]]:
        """The tokens that look and those looked at, with `LEARNED_SINK` after them where heads have one. KeyError for
        another word.
        """
        both = {"self": (self.tokens, self.tokens), "encoder": (self.source, self.source)}
        queries, keys = (both | {"cross": (self.tokens, self.source)})[kind]
        return queries, (*keys, LEARNED_SINK) if self.has_sink(kind) else keys

    def has_sink(self, kind: str = "self") -> bool:
        """Whether the weights of this kind have a column after the keys: a learned sink (`Attention.sink_score`)."""
        layer = next(iter(self.attending(kind)), None)
        return layer is not None and layer.n_column > layer.n_key

    def key_labels(self, kind: str = "self") -> list[str]:
        """Of the columns of a map of tokens."""
        return [token.label for token in self.sides(kind)[1]]

    @property
    def stream(self) -> np.ndarray:
        """`hidden`, where it is known. Raises `VisitorError`."""
        if self.hidden is None:
            raise VisitorError(
                f"Regard shows no hidden vectors of {self.info.title}: none that it found in its class are equal to "
                "those that transformers itself gives. Its attention is shown all the same."
            )
        return self.hidden

    @property
    def labels(self) -> list[str]:
        return [token.label for token in self.tokens]
