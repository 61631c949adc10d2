"""Links: what the hub holds about each member beside the MemberCluster, and how far it is believed.

A link begins with the MemberCluster and ends with it. `membership` connects it, its informers fill
it, `triggers` tell when its connectivity changes, `observe` reads it. Member timestamps are shown,
never compared: every age here is on the hub's monotonic clock.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fleet import errors
from fleet.api.membercluster import EngineMode
from fleet.api.names import (
    APPLIED_ANNOTATION,
    DEPLOYMENTS,
    ENGINE_LEASE,
    ENGINE_NAME,
    ENGINE_NAMESPACE,
    HUB_LABEL,
    HUB_MANAGER,
    LEASES,
    MANAGED_BY,
    NAMESPACE_LABEL,
    ROLLOUTS,
    VERSION,
    Key,
)
from fleet.clusters.client import Client
from fleet.clusters.errors import CircuitOpen
from fleet.clusters.handles import Handle
from fleet.clusters.health import Circuit
from fleet.clusters.store import Change
from fleet.clusters.watch import Informer
from fleet.errors import FleetError
from fleet.hub.core.member import connectivity, freshness
from fleet.hub.core.member.connectivity import (
    CONNECT_SECONDS,
    SETTLE_SECONDS,
    Connectivity,
    Sight,
    Trouble,
)
from fleet.hub.core.member.engine import Deployed, EngineObserved, Keeper, Obstacle, Term
from fleet.hub.core.member.identity import Identity
from fleet.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A new engine that was written: when (monotonic), and who held the Lease before."""

    at: float
    holder: str


@dataclass(eq=False, slots=True, kw_only=True)
class Link:
    """One member. `handle` is there while it is engaged."""

    key: Key
    met_at: float = -math.inf
    """Monotonic time at which the hub saw its MemberCluster first."""
    connecting_until: datetime | None = None
    """When it will have been known for `CONNECT_SECONDS`, as the clock on the wall says it."""
    handle: Handle | None = None
    trouble: Trouble | None = None
    """What `membership` could not get past; None while connected."""
    source: tuple[int, str] | None = None
    """Generation of the MemberCluster and version of the Secret that `handle` was made from."""
    uid: str = ""
    """Identity of the API server (kube-system's uid), once it has answered."""
    kubernetes: str = ""
    renew_at: datetime | None = None
    patience: datetime | None = None
    """Until when the token is not renewed once more."""
    expires: datetime | None = None
    """When the hub's own token there ends."""
    alarm_at: datetime | None = None
    """From when on a token that is still not renewed is worth a condition."""
    engaged_at: float = -math.inf
    """Monotonic time at which this connection began."""
    tried_at: float = -math.inf
    """Monotonic time of the last attempt to connect."""
    problem: FleetError | None = None
    """The last error of the Rollout watch, and when it was (monotonic)."""
    problem_at: float = -math.inf
    lease_problem: FleetError | None = None
    lease_changed: float = -math.inf
    wait: Obstacle = Obstacle.NOTHING
    """What a newer engine waits for there."""
    wish: str = ""
    """Digest of the Deployment that the hub keeps there; empty where it keeps none."""
    exchange: Exchange | None = None
    """The last time that a new engine was written over this connection."""
    told: Connectivity = field(default_factory=Connectivity)
    """The connectivity that everybody has been told."""
    fresh_at: float | None = None
    """Monotonic time since when the member is fresh; None while it is not."""
    lost_at: float | None = None
    """Monotonic time since when a member that was fresh is not; None while it is, or never was."""

    @property
    def client(self) -> Client:
        """Raises Unreachable while the member is not engaged."""
        if self.handle is None:
            raise errors.Unreachable(f"{self.key[1]} is not connected")
        return self.handle.client

    @property
    def is_refused(self) -> bool:
        """Whether the member refuses our credentials now."""
        return isinstance(self.problem, errors.Unauthorized) and self._is_failing

    @property
    def is_back(self) -> bool:
        """Whether a member that could not be reached has answered its watch since."""
        return (
            self.trouble is not None
            and self.trouble.reason == "Unreachable"
            and self.handle is not None
            and self.handle.informers[ROLLOUTS].last_byte > self.tried_at
        )

    def is_settled(self, now: float) -> bool:
        """Whether enough is known to speak of it: believed, in trouble, or without an engine."""
        if self.trouble is not None or self.told.fresh:
            return True
        if self.handle is None:
            return False
        if self._is_failing or now - self.engaged_at > SETTLE_SECONDS:
            return True
        leases = self.handle.informers[LEASES]
        return self.told.reachable and leases.synced.is_set() and self.term is None

    @property
    def _is_failing(self) -> bool:
        watch = self.handle.informers[ROLLOUTS] if self.handle else None
        return watch is not None and self.problem_at > watch.last_byte

    @property
    def term(self) -> Term | None:
        found: Term | None = self._only(LEASES, (ENGINE_NAMESPACE, ENGINE_LEASE))
        return found

    @property
    def deployed(self) -> Deployed | None:
        found: Deployed | None = self._only(DEPLOYMENTS, (ENGINE_NAMESPACE, ENGINE_NAME))
        return found

    @property
    def rollouts(self) -> Mapping[Key, Mapping[str, Any]]:
        """The Rollouts that hubs made there, by namespace and name; empty while not engaged."""
        return self.handle.informers[ROLLOUTS].store if self.handle else {}

    def connectivity(self, now: float) -> Connectivity:
        """What to believe at monotonic `now`."""
        return connectivity.of(self.sight(now))

    def sight(self, now: float) -> Sight:
        """What is seen of the member at monotonic `now`."""
        handle = self.handle
        if self.trouble is not None or handle is None or not self.uid:
            return Sight(
                name=self.key[1],
                trouble=self.trouble,
                is_known=False,
                known_for=now - self.met_at,
            )
        age = connectivity.lease_age(changed=self.lease_changed, since=self.engaged_at, now=now)
        return Sight(
            name=self.key[1],
            expires=self.expires,
            is_cut=handle.client.breaker.state is not Circuit.CLOSED,
            failure=handle.client.last_failure,
            problem=self.problem if self._is_failing else None,
            silence=handle.age(ROLLOUTS),
            is_listed=handle.informers[ROLLOUTS].synced.is_set(),
            lease_age=None if self.term is None else age,
            known_for=now - self.met_at,
        )

    def seen(self, mode: EngineMode) -> EngineObserved:
        """What is seen of the engine, in the light of what is believed of the member."""
        problem = self.lease_problem
        return EngineObserved(
            mode=mode,
            believed=self.told,
            deployed=self.deployed,
            is_listed=self.handle is not None
            and self.handle.informers[DEPLOYMENTS].synced.is_set(),
            term=self.term,
            lease_problem=str(problem) if problem is not None else "",
        )

    @property
    def identity(self) -> Identity:
        """Which cluster it is, and until when it lets us in."""
        return Identity(
            uid=self.uid,
            kubernetes=self.kubernetes,
            expires=self.expires,
            alarm_at=self.alarm_at,
        )

    def cause(self, error: FleetError) -> FleetError:
        """What is behind an error: an open circuit says nothing of why it is open."""
        if isinstance(error, CircuitOpen) and self.handle is not None:
            return self.handle.client.last_failure or error
        return error

    def forget(self) -> None:
        """What was seen over a connection that is gone."""
        self.handle = None
        self.wait, self.exchange = Obstacle.NOTHING, None
        self.problem, self.problem_at = None, -math.inf
        self.lease_problem, self.lease_changed = None, -math.inf

    def _only(self, resource: Any, key: Key) -> Any:
        return self.handle.informers[resource].store.get(key) if self.handle else None


class Links:
    """Key of a MemberCluster → link."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._links: dict[Key, Link] = {}

    def __iter__(self) -> Iterator[Link]:
        return iter(tuple(self._links.values()))

    def __len__(self) -> int:
        return len(self._links)

    def get(self, key: Key) -> Link | None:
        return self._links.get(key)

    def make(self, key: Key) -> Link:
        """The link of that member; one that is new has been met now."""
        if key not in self._links:
            until = self._clock.now() + timedelta(seconds=CONNECT_SECONDS)
            made = Link(key=key, met_at=self._clock.monotonic(), connecting_until=until)
            self._links[key] = made
        return self._links[key]

    def drop(self, key: Key) -> None:
        """The MemberCluster is gone."""
        self._links.pop(key, None)

    def is_hub_suspect(self, namespace: str, now: float) -> bool:
        """Whether so many of that tenant's members were lost at once that the fault is more likely
        here. Each tenant counts alone: one with many dead members stops nobody else."""
        links = [link for key, link in self._links.items() if key[0] == namespace]
        lost = [link.lost_at for link in links if link.lost_at is not None]
        fresh = [link.fresh_at for link in links if link.fresh_at is not None]
        return freshness.is_isolated(lost, fresh, len(links), now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who is told of what is seen in a member: a Rollout, its connectivity, its engine."""

    rollout: Callable[[Link, Change[Mapping[str, Any]]], None]
    connectivity: Callable[[Link], None]
    engine: Callable[[Link], None]


def informers(link: Link, client: Client, listener: Listener) -> list[Informer[Any]]:
    """What is watched in a member."""

    def lease_changed(change: Change[Term]) -> None:
        # The first sight of a Lease says nothing about its age; a change does.
        leases = link.handle.informers[LEASES] if link.handle else None
        if change.type == "MODIFIED" or (leases is not None and leases.synced.is_set()):
            link.lease_changed = client.monotonic()
        link.lease_problem = None
        listener.connectivity(link)
        if change.old != change.new:
            listener.engine(link)

    def failed(error: FleetError) -> None:
        link.problem, link.problem_at = link.cause(error), client.monotonic()
        listener.connectivity(link)

    def lease_failed(error: FleetError) -> None:
        link.lease_problem = error

    def seen(change: Change[Mapping[str, Any]]) -> None:
        listener.rollout(link, change)

    ours = f"{MANAGED_BY}={HUB_MANAGER}"
    return [
        Informer(client, ROLLOUTS, decode=slim, on=seen, selector=ours, on_error=failed),
        Informer(
            client,
            LEASES,
            decode=_term,
            on=lease_changed,
            namespace=ENGINE_NAMESPACE,
            field_selector=f"metadata.name={ENGINE_LEASE}",
            on_error=lease_failed,
        ),
        Informer(
            client,
            DEPLOYMENTS,
            decode=_deployed,
            on=lambda _: listener.engine(link),
            namespace=ENGINE_NAMESPACE,
            field_selector=f"metadata.name={ENGINE_NAME}",
            on_error=lease_failed,
        ),
    ]


def slim(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Rollout without what is large and never read: its pods and its managed fields.

    Of these, only who holds it is kept.
    """
    spec = manifest.get("spec") or {}
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
    if "hold" in spec:
        fields: Mapping[str, Any] = {"f:spec": {"f:hold": {}}}
        metadata["managedFields"] = [
            {"manager": entry.get("manager"), "fieldsV1": fields}
            for entry in manifest["metadata"].get("managedFields") or ()
            if "f:hold" in (entry.get("fieldsV1") or {}).get("f:spec", {})
        ]
    return {**manifest, "metadata": metadata, "spec": {**spec, "template": {}}}


def _term(manifest: Mapping[str, Any]) -> Term:
    notes = manifest["metadata"].get("annotations") or {}
    return Term(
        holder=str((manifest.get("spec") or {}).get("holderIdentity") or ""),
        version=str(notes.get(VERSION, "")),
    )


def _deployed(manifest: Mapping[str, Any]) -> Deployed:
    meta, status = manifest["metadata"], manifest.get("status") or {}
    labels = meta.get("labels") or {}
    counts = [int(status.get(f"{kind}eplicas") or 0) for kind in ("r", "updatedR", "availableR")]
    generation = int(meta.get("generation") or 0)
    return Deployed(
        owner=Keeper(
            hub=str(labels.get(HUB_LABEL, "")), namespace=str(labels.get(NAMESPACE_LABEL, ""))
        ),
        available=counts[2],
        generation=generation,
        settled=int(status.get("observedGeneration") or 0) >= generation
        and counts[0] == counts[1] == counts[2] > 0,
        digest=str((meta.get("annotations") or {}).get(APPLIED_ANNOTATION, "")),
    )
