"""How long a text may be: in characters, before it is cut into tokens; and in tokens."""

from collections.abc import Sequence

from model.run import ModelInfo, PromptError, Token

MOST_CHARACTERS = 400_000  # cut into tokens at a time, whatever a model reads: a second or two


def check_characters(title: str, n_context: int, longest: int, *texts: str) -> None:
    """Refuse by its characters a text that cannot fit, before a minute goes into cutting it.

    `longest`: the characters of the longest entry of the vocabulary; n_context of these are the most that a model can
    read. (Of a tokenizer that drops white space, or makes one token of an unknown word, a longer text might fit: it is
    refused too.) Raises `PromptError`.
    """
    n_character = sum(map(len, texts))
    most = min(n_context * longest, MOST_CHARACTERS)
    if n_character <= most:
        return
    because = (
        "that many are cut into tokens at a time"
        if most == MOST_CHARACTERS
        else f"it reads at most {n_context:,} tokens, and none stands for more than {longest:,}"
    )
    raise PromptError(
        f"The text has {n_character:,} characters, and {title} can be given at most {most:,}: {because}. Shorten it."
    )


def check_tokens(info: ModelInfo, tokens: Sequence[Token], what: str = "text") -> None:
    """Raises `PromptError` if there are none, or more than the model reads. `what`: which of its texts they are."""
    if not tokens:
        raise PromptError("There is no text to read: type at least one character.")
    if (excess := len(tokens) - info.n_context) > 0:
        raise PromptError(
            f"The {what} is {len(tokens):,} tokens long; {info.title} reads at most {info.n_context:,}. "
            f"Shorten it by {excess:,} token{'s' if excess > 1 else ''}."
        )
