"""Translators that come as SentencePiece files: their ids are those of transformers, which reads them with the package
`sentencepiece`; and each token has its place in the text as typed.
"""

import io
import os
import unicodedata

import pytest
from transformers import AutoTokenizer

from model.huggingface.checkpoint import load
from model.huggingface.pieces import M2M100
from model.text.prompt import cut_of
from model.text.tokens import tokens_of
from tests.sentence_pieces import write_lone, write_m2m100, write_marian
from tests.tiny_tokenizers import TEXTS

# a test run from nothing has it, and no excuse
why = "pip install 'regard[sentencepiece]'"
sentencepiece = (
    __import__("sentencepiece") if os.environ.get("CI") else pytest.importorskip("sentencepiece", reason=why)
)

STRANGE = {
    **TEXTS,
    "Korean in parts": unicodedata.normalize("NFD", "한국어를 각각 읽다"),
    "half-width kana": "ｶﾞｷﾞ ﾊﾟﾝ",
    "accents apart": "e\u0301\u0327le\u0300ve a\u0302\u0301",
    "an accent alone": "\u0301a",
    "ligatures": "ﬁn ﷺ ½ ℡ Ⅻ",
    "control characters": "a\x00b\x07c\x1b\x7f d\u0085e",
    "narrow no-break space": "12\u202f345\u202f!",
    "ellipsis": "wait… what……",
    "joiners": "👩‍👩‍👧‍👦 ❤️‍🔥 क्‍ष",
    "right to left": "שלום \u200fעולם\u200e abc ٣٤",
    "blanks around": "   the cat   ",
    "ideographic blanks": "\u3000猫\u3000\u3000坐\u3000",
    "signs of blanks": "▁the▁▁cat ▁",
    "only blanks": " \t \n ",
    "one blank": " ",
    "byte order mark": "\ufeffthe cat",
    "lines": "the\r\ncat\u2028sat\n\n",
    "soft hyphen": "be\u00adfore a\u200bb",
    "marks typed": "the </s> cat <unk><pad>  </s> on",
    "a code": ">>fra<< the cat",
    "a code that is none": ">>xyz<<the cat >>fra<<",
    "half a code": ">>fra the cat << on",
    "M2M100's codes": "__fr__ the cat__en__on __xx__",
    "surrounded": "  >>fra<<  the",
}


def trained(texts: list[str], n: int, kind: str, **more) -> bytes:
    """A file as its own package writes it, with the normal forms that opus-mt and M2M100 have."""
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 8), model_writer=file, vocab_size=n, model_type=kind, hard_vocab_limit=False,
        minloglevel=2, **more,
    )  # fmt: skip
    return file.getvalue()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("translators")
    source = trained([TEXTS["English"], TEXTS["emoji"], TEXTS["Chinese"], "각각 ガギ"], 120, "unigram")
    target = trained([TEXTS["French"], TEXTS["Arabic"], TEXTS["spaces"]], 120, "unigram")
    both = trained([*TEXTS.values(), "각각 ガギ"], 260, "bpe")
    return {
        "marian": write_marian(root / "marian", source, target, ">>fra<<", ">>deu<<"),
        "m2m100": write_m2m100(root / "m2m100", both),
        "m2m100, codes typed": write_m2m100(root / "listed", both, *(f"__{code}__" for code in M2M100.split())),
    }


@pytest.fixture(scope="module")
def read(folders):
    """By kind: ours, and transformers'."""
    both = {}
    for kind, folder in folders.items():
        both[kind] = load(folder, name=kind, title=kind), AutoTokenizer.from_pretrained(folder, tgt_lang="fr")
    return both


@pytest.mark.parametrize("kind", ["marian", "m2m100", "m2m100, codes typed"])
@pytest.mark.parametrize("name", STRANGE)
def test_ids_are_those_of_transformers(read, kind, name):
    (lm, theirs), text = read[kind], STRANGE[name]
    assert [token.id for token in lm.encode(text)] == theirs(text).input_ids
    target = [token.id for token in lm.encode_target(text) if not token.special or token.start < token.end]
    assert target == theirs(text_target=text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("kind", ["marian", "m2m100", "m2m100, codes typed"])
@pytest.mark.parametrize("name", STRANGE)
def test_places_cover_the_text_in_order(read, kind, name):
    lm, text = read[kind][0], STRANGE[name]
    tokens = [token for token in lm.encode(text) if not token.special or token.start < token.end]
    starts, ends = [token.start for token in tokens], [token.end for token in tokens]
    assert starts == sorted(starts) and ends == sorted(ends)
    covered = {place for token in tokens for place in range(token.start, token.end)}
    assert covered == set(range(len(text))) or not tokens


@pytest.mark.parametrize("kind", ["marian", "m2m100", "m2m100, codes typed"])
@pytest.mark.parametrize("name", STRANGE)
def test_the_steps_end_where_the_tokens_are(read, kind, name):
    lm, text = read[kind][0], STRANGE[name]
    cut = cut_of(lm, lm.cutting(), text)  # raises if they do not
    standing = {i for i, token in enumerate(lm.encode(text)) if not token.special}
    assert standing <= {i for i, word in enumerate(cut.word_of) if word is not None}


# --- one file alone ---

T5_IDS = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
LONE = {
    "T5Tokenizer": ("unigram", T5_IDS, 0),
    "T5Tokenizer, bytes": ("unigram", T5_IDS | {"byte_fallback": True, "user_defined_symbols": ["cat sat"]}, 0),
    "XLMRobertaTokenizer": ("unigram", {}, 1),
    "MBartTokenizer": ("unigram", {}, 1),
    "MBart50Tokenizer": ("unigram", {}, 1),
    "NllbTokenizer": ("bpe", {}, 1),
}
# those that name no token that is found before all else
PLAIN = {name: text for name, text in STRANGE.items() if name != "marks typed"}


@pytest.fixture(scope="module", params=LONE)
def lone(request, tmp_path_factory):
    """A model, and what SentencePiece itself makes of a text, in that model's ids."""
    kind, more, moved = LONE[request.param]
    file = trained([*TEXTS.values(), "각각 ガギ"], 420 if "bytes" in request.param else 200, kind, **more)
    name = request.param.split(",")[0]
    lm = load(write_lone(tmp_path_factory.mktemp("lone") / "it", name, file), name=name, title=name)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=file)

    def ids(text: str) -> list[int]:
        return [3 if moved and id == theirs.unk_id() else id + moved for id in theirs.encode(text)]

    return lm, ids


def test_ids_are_those_of_sentencepiece(lone):
    lm, ids = lone
    for name, text in PLAIN.items():
        tokens = tokens_of(lm._tokenizer, text, around=((), ()))
        assert [token.id for token in tokens] == ids(text), name
        starts, ends = [token.start for token in tokens], [token.end for token in tokens]
        assert starts == sorted(starts) and ends == sorted(ends), name
        covered = {place for token in tokens for place in range(token.start, token.end)}
        assert covered == set(range(len(text))) or not tokens, name
        cut_of(lm, lm.cutting(), text)  # raises if the steps end elsewhere


def test_marks_and_languages_stand_where_the_checkpoints_have_them(lone):
    lm, _ = lone
    ids, n = [token.id for token in lm.encode("the")], sentencepiece_size(lm)
    marks = {
        "T5Tokenizer": ((), (1,)),
        "XLMRobertaTokenizer": ((0,), (2,)),
        "MBartTokenizer": ((), (2, n + 1 + 3)),  # en_XX is the fourth
        "MBart50Tokenizer": ((n + 1 + 3,), (2,)),
        "NllbTokenizer": ((n + 1 + 46,), (2,)),  # eng_Latn: 256,047 of the released ones, which have 256,000 pieces
    }
    before, behind = marks[lm.info.name]
    assert tuple(ids[: len(before)]) == before and tuple(ids[len(ids) - len(behind) :]) == behind
    if lm.info.name == "XLMRobertaTokenizer":
        assert lm.mask_token().id == n + 1 and lm.info.reads_pairs
        assert [t.id for t in lm.encode("the", "the")] == [*ids, 2, *ids[1:]]
        masked = lm.encode("the <mask> on")
        assert [(t.start, t.end) for t in masked if t.id == n + 1] == [(3, 10)]


def sentencepiece_size(lm) -> int:
    """The pieces of a model's file: of all its rows those that are not added behind them."""
    added = {"T5Tokenizer": 100, "XLMRobertaTokenizer": 2, "MBartTokenizer": 27, "MBart50Tokenizer": 54}
    return lm.info.n_vocab - added.get(lm.info.name, 206)


@pytest.mark.parametrize("kind", ["T5Tokenizer", "XLMRobertaTokenizer", "MBart50Tokenizer"])
def test_where_transformers_cuts_as_sentencepiece_does_they_are_its_ids(kind, tmp_path):
    file = trained([*TEXTS.values()], 200, *LONE[kind][:1], **LONE[kind][1])
    folder = write_lone(tmp_path / "it", kind, file)
    lm, theirs = load(folder, name=kind, title=kind), AutoTokenizer.from_pretrained(folder)
    for name in ("English", "French", "Chinese", "Arabic", "emoji", "ellipsis", "right to left", "joiners"):
        assert [token.id for token in lm.encode(STRANGE[name])] == theirs(STRANGE[name]).input_ids, name


def test_others_are_read_through_transformers(tmp_path):
    """ALBERT's accents, cases and commas are its tokenizer's own; the package is what transformers asks for."""
    marks = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]}
    file = trained([*TEXTS.values()], 200, "unigram", normalization_rule_name="nmt_nfkc_cf", **marks)
    folder = write_lone(tmp_path / "it", "AlbertTokenizer", file)
    lm, theirs = load(folder, name="albert", title="albert"), AutoTokenizer.from_pretrained(folder)
    for text in PLAIN.values():
        tokens = lm.encode(text)
        assert [token.id for token in tokens] == theirs(text).input_ids
        starts = [token.start for token in tokens[:-1]]
        assert starts == sorted(starts) and max(token.end for token in tokens) <= len(text)
