"""From the assessment of a cluster to its next status: phase, clocks, conditions.

Called by `dispatch` and `removal`. The clock of the progress deadline stands still while the
cluster is paused, held or out of reach; what it has waited is kept here, in the hub's own time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fleet.api import ClusterRollout, conditions
from fleet.api.clusterrollout import ClusterRolloutStatus, Dispatched, LastGood
from fleet.api.conditions import Condition
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.rollout import Phase
from fleet.hub.core import phases
from fleet.hub.core.cluster.assessment import Assessment
from fleet.hub.core.observed import Member

INPUTS_CHANGED = "InputsChanged"
"""Condition: rendered today, the manifests would be others; that goes through a run of its own."""

REACHABLE = "Reachable"
"""Condition: its member's API server answers."""

WAITING = frozenset({ClusterPhase.PAUSED, ClusterPhase.UNREACHABLE})
FINAL = frozenset({ClusterPhase.SUCCEEDED, ClusterPhase.FAILED})
VERDICTS = (Phase.COMPLETED, Phase.FAILED)


def is_taken(item: ClusterRollout) -> bool:
    """Whether the present wish, with its attempt, has its dispatch sequence."""
    want, taken = item.spec.want, item.status.dispatch
    return (
        want is not None
        and taken.sequence > 0
        and (taken.run, taken.attempt) == (want.run, want.attempt)
    )


def is_current(item: ClusterRollout) -> bool:
    """Its status speaks of the present wish; a hold that has just come or gone changes nothing."""
    return is_taken(item) or item.status.observed_generation >= item.metadata.generation


def is_urgent(item: ClusterRollout, engine: Mapping[str, Any]) -> bool:
    """Whether it goes before those that only begin: `engine`, the Rollout's status, holds a verdict
    that is news and may stop others or let them go, a hold comes or goes, a person asks for
    something, or it is sent back."""
    want = item.spec.want
    if want is None:
        return False
    if item.spec.hold != item.status.dispatch.hold or (want.undoes and not is_taken(item)):
        return True
    if item.spec.request is not None and item.spec.request.id != item.status.dispatch.request:
        return True
    has_ended = engine.get("phase") in VERDICTS and engine.get("fleetRevision") == want.revision
    return has_ended and is_taken(item) and item.status.phase not in FINAL


def is_replaced(item: ClusterRollout, member: Member) -> bool:
    """Whether another API server answers than the one that was written to."""
    known = item.status.server
    return bool(known and member.server and known != member.server)


def forgotten(item: ClusterRollout) -> ClusterRollout:
    """The ClusterRollout before anything was written: what it knew is of another API server."""
    before = item.status
    blank = ClusterRolloutStatus(
        dispatch=Dispatched(sequence=before.dispatch.sequence), conditions=before.conditions
    )
    return item.model_copy(update={"status": blank})


def stands(item: ClusterRollout) -> bool:
    """Whether the present wish has come to its end, so that a lost member changes nothing."""
    return is_taken(item) and item.status.phase in FINAL


def status(item: ClusterRollout, found: Assessment, now: datetime) -> ClusterRolloutStatus:
    """The whole next status. Raises UnexpectedState for a move that the table does not know."""
    before = item.status
    taken = is_taken(item)
    phase = phases.move(
        phases.CLUSTER_MOVES,
        before.phase if taken else None,
        found.phase,
        f"cluster {item.spec.cluster} of {item.spec.application}",
    )
    waiting = phase in WAITING or (bool(item.spec.hold) and phase not in FINAL)
    since, waited = before.waiting_since, before.waited_seconds
    speaks = is_current(item)  # or each look would move these times, and be written
    if not speaks:
        since, waited = None, 0.0
    if since is not None and not waiting:
        waited += max((now - since).total_seconds(), 0.0)
    same = speaks and phase is before.phase
    return before.model_copy(
        update={
            "observed_generation": item.metadata.generation,
            "phase": phase,
            "reason": found.reason,
            "message": found.message[: conditions.MESSAGE_LIMIT],
            "waiting_since": (since or now) if waiting else None,
            "waited_seconds": waited,
            "finished_at": (before.finished_at if same else now) if phase in FINAL else None,
            "conditions": _conditions(item, found.conditions, now),
            **found.update,
        }
    )


def good(before: ClusterRolloutStatus, run: str, revision: str) -> dict[str, LastGood]:
    """What is news of what ran well here last, and before it: who went back has nothing before it
    any more."""
    last, previous = before.last_good, before.previous_good
    if (last.run, last.revision) == (run, revision):
        return {}
    now = LastGood(run=run, revision=revision)
    if last.run == now.run or not last.run:
        return {"last_good": now}
    return {"last_good": now, "previous_good": LastGood() if previous.run == now.run else last}


def reachable(member: Member | None) -> Condition:
    """The condition `Reachable`: its time is when the member was lost."""
    if member is None:
        return conditions.condition(
            REACHABLE, False, "Released", "the MemberCluster is gone; what is there stays"
        )
    if not member.reachable:
        return conditions.condition(REACHABLE, False, member.reason, member.message)
    return conditions.condition(REACHABLE, True, "Reachable", "")


def lost_since(item: ClusterRollout) -> datetime | None:
    """Since when its member is out of reach; None while it is not, and while that is not known."""
    seen = conditions.find(item.status.conditions, REACHABLE)
    return seen.last_transition_time if seen is not None and seen.status != "True" else None


def _conditions(
    item: ClusterRollout, new: Sequence[Condition], now: datetime
) -> tuple[Condition, ...]:
    return conditions.updated(item.status.conditions, new, now, item.metadata.generation)
