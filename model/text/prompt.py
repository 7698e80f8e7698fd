"""What a model is given to read, as typed: and the only place where it becomes tokens.

`Prompt` is the text, perhaps a second one, perhaps a message of a chat, with those before it; for an encoder-decoder
also what it is to have written, for a decoder what was generated after the text. `as_read` finds out what a model makes
of these, `tokens_of` makes of it what `LanguageModel.run` takes. With a model's name and an `Intervention` it is a
`RunKey`, which tells two runs apart.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from model.intervention import UNCHANGED, Intervention
from model.language_model import LanguageModel, Translator
from model.run import ModelRun, PromptError, Token
from model.text.conversation import Message
from model.text.cut import Cut, Cutting
from model.text.tokenizer import PAIR_JOINT
from model.text.units import text_gap
from model.text.writing import MOST_WRITTEN, placed, write_target, writing_of


@dataclass(frozen=True)
class Prompt:
    """Small values only, never arrays: equal prompts make equal runs."""

    text: str  # two texts may have a blank line between them
    continuation: tuple[int, ...] = ()  # ids generated after the text: encoding the grown text may split it otherwise
    target: str = ""  # what an encoder-decoder is to have written; nothing: what it writes itself
    target_ids: tuple[int, ...] | None = None  # its tokens, where they are known: its text may be cut otherwise
    second: str | None = None  # another text, behind the first
    chat: bool = False  # whether they are a message of a chat, if the model has a template for that
    before: tuple[Message, ...] = ()  # what was said in that chat before
    languages: tuple[str, str] | None = None  # of the source and the target, where the model has several to choose from

    def __post_init__(self):
        # one form, whatever sequence the ids came in
        object.__setattr__(self, "continuation", tuple(self.continuation))
        if self.target_ids is not None:
            object.__setattr__(self, "target_ids", tuple(self.target_ids))

    @property
    def writes_itself(self) -> bool:
        """Whether the model writes the target."""
        return not self.target and self.target_ids is None

    @property
    def without_target(self) -> "Prompt":
        """The same, and the model writes the target itself."""
        return replace(self, target="", target_ids=None)


@dataclass(frozen=True)
class RunKey:
    """What makes a run. Keys of equal runs are equal."""

    model: str
    prompt: Prompt  # as the model reads it
    intervention: Intervention = UNCHANGED


def as_read(lm: LanguageModel, prompt: Prompt) -> Prompt:
    """The prompt with nothing left to find out: one text, in the words of the template if it is a chat; a target only
    where the model writes one, and its tokens only where they are its text. Prompts that are read alike are equal then.

    Raises `PromptError` for a first text that holds a blank line, behind which the second would begin; `VisitorError`
    if a template cannot be filled.
    """
    text, pair = prompt.text, lm.info.family == "encoder-decoder"
    if prompt.second is not None:
        text += PAIR_JOINT + prompt.second
        if (gap := text_gap(text)) and gap[0] != len(prompt.text.rstrip()):
            raise PromptError("The first of the two texts holds a blank line, which would end it: take that line out.")
    if prompt.chat and text and (message := lm.chat_text(text, prompt.before)) is not None:
        text = message
    target, ids = (prompt.target, prompt.target_ids) if pair else ("", None)
    if ids is not None and not (max(ids, default=0) < lm.info.n_vocab and written_text(map(lm.token, ids)) == target):
        ids = None
    return Prompt(text, prompt.continuation, target, ids, languages=_languages(lm, prompt.languages))


def _languages(lm: LanguageModel, wanted: tuple[str, str] | None) -> tuple[str, str] | None:
    """Which languages are meant; None where there are none to choose."""
    # asked for with every step of a visitor, and what family it is tells most models sooner than all that it can
    if lm.info.family != "encoder-decoder" or not isinstance(lm, Translator) or lm.languages is None:
        return None
    source, target = (code or own for code, own in zip(wanted or ("", ""), lm.languages.default, strict=True))
    return source, target


def speaking(lm: LanguageModel, languages: tuple[str, str] | None) -> LanguageModel:
    """The model with these languages, where it has several. Raises `PromptError` for one that it does not know."""
    its = _languages(lm, languages)
    return lm.speaking(*its) if its else lm


def ids_in(words: str) -> tuple[int, ...] | None:
    """The ids in a link's "12.7.", each with a point behind it: "." is none of them; None for nothing at all.

    ValueError for anything else.
    """
    return tuple(int(word) for word in words.split(".") if word) if words else None


# what a model writes for a source: the ids, without the start token
Writer = Callable[[LanguageModel, tuple[Token, ...]], Sequence[int]]


def tokens_of(
    lm: LanguageModel, prompt: Prompt, writer: Writer | None = None
) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
    """The tokens and the source of a prompt, as `LanguageModel.run` takes them; the source is empty but for an
    encoder-decoder, whose tokens are its target, the start token first.

    `writer`: how a target is written where none is given; None: greedily. An empty text has no tokens. Raises
    `PromptError` where the text cannot be read.
    """
    prompt = as_read(lm, prompt)
    lm = speaking(lm, prompt.languages)
    tokens = encode(lm, prompt.text)
    if lm.info.family != "encoder-decoder":
        return _followed(lm, tokens, prompt.continuation), ()
    if not tokens:
        return (), ()
    start, ids = lm.start_token(), prompt.target_ids
    if prompt.writes_itself:
        if writer is None:
            return write_target(lm, tokens, start, min(MOST_WRITTEN, lm.info.n_context - 1)), tokens
        ids = writer(lm, tokens)
    begun = (start, *map(lm.token, writing_of(lm).forced))
    if ids is None:
        typed = lm.encode_target(prompt.target) if isinstance(lm, Translator) else lm.encode(prompt.target)
        return (*begun, *(token for token in typed if not token.special)), tokens
    return (*begun, *_followed(lm, (), ids)), tokens


def encode(lm: LanguageModel, text: str) -> tuple[Token, ...]:
    """The tokens of a text; of two, marked as two, where the model reads pairs."""
    gap = text_gap(text) if lm.info.reads_pairs else None
    if gap is None:
        return lm.encode(text)
    # the model is given both without what stands between them; offsets count in the text as it was typed
    end, start = gap
    moved = start - end - len(PAIR_JOINT)
    tokens = lm.encode(text[:end], text[start:])
    return tuple(replace(t, start=t.start + moved, end=t.end + moved) if t.start > end else t for t in tokens)


def cut_of(lm: LanguageModel, cutting: Cutting, text: str) -> Cut:
    """How a text, or two where the model reads pairs, became the tokens of `encode`. Raises as `Cutting.cut` does."""
    gap = text_gap(text) if lm.info.reads_pairs else None
    return cutting.cut(text, encode(lm, text), [(0, gap[0]), (gap[1], len(text))] if gap else ())


def text_of(prompt: Prompt, run: ModelRun) -> str:
    """The text of a run of a prompt `as_read`, with what was generated after it; an encoder-decoder's target."""
    if prompt.target:
        return prompt.target
    if not run.source and not prompt.continuation:
        return prompt.text
    # what was written; not all pieces of a text that was typed: some tokenizers put a space before it
    grown = written_text(run.tokens if run.source else run.tokens[-len(prompt.continuation) :])
    return grown if run.source else prompt.text + grown


def written_text(tokens: Iterable[Token]) -> str:
    """The text that tokens make, without the special ones."""
    return b"".join(token.piece for token in tokens if not token.special).decode(errors="replace")


def _followed(lm: LanguageModel, tokens: tuple[Token, ...], ids: Sequence[int]) -> tuple[Token, ...]:
    """Tokens with others after them, given by their ids."""
    for id in ids:
        tokens = (*tokens, placed(lm.token(id), tokens))
    return tokens
