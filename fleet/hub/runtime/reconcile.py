"""observe → decide → apply → report, for Applications, runs, ClusterRollouts and Fleets.

Handlers of the work queues; the only place where the three meet, and the only place that turns
errors into waiting: a conflict looks again, an outage backs off, somebody's mistake stands in a
condition already. MemberClusters are `membership`'s.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

from fleet import turns
from fleet.aio import WorkQueue
from fleet.api import Application, FleetRollout, conditions
from fleet.api.application import ApplicationPhase, ApplicationStatus
from fleet.api.conditions import condition
from fleet.api.meta import ObjectMeta
from fleet.api.names import (
    APPLICATION_LABEL,
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    MEMBERCLUSTERS,
    Key,
    Resource,
)
from fleet.clusters.store import identity
from fleet.errors import (
    Conflict,
    FleetError,
    Forbidden,
    Invalid,
    NotFound,
    TemporaryError,
    UnexpectedState,
    UserError,
)
from fleet.hub.core import phases
from fleet.hub.core.actions import (
    ApplicationPlan,
    AskCluster,
    CreateRun,
    RunAction,
    RunPlan,
    StartCluster,
)
from fleet.hub.core.application import decision, leaving, occasion
from fleet.hub.core.member import report
from fleet.hub.core.run import plan as plans
from fleet.hub.runtime import (
    apply,
    dispatching,
    measures,
    membership,
    observe,
    resync,
    triggers,
    verdicts,
)
from fleet.hub.runtime.context import Context, Dispatches
from fleet.hub.runtime.drafts import Unrendered
from fleet.telemetry import logs

log = logging.getLogger(__name__)

T = TypeVar("T")
Handle = Callable[[Context, Key], Awaitable[None]]
Queue = WorkQueue[Key] | Dispatches

ABREAST = 16
"""Clusters of one run that are let go at a time."""


async def run_members(hub: Context) -> None:
    """Connect and keep members until cancelled."""
    queue = hub.queues.members
    await queue.run(_guarded(hub, MEMBERCLUSTERS, membership.reconcile, queue))


async def run_early(hub: Context) -> None:
    """While members are still to come, until cancelled: look at the clusters of those that are
    believed. Most are as they were left, and need no other look. Whatever else is found waits for
    `run_others`: before all members are known nothing is written, and nothing decided."""

    def is_known(key: Key) -> bool:
        item = hub.stores.items.get(key)
        link = hub.links.get((key[0], item.spec.cluster)) if item is not None else None
        return link is not None and link.told.fresh

    async def is_done(key: Key) -> bool:
        await hub.line.turn(has_time=True)  # whoever connects, or reads, goes before
        started = hub.clock.monotonic()
        is_at_rest = dispatching.is_at_rest(hub, key)
        if is_at_rest:
            seconds = hub.clock.monotonic() - started
            hub.metrics.reconciled(CLUSTERROLLOUTS.kind, result="success", seconds=seconds)
        return is_at_rest

    await hub.queues.dispatches.sift(is_known, is_done)


async def run_others(hub: Context) -> None:
    """Work on the other queues until cancelled."""
    queues = hub.queues
    async with asyncio.TaskGroup() as group:
        for queue, resource, handle in (
            (queues.fleets, FLEETS, fleet),
            (queues.applications, APPLICATIONS, application),
        ):
            guarded = _guarded(hub, resource, handle, queue)
            group.create_task(queue.run(guarded), name=resource.kind)

        look = _guarded(hub, FLEETROLLOUTS, run, queues.runs)

        async def first(key: Key) -> None:
            with turns.pressing():
                await look(key)

        dispatch = _guarded(hub, CLUSTERROLLOUTS, dispatching.dispatch, queues.dispatches)

        async def one(key: Key) -> None:
            with turns.pressing(triggers.is_urgent(hub, key)):
                await dispatch(key)

        group.create_task(queues.runs.run(first), name=FLEETROLLOUTS.kind)
        group.create_task(queues.dispatches.run(one), name=CLUSTERROLLOUTS.kind)


async def application(hub: Context, key: Key) -> None:
    """One Application: its next run, its old ones, its status."""
    if key in hub.stores.applications.unreadable:
        await _refuse(hub, key)
        return
    item = hub.stores.applications.get(key)
    if item is None:
        await _bury(hub, key)
        return
    hub.stores.departed.pop(key, None)
    item = await _caught_up(hub, item)
    if item is None:
        return  # its end has woken the key again
    try:
        observed = await observe.application(hub, item)
    except Unrendered:
        return  # it will be looked at again when its templates have been printed
    plan = decision.decide(item, observed, hub.now())
    await _look_twice(hub, item, plan)
    for action in plan.actions:
        try:
            await apply.application(hub, item, action)
        except (Forbidden, Invalid) as error:
            # Its author is told; whoever reads our log is too.
            reason = "Forbidden" if isinstance(error, Forbidden) else "InvalidSpec"
            told = UserError(reason, f"{action.name}: {error}")
            plan = decision.refused(item, observed, told, hub.now())
            await apply.write_status(hub, APPLICATIONS, item, plan.status)
            raise
    await apply.write_status(hub, APPLICATIONS, item, plan.status)
    hub.wake(hub.queues.applications, key, plan.wake_at)


async def _caught_up(hub: Context, item: Application) -> Application | None:
    """The Application, with its newest runs in our view; None where it is gone. Kinds are watched
    apart: where one is behind, what has been delivered would be delivered again, or taken back."""
    key = (item.namespace, item.name)
    wants = (one.spec.want for one in hub.stores.items_of.get(key).values())
    for run in sorted({item.status.run, *(want.run for want in wants if want is not None)}):
        await resync.named(hub.kube, hub.stores.runs, (key[0], run))
    if occasion.is_past(item, hub.stores.runs_of.get(key).values()):
        await apply.reread(hub, APPLICATIONS, key)
    return hub.stores.applications.get(key)


async def _look_twice(hub: Context, item: Application, plan: ApplicationPlan) -> None:
    """Before a revision goes out once more for what its clusters say: do they say so? Raises
    Conflict where our view of them was behind; it is not any more."""
    runs = [action.spec for action in plan.actions if isinstance(action, CreateRun)]
    if not any(run.trigger in occasion.OF_CLUSTERS for run in runs):
        return
    store = hub.stores.items
    since = store.moment
    ours = f"{APPLICATION_LABEL}={item.name}"
    found = await hub.kube.list(CLUSTERROLLOUTS, item.namespace, selector=ours)
    if any([store.correct(identity(one)[0], one, since) for one in found]):
        raise Conflict(f"ClusterRollouts of {item.name} are not what they were")


async def _bury(hub: Context, key: Key) -> None:
    """An Application is gone: its clusters go by what it said last, be it a moment before."""
    hub.renders.forget(key)
    gone = hub.stores.departed.get(key)
    if gone is not None:
        for action in leaving.settled(gone, observe.departed(hub, gone)):
            await apply.application(hub, gone, action)
        hub.stores.departed.pop(key, None)


async def run(hub: Context, key: Key) -> None:
    """One run: who goes, who is held, its status, its story."""
    item = hub.stores.runs.get(key)
    if item is None:
        hub.hooks.forget(key)
        return
    failed = [one for one in hub.verdicts.of(key) if _is_told(hub, one)]
    plan = plans.next(item, observe.run(hub, item), hub.now())
    starts = deque(one for one in plan.actions if _only_begins(one))
    with turns.pressing(False):
        await _together([_begin(hub, item, starts) for _ in range(min(ABREAST, len(starts)))])
    if starts:  # the news that stopped them is looked at first
        hub.queues.runs.add_after(key, verdicts.AGAIN_SECONDS)
        return
    # Before the status says that they were asked: what comes after a crash goes by what is written.
    asks = [one for one in plan.actions if isinstance(one, AskCluster)]
    await _together([apply.run(hub, item, one) for one in asks])
    holds = [
        one for one in plan.actions if not _only_begins(one) and not isinstance(one, AskCluster)
    ]
    await _together([_report(hub, item, plan), *(apply.run(hub, item, one) for one in holds)])
    for one in failed:
        hub.verdicts.judged(one, key)
    hub.hooks.ask(item, plan.asks, hub.queues.runs)
    hub.wake(hub.queues.runs, key, plan.recheck_at)


def _awaits(hub: Context, run: Key) -> bool:
    """Whether a member shows a failure that no ClusterRollout of the run tells yet."""
    return any(not _is_told(hub, key) for key in hub.verdicts.of(run))


def _is_told(hub: Context, key: Key) -> bool:
    item = hub.stores.items.get(key)
    return item is None or item.status.phase in phases.FAILURES


def _only_begins(action: RunAction) -> TypeGuard[StartCluster]:
    """Whether it may wait; to take a revision off again is as pressing as to hold it."""
    return isinstance(action, StartCluster) and not action.want.undoes


async def _begin(hub: Context, item: FleetRollout, starts: deque[StartCluster]) -> None:
    """Let one cluster go after another, until there is news that may stop the others."""
    key = item.namespace, item.name
    while starts and not (hub.queues.runs.is_pressed(key) or _awaits(hub, key)):
        await apply.run(hub, item, starts.popleft())


async def fleet(hub: Context, key: Key) -> None:
    """One Fleet: who belongs to it, and who answers."""
    item = hub.stores.fleets.get(key)
    if item is not None:
        status = report.fleet(item, observe.members(hub, item.namespace), hub.now())
        await apply.write_status(hub, FLEETS, item, status)
    hub.queues.fleets.forget(key)


def _guarded(
    hub: Context, resource: Resource, handle: Handle, queue: Queue
) -> Callable[[Key], Awaitable[None]]:
    """`handle` with its errors turned into waiting, logged and counted."""
    kind = resource.kind

    async def guarded(key: Key) -> None:
        await hub.line.turn()
        started = hub.clock.monotonic()
        good: bool | None = False
        try:
            with logs.bind(kind=kind, namespace=key[0], name=key[1]):
                good = await _tried(hub, handle, queue, key)
                if good is None:
                    await _look_again(hub, resource, key)
        finally:
            seconds = hub.clock.monotonic() - started
            hub.metrics.reconciled(kind, result="success" if good else "error", seconds=seconds)

    return guarded


async def _tried(hub: Context, handle: Handle, queue: Queue, key: Key) -> bool | None:
    """Whether it went well; None when our view was behind, or ahead of a restored API server."""
    try:
        await handle(hub, key)
    except (Conflict, NotFound) as error:
        log.debug("looks again", extra={"why": str(error)})
        queue.retry(key)
        return None
    except UnexpectedState:
        raise
    except TemporaryError as error:
        log.info("tries again later", extra={"why": str(error)})
        queue.retry(key, at_least=error.retry_after or 0.0)
    except FleetError as error:
        log.error("cannot go on", extra={"why": str(error)})
        queue.retry(key)
    else:
        return True
    return False


async def _look_again(hub: Context, resource: Resource, key: Key) -> None:
    try:
        await apply.reread(hub, resource, key)
    except FleetError as error:
        log.debug("cannot be read again", extra={"why": str(error)})


async def _report(hub: Context, item: FleetRollout, plan: RunPlan) -> None:
    """Write its status and tell what is new, whatever becomes of all else: the status that is
    written remembers it, so that nobody tells it later."""
    if await apply.write_status(hub, FLEETROLLOUTS, item, plan.status):
        hub.tell(FLEETROLLOUTS, item, plan.events)
        measures.written(hub, item, plan)


async def _together(works: Sequence[Awaitable[T]]) -> list[T]:
    """All at once; when some fail the others still end, and the first error is raised."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def _refuse(hub: Context, key: Key) -> None:
    """An Application that our models refuse although the API server took it: say why."""
    found = hub.stores.applications.unreadable[key]
    # What it wants is not readable; its name and its status are.
    item = Application.model_construct(**_readable(found.manifest))
    error: UserError = found.error
    now, generation = hub.now(), item.metadata.generation
    told = tuple(
        condition(type_, False, error.reason, str(error)) for type_ in ("Accepted", "Ready")
    )
    status = item.status.model_copy(
        update={
            "phase": ApplicationPhase.DEGRADED,
            "observed_generation": generation,
            "message": str(error)[: conditions.MESSAGE_LIMIT],
            "conditions": conditions.updated(item.status.conditions, told, now, generation),
        }
    )
    await apply.write_status(hub, APPLICATIONS, item, status)


def _readable(manifest: Mapping[str, Any]) -> dict[str, Any]:
    status = manifest.get("status") or {}
    return {
        "metadata": ObjectMeta.model_validate(manifest["metadata"]),
        "status": ApplicationStatus.model_validate(status),
    }
