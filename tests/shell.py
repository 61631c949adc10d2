"""`fleet …` inside the tests' own process: the real entry point, without a new interpreter each.

Two things need an interpreter of their own and get it in `tests.cli.test_main`: that `python -m
fleet` is this entry point, and which modules a command imports.
"""

import contextlib
import io
import sys
from typing import NamedTuple

import pytest

from fleet.cli.main import main

PLAIN = {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}
"""The environment of a command whose words are compared."""


class Done(NamedTuple):
    """How a command ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


def fleet(*words: str, **environment: str) -> Done:
    """Run `fleet words…` to its end."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {**PLAIN, **environment}.items():
            patch.setenv(key, value)
        patch.setattr("typer.rich_utils.FORCE_TERMINAL", None)
        patch.setattr(sys, "excepthook", sys.excepthook)  # typer puts its own one there
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            main(words)
    return Done(int(end.value.code or 0), out.getvalue(), err.getvalue())
