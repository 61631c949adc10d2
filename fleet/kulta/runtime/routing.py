"""Routes: the stores of all kinds of objects that divide traffic, each watched while it is served.

Owned by `observe`. A kind that the cluster does not know costs a watch of its definition and
nothing else, and a kind that we may not see keeps nobody from starting: whoever needs it is told.
Never decides, never writes.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fleet import aio
from fleet.api import names
from fleet.api.names import Key, Resource
from fleet.clusters.client import Client
from fleet.clusters.store import Change, Index
from fleet.clusters.watch import Informer
from fleet.errors import FleetError
from fleet.kulta.core import divisions
from fleet.kulta.core.routers import ROUTERS
from fleet.kulta.core.routers.base import Place, Target
from fleet.kulta.runtime import decode
from fleet.kulta.runtime.references import References
from fleet.kulta.runtime.served import Served

Manifest = dict[str, Any]
Asked = tuple[str, str, str]
"""Kind, namespace and name of a route."""

SYNC_SECONDS = 10.0
"""How long a start waits for kinds that might not be allowed to be seen."""


@dataclass(eq=False, slots=True, kw_only=True)
class Watched:
    """One kind. `error` is why nothing has been seen lately; empty when something has."""

    informer: Informer[Manifest]
    served: Served
    error: str = ""


class Routes:
    """See the module."""

    def __init__(self, kube: Client, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._users: References[Key, Asked] = References()
        """Rollouts by what they ask for: kind, namespace and name; no name: by labels."""
        self._kinds: dict[str, set[Key]] = {kind: set() for kind in names.ROUTES}
        """Rollouts by the kinds that they ask for."""
        self._weighted: References[Asked, Key] = References()
        """Routes, by the Rollouts whose weights they hold."""
        self._spaces = {kind: Index[Manifest](lambda key, _: key[0]) for kind in names.ROUTES}
        """Routes by their namespaces."""
        self.kinds = {kind: self._watched(kube, names.ROUTES[kind]) for kind in names.ROUTES}

    def _watched(self, kube: Client, resource: Resource) -> Watched:
        informer = Informer(
            kube,
            resource,
            decode=decode.route(resource),
            on=lambda change: self._changed(resource.kind, change),
            on_error=lambda error: self._failed(resource.kind, error),
        )
        return Watched(informer=informer, served=Served(kube, resource))

    async def run(self) -> None:
        """Watch every kind while it is served, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for kind, item in self.kinds.items():
                tasks.create_task(item.served.run())
                tasks.create_task(self._follow(kind, item))

    async def synced(self) -> None:
        """Until every kind that is served has been seen once, or 10 s are over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SYNC_SECONDS):
                for item in self.kinds.values():
                    await item.served.looked()
                    if item.served.is_now:
                        await item.informer.synced.wait()

    def refer(self, rollout: Key, targets: Iterable[Target]) -> None:
        """`rollout` asks for exactly these; their changes wake it from now on."""
        named = frozenset((item.kind, rollout[0], item.name) for item in targets)
        self._users.put(rollout, named)
        for kind, users in self._kinds.items():
            is_user = any(item[0] == kind for item in named)
            (users.add if is_user else users.discard)(rollout)

    def of(self, rollout: Key, targets: Iterable[Target]) -> dict[Place, Manifest]:
        """What it asks for, and what still has its weights."""
        held = {(kind, name) for kind, _, name in self._weighted.users(rollout)}
        near = {
            (target.kind, name): route
            for target in targets
            for (_, name), route in self._spaces[target.kind].get(rollout[0]).items()
            if not target.name
        }
        asked = divisions.places(targets, near)
        found: dict[Place, Manifest] = {}
        for kind, name in sorted({*held, *asked}):
            route = self.kinds[kind].informer.store.get((rollout[0], name))
            if route is not None:
                found[kind, name] = route
        return found

    def unserved(self, targets: Iterable[Target]) -> frozenset[str]:
        """Kinds among those asked for that the cluster does not know."""
        kinds = {item.kind: self.kinds[item.kind].served for item in targets}
        return frozenset(kind for kind, x in kinds.items() if x.has_looked and not x.is_now)

    def unseen(self, targets: Iterable[Target]) -> dict[str, str]:
        """Kinds among those asked for of which nothing has been seen yet, and why."""
        kinds = {item.kind: self.kinds[item.kind] for item in targets}
        return {kind: x.error for kind, x in kinds.items() if not x.informer.synced.is_set()}

    def forget(self, rollout: Key) -> None:
        """The Rollout is gone."""
        self.refer(rollout, ())

    @property
    def informers(self) -> Mapping[Resource, Informer[Manifest]]:
        """The stores, for the answers to our own writes."""
        return {item.informer.resource: item.informer for item in self.kinds.values()}

    async def _follow(self, kind: str, item: Watched) -> None:
        while True:
            await item.served.begun()
            watching = asyncio.create_task(item.informer.run())
            try:
                await item.informer.synced.wait()
                self._tell(kind)
                await item.served.ended()
            finally:
                await aio.cancel(watching)
            self._tell(kind)

    def _tell(self, kind: str) -> None:
        for rollout in tuple(self._kinds[kind]):
            self._wake(rollout)

    def _failed(self, kind: str, error: FleetError) -> None:
        known, self.kinds[kind].error = self.kinds[kind].error, str(error)
        if not known:
            self._tell(kind)

    def _changed(self, kind: str, change: Change[Manifest]) -> None:
        holders = frozenset[Key]()
        if change.new is not None:
            kept = ROUTERS[kind].kept(change.new)
            holders = frozenset((change.key[0], name) for name in kept)
        self._weighted.put((kind, *change.key), holders)
        self._spaces[kind].update(change)
        # Who asks by labels has no name: any change may concern them.
        asking = {key for name in (change.key[1], "") for key in self._askers(kind, change, name)}
        for key in asking | holders:
            self._wake(key)

    def _askers(self, kind: str, change: Change[Manifest], name: str) -> Iterable[Key]:
        return self._users.users((kind, change.key[0], name))
