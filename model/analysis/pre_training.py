"""What a pre-training takes: the parameters N that work on each token, the tokens D, and 6 N D operations.

The rule is that of Kaplan et al. 2020, §2.1: a forward pass takes about 2 N operations a token (each parameter
multiplies once and adds once), the backward pass twice as many. N leaves out the tables of token and position vectors,
of which a token only looks up a row. What attention itself takes, which grows with the text's length, is not counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from model.analysis.parameters import parameters_by_part

TABLES = ("embeddings", "positions")
SECONDS = 3600  # of an hour
CHINCHILLA = 20  # tokens a parameter (Hoffmann et al. 2022, of all parameters)


@dataclass(frozen=True)
class PreTraining:
    """One training. What is not known, or was not published, is None."""

    name: str
    title: str
    n_parameter: int  # all
    n_working: int  # N
    n_output: int  # of the table that makes logits, where it is one with the table of tokens; vocabulary x width
    n_token: int | None = None  # D, with repetitions
    seconds: float | None = None
    machine: str = ""
    n_layer: int = 0  # of a published shape
    d_model: int = 0
    published: float | None = None  # operations, as its authors count them
    source: str = ""

    @property
    def operations(self) -> float | None:
        """6 N D, in floating-point operations."""
        return None if self.n_token is None else 6.0 * self.n_working * self.n_token

    @property
    def with_output(self) -> float | None:
        """The same, and what the logits take: each token is multiplied with all of the output table."""
        return None if self.n_token is None else 6.0 * (self.n_working + self.n_output) * self.n_token

    @property
    def tokens_a_parameter(self) -> float | None:
        return None if self.n_token is None else self.n_token / self.n_parameter

    @property
    def tokens_a_second(self) -> float | None:
        return self.n_token / self.seconds if self.seconds and self.n_token else None

    @property
    def speed(self) -> float | None:
        """Operations a second, by the rule."""
        return self.operations / self.seconds if self.seconds and self.operations else None


def of_card(name: str, card: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> PreTraining | None:
    """Of a model that was trained here, by its card and the shapes of its tensors.

    None if the card does not say what was read in which time, or if only a layer over another model was fitted.
    """
    if "own_parameters" in card or not (card.get("tokens") and card.get("hours")):
        return None
    parts = parameters_by_part(shapes)
    rows = card.get("history", {}).get("rows") or [[card["steps"], card["tokens"], card["hours"] * SECONDS]]
    # the history counts seconds, the card rounds hours; of what was exported later than it was judged, the card knows
    seconds = rows[-1][2] if rows[-1][1] == card["tokens"] else card["hours"] * SECONDS
    return PreTraining(
        name,
        card["title"],
        sum(parts.values()),
        sum(n for part, n in parts.items() if part not in TABLES),
        prod(shapes["token_embedding.weight"]),
        card["tokens"],
        seconds,
        card.get("machine", ""),
    )


def _published(name: str, title: str, n_layer: int, d_model: int, n_parameter: float, **more) -> PreTraining:
    sizes = {"n_working": 12 * n_layer * d_model**2, "n_output": 50_257 * d_model}
    return PreTraining(name, title, int(n_parameter), **sizes, n_layer=n_layer, d_model=d_model, **more)


_GPT_2 = (
    "Shape: Radford et al. 2019, table 2. Parameters: counted in the weights that OpenAI released (the paper's counts "
    "were too low). How many tokens it read was not published: only that WebText has 40 GB, not how often it was read."
)
_GPT_3 = (
    "Brown et al. 2020: shape in table 2.1, parameters, tokens and operations in table D.1, whose N counts the tables "
    "of vectors too."
)
PUBLISHED = (
    _published("gpt2", "GPT-2 small", 12, 768, 124_439_808, source=_GPT_2),
    _published("gpt2-xl", "GPT-2 XL", 48, 1600, 1_557_611_200, source=_GPT_2),
    _published("gpt3-small", "GPT-3 Small", 12, 768, 125e6, n_token=300 * 10**9, published=2.25e20, source=_GPT_3),
    _published("gpt3", "GPT-3", 96, 12_288, 174.6e9, n_token=300 * 10**9, published=3.14e23, source=_GPT_3),
)
