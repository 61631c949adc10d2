"""What is written of a member, and of a Fleet: their statuses.

Called by the runtime's `membership` and `reconcile`. A status does not move while nothing does.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from fleet.api import Fleet, MemberCluster, conditions
from fleet.api.conditions import Condition, condition
from fleet.api.fleet import FleetPhase, FleetStatus
from fleet.api.membercluster import EngineStatus, MemberClusterStatus
from fleet.api.meta import write_time
from fleet.api.names import ClusterName
from fleet.hub.core.member import freshness, selection
from fleet.hub.core.member.connectivity import Connectivity
from fleet.hub.core.member.identity import Identity
from fleet.hub.core.observed import Member
from fleet.kit import phrases

TOLD = 3
"""Members that are not well and are told of one by one."""


def member(
    cluster: MemberCluster,
    identity: Identity,
    believed: Connectivity,
    engine: EngineStatus,
    now: datetime,
    drift: timedelta = timedelta(0),
) -> MemberClusterStatus:
    """The status to write; it does not move while nothing does. A token ends by the clock on the
    wall, which is ahead of `now` by `drift`."""
    old = cluster.status
    reachable = condition(
        freshness.REACHABLE, believed.reachable, believed.reason, believed.message
    )
    if believed.reachable:
        reachable = condition(freshness.REACHABLE, True, "Reachable")
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
            (reachable, _fresh(believed), _engine(engine), *_expiry(identity, now + drift)),
            now,
            cluster.metadata.generation,
        ),
    )


def fleet(item: Fleet, members: Mapping[ClusterName, Member], now: datetime) -> FleetStatus:
    """The status of a Fleet: who belongs to it, who answers, and who is well."""
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
    chosen = [members[name] for name in selected.chosen]
    healthy = _health(chosen)
    good = ready.status == "True"
    return FleetStatus(
        phase=WORDS[healthy.status] if good else FleetPhase.DEGRADED,
        observed_generation=item.metadata.generation,
        members=len(chosen),
        reachable=sum(member.reachable for member in chosen),
        missing=len(lacking),
        message="; ".join(text for text in (ready.message, healthy.message) if text),
        conditions=conditions.updated(
            item.status.conditions, (ready, healthy), now, item.metadata.generation
        ),
    )


WORDS = {
    "True": FleetPhase.READY,
    "False": FleetPhase.DEGRADED,
    "Unknown": FleetPhase.PROGRESSING,
}


def _health(chosen: Sequence[Member]) -> Condition:
    """Whether the reports of all of them count; Unknown while that is only a matter of moments."""
    doubtful = [member for member in chosen if not member.fresh]
    lost = [member for member in doubtful if member.connecting_until is None]
    if not doubtful:
        return condition("Healthy", True, "Reachable")
    if not lost:
        names = phrases.listed([member.name for member in doubtful])
        return condition("Healthy", None, "Connecting", f"{names} to be connected")
    told = [f"{member.name}: {member.message or member.reason}" for member in lost[:TOLD]]
    more = f"; and {len(lost) - TOLD} more" if len(lost) > TOLD else ""
    return condition("Healthy", False, lost[0].reason, "; ".join(told) + more)


def _fresh(believed: Connectivity) -> Condition:
    return condition(freshness.FRESH, believed.fresh, believed.reason, believed.message)


def _engine(engine: EngineStatus) -> Condition:
    word = {True: "EngineHealthy", False: "EngineUnhealthy", None: "EngineUnknown"}[engine.healthy]
    return condition("EngineHealthy", engine.healthy, word, engine.message)


def _expiry(identity: Identity, now: datetime) -> tuple[Condition, ...]:
    if identity.expires is None or identity.alarm_at is None:
        return ()
    late = now >= identity.alarm_at
    until = f"the token ends at {write_time(identity.expires)}"
    advice = ": renew it with `fleet cluster add --renew`" if late else ""
    return (condition("CredentialsExpire", late, "CredentialsExpire", until + advice),)
