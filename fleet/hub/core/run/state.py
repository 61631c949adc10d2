"""Where a run stands: its phase, and the one reason with its sentence.

Called by `plan` when everything is decided. Each moment of waiting says for what, until when if
time alone ends it, and what else would.
"""

from collections.abc import Mapping
from datetime import datetime

from fleet.api.fleetrollout import RunPhase
from fleet.hub.core.run import aggregate, gates, rollback, stops, walk
from fleet.hub.core.run.gates import View
from fleet.hub.core.run.stops import State, Stop
from fleet.kit import phrases

PHASES: Mapping[str, RunPhase] = {
    "Soaking": RunPhase.SOAKING,
    "AwaitingApproval": RunPhase.AWAITING_APPROVAL,
    "OutsideWindow": RunPhase.OUTSIDE_WINDOW,
    "AwaitingPromotion": RunPhase.PAUSED,
}
"""Of a run that waits for that reason and nothing is in flight; Progressing for all others."""


def of(view: View, now: datetime) -> State:
    """The phase, and what the run waits for."""
    wave = walk.current(view)
    asked = wave or (view.plan.waves[-1] if view.plan.waves else None)
    stop = gates.first_stop(view, asked, now, gates.STOPS) if asked else None
    back = rollback.left(view)
    open_ = [row for row in view.rows if row.is_in_flight or row.is_pending or row.is_deferred]
    open_ += back
    if stop is not None and (wave is not None or open_ or view.status.halted_at):
        return State(phase=_stopped(view), why=stop)
    if wave is None and not open_:
        return _end(view)
    if back and not any(row.is_in_flight for row in view.rows):
        return State(phase=RunPhase.ROLLING_BACK, why=rollback.waiting(back))
    waits = _gate(view, now)
    if waits is not None:
        return State(phase=PHASES.get(waits.reason, RunPhase.PROGRESSING), why=waits)
    return State(phase=RunPhase.PROGRESSING, why=_waiting(view))


def _gate(view: View, now: datetime) -> Stop | None:
    """The gate that the run waits for; none while clusters are in flight."""
    if any(row.is_in_flight for row in view.rows):
        return None
    for wave in walk.startable(view) or view.plan.waves[-1:]:
        pending = any(row.is_pending for row in view.wave(wave.name))
        begun = gates.find(view.status, wave.name).started_at is not None
        limits = (gates.spaced, gates.crowded) if pending else ()
        shut = (gates.shut,) if pending or not begun else ()
        asked = (gates.soaking, gates.closing, *shut, *limits)
        if stop := gates.first_stop(view, wave, now, asked):
            return stop
    return None


def _stopped(view: View) -> RunPhase:
    """The phase of a run that a gate stops as a whole."""
    if view.status.halted_at is not None:
        return RunPhase.HALTED
    if view.status.paused or view.observed.paused:
        return RunPhase.PAUSED
    begun = any(item.started_at for item in view.status.waves)
    # A run that has asked a hook, or was halted, is on its way before its first wave is.
    begun = begun or view.status.phase in (RunPhase.PROGRESSING, RunPhase.HALTED)
    return RunPhase.PROGRESSING if begun else RunPhase.PLANNED


def _waiting(view: View) -> Stop:
    busy = [row for row in view.rows if row.is_in_flight]
    if busy:
        return stops.waiting_for(busy)
    blocking = [row for row in view.rows if row.reason == "Blocked"]
    if blocking:
        until = min((row.awaited_until for row in blocking if row.awaited_until), default=None)
        counted = f"; counts as failed at {phrases.clock(until)}" if until else ""
        names = phrases.listed([row.name for row in blocking])
        return Stop(
            reason="Blocked",
            message=f"{names} cannot be reached and blocks: {blocking[0].message}{counted}",
            until=until,
            unblock=f"the return of its member, or the request skip/<id>/{blocking[0].name}",
        )
    new = {row.name: row.awaited_until for row in view.rows if row.awaited_until is not None}
    if new:
        end = max(new.values())
        text = f"{phrases.listed(list(new))} to be connected, until {phrases.clock(end)}"
        return Stop(
            reason="Connecting",
            message=f"waiting for {text} at the latest",
            until=end,
            unblock="its connection",
        )
    late = [row for row in view.rows if row.is_deferred]
    if not late:
        return Stop(reason="Progressing", message="clusters are about to start")
    until = min((row.due for row in late if row.due), default=None)
    counted = f"; counts as failed at {phrases.clock(until)}" if until else ""
    why = f": {late[0].message}" if late[0].message else ""
    return Stop(
        reason="Deferred",
        message=f"waiting for {phrases.listed([row.name for row in late])}{why}{counted}",
        until=until,
        unblock="the return of its member",
    )


def _end(view: View) -> State:
    numbers = aggregate.counts(view.rows)
    done = f"{numbers.updated} of {numbers.total} clusters updated"
    groups = {
        "failed": [row.name for row in view.rows if row.is_failed],
        "rolled back": [row.name for row in view.rows if row.sent_back and not row.is_failed],
        "skipped": [row.name for row in view.rows if row.is_out],
    }
    if not any(groups.values()):
        return State(phase=RunPhase.SUCCEEDED, why=Stop(reason="Succeeded", message=done))
    rest = [f"{len(n)} {what}: {phrases.listed(n)}" for what, n in groups.items() if n]
    why = Stop(reason="SucceededWithFailures", message=", ".join([done, *rest]))
    return State(phase=RunPhase.SUCCEEDED_WITH_FAILURES, why=why)
