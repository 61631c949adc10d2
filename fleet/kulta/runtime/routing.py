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
from fleet.api.meta import Manifest
from fleet.api.names import Key, Resource
from fleet.clusters.client import Client
from fleet.clusters.store import Change, Index
from fleet.clusters.watch import Informer
from fleet.errors import FleetError
from fleet.kulta.core.routers import ROUTERS
from fleet.kulta.core.routers.base import Place, Target
from fleet.kulta.core.serving import divisions
from fleet.kulta.runtime import decode
from fleet.kulta.runtime.references import References
from fleet.kulta.runtime.served import Served

Asked = tuple[str, str, str]
"""Kind, namespace and name of a route."""

SYNC_SECONDS = 10.0
"""How long a start waits for kinds that might not be allowed to be seen."""


class Demand:
    """What `Served` is for kinds that every cluster knows, and for all where definitions may not be
    looked at: they are watched from the moment on when somebody asks for one, or, of kinds that
    have them, one of ours is left from before."""

    has_looked = False
    """It is never known that there is no such kind."""

    def __init__(self, kube: Client, resource: Resource, namespace: str | None = None) -> None:
        self._asked = asyncio.Event()
        self._has_ours = resource is names.INGRESSES
        self.ours = Informer(
            kube,
            resource,
            decode=lambda manifest: True,
            on=lambda change: self.ask(),
            namespace=namespace,
            selector=f"{names.MANAGED_LABEL}=true",
        )

    @property
    def is_now(self) -> bool:
        return self._asked.is_set()

    def ask(self) -> None:
        """Somebody needs it."""
        self._asked.set()

    async def run(self) -> None:
        """Look for ours until cancelled."""
        await (self.ours.run() if self._has_ours else asyncio.Event().wait())

    async def looked(self) -> None:
        """Nobody has to wait for it."""

    async def begun(self) -> None:
        """Until somebody has asked."""
        await self._asked.wait()

    async def ended(self) -> None:
        """Never."""
        await asyncio.Event().wait()


@dataclass(eq=False, slots=True, kw_only=True)
class Watched:
    """One kind. `error` is why nothing has been seen lately; empty when something has."""

    informer: Informer[Manifest]
    served: Served | Demand
    error: str = ""


class Routes:
    """See the module."""

    def __init__(
        self, kube: Client, wake: Callable[[Key], None], namespace: str | None = None
    ) -> None:
        self._wake, self._namespace = wake, namespace
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
        def failed(error: FleetError) -> None:
            self._failed(resource.kind, error)

        informer = Informer(
            kube,
            resource,
            namespace=self._namespace,
            decode=decode.route(resource),
            on=lambda change: self._changed(resource.kind, change),
            on_error=failed,
        )
        served: Served | Demand = Demand(kube, resource, self._namespace)
        if self._namespace is None and resource is not names.INGRESSES:
            served = Served(kube, resource, failed)
        return Watched(informer=informer, served=served)

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
            served = self.kinds[kind].served
            if is_user and isinstance(served, Demand):
                served.ask()

    def of(self, rollout: Key, targets: Iterable[Target]) -> dict[Place, Manifest]:
        """What it asks for, and what still has its weights."""
        held = {(kind, name) for kind, _, name in self._weighted.users(rollout)}
        near = {
            (target.kind, name): route
            for target in targets
            for (_, name), route in self._spaces[target.kind].get(rollout[0]).items()
            if not target.name
        }
        spots = divisions.spots(rollout[1], targets, near)
        asked = {place for spot in spots for place in (spot.named, spot.place)}
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

    def deleted(self, manifest: Mapping[str, Any]) -> None:
        """We have deleted this one."""
        self.kinds[manifest["kind"]].informer.store.end(manifest)

    def forget(self, rollout: Key) -> None:
        """The Rollout is gone."""
        self.refer(rollout, ())

    @property
    def informers(self) -> Mapping[Resource, Informer[Manifest]]:
        """The stores, for the answers to our own writes."""
        return {item.informer.resource: item.informer for item in self.kinds.values()}

    async def _follow(self, kind: str, item: Watched) -> None:
        await item.served.looked()
        self._tell(kind)  # a Rollout that is being deleted waits no more for what there is not
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
        before, holders = (_holders(kind, change.key[0], x) for x in (change.old, change.new))
        self._weighted.put((kind, *change.key), holders)
        self._spaces[kind].update(change)
        # Who asks by labels has no name: any change may concern them.
        asking = {key for name in (change.key[1], "") for key in self._askers(kind, change, name)}
        for key in asking | before | holders:
            self._wake(key)

    def _askers(self, kind: str, change: Change[Manifest], name: str) -> Iterable[Key]:
        return self._users.users((kind, change.key[0], name))


def _holders(kind: str, namespace: str, route: Manifest | None) -> frozenset[Key]:
    """Rollouts whose weights a route has, or whose own it is."""
    kept = ROUTERS[kind].kept(route) if route is not None else ()
    return frozenset((namespace, name) for name in kept)
