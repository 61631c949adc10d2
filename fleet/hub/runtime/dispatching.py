"""One ClusterRollout: observe, decide, take the fence, write into the member, report.

    decide ──LookUp──> read the live objects ──> decide
           ──fence───> status first (guarded) ──> writes into the member ──> decide
           ──────────> writes into the member ──> status

Works keys of the member's own queue, so it may wait for that member as long as its client does.
Each round starts from what the stores hold, own writes included; when it is cut off, the next look
finds how far it came.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fleet import errors
from fleet.api import ClusterRollout
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import CLUSTERROLLOUTS, Key
from fleet.clusters.handles import Handle
from fleet.errors import FleetError, UnexpectedState
from fleet.hub.core.actions import (
    ApplyRollout,
    CreateObject,
    DeleteObject,
    DispatchPlan,
    Finalizer,
    LookUp,
    UpdateObject,
)
from fleet.hub.core.cluster import dispatch as dispatches
from fleet.hub.core.cluster import live, refusals, standing
from fleet.hub.core.observed import DispatchObserved, Place
from fleet.hub.runtime import apply, observe, resync, schemas, verdicts
from fleet.hub.runtime.apply import Outcome
from fleet.hub.runtime.context import Context

ROUNDS = 8
"""Decisions for one key in one go; the longest way is look, fence, release, report, clean up."""

Objects = dict[Place, Mapping[str, Any]]

log = logging.getLogger(__name__)


async def dispatch(hub: Context, key: Key) -> None:
    """Bring one cluster as far as it can be brought now, and report.

    Raises Conflict when the ClusterRollout moved meanwhile, and the member's error after it has
    been reported.
    """
    await _await_run(hub, key)
    looked_up: Objects | None = None
    is_deleted = False
    for _ in range(ROUNDS):
        item = hub.stores.items.get(key)
        if item is None:
            return
        observed = observe.dispatch(hub, item, looked_up)
        plan = dispatches.decide(item, observed, hub.now())
        if plan.status.reason == "EngineTooOld" and await schemas.learn_again(hub, item):
            continue
        if _is_kept(hub, item, plan):
            return  # before anything is read there: it asks four times a second
        if any(isinstance(action, LookUp) for action in plan.actions):
            looked_up = await _looked_up(hub, item, observed)
            continue
        if plan.finalizer is Finalizer.ADD:
            await apply.add_finalizer(hub, item)
        deletes = any(isinstance(action, DeleteObject) for action in plan.actions)
        if is_deleted and deletes:
            # Asked once is enough: the watch or `wake_at` tells when it is done.
            hub.wake(hub.queues.dispatches.queue(key), key, plan.wake_at)
            return
        is_deleted = is_deleted or deletes
        written, looked_up = await _carry_out(hub, item, plan, looked_up)
        if plan.finalizer is Finalizer.REMOVE:
            hub.tell(CLUSTERROLLOUTS, item, plan.events)
            await apply.remove_finalizer(hub, hub.stores.items.get(key, item))
            return
        if not written:
            hub.wake(hub.queues.dispatches.queue(key), key, plan.wake_at)
            return
    raise UnexpectedState(f"ClusterRollout {'/'.join(key)} does not come to rest")


def is_at_rest(hub: Context, key: Key) -> bool:
    """Whether a look at that cluster finds everything as it shall be and as it was reported, and
    nothing to wait for: then that was its look. Nobody is asked, and nothing written: for a hub
    that does not know all its members yet."""
    item = hub.stores.items.get(key)
    if item is None or item.metadata.deletion_timestamp is not None:
        return False  # what goes depends on other members
    want = item.spec.want
    if want is not None and (key[0], want.run) not in hub.stores.runs:
        return False
    observed = observe.dispatch(hub, item, None)
    if observed.member is None or not observed.member.fresh or observed.is_printing:
        return False
    return dispatches.decide(item, observed, hub.now()) == DispatchPlan(status=item.status)


async def _await_run(hub: Context, key: Key) -> None:
    """Without the wanted run the cluster would fail of one that "does not exist any more"."""
    item = hub.stores.items.get(key)
    if item is not None and item.spec.want is not None:
        await resync.named(hub.kube, hub.stores.runs, (key[0], item.spec.want.run))


async def _looked_up(hub: Context, item: ClusterRollout, observed: DispatchObserved) -> Objects:
    """The live objects. Raises the member's error after it has been told."""
    wanted = observe.wanted(item, observed)
    ours = [place for place, one in observed.rollouts.items() if live.digest(one)]
    try:
        return dict(await apply.look(_handle(hub, item), wanted, ours))
    except FleetError as error:
        await _failed(hub, item, error, is_read=True)
        raise


async def _carry_out(
    hub: Context, item: ClusterRollout, plan: DispatchPlan, looked_up: Objects | None
) -> tuple[bool, Objects | None]:
    """Do one plan; whether anything was written, and what is known of the live objects after it."""
    key = (item.namespace, item.name)
    written = False
    if plan.fence:
        written = await apply.write_status(hub, CLUSTERROLLOUTS, item, plan.status)
        hub.tell(CLUSTERROLLOUTS, item, plan.events)
        item = hub.stores.items.get(key, item)
        if _is_kept(hub, item, plan):
            return False, looked_up
    if plan.actions:
        outcomes = await apply.member(_handle(hub, item), plan.actions)
        if outcomes[-1].error is not None:
            await _failed(hub, item, outcomes[-1].error)
            raise outcomes[-1].error
        looked_up = _after(looked_up, outcomes)
        if any(isinstance(one.action, ApplyRollout) for one in outcomes):
            hub.timers.dispatched(key)
        else:
            hub.timers.touched(key)
        written = True
        if not plan.fence:
            hub.tell(CLUSTERROLLOUTS, item, plan.events)
    if not plan.fence:
        written = await apply.write_status(hub, CLUSTERROLLOUTS, item, plan.status) or written
    if not plan.fence and not plan.actions and plan.finalizer is None:
        hub.tell(CLUSTERROLLOUTS, item, plan.events)
    return written or plan.finalizer is Finalizer.ADD, looked_up


def _is_kept(hub: Context, item: ClusterRollout, plan: DispatchPlan) -> bool:
    """Whether it would begin now with what another cluster has just failed of: it asks again."""
    want = item.spec.want
    kinds = ApplyRollout if standing.is_taken(item) else ApplyRollout | LookUp
    begins = any(isinstance(one, kinds) for one in plan.actions)
    if want is None or want.undoes or not begins or item.status.applied_run == want.run:
        return False
    failed = hub.verdicts.of((item.namespace, want.run))
    key = item.namespace, item.name
    if not failed or key in failed:
        return False
    hub.queues.dispatches.add_after(key, verdicts.AGAIN_SECONDS)
    return True


def _handle(hub: Context, item: ClusterRollout) -> Handle:
    link = hub.links.get((item.namespace, item.spec.cluster))
    if link is None or link.handle is None:
        raise errors.Unreachable(f"{item.spec.cluster} is not connected")
    return link.handle


def _after(looked_up: Objects | None, outcomes: Sequence[Outcome]) -> Objects | None:
    """What was looked up, with our own writes in it; unknown again after a deletion."""
    if looked_up is None or any(isinstance(one.action, DeleteObject) for one in outcomes):
        return None
    result = dict(looked_up)
    for outcome in outcomes:
        if isinstance(outcome.action, CreateObject | UpdateObject) and outcome.answer:
            meta = outcome.answer["metadata"]
            place = (outcome.action.resource.plural, str(meta["namespace"]), str(meta["name"]))
            result[place] = outcome.answer
    return result


async def _failed(
    hub: Context, item: ClusterRollout, error: FleetError, *, is_read: bool = False
) -> None:
    """Report what a member refuses; the inventory stays: nothing of it is known to be gone."""
    stands = standing.is_taken(item) or item.metadata.deletion_timestamp is not None
    before = item.status.phase if stands else ClusterPhase.APPLYING
    found = refusals.assess(error, before, is_read=is_read)
    if found is not None:
        status = standing.status(item, found, hub.now())
        await apply.write_status(hub, CLUSTERROLLOUTS, item, status)
