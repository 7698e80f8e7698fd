"""Folders of models, damaged in one or a few ways by chance: what their files say, what they are, where they lead."""

import json
import os
import pickle
import random
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.hostile.strings import ATOMS, ELSEWHERE, ODD

# what a number, a name or a list in a JSON file may be instead
VALUES = (
    *(0, 1, -1, 3, 2**31, 2**63, 10**7, 10**400, 0.5, 1e308, -1e308, True, None, "", "a", [], {}, [[]], [0] * 1000),
    *("../outside/config.json", "/etc/passwd", "~/x", f"http://{ELSEWHERE}/x", "evil/evil", "evil--modeling.Evil"),
    *ATOMS[:8],
    *(text for text in ODD if text.isprintable()),
    {"a": {"b": {"c": [1, 2, {"d": None}]}}},
)
KEYS = {
    "auto_map": {"AutoConfig": "modeling.Evil", "AutoModelForCausalLM": "evil/evil--modeling.Evil"},
    "model_type": "llama",
    "architectures": ["BertForMaskedLM"],
    "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "attn_implementation": "evil/kernels",
    "_attn_implementation": "flash_attention_2",
    "torch_dtype": "float8_e4m3fn",
    "dtype": "complex64",
    "rope_scaling": {"type": "evil", "factor": -1},
    "text_config": {"model_type": "gpt2", "n_layer": 10**7},
    "num_hidden_layers": 10**7,
    "hidden_size": 2**20,
    "vocab_size": 2**31,
    "max_position_embeddings": 10**9,
    "tokenizer_class": "EvilTokenizer",
    "tokenizer_file": "../outside/tokenizer.json",
    "transformers_weights": "../outside/model.safetensors",
    "chat_template": "{% for i in range(99999) %}{% for j in range(9999) %}{{ '%09999d' % j }}{% endfor %}{% endfor %}",
    "added_tokens_decoder": {"999999999": {"content": "x", "special": True}},
}
NAMES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json")

Damage = Callable[[random.Random, Path], None]


def write(sound: Path, folder: Path, seed: int, damages: Sequence[Damage] = ()) -> str:
    """A copy of a sound folder, damaged in some of these ways; above it lies `outside`. Returns what was done."""
    draw = random.Random(seed)
    shutil.copytree(sound, folder)
    chosen = draw.choices(damages or DAMAGES, k=draw.choice((1, 1, 1, 2, 3)))
    for damage in chosen:
        damage(draw, folder)
    return f"{sound.name} {seed}: " + ", ".join(damage.__name__ for damage in chosen)


def another_value(draw: random.Random, folder: Path) -> None:
    _edit(draw, folder, lambda holder, key: holder.__setitem__(key, draw.choice(VALUES)))


def no_value(draw: random.Random, folder: Path) -> None:
    _edit(draw, folder, lambda holder, key: holder.__delitem__(key))


def another_key(draw: random.Random, folder: Path) -> None:
    path = folder / draw.choice(NAMES[:3:2])
    if isinstance(stated := _read(path), dict):
        path.write_text(json.dumps(stated | {key: KEYS[key] for key in draw.sample(sorted(KEYS), 2)}))


def nested(draw: random.Random, folder: Path) -> None:
    depth = draw.choice((50, 1000, 200_000))
    text = draw.choice(('{"a":' * depth + "1" + "}" * depth, "[" * depth + "]" * depth, '{"a":1,' * depth))
    (folder / draw.choice(NAMES)).write_text(text)


def cut_short(draw: random.Random, folder: Path) -> None:
    path = _any_file(draw, folder)
    path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size + 1)])


def other_bytes(draw: random.Random, folder: Path) -> None:
    path = _any_file(draw, folder)
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 20, 2000)) if content else 0):
        content[draw.randrange(min(len(content), draw.choice((100, len(content)))))] = draw.randrange(256)
    path.write_bytes(content)


def other_header(draw: random.Random, folder: Path) -> None:
    """Of safetensors: shapes, types and places of tensors; how long it is itself."""
    path = folder / "model.safetensors"
    content = path.read_bytes() if path.is_file() else b""
    (n_header,) = struct.unpack("<Q", content[:8]) if len(content) > 8 else (0,)
    try:
        header = json.loads(content[8 : 8 + n_header])
    except ValueError:
        return
    match draw.randrange(5):
        case 0:
            path.write_bytes(struct.pack("<Q", draw.choice((0, 2**20, 2**40, 2**63, 2**64 - 1))) + content[8:])
            return
        case 1:
            header |= {f"layer.{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)}
        case 2:
            header[draw.choice(sorted(header))] = draw.choice(VALUES)
        case _:
            tensor = header[draw.choice(sorted(name for name in header if name != "__metadata__"))]
            key = draw.choice(sorted(tensor))
            claims = {"dtype": ["F64", "I8", "F8_E4M3", "X"], "data_offsets": [[0, 2**62], [8, 0], [-1, 4], []]}
            tensor[key] = draw.choice(claims.get(key, [[2**40, 2**40], [], [-1], [0], [1.5], "a", [10**9, 8]]))
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + content[8 + n_header :])


def missing(draw: random.Random, folder: Path) -> None:
    _any_file(draw, folder).unlink()


def no_file(draw: random.Random, folder: Path) -> None:
    """A folder, a pipe, a device, or a link: outside, to itself, to nothing."""
    path = folder / draw.choice((*NAMES, "model.safetensors", "chat_template.jinja", "vocab.txt", "x.model", "x.gguf"))
    _remove(path)
    match draw.randrange(7):
        case 0:
            path.mkdir()
        case 1 if hasattr(os, "mkfifo"):
            os.mkfifo(path)
        case 2:
            path.symlink_to("/dev/zero")
        case 3:
            path.symlink_to(path)
        case 4:
            path.symlink_to("nothing")
        case _:
            path.symlink_to(folder.parent.parent / "outside" / draw.choice(NAMES))


def more_files(draw: random.Random, folder: Path) -> None:
    """A pickle and code that would show that they ran; linked folders; a template that burns time."""
    ran = str(folder.parent.parent / "ran")

    class Evil:
        def __reduce__(self):
            return os.mkdir, (ran,)

    for name in ("pytorch_model.bin", "training_args.bin", "model.pkl"):
        _remove(folder / name)
        (folder / name).write_bytes(pickle.dumps(Evil()))
    code = f"import os\nos.mkdir({ran!r})\n"
    for name in ("modeling.py", "tokenization.py", "__init__.py", "config.py"):
        (folder / name).write_text(code)
    for name in ("additional_chat_templates", "custom_generate"):
        if not (folder / name).exists():
            (folder / name).symlink_to(folder.parent.parent / "outside")
    template = folder / "chat_template.jinja"
    _remove(template)
    template.write_text(
        draw.choice((KEYS["chat_template"], "{{ ''.__class__.__mro__ }}", "{% include 'x' %}", ATOMS[9]))
    )
    if draw.random() < 0.3:
        _remove(folder / "model.safetensors")


def index(draw: random.Random, folder: Path) -> None:
    """Weights in parts, that lie elsewhere or are no parts."""
    parts = (
        "../../outside/model.safetensors",
        str(folder.parent.parent / "outside/model.safetensors"),
        "model.safetensors",
    )
    named = {f"layer.{i}": draw.choice((*parts, "", "/dev/zero", *ATOMS[:3])) for i in range(draw.choice((1, 100)))}
    _remove(folder / "model.safetensors.index.json")
    text = json.dumps({"metadata": {"total_size": draw.choice(VALUES[:12])}, "weight_map": named})
    (folder / "model.safetensors.index.json").write_text(text)
    if draw.random() < 0.7:
        _remove(folder / "model.safetensors")


DAMAGES: tuple[Damage, ...] = (
    *(another_value, another_value, another_value, no_value, another_key, another_key, nested, cut_short),
    *(other_bytes, other_header, other_header, missing, no_file, more_files, index),
)
OF_ONE_FILE: tuple[Damage, ...] = (cut_short, other_bytes, other_bytes, other_bytes, no_file, more_files)


def _any_file(draw: random.Random, folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink())
    if not files:
        (folder / "config.json").touch()
        return folder / "config.json"
    return draw.choice(files)


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text()) if path.is_file() and not path.is_symlink() else None
    except (ValueError, RecursionError):
        return None


def _edit(draw: random.Random, folder: Path, change: Callable) -> None:
    """Change one place in one JSON file, any place being as likely."""
    path = folder / draw.choice(NAMES)
    tree = _read(path)
    if places := list(_places(tree)):
        change(*draw.choice(places))
        path.write_text(json.dumps(tree))


def _places(node: object):
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from _places(node[key])


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
