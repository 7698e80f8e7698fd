"""What all commands share: the text, the model, where data goes, and how errors end."""

import argparse
import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING

from model.run import VisitorError, short

if TYPE_CHECKING:
    from model.language_model import LanguageModel

MOST_BYTES = 16 * 10**6  # of what stdin or a file brings: it is read into memory as a whole
# parameters: the threads of smaller models wait for each other longer than they work; on a busy machine 20 times
MOST_FOR_ONE_THREAD = 50 * 10**6
STDOUT = "-"  # in place of a file's name
STOPPED, CLOSED = 130, 141  # as a shell says it of Ctrl-C, and of a program that wrote into a closed pipe


def parser(name: str, about: str, example: str, *, text: str | None = "TEXT") -> argparse.ArgumentParser:
    """With the model, and unless `text` is None the text."""
    made = argparse.ArgumentParser(
        prog=f"regard {name}",
        description=about,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if text:
        made.add_argument("text", metavar=text, help="the text; - reads it from stdin")
    made.add_argument(
        "--model",
        default="story",
        metavar="M",
        help="a name as in an address (story, copier@360, package:NAME, folder:PATH), a folder, a GGUF file, or the id "
        "of a hub model that you have downloaded (default: story). Nothing is downloaded",
    )
    return made


def add_out(made: argparse.ArgumentParser, *, required: bool = False, what: str = "stdout") -> None:
    more = "; - is stdout" if required else f" (default: {what})"
    made.add_argument("-o", "--out", metavar="FILE", required=required, help=f"where it goes{more}")
    made.add_argument("--force", action="store_true", help="write over FILE if it is there")


def number(kind: type, least: float, most: float = float("inf")) -> Callable[[str], float]:
    """A type of argparse: a number from `least` to `most`."""

    def of(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:  # NaN neither
            upper = "" if most == float("inf") else f" to {most:g}"
            said = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {said} from {least:g}{upper}")
        return value

    return of


def guarded(prog: str, work: Callable[[], None]) -> int:
    """Do the work; the exit status, with a sentence on stderr where it fails by something that can be mended."""
    try:
        if hasattr(sys.stdout, "reconfigure"):  # a terminal that cannot show a sign gets its number
            sys.stdout.reconfigure(errors="backslashreplace")
        work()
        sys.stdout.flush()
    except VisitorError as error:
        say(f"{prog}: {error}")
        return 1
    except BrokenPipeError:
        _drop_stdout()
        return CLOSED
    except OSError as error:  # what is read says so itself: this is stdout
        _drop_stdout()
        say(f"{prog}: Nothing can be written to stdout: {error.strerror or error}. See -o, or make room.")
        return 1
    except KeyboardInterrupt:
        say(f"{prog}: stopped.")
        return STOPPED
    return 0


def _drop_stdout() -> None:
    """So that Python does not try once more, at its end, to write what cannot be written."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@cache
def version() -> str:
    """Of Regard; "" where it runs without having been installed."""
    try:
        return metadata.version("regard")
    except metadata.PackageNotFoundError:
        return ""


def text_of(argument: str) -> str:
    """The argument itself, or what stdin brings, without the line end behind it. Raises `VisitorError`."""
    if argument != "-":
        return _some(argument, "The text")
    return _some(
        _decoded(sys.stdin.buffer.read(MOST_BYTES + 1), "stdin").removesuffix("\n").removesuffix("\r"), "stdin"
    )


def file_text(path: str) -> str:
    """A text file in UTF-8; - is stdin. Raises `VisitorError`."""
    if path == "-":
        return text_of(path)
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise VisitorError(f"{path} cannot be read: {_reason(error)}. Give a text file.") from error
    return _some(_decoded(content, path), path)


def _decoded(content: bytes, where: str) -> str:
    if len(content) > MOST_BYTES:
        raise VisitorError(f"{where} brings more than {MOST_BYTES:,} bytes, which are read at most. Cut it.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise VisitorError(f"{where} brings no text in UTF-8 ({short(error)}). Give a text.") from error


def _some(text: str, what: str) -> str:
    if not text.strip():
        raise VisitorError(f"{what} is empty: there is nothing to read. Give a word at least.")
    return text


def loaded(name: str) -> "LanguageModel":
    """Raises `ModelNotAvailable`."""
    import model
    from model import serving

    lm = model.load(name)
    if lm.info.n_parameter < MOST_FOR_ONE_THREAD:
        serving.load_torch()
    return lm


def check_out(out: str | None, force: bool) -> None:
    """Before any work: whether a file may be written there. Raises `VisitorError`."""
    if out is None or out == STDOUT:
        return
    path = Path(out)
    try:
        if path.is_dir():
            raise VisitorError(f"{out} is a folder. Give the name of a file in it.")
        if not path.parent.is_dir():
            raise VisitorError(f"There is no folder {path.parent} for {path.name}. Make it, or give another name.")
        if path.is_file() and not force:
            raise VisitorError(f"{out} is there already. Give another name, or --force to write over it.")
    except (OSError, ValueError) as error:  # a name too long, or with a zero in it
        raise _unwritten(out, error) from error


@contextlib.contextmanager
def opened(out: str, force: bool) -> Iterator[IO[bytes]]:
    """A file to write to, which takes its name once all is in it: nothing half written, nothing lost.

    A pipe or a device, or stdout for -, is written to as it is. Raises `VisitorError` where it cannot be written.
    """
    if out == STDOUT:
        yield sys.stdout.buffer
        return
    check_out(out, force)
    path = Path(out)
    half = None if path.exists() and not path.is_file() else path.with_name(f".regard-{secrets.token_hex(8)}")
    try:
        with open(half or path, "xb" if half else "wb") as file:
            yield file
        if half:
            check_out(out, force)  # it may have come meanwhile
            os.replace(half, path.resolve())  # a link stays one
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise _unwritten(out, error) from error
    finally:
        if half:
            with contextlib.suppress(OSError, ValueError):
                half.unlink(missing_ok=True)


def deliver(content: str | bytes, out: str | None, force: bool) -> None:
    """Text or bytes to stdout, or into a file. Raises `VisitorError`."""
    if out is not None and out != STDOUT:
        with opened(out, force) as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        say(f"Written: {out} ({os.path.getsize(out):,} bytes)" if os.path.isfile(out) else f"Written: {out}")
    elif isinstance(content, bytes):
        sys.stdout.buffer.write(content)
    else:
        sys.stdout.write(content)


def _unwritten(out: str, error: Exception) -> VisitorError:
    return VisitorError(f"{out} cannot be written: {_reason(error)}. Give another name, or make room there.")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or short(error)
