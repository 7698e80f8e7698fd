"""A transformers checkpoint that was trained to judge texts, as a `model.builtin.classifier.Judge`."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from model.builtin.classifier import Classification, margin
from model.huggingface.language_model import HuggingFaceModel
from model.intervention import UNCHANGED, Intervention
from model.language_model import Said
from model.run import Token, VisitorError
from model.text.masking import masked

_SAME = 1e-3  # between what is said of ids and of the vectors that stand for them


class HuggingFaceClassifier(HuggingFaceModel):
    """It predicts no tokens; a head of its own reads the last vectors and gives a logit for each label."""

    def classify(self, tokens: Sequence[Token], intervention: Intervention = UNCHANGED) -> Classification:
        return Classification(self.info.labels, self._logits(tokens, intervention)[0].log_softmax(-1).numpy())

    def gradient_x_input(self, tokens: Sequence[Token], label: int) -> np.ndarray:
        """The token's vector is what the table gives for it, without where it stands."""
        whole, vectors = margin(self._logits(tokens), label), self.token_vectors(tokens)
        value, gradient = self.gradients(tokens, Said(label, None), vectors[None])
        if abs(value[0] - float(whole)) > _SAME * (1 + abs(float(whole))):
            raise VisitorError(
                f"{self.info.title} judges the vectors of this text otherwise than its tokens, so their gradients say "
                "nothing about it."
            )
        return (gradient[0] * vectors).sum(-1)  # (T,)

    def _said(self, logits: Tensor, said: Said) -> Tensor:
        return margin(logits.double(), said.id)

    def occlusion(self, tokens: Sequence[Token], label: int) -> np.ndarray:
        if (mask := self.mask_token()) is None:
            raise VisitorError(f"{self.info.title} has no token that hides another, so none can be hidden.")
        whole = margin(self._logits(tokens), label)
        without = [margin(self._logits(masked(tokens, i, mask)), label) for i in range(len(tokens))]
        return (whole - torch.cat(without)).numpy()  # (T,)

    def _logits(self, tokens: Sequence[Token], intervention: Intervention = UNCHANGED) -> Tensor:
        """(1, C) in double precision. Raises as `run` does."""
        self._check(tokens, (), intervention)
        _, output = self._forward(tokens, (), intervention)
        return output.logits.double()

    def _labels(self) -> tuple[str, ...]:
        """None of a head for something else than one of several labels: then there are no probabilities to show."""
        config, n_label = self.opened.transformer.config, self.opened.n_label
        if n_label < 2 or config.problem_type not in (None, "single_label_classification"):
            return ()
        names = config.id2label or {}
        return tuple(str(names.get(i, f"label {i}")) for i in range(n_label))
