"""The demo itself: every claim holds; and it does not say so when one does not.

The quiet minute (`quiet`) passes meanwhile: the two share nothing but time.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from e2e.demo import __main__ as demo
from e2e.demo import claims, stage, story
from e2e.quiet import Minute

ROOT = Path(__file__).parents[1]
LIMIT = 200
"""Seconds; it takes less than 120 on two cores."""


@pytest.mark.timeout(LIMIT + 100)
def test_every_claim_holds(minute: Minute) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "e2e.demo"],
        cwd=ROOT,
        env=os.environ | {"DEMO_EXIT": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    _, _, verdicts = done.stdout.partition("Verdicts")
    assert verdicts.count("✓") >= 15
    assert "✗" not in verdicts


@pytest.mark.parametrize(
    ("held", "code"),
    [
        pytest.param((True, True), 0, id="every claim holds"),
        pytest.param((True, False), 1, id="one claim of two is broken"),
    ],
)
async def test_the_exit_code_is_that_of_the_claims(
    monkeypatch: pytest.MonkeyPatch, held: tuple[bool, ...], code: int
) -> None:
    """The story without its clusters: only what is made of the verdicts is real here."""

    async def nothing(*_: Any) -> None:
        return None

    @contextlib.asynccontextmanager
    async def unseen(*_: Any) -> AsyncIterator[None]:
        yield

    monkeypatch.setenv("DEMO_EXIT", "1")
    monkeypatch.setattr(stage, "enter", nothing)
    monkeypatch.setattr(stage, "begin_load", lambda *_: None)
    monkeypatch.setattr(story, "watching", unseen)
    monkeypatch.setattr(story, "deliver", nothing)
    monkeypatch.setattr(demo.asyncio, "sleep", nothing)
    monkeypatch.setattr(claims, "judge", lambda *_: [(one, "claim", "evidence") for one in held])
    assert await demo.main() == code
