"""What is written of a member, and of a Fleet: their statuses.

Called by the runtime's `membership` and `reconcile`. A status does not move while nothing does.
"""

from collections.abc import Mapping
from datetime import datetime

from fleet.api import Fleet, MemberCluster, conditions
from fleet.api.conditions import Condition, condition
from fleet.api.fleet import FleetStatus
from fleet.api.membercluster import EngineStatus, MemberClusterStatus
from fleet.api.meta import write_time
from fleet.api.names import ClusterName
from fleet.hub.core.member import freshness, selection
from fleet.hub.core.member.connectivity import Connectivity
from fleet.hub.core.member.identity import Identity
from fleet.hub.core.observed import Member


def member(
    cluster: MemberCluster,
    identity: Identity,
    believed: Connectivity,
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


def fleet(item: Fleet, members: Mapping[ClusterName, Member], now: datetime) -> FleetStatus:
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
