"""Where our judge of texts came from: two stages, out of the cards that its training wrote."""

import json

import streamlit as st

from model import catalog
from viz.components.bar_list import Row, bar_list
from viz.figures.numbers import percent
from viz.plain import plain
from viz.ui import corners
from viz.ui.pictures import caption

OWN = ("linear layer", "fine-tuned")  # what the card calls it: a layer on the encoder, or an encoder trained with it
ALL_FILMS = ("films, valid and test", "films")  # the most sentences that the card tells of
# what the card compares, and how it is called here
TESTED = {
    **{name: name for name in OWN},
    "from scratch": "from scratch",
    "bag of words": "bag of words",
    "bag of words, films only": "bag, films only",
    "layer and bag together": "layer + bag",
}


def how_often_right(card: dict) -> str:
    """How far to trust it, in the words of its card."""
    if not (films := of_films(card)):
        return ""
    return f" On film reviews that it had never seen, it is right {percent(films[own_name(films)])} of the time."


def of_films(card: dict) -> dict:
    """How often it and its rivals are right on film reviews, positive or negative."""
    test = card.get("test", {})
    return next((test[name] for name in ALL_FILMS if name in test), {})


def own_name(row: dict) -> str:
    return next(name for name in OWN if name in row)


def show_stages(first: dict, second: dict) -> None:
    """By the cards of the encoder and of the judge."""
    if "held_out" not in first or "test" not in second:
        return  # not trained by us
    st.subheader("How it learned this, in two stages", anchor=False)
    left, right = st.columns(2, gap="large")
    with left, st.container(border=True):
        st.markdown(f"**1. Pre-training** · {plain(first['title'])}")
        show_pretraining(first)
    with right, st.container(border=True):
        st.markdown(f"**2. {'Judging' if 'own_parameters' in second else 'Fine-tuning'}** · {plain(second['title'])}")
        show_finetuning(second)


def card(name: str) -> dict:
    """What training wrote of a built-in model; nothing if it is not here."""
    try:
        return json.loads((catalog.WEIGHTS / name / "card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def show_pretraining(card: dict) -> None:
    st.markdown(
        f"From {plain(card['start'])}, in {card['hours']:.1f} hours: {card['steps']:,} steps over {card['tokens']:,} "
        "tokens of stories, sentences and reviews. Some of their tokens were hidden, and it learned to name them."
        + beside_naming(card)
    )
    rows = list(card["held_out"].values())
    hidden = sum(row["hidden_tokens"] for row in rows)
    right, common = (
        sum(row[key] * row["hidden_tokens"] for row in rows) / hidden for key in ("accuracy", "unigram_accuracy")
    )
    with corners.about(text=None):
        bar_list(
            [
                Row("encoder", right, percent(right), marked=True, picks=False),
                Row("most frequent", common, percent(common), picks=False),
            ],
            key="named_right",
            name="Share of hidden tokens named right",
            full=1.0,
        )
    caption(
        f"Share of {hidden:,} hidden tokens of held-out texts that its first guess names right; below, that of always "
        "naming the most frequent token."
    )


def beside_naming(card: dict) -> str:
    """What else it learned from, if it did."""
    if "sentences" not in card:
        return " Nobody had judged these."
    judged = f" Towards the end, {sum(card['judged'].values()):,} of them came with what people had said of them."
    return (
        f" Of {card['sentences']['read']:,} single sentences, the mean of its vectors learned to resemble the vector "
        f"that another model gives them, {plain(card['sentences']['teacher'])}; nothing else of that one was used."
        + judged
    )


def show_finetuning(card: dict) -> None:
    texts = sum(row["texts"] for row in card["data"].values())
    own = f"of {card['own_parameters']:,} numbers " if "own_parameters" in card else ""
    st.markdown(
        f"The same weights, and one linear layer {own}over the mean of a text's vectors, trained on {texts:,} short "
        f"texts that people have judged: {' or '.join(map(plain, card['labels']))}."
    )
    films = of_films(card)
    name = own_name(films)
    found = {label: films[each] for each, label in TESTED.items() if each in films}
    with corners.about(text=None):
        bar_list(
            [Row(label, value, percent(value), marked=label == name, picks=False) for label, value in found.items()],
            key="judged_right",
            name="Share of test sentences judged right",
            full=1.0,
        )
    scratch = "From scratch: the same network without stage 1. " if "from scratch" in films else ""
    together = " Layer + bag: their log-probabilities added." if "layer and bag together" in films else ""
    # by those of the first set, how strongly each is held down was chosen
    seen = "that were not trained on" if "films, valid and test" in card["test"] else "that none of them had ever seen"
    caption(
        f"Share of {films['texts']:,} film reviews judged right {seen}; differences below ± "
        f"{100 * films['margin']:.1f} points may be chance. {scratch}Bag of words: a logistic regression that sees "
        "which words and pairs of words occur and not their order, trained on the same texts, or on film reviews "
        f"alone.{together}"
    )
    words = max(value for label, value in found.items() if label.startswith("bag"))
    against = f"Against the better bag of words, the encoder {ahead(films[name] - words, films['margin'])}"
    if "from scratch" in films:
        points = ahead(films[name] - films["from scratch"], films["margin"])
        against += f"; against itself without pre-training, it {points}"
    st.markdown(f"{against}.")
    show_neutral(card)


def show_neutral(card: dict) -> None:
    """How often it is right where a text may also be neutral, if it knows that."""
    if row := card["test"].get("rated, three labels"):
        name = own_name(row)
        caption(
            f"Among three labels, neutral too: of {row['texts']:,} tweets and product reviews {percent(row[name])} are "
            f"judged right, by a bag of words {percent(row['bag of words'])} (± {percent(row['margin'])})."
        )


def ahead(share: float, margin: float) -> str:
    """By how much one is more often right than another, and whether that may be chance."""
    if abs(share) < 0.0005:
        return "is **no better and no worse**"
    points = f"**{'wins' if share > 0 else 'loses'} by {abs(100 * share):.1f} points**"
    return points + (", which may be chance" if abs(share) < margin else "")
