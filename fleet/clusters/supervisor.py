"""A cluster is a lifetime: engaging it opens a task group, leaving it ends every watch.

Called by the hub's `membership`. Each cluster has its own task, client, informers and back-off; a
cluster that fails is started again alone, and nothing of one is awaited by another.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from fleet import aio
from fleet.api.names import ClusterName
from fleet.clusters.client import Client
from fleet.clusters.config import ClientConfig
from fleet.clusters.handles import Handle
from fleet.clusters.watch import Informer

MEETING_SECONDS = 2.0
"""The longest that the watches of a cluster wait for whoever meets it: whether one that does not
answer has come back is for them to notice."""

Connect = Callable[[ClusterName, ClientConfig], Client]
Equip = Callable[[ClusterName, Client], Sequence[Informer[Any]]]


class Supervisor:
    """`connect` makes a cluster's client, `equip` the informers that run while it is engaged.

    An async context manager: leaving it leaves all clusters. `handles` are the engaged ones.
    """

    def __init__(self, *, connect: Connect, equip: Equip) -> None:
        self.handles: dict[ClusterName, Handle] = {}
        self._connect, self._equip = connect, equip
        self._tasks: dict[ClusterName, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in tuple(self._tasks):
            await self.disengage(name)

    async def engage(
        self, name: ClusterName, config: ClientConfig, *, is_met: bool = True
    ) -> Handle:
        """Watch the cluster over `config`; one that is new and not `is_met` from when its handle
        says so, or soon.

        The same `config` changes nothing. Other credentials for the same server keep what is known
        and reconnect with them. Another server is another cluster: known objects are forgotten.
        When `connect` or `equip` raises, the cluster is not engaged at all.
        """
        if handle := self.handles.get(name):
            if handle.client.config == config:
                return handle
            await self._stop(name)
            if handle.client.config.is_same_server(config):
                handle.client.reconfigure(config)
                self._start(handle)
                return handle
            del self.handles[name]
        client = self._connect(name, config)
        informers = {informer.resource: informer for informer in self._equip(name, client)}
        handle = Handle(name=name, client=client, informers=informers)
        if is_met:
            handle.met.set()
        self.handles[name] = handle
        self._start(handle)
        return handle

    async def disengage(self, name: ClusterName) -> None:
        """End the cluster's watches and forget it; nothing happens if it is not engaged."""
        self.handles.pop(name, None)
        await self._stop(name)

    def _start(self, handle: Handle) -> None:
        task = asyncio.create_task(
            aio.supervise(handle.name, lambda: _serve(handle)), name=f"cluster {handle.name}"
        )
        self._tasks[handle.name] = task

    async def _stop(self, name: ClusterName) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            await aio.cancel(task)


async def _serve(handle: Handle) -> None:
    """Run the informers until cancelled; when one raises, all end and the supervisor restarts."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MEETING_SECONDS):
            await handle.met.wait()
    async with asyncio.TaskGroup() as group:
        for informer in handle.informers.values():
            group.create_task(informer.run(), name=f"{handle.name} {informer.resource.plural}")
