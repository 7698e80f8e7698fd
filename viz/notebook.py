"""Regard in a notebook or a script: what a cell shows is alive, without a server, and stays so in the saved notebook.

    import model as regard  # which has what is here, where Regard is installed: an entry point in pyproject.toml

    regard.read("The cat sat on the mat")  # all heads, alive
    regard.heads(outputs.attentions, tokens)  # of any model: BertViz's model_view(attention, tokens)

Figures are plotly figures, tables are DataFrames, arrays are NumPy. Letters: L layers, H heads, Q rows look, K columns
are looked at.
"""

import html
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import model
from model import Intervention, VisitorError, load
from model.analysis.attention_map import heads_at
from model.language_model import LanguageModel
from model.run import DenseAttention, ModelRun
from viz.figures.heads import head_name
from viz.offline.report import Heads, Map, Reading, View, reading_of, report

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Intervention", "Picture", "Read", "VisitorError", "heads", "load", "of", "read", "scores"]
MOST_PLACES = 64 * 10**6  # weights that are taken from outside: 256 MB of float32


@dataclass(frozen=True)
class Picture:
    """What a cell of a notebook shows, and a file of the same."""

    reading: Reading = field(repr=False)

    @property
    def html(self) -> str:
        """A page of its own, which needs no network."""
        return report([self.reading])

    def save(self, where: str | Path) -> None:
        """Into an .html file. Raises `VisitorError` for another."""
        path = Path(where)
        if path.suffix != ".html":
            raise VisitorError(f"{path.name} does not end with .html, which this picture is saved as.")
        path.write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        """In a frame: neither the notebook's styles reach in, nor these out. A notebook that is not trusted yet takes
        frames and styles away, and so shows the sentence behind them.
        """
        shown = self.reading.heads
        height = 1150 if shown else 560  # px, until the page within says how high it is
        page = html.escape(report([self.reading], bare=True))
        title = html.escape(f"Regard: {self.reading.text}")
        return (
            f'<iframe srcdoc="{page}" title="{title}" style="width:100%;height:{height}px;border:0" loading="lazy">'
            f"</iframe><style>.regard-kept-out{{display:none}}</style><p class=regard-kept-out>{title}. Its picture is "
            "kept out until you trust this notebook (in JupyterLab: View, Activate Command Palette, Trust Notebook) or "
            "run it.</p>"
        )


@dataclass(frozen=True)
class Read:
    """A text that a model has read: look at it, change the model, take numbers out."""

    lm: LanguageModel = field(repr=False)
    text: str
    run: ModelRun = field(repr=False)

    def _repr_html_(self) -> str:
        return self.heads()._repr_html_()

    def heads(self, kind: str | None = None, first: tuple[int, int] | None = None) -> Picture:
        """All heads alive. `kind`: of which attention, "self", "encoder" or "cross"; `first`: the one that is shown
        at first, layer and head.
        """
        from model.analysis.telling import telling_head

        kind = self._kind(kind)
        first = self._place(kind, *first) if first else telling_head(self.run)
        return Picture(reading_of(self.run, self.text, kind=kind, head=first, more=self._changed()))

    def widget(self, kind: str | None = None) -> Any:
        """All heads as an anywidget, while the kernel runs: `.chosen` is the layer and the head that were clicked last,
        and `.observe(f, "chosen")` hears of each click. Raises `VisitorError` where anywidget is not installed.
        """
        from model.analysis.telling import telling_head
        from viz.widget import grid_widget

        return grid_widget(self.run, self._kind(kind), telling_head(self.run))

    def head(self, layer: int, head: int, kind: str | None = None, *, lines: bool = False) -> Picture:
        """One head as a map, or as lines."""
        kind = self._kind(kind)
        queries, keys = self.run.sides(kind)
        shown = Map(
            self.weights(layer, head, kind),
            [token.label for token in queries],
            [token.label for token in keys],
            lines=lines,
            joined=kind != "cross",
        )
        whole = reading_of(self.run, self.text, kind=kind, head=(layer, head), more=self._changed())
        view = View(head_name(layer, head).capitalize(), map=shown)
        return Picture(replace(whole, heads=None, views=[view]))

    def weights(self, layer: int, head: int, kind: str | None = None) -> np.ndarray:
        """(Q, K) after softmax: rows look, columns are looked at."""
        kind = self._kind(kind)
        layer, head = self._place(kind, layer, head)
        return model.attention_weights(self.run.layers(kind)[layer], head)

    def table(self, layer: int, head: int, kind: str | None = None) -> pd.DataFrame:
        """The same with names: positions and tokens, so that equal tokens stay different rows."""
        queries, keys = self.run.sides(self._kind(kind))
        names = [[f"{i} {token.label}" for i, token in enumerate(side)] for side in (queries, keys)]
        return pd.DataFrame(self.weights(layer, head, kind), *names)

    def figure(self, layer: int, head: int, kind: str | None = None) -> "Figure":
        """The same as a plotly figure."""
        from viz.commands.picture import figure

        kind = self._kind(kind)
        return figure(self.run, kind, *self._place(kind, layer, head))

    def without(self, *heads: tuple[int, int]) -> "Read":
        """The same text, read with these heads, layer and head, writing nothing."""
        off = self.run.intervention.heads_off | {self._place("self", *place) for place in heads}
        changed = replace(self.run.intervention, heads_off=off)
        return replace(self, run=self.lm.run(self.run.tokens, changed, self.run.source))

    @property
    def tokens(self) -> pd.DataFrame:
        """Each token with its id, its bytes and its place in the text."""
        rows = [(t.label, t.id, t.piece.hex(" "), t.start, t.end) for t in self.run.tokens]
        return pd.DataFrame(rows, columns=["token", "id", "bytes", "start", "end"])

    @property
    def predictions(self) -> pd.DataFrame:
        """What was expected after each token (of an encoder: in its place), and what the real one was given.

        Raises `VisitorError` for a model that predicts none.
        """
        said = self.run.predictions
        if said is None:
            raise VisitorError(f"{self.run.info.title} predicts no tokens: it has no head for that.")
        best = [self.lm.token(int(id)).label for id in said.top_id[:, 0]]
        there = said.next_rank >= 0
        return pd.DataFrame(
            {
                "token": self.run.labels,
                "expected": best,
                "its probability": np.exp(said.top_log_prob[:, 0]),
                "probability of the real one": np.where(there, np.exp(said.next_log_prob), np.nan),
                "its rank": said.next_rank,
                "entropy": said.entropy,
            }
        )

    def save(self, where: str | Path) -> None:
        """Into a file by its end: .html, all heads alive; .npz, the run as data, which `model.load_run` reads back.

        Raises `VisitorError` for another end.
        """
        path = Path(where)
        if path.suffix == ".npz":
            places = [(kind, *place) for kind in self.run.kinds for place in heads_at(self.run.grid(kind))]
            with path.open("wb") as file:
                model.save_run(self.run, file, places, self.text)
        elif path.suffix == ".html":
            self.heads().save(path)
        else:
            raise VisitorError(f"{path.name} does not end with .html or .npz, which a text that was read is saved as.")

    def _kind(self, kind: str | None) -> str:
        kind = kind or self.run.kinds[-1]
        if kind not in self.run.kinds:
            raise VisitorError(
                f"{self.run.info.title} has no attention of the kind {kind}: {', '.join(self.run.kinds)}."
            )
        return kind

    def _place(self, kind: str, layer: int, head: int) -> tuple[int, int]:
        """Raises `VisitorError` for a head that is not there."""
        from viz.commands.picture import check_head

        layer, head = int(layer), int(head)
        if min(layer, head) < 0:
            raise VisitorError("Layers and heads are counted from 0.")
        check_head(self.run.grid(kind), layer, head, self.run.info)
        return layer, head

    def _changed(self) -> list[str]:
        off = sorted(self.run.intervention.heads_off)
        return [f"Read without {', '.join(f'{layer}.{head}' for layer, head in off)} (layer.head)."] if off else []


def read(text: str, name: "str | Path | LanguageModel" = "story") -> Read:
    """A text read by a model: one that `load` takes by its name, or one that is loaded. Raises `VisitorError`."""
    from model.text.prompt import Prompt, tokens_of

    if not text.strip():
        raise VisitorError("The text is empty: there is nothing to read. Give a word at least.")
    lm = load(name) if isinstance(name, str | Path) else name
    tokens, source = tokens_of(lm, Prompt(text))
    return Read(lm, text, lm.run(tokens, source=source))


def of(transformer: Any, tokenizer: Any) -> LanguageModel:
    """A transformers model that is in memory, for `read`: a copy in single precision, so that yours stays as it is.

    It goes through a folder that is gone afterwards, and is looked at as closely as any other: raises
    `ModelNotAvailable` where its true attention cannot be shown.
    """
    with tempfile.TemporaryDirectory(prefix="regard-") as folder:
        transformer.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return load(Path(folder))


def heads(attentions: Any, tokens: Sequence[str] | None = None, keys: Sequence[str] | None = None) -> Picture:
    """All heads of weights that you have: `outputs.attentions` of transformers, one text; or arrays (L, H, Q, K).

    `tokens`: the rows' names (numbers, unless told); `keys`: the columns', where these are another text, as for
    `cross_attentions`. A layer may be None. Raises `VisitorError` for what is no such weights.
    """
    if getattr(attentions, "ndim", 0) == 3:  # of one layer
        attentions = [attentions]
    layers = [None if each is None else _array(each) for each in attentions]
    if not layers or all(each is None for each in layers):
        raise VisitorError(
            "There are no weights: transformers gives them with attn_implementation='eager' at loading and "
            "output_attentions=True in the call."
        )
    shapes = {each.shape for each in layers if each is not None}
    if len(shapes) > 1:
        raise VisitorError(
            f"The layers are of different shapes: {', '.join(map(str, sorted(shapes)))}. Give those alike."
        )
    _, n_query, n_key = next(iter(shapes))
    rows = _names(tokens, n_query, "tokens")
    columns = rows if keys is None and n_key == n_query else _names(keys, n_key, "keys")
    if len(layers) * int(np.prod(next(iter(shapes)))) > MOST_PLACES:
        raise VisitorError(f"There are more than {MOST_PLACES:,} weights, which are shown at most: give some layers.")
    from model.run import NoAttention

    made = [NoAttention("nothing given") if each is None else DenseAttention(each) for each in layers]
    first = next(i for i, each in enumerate(layers) if each is not None)
    n_head = len(layers[first])
    about = (
        f"Weights given: {len(layers)} layers × {n_head} heads, {n_query} tokens looking at {n_key}; to four digits."
    )
    text = " ".join(label.strip("␣▁Ġ") for label in rows) if tokens else "weights without names"
    shown = Heads(made, rows, columns, (first, 0), joined=columns is rows)
    return Picture(Reading(text, "given", "", [about], shown))


def scores(name: "str | Path | LanguageModel" = "story", texts: Sequence[str] = ()) -> pd.DataFrame:
    """What each head does over many texts, Regard's own unless told: a row a head, a column a score, and its label.

    And, where it can be read off the model's parameters, whether it copies what it looks at.
    """
    from model.analysis.ov_circuit import copying
    from model.text.passages import passages
    from viz.commands.heads import heads_of, survey_of

    lm = load(name) if isinstance(name, str | Path) else name
    kind = "cross" if lm.info.family == "encoder-decoder" else "self"
    made = survey_of(lm, tuple(texts) or passages(), kind)
    rows = [
        {"layer": layer, "head": head, "label": made.labels[layer, head]}
        | {score: found.mean[layer, head] for score, found in made.found.items()}
        for layer, head in heads_of(made)
    ]
    table = pd.DataFrame(rows).set_index(["layer", "head"])
    with suppress(VisitorError):  # it cannot be read off every model
        of_parameters = copying(lm).value
        table["copying"] = [of_parameters[place] for place in table.index]
    return table


def _array(layer: Any) -> np.ndarray:
    """One layer's weights (H, Q, K) in float32, of an array or a tensor, with or without a batch of one text."""
    if isinstance(layer, tuple | list):
        raise VisitorError(
            "These are weights of several steps (of generate): give those of one, or read the whole text in one call."
        )
    if hasattr(layer, "detach"):  # a tensor, on whatever device
        layer = layer.detach().cpu().float().numpy()
    weights = np.asarray(layer)
    if weights.ndim == 4 and len(weights) == 1:
        weights = weights[0]
    if weights.ndim != 3 or weights.dtype.kind not in "fiu" or 0 in weights.shape:
        raise VisitorError(
            f"Weights of a layer are heads × rows × columns, of one text; these are {weights.shape} of {weights.dtype}."
            + (" Choose one text: [layer[:1] for layer in attentions]." if weights.ndim == 4 else "")
        )
    weights = weights.astype(np.float32)
    if np.isinf(weights).any() or (weights < 0).any() or (weights > 1 + 1e-3).any():
        raise VisitorError("Weights are from 0 to 1; these are not. Give what comes after softmax.")
    return np.minimum(weights, 1)


def _names(names: Sequence[str] | None, n: int, what: str) -> list[str]:
    if names is None:
        return [str(i) for i in range(n)]
    if len(names) != n:
        raise VisitorError(f"There are {len(names)} {what} for {n} places. Give one name for each.")
    # how byte-level tokenizers and SentencePiece write a space
    return [str(name).replace("Ġ", "␣").replace("▁", "␣").replace("Ċ", "↵") or "∅" for name in names]
