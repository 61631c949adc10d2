"""What one hub process shares: its stores, links, queues and ports.

Built by `wiring.hub`, handed to every function of this package. It decides nothing; what waits
here are the workers of the queues.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fleet import aio, turns
from fleet.api import Application, ClusterRollout, Fleet, FleetRollout, MemberCluster
from fleet.api.meta import Object
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    MEMBERCLUSTERS,
    Key,
    Resource,
)
from fleet.api.sharing import Shared
from fleet.clusters.store import Index, Store
from fleet.clusters.supervisor import Supervisor
from fleet.hub.core import phases
from fleet.hub.runtime.hooks import Hooks
from fleet.hub.runtime.links import Links
from fleet.hub.runtime.renders import Renders
from fleet.hub.runtime.verdicts import Verdicts
from fleet.ports import Clock, Kube, Recorder
from fleet.rendering.tenant import Own
from fleet.telemetry.metrics import HubMetrics
from fleet.telemetry.timers import Timers


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineWish:
    """The engine that managed members get unless they name an image."""

    image: str
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Stores:
    """The hub's objects by namespace and name."""

    memberclusters: Store[MemberCluster] = field(
        default_factory=lambda: Store(MEMBERCLUSTERS, MemberCluster.parse)
    )
    fleets: Store[Fleet] = field(default_factory=lambda: Store(FLEETS, Fleet.parse))
    applications: Store[Application] = field(
        default_factory=lambda: Store(APPLICATIONS, Application.parse)
    )
    clusters_of: Index[MemberCluster] = field(
        default_factory=lambda: Index(
            lambda key, one: (key[0], one.spec.kubeconfig.secret_ref.name)
        )
    )
    """By the key of the Secret that they name."""
    clusters_as: Index[MemberCluster] = field(
        default_factory=lambda: Index(lambda key, one: (key[0], one.status.uid))
    )
    """By namespace and the identity that was reported last."""
    departed: dict[Key, Application] = field(default_factory=dict)
    """Those that are gone, as they were last, until their clusters have learnt what they said."""
    runs: Store[FleetRollout] = field(
        default_factory=lambda: Store(FLEETROLLOUTS, FleetRollout.parse)
    )
    runs_of: Index[FleetRollout] = field(
        default_factory=lambda: Index(lambda key, run: (key[0], run.spec.application.name))
    )
    """By (namespace, Application)."""
    items: Store[ClusterRollout] = field(
        default_factory=lambda: Store(CLUSTERROLLOUTS, ClusterRollout.parse)
    )
    """ClusterRollouts: the store of their informer."""
    items_of: Index[ClusterRollout] = field(
        default_factory=lambda: Index(lambda key, item: (key[0], item.spec.application))
    )
    items_on: Index[ClusterRollout] = field(
        default_factory=lambda: Index(lambda key, item: (key[0], item.spec.cluster))
    )
    doubt: aio.Alarm = field(default_factory=aio.Alarm)
    """Rung where the stores may be ahead of the API server: compare all."""
    secrets: Mapping[Key, str] = field(default_factory=dict)
    """Versions of the kubeconfig Secrets that carry our label; their content is never kept."""

    templates: Mapping[Key, Own] = field(default_factory=dict)
    """What the ConfigMaps hold that carry our label."""

    @property
    def watched(self) -> tuple[Store[Any], ...]:
        """The stores that kopf's events feed."""
        return (self.memberclusters, self.fleets, self.applications, self.runs)

    def active(self, namespace: str, application: str) -> tuple[FleetRollout, ...]:
        """The runs of an Application that have not ended."""
        runs = self.runs_of.get((namespace, application)).values()
        return tuple(run for run in runs if run.status.phase not in phases.ENDS)


RUN_SECONDS = 0.1
"""Least time between two looks at a run, and so between two writes of its status, and between two
looks at an Application."""


FLEET_SECONDS = 0.5
"""The same for a Fleet, which counts its members: a thousand may connect one after another."""


def _member(key: Key) -> Key:
    """That of a ClusterRollout; `<application>.<cluster>` names it."""
    return key[0], key[1].rpartition(".")[2]


class Dispatches:
    """Work queues of ClusterRollouts, one per member: a slow or dead one delays nobody else."""

    CONCURRENCY = 4

    def __init__(self) -> None:
        self._queues: dict[Key, aio.WorkQueue[Key]] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._handle: Callable[[Key], Awaitable[None]] | None = None
        self._glance: Callable[[Key], None] | None = None

    def add(self, key: Key, *, first: bool = False) -> None:
        """Reconcile that ClusterRollout soon; `first` before all others of its member."""
        self.queue(key).add(key, first=first)
        if self._glance is not None:
            self._glance(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """The same in `seconds`, unless it is due earlier."""
        self.queue(key).add_after(key, seconds)

    def retry(self, key: Key, *, at_least: float = 0.0) -> float:
        """The same after its back-off, `at_least` so many seconds; returns them."""
        return self.queue(key).retry(key, at_least=at_least)

    def queue(self, key: Key) -> aio.WorkQueue[Key]:
        """The queue of that ClusterRollout's member."""
        member = _member(key)
        if member not in self._queues:
            self._queues[member] = aio.WorkQueue(concurrency=self.CONCURRENCY)
            if self._handle is not None:
                self._open(member)
        return self._queues[member]

    async def sift(
        self, is_known: Callable[[Key], bool], is_done: Callable[[Key], Awaitable[bool]]
    ) -> None:
        """Before `run`, until cancelled: ask `is_done` once for each key that is added when it
        `is_known`, and again when there is news of it. Where nothing is left to do it waits no
        longer."""
        early = aio.WorkQueue[Key](concurrency=1)

        async def look(key: Key) -> None:
            queue = self._queues.get(_member(key))  # none where the member is gone
            if queue is not None and queue.is_waiting(key) and await is_done(key):
                queue.drop(key)

        def glance(key: Key) -> None:
            if is_known(key):
                early.add(key)

        self._glance = glance
        try:
            await early.run(look)
        finally:
            self._glance = None

    async def run(self, handle: Callable[[Key], Awaitable[None]]) -> None:
        """Handle keys of all members until cancelled."""
        self._handle = handle
        for member in self._queues:
            self._open(member)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._handle = None
            await aio.cancel(*self._tasks.values())
            self._tasks.clear()

    async def close(self, member: Key) -> None:
        """The member is gone and nothing is left of it."""
        self._queues.pop(member, None)
        if task := self._tasks.pop(member, None):
            await aio.cancel(task)

    def _open(self, member: Key) -> None:
        if self._handle is not None:
            run = self._queues[member].run(self._handle)
            self._tasks[member] = asyncio.create_task(run, name=f"dispatch {member[1]}")


@dataclass(eq=False, slots=True)
class Queues:
    """What is to be reconciled, by kind."""

    members: aio.WorkQueue[Key] = field(
        default_factory=lambda: aio.WorkQueue(concurrency=128, base=0.5, cap=60.0)
    )
    """Many at once: each may wait for a dead member."""
    fleets: aio.WorkQueue[Key] = field(
        default_factory=lambda: aio.WorkQueue(concurrency=4, calm=FLEET_SECONDS)
    )
    applications: aio.WorkQueue[Key] = field(
        default_factory=lambda: aio.WorkQueue(concurrency=8, calm=RUN_SECONDS)
    )
    runs: aio.WorkQueue[Key] = field(
        default_factory=lambda: aio.WorkQueue(concurrency=16, calm=RUN_SECONDS)
    )
    """The first news of a run is acted on at once, a storm of them ten times a second."""
    dispatches: Dispatches = field(default_factory=Dispatches)


@dataclass(eq=False, slots=True, kw_only=True)
class Context:
    """Everything a reconcile needs."""

    kube: Kube
    """The hub's own API server."""
    clock: Clock
    recorder: Recorder
    metrics: HubMetrics
    renders: Renders
    engine: EngineWish
    supervisor: Supervisor
    hooks: Hooks
    line: turns.Line = field(default_factory=turns.Line)
    """Where every look at a key and every request stands in line: a restart begins a hundred
    thousand, and whatever is due beside them, such as the renewal of the Lease, waits for one."""
    parts: Shared = field(default_factory=Shared)
    """What ClusterRollouts and Rollouts, of which there are most, have in common."""
    identity: str = ""
    """uid of the hub's kube-system, who fences the writes into members; known before any."""
    stores: Stores = field(default_factory=Stores)
    links: Links = field(init=False)
    queues: Queues = field(default_factory=Queues)
    timers: Timers = field(init=False)
    verdicts: Verdicts = field(init=False)

    def __post_init__(self) -> None:
        self.links = Links(self.clock)
        self.timers = Timers(self.metrics, self.clock)
        self.verdicts = Verdicts(self.clock)

    def now(self) -> datetime:
        """The present."""
        return self.clock.now()

    def tell(
        self, resource: Resource, item: Object[Any, Any], events: Sequence[tuple[str, str, str]]
    ) -> None:
        """Events (kind, reason, message) about one of the hub's own objects."""
        if not events:
            return
        about = {**resource.head, "metadata": item.metadata.manifest()}
        for kind, reason, message in events:
            self.recorder.event(about, kind=kind, reason=reason, message=message)

    def wake(self, queue: aio.WorkQueue[Key], key: Key, moment: datetime | None) -> None:
        """A look went well: look at that key again at `moment`, if there is one."""
        queue.forget(key)
        if moment is not None:
            queue.add_after(key, (moment - self.clock.now()).total_seconds() + 0.001)
