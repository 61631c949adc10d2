"""An informer at work against the small server, and what it told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fleet.api.names import ROLLOUTS
from fleet.clusters.client import Client
from fleet.clusters.store import Change
from fleet.clusters.watch import Informer
from fleet.errors import FleetError
from tests.clusters.server import Server
from tests.waiting import until

Told = tuple[str, str, int | None, int | None]


class Seen:
    """What an informer told, and a way to wait for it."""

    def __init__(self, client: Client, **more: Any) -> None:
        self.changes: list[Told] = []
        self.errors: list[FleetError] = []
        self.informer: Informer[int] = Informer(
            client, ROLLOUTS, decode=weight, on=self._on, on_error=self.errors.append, **more
        )

    def _on(self, change: Change[int]) -> None:
        self.changes.append((change.type, change.key[1], change.old, change.new))

    def take(self) -> list[Told]:
        """The changes since the last call."""
        taken, self.changes = self.changes, []
        return taken


def weight(manifest: dict[str, Any]) -> int:
    return int(manifest["spec"]["weight"])


@contextlib.asynccontextmanager
async def informing(client: Client, **more: Any) -> AsyncIterator[Seen]:
    seen = Seen(client, **more)
    task = asyncio.create_task(seen.informer.run())
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def watching(server: Server, seen: Seen) -> None:
    """Until the informer has listed and has a watch open, and knows that."""
    informer = seen.informer
    await until(lambda: informer.synced.is_set() and server.watches and informer._is_open)
    seen.informer.synced.clear()


def later(client: Client, seconds: float) -> None:
    """So much time has passed for the client."""
    before = client.monotonic
    client.monotonic = lambda: before() + seconds


async def relisted(seen: Seen) -> None:
    """Until the informer has listed anew since `watching`."""
    await until(seen.informer.synced.is_set)
