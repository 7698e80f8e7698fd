"""How long a text may be: in characters, before it is cut into tokens; in tokens, where a class reads long ones in
another way than short ones.
"""

from model.run import PromptError

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
