"""The byte-level BPE: nothing is lost, every byte has its place, and the shown merges end where `encode` ends."""

import pytest

from model.run import PromptError, Token, readable
from model.text.tokenizer import END_OF_TEXT, Tokenizer, byte_alphabet, piece_bytes, train

TEXTS = {
    "english": "The cat sat on the mat, and the other cat sat on the cat.",
    "french": "L'été où Noël çà et là tomba, œuvre naïve — « déjà vu » ?",
    "chinese": "猫坐在垫子上。the 猫",
    "arabic": "جلست القطة على السجادة، كِتَابٌ",
    "emoji": "A family 👨‍👩‍👧‍👦 and ❤️ and 🇫🇷!",
    "control": "\x00\x01a\tb\r\n\x7f\x85 c\u200b\u202ed\ufeff",
    "markup": "<script>alert('hi')</script> &amp; <b>",
    "spaces": "   lots   of\n\n\nspace \u00a0\u3000 ",
    "special": f"one{END_OF_TEXT}two",
    "marks": "e\u0301 न\u093f \ufffd ĠG",
    "empty": "",
    "one": "x",
}
every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


@pytest.fixture(scope="module")
def tokenizer(story) -> Tokenizer:
    return story.tokenizer


@every_text
def test_bytes_come_back(tokenizer, text):
    assert b"".join(token.piece for token in tokenizer.encode(text)) == text.encode()


@every_text
def test_offsets_cover_the_text(tokenizer, text):
    reached, n_byte = 0, 0
    for token in tokenizer.encode(text):
        assert token.start <= reached <= token.end  # a part of a character covers the character
        assert token.start < token.end
        assert token.start == len(text.encode()[:n_byte].decode(errors="ignore"))
        assert token.piece in text[token.start : token.end].encode()
        reached, n_byte = token.end, n_byte + len(token.piece)
    assert reached == len(text)


def test_parts_of_one_character_share_its_place(tokenizer):
    tokens = tokenizer.encode("a猫b")
    assert len(tokens) > 3, "the vocabulary knows this character whole: choose a rarer one"
    assert [(token.start, token.end) for token in tokens[1:-1]] == [(1, 2)] * (len(tokens) - 2)
    assert (tokens[0].start, tokens[-1].end) == (0, 3)


@every_text
def test_labels_can_be_read(tokenizer, text):
    for token in tokenizer.encode(text):
        assert token.label.strip()
        assert token.label.isprintable()
        assert "\ufffd" not in token.label
        assert "Ġ" not in token.label or "Ġ" in text


def test_every_entry_has_a_label_and_encodes_to_itself(tokenizer):
    assert tokenizer.n_vocab > 1 + 256  # more than the end of a text and bytes
    for id in range(tokenizer.n_vocab):
        token = tokenizer.token(id)
        assert (token.id, token.start, token.end, token.special) == (id, 0, 0, id == tokenizer.end_of_text)
        assert token.label.strip()
        assert token.label.isprintable()
        assert not {"\ufffd", "Ġ", "Ċ"} & set(token.label)


def test_end_of_text_typed_is_only_text(tokenizer):
    assert tokenizer.token(tokenizer.end_of_text) == Token(tokenizer.end_of_text, b"<|endoftext|>", 0, 0, special=True)
    tokens = tokenizer.encode(END_OF_TEXT)
    assert len(tokens) > 1
    assert tokenizer.end_of_text not in [token.id for token in tokens]
    assert tokenizer.end_of_text not in tokenizer.encode_ids([END_OF_TEXT])[0]


@every_text
def test_merges_begin_at_bytes_and_end_where_encode_ends(tokenizer, text):
    tokens = tokenizer.encode(text)
    cutting = tokenizer.cutting()
    cut = cutting.cut(text, tokens)
    assert [text[word.start : word.end] for word in cut.words] == tokenizer.words(text) or "\ud83d" in text
    for word in cut.words:
        steps = list(cutting.model.steps(word.written))
        assert [tokenizer.token(piece.id).piece for piece in steps[0].pieces] == [
            bytes([byte]) for byte in text[word.start : word.end].encode()
        ]
        assert [piece.id for piece in steps[-1].pieces] == [token.id for token in tokens[word.first : word.last + 1]]


@every_text
def test_words_join_to_the_text(tokenizer, text):
    assert "".join(tokenizer.words(text)) == text


def test_words_keep_their_leading_space(tokenizer):
    assert tokenizer.words("The cat's 12 mats!") == ["The", " cat", "'s", " 12", " mats", "!"]


def test_lone_surrogate(tokenizer):
    sentence = (
        "The text holds half of a character (U+D83D, a lone surrogate) at position 3. "
        "No model can read it: remove it, or paste the text again."
    )
    for read in (tokenizer.encode, tokenizer.words):
        with pytest.raises(PromptError) as raised:
            read("ab\ud83dc")
        assert str(raised.value) == sentence


def test_training_learns_the_most_frequent_pair_first():
    tokenizer = train(iter(["abab abab ab"] * 5), n_vocab=1 + 256 + 3)
    assert tokenizer.n_vocab == 260
    assert tokenizer.rank["a", "b"] == 0
    # then " ab" (twice a line) and "abab": whichever tie is cut first, "abab" is two pieces of "ab" at most
    assert [token.piece for token in tokenizer.encode("ab")] == [b"ab"]
    assert [token.piece for token in tokenizer.encode("ba")] == [b"b", b"a"]


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    for text in TEXTS.values():
        assert again.encode(text) == tokenizer.encode(text)


def test_many_texts_at_once_are_cut_the_same(tokenizer):
    texts = list(TEXTS.values())
    assert tokenizer.encode_ids(texts) == [[token.id for token in tokenizer.encode(text)] for text in texts]


def test_every_byte_has_a_character():
    alphabet = byte_alphabet()
    assert sorted(alphabet.values()) == list(range(256))
    assert (alphabet["A"], alphabet["Ġ"], alphabet["Ċ"]) == (0x41, 0x20, 0x0A)
    assert piece_bytes("ĠA") == b" A"


@pytest.mark.parametrize(
    ("piece", "label"),
    [
        (b" cat", "␣cat"),
        (b"\n\t ", "↵⇥␣"),
        (b"\xe7\x8c", "<E7 8C>"),
        (b"\xabx", "<AB>x"),
        (b" \xf0\x9f\x98", "␣<F0 9F 98>"),
        (b"a\xffb\xfe\xfdc", "a<FF>b<FE FD>c"),
        ("猫".encode(), "猫"),
        (b"\x00\x1b\x7f", "␀␛␡"),
        ("\u00a0\u0085\u200b\u202e".encode(), "⍽U+0085U+200BU+202E"),
        ("\ufffd".encode(), "U+FFFD"),
        ("\u0301".encode(), "◌\u0301"),
        ("e\u0301".encode(), "e\u0301"),
        ("\ufe0f".encode(), "U+FE0F"),
        (b"<b>&", "<b>&"),
    ],
)
def test_readable(piece, label):
    assert readable(piece) == label
    assert Token(7, piece, 0, 1).label == label


# the mask of a vocabulary that fills blanks


@pytest.fixture(scope="module")
def masking() -> Tokenizer:
    return train(iter(["The cat sat on the mat, and the (cat) sat."] * 5), n_vocab=300, mask=True)


def test_only_a_vocabulary_trained_so_has_a_mask(tokenizer, masking):
    assert tokenizer.mask is None
    assert [token.label for token in tokenizer.encode("a [MASK]")][-1] != "[MASK]"
    assert masking.token(masking.mask) == Token(masking.mask, b"[MASK]", 0, 0, special=True)
    assert masking.end_of_text != masking.mask < 2


@pytest.mark.parametrize("text", ["The cat sat on the mat.", "cat sat", "the (cat) sat", "sat\ncat", "on  the mat"])
def test_a_typed_mask_is_what_training_makes_of_a_hidden_token(masking, text):
    """Hide each token that is a whole word: typing [MASK] for it, the space before it kept, gives the same ids."""
    tokens, tried = masking.encode(text), 0
    for i, token in enumerate(tokens):
        word = text[token.start : token.end]
        if not word.strip().isalpha() or masking.words(text).count(word) == 0:
            continue
        typed = text[: token.start] + word.replace(word.strip(), "[MASK]") + text[token.end :]
        hidden = [token.id for token in tokens]
        hidden[i] = masking.mask
        found = masking.encode(typed)
        assert [token.id for token in found] == hidden
        assert typed[found[i].start : found[i].end] == word.replace(word.strip(), "[MASK]")
        tried += 1
    assert tried >= 2


def test_offsets_around_masks(masking):
    text = "é [MASK] sat[MASK][MASK] 猫  [MASK]"
    tokens = masking.encode(text)
    special = [token for token in tokens if token.special]
    assert [text[token.start : token.end] for token in special] == [" [MASK]", "[MASK]", "[MASK]", " [MASK]"]
    assert all(token.label == "[MASK]" and token.id == masking.mask for token in special)
    reached = 0
    for token in tokens:
        assert token.start <= reached <= token.end
        reached = token.end
    assert reached == len(text)
    plain = b"".join(token.piece for token in tokens if not token.special)
    assert plain == "é sat 猫 ".encode()


def test_a_mask_is_a_word_that_no_merge_made(masking):
    text = "The [MASK] sat on[MASK]."
    words = masking.words(text)
    assert words == ["The", " [MASK]", " sat", " on", "[MASK]", "."]
    tokens = masking.encode(text)
    cut = masking.cutting().cut(text, tokens)
    assert [text[word.start : word.end] for word in cut.words] == words
    assert [word.written is None for word in cut.words] == [False, True, False, False, True, False]
    assert [tokens[word.first].id == masking.mask for word in cut.words if word.written is None] == [True, True]


def test_other_special_words_stay_characters(masking):
    tokens = masking.encode(f"{END_OF_TEXT} [mask] [MASK")
    assert not any(token.special for token in tokens)
    assert masking.encode("") == ()


def test_a_saved_mask_is_the_same(masking, tmp_path):
    masking.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again.encode("The [MASK] sat") == masking.encode("The [MASK] sat")
    assert again.mask == masking.mask
