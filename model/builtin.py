"""The built-in models: transformer + tokenizer + weights, as a `LanguageModel`."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from model.architecture import Architecture, described
from model.attention import layer_weights
from model.intervention import UNCHANGED, Intervention
from model.predictions import predictions
from model.run import (
    Attention,
    LayerParameters,
    ModelInfo,
    ModelNotAvailable,
    ModelRun,
    PromptError,
    Token,
)
from model.tokenizer import Tokenizer
from model.transformer import Change, Config, Transformer

_FILES = ("config.json", "card.json", "tokenizer.json", "weights.safetensors")
_ROWS_AT_ONCE = 128  # of logits: their log-probabilities are a table as large


class BuiltinModel:
    """A transformer that Regard carries itself, loaded from a folder written by `model.training`."""

    def __init__(self, info: ModelInfo, transformer: Transformer, tokenizer: Tokenizer):
        self.info = info
        self._transformer = transformer.eval().requires_grad_(False)
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> "BuiltinModel":
        """Raises `ModelNotAvailable` if a file is missing, cut short, or does not fit the others."""
        if missing := [name for name in _FILES if not (folder / name).is_file()]:
            raise ModelNotAvailable(
                f"The model “{folder.name}” is incomplete: {folder} holds no {', '.join(missing)}. "
                "Install Regard again, or choose another model."
            )
        try:
            config = Config(**json.loads((folder / "config.json").read_text()))
            title = json.loads((folder / "card.json").read_text())["title"]
            tokenizer = Tokenizer.load(folder / "tokenizer.json")
            weights = load_file(folder / "weights.safetensors")
            transformer = Transformer(config)
            transformer.load_state_dict(weights)  # float16 on disk, copied into float32 parameters
            if tokenizer.n_vocab != config.n_vocab:
                raise ValueError(f"tokenizer of {tokenizer.n_vocab} entries, embedding of {config.n_vocab}")
            fingerprint = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()[:16]
        # tokenizers raises a bare Exception for a broken file; whatever is wrong, the visitor gets the sentence
        except Exception as error:
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise ModelNotAvailable(
                f"The model “{folder.name}” cannot be read: a file in {folder} is damaged or cut short "
                f"({reason}). Install Regard again, or choose another model."
            ) from error
        info = ModelInfo(
            name=folder.name,
            title=title,
            n_layer=config.n_layer,
            n_head=config.n_head,
            n_key_head=config.n_head,
            d_model=config.d_model,
            d_head=config.d_head,
            n_vocab=config.n_vocab,
            n_context=config.n_context,
            n_parameter=sum(parameter.numel() for parameter in transformer.parameters()),
            causal=config.causal,
            fingerprint=fingerprint,
            family="decoder" if config.causal else "encoder",
        )
        return cls(info, transformer, tokenizer)

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    def encode(self, text: str) -> tuple[Token, ...]:
        return self._tokenizer.encode(text)

    def token(self, id: int) -> Token:
        return self._tokenizer.token(id)

    def mask_token(self) -> None:
        return None

    def start_token(self) -> None:
        return None

    def chat_text(self, text: str) -> None:
        return None

    @torch.inference_mode()
    def run(self, tokens: Sequence[Token], intervention: Intervention = UNCHANGED) -> ModelRun:
        if not tokens:
            raise PromptError("There is no text to read: type at least one character.")
        if (excess := len(tokens) - self.info.n_context) > 0:
            raise PromptError(
                f"The text is {len(tokens):,} tokens long; {self.info.title} reads at most {self.info.n_context:,}. "
                f"Shorten it by {excess:,} token{'s' if excess > 1 else ''}."
            )
        ids = torch.tensor([[token.id for token in tokens]])  # (1, T)
        logits, record = self._transformer(ids, self._changes(intervention, len(tokens)), intervention.positions)
        return ModelRun(
            info=self.info,
            tokens=tuple(tokens),
            attention=tuple(
                Attention(
                    a.query[0].numpy(),
                    a.key[0].numpy(),
                    a.value[0].numpy(),
                    a.scale,
                    a.causal,
                    bias=None if a.bias is None else a.bias.numpy(),
                )
                for a in record.attention
            ),
            hidden=torch.cat(record.hidden).numpy(),  # (L + 1, T, D)
            predictions=predictions(logits[0].split(_ROWS_AT_ONCE), ids[0], of_next=self.info.causal),
            intervention=intervention,
        )

    @torch.inference_mode()
    def unembed(self, hidden: np.ndarray) -> np.ndarray:
        return self._transformer.unembed(torch.tensor(hidden)).numpy()

    def embeddings(self) -> tuple[np.ndarray, np.ndarray]:
        tables = (
            self._transformer.token_embedding.weight.numpy(),
            self._transformer.position_embedding.weight.numpy(),
        )
        for table in tables:
            table.setflags(write=False)  # they are the model's own memory
        return tables

    @torch.inference_mode()
    def recompute_layer(self, run: ModelRun, layer: int) -> float:
        """Do one layer again by hand, with the weights that `model.attention` shows, and compare.

        Returns the largest difference between softmax(QKᵀ·scale)·V, carried through the layer's output projection and
        MLP, and the residual stream that the model itself wrote, ``run.hidden[layer + 1]``.
        """
        block, attention = self._transformer.blocks[layer], run.attention[layer]
        mixed = layer_weights(attention) @ attention.value  # (H, T, K)
        mixed = torch.from_numpy(mixed)
        if changes := self._changes(run.intervention, len(run.tokens)):  # all but this is in the attention's own record
            mixed = mixed * changes[layer].output_gain[..., None]
        x = torch.tensor(run.hidden[layer])  # (T, D)
        x = x + block.attention.output(mixed.transpose(0, 1).flatten(1))
        x = x + block.mlp(block.mlp_norm(x))
        return float((x - torch.tensor(run.hidden[layer + 1])).abs().max())

    def layer_parameters(self, layer: int) -> LayerParameters:
        block = self._transformer.blocks[layer]
        norm, attention = block.attention_norm, block.attention
        by_head = (self.info.n_head, self.info.d_head)

        def split(linear: torch.nn.Linear) -> tuple[np.ndarray, np.ndarray]:
            return linear.weight.unflatten(0, by_head).numpy(), linear.bias.view(by_head).numpy()  # (H, K, D), (H, K)

        return LayerParameters(
            norm.weight.view(-1).numpy(),
            norm.bias.view(-1).numpy(),
            norm.eps,
            *split(attention.query),
            *split(attention.key),
            *split(attention.value),
            attention.output.weight.unflatten(1, by_head).transpose(0, 1).numpy(),  # (H, D, K)
            attention.output.bias.numpy(),
        )

    def architecture(self) -> Architecture:
        return described(self._transformer.config)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(parameter.shape) for name, parameter in self._transformer.named_parameters()}

    def _changes(self, intervention: Intervention, n_token: int) -> list[Change] | None:
        """What each attention layer does otherwise, if any does. ValueError if there is no such head or token."""
        if replace(intervention, positions=True) == UNCHANGED:
            return None
        n_layer, n_head = self.info.n_layer, self.info.n_head
        intervention.check(n_layer, n_head, n_token, self.info.causal)
        query_gain = torch.ones(n_layer, n_head)
        for layer, head in intervention.heads_uniform:
            query_gain[layer, head] = 0
        scale = (self.info.d_head**-0.5 if intervention.scale else 1.0) / intervention.temperature
        changes = []
        for layer in range(n_layer):
            gain = intervention.output_gain(layer, n_head, n_token)
            bias = intervention.edge_bias(layer, n_head, n_token)
            changes.append(
                Change(
                    query_gain[layer],
                    torch.ones(n_head, 1) if gain is None else torch.from_numpy(gain),
                    scale,
                    intervention.causal_mask,
                    None if bias is None else torch.from_numpy(bias),
                )
            )
        return changes
