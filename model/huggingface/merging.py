"""A LoRA adapter merged into its base: every matrix that it changes becomes W + scale · B·A, in single precision.

What flows through the merged model is then what flows through the two as `peft` runs them, and what is read off it
(weights, hidden vectors, how a layer is built) is the sum's own.
"""

import hashlib
from dataclasses import replace
from typing import Any

from safetensors import safe_open
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from model.run import ModelNotAvailable
from model.sources.adapters import WEIGHTS, Adapter, Change, other_base
from model.sources.snapshot import Snapshot


class Merger:
    """An adapter, to be merged into what its base's files give."""

    def __init__(self, adapter: Adapter, patch: Snapshot, held: Snapshot):
        """`patch` and `held`: the folders of the adapter and of its base."""
        self.adapter, self.file = adapter, patch.path / WEIGHTS
        self.title, self.base = str(patch.folder), str(held.folder)  # what sentences call the two

    def __call__(self, transformer: Any) -> None:
        """Raises `ModelNotAvailable` if something of it has no place there, or not this shape."""
        with safe_open(self.file, framework="pt") as file:
            for path, name in self.adapter.replaced.items():  # first: what is changed may be among it
                module, _, which = path.rpartition(".")
                self._replace(*self._found(transformer, module), which, file.get_tensor(name).float())
            for path, change in self.adapter.changes.items():
                self._change(*self._found(transformer, path), change, file)
        # each may have its own table now: a change to the one is none to the other
        head, words = transformer.get_output_embeddings(), transformer.get_input_embeddings()
        if head is not None and head.weight is not words.weight:
            for config in (transformer.config, transformer.config.get_text_config()):
                config.tie_word_embeddings = False

    def told(self, lm: Any) -> Any:
        """The merged model, with a fingerprint of both in its `info`, and a remark that it is two."""
        info = lm.info
        with self.file.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(f"{info.fingerprint}{self.adapter!r}".encode())
        base, _, own = info.title.partition(" + ")
        remark = (
            f"This is “{base}” with the adapter “{own}” merged into it ({self.adapter}): each of these matrices is W + "
            f"scale · B·A, computed when the two were loaded. The base alone has the fingerprint {info.fingerprint}."
        )
        lm.info = replace(info, fingerprint=digest.hexdigest()[:16], remarks=(remark, *info.remarks))
        return lm

    def _found(self, transformer: Any, path: str) -> tuple[str, nn.Module]:
        """The module at a path of PEFT's, which is with or without the name of the part that all heads share."""
        base = f"{transformer.base_model_prefix}."
        for name in (path, base + path, path.removeprefix(base)):
            try:
                return name, transformer.get_submodule(name)
            except AttributeError:
                continue
        raise ModelNotAvailable(
            f"The adapter “{self.title}” changes {path[:80]}, which is not in “{self.base}” as it is read "
            f"({type(transformer).__name__}). Give the base, and the class with its head, that it was trained on."
        )

    def _change(self, path: str, module: nn.Module, change: Change, file: Any) -> None:
        # PEFT, too, goes by the module, whatever fan_in_fan_out says
        lies = isinstance(module, Conv1D | nn.Embedding)  # (in, out)
        if not lies and not isinstance(module, nn.Linear):
            raise ModelNotAvailable(
                f"The adapter “{self.title}” changes {path[:80]}, a {type(module).__name__}: Regard merges into linear "
                "maps and tables of vectors. Merge it with peft (merge_and_unload), and save the whole."
            )
        weight = module.weight.T if lies else module.weight  # (out, in)
        if tuple(weight.shape) != change.shape:
            raise other_base(self.title, self.base, path, weight.shape, change.shape)
        a, b = (file.get_tensor(name).float() for name in (change.a, change.b))
        whole = weight.detach() + change.scale * (b @ a)
        if change.magnitude:
            whole *= (file.get_tensor(change.magnitude).float() / whole.norm(dim=1))[:, None]
        # a parameter of its own: the same table may be the head's and the words'
        module.weight = nn.Parameter((whole.T if lies else whole).contiguous(), requires_grad=False)
        if change.bias:
            self._replace(
                path, module, "bias", self._bias(module) + change.scale * file.get_tensor(change.bias).float()
            )

    @staticmethod
    def _bias(module: nn.Module) -> Tensor | float:
        return 0.0 if module.bias is None else module.bias.detach()

    def _replace(self, path: str, module: nn.Module, which: str, value: Tensor) -> None:
        its = getattr(module, which, None)
        if isinstance(its, nn.Parameter) and its.shape != value.shape:
            raise other_base(self.title, self.base, f"{path}.{which}", its.shape, value.shape)
        if not isinstance(its, nn.Parameter):
            raise ModelNotAvailable(
                f"The adapter “{self.title}” brings {path[:80]}.{which[:20]} along, which is not in “{self.base}” as "
                f"it is read ({type(module).__name__}). Give the base that it was trained on."
            )
        setattr(module, which, nn.Parameter(value.contiguous(), requires_grad=False))
