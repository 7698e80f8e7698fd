"""`regard tokens`: how a text is cut."""

import argparse
import json

from viz.commands import shell


def parser() -> argparse.ArgumentParser:
    made = shell.parser(
        "tokens",
        "Cut a text into a model's tokens: one a line, with tabs between its position, id, itself (␣ is a space, ↵ a "
        "line end), its bytes in hexadecimal, and the characters of the text that it covers, from 0, the last not in.",
        'regard tokens "The cat sat on the mat" --model story',
    )
    made.add_argument("--json", action="store_true", help="as a list of objects instead")
    shell.add_out(made)
    return made


def run(args: argparse.Namespace, asked: argparse.ArgumentParser) -> None:
    text = shell.text_of(args.text)
    shell.check_out(args.out, args.force)
    from model.text.prompt import encode

    tokens = encode(shell.loaded(args.model), text)
    if args.json:
        rows = [
            {
                "position": i,
                "id": token.id,
                "token": token.label,
                "bytes": token.piece.hex(" "),
                "start": token.start,
                "end": token.end,
                "special": token.special,
            }
            for i, token in enumerate(tokens)
        ]
        content = json.dumps(rows, ensure_ascii=False, indent=1)
    else:
        lines = [("position", "id", "token", "bytes", "characters")]
        lines += [
            (str(i), str(token.id), token.label, token.piece.hex(" "), f"{token.start}:{token.end}")
            for i, token in enumerate(tokens)
        ]
        content = "\n".join("\t".join(line) for line in lines)
    shell.deliver(content + "\n", args.out, args.force)
