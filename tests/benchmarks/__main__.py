"""`python -m tests.benchmarks` runs every subject, `python -m tests.benchmarks capture start` those named."""

import argparse
import importlib
from pathlib import Path

from tests.benchmarks.timing import Measured, NotMeasurable, table

SUBJECTS = {
    "peers": "bytes and time of the first picture of all heads, against BertViz's model_view",
    "report": "the report as a file, against BertViz's: bytes and time to painted",
    "capture": "a run with its record kept, against the same forward without",
    "huggingface": "a transformers model with its attention kept, against the forward without and against eager",
    "ablation": "the logits without each head in turn, all asked for together, against a run for each",
    "scan": "every head and every key of a row taken out in turn, all in one go, against one by one",
    "generation": "64 tokens written with all that they looked at, against transformers' generate on the same weights",
    "heads": "every score of all heads of SmolLM2 over 16 texts",
    "memory": "what such a capture keeps, against eager with its weights and hidden states",
    "lens": "such a capture against TransformerLens's run_with_cache",
    "reading": "units, sink and combined heads read off the record, against another run",
    "translation": "100 sentences translated greedily with the cache of keys and values, against without",
    "start": "from `streamlit run` to the first painted page, and what is imported on the way",
    "interaction": "a step of the layer control to the new picture; a hover and its messages",
    "long_texts": "500, 2,000 and 4,000 tokens of SmolLM2: a step of the layer control, and memory over ten of them",
    "visitors": "25 and 50 visitors at once",
    "writers": "20 visitors who write at once, each in turns, and one who looks at another page",
    "training": "visitors while somebody trains a model on the same server, against the same without",
    "copier": "a copier trained until it copies; its course scrubbed in the browser",
    "compression": "bits per byte of held-out text, against a 5-gram and xz",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        epilog="subjects: " + "; ".join(f"{name}: {what}" for name, what in SUBJECTS.items()),
    )
    parser.add_argument("subjects", nargs="*", metavar="subject", help="all, unless named")
    parser.add_argument("--quick", action="store_true", help="few rounds: only to see that everything works")
    parser.add_argument("--model", choices=("gpt2", "bert", "llama"), help="huggingface, memory: this one alone")
    parser.add_argument("--tokens", type=int, metavar="N", help="huggingface, memory: this length alone")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="huggingface, lens: of both sides")
    parser.add_argument(
        "--data", type=Path, help="the story mix, *.txt.xz; compression needs it and is skipped without"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "regard-bench", help="default: %(default)s"
    )
    args = parser.parse_args()
    if unknown := set(args.subjects) - set(SUBJECTS):
        parser.error(f"no subject {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    args.cache.mkdir(parents=True, exist_ok=True)

    measured: list[Measured] = []
    for name in args.subjects or SUBJECTS:
        print(f"\n== {name}: {SUBJECTS[name]}", flush=True)
        try:
            for row in importlib.import_module(f"tests.benchmarks.{name}").measure(args):
                print(f"   {row.what}: {row.figure}", flush=True)
                measured.append(row)
        except (NotMeasurable, ModuleNotFoundError) as missing:  # the other subjects are still worth their time
            measured.append(Measured(name, f"not measured: {missing}"))
            print(f"   {measured[-1].figure}", flush=True)
    print(f"\n{table(measured)}")


if __name__ == "__main__":
    main()
