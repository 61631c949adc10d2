"""The one planner: a run, what is seen of the world, and the time, to what happens next.

`next` is used by the controller, by `fleet simulate` and by the property tests. It looks at every
cluster (`rows`), acts on a request (`requests`), walks through the waves (`walk`), asks the gates
of the wave in work (`gates`) and starts as many clusters as have a slot. All its memory is the
run's status, so it can be cut off and repeated at any point.
"""

from collections.abc import Container, Sequence
from dataclasses import replace
from datetime import datetime

from fleet.api import FleetRollout
from fleet.api.clusterrollout import Want
from fleet.api.fleetrollout import ClusterPhase, FleetRolloutStatus, RunPhase, WaveStatus
from fleet.hub.core import phases
from fleet.hub.core.actions import (
    AskHook,
    HoldCluster,
    ReleaseCluster,
    RunAction,
    RunPlan,
    StartCluster,
)
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run import (
    former,
    gates,
    membership,
    report,
    requests,
    rollback,
    rows,
    story,
    waits,
    walk,
)
from fleet.hub.core.run import state as states
from fleet.hub.core.run.case import Case, Reply
from fleet.hub.core.run.gates import View
from fleet.hub.core.run.row import Row
from fleet.hub.core.run.stops import State, Stop
from fleet.hub.core.run.story import Told
from fleet.kit import hashing, phrases

HOLD_REASON = 256
"""Characters that a member's Rollout takes."""
STARTS = 100
"""Clusters that begin in one look. The next one sees what has become of the world meanwhile: where
a thousand may go at once, a failure of the first stops nine hundred."""


def next(run: FleetRollout, observed: RunObserved, now: datetime) -> RunPlan:
    """What the run does now, what it reports, and when to look again."""
    if run.spec.plan.accept_unknown_engine:
        observed = observed.accepting
    begun, lapsed = _lapsed(run, _begun(run, observed, now), observed)
    before, news = membership.joined(run, begun, observed)
    asked = _asked(run, observed)
    is_read = not _is_over(before) or before.phase is RunPhase.ABORTED
    is_read = is_read or bool(requests.first(asked, before))
    looked = rows.look(run.model_copy(update={"status": before}), observed, now) if is_read else ()
    case = Case(run=run, status=before, rows=looked, observed=observed, now=now)
    answer = requests.handle(asked, case)
    status = answer.status if answer else before
    told = (*lapsed, *news, *(((answer.reason, answer.message),) if answer else ()))
    asks = answer.asks if answer else ()
    if _is_over(status):
        seen = () if observed.newest > run.spec.number else looked
        return _ended(run, status, seen, told, now, asks)
    closing = _closing(run, observed, answer)
    if closing is not None:
        view = View(run=run.name, plan=run.spec.plan, rows=looked, status=status, observed=observed)
        way = rollback.closing(run, view, now)
        return _report(run, way.view, closing, way.actions, told, now)
    if status.undo is not None and status.undo.fleet:
        return _back(run, status, observed, told, now, asks)
    view = walk.walk(run, status, observed, now, looked if status is before else ())
    if ruin := gates.ruin(view):
        return _back(run, rollback.begin(view.status, ruin), observed, told, now, asks)
    way = rollback.now_back(run, view, now)
    starts, view = _starts(run, way.view, now)
    actions = (*starts, *asks, *way.actions, *_holds(view, now))
    return _report(run, view, states.of(view, now), actions, told, now)


def _is_over(status: FleetRolloutStatus) -> bool:
    """Then clusters are read where somebody asks, or where they may be on their way back."""
    return status.phase in phases.ENDS and status.finished_at is not None


def _back(
    run: FleetRollout,
    status: FleetRolloutStatus,
    observed: RunObserved,
    told: Sequence[Told],
    now: datetime,
    asks: tuple[RunAction, ...] = (),
) -> RunPlan:
    """The whole run goes back."""
    looked = rows.look(run.model_copy(update={"status": status}), observed, now)
    view = View(run=run.name, plan=run.spec.plan, rows=looked, status=status, observed=observed)
    view = replace(view, status=status.model_copy(update={"waves": walk.still(view, now)}))
    way = rollback.now_back(run, view, now)
    return _report(run, way.view, rollback.state(way.view, now), (*way.actions, *asks), told, now)


def _report(
    run: FleetRollout,
    view: View,
    state: State,
    actions: tuple[RunAction, ...],
    told: Sequence[Told],
    now: datetime,
) -> RunPlan:
    status, news = report.status(run, view, state, told, now)
    return RunPlan(
        status=status,
        actions=actions,
        asks=_asks(view, state, now),
        events=story.events(news),
        recheck_at=status.next_check,
    )


def _asks(view: View, state: State, now: datetime) -> tuple[AskHook, ...]:
    """The hooks of the wave in work that are to be asked now."""
    wave = walk.current(view)
    if wave is None or state.why.reason != "AwaitingHook":
        return ()
    return tuple(waits.asks(view.side(wave), now))


def _ended(
    run: FleetRollout,
    status: FleetRolloutStatus,
    rows: Sequence[Row],
    told: Sequence[Told],
    now: datetime,
    asks: tuple[RunAction, ...] = (),
) -> RunPlan:
    """A run that is over stays as it is; it only answers requests, passes on a live weight, and
    tells how those get back who were in flight when it was given up."""
    history = story.history(run.status, told, now)
    after = run.status.model_copy(
        update={
            "handled": status.handled,
            "external_weight": status.external_weight,
            "undo_to": status.undo_to,
            "undo_of": status.undo_of,
            "prune_confirmed": status.prune_confirmed,
            "history": history,
        }
    )
    open_ = {item.name for item in after.clusters if item.phase in phases.ON_THE_WAY_HOME}
    if after.phase is RunPhase.ABORTED and any(row.sent_back and row.name in open_ for row in rows):
        after = after.model_copy(update=report.numbers(run, after, rows, after.wave))
    return RunPlan(status=after, actions=asks, events=story.events(told))


def _begun(run: FleetRollout, observed: RunObserved, now: datetime) -> FleetRolloutStatus:
    """The status with its wave table, and the end of a time in which the hub suspected itself."""
    known = {item.name: item for item in run.status.waves}
    waves = tuple(known.get(w.name) or WaveStatus(name=w.name) for w in run.spec.plan.waves)
    is_over = run.status.reason == gates.ISOLATED and not observed.isolated
    until = now if is_over else run.status.isolated_until
    digest = run.status.plan_digest or _digest(run)
    weight = run.status.external_weight if observed.weight is None else observed.weight
    return run.status.model_copy(
        update={
            "waves": waves,
            "isolated_until": until,
            "plan_digest": digest,
            "external_weight": weight,
        }
    )


def _lapsed(
    run: FleetRollout, status: FleetRolloutStatus, observed: RunObserved
) -> tuple[FleetRolloutStatus, tuple[Told, ...]]:
    """Without an undo that something has hindered until the Application changed."""
    if observed.newest > run.spec.number or not former.is_over(status, observed.asked):
        return status, ()
    message = f"{status.undo_to} is not delivered again: the Application has changed since"
    return former.forgotten(status), (("RequestRefused", message),)


def _digest(run: FleetRollout) -> str:
    """What an approval is bound to: this run, its revision and its plan."""
    plan = run.spec.plan.model_dump(mode="json")
    return hashing.digest([run.name, run.spec.revision, plan], length=8)


def _asked(run: FleetRollout, observed: RunObserved) -> tuple[str, ...]:
    """Requests for this run: the newest one listens, but not to what was answered before it."""
    if observed.newest > run.spec.number:
        return ()
    seen = run.spec.request_seen if _was_answered(run, observed) else None
    return tuple(text for text in observed.requests if requests.identity(text) != seen)


def _was_answered(run: FleetRollout, observed: RunObserved) -> bool:
    """Whether the run before this one has seen to the request that stood there then; where it is
    gone, that is taken for granted."""
    before = observed.former[-1] if observed.former else None
    if before is None or before.spec.number != run.spec.number - 1:
        return run.spec.number > 1
    return run.spec.request_seen in (before.spec.request_seen, *before.status.handled)


def _closing(run: FleetRollout, observed: RunObserved, answer: Reply | None) -> State | None:
    """Why the run ends before its time, if it does."""
    if observed.deleting:
        why = Stop(reason="Aborted", message="the Application is being deleted")
        return State(phase=RunPhase.ABORTED, why=why)
    if observed.newest > run.spec.number:
        newer = f"{run.spec.application.name}-{observed.newest}"
        why = Stop(reason="Superseded", message=f"superseded by {newer}")
        return State(phase=RunPhase.SUPERSEDED, why=why)
    change = membership.change(run, run.status, observed)
    if change and run.status.phase not in phases.ENDS:
        why = Stop(reason=membership.MEMBERS_CHANGED, message=change)
        return State(phase=RunPhase.ABORTED, why=why)
    if answer is not None and answer.abort:
        why = Stop(reason=answer.reason, message=answer.message)
        return State(phase=RunPhase.ABORTED, why=why)
    return None


def _starts(run: FleetRollout, view: View, now: datetime) -> tuple[tuple[StartCluster, ...], View]:
    """Who goes now, in the order of the plan, as far as slots reach; and the view after it."""
    names: dict[str, int] = {}
    for wave in walk.startable(view):
        if gates.first_stop(view, wave, now) is not None:
            continue
        own = view.wave(wave.name)
        free = wave.max_concurrency - sum(row.is_in_flight for row in own)
        # Who is being connected keeps its place, so that a restart of the hub changes no order.
        waiting = [row for row in own if row.is_pending and (row.ready or row.awaited_until)]
        names |= {row.name: row.attempt for row in waiting[:free] if row.ready}
    # After a limit's interval or share the next one is judged anew, with this one gone.
    single = view.plan.min_interval_seconds or view.plan.traffic_percent < 100
    names = dict(list(names.items())[: 1 if single else STARTS])
    starts = tuple(
        StartCluster(
            cluster=row.name,
            want=Want(
                run=run.name,
                revision=run.spec.revision,
                since=now,
                attempt=names[row.name],
                member=view.observed.members[row.name].uid,
                wave=view.plan.place(row.wave),
            ),
        )
        for row in view.rows
        if row.name in names
    )
    after = tuple(
        replace(row, phase=ClusterPhase.APPLYING, mine=True, message="", since=now)
        if row.name in names
        else row
        for row in view.rows
    )
    return starts, replace(view, rows=after, status=_remembered(view, after, names))


def _remembered(view: View, rows: Sequence[Row], begun: Container[str]) -> FleetRolloutStatus:
    """With the chances that have not been taken yet, and the failures that still are some: who was
    accepted as lost, and is seen to go since, is judged like anybody."""
    status, is_blind = view.status, view.observed.isolated
    failed = {row.name for row in rows if row.is_failed or row.reason == "Retried"}
    silent = {row.name for row in rows if row.phase is ClusterPhase.UNREACHABLE}
    going = {row.name for row in rows if row.mine and row.ready} - failed - silent
    return status.model_copy(
        update={
            "retrying": tuple(n for n in status.retrying if n in failed and n not in begun),
            "accepted": tuple(n for n in status.accepted if is_blind or n not in going),
        }
    )


def _holds(view: View, now: datetime) -> tuple[HoldCluster | ReleaseCluster, ...]:
    """A halt or a pause holds everything in flight; when it is over, everything goes on."""
    asked = (gates.halted, gates.paused)
    if not view.plan.waves:
        return ()
    stop = gates.first_stop(view, view.plan.waves[0], now, asked)
    if stop is not None:
        reason = phrases.short(stop.message, HOLD_REASON)
        return tuple(
            HoldCluster(cluster=row.name, reason=reason)
            for row in view.rows
            if row.is_running and not row.held
        )
    if view.observed.isolated:
        return ()
    return tuple(ReleaseCluster(cluster=row.name) for row in view.rows if row.mine and row.held)
