"""Log lines: their two forms, the context they carry, and that no secret leaves."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fleet.telemetry import logs

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJl"

log = logging.getLogger("fleet.test")


@pytest.fixture
def lines() -> Iterator[Callable[..., io.StringIO]]:
    """`lines(json=…)` sends the root logger to a buffer and gives it; undone afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)

    def configured(*, json: bool, level: int = logging.INFO) -> io.StringIO:
        stream = io.StringIO()
        logs.configure(level, json=json, stream=stream)
        return stream

    yield configured
    root.handlers[:], level = before
    root.setLevel(level)


Configured = Callable[..., io.StringIO]


def test_a_line_for_machines(lines: Configured) -> None:
    stream = lines(json=True)
    log.info("the run moved", extra={"wave": 2, "phase": "Soaking"})
    line: dict[str, Any] = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "fleet.test",
        "message": "the run moved",
        "wave": 2,
        "phase": "Soaking",
    }


def test_a_line_for_eyes(lines: Configured) -> None:
    stream = lines(json=False)
    log.warning("the run moved", extra={"wave": 2})
    assert stream.getvalue().split(" ", 1)[1] == "WARNING the run moved wave=2\n"


@pytest.mark.parametrize("as_json", [True, False], ids=["for machines", "for eyes"])
def test_an_exception_is_told_whole(lines: Configured, as_json: bool) -> None:
    stream = lines(json=as_json)
    try:
        raise ValueError(f"Bearer {JWT}")
    except ValueError:
        log.exception("a reconcile failed")
    assert "ValueError: Bearer …" in stream.getvalue()
    assert JWT not in stream.getvalue()


def test_below_the_level_nothing_is_told(lines: Configured) -> None:
    stream = lines(json=True, level=logging.WARNING)
    log.info("not this")
    logging.getLogger("kopf.something").info("nor this")
    assert stream.getvalue() == ""


def test_libraries_are_quiet_below_warnings(lines: Configured) -> None:
    stream = lines(json=True, level=logging.INFO)
    logging.getLogger("kopf.something").info("not this")
    logging.getLogger("httpx").warning("but this")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["but this"]


async def test_context_belongs_to_its_task(lines: Configured) -> None:
    stream = lines(json=True)

    async def reconcile(name: str) -> None:
        with logs.bind(cluster=name):
            await asyncio.sleep(0)
            with logs.bind(rollout="checkout"):
                log.info("inside")
            log.info("between")

    await asyncio.gather(reconcile("eu-7"), reconcile("us-1"))
    log.info("outside")
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    found = sorted((t["message"], t.get("cluster", ""), t.get("rollout", "")) for t in told)
    assert found == [
        ("between", "eu-7", ""),
        ("between", "us-1", ""),
        ("inside", "eu-7", "checkout"),
        ("inside", "us-1", "checkout"),
        ("outside", "", ""),
    ]


@pytest.mark.parametrize("as_json", [True, False], ids=["for machines", "for eyes"])
def test_a_field_called_like_a_secret_is_hidden(lines: Configured, as_json: bool) -> None:
    stream = lines(json=as_json)
    log.info("said", extra={"token": "abc abc", "detail": "Bearer abc.def", "run": "checkout-1"})
    assert "abc" not in stream.getvalue()
    assert "checkout-1" in stream.getvalue()
