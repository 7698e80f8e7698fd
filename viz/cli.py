"""The console command `regard`: the same as `streamlit run app.py`."""

import argparse
import importlib.util
import os
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="regard",
        description="See where every head of a transformer looks, and check every number you see. "
        "Starts the app on this machine and opens it in your browser.",
    )
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
    args = parser.parse_args(argv)
    # read by model.sources, for both this command and `streamlit run app.py`
    if args.models:
        if missing := [folder for folder in args.models if not Path(folder).is_dir()]:
            parser.error(f"argument --models: there is no folder {', '.join(missing)}")
        os.environ["REGARD_MODEL_ROOTS"] = os.pathsep.join(str(Path(folder).resolve()) for folder in args.models)
    if args.hub is not None:
        os.environ["REGARD_HUB"] = str(int(args.hub))

    from streamlit.web import cli as streamlit

    app = importlib.util.find_spec("app").origin
    sys.argv = ["streamlit", "run", app, f"--server.port={args.port}", f"--server.address={args.host}"]
    if args.no_browser:
        sys.argv.append("--server.headless=true")
    sys.exit(streamlit.main())


if __name__ == "__main__":
    main()
