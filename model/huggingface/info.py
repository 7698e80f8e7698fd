"""What can be said of a transformers model without running it for a visitor, as `ModelInfo`."""

import sys
from typing import Any

import numpy as np

from model.huggingface import hooks
from model.huggingface.adapter import Opened
from model.huggingface.beside import sentence
from model.run import ModelInfo, NoAttention
from model.text.tokens import marks_pairs, tokens_of

PROBE_TEXTS = ("a b", "c")  # read when a model is loaded, by us and by transformers
_DENSE_BYTES = 1 << 30  # of weights in one run, for a class that cannot give queries and keys
_UNLIMITED_CONTEXT = 2048  # tokens, for a model whose position bias sets no limit (T5)


def info_of(
    opened: Opened, tokenizer: Any, labels: tuple[str, ...], name: str, title: str, fingerprint: str
) -> ModelInfo:
    """Of a model that was opened: the sizes of what it gave, and what its configuration says of the rest."""
    recorder, output = opened.forward(*opened.probe)
    layers = opened.attention(recorder, output)["self"]
    kept = [each for each in layers if not isinstance(each, NoAttention)]
    config = opened.config
    if recorder.hidden is not None:
        d_model = recorder.hidden.shape[-1]
    else:
        d_model = getattr(config, "hidden_size", None) or opened.transformer.get_input_embeddings().weight.shape[1]
    if opened.captured == "weights":
        n_head, causal = kept[0].n_head, not any(np.triu(layer.weights, 1).any() for layer in kept)
        n_key_head = n_head if not getattr(config, "multi_query", False) else 1
        n_key_head = getattr(config, "num_key_value_heads", None) or n_key_head
        d_head = getattr(config, "head_dim", None) or d_model // n_head
    else:
        (n_head, _, d_head), n_key_head = kept[0].query.shape, kept[0].key.shape[0]
        causal = all(layer.causal for layer in kept)
    family = "encoder-decoder" if opened.pair else "decoder" if causal else "encoder"
    n_context = min(_n_context(opened, tokenizer), opened.reach.n_token if opened.reach else sys.maxsize)
    if opened.captured == "weights":
        n_context = min(n_context, int((_DENSE_BYTES / (4 * len(kept) * n_head)) ** 0.5))
    return ModelInfo(
        name=name,
        title=title,
        n_layer=len(layers),
        n_head=n_head,
        n_key_head=n_key_head,
        d_model=d_model,
        d_head=d_head,
        n_vocab=opened.transformer.get_input_embeddings().weight.shape[0],
        n_context=n_context,
        n_parameter=sum(parameter.numel() for parameter in opened.transformer.parameters()),
        causal=causal,
        fingerprint=fingerprint,
        family=family,
        reads_pairs=family == "encoder" and _reads_pairs(opened, tokenizer),
        labels=labels,
        remarks=(beside,) if (beside := sentence(opened.transformer.config, opened.beside)) else (),
        others=opened.others,
    )


def _reads_pairs(opened: Opened, tokenizer: Any) -> bool:
    """Whether the tokenizer tells two texts apart, in a way that the model knows."""
    if tokenizer is None or not marks_pairs(tokenizer):
        return False
    n_type = opened.n_type
    return not n_type or all(token.type < n_type for token in tokens_of(tokenizer, *PROBE_TEXTS))


def _n_context(opened: Opened, tokenizer: Any) -> int:
    for name, part in opened.transformer.named_modules():
        if hooks.is_position_table(name, part):
            offset = getattr(part, "offset", 0) or (part.padding_idx + 1 if part.padding_idx is not None else 0)
            return part.weight.shape[0] - offset
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        if isinstance(limit := getattr(opened.config, name, None), int) and limit > 0:
            return limit
    limit = getattr(tokenizer, "model_max_length", _UNLIMITED_CONTEXT)
    return limit if limit < 1 << 20 else _UNLIMITED_CONTEXT
