"""Where the parameters of a model are: each of its tensors counted with the part it belongs to."""

import re
from collections.abc import Iterable, Mapping
from math import prod

# Where a tensor belongs, by its name; the first pattern that is found decides. Only the names of transformers' models
# and of the built-in ones were looked at: what fits none is counted as "other", so that nothing is lost.
INSTEAD = "instead of attention"  # of a hybrid's layers without it
PARTS = ("embeddings", "positions", "attention", INSTEAD, "MLP", "norms", "head", "other")
_PATTERNS = {
    "head": r"^(lm_head|lm_loss|lm_predictions|proj_out|embed_out|score|classifier|pre_classifier|qa_outputs|head|cls|"
    r"predictions|mask_predictions|(generator|discriminator|vocab)_\w+)\.|^decoder\.(weight|bias)$",
    "other": r"(^|\.)pooler\.",
    "norms": r"norm|(^|[._])ln_|_ln\.",
    "positions": r"wpe\.|position_embedding|(source|target)_position|embed_positions|relative_attention_bias"
    r"|rel_embeddings|pos_(key|query)_proj|rel_attn\.(r|r_r_bias)$",
    "embeddings": r"embed|(^|\.)(wte|shared)\.|cls_token|mask_token|mask_emb|project_(in|out)\.|\.conv[12]\.|r_s_bias$",
    "attention": r"attn|attention|\.cross\.",
    "MLP": r"mlp|ffn|feed_forward|fc[12]\.|intermediate|output\.dense|DenseReluDense|expert|moe|(^|\.)ff\.",
}
_COMPILED = {part: re.compile(pattern, re.IGNORECASE) for part, pattern in _PATTERNS.items()}


def part_of(name: str) -> str:
    """Which of `PARTS` a tensor belongs to, by its name."""
    return next((part for part, pattern in _COMPILED.items() if pattern.search(name)), "other")


def parameters_by_part(shapes: Mapping[str, tuple[int, ...]], others: Iterable[tuple[int, str]] = ()) -> dict[str, int]:
    """How many numbers each part holds, the parts in the order of `PARTS`; they add up to all there are.

    `others`: the layers without attention, by number, and what each works by (`model.grid.Grid`).
    """
    counts, without = dict.fromkeys(PARTS, 0), dict(others)
    for name, shape in shapes.items():
        part, layer = part_of(name), re.search(r"\.(\d+)\.", name) if without else None
        if part in ("attention", "other") and layer and (what := without.get(int(layer[1]))):
            part = "MLP" if what.endswith("alone") else INSTEAD
        counts[part] += prod(shape)
    return {part: n for part, n in counts.items() if n}
