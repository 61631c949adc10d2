"""Seeing what happens the moment it happens: a watch that resolves what is waited for.

Used by the benchmarks, because asking in a loop would measure the loop and load the machine.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fleet.api.names import Resource
from fleet.clusters.client import Client
from fleet.clusters.store import Change
from fleet.clusters.watch import Informer

Manifest = dict[str, Any]
LIMIT = 60.0
"""Seconds to wait for anything."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """An object as it was seen, and when (seconds of the wall clock, as in an audit log)."""

    at: float
    manifest: Manifest


@dataclass(eq=False, slots=True)
class Watch:
    """All objects of one kind. `run` it beside; waiting begins to count when `when` is called."""

    client: Client
    resource: Resource
    namespace: str | None = None
    informer: Informer[Manifest] = field(init=False)
    _waiting: list[tuple[Callable[[Manifest], bool], "asyncio.Future[Sighting]"]] = field(
        default_factory=list
    )

    def __post_init__(self) -> None:
        self.informer = Informer(
            self.client,
            self.resource,
            decode=dict,
            on=self._see,
            namespace=self.namespace,
        )

    async def run(self) -> None:
        """Watch until cancelled."""
        await self.informer.run()

    def when(self, wanted: Callable[[Manifest], bool]) -> "asyncio.Future[Sighting]":
        """The first sighting of a wanted object; one that is there already counts as seen now."""
        future: asyncio.Future[Sighting] = asyncio.get_running_loop().create_future()
        for manifest in self.informer.store.values():
            if wanted(manifest):
                future.set_result(Sighting(time.time(), manifest))
                return future
        self._waiting.append((wanted, future))
        return future

    async def seen(self, wanted: Callable[[Manifest], bool], what: str) -> Sighting:
        """`when`, awaited. Raises TimeoutError naming `what`."""
        return await patiently(self.when(wanted), what)

    def _see(self, change: Change[Manifest]) -> None:
        now = time.time()
        if change.new is None:
            return
        for wanted, future in tuple(self._waiting):
            if future.done() or wanted(change.new):
                self._waiting.remove((wanted, future))
                if not future.done():
                    future.set_result(Sighting(now, change.new))


async def patiently(future: "asyncio.Future[Sighting]", what: str) -> Sighting:
    """Await a sighting. Raises TimeoutError naming `what` after a minute."""
    try:
        return await asyncio.wait_for(future, LIMIT)
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {LIMIT:g} s") from None
