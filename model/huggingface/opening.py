"""A transformers model opened for reading, by the first way that shows the truth; or refused, with the reasons."""

from typing import Any

from model.huggingface import capture, other_layers
from model.huggingface.adapter import Captured, Dense, Opened
from model.huggingface.capture import NotCaptured
from model.huggingface.flow import check_fed
from model.huggingface.loading import Build, quoted
from model.run import ModelNotAvailable


def open_model(build: Build, title: str) -> Opened:
    """By queries and keys if that is the truth, else by the weights it gives.

    Raises `ModelNotAvailable` with the class and both reasons.
    """
    capture.register()
    tried, class_name, built = [], "unknown class", None

    def named_build(attn_implementation: str) -> Any:
        nonlocal class_name, built
        built = None  # a large model is never here twice
        built = build(attn_implementation)
        class_name = type(built).__name__
        return built

    for way in (Captured, Dense):
        try:
            opened = way(named_build, not_captured=" ".join(tried))
        except NotCaptured as reason:
            tried.append(str(reason))
        except (
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            if "memory" in str(error):
                raise
            # a class that was not written for this fails in a way of its own
            tried.append(f"it stops with {quoted(error)}")
        else:
            check_fed(opened, title)
            return opened
    if built is not None and (what := other_layers.alone(built)):
        raise ModelNotAvailable(
            f"“{title}” ({class_name}) has no softmax attention: its layers work by {what}, so there are no attention "
            "weights for Regard to show. Choose another model."
        )
    raise ModelNotAvailable(
        f"Regard cannot show the true attention weights of “{title}” ({class_name}), so it shows none. "
        f"Asked for queries and keys: {tried[0]}. Asked for its weights (eager attention): {tried[1]}."
    )
