"""The work queue, supervision, the alarm and the shutdown, on a real loop with short times."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from fleet import aio
from fleet.aio import Alarm, Shutdown, WorkQueue
from tests.waiting import until


@contextlib.asynccontextmanager
async def working(
    queue: WorkQueue[str], handle: Callable[[str], Awaitable[None]]
) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(queue.run(handle))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Handler:
    """Notes what it handled and when; can be held, and can fail."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.times: list[float] = []
        self.running = 0
        self.most = 0
        self.failures = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, key: str) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
            self.times.append(time.monotonic())
            if self.failures:
                self.failures -= 1
                raise RuntimeError("a bug in a reconcile")
            self.done.append(key)
        finally:
            self.running -= 1


async def test_a_key_added_often_is_handled_once() -> None:
    queue, handler = WorkQueue[str](), Handler()
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    async with working(queue, handler):
        await until(lambda: len(handler.done) == 2)
    assert handler.done == ["a", "b"]


async def test_a_key_added_while_it_is_handled_is_handled_once_more() -> None:
    queue, handler = WorkQueue[str](), Handler()
    handler.gate.clear()
    queue.add("a")
    async with working(queue, handler):
        await until(lambda: handler.running)
        for _ in range(3):
            queue.add("a")
        await asyncio.sleep(0.02)
        at_once = handler.most
        handler.gate.set()
        await until(lambda: len(handler.done) == 2)
    assert (at_once, handler.done) == (1, ["a", "a"])


async def test_a_key_waits_until_it_begins_to_be_handled() -> None:
    queue, handler = WorkQueue[str](), Handler()
    handler.gate.clear()
    queue.add_after("a", 3_600)
    assert not queue.is_waiting("a"), "its time is not due"
    queue.add("a")
    assert queue.is_waiting("a")
    async with working(queue, handler):
        await until(lambda: handler.running)
        assert not queue.is_waiting("a"), "what comes now has to be told"
        handler.gate.set()


async def test_a_key_that_is_dropped_waits_no_longer() -> None:
    queue, handler = WorkQueue[str](), Handler()
    for key in ("a", "b", "c"):
        queue.add(key, first=key == "b")
    for key in ("b", "nobody"):
        queue.drop(key)
    assert (queue.is_waiting("b"), queue.is_pressed("b")) == (False, False)
    async with working(queue, handler):
        await until(lambda: len(handler.done) == 2)
        queue.add("b")  # what comes later is news
        await until(lambda: len(handler.done) == 3)
    assert handler.done == ["a", "c", "b"]


async def test_different_keys_are_handled_together_within_the_bound() -> None:
    queue, handler = WorkQueue[str](concurrency=3), Handler()
    handler.gate.clear()
    for number in range(9):
        queue.add(str(number))
    async with working(queue, handler):
        await until(lambda: handler.running == 3)
        handler.gate.set()
        await until(lambda: len(handler.done) == 9)
    assert handler.most == 3


@pytest.mark.parametrize(
    ("delays", "earliest"),
    [
        pytest.param([0.05], 0.05, id="a key waits for its time"),
        pytest.param([0.2, 0.05], 0.05, id="an earlier time wins"),
        pytest.param([0.05, 0.2], 0.05, id="a later time changes nothing"),
        pytest.param([0.2, 0.0], 0.0, id="no time is now"),
        pytest.param([-5.0], 0.0, id="a time that has passed is now"),
    ],
)
async def test_when_a_key_is_due(delays: list[float], earliest: float) -> None:
    queue, handler = WorkQueue[str](), Handler()
    started = time.monotonic()
    for seconds in delays:
        queue.add_after("a", seconds)
    async with working(queue, handler):
        await until(lambda: handler.done)
    assert earliest <= handler.times[0] - started < earliest + 0.1


async def test_handling_a_key_drops_its_time() -> None:
    queue, handler = WorkQueue[str](), Handler()
    queue.add_after("a", 0.05)
    queue.retry("told again meanwhile", at_least=0.05)
    queue.add("a")
    queue.add("told again meanwhile")
    async with working(queue, handler):
        await asyncio.sleep(0.1)
    assert handler.done == ["a", "told again meanwhile"]


async def test_a_time_named_by_the_handler_stays() -> None:
    queue, seen = WorkQueue[str](), []

    async def handle(key: str) -> None:
        seen.append(key)
        queue.add_after(key, 0.01)

    queue.add("a")
    async with working(queue, handle):
        await until(lambda: len(seen) == 3)


async def test_delays_grow_up_to_a_cap_and_success_resets_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """[L23] The queue draws at least half of each delay: 20, 40, 80, 80, 80 ms; then 20 again."""
    queue, handler = WorkQueue[str](base=0.04, cap=0.16), Handler()
    handler.failures = 5
    queue.add("a")
    async with working(queue, handler):
        with caplog.at_level(logging.ERROR):
            await until(lambda: handler.done)
        queue.forget("a")
        again = queue.retry("a")
    gaps = [after - before for before, after in zip(handler.times, handler.times[1:], strict=False)]
    for gap, least in zip(gaps, (0.02, 0.04, 0.08, 0.08, 0.08), strict=True):
        assert least <= gap < 2 * least + 0.1
    assert (0.02 <= again <= 0.04, caplog.text.count("a bug in a reconcile") >= 5) == (True, True)


@pytest.mark.parametrize(
    ("base", "named", "least"),
    [
        pytest.param(0.01, 0.1, 0.1, id="the named time, where the back-off is shorter"),
        pytest.param(0.4, 0.1, 0.2, id="the back-off, where that is longer"),
        pytest.param(0.1, 0.0, 0.05, id="the back-off, where none is named"),
    ],
)
async def test_a_retry_does_not_come_before_a_named_time(
    base: float, named: float, least: float
) -> None:
    queue, handler = WorkQueue[str](base=base), Handler()
    started = time.monotonic()
    told = queue.retry("a", at_least=named)
    async with working(queue, handler):
        await until(lambda: handler.done)
    assert least <= told <= handler.times[0] - started + 0.001 < told + 0.1


async def test_a_drain_finishes_what_is_under_way_and_begins_nothing() -> None:
    queue, handler = WorkQueue[str](concurrency=2), Handler()
    handler.gate.clear()
    for key in ("a", "b", "c"):
        queue.add(key)
    async with working(queue, handler) as task:
        await until(lambda: handler.running == 2)
        queue.drain()
        await asyncio.sleep(0.02)
        still = task.done()
        handler.gate.set()
        await until(task.done)
    assert (still, sorted(handler.done)) == (False, ["a", "b"])


async def test_after_a_drain_it_can_run_again() -> None:
    queue, handler = WorkQueue[str](concurrency=2), Handler()
    async with working(queue, handler) as task:
        await asyncio.sleep(0)
        queue.drain()
        await until(task.done)
    queue.add("a")
    async with working(queue, handler):
        await until(lambda: handler.done)


# --- supervision --------------------------------------------------------------------------------


async def test_a_task_that_fails_is_started_again_until_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runs = 0

    async def start() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError(f"run {runs}")

    with caplog.at_level(logging.ERROR):
        await aio.supervise("watch", start, base=0.01)
    said = [error for error in ("run 1", "run 2") if f"ValueError: {error}" in caplog.text]
    assert (runs, said) == (3, ["run 1", "run 2"])


async def test_supervision_ends_when_it_is_cancelled() -> None:
    task = asyncio.create_task(aio.supervise("watch", asyncio.Event().wait))
    await asyncio.sleep(0)
    await aio.cancel(task)
    assert task.cancelled()


# --- what ended a group -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrapped",
    [
        pytest.param(lambda error: error, id="no group at all"),
        pytest.param(lambda error: ExceptionGroup("tasks", [error]), id="a group"),
        pytest.param(
            lambda error: BaseExceptionGroup("outer", [ExceptionGroup("inner", [error])]),
            id="a group of groups",
        ),
    ],
)
def test_the_innermost_is_what_ended_the_tasks(
    wrapped: Callable[[Exception], BaseException],
) -> None:
    error = ValueError("why")
    assert aio.innermost(wrapped(error)) is error


# --- alarm --------------------------------------------------------------------------------------


async def test_an_alarm_ends_a_sleep() -> None:
    alarm = Alarm()
    asyncio.get_running_loop().call_later(0.02, alarm.ring)
    assert await alarm.sleep(5.0) is True


async def test_an_alarm_that_rang_before_ends_the_next_sleep_only() -> None:
    alarm = Alarm()
    alarm.ring()
    assert [await alarm.sleep(5.0), await alarm.sleep(0.01)] == [True, False]


# --- shutdown -----------------------------------------------------------------------------------


async def test_a_signal_releases_all_who_wait() -> None:
    """[L21] Readiness, its third consequence, is in telemetry/test_server."""
    shutdown = Shutdown()
    waiters = [asyncio.create_task(shutdown.wait()) for _ in range(2)]
    before = shutdown.is_requested
    shutdown.listen()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.gather(*waiters)
    assert (before, shutdown.is_requested) == (False, True)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


def test_a_process_runs_on_libuv_where_there_is_one() -> None:
    async def module() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert aio.run(module()) == "uvloop"


def test_the_earliest_of_many_times_counts_on_libuv_too() -> None:
    async def handled() -> int:
        queue: WorkQueue[str] = WorkQueue()
        times = 0
        done = asyncio.Event()

        async def handle(_: str) -> None:
            nonlocal times
            times += 1
            done.set()

        working = asyncio.create_task(queue.run(handle))
        for seconds in (30.0, 0.0001, 0.0002, 20.0):
            queue.add_after("a", seconds)
        async with asyncio.timeout(5):
            await done.wait()
        queue.drain()
        await working
        return times

    assert aio.run(handled()) == 1


async def test_what_is_first_goes_before_all_that_wait() -> None:
    queue, handler = WorkQueue[str](concurrency=1), Handler()
    for key in ("a", "b", "c", "d"):
        queue.add(key)
    queue.add("e", first=True)
    queue.add("c", first=True)
    assert queue.is_pressed("c")
    async with working(queue, handler):
        await until(lambda: len(handler.done) == 5)
    assert handler.done == ["c", "e", "a", "b", "d"]
    assert not queue.is_pressed("c")


async def test_what_is_handled_hears_that_it_is_to_be_first_again() -> None:
    queue, handler = WorkQueue[str](concurrency=1), Handler()
    handler.gate.clear()
    queue.add("a")
    async with working(queue, handler):
        await until(lambda: handler.running)
        queue.add("b")
        queue.add("a")
        assert not queue.is_pressed("a")
        queue.add("a", first=True)
        assert queue.is_pressed("a")
        handler.gate.set()
        await until(lambda: len(handler.done) == 3)
    assert handler.done == ["a", "a", "b"]
