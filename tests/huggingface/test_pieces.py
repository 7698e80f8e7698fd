"""Translators that come as SentencePiece files: their ids are those of transformers, which reads them with the package
`sentencepiece`; and each token has its place in the text as typed.
"""

import io
import os
import unicodedata

import pytest
from transformers import AutoTokenizer

from model.huggingface.language_model import load
from model.huggingface.pieces import M2M100
from model.text.prompt import cut_of
from tests.sentence_pieces import write_m2m100, write_marian
from tests.tiny_tokenizers import TEXTS

# the package is one that tests install; a test run from nothing has no excuse
sentencepiece = __import__("sentencepiece") if os.environ.get("CI") else pytest.importorskip("sentencepiece")

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
