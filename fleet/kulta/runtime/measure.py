"""The latest answers of the metrics sources, in memory, asked for in the background.

`reconcile` hands over the queries of a plan and goes on: a source that hangs delays neither a
deadline nor a person's rollback. When an answer is there the Rollout's key is put into the queue
and the next look holds it. At most one query per distinct text is under way for each Rollout.

Queries wait for their own server only: of each, ten are under way at once. Where one gets no answer
in time, the Rollout's other queries to that server that still wait share its fate at once, so that
a round at a dead server takes as long as one query.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from fleet import aio
from fleet.api.names import Key
from fleet.clusters import web
from fleet.errors import TemporaryError, Unanswered
from fleet.kulta.core.observed import Measurement, Query
from fleet.ports import Clock

KEPT = 256
"""Answers kept for each Rollout: two rounds of the largest analysis (20 metrics, 6 texts each), so
that nothing is lost before it is judged. Texts change with the age of a step, the old ones fade."""


EACH, ALL = 10, 200
"""Queries under way at one server, and at all of them."""

Lane = tuple[Key, str]
"""A Rollout's queries to one server."""


class Source(Protocol):
    """Answers queries with one number each."""

    async def query(self, namespace: str, query: Query) -> float | None:
        """The value, None when there is no data; raises TemporaryError with a sentence otherwise,
        Unanswered when it took too long. A Secret that is named is one of `namespace`."""


class Measurements:
    """`ask`, then `of`; `answered` is called with the key when an answer has come."""

    def __init__(
        self,
        source: Source,
        clock: Clock,
        answered: Callable[[Key], None],
    ) -> None:
        self._source = source
        self._clock = clock
        self._answered = answered
        self._all = asyncio.Semaphore(ALL)
        self._servers: dict[str, tuple[asyncio.Semaphore, int]] = {}
        """Server → its slots, and how many queries hold or await one."""
        self._silences: dict[Lane, tuple[int, str]] = {}
        """How often a query found no answer in time, and the sentence about the last one."""
        self._known: dict[Key, dict[Query, Measurement]] = {}
        self._asking: dict[tuple[Key, Query], asyncio.Task[None]] = {}

    def of(self, key: Key) -> Mapping[Query, Measurement]:
        """Its latest answer."""
        return self._known.get(key, {})

    def ask(self, key: Key, queries: Iterable[Query]) -> None:
        """Start every query that is not under way; returns at once."""
        for query in queries:
            mark = (key, query)
            if mark not in self._asking:
                self._asking[mark] = asyncio.create_task(self._answer(key, query))

    def forget(self, key: Key) -> None:
        """The Rollout is gone."""
        self._known.pop(key, None)
        for lane in [item for item in self._silences if item[0] == key]:
            del self._silences[lane]

    async def close(self) -> None:
        """End what is under way."""
        await aio.cancel(*self._asking.values())

    async def _answer(self, key: Key, query: Query) -> None:
        value, error = None, ""
        try:
            value = await self._asked(key, query)
        except TemporaryError as problem:
            error = str(problem)
        finally:
            del self._asking[key, query]
        self._remember(key, query, value, error)
        self._answered(key)

    async def _asked(self, key: Key, query: Query) -> float | None:
        server = web.site(query.address)
        lane = (key, server)
        before, _ = self._silences.get(lane, (0, ""))
        async with self._slot(server):
            count, sentence = self._silences.get(lane, (0, ""))
            if count != before:
                raise TemporaryError(sentence)
            try:
                return await self._source.query(key[0], query)
            except Unanswered as error:
                self._silences[lane] = (count + 1, str(error))
                raise

    @asynccontextmanager
    async def _slot(self, server: str) -> AsyncIterator[None]:
        """One of the server's, then one of all: who waits for a server takes nobody else's."""
        slots, users = self._servers.get(server) or (asyncio.Semaphore(EACH), 0)
        self._servers[server] = (slots, users + 1)
        try:
            async with slots, self._all:
                yield
        finally:
            slots, users = self._servers.pop(server)
            if users > 1:
                self._servers[server] = (slots, users - 1)

    def _remember(self, key: Key, query: Query, value: float | None, error: str) -> None:
        known, now = self._known.setdefault(key, {}), self._clock.now()
        known.pop(query, None)
        known[query] = Measurement(query=query.shown, value=value, error=error, at=now)
        while len(known) > KEPT:
            del known[next(iter(known))]
