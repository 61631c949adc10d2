"""What stands in the way of a cluster: it is told, and nothing is written.

Called by `dispatch`, as the first of its steps and before a sequence is taken. What failed before
it had arrived goes on by itself when nothing is in the way any more, but never after a halt.
"""

from datetime import datetime, timedelta

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.hub.core import phases
from fleet.hub.core.actions import DispatchPlan
from fleet.hub.core.cluster import ownership, standing
from fleet.hub.core.cluster.assessment import Assessment
from fleet.hub.core.cluster.case import Case

RECHECK = timedelta(seconds=60)
"""A foreign object is not watched; it is looked at again after this time."""


def barred(case: Case) -> DispatchPlan | None:
    """Nothing may be written anew: what has arrived is watched and held, what has not fails, or
    waits where it only is not printed yet."""
    if case.bar is None or case.has_arrived:
        return None
    if case.observed.is_printing:
        return DispatchPlan(status=case.item.status)
    reason, message = case.bar
    if case.is_applied:
        message = f"the Rollout is gone from the member and cannot be written: {message}"
    # A CRD is not watched either.
    wake = case.now + RECHECK if reason == "EngineTooOld" else None
    return told(case, ClusterPhase.FAILED, reason, message, wake)


def conflict(case: Case) -> DispatchPlan | None:
    """Somebody else's object, or another hub's Rollout: reported, never fought."""
    application, namespace = case.item.spec.application, case.item.metadata.namespace
    for each in case.observed.rendered:
        live = case.live.find(each.place)
        if live is not None and not ownership.is_ours(live, application, namespace):
            message = ownership.foreign(live, each.resource.kind)
            return told(case, ClusterPhase.CONFLICT, "ForeignObject", message, case.now + RECHECK)
    other = case.live.other_hub(case.observed.hub)
    if not other:
        return None
    message = ownership.elsewhere(case.live.main[1], other)
    return told(case, ClusterPhase.CONFLICT, "OtherHub", message)


def spent(case: Case) -> DispatchPlan | None:
    """What failed before it had arrived, of a run that starts nothing: a retry is another wish.

    A cluster that goes back, and one that the wanted revision ran well in, is brought there.
    """
    item, run = case.item, case.observed.run_phase
    status = item.status
    is_stopped = run in phases.STOPPED and not case.want.undoes
    has_failed = standing.is_current(item) and status.phase in phases.FAILURES
    if not is_stopped or not has_failed or case.has_arrived or case.is_applied:
        return None
    if status.last_good.run == case.want.run:
        return None
    wake = case.now + RECHECK
    if case.is_taken:
        return told(case, status.phase, status.reason, status.message, wake)
    message = f"what stood in the way is gone, but {case.want.run} is {run}"
    if run is RunPhase.HALTED:
        message = f"{message}: fleet retry {item.spec.application}"
    return told(case, status.phase, str(run), message, wake)


def unprinted(case: Case) -> DispatchPlan | None:
    """Its Rollout has arrived, and what goes with it is not printed yet."""
    is_known = case.is_applied or not case.observed.is_printing
    return None if is_known else DispatchPlan(status=case.item.status)


def told(
    case: Case, phase: ClusterPhase, reason: str, message: str, wake_at: datetime | None = None
) -> DispatchPlan:
    """Nothing is written; this is why."""
    found = Assessment(
        phase=phase,
        reason=reason,
        message=message,
        conditions=(standing.reachable(case.member),),
    )
    return DispatchPlan(status=standing.status(case.item, found, case.now), wake_at=wake_at)
