"""A text judged as a whole: an encoder with a linear layer over the mean of its vectors, and what moved it.

Two ways to say how much each token counted, both of one number, the label's `margin`: by its gradient (Simonyan et al.
2013; for words Denil et al. 2014), and by hiding the token (Zeiler & Fergus 2014). The first asks what a very small
change would do, the second what a large one does; they need not agree, with each other or with attention.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from model.architecture import Architecture
from model.builtin.language_model import BuiltinModel
from model.builtin.transformer import Config, Transformer
from model.intervention import UNCHANGED, Intervention
from model.language_model import LanguageModel, Said
from model.run import ModelInfo, ModelRun, Token, VisitorError
from model.text.tokenizer import Tokenizer

_ROWS_AT_ONCE = 32  # texts with one token hidden that are read together


class TextClassifier(Transformer):
    """A transformer with one more layer, which reads the mean of a text's final vectors: a logit for each label."""

    def __init__(self, config: Config, labels: Sequence[str]):
        super().__init__(config)
        self.labels = tuple(labels)
        self.head = nn.Linear(config.d_model, len(labels))

    def judge(self, hidden: Tensor, visible: Tensor | None = None) -> Tensor:
        """The residual stream after the last block (B, T, D) -> logits (B, C). `visible` (B, T): False is padding."""
        x = self.final_norm(hidden)  # (B, T, D)
        if visible is None:
            return self.head(x.mean(dim=1))  # (B, D) -> (B, C)
        there = visible.unsqueeze(-1).to(x.dtype)  # (B, T, 1)
        return self.head((x * there).sum(dim=1) / there.sum(dim=1))  # (B, D) -> (B, C)


@dataclass(frozen=True)
class Classification:
    """What a text was judged to be."""

    labels: tuple[str, ...]
    log_prob: np.ndarray  # (C,) of each label, natural logarithm, float64: their exponentials sum to 1

    def __post_init__(self):
        if self.log_prob.shape != (len(self.labels),):
            raise ValueError(f"log-probabilities {self.log_prob.shape} for {len(self.labels)} labels")
        self.log_prob.setflags(write=False)

    @property
    def best(self) -> int:
        """The most probable label, by its place."""
        return int(self.log_prob.argmax())


class Judge(LanguageModel, Protocol):
    """What a model can do that has `info.labels`: judge a text as a whole, and say what moved it."""

    def classify(self, tokens: Sequence[Token], intervention: Intervention = UNCHANGED) -> Classification:
        """Raises as `run` does."""

    def gradient_x_input(self, tokens: Sequence[Token], label: int) -> np.ndarray:
        """How much each token counts for a label (T,), in logits: the gradient of the label's `margin` with respect to
        the token's vector, times that vector.

        Raises `PromptError`, `VisitorError` if this model gives no gradients; IndexError if there is no such label.
        """

    def occlusion(self, tokens: Sequence[Token], label: int) -> np.ndarray:
        """How much each token counts for a label (T,), in logits: by how much the label's `margin` falls when the token
        is hidden behind the mask.

        Raises `PromptError`, `VisitorError` if this model has no mask; IndexError if there is no such label.
        """


def margin(logits: Tensor, label: int) -> Tensor:
    """A label's logit less the mean of the others': (B, C) -> (B,). IndexError if there is no such label."""
    n_label = logits.shape[-1]
    if not 0 <= label < n_label:
        raise IndexError(f"no label {label}: there are {n_label}")
    return logits[:, label] - logits[:, [other for other in range(n_label) if other != label]].mean(-1)


class Classifier(BuiltinModel):
    """An encoder that Regard carries itself, with a layer that judges texts. The layer is over the weights of another
    model, an encoder's, or the encoder was fine-tuned with it (see `model.sources.builtin_files`)."""

    def __init__(self, info: ModelInfo, transformer: TextClassifier, tokenizer: Tokenizer):
        super().__init__(replace(info, labels=transformer.labels), transformer, tokenizer)

    def run(
        self, tokens: Sequence[Token], intervention: Intervention = UNCHANGED, source: Sequence[Token] = ()
    ) -> ModelRun:
        """As every built-in model; but it judges, and guesses no tokens: fine-tuning would have changed what the mask's
        guesses are read from."""
        return replace(super().run(tokens, intervention, source), predictions=None)

    def unembed(self, *_: object, **__: object) -> NoReturn:
        raise VisitorError(f"{self.info.title} was trained to judge texts, so it predicts no tokens.")

    logits = unembedding = unembed

    @torch.inference_mode()
    def classify(self, tokens: Sequence[Token], intervention: Intervention = UNCHANGED) -> Classification:
        lm, ids = self._transformer, self._ids(tokens)
        record = lm.read(lm.embed(ids, intervention.positions), self._changes(intervention, tokens))
        logits = lm.judge(record.hidden[-1])[0]  # (C,)
        return Classification(self.info.labels, logits.double().log_softmax(-1).numpy())

    def gradient_x_input(self, tokens: Sequence[Token], label: int) -> np.ndarray:
        """The token's vector is its row of the table, what it is without where it stands."""
        vectors = self.token_vectors(tokens)
        _, gradient = self.gradients(tokens, Said(label, None), vectors[None])
        return (gradient[0] * vectors).sum(-1)  # (T,)

    def _said(self, hidden: Tensor, said: Said) -> Tensor:
        return margin(self._transformer.judge(hidden).double(), said.id)

    @torch.inference_mode()
    def occlusion(self, tokens: Sequence[Token], label: int) -> np.ndarray:
        lm, ids = self._transformer, self._ids(tokens)
        n = len(tokens)
        hidden = ids.repeat(n, 1)  # (T, T): row t hides token t
        hidden.fill_diagonal_(self.mask_token().id)
        rows = torch.cat([ids, hidden]).split(_ROWS_AT_ONCE)
        margins = [margin(lm.judge(lm.read(lm.embed(each)).hidden[-1]), label) for each in rows]
        whole, *without = torch.cat(margins)  # 1 + T of them
        return (whole - torch.stack(without)).numpy()  # (T,)

    def architecture(self) -> Architecture:
        return replace(super().architecture(), name="TextClassifier", head="other", tied=False)

    @classmethod
    def _network(cls, config: Config, stated: dict) -> nn.Module:
        labels = stated.pop("labels")
        if stated != {"architecture": "classifier"} or config.causal or len(labels) < 2:
            raise ValueError(f"config.json says {stated}, labels {labels}")
        return TextClassifier(config, labels)
