"""How what a transformers model says changes with the vectors of its tokens, or with what its heads write: autograd."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.attention_call import Probe
from model.huggingface.adapter import Opened
from model.huggingface.capture import Recorder
from model.language_model import Said
from model.predictions import mean_said
from model.run import Token, VisitorError


def vectors_of(opened: Opened, tokens: Sequence[Token]) -> np.ndarray:
    """(T, D) what the table gives for them; scaled, where that belongs to the table (Gemma 3)."""
    with torch.inference_mode():
        return opened.transformer.get_input_embeddings()(torch.tensor([token.id for token in tokens])).numpy()


def gradients(
    opened: Opened, title: str, tokens: Sequence[Token], vectors: np.ndarray, said: Callable[[Tensor], Tensor]
) -> tuple[np.ndarray, np.ndarray]:
    """What `said` makes of the logits, (N,), of texts of these vectors (N, T, D), and its gradient, (N, T, D).

    Raises `VisitorError` where the class takes no vectors, or lets no gradient through.
    """
    model, inputs = opened.transformer, _besides(opened, tokens, len(vectors))
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.tensor(vectors).requires_grad_()  # (N, T, D)
        try:
            value = said(model(inputs_embeds=x, **inputs).logits)  # (N,)
            (gradient,) = torch.autograd.grad(value.sum(), x)  # (N, T, D)
        except (TypeError, ValueError, RuntimeError, NotImplementedError, AttributeError) as error:
            if "allocate memory" in str(error):
                raise MemoryError from error
            raise VisitorError(f"{title} gives no gradients of its tokens' vectors.") from error
    return value.detach().numpy(), gradient.numpy()


def head_gradients(
    opened: Opened,
    title: str,
    said: Sequence[Said],
    ids: Sequence[int],
    source: Sequence[int],
    probe: Probe,
    *,
    types: Sequence[int] | None = None,
) -> tuple[float, np.ndarray]:
    """The mean of what is said of a text, and its gradient at the probe: (H, T, K).

    Raises `VisitorError` where the class lets no gradient through.
    """
    options = {"keeps": False, "layers": opened.self_layers, "n_token": len(ids), "n_source": len(source)}
    recorder = Recorder(probe, opened.roles, opened.query_scales, **options)
    with torch.inference_mode(False), torch.enable_grad(), recorder:
        value = mean_said(opened.transformer(**opened.inputs(ids, source, types, 1)).logits[0], said)
        try:
            (gradient,) = torch.autograd.grad(value, probe.added[0])  # (1, H, T, K)
        except (RuntimeError, NotImplementedError) as error:
            raise VisitorError(f"{title} gives no gradients of what its heads write.") from error
    return value.item(), gradient[0].numpy()


def _besides(opened: Opened, tokens: Sequence[Token], n_text: int) -> dict[str, Any]:
    """What the model is told besides the vectors."""
    takes, inputs = inspect.signature(opened.transformer.forward).parameters, {}
    types = [token.type for token in tokens]
    if any(types) and opened.n_type != 0:
        inputs["token_type_ids"] = torch.tensor([types] * n_text)
    if "attention_mask" in takes:  # some classes would take padding for what they are not told is text
        inputs["attention_mask"] = torch.ones((n_text, len(tokens)), dtype=torch.long)
    if getattr(opened.config, "use_cache", None) is not None:
        inputs["use_cache"] = False
    return inputs
