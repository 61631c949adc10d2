"""A load generator bounded in rate, time and number, which tells how each version answered.

Demo and tests point it at the gateway. It is open-loop: requests start by the clock, not by the
answers; when all connections are busy a request is counted as missed instead of piling up. It stops
by itself.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import aiohttp

NOBODY = "(no version)"
"""The version of an answer that no application gave: gateway errors, refused connections."""
LONGEST_WORD = 200
"""Characters of a failure that are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it ended (monotonic), who answered, how, after how many seconds; and the
    beginning of what a failure said."""

    at: float
    version: str
    status: int
    seconds: float
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one version did in a window; latencies in seconds."""

    count: int
    errors: int
    mean: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send: `rate` per second for `duration` seconds, at most `total` requests."""

    url: str
    host: str
    rate: float = 50.0
    duration: float = 60.0
    total: int | None = None
    connections: int = 16
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 10.0

    @property
    def most(self) -> int:
        """The number of requests after which it ends, whatever happens."""
        allowed = int(self.rate * self.duration)
        return allowed if self.total is None else min(self.total, allowed)


class LoadGenerator:
    """Runs one Load; `answers` grows meanwhile, `missed` counts what found no free connection."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.answers: list[Answer] = []
        self.missed = 0
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End early; `run` returns when the open requests are answered."""
        self._stopped.set()

    async def run(self) -> None:
        """Send the load; returns after its duration, its total or `stop`."""
        load = self.load
        connector = aiohttp.TCPConnector(limit=load.connections, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=load.timeout)
        headers = {"Host": load.host, **dict(load.headers)}
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session,
            asyncio.TaskGroup() as tasks,
        ):
            begin, running = time.monotonic(), set[asyncio.Task[None]]()
            for number in range(load.most):
                if await self._pause(begin + number / load.rate - time.monotonic()):
                    return
                if len(running) >= load.connections:
                    self.missed += 1
                    continue
                task = tasks.create_task(self._request(session))
                running.add(task)
                task.add_done_callback(running.discard)

    async def _pause(self, seconds: float) -> bool:
        """Sleep unless late; True when stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), max(seconds, 0))
        return self._stopped.is_set()

    async def _request(self, session: aiohttp.ClientSession) -> None:
        begin = time.monotonic()
        version, status, said = NOBODY, 0, ""
        try:
            async with session.get(self.load.url) as response:
                body = await response.read()
                version, status = response.headers.get("X-Version", NOBODY), response.status
                said = body[:LONGEST_WORD].decode(errors="replace") if status >= 500 else ""
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            said = repr(error)[:LONGEST_WORD]
        now = time.monotonic()
        self.answers.append(Answer(now, version, status, now - begin, said))

    def window(self, since: float = 0.0, until: float = float("inf")) -> list[Answer]:
        """The answers that ended in [since, until), monotonic seconds."""
        return [answer for answer in self.answers if since <= answer.at < until]

    def tallies(self, since: float = 0.0, until: float = float("inf")) -> dict[str, Tally]:
        """Per version: count, errors (5xx or no answer), mean and 95th percentile of latency."""
        found: dict[str, list[Answer]] = {}
        for answer in self.window(since, until):
            found.setdefault(answer.version, []).append(answer)
        return {version: _tally(answers) for version, answers in sorted(found.items())}

    def share(self, since: float = 0.0, until: float = float("inf")) -> dict[str, float]:
        """Per version the share of answers in 0…1; empty when there were none."""
        tallies = self.tallies(since, until)
        count = sum(tally.count for tally in tallies.values())
        return {version: tally.count / count for version, tally in tallies.items()}


def _tally(answers: list[Answer]) -> Tally:
    ordered = sorted(answer.seconds for answer in answers)
    return Tally(
        count=len(answers),
        errors=sum(answer.status == 0 or answer.status >= 500 for answer in answers),
        mean=sum(ordered) / len(ordered),
        p95=ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))],
    )
