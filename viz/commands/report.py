"""`regard report`: a text, its tokens and all heads of a model in one HTML file that opens anywhere, offline."""

import argparse
from urllib.parse import urlencode

from model.run import VisitorError
from viz.commands import shell
from viz.commands.picture import add_attention, check_head, read

ADDRESS = "http://localhost:8501"  # where `regard` serves, unless it is told otherwise
LONGEST_TEXT = 4000  # bytes of a text that an address takes, as `viz.ui.links` has it
MOST_WRITTEN = 200  # tokens of a film


def parser() -> argparse.ArgumentParser:
    made = shell.parser(
        "report",
        "Write one HTML file with the text, its tokens and all heads of a model, alive: point at a tile to see that "
        "head, at a token to see its lines. It opens in any browser without a network, light or dark, and can be "
        "printed. At most 1 MB for 12 x 12 heads and 64 tokens.",
        'regard report "The cat sat on the mat" -o cat.html',
    )
    made.add_argument("--layer", type=shell.number(int, 0), metavar="L", help="of the head that is shown at first")
    made.add_argument("--head", type=shell.number(int, 0), metavar="H", help="of that layer (default: a telling one)")
    add_attention(made)
    made.add_argument(
        "--write",
        type=shell.number(int, 1, MOST_WRITTEN),
        metavar="N",
        help="let a decoder write N tokens first, and show the writing as a film",
    )
    made.add_argument("--temperature", type=shell.number(float, 0, 100), metavar="X", default=1.0, help="default: 1")
    made.add_argument("--seed", type=shell.number(int, 0, 2**31 - 1), metavar="N", default=0, help="default: 0")
    made.add_argument("--note", default="", metavar="TEXT", help="a note of yours, shown as text")
    made.add_argument(
        "--address",
        default=ADDRESS,
        metavar="URL",
        help="where Regard runs, for the links that open what is shown (default: %(default)s)",
    )
    shell.add_out(made, what="HTML to stdout")
    return made


def run(args: argparse.Namespace, asked: argparse.ArgumentParser) -> None:
    if (args.layer is None) != (args.head is None):
        asked.error("--layer and --head: give both, or neither")
    if not args.address.startswith(("http://", "https://")):
        asked.error(f"argument --address: {args.address!r} does not begin with http:// or https://")
    text = shell.text_of(args.text)
    shell.check_out(args.out, args.force)
    from model.analysis.telling import telling_head
    from viz.offline.report import reading_of, report

    lm, made, kind = read(args, text)
    if args.layer is not None:
        check_head(made.grid(kind), args.layer, args.head, lm.info)
    head = telling_head(made) if args.layer is None else (args.layer, args.head)
    link = _link("attention", text, made.info.name, head, kind)
    views, more, n_text = [], [], len(made.tokens)
    if args.write:
        made, view = _film(lm, made, text, head, args)
        link, views = view.link, [view]
        more = [f"Of its tokens, the last {len(made.tokens) - n_text} were written by the model."]
    reading = reading_of(made, text, kind=kind, head=head, views=views, link=link, note=args.note, more=more)
    shell.deliver(report([reading], address=args.address), args.out, args.force)


def _film(lm, made, text: str, head: tuple[int, int], args: argparse.Namespace):
    """A run of the text and what was written behind it, and the film of that."""
    from model.analysis.attention_map import MapSpec
    from model.analysis.generation import Draw, generate, write_draws
    from model.analysis.sampling import Sampling
    from viz.figures.heads import head_name
    from viz.offline.film import film_of
    from viz.offline.report import View

    if lm.info.family != "decoder":
        raise VisitorError(f"{lm.info.title} is no decoder, which --write needs. Leave it away, or --model story")
    sampling = Sampling(temperature=args.temperature)
    steps = list(generate(lm, made.tokens, args.write, sampling, args.seed))
    if not steps:
        raise VisitorError(f"The text fills all that {lm.info.title} reads: there is no room to write. Shorten it.")
    made = lm.run((*made.tokens, *(step.token for step in steps)))
    written = write_draws([Draw(step.token.id, sampling, args.seed) for step in steps])
    film = film_of(
        made,
        MapSpec((head,)),
        steps,
        who=head_name(*head),
        label=lambda id: lm.token(id).label,
        at=len(steps) - 1,
    )
    link = _link("generation", text, made.info.name, head, "self", written=written)
    return made, View(f"The writing, {len(steps)} tokens", link, film=film)


def _link(page: str, text: str, model: str, head: tuple[int, int], kind: str, **more: str) -> str:
    """The path and query of an address that shows it; "" where the text is too long for one."""
    if len(text.encode(errors="replace")) > LONGEST_TEXT:
        return ""
    kinds = {} if kind == "self" else {"kind": kind}
    return f"{page}?{urlencode({'model': model, 'text': text, 'layer': head[0], 'head': head[1], **kinds, **more})}"
