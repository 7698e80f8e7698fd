"""`regard generate`: a text written on; by an encoder-decoder, its translation."""

import argparse
import codecs
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from itertools import chain

from model.run import Token, VisitorError
from viz.commands import shell

DEFAULTS = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 0}


def parser() -> argparse.ArgumentParser:
    made = shell.parser(
        "generate",
        "Write a text on, token by token, on stdout as it is written. The same text, options and seed give the same "
        "tokens, here and on the page Generation. An encoder-decoder writes what it makes of the text, the most "
        "probable token each time.",
        'regard generate "Once upon a time" -n 60 --temperature 0.8 --top-p 0.9 --seed 1',
    )
    made.add_argument("-n", type=shell.number(int, 1), default=50, metavar="N", help="tokens at most (default: 50)")
    made.add_argument(
        "--temperature", type=shell.number(float, 0, 100), metavar="X", help="0: always the most probable (default: 1)"
    )
    made.add_argument("--top-k", type=shell.number(int, 0), metavar="K", help="draw from the K best; 0: all (default)")
    made.add_argument(
        "--top-p",
        type=shell.number(float, 1e-9, 1),
        metavar="P",
        help="draw from the fewest that hold P together (default: 1, all)",
    )
    made.add_argument("--seed", type=shell.number(int, 0, 2**31 - 1), metavar="N", help="of the draws (default: 0)")
    shell.add_out(made)
    return made


def run(args: argparse.Namespace, asked: argparse.ArgumentParser) -> None:
    text = shell.text_of(args.text)
    shell.check_out(args.out, args.force)
    lm = shell.loaded(args.model)
    options = {name: getattr(args, name) for name in DEFAULTS}
    if lm.info.family == "encoder":
        raise VisitorError(f"{lm.info.title} is an encoder, which writes nothing on. Choose a decoder: --model story")
    if lm.info.family == "encoder-decoder":
        given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
        if given:
            raise VisitorError(f"{lm.info.title} writes the most probable token each time. Leave {given[0]} away.")
        tokens = iter(_target(lm, text, args.n))
    else:
        tokens = _tokens(lm, text, args.n, DEFAULTS | {k: v for k, v in options.items() if v is not None})
    with closing(_pieces(tokens)) as pieces:
        first = next(pieces, "")  # what is wrong with the text is said before a file is begun
        with nullcontext() if args.out in (None, shell.STDOUT) else shell.opened(args.out, args.force) as file:
            for piece in chain([first], pieces):
                if file:
                    file.write(piece.encode())
                else:
                    sys.stdout.write(piece)
                    sys.stdout.flush()
            if not file:
                sys.stdout.write("\n")


def _pieces(tokens: Iterator[Token]) -> Iterator[str]:
    """The text of tokens, as soon as its characters are whole."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in tokens:
        if not token.special and (piece := decoder.decode(token.piece)):
            yield piece
    if rest := decoder.decode(b"", final=True):
        yield rest


def _tokens(lm, text: str, n: int, options: dict) -> Iterator[Token]:
    from model.analysis.generation import generate
    from model.analysis.sampling import Sampling
    from model.text.prompt import encode

    seed = options.pop("seed")
    tokens = encode(lm, text)
    if len(tokens) >= lm.info.n_context:
        raise VisitorError(
            f"The text has {len(tokens):,} tokens and fills the {lm.info.n_context:,} that {lm.info.title} reads: "
            "there is no room to write. Shorten it."
        )
    written = 0
    for step in generate(lm, tokens, n, Sampling(**options), seed):
        written += 1
        yield step.token
        if step.token.special:
            return
    if written < n:
        shell.say(f"{lm.info.title} reads {lm.info.n_context:,} tokens, which are full: {written:,} were written.")


def _target(lm, text: str, n: int) -> tuple[Token, ...]:
    from model.text.prompt import Prompt, as_read, encode, speaking
    from model.text.writing import write_target

    lm = speaking(lm, as_read(lm, Prompt(text)).languages)
    return write_target(lm, encode(lm, text), lm.start_token(), min(n, lm.info.n_context - 1))
