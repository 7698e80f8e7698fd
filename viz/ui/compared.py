"""What the page Comparison compares: A and B, each a map of a run, and which tokens of one are which of the other.

The page says so in `now`, for the card, which shows a weight of A or B, or what B's is more than A's.
"""

from dataclasses import dataclass

import streamlit as st

from model.analysis.attention_map import AttentionMap, MapSpec
from model.analysis.differences import Aligned
from model.run import ModelRun
from model.text.prompt import RunKey
from viz.ui import session

A, B, LESS = SIDES = ("A", "B", "B-A")
_NOW = "compared_now"


@dataclass(frozen=True)
class Side:
    """A or B."""

    run_key: RunKey
    spec: MapSpec
    name: str  # in words: what tells it from the other

    @property
    def run(self) -> ModelRun:
        return session.run_of(self.run_key)

    @property
    def map(self) -> AttentionMap:
        return session.map_of(self.run_key, self.spec)

    @property
    def text(self) -> str:
        return self.run_key.prompt.text

    @property
    def labels(self) -> tuple[list[str], list[str]]:
        """Of the queries and the keys."""
        queries, keys = self.run.sides(self.spec.of)
        return [token.label for token in queries], [token.label for token in keys]


@dataclass(frozen=True)
class Compared:
    """Both, aligned."""

    what: str  # of `choices.COMPARED`
    a: Side
    b: Side
    queries: Aligned
    keys: Aligned
    own: bool = True  # A is the run of the page; else an example of other models and another text

    def partner(self, side: str, query: int, key: int) -> tuple[int | None, int | None]:
        """Of a query and a key of A, those of B; or of B, those of A."""
        return self.queries.partner(query, of_b=side != A), self.keys.partner(key, of_b=side != A)


def keep(compared: Compared | None) -> None:
    """Let it be what is compared now."""
    st.session_state[_NOW] = compared


def now() -> Compared | None:
    return st.session_state.get(_NOW)
