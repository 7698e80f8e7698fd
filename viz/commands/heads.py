"""`regard heads`: what the page Heads computes, as a table."""

import argparse
import csv
import io
import sys

from model.run import VisitorError
from viz.commands import shell

KINDS = ("self", "encoder", "cross")


def parser() -> argparse.ArgumentParser:
    from model.analysis.head_patterns import SCORES

    made = shell.parser(
        "heads",
        "Score every head over many texts: the mean of each score, the standard deviation between texts and what "
        "looking alike at all keys would get; and what each head is called by that. Without texts of yours over the 64 "
        "passages that come with Regard, and random tokens that come twice.",
        "regard heads --score induction --csv > heads.csv",
        text=None,
    )
    made.add_argument("text", nargs="*", metavar="TEXT", help="a text, several times if you like; - reads stdin")
    made.add_argument("--texts", metavar="FILE", help="a text file in UTF-8, each line a text; - is stdin")
    made.add_argument(
        "--score",
        action="append",
        choices=[score.name for score in SCORES],
        metavar="NAME",
        help=f"which scores, several times if you like (default: all): {', '.join(score.name for score in SCORES)}",
    )
    made.add_argument(
        "--attention", choices=KINDS, default="self", help="which one of an encoder-decoder (default: self)"
    )
    made.add_argument(
        "--csv", action="store_true", help="with all digits, deviation and chance, to be read by programs"
    )
    shell.add_out(made)
    return made


def run(args: argparse.Namespace, asked: argparse.ArgumentParser) -> None:
    texts = texts_of(args)
    shell.check_out(args.out, args.force)
    from model.analysis.head_patterns import SCORES

    lm = shell.loaded(args.model)
    if args.attention != "self" and lm.info.family != "encoder-decoder":
        raise VisitorError(f"{lm.info.title} has no attention of the kind {args.attention}: leave --attention away.")
    made = survey_of(lm, texts, args.attention)
    names = args.score or [score.name for score in SCORES]
    rows = table(made, names) if args.csv else short_table(made, names, bool(args.score))
    if args.csv:
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows(rows)
        content = written.getvalue()
    else:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        content = "".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
            for row in rows
        )
    shell.deliver(content, args.out, args.force)


def texts_of(args: argparse.Namespace) -> tuple[str, ...]:
    """Raises `VisitorError`."""
    from model.text.passages import MOST_LINES, lines_in, passages

    found = [shell.text_of(text) for text in args.text]
    if args.texts is not None:
        lines = lines_in(shell.file_text(args.texts))
        if lines.n_line > len(lines.texts):
            shell.say(f"{args.texts} has {lines.n_line:,} lines: the first {MOST_LINES} are read.")
        found += lines.texts
    return tuple(found) or passages()


def survey_of(lm, texts: tuple[str, ...], kind: str):
    """Read each text, as the page Heads does, and put them together. Raises `VisitorError` if none can be read."""
    from model.analysis.head_survey import survey
    from model.analysis.head_texts import read_random, read_text
    from model.text.passages import repeated_at_random
    from model.text.prompt import Prompt, as_read, speaking, tokens_of

    lm = speaking(lm, as_read(lm, Prompt("a")).languages)

    def write(text: str):
        tokens, source = tokens_of(lm, Prompt(text))
        return lm.run(tokens, source=source)

    random_texts = [] if kind == "cross" else repeated_at_random(lm)
    n, reads = len(random_texts) + len(texts), []
    for i in range(n):
        say_progress(f"{lm.info.title} reads text {i + 1} of {n}", last=i == n - 1)
        if i < len(random_texts):
            reads.append(read_random(lm, random_texts[i], kind))
        else:
            reads.append(read_text(lm, texts[i - len(random_texts)], kind, write))
    random, own = reads[: len(random_texts)], reads[len(random_texts) :]
    unread = [each.why for each in own if each.why]
    if len(unread) == len(own):
        raise VisitorError(f"None of the texts can be read: {unread[0]}")
    if unread:
        shell.say(f"{len(unread)} of {len(own)} texts cannot be read: {unread[0]}")
    if cut := sum(each.cut for each in own):
        shell.say(f"Of {cut} texts only the beginning was read.")
    return survey(*([each.scores for each in some if each.scores] for some in (own, random)))


def say_progress(line: str, last: bool) -> None:
    """On one line, and only where somebody looks."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{'' if last else line}", end="", file=sys.stderr, flush=True)


def table(made, names: list[str]) -> list[list[str]]:
    """Of every head in layers that have some: all digits; nothing where a score cannot be had."""
    header = ["layer", "head", "label"]
    for name in names:
        header += [name, f"{name} deviation", f"{name} chance"]
    rows = [header]
    for layer, head in heads_of(made):
        row = [str(layer), str(head), str(made.labels[layer, head])]
        for found in (made.found[name] for name in names):
            row += map(digits, (found.mean[layer, head], found.spread[layer, head], found.chance[layer]))
        rows.append(row)
    return rows


def short_table(made, names: list[str], by_first: bool) -> list[list[str]]:
    """For eyes: two digits; `by_first`: the strongest of the first score on top."""
    heads = heads_of(made)
    if by_first:
        mean = made.found[names[0]].mean
        heads.sort(key=lambda place: -mean[place] if mean[place] == mean[place] else float("inf"))
    rows = [["layer", "head", "label", *names]]
    for layer, head in heads:
        values = [made.found[name].mean[layer, head] for name in names]
        rows.append(
            [
                str(layer),
                str(head),
                str(made.labels[layer, head]),
                *("–" if value != value else f"{value:.2f}" for value in values),
            ]
        )
    return rows


def heads_of(made) -> list[tuple[int, int]]:
    n_layer, n_head = made.labels.shape
    return [(layer, head) for layer in range(n_layer) for head in range(n_head) if made.labels[layer, head]]


def digits(value: float) -> str:
    return "" if value != value else repr(float(value))
