"""The console command `regard`: the app of app.py, served here; and what it does without (`viz.commands`)."""

import argparse
import contextlib
import importlib.util
import os
import socket
import sys
from pathlib import Path

from viz import commands
from viz.commands import COMMANDS

ALL = {**COMMANDS, "finetune": "a model of Hugging Face's trained on a text of yours"}


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["finetune"]:
        from viz import finetune

        sys.exit(finetune.main(argv[1:]))
    if argv and argv[0] in COMMANDS:
        sys.exit(commands.main(argv[0], argv[1:]))
    parser = argparse.ArgumentParser(
        prog="regard",
        description="See where every head of a transformer looks, and check every number you see.\n"
        "Starts the app on this machine and opens it in your browser.",
        epilog="Other commands, which serve nothing (regard NAME --help says how they are used, with an example):\n"
        + "".join(f"  {name:9} {about}\n" for name, about in ALL.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if argv and not argv[0].startswith("-"):
        parser.error(f"there is no command {argv[0]!r}: {', '.join(ALL)}; without one, the app is served")
    parser.add_argument("--port", type=int, default=8501, help="where the app listens (default: %(default)s)")
    parser.add_argument("--host", default="localhost", help="who may connect: localhost (default), or 0.0.0.0 for all")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--models",
        action="append",
        metavar="DIR",
        help="visitors may load models from the folders in DIR; may be given several times. Without it: from your home "
        "folder while only this machine can connect, else from none",
    )
    parser.add_argument(
        "--hub",
        action=argparse.BooleanOptionalAction,
        help="visitors may download models from the Hugging Face hub (default: while only this machine can connect)",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        help="a proxy on this machine lets others in by this name; may be given several times. Folders and the hub are "
        "then closed unless --models and --hub say otherwise",
    )
    parser.add_argument(
        "--embed-from",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="pages of this origin, as https://course.example.org, may show Regard in a frame; may be given several "
        "times. Without it: none",
    )
    parser.add_argument(
        "--memory",
        metavar="GB",
        help="what loaded models and runs may take, kept for all visitors (default: half of the machine's memory)",
    )
    args = parser.parse_args(argv)

    from viz import server
    from viz.ui import cache

    # read by model.sources, viz.server and viz.ui.cache, for both this command and `streamlit run app.py`
    if args.models:
        if missing := [folder for folder in args.models if not Path(folder).is_dir()]:
            parser.error(f"argument --models: there is no folder {', '.join(missing)}")
        os.environ["REGARD_MODEL_ROOTS"] = os.pathsep.join(str(Path(folder).resolve()) for folder in args.models)
    if args.hub is not None:
        os.environ["REGARD_HUB"] = str(int(args.hub))
    if args.name:
        os.environ[server.NAMES] = " ".join(args.name)
    try:
        if args.embed_from:
            os.environ[server.EMBED_FROM] = " ".join(server.embedding_origins(" ".join(args.embed_from)))
    except ValueError as error:
        parser.error(f"argument --embed-from: {error}")
    try:
        if args.memory is not None:
            cache.in_bytes(args.memory)
            os.environ[cache.MEMORY] = args.memory
    except ValueError as error:
        parser.error(f"argument --memory: {error}")
    try:
        family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
        socket.create_server((args.host, args.port), family=family).close()
    except (OSError, OverflowError) as error:  # in use, not allowed, no such host, no such port
        reason = str(error).partition(" (while")[0].removesuffix(".")
        message = f"regard: nothing can listen on {args.host}, port {args.port}: {reason}. See --host and --port."
        parser.exit(1, f"{message}\n")

    sys.argv = [importlib.util.find_spec("app").origin]  # Streamlit looks for .streamlit/config.toml beside it
    from app import app

    options = {"server.port": args.port, "server.address": args.host}
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C
        app.run(config=options | ({"server.headless": True} if args.no_browser else {}))


if __name__ == "__main__":
    main()
