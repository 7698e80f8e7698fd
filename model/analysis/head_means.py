"""What each head gives in the mean over texts, which it can be made to write in place of what a text makes it write.

Mean ablation (Wang et al. 2022, §2.1, there over texts alike but for names): a head that writes nothing leaves behind a
residual stream such as training never had; one that writes its mean takes away only what it tells of this text.
"""

from collections.abc import Iterable

import numpy as np

from model.analysis.attention import attended
from model.intervention import HeadMeans
from model.run import Attention, Layer, ModelRun, NoAttention, VisitorError


def head_means(runs: Iterable[ModelRun], kind: str = "self") -> HeadMeans:
    """Over all tokens of some texts, each read by the model as trained; one run is needed at a time.

    `kind`: of whose attention. Raises `VisitorError` where a run keeps no values; ValueError for no runs at all.
    """
    sums: list[np.ndarray | None] = []
    n_text = n_token = 0
    for run in runs:
        given = [None if isinstance(layer, NoAttention) else _given(layer).sum(1) for layer in run.layers(kind)]
        if n_text:
            given = [now if now is None else before + now for before, now in zip(sums, given, strict=True)]
        sums = given
        n_text, n_token = n_text + 1, n_token + run.attending(kind)[0].n_query
    if not n_text:
        raise ValueError("no texts to take a mean over")
    means = (None if each is None else (each / n_token).astype(np.float32) for each in sums)
    return HeadMeans(tuple(means), n_text, n_token)


def _given(layer: Layer) -> np.ndarray:
    """(H, T, K of values) what its heads give to the output projection."""
    if not isinstance(layer, Attention) or layer.value is None:
        raise VisitorError(
            "What a head writes in the mean cannot be had: of a text this long, or by this model, no values are kept. "
            "Heads can be made to write nothing instead."
        )
    return attended(layer, layer.value).astype(np.float64)
