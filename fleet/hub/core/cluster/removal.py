"""Taking away what was made in a member, when the ClusterRollout is deleted.

Called by `dispatch`. The Rollout goes first, so that its engine restores Services and routes; they
follow in reverse order. Only what the inventory names and our labels mark is deleted. Where the
Application is gone, later waves are cleared before earlier ones. A member that cannot be reached is
waited for, at most a day, and nobody waits for it; one whose access is gone is let be, and said so.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import ClusterRolloutStatus, Dispatched
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.meta import Manifest
from fleet.api.names import CLUSTERROLLOUT_FINALIZER, ROLLOUTS
from fleet.hub.core.actions import DispatchPlan, FenceRollout, Finalizer, LookUp
from fleet.hub.core.cluster import inventory, standing
from fleet.hub.core.cluster import live as lives
from fleet.hub.core.cluster.assessment import Assessment
from fleet.hub.core.cluster.live import Live
from fleet.hub.core.observed import DispatchObserved
from fleet.kit import phrases

TIMEOUT = timedelta(hours=24)
RECHECK = timedelta(seconds=10)
"""Services and routes are not watched: their end is looked for after this time."""

GONE = frozenset({"SecretNotFound"})
"""Reasons of a member that no waiting mends."""


def decide(item: ClusterRollout, observed: DispatchObserved, now: datetime) -> DispatchPlan:
    """The next deletions, or the finalizer's end."""
    if CLUSTERROLLOUT_FINALIZER not in item.metadata.finalizers:
        return DispatchPlan(status=item.status)
    if not item.status.inventory:
        return DispatchPlan(status=item.status, finalizer=Finalizer.REMOVE)
    if observed.member is not None and observed.member.reachable:
        if standing.is_replaced(item, observed.member):
            return _released(item, f"another API server answers as {item.spec.cluster} now")
        return _in_turn(item, observed, now) or _away(item, observed, now)
    if why := _lost(item, observed, now):
        return _released(item, why)
    return _waiting(item, observed, now)


def _lost(item: ClusterRollout, observed: DispatchObserved, now: datetime) -> str:
    """Why there is nothing more to wait for; empty while there is."""
    if observed.member is None:
        return "the MemberCluster is gone"
    if observed.member.reason in GONE:
        return observed.member.message
    if now >= _end(item, now):
        return f"out of reach for 24h: {observed.member.message}"
    return ""


def _end(item: ClusterRollout, now: datetime) -> datetime:
    """A day after the member was lost, or after the deletion where it was lost before that.

    A hub that has just begun knows of no loss yet: then it begins now.
    """
    return max(standing.lost_since(item) or now, item.metadata.deletion_timestamp or now) + TIMEOUT


def place(item: ClusterRollout) -> int:
    """Of its wave in the plan."""
    return item.spec.want.wave if item.spec.want else 0


def _in_turn(
    item: ClusterRollout, observed: DispatchObserved, now: datetime
) -> DispatchPlan | None:
    """Wait for later waves; not in the midst of it, and not for ever."""
    begun = item.status.dispatch.sequence and not item.status.dispatch.run
    asked = item.metadata.deletion_timestamp or now
    if begun or now >= asked + TIMEOUT:
        return None
    later = observed.siblings.items()
    ahead = sorted(name for name, other in later if _is_to_be_cleared(other))
    if not ahead:
        return None
    message = f"waiting for {phrases.listed(ahead)}: later waves are cleared first"
    return DispatchPlan(status=_status(item, observed, message, now), wake_at=now + RECHECK)


def _is_to_be_cleared(item: ClusterRollout) -> bool:
    """Whether it goes, or will when the garbage collector comes to it."""
    meta = item.metadata
    goes = meta.deletion_timestamp is not None or bool(meta.owner_references)
    return goes and CLUSTERROLLOUT_FINALIZER in meta.finalizers and bool(item.status.inventory)


def _away(item: ClusterRollout, observed: DispatchObserved, now: datetime) -> DispatchPlan:
    """The Rollout, then, when it is gone, the rest; before each an own dispatch."""
    live = Live.of(item, observed)
    listed = item.status.inventory
    found = [live.find(inventory.place(one)) for one in listed if one.plural == ROLLOUTS.plural]
    rollouts = [one for one in found if one is not None]
    if observed.looked_up is None and not rollouts:
        return DispatchPlan(status=item.status, actions=(LookUp(),))
    for rollout in rollouts:
        if hub := lives.other_hub(rollout, observed.hub):
            return _released(item, f"another hub ({hub}) manages the Rollout")
    left, deletions = inventory.leaving(listed, live, inventory.Owner.of(item, observed.hub))
    if not left:
        return DispatchPlan(status=item.status, finalizer=Finalizer.REMOVE)
    status = _status(item, observed, _progress(left), now)
    wake = None if left[0].plural == ROLLOUTS.plural else now + RECHECK
    if not deletions:
        return DispatchPlan(status=status, wake_at=wake)
    own = {one.uid for one in deletions}
    fenced = [one for one in rollouts if lives.uid(one) in own]
    return _fenced(item, observed, status, fenced) or DispatchPlan(
        status=status, actions=deletions, wake_at=wake
    )


def _progress(left: inventory.Items) -> str:
    if left[0].plural == ROLLOUTS.plural:
        return "waiting for the engine to let go of its Rollout"
    return f"deleting {', '.join(f'{each.kind} {each.name}' for each in left)}"


def _fenced(
    item: ClusterRollout,
    observed: DispatchObserved,
    status: ClusterRolloutStatus,
    rollouts: Sequence[Manifest],
) -> DispatchPlan | None:
    """The own dispatch that comes before a deletion; None when it has arrived.

    A dispatch without run is one that takes away.
    """
    before = item.status.dispatch
    taken = before
    if before.run:
        sequence = max([before.sequence, *(lives.sequence(one) for one in rollouts)]) + 1
        taken = Dispatched(sequence=sequence, rollout=sequence)
        status = status.model_copy(update={"dispatch": taken})
    actions = tuple(
        FenceRollout(
            name=str(one["metadata"]["name"]),
            namespace=str(one["metadata"]["namespace"]),
            version=lives.version(one),
            hub=observed.hub,
            sequence=taken.sequence,
        )
        for one in rollouts
        if lives.sequence(one) < taken.sequence
    )
    if taken is before and not actions:
        return None
    return DispatchPlan(status=status, actions=actions, fence=taken is not before)


def _waiting(item: ClusterRollout, observed: DispatchObserved, now: datetime) -> DispatchPlan:
    why = observed.member.message if observed.member else ""
    status = _status(item, observed, f"waiting for the member: {why}", now)
    return DispatchPlan(status=status, wake_at=_end(item, now))


def _released(item: ClusterRollout, why: str) -> DispatchPlan:
    """Let go, and say what stays behind."""
    names = ", ".join(f"{each.kind} {each.namespace}/{each.name}" for each in item.status.inventory)
    message = f"{why}; left behind in the member: {names}"
    status = item.status.model_copy(update={"reason": "Released", "message": message})
    told = (("Warning", "Released", message),)  # the object itself is gone in a moment
    return DispatchPlan(status=status, finalizer=Finalizer.REMOVE, events=told)


def _status(
    item: ClusterRollout, observed: DispatchObserved, message: str, now: datetime
) -> ClusterRolloutStatus:
    phase = item.status.phase
    lost = observed.member is None or not observed.member.reachable
    if lost and not standing.stands(item):
        phase = ClusterPhase.UNREACHABLE
    found = Assessment(
        phase=phase,
        reason="Deleting",
        message=message,
        conditions=(standing.reachable(observed.member),),
    )
    return standing.status(item, found, now)
