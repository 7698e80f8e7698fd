"""A translation judged by a reference: BLEU and chrF by sacrebleu, with the counts they are made of."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Matches:
    """How many n-grams of one length a text has, its reference has, and both have (each as often as in both)."""

    n: int
    found: int
    wanted: int
    both: int


@dataclass(frozen=True)
class Comparison:
    """A translation against a reference, by sacrebleu (Post 2018), of this one sentence."""

    bleu: float  # 0 … 100, up to 4-grams of words, smoothed (Papineni et al. 2002)
    words: tuple[Matches, ...]
    precisions: tuple[float, ...]  # 0 … 100, as BLEU takes them: where nothing matches, smoothed above 0
    brevity: float  # the penalty for a text shorter than its reference; 1: none
    n_found: int  # words, as BLEU cuts them
    n_wanted: int
    chrf: float  # 0 … 100, up to 6-grams of characters (Popović 2015)
    characters: tuple[Matches, ...]
    signatures: tuple[str, str]  # what else must be the same for two numbers to be compared: BLEU's, chrF's

    @property
    def bleu_by_hand(self) -> float:
        """The same from the counts: the geometric mean of the precisions of those lengths that the text has."""
        if not self.words[0].both:
            return 0.0
        logarithms, smoothing = [], 1.0
        for matches in (each for each in self.words if each.found):
            if not matches.both:
                smoothing /= 2  # the first length without a match counts as half a match, the next as a quarter
            logarithms.append(math.log(100 * (matches.both or smoothing) / matches.found))
        brevity = math.exp(min(0.0, 1 - self.n_wanted / self.n_found))
        return brevity * math.exp(sum(logarithms) / len(logarithms))

    @property
    def chrf_by_hand(self) -> float:
        """The same from the counts: means of precision and recall over the lengths, recall weighing twice as much."""
        used = [matches for matches in self.characters if matches.found and matches.wanted]
        if not used:
            return 0.0
        precision, recall = (
            sum(matches.both / getattr(matches, of) for matches in used) / len(used) for of in ("found", "wanted")
        )
        return 100 * 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


def compare(text: str, reference: str) -> Comparison:
    """BLEU and chrF of one sentence, with sacrebleu's defaults; of BLEU, only the lengths that the text has count.

    These measures were made for whole test sets: of one sentence they are rough.
    """
    from sacrebleu.metrics import BLEU, CHRF  # 0.2 s, and only who types a reference waits for it

    metrics = BLEU(effective_order=True), CHRF()
    bleu, chrf = (metric.sentence_score(text, [reference]) for metric in metrics)
    cut = [metrics[0].tokenizer(side).split() for side in (text, reference)]
    joined = ["".join(side.split()) for side in (text, reference)]
    return Comparison(
        bleu.score,
        tuple(_matches(*cut, n) for n in range(1, 5)),
        tuple(bleu.precisions),
        bleu.bp,
        bleu.sys_len,
        bleu.ref_len,
        chrf.score,
        tuple(_matches(*joined, n) for n in range(1, 7)),
        tuple(str(metric.get_signature()) for metric in metrics),
    )


def _matches(found: Sequence[str], wanted: Sequence[str], n: int) -> Matches:
    """Of n-grams of words or of characters."""
    counts = [Counter(tuple(side[i : i + n]) for i in range(len(side) - n + 1)) for side in (found, wanted)]
    return Matches(n, counts[0].total(), counts[1].total(), (counts[0] & counts[1]).total())
