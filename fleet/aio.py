"""The asyncio that every loop of both controllers shares: a work queue, an alarm, supervision.

Used by `clusters`, both runtimes and `wiring`. Knows nothing of Kubernetes. This is the one place
where `except Exception` stands: at the bottom of a loop that must outlive a bug, and it is loud.
"""

import asyncio
import contextlib
import logging
import random
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fleet.kit import backoff

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

LONGEST_REST = 5.0
"""Times the least."""

log = logging.getLogger(__name__)


def run(main: Coroutine[Any, Any, T]) -> T:
    """The whole life of a process's event loop: as `asyncio.run`, on libuv's loop where there is
    one. A quarter of a controller's processor time is in the loop and its TLS; libuv saves most."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """None, which is asyncio's own, where uvloop is not made for the platform."""
    try:
        import uvloop  # noqa: PLC0415 - where there is one, and not for short commands
    except ImportError:
        return None
    return uvloop.new_event_loop


@dataclass(frozen=True, slots=True)
class _Timer:
    """The handle does not tell its time on every loop: uvloop's is plain when it is due at once."""

    when: float
    handle: asyncio.Handle


def _set_earlier(timers: dict[K, _Timer], key: K, seconds: float, due: Callable[[K], None]) -> None:
    """Call `due(key)` in `seconds`, unless its timer among `timers` is due earlier."""
    loop = asyncio.get_running_loop()
    when, known = loop.time() + seconds, timers.get(key)
    if known is not None:
        if known.when <= when:
            return
        known.handle.cancel()
    timers[key] = _Timer(when, loop.call_at(when, due, key))


class WorkQueue(Generic[K]):
    """Keys to reconcile: each once however often it was added, each by one worker at a time.

        add ─────────────┐                      ┌── added meanwhile ──┐
        add_after ─time──┴─> waiting ─> handled ┴─> done              └─> waiting again

    The handler gets a key, never an event: it looks at the world as it is. A handler that raises is
    logged, and its key comes back after a growing delay; `forget` ends the growth.
    """

    def __init__(
        self, *, concurrency: int = 16, base: float = 0.2, cap: float = 60.0, calm: float = 0.0
    ) -> None:
        """`concurrency` handlers at once; back-off from `base` to `cap` seconds. A key that was
        handled rests for `calm` seconds: what comes meanwhile is handled as one. One that takes
        long rests longer (`rest`), but not when it shall be `first`."""
        self.concurrency = concurrency
        self._base, self._cap, self._calm = base, cap, calm
        self._resting: dict[K, _Timer] = {}
        self._waiting: deque[K] = deque()
        self._queued: set[K] = set()
        self._first: set[K] = set()
        self._handled: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, _Timer] = {}
        self._failures: dict[K, int] = {}
        self._ready = asyncio.Semaphore(0)
        self._stopping = asyncio.Event()

    def add(self, key: K, *, first: bool = False) -> None:
        """Handle `key` soon, `first` before all that wait; once more afterwards if it is being
        handled right now."""
        if first:
            self._first.add(key)
        if key in self._handled or key in self._resting:
            self._again.add(key)
            if first and key in self._resting:
                self._rest(key, self._calm)
        elif key not in self._queued:
            self._queued.add(key)
            (self._waiting.appendleft if key in self._first else self._waiting.append)(key)
            self._ready.release()
        elif first:
            self._waiting.remove(key)
            self._waiting.appendleft(key)

    def is_waiting(self, key: K) -> bool:
        """Whether `key` will be handled anyway, and has not begun to be."""
        return key in self._queued

    def is_pressed(self, key: K) -> bool:
        """Whether `key` shall be handled before all others, be it while it is being handled."""
        return key in self._first

    def drop(self, key: K) -> None:
        """`key` waits no longer, nor for what was put off meanwhile: it has been seen to."""
        if key in self._queued:
            self._queued.discard(key)
            self._first.discard(key)
            self._waiting.remove(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Handle `key` in `seconds`, unless it is due earlier; handling it drops the time."""
        if seconds <= 0 or key in self._queued:
            self.add(key)
            return
        _set_earlier(self._timers, key, seconds, self._due)

    def retry(self, key: K, *, at_least: float = 0.0) -> float:
        """Handle `key` again after its back-off, which grows with each call; returns the seconds,
        `at_least` so many. Who adds it has news, and is heard before."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        grown = backoff.delay(failures, base=self._base, cap=self._cap, chance=random.random())
        self.add_after(key, seconds := max(grown, at_least))
        return seconds

    def forget(self, key: K) -> None:
        """`key` went well: the next back-off begins at the bottom."""
        self._failures.pop(key, None)

    async def run(self, handle: Callable[[K], Awaitable[None]]) -> None:
        """Handle keys until `drain` is called; cancelled, it cancels the handlers too."""
        self._stopping.clear()
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(self.concurrency):
                    workers.create_task(self._work(handle))
        finally:
            for timer in self._timers.values():
                timer.handle.cancel()
            for pause in self._resting.values():
                pause.handle.cancel()
            self._timers.clear()
            self._resting.clear()

    def drain(self) -> None:
        """Begin nothing new: `run` returns when the handlers that are under way have ended."""
        self._stopping.set()
        for _ in range(self.concurrency):
            self._ready.release()

    async def _work(self, handle: Callable[[K], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._ready.acquire()
            if self._stopping.is_set():
                return
            if not self._waiting:
                continue  # it was dropped
            key = self._waiting.popleft()
            self._queued.discard(key)
            self._first.discard(key)
            self._handled.add(key)
            if timer := self._timers.pop(key, None):
                timer.handle.cancel()
            began = loop.time() if self._calm else 0.0
            try:
                await handle(key)
            except Exception:
                log.exception("a reconcile failed unexpectedly", extra={"key": str(key)})
                self.retry(key)
            finally:
                self._handled.discard(key)
                if not self._calm:
                    self._rested(key)
                elif key in self._first:
                    self._rest(key, self._calm)
                else:
                    self._rest(key, rest(self._calm, loop.time() - began))

    def _rest(self, key: K, seconds: float) -> None:
        _set_earlier(self._resting, key, seconds, self._rested)

    def _rested(self, key: K) -> None:
        self._resting.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)


def rest(calm: float, worked: float) -> float:
    """Seconds for which a key rests that took `worked` seconds: who is looked at again and again,
    and takes long each time, as a run of thousands of clusters does, leaves others half of the
    time; nobody waits longer than for five times `calm`."""
    return min(max(calm, worked), LONGEST_REST * calm)


async def supervise(
    name: str,
    start: Callable[[], Awaitable[None]],
    *,
    base: float = 0.5,
    cap: float = 60.0,
) -> None:
    """Run `start()` until it returns; when it raises, log, wait (back-off) and run it again.

    A run that lasted longer than `cap` seconds begins the back-off anew. Cancelling ends it.
    """
    failures = 0
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        try:
            await start()
            return
        except Exception:
            log.exception("a task failed and is started again", extra={"task": name})
        failures = 1 if loop.time() - started > cap else failures + 1
        await asyncio.sleep(backoff.delay(failures, base=base, cap=cap, chance=random.random()))


async def cancel(*tasks: "asyncio.Task[object]") -> None:
    """Cancel the tasks and wait until they have ended; what they raise is not ours."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def innermost(error: BaseException) -> BaseException:
    """What ended the tasks of nested groups: the others were cancelled because of it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Alarm:
    """A sleep that can be cut short."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """End the sleep, or the next one if nobody sleeps."""
        self._rung.set()

    async def sleep(self, seconds: float) -> bool:
        """Sleep; True when the alarm rang before `seconds` were over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        rang = self._rung.is_set()
        self._rung.clear()
        return rang


class Shutdown:
    """The process's wish to end, seen by all who share it."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    @property
    def is_requested(self) -> bool:
        return self._asked.is_set()

    def request(self) -> None:
        """Ask everybody to end; asking twice is asking once."""
        self._asked.set()

    async def wait(self) -> None:
        """Until the end is asked for."""
        await self._asked.wait()

    def listen(self) -> None:
        """SIGTERM and SIGINT ask for the end; a second one has the usual effect."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._hear, number)

    def _hear(self, number: signal.Signals) -> None:
        asyncio.get_running_loop().remove_signal_handler(number)
        self.request()
