"""The run's way through its waves: which has begun, which soaks, which is done.

Called by `plan`. Pure clockwork over the wave table: a wave begins when the one before is done and
its own gates are open, is settled when nothing of it is in flight or waiting, and is done when it
has then run well for its soak and the gates after it are open. The soak clock stops while anything
stops the run or a member of the wave is not known to run well, and starts anew when the wave
changes.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from fleet.api import FleetRollout
from fleet.api.fleetrollout import FleetRolloutStatus, PlannedWave, WavePhase, WaveStatus
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run import gates, rows, waits
from fleet.hub.core.run.gates import View
from fleet.hub.core.run.row import Row


def walk(
    run: FleetRollout,
    status: FleetRolloutStatus,
    observed: RunObserved,
    now: datetime,
    known: tuple[Row, ...] = (),
) -> View:
    """The view after every wave that can begin or end now has done so.

    Rows depend on which wave has begun, so both are looked at until nothing changes; `known` are
    the rows of that `status`, where somebody has looked already.
    """
    rounds = 2 * len(run.spec.plan.waves) + 2
    for _ in range(rounds):
        looked = known or rows.look(run.model_copy(update={"status": status}), observed, now)
        known = ()
        view = View(run=run.name, plan=run.spec.plan, rows=looked, status=status, observed=observed)
        halting = gates.failing(view) if status.halted_at is None else None
        step = _still if halting or _is_stopped(view, now) else _step
        after = status.model_copy(
            update={
                "halted_at": now if halting else status.halted_at,
                "waves": _waves(view, step, now),
            }
        )
        if after == status:
            break
        status = after
    return view


def still(view: View, now: datetime) -> tuple[WaveStatus, ...]:
    """The wave table with every soak clock standing still."""
    return _waves(view, _still, now)


def current(view: View) -> PlannedWave | None:
    """The wave in work; None before the first and after the last."""
    for wave in view.plan.waves:
        status = gates.find(view.status, wave.name)
        if status.finished_at is None:
            return wave
    return None


def startable(view: View) -> tuple[PlannedWave, ...]:
    """The waves that may start clusters: the one in work; at the end all, for who came back."""
    wave = current(view)
    if wave is not None:
        return (wave,)
    return tuple(
        wave for wave in view.plan.waves if any(row.is_pending for row in view.wave(wave.name))
    )


Step = Callable[[WaveStatus, PlannedWave, View, datetime], WaveStatus]


def _waves(view: View, step: Step, now: datetime) -> tuple[WaveStatus, ...]:
    """The wave table after a `step` of each wave, up to the first that is not done."""
    result: list[WaveStatus] = []
    behind = False
    for wave in view.plan.waves:
        status = gates.find(view.status, wave.name)
        if status.finished_at is None and not behind:
            status = step(status, wave, view, now)
            behind = status.finished_at is None
        result.append(status)
    return tuple(result)


def _is_stopped(view: View, now: datetime) -> bool:
    """Whether something stops the run as a whole; that is the same for every wave."""
    first = view.plan.waves[:1]
    return any(gates.first_stop(view, wave, now, gates.STOPS) for wave in first)


def _still(status: WaveStatus, _wave: PlannedWave, _view: View, now: datetime) -> WaveStatus:
    return _stopped(status, now)


def _stopped(status: WaveStatus, now: datetime) -> WaveStatus:
    """The soak clock stands still and keeps what it has counted."""
    if status.soaking_since is None:
        return status
    soaked = max((now - status.soaking_since).total_seconds(), 0.0)
    return status.model_copy(
        update={"soaking_since": None, "soaked_seconds": status.soaked_seconds + soaked}
    )


def _step(status: WaveStatus, wave: PlannedWave, view: View, now: datetime) -> WaveStatus:
    """One wave moves as far as it can; where nothing was updated there is nothing to soak."""
    rows = view.wave(wave.name)
    if status.started_at is None:
        # Somebody may have gone although that was not written: a hub can end between the two.
        if gates.shut(view, wave, now) is not None and not any(row.mine for row in rows):
            return _waiting(status, now)
        begun = {"phase": WavePhase.PENDING, "started_at": now, "waiting_since": None}
        status = status.model_copy(update=begun)
    if not _settled(rows, status):
        return status.model_copy(
            update={
                "phase": WavePhase.PROGRESSING,
                "soaking_since": None,
                "soaked_seconds": 0.0,
                "waiting_since": None,
            }
        )
    tried = any(row.is_updated or row.done for row in rows)
    soaks = bool(wave.soak_seconds) and tried
    if soaks:
        if any(row.doubt for row in rows):
            still = _stopped(status, now)
            return still.model_copy(update={"phase": WavePhase.SOAKING})
        # Written by a hub whose clock was ahead, it would never end: it begins now.
        since = min(status.soaking_since or now, now)
        status = status.model_copy(update={"phase": WavePhase.SOAKING, "soaking_since": since})
        if gates.soak_left(wave, status, now) is not None:
            return status
    soaked = float(wave.soak_seconds) if soaks else 0.0
    status = status.model_copy(update={"soaking_since": None, "soaked_seconds": soaked})
    if tried and waits.first(view.side(wave, waits.AFTER), now) is not None:
        return _waiting(status, now)
    return status.model_copy(
        update={"phase": WavePhase.DONE, "finished_at": now, "waiting_since": None}
    )


def _waiting(status: WaveStatus, now: datetime) -> WaveStatus:
    """Its gates are closed."""
    since = status.waiting_since or now
    return status.model_copy(update={"phase": WavePhase.WAITING, "waiting_since": since})


def _settled(rows: Sequence[Row], status: WaveStatus) -> bool:
    """Nothing in flight, nothing waiting; who comes back later waits for the end."""
    if any(row.is_in_flight for row in rows):
        return False
    done = status.phase in (WavePhase.SOAKING, WavePhase.WAITING)
    return done or not any(row.is_pending for row in rows)
