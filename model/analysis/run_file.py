"""A run in a file, and read back equal to the last bit: an NPZ that NumPy reads alone, with a README.txt inside.

Arrays are stored as they are; tokens and whatever is no array stand in run.json. Nothing in it is code or a pickle, and
reading one believes nothing: not a size, not a shape.
"""

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from model.analysis.attention import attention_weights
from model.intervention import KINDS, Ablation, HeadMeans, Intervention
from model.memory import memory_available
from model.run import (
    Attention,
    DenseAttention,
    Layer,
    ModelInfo,
    ModelRun,
    NoAttention,
    Predictions,
    Token,
    VisitorError,
    short,
)
from model.sources import strict_json

FORMAT, VERSION = "Regard run", 1
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)
Place = tuple[str, int, int]  # kind of attention, layer, head
_ARRAYS = ("query", "key", "value", "sink_score")  # of a layer's `Attention`; and its bias, which layers may share
_NUMBERS = ("scale", "causal", "window", "soft_cap", "query_scale")
_MOST_VALUES = 10**7  # of run.json
_ROOM = 64 * 10**6  # bytes that stay free when a file is read


@dataclass(frozen=True)
class SavedRun:
    """What a file holds."""

    run: ModelRun
    weights: Mapping[Place, np.ndarray]  # (kind, layer, head) -> (T, C) after softmax, of the heads that were chosen
    text: str  # that was read
    version: str  # of Regard, which wrote the file


def sizes(run: ModelRun, heads: Iterable[Place] = ()) -> dict[str, int]:
    """What a file of this run takes, in bytes, by part; but for tokens and names, some hundred bytes each."""
    parts: dict[str, int] = {}
    for name, array in _arrays(run):
        part = "attention" if name.startswith(KINDS) else name.partition("/")[0]
        parts[part] = parts.get(part, 0) + array.nbytes
    weights = 0
    for kind, layer, _ in _stored(run, heads):
        record = run.layers(kind)[layer]
        weights += 4 * record.n_query * record.n_column
    return parts | ({"weights": weights} if weights else {})


def save_run(run: ModelRun, file: str | Path | IO[bytes], heads: Iterable[Place] = (), text: str = "") -> None:
    """Write a run, and the weights of some heads. The same run makes the same bytes.

    `file`: a path, which is written over, or an open file. OSError where it cannot be written; `VisitorError` for a
    head that is not there.
    """
    heads = tuple(heads)
    for kind, layer, head in heads:
        if kind not in run.kinds or (layer, head) not in _places(run, kind):
            raise VisitorError(f"This run of {run.info.title} has no head {layer}.{head} of {kind} attention.")
    stored = tuple(_stored(run, heads))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as written:
        _write(written, "README.txt", _readme(run, stored).encode())
        _write(written, "run.json", json.dumps(_stated(run, heads, text), ensure_ascii=True, indent=1).encode())
        for name, array in _arrays(run):
            _write(written, f"{name}.npy", array)
        for kind, layer, head in stored:
            _write(written, f"{_name(kind, layer, head)}.npy", attention_weights(run.layers(kind)[layer], head))


def load_run(path: str | Path | IO[bytes]) -> SavedRun:
    """What `save_run`, or `regard export`, wrote. Raises `VisitorError` where a file is none of these, or too large."""
    try:
        with zipfile.ZipFile(path) as opened:
            needed, free = sum(info.file_size for info in opened.infolist()), memory_available()
            if free is not None and needed + _ROOM > free:
                raise VisitorError(f"{path} needs {needed:,} bytes of memory: {free:,} are free. Close something else.")
            return _read(opened)
    except OSError as error:
        raise VisitorError(f"{path} cannot be read: {error.strerror or short(error)}. Give another file.") from error
    except _DAMAGED as error:
        raise VisitorError(
            f"{path} is no run that Regard wrote, or was changed since ({short(error)}). Export it again."
        ) from error


def _places(run: ModelRun, kind: str) -> set[tuple[int, int]]:
    there = run.grid(kind)
    return {(layer, head) for layer in there.layers for head in range(there.n_head)}


def _stored(run: ModelRun, heads: Iterable[Place]) -> Iterator[Place]:
    """Those of which the weights are arrays of their own; a model that gives only weights has them anyway."""
    for kind, layer, head in heads:
        if not isinstance(run.layers(kind)[layer], DenseAttention):
            yield kind, layer, head


def _name(kind: str, layer: int, head: int) -> str:
    return f"weights/{kind}/{layer}/{head}"


def _biases(run: ModelRun) -> dict[int, str]:
    """The name of each bias, by its identity: the first layer's that has it."""
    found: dict[int, str] = {}
    for kind in run.kinds:
        for number, layer in enumerate(run.layers(kind)):
            if isinstance(layer, Attention) and layer.bias is not None:
                found.setdefault(id(layer.bias), f"{kind}/{number}/bias")
    return found


def _arrays(run: ModelRun) -> Iterator[tuple[str, np.ndarray]]:
    """All arrays of a run, each with its name."""
    biases = _biases(run)
    for kind in run.kinds:
        for number, layer in enumerate(run.layers(kind)):
            names = _ARRAYS if isinstance(layer, Attention) else ("weights",) * isinstance(layer, DenseAttention)
            for name in names:
                if (array := getattr(layer, name)) is not None:
                    yield f"{kind}/{number}/{name}", array
            if isinstance(layer, Attention) and layer.bias is not None:
                name = f"{kind}/{number}/bias"
                if biases[id(layer.bias)] == name:
                    yield name, layer.bias
    if run.hidden is not None:
        yield "hidden", run.hidden
    if run.predictions is not None:
        for field in fields(Predictions):
            if field.name != "of_next":
                yield f"predictions/{field.name}", getattr(run.predictions, field.name)


def _stated(run: ModelRun, heads: tuple[Place, ...], text: str) -> dict[str, Any]:
    """What is no array."""
    biases = _biases(run)

    def layer(record: Layer | NoAttention) -> dict[str, Any]:
        if isinstance(record, NoAttention):
            return {"instead": record.what}
        if isinstance(record, DenseAttention):
            return {}
        numbers = {name: getattr(record, name) for name in _NUMBERS}
        numbers = {name: value.item() if isinstance(value, np.generic) else value for name, value in numbers.items()}
        return numbers | {"bias": None if record.bias is None else biases[id(record.bias)]}

    return {
        "format": FORMAT,
        "format_version": VERSION,
        "regard": _version(),
        "text": text,
        "model": asdict(run.info),
        "tokens": [_token(token) for token in run.tokens],
        "source": [_token(token) for token in run.source],
        "intervention": _changes(run.intervention),
        "layers": {kind: [layer(record) for record in run.layers(kind)] for kind in run.kinds},
        "predictions_of_next": None if run.predictions is None else run.predictions.of_next,
        "weights": [list(place) for place in heads],
    }


def _version() -> str:
    try:
        return metadata.version("regard")
    except metadata.PackageNotFoundError:
        return ""


def _token(token: Token) -> dict[str, Any]:
    return asdict(token) | {"piece": token.piece.hex(), "label": token.label}


def _changes(intervention: Ablation) -> dict[str, Any]:
    changes = {}
    for field in fields(intervention):
        value = getattr(intervention, field.name)
        if isinstance(value, HeadMeans):
            raise VisitorError(
                "A run whose heads write their means over texts is not kept in a file: its texts are not."
            )
        if isinstance(value, Ablation):
            value = _changes(value)
        changes[field.name] = sorted(map(list, value)) if isinstance(value, frozenset) else value
    return changes


def _write(written: zipfile.ZipFile, name: str, content: bytes | np.ndarray) -> None:
    info = zipfile.ZipInfo(name)  # of 1980: no clock makes two files of one run differ
    with written.open(info, "w", force_zip64=True) as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            npy.write_array(file, np.ascontiguousarray(content), version=(1, 0), allow_pickle=False)


def _read(opened: zipfile.ZipFile) -> SavedRun:
    stated = strict_json.parse(opened.read("run.json"), _MOST_VALUES)
    if stated["format"] != FORMAT or stated["format_version"] != VERSION:
        raise ValueError(f"it is of version {stated['format_version']!r}, read is {VERSION}")
    there = set(opened.namelist())

    def array(name: str) -> np.ndarray:
        return _array(opened.read(f"{name}.npy"))

    def maybe(name: str) -> np.ndarray | None:
        return array(name) if f"{name}.npy" in there else None

    biases: dict[str, np.ndarray] = {}

    def layer(kind: str, number: int, said: dict[str, Any]) -> Layer | NoAttention:
        at = f"{kind}/{number}"
        if "instead" in said:
            return NoAttention(str(said["instead"]))
        if "scale" not in said:
            return DenseAttention(array(f"{at}/weights"))
        if (bias := said["bias"]) is not None and bias not in biases:
            biases[bias] = array(bias)
        numbers = {name: said[name] for name in _NUMBERS}
        return Attention(**{name: maybe(f"{at}/{name}") for name in _ARRAYS}, **numbers, bias=biases.get(bias))

    layers = {
        kind: tuple(layer(kind, number, said) for number, said in enumerate(stated["layers"].get(kind, ())))
        for kind in KINDS
    }
    of_next = stated["predictions_of_next"]
    values = [field.name for field in fields(Predictions) if field.name != "of_next"]
    run = ModelRun(
        info=_info(stated["model"]),
        tokens=tuple(map(_read_token, stated["tokens"])),
        attention=layers["self"],
        hidden=maybe("hidden"),
        predictions=None
        if of_next is None
        else Predictions(**{name: array(f"predictions/{name}") for name in values}, of_next=of_next),
        intervention=_intervention(stated["intervention"], Intervention),
        source=tuple(map(_read_token, stated["source"])),
        encoder=layers["encoder"],
        cross=layers["cross"],
    )
    weights = {}
    for kind, number, head in stated["weights"]:
        record = run.layer(number, kind)
        weights[kind, number, head] = (
            record.weights[head] if isinstance(record, DenseAttention) else array(_name(kind, number, head))
        )
        if weights[kind, number, head].shape != (record.n_query, record.n_column):
            raise ValueError(f"weights {weights[kind, number, head].shape} of head {number}.{head}")
    return SavedRun(run, weights, str(stated["text"]), str(stated["regard"]))


def _array(content: bytes) -> np.ndarray:
    """An NPY file as an array over the same bytes, which nobody can write to. ValueError if it is none."""
    file = io.BytesIO(content)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("an array is of another version")
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    start = file.tell()
    if fortran or dtype.hasobject or len(content) - start != math.prod(shape) * dtype.itemsize:
        raise ValueError("an array is not as large as it says")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def _info(said: dict[str, Any]) -> ModelInfo:
    tuples = {name: tuple(map(str, said[name])) for name in ("labels", "remarks")}
    return ModelInfo(**said | tuples | {"others": tuple((int(layer), str(what)) for layer, what in said["others"])})


def _read_token(said: dict[str, Any]) -> Token:
    values = {field.name: said[field.name] for field in fields(Token)}
    return Token(**values | {"piece": bytes.fromhex(said["piece"])})


def _intervention(said: dict[str, Any], of: type[Ablation]) -> Any:
    inner = {name: _intervention(said[name], Ablation) for name in ("encoder", "cross") if name in said}
    return of(**said | inner)


def _readme(run: ModelRun, stored: tuple[Place, ...]) -> str:
    info = run.info
    some = _name(*stored[0]) if stored else "hidden"
    return f"""What {info.title} computed while it read one text, written by Regard {_version()}.
Model: {info.name}, fingerprint of its weights {info.fingerprint}.

    import numpy as np, json
    file = np.load("run.npz")
    file["{some}"]
    json.loads(file["run.json"])["tokens"]

Or with Regard, checked and whole: model.load_run("run.npz").run, .weights["self", 3, 2], .text

T tokens look (queries), S tokens are looked at (keys), H = {info.n_head} heads, G key heads which they share,
K numbers a query, D = {info.d_model} numbers a hidden vector, L = {info.n_layer} layers. All is counted from 0.

run.json                  the text, the tokens (id, bytes in hexadecimal, characters start to end), the model, what was
                          changed in it, and of each layer scale, mask, window, soft cap
KIND/LAYER/query          (H, T, K) after rotation; KIND: {", ".join(run.kinds)}
KIND/LAYER/key, value     (G, S, K); no values of a text so long that it is kept in half precision
KIND/LAYER/bias           added to the scores; layers that have the same one name it in run.json
KIND/LAYER/sink_score     the score of a learned sink, where there is one: then weights have one column more
KIND/LAYER/weights        (H, T, S) of a model that gives its weights alone
weights/KIND/LAYER/HEAD   (T, S) after softmax: rows look, columns are looked at
hidden                    (L + 1, T, D) the residual stream before each layer and, before the final norm, after the last
predictions/…             top_id, top_log_prob (T, k); next_log_prob, next_rank, entropy (T,): natural logarithms
"""
