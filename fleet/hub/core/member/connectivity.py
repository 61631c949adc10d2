"""A member: how far it is believed, who is its elder, what is reported of it and of its Fleet.

    Sight (what links hold at a moment) ──standing──> Standing ──report──> MemberClusterStatus

Called by the runtime's `links`, `membership` and `reconcile`. Ages are seconds on the hub's
monotonic clock; a member's own times are shown, never compared. The engine is `engine`'s.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fleet import errors
from fleet.api import Fleet, MemberCluster, conditions
from fleet.api.conditions import Condition, condition
from fleet.api.fleet import FleetStatus
from fleet.api.membercluster import EngineStatus, MemberClusterStatus
from fleet.api.names import ClusterName
from fleet.errors import FleetError, UserError
from fleet.hub.core.member import freshness, selection
from fleet.hub.core.observed import Member

SETTLE_SECONDS = 10.0
"""How long a new connection may take to show whether it is good."""
GRACE_SECONDS = 5.0
"""How long a broken watch may take to come back before the member counts as unreachable."""

CLOSED_TO_US = frozenset({"SecretNotFound", "KubeconfigRefused", "DuplicateCluster"})
"""Reasons that end a connection: nobody may go on using what was taken away or refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a member cannot be used: a reason of `api.reasons` and a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is seen of a member at a moment."""

    name: str
    trouble: Trouble | None = None
    """What stands in the way of a connection."""
    expires: datetime | None = None
    """When our token there ends."""
    is_known: bool = True
    """It is engaged, and has said which cluster it is."""
    is_cut: bool = False
    """It failed so often that requests are not sent for a while."""
    failure: FleetError | None = None
    """Why they failed."""
    problem: FleetError | None = None
    """Why the watch of its Rollouts is broken now; None while it is not."""
    silence: float = 0.0
    """Since the last byte of that watch; infinite before the first."""
    is_listed: bool = True
    """Its Rollouts have been listed completely."""
    lease_age: float | None = 0.0
    """Since the engine's Lease was seen to change: None where there is none, infinite where that
    has not been seen yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a member is believed at a moment."""

    reachable: bool = False
    fresh: bool = False
    reason: str = "Unreachable"
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which cluster it is, and until when it lets us in."""

    uid: str = ""
    """Of kube-system; empty while it has not answered."""
    kubernetes: str = ""
    expires: datetime | None = None
    """When the hub's own token there ends."""
    alarm_at: datetime | None = None
    """From when on a token that is still not renewed is worth a condition."""


def trouble(error: FleetError, name: str, expires: datetime | None = None) -> Trouble:
    """Why the member of that name cannot be used, and what to do; its token ends at `expires`."""
    text = str(error)
    match error:
        case UserError():
            return Trouble(reason=error.reason, message=text)
        case errors.Untrusted():
            return Trouble(reason="CertificateInvalid", message=text)
        case errors.Unauthorized():
            end = f" (it ends at {expires:%Y-%m-%dT%H:%M:%SZ})" if expires else ""
            text = (
                f"the member does not accept the token of its kubeconfig{end}: "
                f"write a new one with `fleet cluster add {name} --renew`"
            )
            return Trouble(reason="Unauthorized", message=text)
        case errors.Forbidden():
            text += f": give the hub its rights with `fleet cluster add {name}`"
            return Trouble(reason="Forbidden", message=text)
        case errors.NotFound():
            return Trouble(reason="CrdsMissing", message=text)
    if "does not answer" in text:
        text += ": correct clusters[].server of its kubeconfig if that is another"
    return Trouble(reason="Unreachable", message=text)


def standing(sight: Sight) -> Standing:
    """What to believe of a member that is seen so."""
    absence = sight.trouble or _absence(sight)
    if absence is not None:
        return Standing(reason=absence.reason, message=absence.message)
    doubt = freshness.doubt(watch_age=sight.silence, lease_age=sight.lease_age)
    if doubt is not None:
        return Standing(reachable=True, reason=doubt.reason, message=doubt.message)
    return Standing(reachable=True, fresh=True, reason="Reachable")


def lease_age(*, changed: float, since: float, now: float) -> float:
    """The age of a Lease that was last seen to change at `changed`, over a connection that has
    been there `since`: one that has not changed for as long as it may is as old as that."""
    if math.isinf(changed) and now - since <= freshness.LEASE_SECONDS:
        return math.inf
    return now - max(changed, since)


def is_news(before: Standing, after: Standing) -> bool:
    """Whether somebody needs to hear of the change: ages in a sentence grow all the time."""
    one, other = ((item.reachable, item.fresh, item.reason) for item in (before, after))
    return one != other


def elder_twin(
    cluster: MemberCluster, uid: str, others: Iterable[tuple[MemberCluster, str]]
) -> str:
    """The older MemberCluster of its namespace that is the same API server, or nothing.

    `others` come with the uid of their kube-system.
    """
    mine = _age(cluster)
    older = [
        other
        for other, theirs in others
        if other.namespace == cluster.namespace and theirs == uid and _age(other) < mine
    ]
    return min(older, key=_age).name if older else ""


def report(
    cluster: MemberCluster,
    identity: Identity,
    believed: Standing,
    engine: EngineStatus,
    now: datetime,
) -> MemberClusterStatus:
    """The status to write; it does not move while nothing does."""
    old = cluster.status
    reachable = condition("Reachable", believed.reachable, believed.reason, believed.message)
    if believed.reachable:
        reachable = condition("Reachable", True, "Reachable")
    seen = None if believed.reachable else old.last_seen or (now if old.reachable else None)
    return MemberClusterStatus(
        observed_generation=cluster.metadata.generation,
        reachable=believed.reachable,
        uid=identity.uid or old.uid,
        kubernetes_version=identity.kubernetes or old.kubernetes_version,
        engine=engine,
        credentials_expire=identity.expires,
        last_seen=seen,
        message=believed.message,
        conditions=conditions.updated(
            old.conditions,
            (reachable, _fresh(believed), _engine(engine), *_expiry(identity, now)),
            now,
            cluster.metadata.generation,
        ),
    )


def fleet_report(item: Fleet, members: Mapping[ClusterName, Member], now: datetime) -> FleetStatus:
    """The status of a Fleet: who belongs to it, and who answers."""
    selected = selection.select(item, members)
    lacking = [selected.left_out[name] for name in item.spec.members.names if name not in members]
    if not selected.chosen:
        why = "; ".join(lacking)
        advice = why or "name one, or give one the labels of members.clusterSelector"
        text = f"no MemberCluster is named or selected: {advice}"
        ready = condition("Ready", False, "EmptyFleet", text)
    elif lacking:
        ready = condition("Ready", False, "MemberNotFound", "; ".join(lacking))
    else:
        ready = condition("Ready", True, "Accepted")
    return FleetStatus(
        observed_generation=item.metadata.generation,
        members=len(selected.chosen),
        reachable=sum(members[name].reachable for name in selected.chosen),
        conditions=conditions.updated(
            item.status.conditions, (ready,), now, item.metadata.generation
        ),
    )


def _absence(sight: Sight) -> Trouble | None:
    if not sight.is_known:
        return Trouble(reason="Unreachable", message="not connected yet")
    if sight.is_cut:
        error = sight.failure or errors.Unreachable("it fails too often")
        return trouble(error, sight.name, sight.expires)
    if sight.problem is not None:
        passing = isinstance(sight.problem, errors.TemporaryError)
        if not passing or sight.silence > GRACE_SECONDS:
            return trouble(sight.problem, sight.name, sight.expires)
    if not sight.is_listed:
        return Trouble(reason="Unreachable", message="its Rollouts have not been listed yet")
    return None


def _age(cluster: MemberCluster) -> tuple[str, str]:
    made = cluster.metadata.creation_timestamp
    return (made.isoformat() if made else "", cluster.name)


def _fresh(believed: Standing) -> Condition:
    return condition(freshness.FRESH, believed.fresh, believed.reason, believed.message)


def _engine(engine: EngineStatus) -> Condition:
    word = {True: "EngineHealthy", False: "EngineUnhealthy", None: "EngineUnknown"}[engine.healthy]
    return condition("EngineHealthy", engine.healthy, word, engine.message)


def _expiry(identity: Identity, now: datetime) -> tuple[Condition, ...]:
    if identity.expires is None or identity.alarm_at is None:
        return ()
    late = now >= identity.alarm_at
    until = f"the token ends at {identity.expires:%Y-%m-%dT%H:%M:%SZ}"
    advice = ": renew it with `fleet cluster add --renew`" if late else ""
    return (condition("CredentialsExpire", late, "CredentialsExpire", until + advice),)
