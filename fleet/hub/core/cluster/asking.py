"""A person's request on its way to the engine of one cluster: carried once, or not at all.

    ClusterRollout.spec.request ──its sequence is taken──> one write into the Rollout: annotation
                                                           and sequence, for the version that was
                                                           seen to wait ──> seen by its sequence

Called by `dispatch` before its other writes. Whatever has moved since the hub read the request
makes it lapse, and that is told: nobody is let go from where no person has seen him stand.
"""

from datetime import datetime, timedelta

from fleet.api import Rollout
from fleet.api.clusterrollout import Request
from fleet.hub.core.actions import DispatchPlan, FenceRollout
from fleet.hub.core.cluster import assessment, persons, writes
from fleet.hub.core.cluster.case import Case

LIFETIME = timedelta(minutes=5)
"""So long a request waits for a member that does not answer, or an engine that is not heard of."""


def carried(case: Case) -> DispatchPlan | None:
    """The request that is still to be carried, or its end; None where nothing is due."""
    request, taken = case.item.spec.request, case.item.status.dispatch
    if request is None or not case.is_applied or writes.loss(case):
        return None  # what is written anew waits for nobody yet, and the dispatch remembers that
    is_taken = taken.request == request.id
    if is_taken and taken.asked <= case.live.sequence:
        return None
    rollout = assessment.parse(case.live.rollout)
    if why := _lapsed(case, request, rollout):
        return _told(case, request, why)
    if rollout is None or not _is_ready(case, request, rollout):
        return DispatchPlan(status=case.item.status, wake_at=end(case)) if is_taken else None
    sequence = taken.asked if is_taken else case.next_sequence
    update = {"sequence": max(taken.sequence, sequence), "request": request.id, "asked": sequence}
    namespace, name = case.live.main
    write = FenceRollout(
        name=name,
        namespace=namespace,
        version=case.live.version,
        hub=case.observed.hub,
        sequence=sequence,
        request=persons.ANNOTATIONS[request.verb],
    )
    # The sequence changes its owner: what is ours is learned again when it has arrived.
    status = case.item.status.model_copy(
        update={"dispatch": taken.model_copy(update=update), "owned": ""}
    )
    return DispatchPlan(status=status, actions=(write,), fence=not is_taken)


def end(case: Case) -> datetime | None:
    """When a request that was not carried yet lapses; None where there is none."""
    request, taken = case.item.spec.request, case.item.status.dispatch
    if request is None or (taken.request == request.id and taken.asked <= case.live.sequence):
        return None
    return (request.time or case.now) + LIFETIME


def _lapsed(case: Case, request: Request, rollout: Rollout | None) -> str:
    """Why it is not carried any more; empty while it may be."""
    if case.bar is not None and not case.observed.is_printing:
        return case.bar[1]
    if case.item.spec.hold or case.live.hold:
        return f"it is held: {case.item.spec.hold or case.live.hold}"
    is_here = rollout is None or _stands(case, request, rollout)
    if not is_here:
        return "its engine does not wait there any more"
    if abs(case.now - (request.time or case.now)) >= LIFETIME:  # of two hubs, and two clocks
        return f"for {LIFETIME.seconds // 60} min it could not be asked"
    return ""


def _stands(case: Case, request: Request, rollout: Rollout) -> bool:
    """Whether the engine still waits where it did when the hub read the request."""
    status = rollout.status
    place = (status.fleet_revision, status.step[: assessment.NAME_LIMIT])
    is_there = place == (case.want.revision, request.step)
    return is_there and persons.awaited(rollout) == request.verb


def _is_ready(case: Case, request: Request, rollout: Rollout) -> bool:
    """Whether the engine has seen all that was written, and nobody else is asking it."""
    has_all = case.live.sequence >= case.item.status.dispatch.carried
    is_seen = rollout.status.observed_generation == rollout.metadata.generation
    is_free = case.bar is None and not persons.has_heard(rollout, request.verb)
    return case.member.fresh and has_all and is_seen and is_free


def _told(case: Case, request: Request, why: str) -> DispatchPlan:
    """It has come to its end without an engine that heard it."""
    taken = case.item.status.dispatch.model_copy(update={"request": request.id, "asked": 0})
    status = case.item.status.model_copy(update={"dispatch": taken})
    message = f"the request {request.verb}/{request.id} was not carried there: {why}"
    return DispatchPlan(status=status, events=(("Warning", "RequestLapsed", message),))
