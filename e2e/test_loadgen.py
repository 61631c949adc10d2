"""The load generator keeps its bounds and tells who answered how; the sample obeys its tag.

Both are real: the sample runs as a process on 127.0.0.1, the load goes over sockets.
"""

import asyncio
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.ground import ports, processes
from e2e.ground.loadgen import NOBODY, Load, LoadGenerator
from e2e.ground.processes import Process
from e2e.ground.waiting import until
from e2e.sample import app

Start = Callable[[str], tuple[str, Process]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a sample by its tag; its address and process."""
    running: list[Process] = []

    def begin(tag: str) -> tuple[str, Process]:
        (port,) = ports.free(1)
        process = processes.start(
            f"sample {tag}",
            [sys.executable, "-I", "-S", app.__file__, tag],
            log=tmp_path / f"{tag}.log",
            env={"PORT": str(port), "HOSTNAME": "pod-1", "DRAIN_SECONDS": "1.5"},
        )
        running.append(process)
        until(lambda: "listens" in process.log.read_text(), f"{tag} listens", within=10, every=0.01)
        return f"http://127.0.0.1:{port}", process

    yield begin
    processes.stop(*running, grace=0)


def body(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


async def test_rate_duration_and_keep_alive(start: Start) -> None:
    url, _ = start("v1")
    generator = LoadGenerator(Load(url=url, host="shop.example.com", rate=100, duration=1))
    begin = time.monotonic()
    await generator.run()
    assert time.monotonic() - begin > 0.9
    tally = generator.tallies()["v1"]
    assert (tally.count + generator.missed, tally.errors) == (100, 0)
    assert generator.share() == {"v1": 1.0}
    assert 0 < tally.mean <= tally.p95 < 5
    assert f'http_requests_total{{status="200"}} {tally.count}' in body(f"{url}/metrics")


@pytest.mark.parametrize(
    ("load", "count"),
    [
        pytest.param({"rate": 1000.0, "duration": 60.0, "total": 20}, 20, id="by the total"),
        pytest.param({"rate": 100.0, "duration": 0.2}, 20, id="by rate and duration"),
    ],
)
def test_the_number_of_requests_is_bounded(load: dict[str, float], count: int) -> None:
    assert Load(url="", host="", **load).most == count  # type: ignore[arg-type]


async def test_it_stops_when_told(start: Start) -> None:
    url, _ = start("v1")
    generator = LoadGenerator(Load(url=url, host="a", rate=50, duration=600))
    begin = time.monotonic()
    running = asyncio.create_task(generator.run())
    await asyncio.sleep(0.2)
    generator.stop()
    async with asyncio.timeout(30):
        await running
    assert 1 <= len(generator.answers) <= 50 * (time.monotonic() - begin) + 1


async def test_busy_connections_are_missed_requests_not_a_pile(start: Start) -> None:
    url, _ = start("v1-slow-300ms")
    load = Load(url=url, host="a", rate=100, duration=0.6, connections=2)
    generator = LoadGenerator(load)
    begin = time.monotonic()
    await generator.run()
    rounds = (time.monotonic() - begin) / 0.3
    assert len(generator.answers) <= 2 * (rounds + 1)
    assert len(generator.answers) + generator.missed == 60


async def test_refused_connections_are_errors_of_nobody() -> None:
    (port,) = ports.free(1)
    generator = LoadGenerator(Load(url=f"http://127.0.0.1:{port}", host="a", rate=50, duration=0.1))
    await generator.run()
    assert generator.tallies()[NOBODY].errors == 5


async def test_windows_tell_apart_what_came_when(start: Start) -> None:
    first, _ = start("v1")
    second, _ = start("v2-errors-30")
    generator = LoadGenerator(Load(url=first, host="a", rate=200, duration=60, total=20))
    await generator.run()
    between = time.monotonic()
    other = LoadGenerator(Load(url=second, host="a", rate=500, duration=60, total=100))
    await other.run()
    generator.answers += other.answers
    assert generator.share(until=between) == {"v1": 1.0}
    assert generator.share(since=between) == {"v2-errors-30": 1.0}
    # missed requests are not sent, so the share is exact to one request
    tally = generator.tallies(since=between)["v2-errors-30"]
    assert tally.errors == pytest.approx(tally.count * 0.3, abs=1)


@pytest.mark.parametrize(
    ("tag", "errors", "latency", "ready", "crash"),
    [
        pytest.param("v1", 0, 0, True, False, id="a plain version"),
        pytest.param("v3-errors-30", 0.3, 0, True, False, id="errors"),
        pytest.param("v4-slow-800ms", 0, 0.8, True, False, id="slow"),
        pytest.param("1.2.3-rc1-errors-5-slow-20ms", 0.05, 0.02, True, False, id="both"),
        pytest.param("v5-unready", 0, 0, False, False, id="unready"),
        pytest.param("v6-crash", 0, 0, True, True, id="crash"),
    ],
)
def test_a_tag_is_a_behaviour(
    tag: str, errors: float, latency: float, ready: bool, crash: bool
) -> None:
    found = app.Behaviour(tag)
    assert (found.version, found.errors, found.latency) == (tag, errors, latency)
    assert (found.ready, found.crash) == (ready, crash)


def test_latency_shows_in_the_histogram(start: Start) -> None:
    url, _ = start("v4-slow-150ms")
    assert body(url) == "v4-slow-150ms pod-1\n"
    lines = body(f"{url}/metrics").splitlines()
    assert 'http_request_duration_seconds_bucket{le="0.1"} 0' in lines
    assert 'http_request_duration_seconds_bucket{le="5.0"} 1' in lines
    assert 'http_request_duration_seconds_bucket{le="+Inf"} 1' in lines
    assert "http_request_duration_seconds_count 1" in lines


async def test_a_stopping_sample_serves_on_and_finishes_what_is_open(start: Start) -> None:
    url, process = start("v1-slow-500ms")
    open_request = asyncio.create_task(asyncio.to_thread(body, url))
    await asyncio.sleep(0.1)
    process.signal(signal.SIGTERM)
    late = asyncio.create_task(asyncio.to_thread(body, url))
    assert await open_request == await late == "v1-slow-500ms pod-1\n"
    assert await process.ended() == 0
