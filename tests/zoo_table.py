"""`python -m tests.zoo_table` writes the table of model classes into the README, from the zoo's own measurements."""

import re
from pathlib import Path

import numpy as np
import torch

from model.attention import layer_weights
from model.huggingface import HuggingFaceModel
from model.run import ModelNotAvailable
from tests.zoo import N_SOURCE, N_TOKEN, ZOO, builder, tokens

README = Path(__file__).parent.parent / "README.md"
HEAD = (
    "| class | family | shown from | heads / key heads | largest difference to transformers' own weights |",
    "| --- | --- | --- | --- | --- |",
)
_MARKED = re.compile(r"(<!-- zoo -->\n)(.*)(<!-- /zoo -->)", re.DOTALL)


def table_in(readme: str) -> list[str]:
    """The rows of the README's table, without the outer bars."""
    lines = _MARKED.search(readme)[2].strip().splitlines()
    return [line.strip("| ") for line in lines if line.startswith("|")][2:]


def row(name: str) -> str:
    """One class, measured now: how far Regard's weights are from those that transformers' ``eager`` gives."""
    animal = ZOO[name]
    if animal.cannot:
        return f"{name} | {animal.family} | not shown: {animal.cannot} | – | –"
    try:
        lm = HuggingFaceModel(builder(name), None, name=name, title=name, fingerprint="")
    except ModelNotAvailable as refusal:
        reason = re.search(r"queries and keys: (.*?)\. Asked", str(refusal))[1]
        return f"{name} | {animal.family} | refused: {reason} | – | –"
    pair = lm.info.family == "encoder-decoder"
    run = lm.run(tokens(N_TOKEN), source=tokens(N_SOURCE) if pair else ())
    ids, source = (torch.tensor([[token.id for token in text]]) for text in (run.tokens, run.source))
    inputs = {"input_ids": source, "decoder_input_ids": ids} if pair else {"input_ids": ids}
    with torch.inference_mode():
        said = builder(name)("eager")(**inputs, output_attentions=True)
    fields = ("decoder_attentions", "encoder_attentions", "cross_attentions") if pair else ("attentions",)
    difference = max(
        float(np.abs(layer_weights(ours) - theirs[0].numpy()).max())
        for kind, field in zip(run.kinds, fields, strict=True)
        for ours, theirs in zip(run.layers(kind), getattr(said, field), strict=True)
    )
    shown = f"{difference:.0e}" if difference else "0"
    heads = f"{lm.info.n_head} / {lm.info.n_key_head}"
    return f"{name} | {lm.info.family} | {lm.captured} | {heads} | {shown}"


def main() -> None:
    rows = [f"| {row(name)} |" for name in ZOO]
    readme = README.read_text()
    if not _MARKED.search(readme):
        raise SystemExit("README.md has no <!-- zoo --> … <!-- /zoo --> to write into")
    text = "\n".join([*HEAD, *rows]) + "\n"
    README.write_text(_MARKED.sub(lambda found: found[1] + text + found[3], readme))


if __name__ == "__main__":
    main()
