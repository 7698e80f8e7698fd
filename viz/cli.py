"""The console command `regard`: the same as `streamlit run app.py`."""

import argparse
import importlib.util
import sys


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="regard",
        description="See where every head of a transformer looks, and check every number you see. "
        "Starts the app on this machine and opens it in your browser.",
    )
    parser.add_argument("--port", type=int, default=8501, help="where the app listens (default: %(default)s)")
    parser.add_argument("--host", default="localhost", help="who may connect: localhost (default), or 0.0.0.0 for all")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    args = parser.parse_args(argv)

    from streamlit.web import cli as streamlit

    app = importlib.util.find_spec("app").origin
    sys.argv = ["streamlit", "run", app, f"--server.port={args.port}", f"--server.address={args.host}"]
    if args.no_browser:
        sys.argv.append("--server.headless=true")
    sys.exit(streamlit.main())


if __name__ == "__main__":
    main()
