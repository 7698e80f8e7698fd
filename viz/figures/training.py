"""What the card of a model's training says, as tables and a learning curve. Cards differ by what the model is for: what
one does not state is left out, and what it states under a name that is not known here is shown under that name.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from viz.figures.numbers import percent
from viz.plain import plain

Card = Mapping[str, Any]

TEXTS = {
    "gutenberg_children": "Children's books from Project Gutenberg",
    "gutenberg_simple": "Simple fiction from Project Gutenberg",
    "tinystories_5k": "TinyStories, a sample",
    "tatoeba_en_sentences": "English sentences from Tatoeba",
    "storybooks_ccby": "StoryWeaver and African Storybook",
    "reviews": "Reviews",
    "films": "Film reviews",
    "sentences": "Single sentences of these",
    "films, valid": "Film reviews by which training was chosen",
    "films, valid and test": "Both sets of film reviews",
    "films, three labels": "Both sets, where neutral is wrong",
    "rated, three labels": "Tweets and product reviews, three labels",
    "typed, three labels": "Texts as visitors type them, three labels",
    "remarks": "Remarks on products",
    "rated": "Tweets and product reviews",
    "spans": "Random symbols, and spans of them again",
    "known": "What can be known from before",
    "unknown": "What cannot, by which it was not trained",
    "all": "All together",
    "train": "trained on",
    "valid": "for the learning curve",
    "test": "for the test",
}


@dataclass(frozen=True)
class _Measure:
    head: str
    form: str  # of str.format, or percent
    meaning: str = ""

    def text(self, value: float) -> str:
        return percent(value) if self.form == "percent" else self.form.format(value)


_MEASURES = {
    "share": _Measure("share", "percent", "share: of what it read"),
    "late_share": _Measure("late share", "percent", "late share: of what it read towards the end"),
    "tokens": _Measure("tokens", "{:,}"),
    "texts": _Measure("texts", "{:,}"),
    "hidden_tokens": _Measure("hidden", "{:,}", "hidden: the tokens that it had to name"),
    "nats_per_token": _Measure("loss", "{:.2f}", "loss: in nats a token"),
    "bits_per_byte": _Measure("bits per byte", "{:.3f}", "bits per byte: the loss by the length of the text"),
    "five_gram": _Measure(
        "5-gram", "{:.3f}", "5-gram: the bits per byte of counting five tokens in a row in the texts that it read"
    ),
    "xz": _Measure("xz", "{:.3f}", "xz: those of a program that packs files"),
    "accuracy": _Measure("named right", "percent"),
    "unigram_accuracy": _Measure("most frequent", "percent", "most frequent: always naming the commonest token"),
    "perplexity": _Measure(
        "perplexity", "{:.1f}", "a perplexity of 20 is as unsure as a fair choice among 20 equally likely tokens"
    ),
    "unigram_perplexity": _Measure(
        "by frequency", "{:.1f}", "by frequency: the perplexity of knowing only how common each token is"
    ),
    "BLEU": _Measure("BLEU", "{:.1f}"),
    "chrF": _Measure("chrF", "{:.1f}", "BLEU and chrF: by sacrebleu, from 0 to 100"),
    "margin": _Measure("±", "percent", "±: what may be chance in a share of so many texts, 19 times of 20"),
}
_SHARE = _Measure("", "percent")  # the judges of a classifier, each under its own name: how often it is right


@dataclass(frozen=True)
class Table:
    """Rows with a name and a cell for each head; `note` tells what the columns mean."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    note: str


@dataclass(frozen=True)
class Curves:
    """A measure on texts that were held out, as training went on."""

    unit: str
    tokens: Mapping[str, Sequence[float]]  # of each line: how many had been read
    values: Mapping[str, Sequence[float]]


def how_long(hours: float) -> str:
    return f"{hours:.2f} hours" if hours >= 0.05 else f"{3600 * hours:.0f} seconds"


def how_trained(card: Card) -> str:
    """From what, for how long, on which machine."""
    start = f", from {plain(card['start'])}," if card.get("start") else ""
    return (
        f"We trained them ourselves{start} in **{how_long(card['hours'])}** on one machine ({plain(card['machine'])}): "
        f"{card['steps']:,} steps over {card['tokens']:,} tokens, the random seed {plain(card['seed'])}."
        f"{''.join(tell(card[name]) for name, tell in _TOLD.items() if card.get(name))}{_layer(card)}"
    )


def _smaller(grown_from: Mapping[str, Any]) -> str:
    return (
        f" It began as a smaller model, made wider and deeper: {grown_from['parameters']:,} weights that had been "
        f"trained for {how_long(grown_from['hours'])} over {grown_from['tokens']:,} tokens."
    )


def _teacher(sentences: Mapping[str, Any]) -> str:
    return (
        f" The mean of its vectors learned to resemble those of {sentences['read']:,} sentences by "
        f"{plain(sentences['teacher'])}, of which nothing else was used: on {sentences['held_out']:,} others, the "
        f"cosine is {sentences['cosine']:.3f}; always giving the mean vector would make it "
        f"{sentences['cosine_of_the_mean']:.3f}."
    )


def _layer(card: Card) -> str:
    if "own_parameters" not in card:
        return ""
    return (
        f" Its own are {card['own_parameters']:,} of these weights, one layer over the mean of a text's final vectors; "
        f"all others are those of {plain(card['encoder'])}, as they are."
    )


def _vocabulary(lessons: Mapping[str, int]) -> str:
    return (
        f" Its vocabulary was learned from the texts and from a list of {lessons['words']:,} words in lessons on "
        f"language models: {lessons['whole_words']:,} of them are one token each, and so is every word in "
        f"{lessons['whole_sentences']:,} of {lessons['sentences']:,} sentences that such lessons use. "
        f"It also read {lessons['own_sentences']:,} sentences that were written for it with these words."
    )


def _own_stories(own: Mapping[str, Any]) -> str:
    read = percent(own["share"])
    return f" Towards the end, {read} of what it read were {own['stories']:,} stories that were written for it."


# of what a card may state, by its name there, how it is told
_TOLD = {"grown_from": _smaller, "lessons": _vocabulary, "own_stories": _own_stories, "sentences": _teacher}


def what_it_read(card: Card) -> Table:
    data = card.get("data", {})
    if all(isinstance(n, int) for n in data.values()):  # pairs of sentences, by what they were used for
        rows = tuple((TEXTS.get(name, name), (f"{n:,}",)) for name, n in data.items())
        return Table(("pairs of sentences",), rows, "")
    return _table(data)


def how_well(card: Card) -> Table | None:
    """On texts that it did not learn from; None if the card tells nothing of the kind."""
    tested = card.get("held_out") or card.get("test") or {}
    rows = {name: row for name, row in tested.items() if isinstance(row, Mapping)}
    if not rows:
        return None
    counts = [f"{n:,} {name}" for name, n in tested.items() if isinstance(n, int)]
    first = f"On {' and '.join(counts)}" if counts else ""
    if left_out := set(rows) - {"all", *card.get("counted_in_all", rows)}:
        first = f"{TEXTS['all']}: without {' and '.join(TEXTS.get(name, name) for name in sorted(left_out))}"
    return _table(rows, first)


def written_by_itself(card: Card) -> str:
    """What it writes if it always takes the most probable token, as HTML; empty if the card does not tell."""
    texts = []
    for row in card.get("greedy", ()):
        start, again = row["start"], row["repeated_8_grams"]
        loops = f"{again:,} times, eight tokens come that have come before" if again else "no eight in a row come twice"
        texts.append(
            f'<p style="margin:0 0 .7rem"><b>{html.escape(start)}</b>{html.escape(row["text"].removeprefix(start))}'
            f'<br><span style="font-size:.84rem;opacity:.75">{row["tokens"]:,} tokens; {loops}</span></p>'
        )
    return "".join(texts)


def _table(rows: Mapping[str, Mapping[str, Any]], first: str = "") -> Table:
    names = dict.fromkeys(name for row in rows.values() for name, value in row.items() if not isinstance(value, str))
    measures = {name: _MEASURES.get(name, _SHARE) for name in names}
    cells = (
        (
            TEXTS.get(row_name, row_name),
            tuple(m.text(row[name]) if name in row else "" for name, m in measures.items()),
        )
        for row_name, row in rows.items()
    )
    meanings = [first, *(measure.meaning for measure in measures.values())]
    note = "; ".join(meaning for meaning in meanings if meaning)
    heads = tuple(measure.head or name for name, measure in measures.items())
    return Table(heads, tuple(cells), f"{note[:1].upper()}{note[1:]}." if note else "")


def learning_curves(card: Card) -> Curves | None:
    """None if the card holds no history."""
    history = card.get("history", {})
    columns = list(history.get("columns", ()))
    lines = {name: rows for name, rows in history.items() if isinstance(rows, list) and name != "columns" and rows}
    if len(columns) < 4 or not lines:
        return None
    at, first = columns.index("tokens"), 3  # after step, tokens, seconds
    unit = history.get("unit")
    last = len(columns) if unit else first + 1  # without one for all, the measures have units of their own
    chosen = {
        (TEXTS.get(columns[column], columns[column]) if len(lines) == 1 else name): (rows, column)
        for name, rows in lines.items()
        for column in range(first, last)
    }
    return Curves(
        unit or columns[first],
        {name: [row[at] for row in rows] for name, (rows, _) in chosen.items()},
        {name: [row[column] for row in rows] for name, (rows, column) in chosen.items()},
    )


def training_table(table: Table) -> str:
    """As HTML."""
    cell = "padding:.42rem .6rem;border-bottom:1px solid color-mix(in srgb, currentColor 14%, transparent)"
    right = f"{cell};text-align:right;font-variant-numeric:tabular-nums"
    top = f'<td style="{cell}"></td>' + "".join(
        f'<th scope="col" style="{right};font-weight:600">{html.escape(head)}</th>' for head in table.heads
    )
    body = "".join(
        f'<tr><th scope="row" style="{cell};text-align:left;font-weight:400">{html.escape(name)}</th>'
        + "".join(f'<td style="{right};white-space:nowrap">{html.escape(value)}</td>' for value in values)
        + "</tr>"
        for name, values in table.rows
    )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;width:100%">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
