"""How much is tried: a little in every test run; with HOSTILE=2000 in the environment, so many inputs of each kind."""

import os

import pytest

from tests.hostile.calls import calls

INPUTS = int(os.environ.get("HOSTILE", "0"))


@pytest.fixture(autouse=True)
def no_call_elsewhere():
    with calls() as made:
        yield
    assert made == []


@pytest.fixture(autouse=True)
def no_traceback_in_the_log(caplog):
    """What is told to the visitor as an error of the program leaves a traceback here."""
    yield
    assert [record.getMessage() for record in caplog.records if record.name == "regard"] == []
