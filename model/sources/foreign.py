"""Folders and repositories that hold something else than a checkpoint Regard reads: what lies there, and what to do.

Judged by the names of the files alone: nothing is opened. The sentences are for visitors (`ModelNotAvailable`).
"""

import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from os import scandir
from pathlib import Path
from typing import Any

_MOST = 2000  # names looked at in a folder, the nearest first
_DEEPEST = 3  # folders below it: as deep as the hub's cache and unfinished downloads
_SHOWN = 3  # names in a sentence

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.")
_UNFINISHED = re.compile(r"^(|blobs/|\.cache/huggingface/download/)[^/]+\.(incomplete|part|partial|crdownload|aria2)$")
_CLASS = re.compile(r"[A-Z]\w{2,60}", re.ASCII)

# formats of other programs: what a file of it is called (search), what it is, and what helps
_OTHERS: tuple[tuple[str, str, str], ...] = (
    (r"(^|/)model_index\.json$", "a pipeline of diffusers, several models that make pictures", "language"),
    (r"(^|/)tf_model.*\.h5$|\.keras$|(^|/)saved_model\.pb$", "weights of TensorFlow", "from_tf"),
    (r"(^|/)flax_model.*\.msgpack$", "weights of Flax", "from_flax"),
    (r"(^|/)(openvino_model.*\.(xml|bin))$", "a model for OpenVINO", ""),
    (r"\.onnx(\.data|_data)?$", "a graph for ONNX, which keeps its queries and keys to itself", ""),
    (r"(^|/)(mlc-chat-config\.json|params_shard_\d+\.bin)$", "weights packed for MLC", ""),
    (r"\.(mlpackage|mlmodel|mlmodelc)(/|$)", "a model for Core ML", ""),
    (r"\.(tflite|litertlm|task)$", "a model for LiteRT", ""),
    (r"\.(engine|plan)$", "an engine of TensorRT", ""),
    (r"\.pte$", "a program for ExecuTorch", ""),
    (r"\.nemo$", "an archive of NeMo", ""),
    (r"(^|/)ggml-[^/]*\.bin$", "a file of llama.cpp from before GGUF", ""),
    (r"(^|/)(shared_vocabulary|vocabulary)\.(json|txt)$", "a model converted for CTranslate2", ""),
    (r"(^|/)consolidated[^/]*\.(safetensors|pth)$", "weights in their maker's own layout", "convert"),
    (r"\.distcp$|(^|/)(mp_rank_|zero_pp_rank_|global_step)", "the pieces of a training on several machines", "merge"),
)
_OF_TORCH = re.compile(r"^pytorch_model[^/]*\.bin$")
# what a config.json states that other programs write
_PROGRAMS = {
    "_class_name": "diffusers, which makes pictures",
    "num_features": "timm, which looks at pictures",
    "add_source_bos": "CTranslate2",
    "word_embedding_dimension": "sentence-transformers, for one of its parts",
}
_PICKLED = re.compile(r"\.(bin|pt|pth|ckpt|pkl|pickle|ot)$")


def names_in(folder: Path) -> list[str]:
    """The files and folders in `folder` and a little below it, as "model.safetensors" or "onnx/model.onnx", sorted.

    A folder's name ends with "/". Links to folders are not followed; what cannot be listed is left out.
    """

    def walk() -> Iterator[str]:
        places = deque([(folder, "", 0)])
        while places:
            place, before, depth = places.popleft()
            try:
                found = sorted(islice(scandir(place), _MOST), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in found:
                is_folder = entry.is_dir(follow_symlinks=False)
                yield before + entry.name + "/" * is_folder
                if is_folder and depth < _DEEPEST:
                    places.append((Path(entry.path), f"{before}{entry.name}/", depth + 1))

    return sorted(islice(walk(), _MOST))


def is_piece(name: str) -> bool:
    """Whether it is called like one of several files that are one model."""
    return (part := _PART.search(name)) is not None and int(part[2]) > 1


def sentence(where: str, names: Collection[str], stated: Mapping[str, Any]) -> str:
    """Why what is at `where` cannot be read, for files of which none can be: no config.json, or no safetensors.

    where: “a folder” in quotes, or “a/repository” on the hub. names: as `names_in` gives them.
    stated: what config.json says, or adapter_config.json; {} if there is neither.
    """
    files = [name for name in names if not name.endswith("/")]
    for recognise in (_unfinished, _adapter, _cache, _gguf, _below, _of_torch, _other, _misnamed, _pickled):
        if description := recognise(files, stated):
            return f"{where} holds {description}"
    if not names:
        return f"{where} is empty. Choose another folder, or download the model into it."
    top = [name for name in files if "/" not in name] or list(names)
    if "config.json" in top and stated and "model_type" not in stated:  # of a repository it has not been read
        return no_architecture(where, stated)
    if "config.json" in top:
        return f"{where} holds no weights, only {_some(top)}. Download the model again, or choose another folder."
    return (
        f"{where} is not a model: it holds {_some(top)}, but no config.json. Give the folder that holds config.json, "
        "model.safetensors and the tokenizer's files, as save_pretrained writes them."
    )


def no_architecture(where: str, stated: Mapping[str, Any]) -> str:
    """Why a config.json without a model_type, which states this, cannot be read."""
    of = next((program for key, program in _PROGRAMS.items() if key in stated), "another program than transformers")
    return (
        f"The config.json in {where} names no architecture (model_type): it is of {of}. Choose the folder of a model "
        "that transformers' save_pretrained wrote."
    )


def _unfinished(files: list[str], _: Mapping[str, Any]) -> str:
    if not (found := [name for name in files if _UNFINISHED.search(name)]):
        return ""
    name = found[0].rpartition("/")[2]
    return f"a download that was not finished ({name[:60]}). Start it again: most programs go on where they were."


def _adapter(files: list[str], stated: Mapping[str, Any]) -> str:
    if "adapter_config.json" not in files:
        return ""
    if "adapter_model.safetensors" not in files:
        found = [name for name in files if name.count("/") < 2 and _PICKLED.search(name)]
        return (
            f"an adapter as {_some(found)}, a format that can run any code when it is opened, so Regard never does. If "
            "you trust it, convert it: peft's PeftModel.from_pretrained(base, old).save_pretrained(new) writes "
            "adapter_model.safetensors."
            if found
            else "the settings of an adapter without its weights, adapter_model.safetensors. Download it again."
        )
    base = str(stated.get("base_model_name_or_path") or "")[:80]
    return (
        f"an adapter (LoRA or its like), which is a change to another model{f', {base}' if base else ''}. Merge the "
        "two with peft, PeftModel.from_pretrained(base, adapter).merge_and_unload(), and save the whole with its "
        "tokenizer."
    )


def _cache(files: list[str], _: Mapping[str, Any]) -> str:
    found = [name.removesuffix("/config.json") for name in files if re.fullmatch(r"snapshots/[^/]+/config\.json", name)]
    return f"the hub's cache of a model, whose files are in a folder below: give {found[0]} in it." if found else ""


def _gguf(files: list[str], _: Mapping[str, Any]) -> str:
    found = [name for name in files if re.fullmatch(r"([^/]+/)?[^/]+\.gguf", name, re.IGNORECASE)]
    for name in found:
        if is_piece(name):
            return (
                f"a GGUF file in pieces ({_some(found)}), and Regard reads it in one: join them with llama.cpp, "
                f"llama-gguf-split --merge {name} whole.gguf, and type the path of whole.gguf."
            )
    if len(found) > 1:
        return f"{len(found)} GGUF files ({_some(found)}). Regard reads one: give its path on this machine."
    if found:
        return f"a GGUF file ({_some(found)}). Give its path on this machine."
    return ""


def _other(files: list[str], stated: Mapping[str, Any]) -> str:
    for pattern, what, way in _OTHERS:
        if not (found := [name for name in files if name.count("/") < 2 and re.search(pattern, name)]):
            continue
        if way in ("from_tf", "from_flax"):
            do = (
                f"With a transformers below 5, {_class_of(stated)}.from_pretrained(old, {way}=True)"
                ".save_pretrained(new) converts them."
            )
        elif way == "language":
            do = "Choose a language model."
        elif way == "convert":
            do = "Take the release for transformers, or convert them with the script that transformers has for them."
        elif way == "merge":
            do = "Merge them with the program that trained them, and save with save_pretrained."
        else:
            do = "Take the checkpoint for transformers that it was made from."
        return f"{what} ({_some(found)}), and Regard reads safetensors and GGUF. {do}"
    return ""


def _below(files: list[str], _: Mapping[str, Any]) -> str:
    if "config.json" in files or "model_index.json" in files:
        return ""
    configured, weighed = (
        {name.partition("/")[0] for name in files if re.fullmatch(pattern, name)}
        for pattern in (r"[^/]+/config\.json", r"[^/]+/[^/]+\.safetensors")
    )
    found = sorted(configured & weighed)
    return (
        f"no model itself; there are some below ({_some(found)}). Give the path of one on this machine."
        if found
        else ""
    )


def _misnamed(files: list[str], _: Mapping[str, Any]) -> str:
    found = [name for name in files if name.endswith(".safetensors") and "/" not in name]
    if not found or ("config.json" not in files and not _PART.search(found[0])):
        return ""
    if "model.safetensors" in found:  # it is listed, and could not be followed to a file
        return "a model.safetensors that is a link to no file. Put the file itself there."
    if _PART.search(found[0]):
        return (
            f"weights in pieces ({_some(found)}) without the list of them, model.safetensors.index.json. Download the "
            "model again."
        )
    return (
        f"no model.safetensors, but {_some(found)}. If that is the whole model, rename it to model.safetensors; else "
        "download the model again."
    )


def _of_torch(files: list[str], stated: Mapping[str, Any]) -> str:
    return _pickled([name for name in files if _OF_TORCH.search(name)], stated)


def _pickled(files: list[str], stated: Mapping[str, Any]) -> str:
    if not (found := [name for name in files if name.count("/") < 2 and _PICKLED.search(name)]):
        return ""
    return (
        f"its weights as {_some(found)}, a format that can run any code when it is opened, so Regard never does. If "
        f"you trust it, convert it: {_class_of(stated)}.from_pretrained(old).save_pretrained(new) writes "
        "model.safetensors."
    )


def _class_of(stated: Mapping[str, Any]) -> str:
    """The class that a checkpoint was saved from: another would lose its head."""
    named = stated.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    return first if isinstance(first, str) and _CLASS.fullmatch(first) else "AutoModel"


def _some(names: Collection[str]) -> str:
    shown = [" ".join(name.split())[:60] for name in list(names)[:_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
