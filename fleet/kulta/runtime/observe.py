"""Looks: the stores of everything that belongs to Rollouts, and one frozen look at one of them.

Owned by `wiring.engine`; `reconcile` calls `observe`, `apply` puts the answers to its writes in
(`remember`), so that no look lacks them. Every change of a child wakes the Rollout that it belongs
to: by label for sets and pods, by name for Services, slices and routes. Never decides, never asks.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from fleet.api import names
from fleet.api.names import Key, Resource
from fleet.api.rollout import Rollout
from fleet.clusters.client import Client
from fleet.clusters.store import Change, Index
from fleet.clusters.watch import Informer
from fleet.kulta.core import observed, strategies
from fleet.kulta.core.observed import Observed
from fleet.kulta.core.routers.base import Target
from fleet.kulta.runtime import decode
from fleet.kulta.runtime.decode import Child, Slice
from fleet.kulta.runtime.references import References
from fleet.kulta.runtime.routing import Routes
from fleet.kulta.runtime.workloads import Workloads

T = TypeVar("T")

MANAGED = f"{names.MANAGED_LABEL}=true"
MOMENT_SECONDS = 0.05
"""How long sets and pods that have changed are not listened to: their changes come in bursts, and
to hear each by itself costs more than to understand it."""


class Observer:
    """See the module."""

    def __init__(
        self,
        kube: Client,
        wake: Callable[[Key], None],
        later: Callable[[Key], None] | None = None,
        namespace: str | None = None,
    ) -> None:
        """Sees all namespaces, or one. `later` is called instead of `wake` for what we wrote to a
        set or a pod ourselves: what it brings about wakes by itself."""
        self._wake, self._later = wake, later or wake
        self._is_own = False
        self.bereaved: set[Key] = set()
        """Rollouts that lost a set: perhaps because they were deleted while nobody looked."""
        self._removed: set[str] = set()
        self._sets: Index[Child[observed.ReplicaSet]] = Index(_rollout)
        self._pods: Index[Child[observed.Pod]] = Index(_rollout)
        self._slices: Index[Slice] = Index(lambda _, item: item.service)
        self._managed: Index[observed.Service] = Index(_user)
        self._service_users: References[Key, Key] = References()
        self.replica_sets = Informer(
            kube,
            names.REPLICASETS,
            decode=decode.replica_set,
            on=self._set_changed,
            namespace=namespace,
            selector=MANAGED,
            rest=_moment,
        )
        self.pods = Informer(
            kube,
            names.PODS,
            decode=decode.pod,
            on=self._pod_changed,
            namespace=namespace,
            selector=MANAGED,
            rest=_moment,
        )
        self.services = Informer(
            kube,
            names.SERVICES,
            decode=decode.service,
            on=self._service_changed,
            namespace=namespace,
        )
        self.slices = Informer(
            kube,
            names.ENDPOINTSLICES,
            decode=decode.endpoint_slice,
            on=self._slice_changed,
            namespace=namespace,
            selector=MANAGED,
        )
        self.routes = Routes(kube, wake, namespace)
        self.workloads = Workloads(kube, wake, namespace)

    async def run(self) -> None:
        """Watch everything until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for informer in (self.replica_sets, self.pods, self.services, self.slices):
                tasks.create_task(informer.run())
            tasks.create_task(self.routes.run())
            tasks.create_task(self.workloads.run())

    async def synced(self) -> None:
        """Until everything has been seen once."""
        for informer in (self.replica_sets, self.pods, self.services, self.slices):
            await informer.synced.wait()
        await self.routes.synced()

    def observe(
        self,
        rollout: Rollout,
        measurements: Mapping[observed.Query, observed.Measurement],
        default_prometheus: str = "",
    ) -> Observed:
        """One look at everything that belongs to `rollout`."""
        key, uid = (rollout.namespace, rollout.name), rollout.metadata.uid
        services, targets = self._refer(rollout)
        named = _named(rollout)
        self.workloads.refer(key, named)
        sets = tuple(
            child.value
            for child in self._sets.of(key)
            if child.owner == uid and child.value.uid not in self._removed
        )
        owners = {item.uid for item in sets}
        return Observed(
            replica_sets=sets,
            pods=tuple(child.value for child in self._pods.of(key) if child.owner in owners),
            services=self._named_services(key, services),
            endpoints={name: self._ready(rollout.namespace, name) for name in services},
            routes=self.routes.of(key, targets),
            unserved=self.routes.unserved(targets),
            unseen=self.routes.unseen(targets),
            workloads=self.workloads.of(rollout.namespace, named),
            workloads_unseen=self.workloads.unseen if named else None,
            measurements=measurements,
            default_prometheus=default_prometheus,
        )

    def service(self, namespace: str, name: str) -> observed.Service | None:
        """A Service as last seen."""
        return self.services.store.get((namespace, name))

    def remember(
        self, resource: Resource, manifest: Mapping[str, Any], *, is_ours: bool = True
    ) -> None:
        """Put the answer to our own write into the store of its kind, or (not `is_ours`) that to a
        question."""
        self._is_own = is_ours
        try:
            self._informers[resource].store.see(manifest)
        finally:
            self._is_own = False

    def removed(self, uid: str) -> None:
        """We have deleted this set: it is not seen any more, though it may linger."""
        self._removed.add(uid)

    def forget(self, rollout: Key) -> None:
        """The Rollout is gone."""
        self._service_users.put(rollout, frozenset())
        self.routes.forget(rollout)
        self.workloads.forget(rollout)
        self.bereaved.discard(rollout)

    @property
    def _informers(self) -> "Mapping[Resource, Informer[Any]]":
        return {
            names.REPLICASETS: self.replica_sets,
            names.PODS: self.pods,
            names.SERVICES: self.services,
            names.DEPLOYMENTS: self.workloads.informer,
            **self.routes.informers,
        }

    def _refer(self, rollout: Rollout) -> tuple[tuple[str, ...], tuple[Target, ...]]:
        """Services and routes that the strategy names; their changes wake it from now on."""
        namespace, key = rollout.namespace, (rollout.namespace, rollout.name)
        services: tuple[str, ...] = ()
        targets: tuple[Target, ...] = ()
        if strategies.name(rollout.spec.strategy):
            traits = strategies.traits(rollout.spec)
            services, targets = traits.services, traits.targets
        self._service_users.put(key, frozenset((namespace, name) for name in services))
        self.routes.refer(key, targets)
        return services, targets

    def _named_services(self, key: Key, wanted: Iterable[str]) -> dict[str, observed.Service]:
        """The Services that the strategy names, and those that we still manage for it."""
        found = {item.name: item for item in self._managed.of(key)}
        for name in wanted:
            service = self.services.store.get((key[0], name))
            if service is not None:
                found[name] = service
        return found

    def _ready(self, namespace: str, service: str) -> frozenset[str]:
        parts = [item.ready for item in self._slices.of((namespace, service))]
        return frozenset[str]().union(*parts)

    def _set_changed(self, change: Change[Child[observed.ReplicaSet]]) -> None:
        if change.type == "DELETED" and change.old is not None:
            ours = change.old.value.uid in self._removed
            self._removed.discard(change.old.value.uid)
            if not ours:
                self.bereaved.add(change.old.rollout)
        self._sets.update(change)
        if _shape(change.old) != _shape(change.new):
            self._tell(change, could_be_ours=_fate(change.old) == _fate(change.new))

    def _pod_changed(self, change: Change[Child[observed.Pod]]) -> None:
        self._pods.update(change)
        before, after = _use(change.old), _use(change.new)
        if before == after and not _is_news(change):
            return
        if after is None and before is not None and change.old and self._is_spare(change.old):
            return
        # Only the role is ours: that a pod begins or ceases to serve may hide in our answer.
        self._tell(change, could_be_ours=None not in (before, after))

    def _is_spare(self, gone: Child[observed.Pod]) -> bool:
        """Whether its set has the serving pods that it wants without this one: it was let go."""
        sets = self._sets.get(gone.rollout).values()
        wanted = next((x.value.replicas for x in sets if x.value.uid == gone.owner), None)
        pods = self._pods.get(gone.rollout).values()
        left = sum(x.owner == gone.owner and _use(x) is not None for x in pods)
        return wanted is not None and left >= wanted

    def _tell(self, change: Change[Child[T]], *, could_be_ours: bool) -> None:
        tell = self._later if could_be_ours and self._is_own else self._wake
        for key in {item.rollout for item in (change.old, change.new) if item is not None}:
            tell(key)

    def _service_changed(self, change: Change[observed.Service]) -> None:
        self._managed.update(change)
        if _meaning(change.old) != _meaning(change.new):
            managers = {_user(change.key, item) for item in (change.old, change.new) if item}
            for key in {*self._service_users.users(change.key), *managers} - {None}:
                self._wake(key)  # type: ignore[arg-type]

    def _slice_changed(self, change: Change[Slice]) -> None:
        self._slices.update(change)
        if change.old != change.new:
            services = {item.service for item in (change.old, change.new) if item is not None}
            for key in {key for service in services for key in self._service_users.users(service)}:
                self._wake(key)


def _moment() -> float:
    return MOMENT_SECONDS


def _shape(child: Child[observed.ReplicaSet] | None) -> object:
    """What matters of a set; how many of its pods are ready is told by the pods themselves."""
    found = child and child.value
    return found and (found.uid, found.hash, found.role, found.replicas, _fate(child))


def _fate(child: Child[observed.ReplicaSet] | None) -> tuple[bool, bool]:
    """What is not ours of it: whether it wants no pods and has none any more, and whether those
    that it wants cannot be made; in which words that is told changes nothing that we do."""
    if child is None:
        return False, False
    found = child.value
    return found.current == found.replicas == 0, bool(found.failure)


def _use(child: Child[observed.Pod] | None) -> object:
    """What matters of a pod: one that is not ready yet, or is leaving, serves nobody."""
    if child is None or not child.value.ready or child.value.deleting:
        return None
    return (child.value.uid, child.value.hash, child.value.role)


def _is_news(change: Change[Child[observed.Pod]]) -> bool:
    """Whether something else keeps a pod from being ready than before."""
    if change.new is None or change.new.value.deleting:
        return False
    before = change.old.value.trouble if change.old is not None else ""
    return change.new.value.trouble != before


def _rollout(_: Key, child: Child[Any]) -> Key:
    return child.rollout


def _user(key: Key, service: observed.Service) -> Key | None:
    """The Rollout for which we manage this Service."""
    if service.original is None:
        return None
    rollout = service.selector.get(names.ROLLOUT_LABEL)
    return (key[0], rollout) if rollout else None


def _named(rollout: Rollout) -> frozenset[str]:
    """Deployments that spec and status name."""
    both = (rollout.spec.workload_ref, rollout.status.workload_ref)
    return frozenset(item.name for item in both if item is not None)


def _meaning(service: observed.Service | None) -> object:
    """What matters of a Service; its version alone does not."""
    return service and (service.uid, service.selector, service.original)
