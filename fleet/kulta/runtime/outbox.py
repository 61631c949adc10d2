"""The outbox: takes decisions to every sink, at least once, and knows how far that has got.

    status written → put ─> a lane for each Rollout and sink ─> send ─┬─ taken, or refused ─> done
                                     ^                                └─ again (back-off, a day)
                                     └── one after another, in their order

`reconcile` calls `put` once a decision is stored and goes on: a sink that is slow or dead delays
nobody. How far everybody has been told rides on the Rollout's next status write (`emitted`); an
engine that starts tells again what came after it, with the same identities.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import tenacity

from fleet import aio
from fleet.api.names import Key
from fleet.errors import PermanentError, TemporaryError
from fleet.kulta.core.messages.advised import Advised
from fleet.kulta.core.messages.transition import Transition
from fleet.kulta.runtime.sinks import Sink
from fleet.telemetry.metrics import EngineMetrics

CAPACITY = 10_000
"""Letters that wait for one sink; what comes on top is dropped."""
AT_ONCE = 4
"""Letters that one sink gets side by side: Events must not take the API server from our writes."""
APART: Mapping[str, int] = {"hooks": 64, "occurrences": 1_000}
"""The same for sinks that are many servers, where those who are silent keep the others' slots free,
and for the one that writes down together what comes while it writes."""
GIVE_UP = timedelta(days=1)
SOONEST_SECONDS, LATEST_SECONDS = 0.5, 60.0

log = logging.getLogger(__name__)

Result = Literal["delivered", "refused", "dropped"]


@dataclass(slots=True)
class _Ledger:
    """What was handed over of one life of a Rollout's diary."""

    uid: str
    told: int = 0
    on_their_way: Counter[int] = field(default_factory=Counter)
    """Decision → letters that no sink is done with."""

    @property
    def emitted(self) -> int:
        return min(self.on_their_way, default=self.told + 1) - 1

    def settle(self, sequence: int) -> None:
        self.on_their_way[sequence] -= 1
        if not self.on_their_way[sequence]:
            del self.on_their_way[sequence]


@dataclass(frozen=True, slots=True)
class _Letter:
    body: bytes
    sequence: int
    ledger: _Ledger | None
    """None for what is told without a number, and not again."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far one Rollout's diary has got: handed over, and delivered."""

    told: int = 0
    emitted: int = 0


@dataclass(slots=True)
class _Route:
    """The way to one sink."""

    name: str
    sink: Sink
    slots: asyncio.Semaphore
    lanes: dict[Key, deque[_Letter]] = field(default_factory=dict)
    tasks: dict[Key, "asyncio.Task[None]"] = field(default_factory=dict)
    waiting: int = 0
    is_down: bool = False


class Outbox:
    """See the module."""

    def __init__(
        self,
        sinks: Mapping[str, Sink],
        metrics: EngineMetrics,
        *,
        soonest: float = SOONEST_SECONDS,
        give_up: timedelta = GIVE_UP,
        capacity: int = CAPACITY,
    ) -> None:
        """`sinks` by the names that metrics and logs call them."""
        self._routes = tuple(
            _Route(name, sink, asyncio.Semaphore(APART.get(name, AT_ONCE)))
            for name, sink in sinks.items()
        )
        self._metrics = metrics
        self._soonest, self._give_up, self._capacity = soonest, give_up, capacity
        self._ledgers: dict[Key, _Ledger] = {}

    def of(self, key: Key, uid: str) -> Reached:
        """How far the diary of that Rollout, in that life, has got."""
        found = self._ledgers.get(key)
        if found is None or found.uid != uid:
            return Reached()
        return Reached(found.told, found.emitted)

    def put(self, key: Key, uid: str, transitions: Iterable[Transition], told: int) -> None:
        """Send these on their way; from now on the diary is told up to `told`. Returns at once."""
        ledger = self._ledgers.get(key)
        if ledger is None or ledger.uid != uid or ledger.told > told:  # its diary began anew
            ledger = self._ledgers[key] = _Ledger(uid)
        ledger.told = told
        for transition in transitions:
            for route in self._routes:
                body = route.sink.write(transition)
                if body is not None:
                    letter = _Letter(body, transition.decision.sequence, ledger)
                    self._post(route, key, letter)

    def say(self, key: Key, news: Advised) -> None:
        """Tell what is no decision; it does not outlive the process. Returns at once."""
        for route in self._routes:
            body = route.sink.write(news)
            if body is not None:
                self._post(route, key, _Letter(body, 0, None))

    def forget(self, key: Key) -> None:
        """The Rollout is gone; what is on its way is still delivered."""
        self._ledgers.pop(key, None)

    async def flush(self, seconds: float) -> None:
        """Wait until everything is delivered, `seconds` at most; for the end of the process."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while tasks := [task for route in self._routes for task in route.tasks.values()]:
                    await asyncio.wait(tasks)

    async def close(self) -> None:
        """End what is under way; what was not delivered is told again by the next engine."""
        await aio.cancel(*(task for route in self._routes for task in route.tasks.values()))

    def _post(self, route: _Route, key: Key, letter: _Letter) -> None:
        if route.waiting >= self._capacity:
            self._metrics.told(route.name, "dropped")
            self._notice(route, f"{route.waiting} letters wait for it already")
            return
        if letter.ledger is not None:
            letter.ledger.on_their_way[letter.sequence] += 1
        route.lanes.setdefault(key, deque()).append(letter)
        self._count(route, 1)
        if key not in route.tasks:
            name = f"{route.name} of {'/'.join(key)}"
            running = aio.supervise(name, lambda: self._empty(route, key))
            route.tasks[key] = asyncio.create_task(running)

    async def _empty(self, route: _Route, key: Key) -> None:
        """Deliver the letters of one lane, in their order."""
        lane = route.lanes[key]
        while lane:
            result = await self._deliver(route, lane[0])
            letter = lane.popleft()
            if letter.ledger is not None:
                letter.ledger.settle(letter.sequence)
            self._count(route, -1)
            self._metrics.told(route.name, result)
        del route.lanes[key], route.tasks[key]

    async def _deliver(self, route: _Route, letter: _Letter) -> Result:
        """Send it until the sink is done with it; what became of it."""
        try:
            await self._insist(route, letter)
        except TemporaryError as error:
            extra = {"sink": route.name, "why": str(error)}
            log.warning("what a sink did not take is given up", extra=extra)
            return "dropped"
        except PermanentError as error:
            extra = {"sink": route.name, "why": str(error)}
            log.warning("a sink refuses what it is sent", extra=extra)
            return "refused"
        if route.is_down:
            route.is_down = False
            log.info("a sink takes what it is sent again", extra={"sink": route.name})
        return "delivered"

    async def _insist(self, route: _Route, letter: _Letter) -> None:
        """Send it again and again while that may help, a day at most."""
        try:
            await self._send(route, letter)
        except TemporaryError as error:
            failed = [error]
        else:
            return  # nearly always, and to prepare for more costs as much as to send

        async def send() -> None:
            if failed:
                raise failed.pop()  # the first attempt, which has been made
            await self._send(route, letter)

        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_delay(self._give_up),
            wait=self._pause,
            retry=tenacity.retry_if_exception_type(TemporaryError),
            before_sleep=lambda state: self._notice(route, str(_error(state))),
            reraise=True,
        )
        await attempts(send)

    async def _send(self, route: _Route, letter: _Letter) -> None:
        async with route.slots:
            await route.sink.send(letter.body)

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """Growing, half of it left to chance; what the sink asks for, where that is longer."""
        error = _error(state)
        asked = error.retry_after if isinstance(error, TemporaryError) else None
        grown = tenacity.wait_random_exponential(multiplier=self._soonest, max=LATEST_SECONDS)
        return max(grown(state), min(asked or 0.0, LATEST_SECONDS))

    def _notice(self, route: _Route, why: str) -> None:
        """Say once that a sink is in trouble, not for each of its letters."""
        if not route.is_down:
            route.is_down = True
            extra = {"sink": route.name, "why": why}
            log.warning("a sink does not take what it is sent", extra=extra)

    def _count(self, route: _Route, change: int) -> None:
        route.waiting += change
        self._metrics.show_waiting(route.name, route.waiting)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
