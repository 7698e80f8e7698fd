"""`python -m tests.zoo_table` measures every class of the zoo, and writes the table in the README that says so.

With ``--print`` it is shown instead, as for other versions than the pinned ones.
"""

import argparse
import re
from collections import Counter
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from model.analysis.attention import layer_weights
from model.analysis.head import head_steps
from model.huggingface.language_model import HuggingFaceModel
from model.run import ModelNotAvailable, ModelRun
from tests import readme
from tests.zoo import N_SOURCE, N_TOKEN, ZOO, as_theirs, attentions_of, builder, tokens
from viz.figures.heads import others_in_words

SAME = 1e-5  # the largest difference of two computations of the same weights in single precision
_COLUMNS = ("class", "family", "shown from", "heads / key heads", "*Inside a head*")
HEAD = (
    f"| {' | '.join(_COLUMNS)} | largest difference to transformers' own numbers |",
    "|" + " --- |" * (len(_COLUMNS) + 1),
)
PART = "zoo"


@dataclass(frozen=True)
class Measured:
    """What became of one class: "not text", "refused", "exact", "wrong" or "crashed", and its row of the table."""

    outcome: str
    row: str


def versions() -> str:
    """With which the zoo is measured now. Builds of one release (``2.13.0+cpu``) compute alike."""
    releases = {name: version(name).split("+")[0] for name in ("transformers", "torch")}
    return "Measured with " + " and ".join(f"{name} {release}" for name, release in releases.items())


def said_in(table: str) -> tuple[str, list[str]]:
    """The README's table: the versions it was measured with, and its rows without the outer bars."""
    lines = table.strip().splitlines()
    return lines[0].split(":")[0], [line.strip("| ") for line in lines if line.startswith("|")][2:]


def measured(name: str) -> Measured:
    """One class, now: how far Regard's numbers are from those that transformers' ``eager`` gives."""
    animal = ZOO[name]
    if animal.cannot:
        return Measured("not text", f"{name} | {animal.family} | not shown: {animal.cannot} | – | – | –")
    try:
        lm = HuggingFaceModel(builder(name), None, name=name, title=name, fingerprint="")
        difference = _difference(name, lm)
    except ModelNotAvailable as refusal:
        asked = re.search(r"queries and keys: (.*?)\. Asked for its weights \(eager attention\): (.*)\.", str(refusal))
        # that it has a way of its own is no reason yet
        reason = asked[1 + ("never calls" in asked[1])] if asked else str(refusal)
        reason = reason.partition(", and the rows")[0]  # of numbers whose last digits differ between processors
        if none := re.search(r"no softmax attention: [^,]*", reason):
            reason = none[0]
        return Measured("refused", f"{name} | {animal.family} | refused: {reason} | – | – | –")
    except Exception as error:
        return Measured("crashed", f"{name} | {animal.family} | crashed: {type(error).__name__} | – | – | –")
    shown = f"{difference:.0e}" if difference else "0"
    heads = f"{lm.info.n_head} / {lm.info.n_key_head}"
    outcome = "exact" if difference < SAME else "wrong"
    return Measured(outcome, f"{name} | {lm.info.family} | {lm.captured}{_but(lm)} | {heads} | {inside(lm)} | {shown}")


def _but(lm: HuggingFaceModel) -> str:
    """Of a hybrid: in which layers, and what the others are."""
    return f". {others_in_words(lm.info.grid)}" if lm.info.others else ""


def inside(lm: HuggingFaceModel) -> str:
    """Whether every head of every layer is followed step by step; else the first step that is not."""
    pair = lm.info.family == "encoder-decoder"
    run = lm.run(tokens(N_TOKEN), source=tokens(N_SOURCE) if pair else ())
    for layer in lm.info.grid.layers:
        if reason := lm.unfollowed(layer):
            return f"not: {re.search('“(.*?)”', reason)[1]}"
        parameters, output = lm.layer_parameters(layer), lm.attention_output(run, layer)
        for head in range(lm.info.n_head):
            steps = head_steps(run, parameters, layer, head, N_TOKEN - 1)
            wrong = [each.step for each in (*steps.differences, *steps.against(output)) if not each.relative < SAME]
            if wrong:
                return f"wrong: {wrong[0]}"
    return "followed"


def _difference(name: str, lm: HuggingFaceModel) -> float:
    """The largest: of the weights of all heads, layers and kinds; of the hidden vectors and the best probabilities, as
    parts of the largest number there; with token types too, where the class knows some.
    """
    pair = lm.info.family == "encoder-decoder"
    run = lm.run(tokens(N_TOKEN), source=tokens(N_SOURCE) if pair else ())
    ids, source = (torch.tensor([[token.id for token in text]]) for text in (run.tokens, run.source))
    inputs = {"input_ids": source, "decoder_input_ids": ids} if pair else {"input_ids": ids}
    transformer = builder(name)("eager")
    off = _off(run, transformer, inputs)
    if lm.opened.n_type not in (0, 1):
        types = [int(position > N_TOKEN // 2) for position in range(N_TOKEN)]
        told = lm.run([replace(token, type=type) for token, type in zip(run.tokens, types, strict=True)])
        off = max(off, _off(told, transformer, inputs | {"token_type_ids": torch.tensor([types])}))
    return off


def _off(run: ModelRun, transformer: Any, inputs: dict[str, torch.Tensor]) -> float:
    with torch.inference_mode():
        said = transformer(**inputs, output_attentions=True, output_hidden_states=True)
    off = [
        float(np.abs(as_theirs(layer_weights(ours), theirs.numpy()) - theirs.numpy()).max())
        for kind, layers in attentions_of(said, transformer.config).items()
        for ours, theirs in zip(run.attending(kind), layers, strict=True)
    ]
    if run.hidden is not None:
        states = said.decoder_hidden_states if run.source else said.hidden_states
        for ours, theirs in zip(run.hidden[:-1], states[:-1], strict=True):  # the last may be behind a norm
            off.append(float(np.abs(ours - theirs[0].numpy()).max() / theirs.abs().max()))
    if run.predictions is not None:
        best = said.logits[0].softmax(-1).max(-1).values.numpy()
        off.append(float(np.abs(np.exp(run.predictions.top_log_prob[:, 0]) - best).max()))
    return max(off)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo_table", description=__doc__)
    parser.add_argument("--print", action="store_true", help="show the table, and leave the README as it is")
    only_print = parser.parse_args().print
    zoo = [measured(name) for name in ZOO]
    counts = Counter(each.outcome for each in zoo)
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("exact", "refused", "wrong", "crashed", "not text"))
    text = "\n".join([f"{versions()}: {said}.", "", *HEAD, *(f"| {each.row} |" for each in zoo)]) + "\n"
    if only_print:
        print(text, end="")
    else:
        readme.write(PART, text)


if __name__ == "__main__":
    main()
