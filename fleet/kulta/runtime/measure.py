"""The latest answers of the metrics sources, in memory, asked for in the background.

`reconcile` hands over the queries of a plan and goes on: a source that hangs delays neither a
deadline nor a person's rollback. When an answer is there the Rollout's key is put into the queue
and the next look holds it. At most one query per distinct text is under way for each Rollout.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from fleet.api.names import Key
from fleet.errors import TemporaryError
from fleet.kulta.core.actions import Query
from fleet.kulta.core.observed import Measurement
from fleet.ports import Clock, MetricSource

KEPT = 256
"""Answers kept for each Rollout: two rounds of the largest analysis (20 metrics, 5 texts each), so
that nothing is lost before it is judged. Texts change with the age of a step, the old ones fade."""


class Measurements:
    """`ask`, then `of`; `answered` is called with the key when an answer has come."""

    def __init__(
        self,
        source: MetricSource,
        clock: Clock,
        answered: Callable[[Key], None],
        *,
        inflight: int = 20,
    ) -> None:
        self._source = source
        self._clock = clock
        self._answered = answered
        self._slots = asyncio.Semaphore(inflight)
        self._known: dict[Key, dict[str, Measurement]] = {}
        self._asking: dict[tuple[Key, str], asyncio.Task[None]] = {}

    def of(self, key: Key) -> Mapping[str, Measurement]:
        """Query text → its latest answer."""
        return self._known.get(key, {})

    def ask(self, key: Key, queries: Iterable[Query]) -> None:
        """Start every query whose text is not under way; returns at once."""
        for query in queries:
            mark = (key, query.text)
            if mark not in self._asking:
                self._asking[mark] = asyncio.create_task(self._answer(key, query))

    def forget(self, key: Key) -> None:
        """The Rollout is gone."""
        self._known.pop(key, None)

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, key: Key, query: Query) -> None:
        value, error = None, ""
        try:
            async with self._slots:
                value = await self._source.query(query.address, query.text)
        except TemporaryError as problem:
            error = str(problem)
        finally:
            del self._asking[key, query.text]
        self._remember(key, query.text, value, error)
        self._answered(key)

    def _remember(self, key: Key, text: str, value: float | None, error: str) -> None:
        known = self._known.setdefault(key, {})
        known.pop(text, None)
        known[text] = Measurement(query=text, value=value, error=error, at=self._clock.now())
        while len(known) > KEPT:
            del known[next(iter(known))]
