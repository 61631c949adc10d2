"""Which writes a member still needs for its present wish, and which sequence they carry.

Called by `dispatch`. A sequence is taken once for each wish and each hold; writes of one sequence
may be sent again until they are seen in the member, and are not sent once they are.
"""

from collections.abc import Iterator
from typing import Any

from fleet.api.clusterrollout import Dispatched
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import ROLLOUTS, request_annotation
from fleet.hub.core import weights
from fleet.hub.core.actions import (
    ApplyRollout,
    CreateObject,
    FenceRollout,
    HoldRollout,
    ReleaseRollout,
    UpdateObject,
)
from fleet.hub.core.cluster import drift, ownership
from fleet.hub.core.cluster import live as lives
from fleet.hub.core.cluster.case import Case
from fleet.hub.core.cluster.persons import YES
from fleet.rendering.render import Rendered

RETRY = request_annotation("retry")

Write = ApplyRollout | FenceRollout | HoldRollout | ReleaseRollout | CreateObject | UpdateObject


def next_dispatch(case: Case) -> Dispatched | None:
    """The sequence to take before anything is written; None when the one taken serves."""
    taken, hold = case.item.status.dispatch, case.item.spec.hold
    renew = case.bar is None and _is_new(case, taken)
    weight = _weight(case, renew)
    if not renew and (taken.hold, taken.weight) == (hold, weight):
        return None
    sequence = case.next_sequence
    weighed = taken.weighed if weight == taken.weight else sequence
    # A request that has not arrived is looked at anew: a later sequence would hide that.
    request, asked = ("", 0) if taken.asked > case.live.sequence else (taken.request, taken.asked)
    return Dispatched(
        sequence=sequence,
        run=case.want.run,
        revision=case.want.revision,
        attempt=case.want.attempt,
        digest=case.digest if renew else taken.digest,
        hold=hold,
        rollout=sequence if renew else taken.rollout,
        weight=weight,
        weighed=0 if renew else weighed,
        request=_given_up(case) if renew else request,
        asked=0 if renew else asked,
    )


def _given_up(case: Case) -> str:
    """A request was about the Rollout as it was before this dispatch."""
    request = case.item.spec.request
    return request.id if request is not None else ""


def _weight(case: Case, renew: bool) -> int | None:
    """The live weight: what stops it from rising also stops one that the member has lost. In a
    Rollout that stays as it is it moves alone, and only falls: inputs that have changed meanwhile
    never ride along, and templates need not be printed for it."""
    asked, taken = case.observed.weight, case.item.status.dispatch.weight
    if renew and (not case.is_taken or asked is None or taken is None):
        return asked
    if not case.is_taken:
        return taken
    return weights.wanted(case.item, case.observed, only_falls=case.stays and not renew)


def _is_new(case: Case, taken: Dispatched) -> bool:
    """Whether the Rollout is to be written anew: another wish, or the member lost it."""
    if not case.is_taken or case.live.sequence > taken.sequence:
        return True
    if not case.is_applied:
        return taken.digest != case.digest
    return case.live.rollout is None or case.live.sequence < taken.rollout


def loss(case: Case) -> str:
    """What the member has lost that it was seen to have, so that it is written anew; else ""."""
    taken, seen = case.item.status.dispatch, case.live.sequence
    if case.bar is not None or not case.is_applied:
        return ""
    if case.live.rollout is None:
        return f"the Rollout of dispatch {taken.rollout} is gone from {case.member.name}"
    if seen >= taken.rollout:
        return ""
    return (
        f"{case.member.name} has the Rollout of dispatch {seen} where {taken.rollout} had arrived: "
        "it was restored from a backup"
    )


def again(case: Case) -> tuple[Dispatched, ApplyRollout]:
    """The same wish under the next sequence: the own write before anything is deleted."""
    sequence = case.next_sequence
    taken = case.item.status.dispatch.model_copy(update={"sequence": sequence, "rollout": sequence})
    return taken, _apply(case, taken)


def missing(case: Case, dispatch: Dispatched) -> tuple[Write, ...]:
    """The writes that have not been seen in the member, the Rollout first."""
    writes: list[Write] = []
    if write := _missing(case, dispatch):
        writes.append(write)
    if case.live.hold != dispatch.hold:
        writes.extend(_hold(case, dispatch))
    if case.observed.looked_up is not None:
        for each in unconfirmed(case):
            found = case.live.get(each)
            if found is None:
                writes.append(CreateObject(resource=each.resource, manifest=each.manifest))
            elif lives.digest(found) != each.digest:
                manifest = ownership.merged(found, each)
                writes.append(UpdateObject(resource=each.resource, manifest=manifest))
    return tuple(writes)


def _hold(case: Case, dispatch: Dispatched) -> Iterator[HoldRollout | ReleaseRollout]:
    """The hold, or its end: for the version that is there once the Rollout has arrived, and of
    somebody else's only by force."""
    namespace, name = case.live.main
    if dispatch.hold:
        yield HoldRollout(
            name=name, namespace=namespace, reason=dispatch.hold, sequence=dispatch.sequence
        )
    elif _missing(case, dispatch) is None:
        if case.live.foreign_hold and not case.observed.force:
            return
        yield ReleaseRollout(name=name, namespace=namespace, version=case.live.version)


def unconfirmed(case: Case) -> tuple[Rendered, ...]:
    """Services and routes that have not been seen as they shall be."""
    if case.stays:
        return ()
    seen = {where: item.digest for where, item in case.listed.items()}
    return tuple(
        each
        for each in case.observed.rendered
        if each.resource is not ROLLOUTS and seen.get(each.place) != each.digest
    )


def _missing(case: Case, dispatch: Dispatched) -> ApplyRollout | FenceRollout | None:
    """What brings the Rollout of this dispatch; None where it is there, or nothing brings it."""
    seen = case.live.sequence
    if case.bar is None and (case.live.rollout is None or seen < dispatch.rollout):
        return _apply(case, dispatch)
    if case.stays:
        is_due = seen < dispatch.weighed and not weights.is_closed(case.item, case.member)
        return _weigh(case, dispatch) if is_due else None
    is_same = seen >= dispatch.carried and case.live.digest == case.rollout.digest
    return None if is_same and not drifted(case) else _apply(case, dispatch)


def _weigh(case: Case, dispatch: Dispatched) -> FenceRollout | None:
    """The weight alone into a Rollout that has one; what is rendered by now stays out of it."""
    if weights.FIELD not in lives.part(case.live.rollout, "spec", "strategy", "canary"):
        return None
    namespace, name = case.live.main
    return FenceRollout(
        name=name,
        namespace=namespace,
        version=case.live.version,
        hub=case.observed.hub,
        sequence=dispatch.carried,
        weight=dispatch.weight,
    )


def drifted(case: Case) -> bool:
    """Whether somebody has changed what we wrote, and it is written again.

    An engine would begin a failed revision anew. Without force it is for the member's server to
    name who is in the way: a field that is only taken away has nobody, and would come back.
    """
    is_refusable = case.observed.force or drift.editors(case.live.rollout)
    has_failed = case.item.status.phase is ClusterPhase.FAILED
    return bool(is_refusable) and not has_failed and edited(case)


def edited(case: Case) -> bool:
    """Whether somebody has changed what we wrote, since it arrived."""
    if case.stays or not case.is_applied:
        return False
    before, now = case.item.status.owned, drift.owned(case.live.rollout)
    return bool(before and now and before != now)


def _apply(case: Case, dispatch: Dispatched) -> ApplyRollout:
    """The Rollout with its fence, and with the engine's request where this is a retry. One that
    another hub has released is taken over; the mark was that hub's, or a person's."""
    manifest, forced = case.rollout.manifest, case.observed.force
    spec = manifest["spec"] if forced else drift.spared(manifest["spec"], case.live.rollout)
    sequence = max(dispatch.carried, case.live.sequence)  # of a request that came later
    fence: dict[str, Any] = {"hub": case.observed.hub, "sequence": sequence}
    if case.live.is_released:
        fence["released"] = False
    metadata = dict(manifest["metadata"])
    if dispatch.attempt and not case.is_applied:
        metadata["annotations"] = {**metadata["annotations"], RETRY: YES}
    return ApplyRollout(
        manifest={
            **manifest,
            "metadata": metadata,
            "spec": {**weights.put(spec, dispatch.weight), "dispatch": fence},
        },
        force=forced or case.live.is_released,
    )
