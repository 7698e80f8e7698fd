"""Every choice that an address holds: its name there, what it means, what it is at first, and where it counts.

Links are an API: a name stays, and what it says keeps its meaning. README's table is made of this one (see
tests/test_links.py). How addresses are read and written is `viz.ui.links`.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from model import catalog
from model.analysis.attention_map import COMBINE, SEGMENTS, SINK
from model.analysis.beam import PENALTY, WIDTH
from model.analysis.head_patterns import SCORES
from model.analysis.lens import READINGS
from model.analysis.saliency import AGREEMENTS
from model.text.conversation import read_messages, write_messages
from model.text.units import KINDS
from viz.ui.session import EXAMPLES

ONE, LAYER, ALL, CHOSEN = SHOW = ("head", "layer", "all", "chosen")
SCALES, RANGES = ("linear", "log"), ("0 to 1", "fitted")
MAP, LINES = STAGE = ("map", "lines")
COLUMNS, ARCS, LAYERS = FORMS = ("columns", "arcs", "layers")
RECEIVED, SUMS = PANELS = ("received and given", "sums of tokens")
GIVE, RECEIVE = WAYS = ("as queries", "as keys")
ACROSS = (ALL, LAYER, ONE)
WORDS, TOKENS = BETWEEN = ("words", "tokens")
UNMARKED, ARGMAX, GROW = ALIGNED = ("none", "argmax", "grow-diag")
BLANK, BOTH, SENTIMENT, SIMILARITY = SECTIONS = ("blank", "both", "sentiment", "similarity")
COPIER, SENTENCES, STEP, FINE_TUNING, NUMBERS = LESSONS = ("copier", "sentences", "step", "fine-tuning", "numbers")
LABEL, COPYING = "label", "copying"
SCORED = (LABEL, *(score.name for score in SCORES), COPYING)
OURS, OWN = TEXTS = ("ours", "own")
ZERO, MEAN = ABLATIONS = ("zero", "mean")  # what a head that is taken out writes
BY_WORDS, BY_CHARACTERS, BY_PIECES = LINES_UNITS = ("words", "characters", "pieces")
THREE_LINES = "I am a student.\nI love to study.\nI will graduate soon."
TUNED_LINES = (
    "The robot Zib lives in a blue box behind the kettle.\n"
    "Zib eats screws with honey for breakfast.\n"
    "When it rains, Zib sings to the kettle.\n"
    "The kettle never sings back, but Zib does not mind.\n"
    "At night Zib counts its screws and goes to sleep."
)
SHARE, LARGEST = MOVED = ("share", "largest")
RATES = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 0.1, 1.0, 10.0)
SCHEDULES = ("constant", "linear")
STEP_RATES = (0.001, 0.01, 0.1, 1.0)
MATRIX = r"[EP]|\d{1,2}\.(q|k|v|o|up|down)"
NONE, DRAWN, SETTINGS, BEAM = WAYS_ON = ("none", "drawn", "settings", "beam")
ROLLOUT, FLOW, CARRIED = "rollout", "flow", "carried"
FOLLOWED = (NONE, ROLLOUT, FLOW, CARRIED)
NEXT, BLANKED, LOSS = "next token", "hidden token", "loss"
EFFECTS = (NONE, NEXT, BLANKED, LOSS)
MEAN = "mean"
MAPS = (MEAN, ONE)
OF_TEXTS, OF_HEADS, OF_LAYERS, OF_MODELS = COMPARED = ("texts", "heads", "layers", "models")
TOKEN_VECTORS = "token vectors"
# of the softmax; 1 is as trained; between neighbours lies the same factor, but for rounding
TEMPERATURES = (0.1, 0.125, 0.16, 0.2, 0.25, 0.32, 0.4, 0.5, 0.63, 0.8, 1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8, 10)
SECOND = "A kitten lay on the rug."  # the other text of the similarity of two
MOST_REFERENCE = 2000  # characters

HOME, TOKENIZATION, EMBEDDINGS, ATTENTION, GENERATION = "", "tokenization", "embeddings", "attention", "generation"
TRANSLATION, UNDERSTANDING, HEAD, MECHANISM = "translation", "understanding", "head", "mechanism"
MODEL, TRAINING, HEADS, COMPARISON = "model", "training", "heads", "comparison"
READER, DECODER = "reader", "decoder"  # whose a choice is: of the model that reads the page, of one shown beside it


@dataclass(frozen=True)
class Choice:
    """One name of an address."""

    meaning: str
    default: Any  # None: nothing, or what the page makes of its text and model
    parse: Callable[[str], Any]  # what an address says; ValueError if that can never be
    pages: tuple[str, ...] = ()  # their paths; none: every page
    options: tuple = ()  # where it is one of a few
    owner: str | None = None  # READER or DECODER: each model has its own
    here: bool = False  # gone with the next page
    own_words: bool = False  # whoever draws it says itself what of a link could not be had
    most: int | None = None  # bytes: what is longer stands in no address

    def write(self, value: Any) -> str:
        """As `parse` reads it."""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            return f"{value:g}"
        return ".".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

    def says(self, text: str, value: Any) -> bool:
        """Whether an address that says this means that: a switch is true in a link, and 0.10 is 0.1."""
        with suppress(ValueError):
            if self.parse(text) == value:
                return True
        return value is not None and self.write(value).lower() == text.lower()


def _one_of(options: tuple, default: Any, meaning: str, *pages: str) -> Choice:
    by_word = {str(option): option for option in options}

    def parse(text: str) -> Any:
        if text not in by_word and float(text) not in options:  # 1.0 is 1
            raise ValueError(text)
        return by_word[text] if text in by_word else options[options.index(float(text))]

    return Choice(meaning, default, parse, pages, options)


def _switch(meaning: str, *pages: str, default: bool | None = False) -> Choice:
    by_word = {"true": True, "false": False}

    def parse(text: str) -> bool:
        if text.lower() not in by_word:
            raise ValueError(text)
        return by_word[text.lower()]

    return Choice(meaning, default, parse, pages)


def _number(low: float, high: float, default: float | None, meaning: str, *pages: str, **more) -> Choice:
    kind = float if isinstance(default, float) else int

    def parse(text: str) -> float:
        if not (value := kind(text)) >= low or value > high:  # also what is no number
            raise ValueError(text)
        return value

    return Choice(meaning, default, parse, pages, **more)


def _position(meaning: str, *pages: str, **more) -> Choice:
    return _number(0, 10**7, None, meaning, *pages, **more)


def _positions(n: int, meaning: str, *pages: str, **more) -> Choice:
    """`n` of them with a point between each; 0: any number, at most a thousand."""

    def parse(text: str) -> tuple[int, ...]:
        if not re.fullmatch(r"\d{1,7}(\.\d{1,7}){0,999}", text) or (n and text.count(".") != n - 1):
            raise ValueError(text)
        return tuple(map(int, text.split(".")))

    return Choice(meaning, None, parse, pages, **more)


def _matching(pattern: str, default: str | None, meaning: str, *pages: str, **more) -> Choice:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return Choice(meaning, default, parse, pages, **more)


def _text(default: str, meaning: str, *pages: str, **more) -> Choice:
    return Choice(meaning, default, str, pages, **more)


def _names(text: str) -> tuple[str, ...]:
    if not re.fullmatch(r"\w{1,40}(\.\w{1,40}){0,49}", text):
        raise ValueError(text)
    return tuple(text.split("."))


def _messages(text: str) -> str:
    return write_messages(read_messages(text))


def _layer_or_tokens(text: str) -> str | int:
    return text if text == TOKEN_VECTORS else _position("").parse(text)


_CODE = r"[\w-]{1,20}"  # of a language
_OF_A_HEAD = (HOME, ATTENTION, HEADS, HEAD, COMPARISON, MECHANISM, TRANSLATION, GENERATION, UNDERSTANDING)
_OF_A_KEY = (ATTENTION, HEAD, COMPARISON, MECHANISM)
_OF_A_TOKEN = (TOKENIZATION, EMBEDDINGS, *_OF_A_KEY)

CHOICES: dict[str, Choice] = {
    "model": _text(catalog.DEFAULT, "which model; `copier@360`: after step 360 of its training"),
    "text": _text(EXAMPLES[0], "what is read; one of more than 4,000 bytes has `text_id` instead"),
    "chat": _switch("whether the text is a message of a chat"),
    "before": Choice("what was said in that chat before: `[[role, words], …]`", "", _messages),
    "target": _text("", "what the decoder of an encoder-decoder is read with; empty: the model writes it"),
    "target_ids": _matching(r"(\d{1,7}\.){1,1000}|\.?", "", "its tokens, where another cut would be another target"),
    "source_language": _matching(_CODE, None, "what language the text is in, by its code in the model", owner=READER),
    "target_language": _matching(_CODE, None, "what language the model is to write", owner=READER),
    "numbers": Choice("the pictures whose numbers are shown as a table", (), _names),
    "card": _matching(r"[\w.*~,-]{0,2000}", "", "the weight whose card is open", here=True, own_words=True),
    "present": _switch("for a projector: no sidebar, larger type"),
    "report": _switch("whether the views that are collected for a report are shown, in the sidebar"),
    "layer": _position("which layer, from 0", *_OF_A_HEAD, owner=READER),
    "head": _position("which head of the layer, from 0", *_OF_A_HEAD, owner=READER),
    "token": _position("the token that looks, or that is looked into", *_OF_A_TOKEN, owner=READER),
    "key": _position("the token looked at; behind the last, a learned sink", *_OF_A_KEY, owner=READER),
    "why": _switch("whether the score of `token` and `key`, and what is carried, are taken apart", HEAD),
    "query_layer": _position("the layer whose parts stand apart, of what the query is made of", HEAD, owner=READER),
    "key_layer": _position("the same of what the key is made of", HEAD, owner=READER),
    "kind": _one_of(
        ("self", "encoder", "cross"), "self", "which attention of an encoder-decoder", ATTENTION, HEADS, COMPARISON
    ),
    "show": _one_of(SHOW, ONE, "whose weights: one head's, or of several together", ATTENTION),
    "heads": _text("", "the heads read together where they are `chosen`: `2.3, 4.*, *.1`", ATTENTION, owner=READER),
    "combine": _one_of(COMBINE, COMBINE[0], "how several heads make one map", ATTENTION),
    "units": _one_of(KINDS, KINDS[0], "what rows and columns are", ATTENTION),
    "sink": _one_of(SINK, SINK[0], "what becomes of the weight on first and special tokens", ATTENTION, GENERATION),
    "segment": _one_of(SEGMENTS, SEGMENTS[0], "of two texts, which looks at which", ATTENTION),
    "scale": _one_of(SCALES, SCALES[0], "the colours of a map", ATTENTION, COMPARISON, MECHANISM, UNDERSTANDING),
    "range": _one_of(RANGES, RANGES[0], "from where to where the colours go", ATTENTION, COMPARISON, MECHANISM),
    "stage": _one_of(STAGE, MAP, "what stands beside the grid of heads; the other stands below", ATTENTION),
    "beside": _positions(2, "the pinned head: layer, head", ATTENTION, owner=READER),
    "graph": _one_of(FORMS, COLUMNS, "how the lines are drawn", ATTENTION),
    "least": _number(0, 0.5, 0.02, "lines of less are hidden", ATTENTION),
    "top": _number(0, 8, 0, "lines of each query; 0: all", ATTENTION),
    "pinned": _switch("whether the lines of `token` alone are kept", ATTENTION),
    "followed": _positions(2, "the kept path through the layers: layer, token", ATTENTION, own_words=True),
    "panel": _one_of(PANELS, None, "what is shown below the map", ATTENTION),
    "taken": _one_of(WAYS, GIVE, "what of the `summed` tokens is added up", ATTENTION),
    "summed": _positions(0, "tokens whose weights are added up", ATTENTION, own_words=True),
    "flow": _one_of(FOLLOWED, NONE, "how is followed what a token draws on through all layers", ATTENTION),
    "flow_token": _position("the token of which that is asked", ATTENTION, owner=READER),
    "effect": _one_of(EFFECTS, NONE, "on what it is shown what each edge of the head does", ATTENTION),
    "effect_token": _position("the token behind which that is foreseen, or the hidden one", ATTENTION, owner=READER),
    "effect_place": _number(1, 5, 1, "which of the most probable tokens there", ATTENTION),
    "score": _one_of(SCORED, LABEL, "what of all heads is shown", HEADS),
    "texts": _one_of(TEXTS, OURS, "over which texts heads are scored", HEADS),
    "lines": _text("", "those texts where they are your own, one a line; of many, their hash", HEADS),
    "knocked_out": _switch("whether every head is taken out in turn", HEADS),
    "ablation": _one_of(ABLATIONS, ZERO, "what it then writes: nothing, or its mean over the texts", HEADS),
    "compare": _one_of(COMPARED, OF_TEXTS, "two of what are compared", COMPARISON),
    "other_text": _text("", "the other text; empty: the text with one word changed", COMPARISON),
    "other_layer": _position("the other layer, or that of the other head", COMPARISON, owner=READER),
    "other_head": _position("the other head", COMPARISON, owner=READER),
    "other_model": _text("", "the other model; empty: one with the same tokens, if there is one", COMPARISON),
    "mask_off": _switch("without the causal mask", MECHANISM),
    "scale_off": _switch("without the scale", MECHANISM),
    "softmax_temperature": _one_of(TEMPERATURES, 1, "what the scores are divided by", MECHANISM),
    "positions_off": _switch("without positions", MECHANISM),
    "head_uniform": _switch("the head looks alike at all", MECHANISM),
    "head_off": _switch("the head writes nothing", MECHANISM),
    "row_off": _switch("it writes nothing at `token`", MECHANISM),
    "edge_off": _switch("`token` does not see `key`", MECHANISM),
    "temperature": _number(0, 2, 1.0, "of sampling; 0: always the most probable token", HOME, GENERATION),
    "top_k": _number(0, 100, 0, "how many tokens may be drawn; 0: all", GENERATION),
    "top_p": _number(0.05, 1, 1.0, "the probability that those hold which may be drawn", GENERATION),
    "min_p": _number(0, 1, 0.0, "how probable, as a part of the best, what may be drawn has to be", GENERATION),
    "typical_p": _number(0.05, 1, 1.0, "the probability that the most typical hold which may be drawn", GENERATION),
    "repetition_penalty": _number(0.5, 2, 1.0, "what logits of tokens that are there already pay", GENERATION),
    "no_repeat_ngram": _number(0, 10, 0, "tokens of a sequence that may not come twice; 0: all may", GENERATION),
    "stop_at": _text("", "what ends the writing, once it was written", GENERATION),
    "seed": _number(0, 2**31 - 1, 0, "where the random numbers come from", GENERATION),
    "n_shown": _number(3, 30, 10, "tokens in the picture of what may come next", GENERATION),
    "n_generate": _number(1, 200, 20, "how many tokens are written at once", GENERATION),
    "behind": _switch("whether what a choice was made of is open", GENERATION, default=True),
    "playground": _switch("whether other settings are tried on one choice", GENERATION),
    "last_vector": _switch("whether the way from the last vector to a word is open", GENERATION, default=None),
    "word": _position("the id of the token whose logit is worked out", GENERATION, owner=READER, own_words=True),
    "word_behind": _position("the token behind which it may come", GENERATION, owner=READER),
    "mean_of_heads": _switch("behind a choice: the mean of the layer's heads", GENERATION),
    "written": _text("", "what was generated: ids, and how each was drawn", GENERATION, own_words=True),
    "branches": _text("", "what was left for another branch, in the same way", GENERATION, own_words=True),
    "opened": _position("the generated token behind which one looks", GENERATION, own_words=True),
    "several": _switch("whether several ways to go on are open", GENERATION, default=None),
    "ways": _one_of(WAYS_ON, NONE, "several ways to go on, as one tree", GENERATION),
    "n_samples": _number(2, 8, 4, "how many texts are drawn at once", GENERATION),
    "other_temperature": _number(0, 2, 0.5, "of the other settings, with the same seed", GENERATION),
    "other_top_k": _number(0, 100, 0, "of the other settings", GENERATION),
    "other_top_p": _number(0.05, 1, 1.0, "of the other settings", GENERATION),
    "each_layer": _switch("whether what each layer would say is open", GENERATION, default=None),
    "lens": _one_of(READINGS, READINGS[0], "what the colours say of what each layer would say", GENERATION),
    "lens_token": _position("the token behind which one looks into the layers", GENERATION, owner=READER),
    "lens_layer": _position("how many layers have worked on it", GENERATION, owner=READER),
    "whose_tokens": _switch("whether a chat is open as tokens, with whose they are", GENERATION, default=True),
    "between_messages": _switch("whether attention between the messages of a chat is shown", GENERATION),
    "parts": _switch("whether what the model says behind `lens_token` is taken apart", GENERATION),
    "explained": _switch("whether the next token is explained in eight ways", GENERATION),
    "explained_token": _position("the token behind which it is explained", GENERATION, owner=READER),
    "explained_place": _number(1, 5, 1, "which of the most probable tokens is explained", GENERATION),
    "explained_here": _switch("whether a label, or a guess, is explained in eight ways", UNDERSTANDING),
    "steps": _one_of((8, 16, 32, 64, 128), 32, "of integrated gradients", GENERATION, UNDERSTANDING),
    "agreement": _one_of(AGREEMENTS, AGREEMENTS[0], "how two orders are compared", GENERATION, UNDERSTANDING),
    "surprising": _switch("whether how surprising the text is is open", GENERATION, default=None),
    "beside_text": _text("", "another text, read by the same model beside", GENERATION),
    "beside_model": _text("", "another model that reads the text beside", GENERATION),
    "across": _one_of(ACROSS, ALL, "which heads of cross-attention", TRANSLATION),
    "between": _one_of(BETWEEN, WORDS, "between what", TRANSLATION),
    "aligned": _one_of(ALIGNED, ARGMAX, "which pairs are marked as aligned", TRANSLATION),
    "followed_word": _position("the written word whose lines are kept", TRANSLATION, own_words=True),
    "step": _position("the decoding step", TRANSLATION, owner=READER),
    "width": _number(1, 8, WIDTH, "of the beam", TRANSLATION, GENERATION),
    "penalty": _number(0, 2, PENALTY, "of length, in the beam", TRANSLATION, GENERATION),
    "reference": _text("", "a translation held to be right", TRANSLATION),
    "section": _one_of(SECTIONS, BLANK, "what the encoder is asked", UNDERSTANDING),
    "in_turn": _switch("whether each token is hidden in its turn", UNDERSTANDING, default=None),
    "hidden": _text("", "what stood where a word was hidden or put in by click", UNDERSTANDING, own_words=True),
    "maps": _one_of(MAPS, MEAN, "what each of the two maps shows", UNDERSTANDING),
    "asked_token": _position("the token of which is asked what it sees", UNDERSTANDING, own_words=True),
    "decoder_layer": _position("the layer of the decoder beside it", UNDERSTANDING, owner=DECODER),
    "decoder_head": _position("the head of the decoder beside it", UNDERSTANDING, owner=DECODER),
    "carrier": _position("the token whose part in the judgement is spelled out", UNDERSTANDING, own_words=True),
    "second": _text(SECOND, "the other of two texts that are compared", UNDERSTANDING),
    "compared": _position("the layer whose vectors are compared", UNDERSTANDING, owner=READER),
    "token_pair": _positions(2, "two tokens, one of each text, that are compared", UNDERSTANDING, own_words=True),
    "checkpoint": _number(0, 10**6, None, "the step of the copier's training that is shown", TRAINING, own_words=True),
    "enlarged": _positions(2, "the head whose map stands large: layer, head", TRAINING, own_words=True),
    "copier_seed": _number(0, 2**31 - 1, 6, "where the copier's random numbers come from", TRAINING),
    "copier_layers": _number(1, 3, 2, "layers of a copier that is trained", TRAINING),
    "copier_heads": _one_of((1, 2, 4), 2, "its heads in each", TRAINING),
    "copier_width": _one_of((8, 16, 32, 64), 32, "how many numbers its vectors have", TRAINING),
    "copier_mlp": _switch("whether its blocks have an MLP", TRAINING),
    "copier_rate": _one_of(RATES, 1e-2, "its learning rate", TRAINING),
    "copier_steps": _number(1, 2000, 600, "how many steps", TRAINING),
    "copier_spans": _switch("whether pieces come again; else the whole beginning", TRAINING, default=True),
    "copier_known": _switch("whether only what can be known counts in its loss", TRAINING, default=True),
    "copier_trained": _switch("whether one was trained with these settings", TRAINING),
    "lesson": _one_of(LESSONS, COPIER, "what of training is looked at", TRAINING),
    "schedule": _one_of(SCHEDULES, SCHEDULES[0], "the learning rate after the warm-up", TRAINING),
    "step_units": _one_of((BY_WORDS, BY_CHARACTERS), BY_WORDS, "what `learned` is cut into for a step", TRAINING),
    "step_rate": _one_of(STEP_RATES, 0.01, "its highest", TRAINING),
    "clip": _one_of((0.25, 1.0, 0.0), 1.0, "the norm to which gradients are clipped; 0: they are not", TRAINING),
    "decay": _one_of((0.0, 0.1, 1.0), 0.1, "the weight decay", TRAINING),
    "training_step": _number(1, 10**6, 3, "the step of training, from 1", TRAINING),
    "prediction": _position("which of the batch's tokens is looked at", TRAINING),
    "matrix": _matching(MATRIX, "E", "the weights that are looked at: `E`, `P`, or layer and part, `0.q`", TRAINING),
    "matrix_row": _position("the row of the chosen weight", TRAINING),
    "matrix_column": _position("the column of the chosen weight", TRAINING),
    "counted": _matching(r"[\w-]{1,40}", catalog.DEFAULT, "the model whose training is reckoned", TRAINING),
    "learned": _text(THREE_LINES, "the lines that are learned by heart, up to 4,000 bytes", TRAINING, most=4000),
    "learned_units": _one_of(LINES_UNITS, BY_WORDS, "what they are cut into", TRAINING),
    "learned_apart": _switch("whether each line is a text by itself", TRAINING),
    "learned_rate": _one_of(RATES, 3e-4, "the learning rate", TRAINING),
    "learned_steps": _number(0, 2000, 300, "how many steps", TRAINING),
    "learned_seed": _number(0, 2**31 - 1, 0, "where the random numbers come from at the start", TRAINING),
    "learned_at": _position("the step whose checkpoint is shown; none: the last", TRAINING, own_words=True),
    "unseen": _text("I am a teacher.", "a text with a word that the lines do not have", TRAINING),
    "other_line": _text("I love to graduate soon.", "the line that is learned after them", TRAINING),
    "other_rate": _one_of(RATES, 3e-4, "the learning rate for that", TRAINING),
    "other_steps": _number(0, 2000, 40, "how many steps of that", TRAINING),
    "other_at": _position("the step of that whose checkpoint is shown; none: the last", TRAINING, own_words=True),
    "tuned_lines": _text(
        TUNED_LINES, "the lines that the story model is tuned on, up to 4,000 bytes", TRAINING, most=4000
    ),
    "tuned": _switch("whether it is tuned, as soon as a link is opened", TRAINING),
    "tuned_steps": _number(0, 200, 20, "how many steps of that", TRAINING),
    "tuned_rate": _one_of(RATES, 3e-4, "the learning rate of that", TRAINING),
    "tuned_seed": _number(0, 2**31 - 1, 0, "which lines make a step, and what is drawn", TRAINING),
    "tuned_before": _text(catalog.DEFAULT, "of two models, the one before", TRAINING, own_words=True),
    "tuned_after": _text("", "the one after; empty: what was tuned last", TRAINING, own_words=True),
    "tuned_beginning": _text("", "what both write on from; empty: how the first line begins", TRAINING),
    "tuned_drawn": _switch("whether that is drawn at random", TRAINING),
    "tuned_moved": _one_of(MOVED, SHARE, "by what a head is said to have moved", TRAINING),
    "map_neighbours": _number(1, 8, 3, "neighbours of each token", EMBEDDINGS),
    "map_axes": _one_of((2, 3), 2, "dimensions of the map", EMBEDDINGS),
    "similarity_of": Choice(
        "the layer whose vectors are compared, or the token vectors", TOKEN_VECTORS, _layer_or_tokens, (EMBEDDINGS,)
    ),
    "layers_apart": _switch("whether each layer has colours of its own", EMBEDDINGS, default=True),
}


@cache
def of(page: str) -> Mapping[str, Choice]:
    """Those that count on a page, by name."""
    return MappingProxyType({name: each for name, each in CHOICES.items() if not each.pages or page in each.pages})


def owned_by(owner: str) -> tuple[str, ...]:
    """The names of those that each model has for itself."""
    return tuple(name for name, choice in CHOICES.items() if choice.owner == owner)
