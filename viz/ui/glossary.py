"""Every word of art that the pages use, once: what it means, and where it stands; README's table is made of this."""

from dataclasses import dataclass

import streamlit as st

from viz.components.words import words_line
from viz.ui.choices import (
    ATTENTION,
    COMPARISON,
    EMBEDDINGS,
    GENERATION,
    HEAD,
    HEADS,
    HOME,
    MECHANISM,
    MODEL,
    TOKENIZATION,
    TRAINING,
    TRANSLATION,
    UNDERSTANDING,
)

_OF_HEADS = (HOME, ATTENTION, HEADS, HEAD, COMPARISON, MECHANISM, TRANSLATION, UNDERSTANDING)
_OF_PROBABILITIES = (HOME, GENERATION, TRANSLATION, UNDERSTANDING)


@dataclass(frozen=True)
class Word:
    """A word of art, or several that are explained together."""

    name: str
    meaning: str  # plain text, one or two sentences
    pages: tuple[str, ...] = ()  # the paths of those that use it; none: only the code and README do


WORDS = (
    Word(
        "token",
        "a piece of text that the model reads as one: a word, a part of one, a sign",
        (HOME, TOKENIZATION, COMPARISON),
    ),
    Word(
        "byte-pair merges",
        "how a tokenizer cuts: it begins with single bytes and joins the pairs that its training text had most often",
        (TOKENIZATION,),
    ),
    Word("special token", "one that stands for no text: an end, a start, a hidden word", (TOKENIZATION, TRANSLATION)),
    Word(
        "unknown token",
        "one that stands for whatever is out of the vocabulary (OOV); a tokenizer that falls back to bytes needs none",
        (TRAINING,),
    ),
    Word("vocabulary", "all tokens that the model knows, each with a number, its id", (TOKENIZATION,)),
    Word(
        "embedding",
        "the vector of learned numbers that stands for a token before the first layer",
        (HOME, EMBEDDINGS),
    ),
    Word(
        "position vector",
        "what tells the model where a token stands; without positions a text is a bag of tokens",
        (EMBEDDINGS, MECHANISM),
    ),
    Word("cosine", "how alike two vectors point: 1 the same way, 0 at a right angle, -1 opposite", (EMBEDDINGS,)),
    Word(
        "layer, head",
        "all that read the residual stream at the same depth, and one attention pattern among them; both are counted "
        "from 0",
        (*_OF_HEADS, GENERATION, MODEL),
    ),
    Word(
        "query, key",
        "the token that looks (a row of a map), and the token that is looked at (a column); also their vectors",
        (*_OF_HEADS, GENERATION),
    ),
    Word("value", "the vector that a key gives; a head writes the sum of values, each times its weight", (HEAD,)),
    Word(
        "scores, weights",
        "query · key · scale before softmax, and after it: the weights of a row sum to 1",
        (ATTENTION, HEAD, MECHANISM),
    ),
    Word(
        "softmax",
        "makes numbers into shares of 1: each becomes e to its power, and is divided by the sum of all",
        (*_OF_PROBABILITIES, ATTENTION, HEAD, MECHANISM, TRAINING),
    ),
    Word(
        "rollout, attention flow",
        "two ways to follow attention through all layers, along paths from token to token: shares, or the most that "
        "could pass",
        (ATTENTION, GENERATION),
    ),
    Word(
        "integrated gradients",
        "gradients added up on the way from a baseline to the text, which share out all of the difference among tokens",
        (GENERATION, UNDERSTANDING),
    ),
    Word("leave-one-out", "each token taken out, or hidden, and the text read again", (GENERATION, UNDERSTANDING)),
    Word("causal mask", "what keeps a token from looking at those after it", (ATTENTION, MECHANISM, HEAD)),
    Word(
        "sink",
        "a token, mostly the first, on which heads put weight that they do not need; heads of some models have learned "
        "one that is no token",
        (ATTENTION, HEADS, UNDERSTANDING),
    ),
    Word(
        "cross-attention",
        "what is written looks at what was read, in a model that has an encoder and a decoder",
        (TRANSLATION,),
    ),
    Word(
        "encoder, decoder",
        "an encoder reads a whole text, each token seeing all others; a decoder writes, each token seeing only those "
        "before it",
        (UNDERSTANDING, TRANSLATION, MODEL),
    ),
    Word(
        "residual stream, hidden",
        "the vector of each token that all layers read and add to",
        (EMBEDDINGS, HEAD, MECHANISM, MODEL),
    ),
    Word("norm", "a vector shifted and scaled to a common size before a layer reads it", (HEAD, EMBEDDINGS, MODEL)),
    Word("MLP", "the other half of a block: it works on each token's vector alone", (MODEL, HEAD)),
    Word("parameter", "one of the numbers that training has set", (MODEL,)),
    Word(
        "KV cache",
        "keys and values of earlier tokens, kept while a text is written, so that they are not computed again",
        (MODEL,),
    ),
    Word(
        "logits",
        "one number for each entry of the vocabulary; their softmax is the probability of the next token",
        (HOME, GENERATION, MECHANISM, TRAINING, HEAD),
    ),
    Word("logit lens", "hidden vectors of a middle layer, read as if they were the last", (GENERATION, EMBEDDINGS)),
    Word("direct logit attribution", "a logit as the sum of what each head and each MLP gave it", (GENERATION,)),
    Word(
        "QK circuit, OV circuit",
        "what decides where a head looks: query and key; and what it carries from there: value and output projection",
        (HEAD,),
    ),
    Word(
        "temperature",
        "what logits, or scores, are divided by before softmax: below 1 it sharpens the choice, above 1 it flattens it",
        (HOME, GENERATION, MECHANISM),
    ),
    Word(
        "top-k, top-p",
        "only the k most probable tokens may be drawn, or the fewest that together hold the share p",
        (GENERATION,),
    ),
    Word(
        "entropy",
        "how open a choice is: 0 if one is certain, ln n if n are equally likely",
        (ATTENTION, HEADS, GENERATION),
    ),
    Word(
        "total variation",
        "half of what all shares of two distributions differ by: 0 if they are the same, 1 if they have nothing in "
        "common",
        (COMPARISON,),
    ),
    Word(
        "Jensen-Shannon divergence",
        "how far two distributions are from their mean: 0 if they are the same, ln 2 if they have nothing in common",
        (COMPARISON,),
    ),
    Word(
        "nats",
        "the unit of -ln p; divided by ln 2 it is bits",
        (ATTENTION, HEADS, COMPARISON, GENERATION, MECHANISM, UNDERSTANDING, TRAINING),
    ),
    Word(
        "loss",
        "-ln of the probability that the model gave to what did come next, in the mean",
        (HEADS, MECHANISM, MODEL, TRAINING),
    ),
    Word(
        "perplexity",
        "e to the loss: a perplexity of 20 is as unsure as a fair choice among 20 equally likely tokens",
        (MODEL, UNDERSTANDING, TRAINING),
    ),
    Word("step, batch", "training's one change of all weights, and the texts that it is made for", (TRAINING,)),
    Word("gradient", "how the loss changes if a weight grows; training moves the weight the other way", (TRAINING,)),
    Word("learning rate", "how far one step moves the weights", (TRAINING,)),
    Word("fine-tuning", "training that goes on with a model that is trained already, on other texts", (TRAINING,)),
    Word("checkpoint", "the weights of a model as they were after so many steps", (TRAINING,)),
    Word(
        "induction head",
        "one that looks at what stood behind an earlier copy of the token, and so can go on with what was there",
        (HEADS, TRAINING),
    ),
    Word("beam", "the few best unfinished translations that a search keeps at each step", (TRANSLATION,)),
    Word(
        "BLEU, chrF", "how much of a translation's runs of words, or of letters, a reference has", (TRANSLATION, MODEL)
    ),
    Word("alignment", "which written word goes with which word that was read", (TRANSLATION,)),
    Word("mask token", "what stands in the place of a hidden word, for an encoder to name", (UNDERSTANDING,)),
    Word(
        "ablation, knockout",
        "a head, or an edge between two tokens, taken out to see what depends on it",
        (HEADS, MECHANISM),
    ),
    Word("capture", "queries and keys taken down while transformers' own code runs"),
)


def on_page(page: str) -> tuple[Word, ...]:
    """Those that a page, given by its path, uses."""
    return tuple(word for word in WORDS if page in word.pages)


def show() -> None:
    """A line of those of the open page, each explained on hover and focus."""
    words_line([(word.name, word.meaning) for word in on_page(st.session_state.page)], key="words")
