"""Tokens of any tokenizer family: what each stands for, and where it lies in the text as typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.run import PromptError, Token
from model.text.tokenizer import PAIR_JOINT
from model.text.tokens import token_of, tokens_of
from model.text.writing import placed
from tests.tiny_tokenizers import TEXTS, byte_level, sentencepiece_bpe, unigram, word_piece

FAMILIES = {
    "byte-level": byte_level(),
    "byte-level, trimmed": byte_level(trim=True),
    "byte-level, prefix": byte_level(prefix=True, trim=True),
    "byte-level, NFC": byte_level(nfc=True),
    "SentencePiece BPE": sentencepiece_bpe(),
    "SentencePiece BPE, old": sentencepiece_bpe(old=True),
    "Unigram": unigram(),
    "WordPiece": word_piece(),
}
BYTE_LEVEL = [name for name in FAMILIES if name.startswith("byte-level") and "NFC" not in name]


def read(tokens: tuple[Token, ...], text: str) -> list[tuple[str, str]]:
    """What stands on the screen, and the part of the text that it covers."""
    return [(token.label, text[token.start : token.end]) for token in tokens]


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_character_is_covered_in_order(family, language):
    text = TEXTS[language]
    tokens = tokens_of(FAMILIES[family], text)
    covered = {i for token in tokens for i in range(token.start, token.end)}
    assert covered == set(range(len(text)))
    assert [token.start for token in tokens] == sorted(token.start for token in tokens)
    assert [token.end for token in tokens] == sorted(token.end for token in tokens)
    assert not any("\ufffd" in token.label or "Ġ" in token.label or "▁" in token.label for token in tokens)


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_ids_are_those_of_transformers(family, language):
    tokenizer, text = FAMILIES[family], TEXTS[language]
    expected = tokenizer(text, truncation=False, padding=False).input_ids
    assert [token.id for token in tokens_of(tokenizer, text)] == expected


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("family", BYTE_LEVEL)
def test_bytes_of_a_byte_level_tokenizer_are_the_texts(family, language):
    text = TEXTS[language]
    joined = b"".join(token.piece for token in tokens_of(FAMILIES[family], text))
    assert joined == text.encode() or (family.endswith("prefix") and joined == b" " + text.encode())


@pytest.mark.parametrize("family", BYTE_LEVEL)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_bytes_of_any_text(family, text):
    tokens = tokens_of(FAMILIES[family], text)
    joined = b"".join(token.piece for token in tokens)
    assert joined in (text.encode(), b" " + text.encode())
    assert {i for token in tokens for i in range(token.start, token.end)} == set(range(len(text)))


@pytest.mark.parametrize("family", FAMILIES)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_is_covered(family, text):
    tokens = tokens_of(FAMILIES[family], text)
    inside = [token for token in tokens if token.end > token.start]
    covered = {i for token in inside for i in range(token.start, token.end)}
    assert covered == (set(range(len(text))) if inside else set())


@pytest.mark.parametrize("language", ["English", "Arabic", "emoji"])
@pytest.mark.parametrize("family", ["SentencePiece BPE", "SentencePiece BPE, old"])
def test_byte_fallback_gives_the_bytes(family, language):
    text = TEXTS[language]
    pieces = [token.piece for token in tokens_of(FAMILIES[family], text) if not token.special]
    assert b"".join(pieces) == b" " + text.encode()
    if language == "emoji":
        cat = [token for token in tokens_of(FAMILIES[family], text) if text[token.start : token.end] == "🐈"]
        assert [token.label for token in cat] == ["<F0>", "<9F>", "<90>", "<88>"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_space_reads_alike_in_all_families(family):
    text = "the cat on the mat"
    tokens = [token for token in tokens_of(FAMILIES[family], text) if not token.special]
    first_of_words = [token for token in tokens if text[token.start : token.end].startswith(" ")]
    assert [token.start for token in first_of_words] == [3, 7, 10, 14]
    assert all(token.label.startswith("␣") for token in first_of_words)


def test_word_piece_reads_as_typed():
    text = "Cats, the  élève\n[MASK] naïf 🐈"
    tokens = tokens_of(FAMILIES["WordPiece"], text)
    assert [token.label for token in tokens if token.special] == ["[CLS]", "[MASK]", "[SEP]"]
    assert [(token.start, token.end) for token in tokens if token.label in ("[CLS]", "[SEP]")] == [(0, 0), (30, 30)]
    shown = read(tokens, text)
    assert "".join(part for _, part in shown) == text
    assert ("[MASK]", "\n[MASK]") in shown
    assert ("␣[UNK]", " 🐈") in shown  # what the vocabulary does not know says so, and where
    assert "".join(label for label, _ in shown) == "[CLS]cats,␣the␣eleve[MASK]␣naif␣[UNK][SEP]"


def test_a_mark_that_is_dropped_belongs_to_its_letter():
    text = "e\u0301le\u0300ve x"
    tokens = tokens_of(FAMILIES["WordPiece"], text)
    assert not any(text[token.start : token.end].startswith(("\u0301", "\u0300")) for token in tokens)


def test_vocabulary_entries_outside_a_text():
    word_piece, vocabulary = FAMILIES["WordPiece"], FAMILIES["WordPiece"].get_vocab()
    shown = {entry: token_of(word_piece, id) for entry, id in vocabulary.items()}
    assert shown["the"] == Token(vocabulary["the"], b" the", 0, 0)
    assert shown["##s"].label == "s" and shown["s"].label == "␣s"
    assert shown[","].label == "," and shown["猫"].label == "猫"
    assert shown["[MASK]"] == Token(vocabulary["[MASK]"], b"[MASK]", 0, 0, special=True)
    assert not shown["[UNK]"].special
    for family in ("byte-level", "SentencePiece BPE", "Unigram"):
        tokenizer = FAMILIES[family]
        for token in tokens_of(tokenizer, "x the cat"):
            assert token_of(tokenizer, token.id) == Token(token.id, token.piece, 0, 0, token.special), family
    # an embedding may have more rows than the vocabulary entries
    assert token_of(FAMILIES["byte-level"], 4000).label == "<4000>"


def test_names_of_special_tokens_are_read_as_these():
    tokenizer = FAMILIES["byte-level"]
    end, mask = tokenizer.eos_token_id, tokenizer.mask_token_id
    tokens = tokens_of(tokenizer, "a<mask> b<|endoftext|>")
    assert [(token.id, token.start, token.end) for token in tokens if token.special] == [(mask, 1, 7), (end, 9, 22)]
    assert [token.label for token in tokens] == ["a", "<mask>", "␣", "b", "<|endoftext|>"]


@pytest.mark.parametrize("family", ["WordPiece", "Unigram", "SentencePiece BPE"])
def test_two_texts(family):
    tokenizer, first, second = FAMILIES[family], "The cat", " sat on the mat "
    tokens = tokens_of(tokenizer, first, second)
    theirs = tokenizer(first, second, truncation=False, padding=False, return_token_type_ids=True)
    assert [token.id for token in tokens] == theirs.input_ids
    assert [token.type for token in tokens] == theirs.token_type_ids and {token.type for token in tokens} == {0, 1}
    whole = first + PAIR_JOINT + second
    covered = {i for token in tokens for i in range(token.start, token.end)}
    assert covered == set(range(len(whole))) - {len(first), len(first) + 1}
    for token in tokens:
        if token.end > token.start:
            assert (token.start > len(first)) == (token.type == 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_half_a_character_gets_the_sentence(family):
    with pytest.raises(PromptError, match="lone surrogate"):
        tokens_of(FAMILIES[family], "a\ud83d")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_empty_text_has_nothing_but_special_tokens(family):
    assert all(token.special and token.start == token.end == 0 for token in tokens_of(FAMILIES[family], ""))


@pytest.mark.parametrize("family", ["byte-level", "byte-level, prefix", "SentencePiece BPE", "SentencePiece BPE, old"])
def test_what_is_generated_goes_on_where_the_text_ends(family):
    """A space that the tokenizer puts first, and special tokens, cover nothing, so they move nothing."""
    tokenizer, text, more = FAMILIES[family], "The cat", " sat 🐈 on the mat"
    tokens = list(tokens_of(tokenizer, text))
    for token in tokens_of(tokenizer, text + more)[len(tokens) :]:
        tokens.append(placed(token_of(tokenizer, token.id), tokens))
    assert [(token.start, token.end) for token in tokens] == [
        (token.start, token.end) for token in tokens_of(tokenizer, text + more)
    ]
