"""Deployments: the store of those whose templates Rollouts take, watched once somebody takes one.

Owned by `observe`. An engine whose Rollouts have templates of their own never asks for Deployments,
and where they may not be seen nobody else waits. Never decides, never writes.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fleet.api import names
from fleet.api.names import Key
from fleet.clusters.client import Client
from fleet.clusters.store import Change
from fleet.clusters.watch import Informer
from fleet.errors import FleetError
from fleet.kulta.core.observed import Workload
from fleet.kulta.runtime import decode
from fleet.kulta.runtime.references import References


class Workloads:
    """See the module."""

    def __init__(
        self, kube: Client, wake: Callable[[Key], None], namespace: str | None = None
    ) -> None:
        self._wake = wake
        self._users: References[Key, Key] = References()
        """Rollouts by the Deployments that they name."""
        self._asked = asyncio.Event()
        self._error = ""
        """Why none has been seen lately; empty when one has."""
        self.informer = Informer(
            kube,
            names.DEPLOYMENTS,
            decode=decode.workload,
            on=self._changed,
            namespace=namespace,
            on_error=self._failed,
        )

    async def run(self) -> None:
        """Watch from the moment on when somebody names one, until cancelled."""
        await self._asked.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.informer.run())
            await self.informer.synced.wait()
            self._tell()

    def refer(self, rollout: Key, named: Iterable[str]) -> None:
        """`rollout` names exactly these; their changes wake it from now on."""
        keys = frozenset((rollout[0], name) for name in named)
        self._users.put(rollout, keys)
        if keys:
            self._asked.set()

    def of(self, namespace: str, named: Iterable[str]) -> Mapping[str, Workload]:
        """Those that are there, by name."""
        found = {name: self.informer.store.get((namespace, name)) for name in named}
        return {name: item for name, item in found.items() if item is not None}

    @property
    def unseen(self) -> str | None:
        """Why nothing has been seen yet, empty while it has just begun; None when it has."""
        return None if self.informer.synced.is_set() else self._error

    def forget(self, rollout: Key) -> None:
        """The Rollout is gone: whoever waited for what it held may have it."""
        named = self._users.named(rollout)
        self._users.put(rollout, frozenset())
        for user in {user for key in named for user in self._users.users(key)}:
            self._wake(user)

    def _tell(self) -> None:
        for key in self._users.all():
            self._wake(key)

    def _failed(self, error: FleetError) -> None:
        known, self._error = self._error, str(error)
        if not known and self.unseen is not None:
            self._tell()

    def _changed(self, change: Change[Workload]) -> None:
        if _meaning(change.old) != _meaning(change.new):
            for key in self._users.users(change.key):
                self._wake(key)


def _meaning(item: Workload | None) -> Any:
    """What matters of a Deployment; its version alone does not."""
    if item is None:
        return None
    parts = (item.generation, item.replicas, item.ready, item.holder, item.original)
    return item.uid, item.is_going, item.is_current, parts
