"""`regard picture`: attention as a picture in a file."""

import argparse
import html
import importlib.util
from pathlib import Path

from model.run import VisitorError
from viz.commands import shell

KINDS = ("self", "encoder", "cross")
SUFFIXES = (".svg", ".html", ".png")
PNG_BY = "resvg_py"  # draws SVG, without a browser


def parser() -> argparse.ArgumentParser:
    made = shell.parser(
        "picture",
        "Draw what heads look at in a text: one head as a map of tokens by tokens, or several as tiles; light, with a "
        "caption that says of what. Without --layer and --head all heads; with one of the two, all heads of a layer, "
        "or that head of all layers. The end of FILE says what is made: .svg, .html (works offline) or .png.",
        'regard picture "The cat sat on the mat" --layer 3 --head 2 -o cat.svg',
    )
    made.add_argument("--layer", type=shell.number(int, 0), metavar="L", help="from 0")
    made.add_argument("--head", type=shell.number(int, 0), metavar="H", help="from 0")
    made.add_argument("--all", action="store_true", help="all heads of all layers")
    add_attention(made)
    shell.add_out(made, what="SVG to stdout")
    return made


def run(args: argparse.Namespace, asked: argparse.ArgumentParser) -> None:
    if args.all and (args.layer is not None or args.head is not None):
        asked.error("argument --all: not with --layer or --head")
    suffix = ".svg" if args.out in (None, shell.STDOUT) else Path(args.out).suffix.lower()
    if suffix not in SUFFIXES:
        asked.error(f"argument -o/--out: {args.out!r} does not end with {', '.join(SUFFIXES)}")
    if suffix == ".png" and importlib.util.find_spec(PNG_BY) is None:
        raise VisitorError("PNG needs resvg-py, not installed here: pip install 'regard[png]'. Or write .svg or .html.")
    text = shell.text_of(args.text)
    shell.check_out(args.out, args.force)
    from model.analysis.attention_map import heads_at

    lm, made, kind = read(args, text)
    there = made.grid(kind)
    check_head(there, args.layer, args.head, lm.info)
    heads = heads_at(there, args.layer, args.head)
    caption = caption_of(made, text, heads, kind)
    shell.deliver(PICTURES[suffix](made, kind, heads, caption), args.out, args.force)


def add_attention(made: argparse.ArgumentParser) -> None:
    made.add_argument("--attention", choices=KINDS, help="which one of an encoder-decoder (default: cross)")


def read(args: argparse.Namespace, text: str):
    """The model, its run of the text, and which attention of it is shown. Raises `VisitorError`."""
    from model.text.prompt import Prompt, tokens_of

    lm = shell.loaded(args.model)
    tokens, source = tokens_of(lm, Prompt(text))
    made = lm.run(tokens, source=source)
    kind = args.attention or made.kinds[-1]
    if kind not in made.kinds:
        raise VisitorError(f"{lm.info.title} has no attention of the kind {kind}: leave --attention away.")
    return lm, made, kind


def check_head(there, layer: int | None, head: int | None, info) -> None:
    """Raises `VisitorError` for a head that is not there."""
    for name, number, n in (("layer", layer, there.n_layer), ("head", head, there.n_head)):
        if number is not None and number >= n:
            raise VisitorError(f"{info.title} has no {name} {number}: {name}s go from 0 to {n - 1}.")
    if layer is not None and (what := there.instead(layer)):
        raise VisitorError(
            f"Layer {layer} of {info.title} works by {what} and has no heads. Layers with heads: "
            f"{', '.join(map(str, there.layers))}."
        )


def caption_of(made, text: str, heads, kind: str) -> list[str]:
    """Text, model, fingerprint, heads, version."""
    from model.text.prompt import written_text
    from viz.figures.heads import head_name
    from viz.figures.svg import printable

    n_layer, n_head = (len({place[i] for place in heads}) for i in (0, 1))
    which = head_name(*heads[0]) if len(heads) == 1 else f"{n_layer} layers × {n_head} heads"
    if len(heads) > 1 and n_layer == 1:
        which = f"all heads of layer {heads[0][0]}"
    elif len(heads) > 1 and n_head == 1:
        which = f"head {heads[0][1]} of all layers"
    kinds = {"encoder": "the encoder’s attention, ", "cross": "cross-attention, "}
    words = kinds.get(kind, "the decoder’s own attention, " if made.source else "")
    lines = [f"“{printable(text)}”"]
    if made.source:
        lines.append(f"→ “{printable(written_text(made.tokens))}”")
    model = printable(made.info.title)
    return [
        *lines,
        f"{model}: {words}{which} · model {printable(made.info.name)}, weights {made.info.fingerprint[:12]}",
        f"Rows look, columns are looked at; softmax weights of this run. Regard {shell.version()}".rstrip(),
    ]


def svg(made, kind: str, heads, caption: list[str]) -> str:
    from model.analysis.attention import attention_weights, pooled_overview
    from viz.figures.svg import heads_svg, heatmap_svg

    queries, _ = made.sides(kind)
    title = "Attention. " + " ".join(caption)
    if len(heads) == 1:
        layer, head = heads[0]
        weights = attention_weights(made.layers(kind)[layer], head)
        return heatmap_svg(weights, [token.label for token in queries], made.key_labels(kind), caption, title)
    maximum = pooled_overview(made.layers(kind)).maximum
    pooled = maximum.shape[2] < len(queries) or maximum.shape[3] < len(made.key_labels(kind))
    note = "Each cell is the largest weight of several tokens." if pooled else ""
    return heads_svg({place: maximum[place] for place in heads}, caption, title, note)


def page(made, kind: str, heads, caption: list[str]) -> str:
    """One head as a live plotly figure, with plotly within it; several as their SVG."""
    if len(heads) > 1:
        return (
            f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{html.escape(caption[0])}</title>'
            f'<body style="margin:0">{svg(made, kind, heads, caption)}</body></html>\n'
        )
    fig = figure(made, kind, *heads[0])
    made_html = fig.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False})
    said = "".join(f"<p style='margin:.2em 1em;font:14px system-ui'>{html.escape(line)}</p>" for line in caption)
    made_html = made_html.replace("<head>", f"<head><title>{html.escape(caption[0])}</title>", 1)
    before, end, after = made_html.rpartition("</body>")
    return f"{before}{said}{end}{after}\n"


def figure(made, kind: str, layer: int, head: int):
    """One head as a plotly figure, in light colours."""
    from model.analysis.attention import attention_weights
    from viz.figures import theme
    from viz.figures.attention import attention_heatmap

    queries, keys = made.sides(kind)
    weights = attention_weights(made.layers(kind)[layer], head)
    n = max(weights.shape)
    height = min(1100, max(480, 22 * n + 120))
    fig = attention_heatmap(
        weights,
        [token.label for token in queries],
        [token.label for token in keys],
        height=height,
        width=height + 60,
        sink=made.has_sink(kind),
    )
    colours = theme.SEQUENTIAL["light"]
    fig.data = fig.data[:1]  # the other one hears clicks, which nobody answers here
    fig.update_traces(colorscale=[[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)])
    fig.update_layout(width=height + 60, template="plotly_white")
    return fig


def png(made, kind: str, heads, caption: list[str]) -> bytes:
    """Twice as large as the SVG, which it is drawn from."""
    drawn = importlib.import_module(PNG_BY).svg_to_bytes(svg_string=svg(made, kind, heads, caption), zoom=2)
    return bytes(drawn)


PICTURES = {".svg": svg, ".html": page, ".png": png}
