"""The way back: clusters return to what ran well there before this run, the last wave first.

Called by `plan` and `state`. Who has not come to an end there, or has failed, goes back at once:
its stable revision still serves. Who was done goes the steps of its strategy again, a few at a
time, and where these wait for a person so does the way back. Who cannot be reached has its wish
written and goes back on its return. No pause of the run stops a way back. What is to go back stands
in `status.undo`; the request `undo` is another thing: see `former`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fleet.api import FleetRollout
from fleet.api.clusterrollout import LastGood, Want
from fleet.api.fleetrollout import ClusterPhase, FleetRolloutStatus, RunPhase, Undo
from fleet.hub.core.actions import HoldCluster, StartCluster
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run import gates, stops
from fleet.hub.core.run.gates import View
from fleet.hub.core.run.row import Row
from fleet.hub.core.run.stops import State, Stop
from fleet.kit import phrases

NOWHERE = "nothing ran well here before this run: held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Who goes back now, and the view after that."""

    actions: tuple[StartCluster | HoldCluster, ...]
    view: View


def is_meant(undo: Undo | None, row: Row) -> bool:
    """Whether that cluster is to go back."""
    if undo is None:
        return False
    return undo.fleet or row.wave in undo.waves or row.name in undo.clusters


def homeward(run: FleetRollout, row: Row, good: LastGood, view: View, now: datetime) -> Want:
    """The wish for a cluster that goes back."""
    return Want(
        run=good.run,
        revision=good.revision,
        since=now,
        member=view.observed.members[row.name].uid,
        undoes=run.name,
        wave=view.plan.place(row.wave),
    )


def now_back(run: FleetRollout, view: View, now: datetime) -> Way:
    """Send back who is meant and has somewhere to go, as far as slots reach."""
    if view.observed.isolated:
        return Way(actions=(), view=view)
    meant = [row for row in reversed(view.rows) if row.mine and is_meant(view.status.undo, row)]
    free = run.spec.plan.rollback_concurrency - sum(row.is_going_back for row in view.rows)
    actions: list[StartCluster | HoldCluster] = []
    gone: dict[str, Row] = {}
    for row in meant:
        answers = view.observed.members[row.name].reachable
        if row.home is None:
            if row.is_running and not row.held and view.status.undo and view.status.undo.fleet:
                actions.append(HoldCluster(cluster=row.name, reason=NOWHERE))
            continue
        if row.is_updated and answers and free < 1:
            continue
        free -= row.is_updated and answers
        want = homeward(run, row, row.home, view, now)
        actions.append(StartCluster(cluster=row.name, want=want))
        gone[row.name] = sent(row, row.home, answers=answers)
    rows = tuple(gone.get(row.name, row) for row in view.rows)
    return Way(actions=tuple(actions), view=replace(view, rows=rows))


def sent(row: Row, home: LastGood, *, answers: bool) -> Row:
    """The cluster as it stands from the moment on when it is sent home."""
    return replace(
        row,
        phase=ClusterPhase.ROLLING_BACK if answers else ClusterPhase.UNREACHABLE,
        message=f"goes back to {home.run}{'' if answers else ' on its return'}",
        step="",
        mine=False,
        sent_back=True,
        counted=False,
        weight=0,
        held="",
        awaits="",
    )


def left(view: View) -> tuple[Row, ...]:
    """Those whose way back has not ended: on it, or still to go."""
    return tuple(
        row
        for row in view.rows
        if row.is_going_back
        or (row.mine and row.home is not None and is_meant(view.status.undo, row))
    )


def begin(status: FleetRolloutStatus, stop: Stop) -> FleetRolloutStatus:
    """An overspent budget takes the whole run back."""
    message = phrases.short(stop.message.removeprefix("halted: "), 512)
    return status.model_copy(
        update={"undo": Undo(fleet=True, message=message), "halted_at": None, "retrying": ()}
    )


def state(view: View, now: datetime) -> State:
    """Where a run stands that goes back as a whole."""
    undo = view.status.undo
    why = f" ({undo.message})" if undo is not None and undo.message else ""
    if open_ := left(view):
        if stop := gates.isolated(view, view.plan.waves[0], now):
            return State(phase=RunPhase.ROLLING_BACK, why=stop)
        return State(phase=RunPhase.ROLLING_BACK, why=waiting(open_, why))
    end = Stop(reason="RolledBack", message=f"{_told(view.rows)}{why}")
    return State(phase=RunPhase.ROLLED_BACK, why=end)


def waiting(open_: Sequence[Row], why: str = "") -> Stop:
    """What a way back waits for."""
    who, unblock = stops.person(open_)
    return Stop(
        reason="RollingBack",
        message=f"rolling back{why}: waiting for {stops.places(list(open_))}{who}",
        unblock=unblock,
    )


def _told(rows: Sequence[Row]) -> str:
    """`2 of 3 clusters are back; eu-7 goes back on its return`."""
    back = [row.name for row in rows if row.phase is ClusterPhase.ROLLED_BACK]
    gone = [row for row in rows if row.sent_back]
    failed = [row.name for row in gone if row.is_failed]
    away = [row.name for row in gone if row.phase is ClusterPhase.UNREACHABLE]
    stay = [row.name for row in rows if row.mine and row.home is None]
    parts = [f"{len(back)} of {len(gone) + len(stay)} clusters are back"]
    parts += [f"{phrases.listed(away)} on return"] if away else []
    parts += [f"{phrases.listed(failed)} failed on the way"] if failed else []
    parts += [f"{phrases.listed(stay)} had nothing to go back to"] if stay else []
    return "; ".join(parts)


def closing(run: FleetRollout, view: View, now: datetime) -> Way:
    """A run that gives way, or is given up: those in flight return to what last ran well there; who
    never had that stays, and who had run this very revision well."""
    observed: RunObserved = view.observed
    if observed.deleting:
        return Way(actions=(), view=view)
    homes = {
        row.name: row.home
        for row in view.rows
        if row.is_running
        and row.home is not None
        and row.home == observed.clusters[row.name].status.last_good
    }
    rows = tuple(
        sent(row, home, answers=observed.members[row.name].reachable)
        if (home := homes.get(row.name))
        else row
        for row in view.rows
    )
    actions = tuple(
        StartCluster(cluster=row.name, want=homeward(run, row, home, view, now))
        for row in view.rows
        if (home := homes.get(row.name))
    )
    return Way(actions=actions, view=replace(view, rows=rows))
