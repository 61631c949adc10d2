"""Taking away what was made in a member, when the ClusterRollout is deleted.

    Delete   the Rollout, so that its engine restores Services and routes, then these in reverse
    Orphan   the Rollout is marked as released, and everything stays
    Revert   as Delete, but what was there before us becomes what it was

Called by `dispatch`. Only what the inventory names and our labels mark is touched. Where the
Application is gone, later waves are cleared before earlier ones. A member that cannot be reached is
waited for until `deletionTimeout`, and nobody waits for it; one whose access is gone is let be, and
said so.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import ClusterRolloutStatus, Dispatched
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.meta import Manifest
from fleet.api.names import CLUSTERROLLOUT_FINALIZER, ROLLOUTS
from fleet.hub.core.actions import DispatchPlan, FenceRollout, Finalizer, LookUp
from fleet.hub.core.cluster import inventory, reverting, standing
from fleet.hub.core.cluster import live as lives
from fleet.hub.core.cluster.assessment import Assessment
from fleet.hub.core.cluster.live import Live
from fleet.hub.core.observed import DispatchObserved
from fleet.kit import durations, phrases

RECHECK = timedelta(seconds=10)
"""Services and routes are not watched: their end is looked for after this time."""

GONE = frozenset({"SecretNotFound"})
"""Reasons of a member that no waiting mends; a Secret that is there can be put right."""


class Leaving(NamedTuple):
    """What is still there, what is written now, and the live Rollouts."""

    left: inventory.Items
    writes: tuple[reverting.Change, ...]
    rollouts: Sequence[Manifest]


def decide(item: ClusterRollout, observed: DispatchObserved, now: datetime) -> DispatchPlan:
    """The next deletions, or the finalizer's end."""
    if CLUSTERROLLOUT_FINALIZER not in item.metadata.finalizers:
        return DispatchPlan(status=item.status)
    if not item.status.inventory:
        return DispatchPlan(status=item.status, finalizer=Finalizer.REMOVE)
    if observed.member is not None and observed.member.reachable:
        if standing.is_replaced(item, observed.member):
            return _released(item, f"another API server answers as {item.spec.cluster} now")
        return _in_turn(item, observed, now) or _let_go(item, observed, now)
    if why := _lost(item, observed, now):
        return _released(item, why)
    return _waiting(item, observed, now)


def _lost(item: ClusterRollout, observed: DispatchObserved, now: datetime) -> str:
    """Why there is nothing more to wait for; empty while there is."""
    if observed.member is None:
        return "the MemberCluster is gone"
    if observed.member.reason in GONE:
        return observed.member.message
    if observed.member.connecting_until is not None:
        return ""  # a hub that has just begun: nobody knows yet whether it answers
    if now >= _end(item, now):
        return f"out of reach for {_shown(item)}: {observed.member.message}"
    return ""


def _end(item: ClusterRollout, now: datetime) -> datetime:
    """The timeout after the member was lost, or after the deletion where it was lost before that.

    A hub that has just begun knows of no loss yet: then it begins now.
    """
    since = max(standing.lost_since(item) or now, item.metadata.deletion_timestamp or now)
    return since + _timeout(item)


def _timeout(item: ClusterRollout) -> timedelta:
    return timedelta(seconds=item.spec.deletion.timeout_seconds)


def _shown(item: ClusterRollout) -> str:
    return durations.format_short(_timeout(item))


def wave_of(item: ClusterRollout) -> int:
    """Where its wave stands in the plan: what goes is taken from the last one to the first."""
    return item.spec.want.wave if item.spec.want else 0


def _in_turn(
    item: ClusterRollout, observed: DispatchObserved, now: datetime
) -> DispatchPlan | None:
    """Wait for later waves; not in the midst of it, and not for ever."""
    begun = item.status.dispatch.sequence and not item.status.dispatch.run
    asked = item.metadata.deletion_timestamp or now
    if begun or now >= asked + _timeout(item):
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


def _let_go(item: ClusterRollout, observed: DispatchObserved, now: datetime) -> DispatchPlan:
    """By the policy, unless another hub has the Rollout."""
    live = Live.of(item, observed)
    listed = item.status.inventory
    found = [live.find(inventory.place(one)) for one in listed if one.plural == ROLLOUTS.plural]
    rollouts = [one for one in found if one is not None]
    # A Rollout that was there before us stays, and the rest must be seen then too.
    stays = item.spec.deletion.policy == "Revert"
    if observed.looked_up is None and (stays or not rollouts):
        return DispatchPlan(status=item.status, actions=(LookUp(),))
    for rollout in rollouts:
        if hub := lives.other_hub(rollout, observed.hub):
            return _released(item, f"another hub ({hub}) manages the Rollout")
    owner = inventory.Owner.of(item, observed.hub)
    match item.spec.deletion.policy:
        case "Delete":
            left, deletions = inventory.leaving(listed, live, owner)
            return _away(item, observed, Leaving(left, deletions, rollouts), now)
        case "Revert":
            left, writes = inventory.returning(listed, live, owner)
            return _away(item, observed, Leaving(left, writes, rollouts), now)
        case "Orphan":
            ours = [
                one
                for each in listed
                if each.plural == ROLLOUTS.plural
                and (one := inventory.mine(each, live, owner)) is not None
            ]
            return _orphaned(item, observed, ours, now)


def _orphaned(
    item: ClusterRollout, observed: DispatchObserved, rollouts: Sequence[Manifest], now: datetime
) -> DispatchPlan:
    """Everything stays as it runs; a Rollout that is marked so may be taken over by any hub.

    Our hold ends, for nobody would be there to end it; somebody else's stays.
    """
    kept = [one for one in rollouts if not lives.is_released(one)]
    if not kept:
        return _done(item, "Normal", "Orphaned", f"deletionPolicy: Orphan; {_left(item)}")
    status = _status(item, observed, "letting go of the Rollout", now)
    taken, fence = _sequence(item, rollouts)
    marks = tuple(
        replace(mark, released=True, spares_hold=bool(lives.foreign_hold(one)))
        for one, mark in zip(kept, _marks(kept, observed, taken), strict=True)
    )
    status = status.model_copy(update={"dispatch": taken})
    return DispatchPlan(status=status, actions=marks, fence=fence)


def _away(
    item: ClusterRollout, observed: DispatchObserved, leaving: Leaving, now: datetime
) -> DispatchPlan:
    """The Rollout, then, when it is gone, the rest; before each an own dispatch."""
    left = leaving.left
    if not left:
        return DispatchPlan(status=item.status, finalizer=Finalizer.REMOVE)
    status = _status(item, observed, _progress(item, left), now)
    wake = None if left[0].plural == ROLLOUTS.plural else now + RECHECK
    if not leaving.writes:
        return DispatchPlan(status=status, wake_at=wake)
    places = {inventory.place(one)[1:] for one in left if one.plural == ROLLOUTS.plural}
    fenced = [one for one in leaving.rollouts if lives.key(one) in places]
    return _fenced(item, observed, status, fenced) or DispatchPlan(
        status=status, actions=leaving.writes, wake_at=wake
    )


def _progress(item: ClusterRollout, left: inventory.Items) -> str:
    if left[0].plural == ROLLOUTS.plural:
        return "waiting for the engine to let go of its Rollout"
    doing = "putting back" if item.spec.deletion.policy == "Revert" else "deleting"
    return f"{doing} {', '.join(f'{each.kind} {each.name}' for each in left)}"


def _fenced(
    item: ClusterRollout,
    observed: DispatchObserved,
    status: ClusterRolloutStatus,
    rollouts: Sequence[Manifest],
) -> DispatchPlan | None:
    """The own dispatch that comes before a deletion; None when it has arrived.

    A dispatch without run is one that takes away.
    """
    taken, is_new = _sequence(item, rollouts)
    behind = [one for one in rollouts if lives.sequence(one) < taken.sequence]
    if not is_new and not behind:
        return None
    status = status.model_copy(update={"dispatch": taken})
    return DispatchPlan(status=status, actions=_marks(behind, observed, taken), fence=is_new)


def _sequence(item: ClusterRollout, rollouts: Sequence[Manifest]) -> tuple[Dispatched, bool]:
    """The dispatch that takes away, and whether it has yet to be taken."""
    before = item.status.dispatch
    if not before.run and before.sequence:
        return before, False
    sequence = max([before.sequence, *(lives.sequence(one) for one in rollouts)]) + 1
    return Dispatched(sequence=sequence, rollout=sequence), True


def _marks(
    rollouts: Sequence[Manifest], observed: DispatchObserved, taken: Dispatched
) -> tuple[FenceRollout, ...]:
    """The write of that dispatch into each of them."""
    return tuple(
        FenceRollout(
            name=str(one["metadata"]["name"]),
            namespace=str(one["metadata"]["namespace"]),
            version=lives.version(one),
            hub=observed.hub,
            sequence=taken.sequence,
        )
        for one in rollouts
    )


def _waiting(item: ClusterRollout, observed: DispatchObserved, now: datetime) -> DispatchPlan:
    why, met = "", None
    if observed.member is not None:
        why, met = observed.member.message, observed.member.connecting_until
    status = _status(item, observed, f"waiting for the member: {why}", now)
    return DispatchPlan(status=status, wake_at=max(_end(item, now), met or now))


def _released(item: ClusterRollout, why: str) -> DispatchPlan:
    """Let go, and say what stays behind."""
    return _done(item, "Warning", "Released", f"{why}; {_left(item)}")


def _done(item: ClusterRollout, kind: str, reason: str, message: str) -> DispatchPlan:
    status = item.status.model_copy(update={"reason": reason, "message": message})
    told = ((kind, reason, message),)  # the object itself is gone in a moment
    return DispatchPlan(status=status, finalizer=Finalizer.REMOVE, events=told)


def _left(item: ClusterRollout) -> str:
    names = ", ".join(f"{each.kind} {each.namespace}/{each.name}" for each in item.status.inventory)
    return f"left behind in the member: {names}"


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
