"""What Regard is measured by. Run it on a quiet machine: `python -m tests.benchmarks [subject …]`.

Each subject compares us with a peer or a floor in the same run, and prints ratios; none is a test that can fail.
"""
