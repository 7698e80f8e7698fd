"""Texts that people have judged, as negative, neutral or positive, and how sure one can be of it: soft labels.

A soft label is three probabilities. Of a text that several people rated from -4 to 4, it is how likely a rating near
their mean falls below, into or above the neutral band. Of a sentence that one person called good or bad, half is what
that person said, half what sentences of like meaning are called. Everyday sentences nobody has judged: theirs is made
of the rating that those of like meaning got, and most are neutral. "Of like meaning" is by linear regression on the
sentence vectors of `model.training.sentences`, never on a sentence's own label.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict

from model.training.data import RATED, kept_apart, tab_separated
from model.training.sentences import Sentences

LABELS = ("negative", "neutral", "positive")
NEGATIVE, NEUTRAL, POSITIVE = range(3)
BAND = 0.5  # a mean rating nearer to 0 is neutral
EVERYDAY, EVERYDAY_BAND = "tatoeba_en_sentences", 1.0  # wider where a rating is guessed, and most sentences are neutral
SPREAD = 0.5  # standard deviation of what a mean rating might have been
# {what the texts are: share of what is learned from}; films are what is tested, the others are more of a kind
SHARES = {"films": 0.45, "remarks": 0.15, "rated": 0.2, EVERYDAY: 0.2}
_PARTS = 5  # of the texts that one person judged: a label is guessed from the other four


class Judged(NamedTuple):
    text: str
    label: int  # of LABELS


# written for a test, as visitors type: no label of theirs is trained on
TYPED = tuple(
    Judged(text, label)
    for label, texts in (
        (
            NEGATIVE,
            (
                "This is terrible",
                "I hate this film",
                "The plot is dull and the jokes fall flat.",
                "The film is not good.",
                "What a waste of time!",
                "The food was cold and the waiter was rude.",
                "I was bored from beginning to end",
                "The worst book I have ever read.",
                "He is angry and she is sad.",
                "My new phone broke after two days",
                "It is not worth the money.",
                "We were very disappointed.",
            ),
        ),
        (
            NEUTRAL,
            (
                "The cat sat on the mat",
                "The cat sat on the mat.",
                "The train leaves at seven.",
                "My name is Anna and I live in London",
                "The capital of France is Paris",
                "She opened the window.",
                "There are twelve months in a year.",
                "He put the book on the table",
                "The shop is next to the station.",
                "We had soup for lunch.",
                "The film is about a man and his dog.",
                "It comes in three colours",
                "I will call you tomorrow.",
                "The meeting is on Monday",
                "Two men are walking down the street.",
                "When Mary and John went to the store, John gave a drink to Mary",
            ),
        ),
        (
            POSITIVE,
            (
                "This is wonderful",
                "I love this film",
                "A funny and touching film with a wonderful cast.",
                "Not bad at all: I was never bored.",
                "What a beautiful day!",
                "The food was delicious and the waiter was kind.",
                "I laughed from beginning to end",
                "The best book I have ever read.",
                "He is happy and she is proud.",
                "My new phone works perfectly",
                "It is worth every penny.",
                "We had a great time.",
            ),
        ),
    )
    for text in texts
)


def judged_texts(folder: Path) -> dict[str, dict[str, list[Judged]]]:
    """{films, remarks, rated: {train, valid, test: texts}}; only films have a part to choose by (valid)."""

    def parts(texts: list[Judged]) -> dict[str, list[Judged]]:
        apart = [kept_apart(each.text) for each in texts]
        return {
            part: [each for each, held_out in zip(texts, apart, strict=True) if held_out == (part == "test")]
            for part in ("train", "test")
        }

    def called(label: str) -> int:
        return POSITIVE if int(label) else NEGATIVE

    def near(rating: float) -> int:
        return NEUTRAL if abs(rating) < BAND else called(str(int(rating > 0)))

    return {
        "films": {
            part: [Judged(text, called(label)) for label, text in tab_separated(folder, f"sentence_polarity.{part}")]
            for part in ("train", "valid", "test")
        },
        "remarks": parts([Judged(text, called(label)) for label, text in tab_separated(folder, "pros_cons")]),
        "rated": parts(
            [Judged(row[2], near(float(row[1]))) for row in tab_separated(folder, "vader_rated") if row[0] in RATED]
        ),
    }


def from_ratings(ratings: np.ndarray, band: float = BAND) -> np.ndarray:
    """(N,) mean ratings -> (N, 3): the probabilities of falling below, into and above the neutral band."""
    below, above = (norm.cdf((edge - ratings) / SPREAD) for edge in (-band, band))
    return np.stack([below, above - below, 1 - above], axis=1)


def soft_labels(sentences: Sentences) -> np.ndarray:
    """(N, 3), NaN for the sentences of which nothing is known (of books and stories), and for those to test by."""
    found = np.full((len(sentences), len(LABELS)), np.nan)
    is_of = {name: (sentences.source == name) & ~sentences.held_out for name in SHARES}
    vectors = {name: sentences.vectors[here].astype(np.float32) for name, here in is_of.items()}
    for name in ("films", "remarks"):
        rating = sentences.rating[is_of[name]]
        guess = LogisticRegression(C=10, max_iter=1000)
        positive = cross_val_predict(guess, vectors[name], rating, cv=_PARTS, method="predict_proba")[:, 1]
        positive = (rating + positive) / 2
        found[is_of[name]] = np.stack([1 - positive, np.zeros_like(positive), positive], axis=1)
    ratings = sentences.rating[is_of["rated"]]
    found[is_of["rated"]] = from_ratings(ratings)
    like = Ridge(alpha=2).fit(vectors["rated"], ratings)
    found[is_of[EVERYDAY]] = from_ratings(like.predict(vectors[EVERYDAY]), EVERYDAY_BAND)
    tested = {_bare(each.text) for each in TYPED}
    found[[_bare(text) in tested for text in sentences.texts]] = np.nan
    return found


def _bare(text: str) -> str:
    return text.lower().rstrip(" .!")
