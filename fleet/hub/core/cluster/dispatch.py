"""One cluster: what is to be written into the member now, and where the cluster stands.

`decide` is called for each change of a ClusterRollout, of its live Rollout or of its member. The
order is always the same: take a sequence with a guarded write (`fence`), write the Rollout, then
Services and routes, and believe only what is seen in the member. Cut off at any point, the next
look finds how far it came and does the rest; nothing that arrived is sent twice.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from fleet.api import ClusterRollout, conditions
from fleet.api.clusterrollout import EngineReport
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import CLUSTERROLLOUT_FINALIZER
from fleet.hub.core import phases, weights
from fleet.hub.core.actions import DispatchPlan, Finalizer, LookUp
from fleet.hub.core.cluster import (
    asking,
    assessment,
    bars,
    drift,
    inventory,
    removal,
    standing,
    writes,
)
from fleet.hub.core.cluster.assessment import Assessment
from fleet.hub.core.cluster.case import Case
from fleet.hub.core.cluster.inventory import Listed
from fleet.hub.core.observed import DispatchObserved, Member


def decide(item: ClusterRollout, observed: DispatchObserved, now: datetime) -> DispatchPlan:
    """The next writes into the member, and the ClusterRollout's status."""
    if item.metadata.deletion_timestamp is not None:
        return removal.decide(item, observed, now)
    want = item.spec.want
    if want is None:
        return _pending(item, now)
    if CLUSTERROLLOUT_FINALIZER not in item.metadata.finalizers:
        return DispatchPlan(status=item.status, finalizer=Finalizer.ADD)
    # Another MemberCluster of the same name is not the one for which this was wished.
    member = observed.member
    member = member if member is not None and member.is_meant(want) else None
    if member is not None and observed.accepts_unknown_engine:
        member = member.accepted
    if member is None or not member.reachable:
        return _unreachable(item, member, now)
    if standing.is_replaced(item, member):
        return _replaced(item, now)
    case = Case.of(item, want, member, observed, now)
    answers = (step(case) for step in STEPS)
    return next((plan for plan in answers if plan is not None), None) or _reported(case)


def _pending(item: ClusterRollout, now: datetime) -> DispatchPlan:
    found = Assessment(phase=ClusterPhase.PENDING, reason="Pending")
    return DispatchPlan(status=standing.status(item, found, now))


def _unreachable(item: ClusterRollout, member: Member | None, now: datetime) -> DispatchPlan:
    """Nothing can be read or written; what had come to its end stands."""
    if member is not None and member.connecting_until is not None:
        # A restart of the hub would write of everybody that nothing is known, and a moment later
        # what had been known before.
        return DispatchPlan(status=item.status, wake_at=member.connecting_until)
    seen = standing.reachable(member)
    if standing.stands(item):
        found = Assessment(
            phase=item.status.phase,
            reason=item.status.reason,
            message=item.status.message,
            conditions=(seen,),
        )
    else:
        found = Assessment(
            phase=ClusterPhase.UNREACHABLE,
            reason=seen.reason,
            message=seen.message,
            conditions=(seen,),
        )
    return DispatchPlan(status=standing.status(item, found, now))


def _replaced(item: ClusterRollout, now: datetime) -> DispatchPlan:
    """Another API server answers: a wish that the former one received is not for this one.

    What is known of the former stays, for it may come back, until a new wish begins from nothing.
    """
    if not standing.is_taken(item):
        return DispatchPlan(status=standing.forgotten(item).status)
    found = Assessment(
        phase=ClusterPhase.PENDING,
        reason="MemberReplaced",
        message=f"another API server answers as {item.spec.cluster} than the one that was written "
        "to: it receives nothing before a run lets it go",
    )
    kept = item.status
    status = standing.status(standing.forgotten(item), found, now).model_copy(
        update={
            "dispatch": kept.dispatch,
            "server": kept.server,
            "applied_run": kept.applied_run,
            "inventory": kept.inventory,
        }
    )
    return DispatchPlan(status=status)


def _looked_up(case: Case) -> DispatchPlan | None:
    """Ask for the live objects before anything that depends on them.

    A Rollout that the watch does not show may be there without our labels; one that we did not
    write is read whole before it is adopted.
    """
    if case.observed.looked_up is not None or case.bar is not None:
        return None
    if case.live.digest and not writes.unconfirmed(case) and not _surplus(case):
        return None
    return DispatchPlan(status=case.item.status, actions=(LookUp(),))


def _fenced(case: Case) -> DispatchPlan | None:
    """A new wish or a new hold: take the next sequence first."""
    taken = writes.next_dispatch(case)
    if taken is None:
        return None
    renew = taken.rollout == taken.sequence
    status = case.item.status.model_copy(
        update={"dispatch": taken, "observed_generation": case.item.metadata.generation}
    )
    if renew:
        known = tuple(item for item in status.conditions if item.type != standing.INPUTS_CHANGED)
        status = status.model_copy(
            update={
                "phase": ClusterPhase.APPLYING,
                "reason": "Applying",
                "message": "",
                "server": case.member.server or status.server,
                "applied_run": "",
                "owned": "",
                "inventory": inventory.planned(status.inventory, case.observed.rendered, case.live),
                "engine": status.engine.model_copy(update={"revision": "", "step": ""}),
                "finished_at": None,
                "waited_seconds": 0.0,
                "waiting_since": None,
                "conditions": known,
            }
        )
    elif case.stays and taken.weight != case.item.status.dispatch.weight:
        # A field that is moved alone changes its owner.
        status = status.model_copy(update={"owned": ""})
    told = writes.loss(case)
    events = (("Warning", "Redispatched", f"{told}: dispatched again"),) if told else ()
    return DispatchPlan(
        status=status, actions=writes.missing(case, taken), fence=True, events=events
    )


def _written(case: Case) -> DispatchPlan | None:
    """The sequence is taken and something has not arrived: send that again."""
    actions = writes.missing(case, case.item.status.dispatch)
    if not actions:
        return None
    before = case.item.status
    if case.is_applied:
        found = _assessed(case)
    elif before.phase in phases.FAILURES:
        found = Assessment(phase=before.phase, reason=before.reason, message=before.message)
    else:
        found = Assessment(phase=ClusterPhase.APPLYING, reason="Applying")
    status = standing.status(case.item, found, case.now)
    if not writes.drifted(case):
        return DispatchPlan(status=status, actions=actions)
    # Whatever the server makes of it is what we wrote: it is sent once for each change.
    status = status.model_copy(update={"owned": ""})
    told = f"{drift.told(case.live.rollout)}: restored"
    return DispatchPlan(status=status, actions=actions, events=(("Warning", "Drifted", told),))


STEPS: tuple[Callable[[Case], DispatchPlan | None], ...] = (
    bars.barred,
    bars.conflict,
    _looked_up,
    bars.spent,
    asking.carried,
    _fenced,
    _written,
    bars.unprinted,
)


def _reported(case: Case) -> DispatchPlan:
    """Everything is there: believe what is seen, and say where the cluster stands."""
    found, listed = _assessed(case), _listed(case)
    found = replace(
        found,
        update=_update(case, found.phase, listed),
        conditions=(standing.reachable(case.member), *_inputs(case)),
    )
    after = standing.status(case.item, found, case.now)
    events: tuple[tuple[str, str, str], ...] = ()
    if writes.edited(case):  # what is not restored is told once
        told = f"{drift.told(case.live.rollout)}: left as it is"
        events = (("Warning", "Drifted", told),)
    soon = case.now + removal.RECHECK if listed.is_leaving else None
    wake = min((due for due in (soon, asking.end(case)) if due is not None), default=None)
    if not listed.deletions:
        return DispatchPlan(status=after, events=events, wake_at=wake)
    taken, write = writes.again(case)
    return DispatchPlan(
        status=after.model_copy(update={"dispatch": taken}),
        actions=(write, *listed.deletions),
        fence=True,
        events=events,
        wake_at=wake,
    )


def _update(case: Case, phase: ClusterPhase, listed: Listed) -> dict[str, Any]:
    """What else the status says of the member."""
    status, want = case.item.status, case.want
    rollout = assessment.parse(case.live.rollout)
    update: dict[str, Any] = {
        "inventory": listed.items,
        "owned": _owned(case),
        "server": status.server or case.member.server,
        "applied_run": want.run if case.bar is None else status.applied_run,
        "engine": assessment.report(rollout, want.revision) if rollout else EngineReport(),
    }
    if phase is ClusterPhase.SUCCEEDED:
        update |= standing.good(status, want.run, want.revision)
    return update


def _owned(case: Case) -> str:
    """The digest of our own fields: of those that arrived, until somebody changes them."""
    owned = "" if writes.edited(case) else case.item.status.owned
    if case.stays:
        return owned
    return owned if owned and case.is_applied else drift.owned(case.live.rollout)


def _listed(case: Case) -> Listed:
    """The inventory as seen; what is rendered no more goes, and is listed until it is gone."""
    items = case.item.status.inventory
    if not case.stays:
        items = inventory.confirmed(case.listed, case.wanted, case.live)
    # What is too much is looked up first.
    extra = _surplus(case) if case.observed.looked_up is not None else ()
    if not extra:
        return Listed(items=items)
    owner = inventory.Owner.of(case.item, case.observed.hub)
    left, deletions = inventory.leaving(extra, case.live, owner)
    items = tuple(item for item in items if item not in extra or item in left)
    return Listed(items=items, deletions=deletions, is_leaving=bool(left))


def _assessed(case: Case) -> Assessment:
    rollout = assessment.parse(case.live.rollout)
    if rollout is None:
        message = "the Rollout in the member cannot be read: its CRD or its content is not ours"
        return Assessment(phase=ClusterPhase.PROGRESSING, reason="EngineTooOld", message=message)
    before = case.item.status.phase if case.is_applied else None
    found = assessment.of(rollout, case.want.revision, case.member, before)
    if case.bar and found.phase is ClusterPhase.SUCCEEDED and not case.is_applied:
        return Assessment(phase=ClusterPhase.FAILED, reason=case.bar[0], message=case.bar[1])
    if found.phase not in standing.FINAL and not case.item.spec.hold and case.live.foreign_hold:
        message = (
            f"{case.live.foreign_hold} holds the Rollout ({case.live.hold}): take spec.hold away "
            "in the member, or set deliveryPolicy.onConflict: Force"
        )
        return Assessment(phase=ClusterPhase.CONFLICT, reason="Conflict", message=message)
    return found


def _surplus(case: Case) -> inventory.Items:
    """What the inventory names and is rendered no more, once nothing needs it any longer."""
    settled = case.is_applied and case.item.status.phase is ClusterPhase.SUCCEEDED
    if not settled or case.stays:
        return ()
    return inventory.surplus(case.listed, case.wanted)


def _inputs(case: Case) -> tuple[conditions.Condition, ...]:
    if not case.inputs_changed:
        return ()
    message = "labels, vars, defaults or templates changed the manifests of the cluster"
    if weights.wanted(case.item, case.observed) != case.item.status.dispatch.weight:
        message += f"; until a run brings them, its {weights.FIELD} only falls"
    return (conditions.condition(standing.INPUTS_CHANGED, True, "ClusterInputsChanged", message),)
