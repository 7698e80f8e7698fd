"""What a model multiplies its scores with before softmax, in words: 1/√d in most, and something else in some."""

from collections.abc import Sequence

from model.run import DenseAttention, Layer, NoAttention

_SAME = 1e-4  # relative


def is_usual(attention: Layer) -> bool:
    """Whether scores are divided by the root of the width of a head, as in Vaswani et al. 2017."""
    if isinstance(attention, DenseAttention) or attention.whole_scale is None:
        return False
    return abs(attention.whole_scale * attention.query.shape[-1] ** 0.5 - 1) < _SAME


def can_go(layers: Sequence[Layer]) -> bool:
    """Whether there is a scale, and one that can be taken away."""
    if any(isinstance(layer, DenseAttention) or layer.whole_scale is None for layer in layers):
        return False
    return any(abs(layer.whole_scale - 1) > _SAME for layer in layers)


def scale_in_words(layers: Sequence[Layer | NoAttention], layer: int) -> str:
    """What this model's scale is for, and by how much scores change without it; `layers` are as trained, and this one
    has attention.
    """
    attention, layers = layers[layer], [each for each in layers if not isinstance(each, NoAttention)]
    if isinstance(attention, DenseAttention):
        return "This model does its attention in code of its own: its scale is not known here."
    if not can_go(layers):
        if any(each.whole_scale is None for each in layers):
            return "Where this model scales its scores was not found, so the scale cannot be taken away."
        return "This model does not scale its scores: they are q·k as they are, and there is nothing to take away."
    where = "" if all(each.whole_scale == attention.whole_scale for each in layers) else f"in layer {layer} "
    factor = 1 / attention.whole_scale
    if factor < 1 - _SAME:
        return (
            f"This model's scale makes scores larger; without it, they are {where}{_number(1 / factor)} times smaller, "
            "and rows are flatter."
        )
    if abs(factor - 1) <= _SAME:
        return f"The scale keeps scores small and softmax soft; {where}it is 1, and nothing changes there."
    root = f"√{attention.query.shape[-1]} = " if is_usual(attention) else ""
    return (
        f"The scale keeps scores small and softmax soft; without it, scores are {where}{root}{_number(factor)} times "
        "larger, and many rows nearly pick one token."
    )


def weights_formula(attention: Layer) -> str:
    """How the weights of a layer come about, as a formula of one line."""
    if isinstance(attention, DenseAttention):
        return "the weights that it gave, times V"
    scale = attention.scale
    scores = "Q·Kᵀ/√d" if abs(scale * attention.query.shape[-1] ** 0.5 - 1) < _SAME else f"{scale:.4g}·Q·Kᵀ"
    scores = "Q·Kᵀ" if abs(scale - 1) < _SAME else scores
    if attention.soft_cap:
        scores = f"cap({scores})"
    scores += " + bias" if attention.bias is not None else ""
    return f"softmax({scores}{', sink' if attention.sink_score is not None else ''})·V"


def _number(factor: float) -> str:
    return f"{factor:,.{0 if factor >= 20 else 1 if factor >= 1.95 else 2}f}"
