"""Which models exist here, and how to load one: the one place that knows."""

from pathlib import Path

from model.run import LanguageModel, ModelNotAvailable

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT = "story"


def available(weights: Path = WEIGHTS) -> list[str]:
    """The names that `load` takes, the default first."""
    names = sorted(config.parent.name for config in weights.glob("*/config.json"))
    return sorted(names, key=lambda name: name != DEFAULT)


def load(name: str, weights: Path = WEIGHTS) -> LanguageModel:
    """Raises `ModelNotAvailable` if there is no such model, or it cannot be read."""
    if name not in (names := available(weights)):
        raise ModelNotAvailable(f"There is no model “{name}” here. Available: {', '.join(names) or 'none'}.")
    from model.builtin import BuiltinModel  # imports torch: only once a model is wanted

    return BuiltinModel.load(weights / name)
