"""How a text became its tokens, for each family of tokenizers: the steps end where the library ends."""

import json
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from model.text.bpe import BytePairs
from model.text.cut import MOST_CHARACTERS, Cutting, NotFollowed
from model.text.tokens import cutting_of, tokens_of
from model.text.unigram import Unigram
from tests.text.test_tokens import FAMILIES
from tests.tiny_tokenizers import CORPUS, TEXTS, byte_level, byte_pairs, few_word_pieces, unigram, wrapped


def changed(tokenizer: Tokenizer, **model: object) -> Tokenizer:
    """The same tokenizer with other settings of its model."""
    state = json.loads(tokenizer.to_str())
    state["model"] |= model
    return Tokenizer.from_str(json.dumps(state))


def with_marks_in_words() -> Tokenizer:
    """BPE as CLIP has it, and with a mark on what goes on within a word; what it has never seen is unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", continuing_subword_prefix="##"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder()
    trainer = trainers.BpeTrainer(
        vocab_size=200,
        special_tokens=["<unk>"],
        end_of_word_suffix="</w>",
        continuing_subword_prefix="##",
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXTS["English"], TEXTS["French"]] * 4, trainer)
    return tokenizer


def as_llama_3() -> Tokenizer:
    """Byte-level, divided by an expression, and words that are entries are taken whole."""
    tokenizer = changed(byte_pairs(CORPUS, 400, ["<|begin|>"]), ignore_merges=True)
    state = json.loads(tokenizer.to_str())
    state["model"]["vocab"]["Ġmoveable"] = len(state["model"]["vocab"])  # no merge makes it
    tokenizer = Tokenizer.from_str(json.dumps(state))
    split = pre_tokenizers.Split(Regex(r" ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    return tokenizer


def with_added_tokens() -> Tokenizer:
    """Names found in the text as typed and behind the normalizer, with the space around them and without."""
    tokenizer = byte_pairs(CORPUS, 400, [])
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.add_tokens(
        [
            AddedToken("<mask>", lstrip=True, rstrip=True, normalized=False, special=True),
            AddedToken("<m", normalized=False),
            AddedToken("Cat", normalized=True, single_word=True),
            AddedToken("the mat", normalized=True),
        ]
    )
    return tokenizer


def with_bytes_in_unigram() -> Tokenizer:
    tokenizer = unigram().backend_tokenizer
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    return changed(tokenizer, vocab=vocabulary + [[f"<0x{i:02X}>", -30.0] for i in range(256)], byte_fallback=True)


def whole_words() -> Tokenizer:
    entries = ["<unk>", "the", "cat", "on", "mat", "猫"]
    tokenizer = Tokenizer(models.WordLevel({entry: i for i, entry in enumerate(entries)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def unordered() -> Tokenizer:
    """A merge of "ab" is learned before those that make "ab": whole vocabularies turned into merges look so."""
    entries = ["a", "b", "c", "ab", "ba", "abc", "cab", "abab", "▁", "<unk>"]
    merges = [("c", "ab"), ("ab", "ab"), ("ab", "c"), ("a", "bc"), ("a", "b"), ("b", "a")]
    ids = {entry: i for i, entry in enumerate([*entries, "bc"])}
    tokenizer = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    return tokenizer


ALL = FAMILIES | {
    "marks in words": wrapped(with_marks_in_words(), unk_token="<unk>"),
    "as Llama 3": wrapped(as_llama_3()),
    "added tokens": wrapped(with_added_tokens()),
    "Unigram with bytes": wrapped(with_bytes_in_unigram(), unk_token="<unk>"),
    "whole words": wrapped(whole_words(), unk_token="<unk>"),
    "few word pieces": few_word_pieces(),
    "unordered": wrapped(unordered(), unk_token="<unk>"),
}
MORE_TEXTS = TEXTS | {
    "added": "the <mask> CAT cats<m ask the mat<mask><mask>  saw",
    "entries": "moveable  moveable 1234567 abcababcabab ababab",
    "one": "a",
    "space": " ",
}


def ids_of(pieces) -> list[int]:
    return [piece.id for piece in pieces]


def follow(tokenizer, text: str) -> None:
    """Each token is in the word that it should be in, and each word's steps end at its tokens."""
    tokens, cutting = tokens_of(tokenizer, text), cutting_of(tokenizer)
    cut = cutting.cut(text, tokens)
    assert [token.special and token.start == token.end for token in tokens] == [word is None for word in cut.word_of]
    assert [i for i, word in enumerate(cut.word_of) if word is not None] == [
        i for word in cut.words for i in range(word.first, word.last + 1)
    ]
    for word in cut.words:
        expected = [token.id for token in tokens[word.first : word.last + 1]]
        if word.written is None:
            assert len(expected) == 1
            continue
        pieces = cutting.model.pieces(word.written, word.opens, word.closes)
        assert ids_of(pieces) == expected
        assert pieces[-1].end <= len(word.written)
        if isinstance(cutting.model, BytePairs):
            steps = list(cutting.model.steps(word.written, word.opens, word.closes))
            assert (not steps) == (cutting.model.whole(word.written, word.opens, word.closes) is not None)
            assert not steps or steps[-1].pieces == pieces
            width = {sum(piece.width for piece in step.pieces) for step in steps}
            assert len(width) <= 1
        elif isinstance(cutting.model, Unigram):
            path = [best.piece for best in cutting.model.lattice(word.written).best if best.on_path]
            assert "".join(word.written[piece.start : piece.end] for piece in path) == word.written
            assert sum(piece.width for piece in path) == sum(piece.width for piece in pieces)
        else:
            matches = [match.piece for match in cutting.model.steps(word.written, word.opens, word.closes)]
            assert None in matches or not matches or tuple(matches) == pieces


@pytest.mark.parametrize("language", MORE_TEXTS)
@pytest.mark.parametrize("family", ALL)
def test_the_steps_end_where_encode_ends(family, language):
    follow(ALL[family], MORE_TEXTS[language])


@pytest.mark.parametrize("family", ALL)
@given(text=st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("abc <mask>▁"), min_size=1, max_size=30))
def test_the_steps_of_any_text(family, text):
    follow(ALL[family], text)


@pytest.mark.parametrize("family", ["WordPiece", "Unigram", "SentencePiece BPE"])
def test_two_texts_are_followed_each_on_its_own(family):
    tokenizer, first, second = ALL[family], "the cat", "sat on the mat"
    cut = cutting_of(tokenizer).cut(
        f"{first}\n\n{second}", tokens_of(tokenizer, first, second), [(0, 7), (9, 9 + len(second))]
    )
    assert [(word.start, word.end) for word in cut.words] == [(0, 3), (3, 7), (9, 12), (12, 15), (15, 19), (19, 23)]


def test_what_normalizer_and_pre_tokenizer_did_is_told():
    tokenizer, text = ALL["WordPiece"], "Élève, 猫\u200b!"
    cutting = cutting_of(tokenizer)
    cut = cutting.cut(text, tokens_of(tokenizer, text))
    assert (cutting.normalizer, cutting.pre_tokenizer) == (("BertNormalizer",), ("BertPreTokenizer",))
    assert [cut.after_normalizer(word.start, word.end).strip() for word in cut.words] == ["eleve", ",", "猫", "!"]
    assert [word.written for word in cut.words] == ["eleve", ",", "猫", "!"]


def test_a_text_that_is_one_word_is_divided_where_no_piece_crosses():
    tokenizer, text = ALL["SentencePiece BPE, old"], "the cat, and the 🐈"
    cutting = cutting_of(tokenizer)
    assert cutting.pre_tokenizer == ()
    words = cutting.cut(text, tokens_of(tokenizer, text)).words
    assert [word.written for word in words] == ["▁the", "▁cat,", "▁and", "▁the", "▁🐈"]
    assert [word.opens for word in words] == [True, *[False] * 4]
    assert [word.closes for word in words] == [*[False] * 4, True]


def test_bytes_of_an_unknown_character_lie_side_by_side():
    model = cutting_of(ALL["SentencePiece BPE"]).model
    first = next(model.steps("a🐈"))
    assert [(piece.start, piece.end, piece.width) for piece in first.pieces] == [(0, 1, 1), *[(1, 2, 1)] * 4]


def test_merges_are_made_in_the_librarys_order():
    model = Cutting(unordered()).model
    steps = list(model.steps("ababc"))
    names = {id: entry for entry, id in model.ids.items()}
    shown = [[names[piece.id] for piece in step.pieces] for step in steps]
    assert shown == [["a", "b", "a", "b", "c"], ["ab", "ab", "c"], ["abab", "c"]]
    assert [step.joined for step in steps] == [(), (0, 1), (0,)]
    assert [step.rank for step in steps] == [None, 4, 1]
    # "c" + "ab" is the first of all, and possible as soon as the first "ab" is there
    assert [[names[piece.id] for piece in step.pieces] for step in model.steps("cabab")][1:] == [
        ["c", "ab", "a", "b"],
        ["cab", "a", "b"],
        ["cab", "ab"],
    ]


def test_word_piece_says_what_it_looked_up():
    model = cutting_of(few_word_pieces()).model
    first, second = model.steps("cats")
    assert (first.tried, first.piece.id, second.tried, second.piece.id) == (("cats",), 6, (), 9)
    *_, last = model.steps("catsx")
    assert last.tried == ("##x",) and last.piece is None
    assert ids_of(model.pieces("catsx")) == [1]
    assert not list(model.steps("cat" * 40)) and ids_of(model.pieces("cat" * 40)) == [1]


@pytest.mark.parametrize("word", ["▁the", "▁mangé", "▁move.", "▁🐈x", "▁cats"])
def test_the_best_way_is_the_best_of_all_ways(word):
    """All ways are tried: every set of places to cut at."""
    model = cutting_of(ALL["Unigram"]).model
    sums = []
    for n in range(len(word)):
        for places in combinations(range(1, len(word)), n):
            parts = [word[a:b] for a, b in zip((0, *places), (*places, len(word)), strict=True)]
            known = [model.log_prob[model.ids[part]] if part in model.ids else None for part in parts]
            unknown = [len(part) == 1 and log_prob is None for part, log_prob in zip(parts, known, strict=True)]
            if all(log_prob is not None or lone for log_prob, lone in zip(known, unknown, strict=True)):
                sums.append(sum(min(model.log_prob) - 10 if p is None else p for p in known))
    sums.sort(reverse=True)
    lattice = model.lattice(word)
    assert lattice.best[-1].total == pytest.approx(sums[0])
    if len(sums) == 1:
        assert lattice.other is None
    else:
        assert lattice.other == pytest.approx(sums[1])


def test_a_cut_that_is_drawn_is_not_told():
    with pytest.raises(NotFollowed, match="is not shown for this tokenizer: it leaves merges out at random"):
        Cutting(changed(byte_level().backend_tokenizer, dropout=0.1))


def test_a_normalizer_of_ones_own_is_not_told():
    class Upper:
        def normalize(self, text):
            text.uppercase()

    tokenizer = byte_level().backend_tokenizer
    tokenizer.normalizer = normalizers.Normalizer.custom(Upper())
    with pytest.raises(NotFollowed, match="is not shown for this tokenizer: Custom Normalizer cannot be serialized"):
        Cutting(tokenizer)


def test_steps_that_end_elsewhere_are_not_shown():
    """The tokens are another tokenizer's: of whatever makes the two differ, the sentence says from where on."""
    text = "the cat sat"
    tokens, backend = tokens_of(ALL["byte-level"], text), ALL["byte-level"].backend_tokenizer
    merges = json.loads(backend.to_str())["model"]["merges"]
    fewer = changed(backend, merges=[pair for pair in merges if "".join(pair) != "Ġcat"])
    with pytest.raises(NotFollowed, match="it would be cut otherwise from character 3 on"):
        Cutting(fewer).cut(text, tokens)
    with pytest.raises(NotFollowed, match="more tokens of it than the steps"):
        cutting_of(ALL["byte-level"]).cut("the cat", tokens)


def test_a_long_text_is_not_cut_again():
    with pytest.raises(NotFollowed, match="has 100,001 characters"):
        cutting_of(ALL["byte-level"]).cut("a" * (MOST_CHARACTERS + 1), ())
