"""An architecture in words: its numbers as a table, its drawing told; the colour of each part.

What a configuration says is escaped before it becomes HTML.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from model.architecture import BIASES, UNKNOWN, Architecture

# of the categorical colours; the same for a part wherever it is drawn
PART_COLOUR = {"attention": 0, "MLP": 2, "embeddings": 4, "head": 4, "cross": 6}
_ACTIVATION = {
    "gelu": "GELU",
    "gelu_new": "GELU",
    "gelu_fast": "GELU",
    "gelu_pytorch_tanh": "GELU",
    "relu": "ReLU",
    "silu": "SiLU",
    "swish": "SiLU",
    "tanh": "tanh",
}
_POSITIONS = {
    "learned": "learned position vectors, added to the token vectors",
    "sinusoidal": "sines and cosines of fixed frequencies, added to the token vectors",
    "rotary": "rotary: queries and keys are turned by an angle that grows with the position",
    "relative": "relative: what the distance between two tokens is worth is learned, and enters the scores",
    "ALiBi": "ALiBi: the further away a key, the more is taken from its score",
    "disentangled": "disentangled: scores also compare contents with learned vectors of distances",
    "none": "none",
}
_NORMS = {
    "pre": "before each sublayer",
    "post": "after each addition",
    "sandwich": "before and after each sublayer",
    "output": "after each sublayer, before it is added",
    "parallel": "before attention and MLP, which run side by side",
}

NONE = "none"  # of MLPs
_MLPS = {
    "gated": "a second product decides how much passes",
    "plain": "to another width, a bend, and back",
    NONE: "its blocks are attention alone",
}


def shown(value: object) -> str:
    """A value in words; None is what the configuration does not tell."""
    if value is None or value == UNKNOWN:
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def activation_name(architecture: Architecture) -> str:
    return _ACTIVATION.get(architecture.activation or "", shown(architecture.activation))


@dataclass(frozen=True)
class Fact:
    """One line of the table of numbers."""

    name: str
    value: str
    meaning: str


def facts(architecture: Architecture) -> list[Fact]:
    """An architecture in numbers, each with what it means; an encoder-decoder says what differs of each stack."""
    a, stacks = architecture, architecture.stacks

    def each(value) -> str:
        values = [value(stack) for stack in stacks]
        if len(set(values)) == 1:
            return values[0]
        return " · ".join(f"{stack.role} {value}" for stack, value in zip(stacks, values, strict=True))

    def yes_no(value: bool | None) -> str:
        return UNKNOWN if value is None else "yes" if value else "no"

    reads = {
        "decoder": "each token sees itself and what came before",
        "encoder": "every token sees every token",
        "encoder-decoder": "one stack reads, the other writes and looks at what was read",
    }
    lines = [
        Fact("Family", a.family, reads.get(a.family, "the configuration does not say which tokens see which")),
        Fact("Layers", each(lambda s: shown(s.n_layer)), "blocks, one above the other"),
    ]
    if stacks[0].others:
        lines.append(Fact("With softmax attention", shown(stacks[0].n_attending), "layers that have heads"))
        lines += [
            Fact(what[0].upper() + what[1:], shown(n), "layers with this instead; they have no attention weights")
            for what, n in stacks[0].works_by.items()
        ]
    lines += [
        Fact(
            "Heads",
            each(lambda s: shown(s.n_head)),
            f"in each layer{' with attention' * bool(stacks[0].others)}; each looks in its own way",
        ),
    ]
    if any(s.n_key_head != s.n_head for s in stacks):
        lines.append(
            Fact("Key heads", each(lambda s: shown(s.n_key_head)), "several heads share their keys and values")
        )
    if a.n_distinct_layer and a.n_distinct_layer < sum(s.n_layer or 0 for s in stacks):
        lines.append(Fact("Different layers", shown(a.n_distinct_layer), "layers share their parameters"))
    lines += [
        Fact("Width", shown(a.d_model), "numbers in a token's vector, the residual stream"),
        Fact("Width of a head", each(lambda s: shown(s.d_head)), "numbers in a query, a key, a value"),
    ]
    if a.mlp != NONE:
        inside = "numbers inside" + " each expert" * bool(a.n_expert)
        lines.append(Fact("Width of the MLP", each(lambda s: shown(s.d_mlp)), inside))
    if a.n_expert:
        lines.append(Fact("Experts", f"{a.n_expert_used} of {a.n_expert}", "MLPs that a router picks for each token"))
    if stacks[0].reads != "patches":
        lines.append(Fact("Vocabulary", shown(a.n_vocab), "different tokens"))
    if a.d_embedding != a.d_model:
        lines.append(
            Fact("Width of token vectors", shown(a.d_embedding), "projected to the width before the first block")
        )
    unlimited = a.known and all(s.n_context is None for s in stacks)
    lines += [
        Fact(
            "Longest text",
            "no fixed limit" if unlimited else each(lambda s: shown(s.n_context)),
            "tokens" if stacks[0].reads == "tokens" else "positions",
        ),
        Fact(
            "Positions",
            each(lambda s: " and ".join(s.positions) or UNKNOWN),
            each(lambda s: "; ".join(_POSITIONS[p] for p in s.positions) or "how it knows where a token stands"),
        ),
        Fact("Attention", each(lambda s: s.attention), "how far a query looks, among the tokens it may see"),
    ]
    if a.qk_norm or not a.known:
        lines.append(Fact("Queries and keys normalised", yes_no(a.qk_norm), "before they are compared"))
    if a.soft_cap:
        lines.append(Fact("Scores capped", f"±{a.soft_cap:g}", "softly, by a tanh, before the softmax"))
    if a.has_sink:
        lines.append(Fact("Sink", "learned", "a score of each head, for an entry of its softmax that is no token"))
    lines += [
        Fact("Norms", a.norm_kind, _NORMS.get(a.norm, "the configuration does not say where")),
        Fact(
            "MLP",
            NONE if a.mlp == NONE else f"{a.mlp}, {activation_name(a)}" if a.mlp != UNKNOWN else activation_name(a),
            _MLPS.get(a.mlp, "the configuration does not say its form"),
        ),
        Fact("Biases", _biases(a), "constants that are learned and added"),
    ]
    if stacks[0].reads != "patches" and a.head in ("tokens", UNKNOWN):
        lines.append(Fact("Tied", yes_no(a.tied), "whether the head uses the token vectors again"))
    return lines


def _biases(a: Architecture) -> str:
    if a.biases is None:
        return UNKNOWN
    return {0: "none", len(BIASES) - (a.mlp == NONE): "everywhere"}.get(len(a.biases), ", ".join(a.biases))


def drawing_words(architecture: Architecture) -> str:
    """What the drawing shows, for those who cannot see it."""
    a = architecture
    lines = {fact.name: fact.value for fact in facts(a)}
    text = f"Drawing of one block of {a.name}: {a.family}, {lines['Layers']} layers of {lines['Heads']} heads"
    text += f", which share {lines['Key heads']} key heads" if "Key heads" in lines else ""
    text += f". Positions: {lines['Positions']}. Attention: {lines['Attention']}. "
    text += f"Norms: {a.norm_kind}, {_NORMS.get(a.norm, 'places unknown')}. MLP: {lines['MLP']}"
    text += f", {lines['Experts']} experts for each token" if a.n_expert else ""
    text += f". Final norm: {'unknown' if a.final_norm is None else 'yes' if a.final_norm else 'no'}."
    return text


_CELL = "padding:.42rem .6rem;border-bottom:1px solid color-mix(in srgb, currentColor 14%, transparent)"


def facts_table(lines: Sequence[Fact], title: str) -> str:
    """Numbers as an HTML table: a name with what it means below it, and its value."""
    strong = f"{_CELL};font-weight:600"
    rows = "".join(
        f'<tr><th scope="row" style="{strong};text-align:left;line-height:1.3">{html.escape(fact.name)}'
        f'<div style="font-weight:400;font-size:.84rem;opacity:.75">{html.escape(fact.meaning)}</div></th>'
        f'<td style="{strong};text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:break-word">'
        f"{html.escape(fact.value)}</td></tr>"
        for fact in lines
    )
    above = "text-align:left;font-size:.9rem;opacity:.8;padding:0 .6rem .3rem"
    caption = f'<caption style="{above}">{html.escape(title) or "&nbsp;"}</caption>'
    return f'<table style="border-collapse:collapse;width:100%">{caption}<tbody>{rows}</tbody></table>'
