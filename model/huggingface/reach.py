"""Classes that read a long text in another way than a short one, and how far each can be shown."""

from dataclasses import dataclass
from typing import Any

from model.run import PromptError


@dataclass(frozen=True)
class Reach:
    """Up to how many tokens a class does what was checked when it was loaded, and what it does with more."""

    n_token: int
    beyond: str

    def check(self, n_token: int, what: str, title: str) -> None:
        """Raises `PromptError` if a text, or `what` it is called, has more tokens."""
        if n_token > self.n_token:
            raise PromptError(
                f"The {what} is {n_token:,} tokens long, and Regard shows {title} with at most {self.n_token:,}: "
                f"{self.beyond}, which leaves no weight for each pair of tokens. Shorten it by "
                f"{n_token - self.n_token:,}."
            )


def reach_of(config: Any) -> Reach | None:
    """None for the classes that read all lengths alike."""
    match getattr(config, "model_type", ""):
        case "big_bird" | "bigbird_pegasus" if getattr(config, "attention_type", "") == "block_sparse":
            n_token = (5 + 2 * config.num_random_blocks) * config.block_size
            return Reach(n_token, "longer texts it reads by blocks, some of them chosen at random")
        case "reformer":
            kinds = {"local": config.local_attn_chunk_length, "lsh": config.lsh_attn_chunk_length}
            chunks = [n_token for kind, n_token in kinds.items() if kind in config.attn_layers]
            if chunks:
                return Reach(min(chunks), "longer texts it reads in chunks, and sorts their tokens by a random hash")
    return None


def settle(transformer: Any) -> None:
    """Put a class that changes itself with the length of a text into the state that it has within its `Reach`.

    BigBird does so at the first short text, for good, and then returns no attention: it is done before.
    """
    if hasattr(transformer.base_model, "set_attention_type"):
        transformer.base_model.set_attention_type("original_full")
    elif transformer.config.model_type == "bigbird_pegasus":
        transformer.get_encoder().set_attention_type("original_full")
