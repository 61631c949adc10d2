"""The engine of a managed member: whose it is, when it may be exchanged, how it does.

    owner? ──> as wanted? ──> alive? ──> a Rollout on its way? ──> our turn? ──> write

Called by the runtime's `engines`. An engine that works is exchanged only while no Rollout there is
on its way, and only a few in the fleet at once, so that a bad version stops after the first ones;
one that is dead is mended at once. Who does not own an engine only watches it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from fleet.api.membercluster import EngineMode, EngineStatus
from fleet.api.names import (
    ENGINE_LEASE,
    ENGINE_NAME,
    ENGINE_NAMESPACE,
    HUB_LABEL,
    NAMESPACE_LABEL,
)
from fleet.api.rollout import Phase
from fleet.hub.core.member import freshness
from fleet.hub.core.member.connectivity import Connectivity

IDLE = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CONCLUDED})
"""Phases in which an engine may be exchanged."""

SHARE = 10
"""One in so many engines may be on its way to a new version at once, and at least one."""

DEPLOYMENT = f"Deployment {ENGINE_NAMESPACE}/{ENGINE_NAME}"
LEASE = f"Lease {ENGINE_NAMESPACE}/{ENGINE_LEASE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Who keeps an engine: a hub (the uid of its kube-system) and a namespace of it."""

    hub: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """The engine's Deployment as last seen."""

    owner: Keeper = Keeper()
    available: int = 0
    generation: int = 0
    settled: bool = False
    """All its pods are of the newest kind, and available."""
    digest: str = ""
    """What the hub wrote last, as the object's annotation says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """The engine's Lease as last seen; its times are the member's and not kept."""

    holder: str = ""
    version: str = ""
    """The holder's version, as it says itself; empty where it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineObserved:
    """The engine of one member at a moment."""

    mode: EngineMode
    believed: Connectivity
    deployed: Deployed | None = None
    """None: there is none, or it has not been listed yet (`is_listed`)."""
    is_listed: bool = True
    term: Term | None = None
    lease_problem: str = ""
    """Why the Lease cannot be read."""
    deployment_problem: str = ""
    """Why the Deployment cannot be read, and will not be before somebody changes something."""


class Obstacle(Enum):
    """What an exchange waits for."""

    NOTHING = "nothing"
    NEWS = "what is known of the engine"
    ROLLOUT = "the end of a Rollout"
    TURN = "other engines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """Whether the Deployment is written now, and what keeps it from being what is wanted."""

    write: bool = False
    wait: Obstacle = Obstacle.NOTHING
    note: str = ""


def keep(
    seen: EngineObserved, digest: str, *, rival: str, active: str, ahead: Collection[str]
) -> Upkeep:
    """What to do about an engine whose Deployment shall have this digest.

    `rival` is what `rival` below says, `active` what `busy` says, `ahead` are the members whose
    engines must be healthy again first, empty when it is this one's turn.
    """
    unread = seen.deployment_problem
    if seen.mode is not EngineMode.MANAGED or not (seen.is_listed or unread):
        return Upkeep()
    if unread or rival:
        return Upkeep(note=f"{DEPLOYMENT} cannot be read: {unread}" if unread else rival)
    if seen.deployed is None:
        return Upkeep(write=True)
    if seen.deployed.digest == digest or not seen.believed.reachable:
        return Upkeep()
    return _exchange(seen, active, ahead)


def _exchange(seen: EngineObserved, active: str, ahead: Collection[str]) -> Upkeep:
    """What an exchange waits for; a dead engine waits for nothing."""
    healthy, why = health(seen)
    if healthy is None:
        return Upkeep(wait=Obstacle.NEWS, note=f"a newer engine waits: {why}")
    if healthy and active:
        return Upkeep(wait=Obstacle.ROLLOUT, note=f"a newer engine waits until {active} has ended")
    if healthy and ahead:
        first, *others = sorted(ahead)
        more = f" and {len(others)} more" if others else ""
        text = f"a newer engine waits until that of {first}{more} is healthy"
        return Upkeep(wait=Obstacle.TURN, note=text)
    return Upkeep(write=True)


def rival(deployed: Deployed | None, ours: Keeper, namespaces: Collection[str]) -> str:
    """Why somebody else keeps this engine, or nothing.

    `namespaces` are those of this hub that have a managed MemberCluster for the same API server.
    One that nobody claims, or whose namespace has let go of it, may be taken over.
    """
    if deployed is None or not deployed.owner.hub or deployed.owner == ours:
        return ""
    owner = deployed.owner
    if owner.hub == ours.hub and owner.namespace not in namespaces:
        return ""
    whose = f"namespace {owner.namespace}"
    if owner.hub != ours.hub:
        whose += f" of hub {owner.hub}"
    return (
        f"{DEPLOYMENT} is kept by {whose} and only watched here: set engine.mode to External, or "
        f"take it over by removing its labels {HUB_LABEL} and {NAMESPACE_LABEL}"
    )


def ahead(total: int, exchanged: Collection[str]) -> tuple[str, ...]:
    """The members that come first: those `exchanged` and not healthy since, if they are as many
    as may be at once among `total` engines that this hub keeps."""
    return tuple(sorted(exchanged)) if len(exchanged) >= slots(total) else ()


def slots(total: int) -> int:
    """How many engines of `total` may be on their way to a new version at once."""
    return max(1, total // SHARE)


def is_through(seen: EngineObserved, digest: str) -> bool:
    """Whether the engine runs as wanted, healthy and with all its pods new."""
    deployed = seen.deployed
    return (
        deployed is not None
        and deployed.digest == digest
        and deployed.settled
        and health(seen)[0] is True
    )


def busy(rollouts: Iterable[Mapping[str, Any]]) -> str:
    """The name of a Rollout that is on its way, or nothing."""
    found = next(_active(rollouts), None)
    return f"Rollout {found['namespace']}/{found['name']}" if found else ""


def is_active(rollout: Mapping[str, Any] | None) -> bool:
    """Whether it is there and on its way."""
    return rollout is not None and any(_active((rollout,)))


def active(rollouts: Iterable[Mapping[str, Any]]) -> int:
    """How many Rollouts are on their way."""
    return sum(1 for _ in _active(rollouts))


def _active(rollouts: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for rollout in rollouts:
        if (rollout.get("status") or {}).get("phase") not in IDLE:
            yield rollout["metadata"]


def report(
    seen: EngineObserved, rollouts: Collection[Mapping[str, Any]], note: str
) -> EngineStatus:
    """What to say of the engine and its `rollouts`; `note` is what `keep` had to say."""
    healthy, message = health(seen)
    return EngineStatus(
        healthy=healthy,
        version=seen.term.version if seen.term else "",
        message=note or message,
        rollouts=len(rollouts),
        active=active(rollouts),
    )


def health(seen: EngineObserved) -> tuple[bool | None, str]:
    """Whether the engine is alive, None while that is not known; and why not."""
    if not seen.believed.reachable:
        return None, "the member is not reachable"
    if seen.believed.fresh:
        return True, ""
    if seen.lease_problem:
        return None, f"{LEASE} cannot be read: {seen.lease_problem}"
    if seen.term is not None:
        # Seen, and not yet seen to change: nothing is known, good or bad.
        known = seen.believed.reason != freshness.UNKNOWN
        return (False if known else None), seen.believed.message
    if seen.mode is EngineMode.EXTERNAL:
        return None, f"there is no {LEASE}: is an engine running with leader election?"
    return False, _absent(seen.deployed)


def _absent(deployed: Deployed | None) -> str:
    """What a managed engine without a Lease lacks."""
    if deployed is None:
        return f"{DEPLOYMENT} is not there yet"
    if not deployed.available:
        return f"{DEPLOYMENT} has no ready pod"
    return f"{DEPLOYMENT} has not taken its Lease yet"
