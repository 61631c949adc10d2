"""The demo itself: every claim holds; and it does not say so when one does not."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from e2e.demo import __main__ as demo
from e2e.demo import claims, evidence, stage, story
from e2e.demo.screen import Screen

ROOT = Path(__file__).parents[1]
LIMIT = 900
"""Seconds; it takes about 95 on two cores of its own."""
TAIL = 60
"""Lines: the verdicts, and the reasons of a failure, which are always the last."""


@pytest.mark.timeout(LIMIT + 100)
def test_every_claim_holds(tmp_path: Path) -> None:
    output = tmp_path / "demo.log"
    with (
        output.open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "e2e.demo"],
            cwd=ROOT,
            env=os.environ | {"DEMO_EXIT": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as demo,
    ):
        try:
            code: int | str = demo.wait(LIMIT)
        except subprocess.TimeoutExpired:
            demo.terminate()
            code = f"not ended within {LIMIT} s"
    said = output.read_text()
    tail = "\n".join(said.splitlines()[-TAIL:])
    assert code == 0, tail
    _, _, verdicts = said.partition("Verdicts")
    assert verdicts.count("✓") >= 15, tail
    assert "✗" not in verdicts, tail


async def nothing(*_: Any) -> None:
    return None


@contextlib.asynccontextmanager
async def unseen(*_: Any) -> AsyncIterator[None]:
    yield


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The story without its clusters: only what is made of its end is real here."""
    monkeypatch.setenv("DEMO_EXIT", "1")
    monkeypatch.setattr(stage, "enter", nothing)
    monkeypatch.setattr(stage, "begin_load", lambda *_: None)
    monkeypatch.setattr(story, "watching", unseen)
    monkeypatch.setattr(story, "deliver", nothing)
    monkeypatch.setattr(story, "answered", nothing)
    monkeypatch.setattr(evidence, "failed_metric", lambda *_: "error-rate")
    monkeypatch.setattr(demo, "AFTERMATH", 0)
    monkeypatch.setattr(demo, "BEFORE_V2", 0)
    return monkeypatch


@pytest.mark.parametrize(
    ("held", "code", "last"),
    [
        pytest.param((True, True), 0, "All 2 claims held.", id="every claim holds"),
        pytest.param((True, False), 1, "✗ claim 1: evidence 1", id="one claim of two is broken"),
        pytest.param((), 1, "✗ no claim was judged", id="nothing was claimed"),
    ],
)
def test_the_exit_code_is_that_of_the_claims(
    play: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    held: tuple[bool, ...],
    code: int,
    last: str,
) -> None:
    found = [(one, f"claim {number}", f"evidence {number}") for number, one in enumerate(held)]
    play.setattr(claims, "judge", lambda *_: found)
    assert demo.main() == code
    assert capsys.readouterr().out.splitlines()[-1].strip() == last


@pytest.fixture
def hears() -> Iterator[None]:
    """Ctrl-C, as in a terminal: whoever runs tests in the background may have had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_it_in_the_middle_finds_nothing_left(
    play: pytest.MonkeyPatch, tmp_path: Path, number: signal.Signals
) -> None:
    seen: list[str] = []

    def left() -> list[str]:
        return [path.name for path in tmp_path.iterdir()]

    async def stopped(*_: Any) -> None:
        seen.extend(left())
        os.kill(os.getpid(), number)
        await asyncio.sleep(60)

    play.setattr(story, "deliver", stopped)
    play.setattr(tempfile, "tempdir", str(tmp_path))
    assert demo.main() == 128 + number
    assert [name[:11] for name in seen] == ["kulta-demo-"]
    assert left() == []


def test_the_invitation_names_programs_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    plane = SimpleNamespace(kubeconfig=Path("/there/kubeconfig"))
    site = SimpleNamespace(plane=plane, gateway=SimpleNamespace(url="http://127.244.1.1:8080"))
    demo.invite(SimpleNamespace(hub=plane, sites={"alpha": site}), Screen())  # type: ignore[arg-type]
    said = capsys.readouterr().out
    (path,) = (line.partition("PATH=")[2] for line in said.splitlines() if "export PATH" in line)
    for program in ("fleet", "kubectl"):
        assert shutil.which(program, path=path.removesuffix(":$PATH")), path


def test_what_goes_wrong_on_the_way_is_the_last_line(
    play: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_raise(TimeoutError("checkout-2 did not end")))

    play.setattr(story, "deliver", broken)
    assert demo.main() == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1].strip() == "✗ TimeoutError: checkout-2 did not end"
    assert any("Traceback" in line for line in said)


def test_a_claim_that_cannot_be_judged_is_broken(play: pytest.MonkeyPatch) -> None:
    def unseen_claim(*_: Any) -> Iterator[claims.Verdict]:
        """the claim"""
        yield from ()
        raise LookupError("no such report")

    play.setattr(claims, "CLAIMS", (unseen_claim,))
    nothing: Any = None
    (verdict,) = claims.judge(nothing, nothing)
    assert verdict == (False, "the claim", "cannot be judged: LookupError: no such report")


async def _raise(error: Exception) -> None:
    raise error
