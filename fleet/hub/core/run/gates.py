"""What keeps the next cluster of a wave from starting: an ordered tuple of questions.

Asked by `plan` before anybody starts, by `walk` before a clock runs, and by `state` for the reason.
Each gate has one signature and stands alone; the first that says no wins and says why, in a
sentence, and until when. A new gate is a function and an entry in `GATES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.api.fleetrollout import (
    FleetRolloutStatus,
    Plan,
    PlannedWave,
    WavePhase,
    WaveStatus,
)
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run import rows, stops, waits
from fleet.hub.core.run.row import Row
from fleet.hub.core.run.stops import Stop
from fleet.hub.core.run.waits import Side
from fleet.kit import phrases

WAYS_OUT = "the request resume, retry, rollback or abort"
"""Of a halt."""

ISOLATED = "HubIsolated"
"""Reason of a run that waits until the hub trusts its own network again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that a gate may look at."""

    run: str
    """Its name."""
    plan: Plan
    rows: tuple[Row, ...]
    status: FleetRolloutStatus
    observed: RunObserved

    def wave(self, name: str) -> tuple[Row, ...]:
        return rows.of(self.rows, name)

    def side(self, wave: PlannedWave, name: str = "") -> Side:
        """The gates before or after the wave; without a name those that are in its way: to begin,
        or, when it has begun, to be done."""
        status = find(self.status, wave.name)
        return Side(
            wave=wave,
            status=status,
            name=name or (waits.BEFORE if status.started_at is None else waits.AFTER),
            digest=self.status.plan_digest,
            answers=self.observed.hooks,
            drift=self.observed.drift,
        )


Gate = Callable[[View, PlannedWave, datetime], Stop | None]


def isolated(view: View, _wave: PlannedWave, _now: datetime) -> Stop | None:
    """The hub suspects its own network: nothing that it sees is worth acting on."""
    if not view.observed.isolated:
        return None
    return Stop(
        reason=ISOLATED,
        message="many members went silent at once: the hub suspects its own network and waits",
        unblock="members that answer again, or ten minutes in which most of the others do",
    )


def preceded(view: View, _wave: PlannedWave, _now: datetime) -> Stop | None:
    """One active run: an older one gives way first."""
    older = view.observed.preceding
    if not older:
        return None
    return Stop(
        reason="GivingWay",
        message=f"waiting for {phrases.listed(older)} to give way",
        unblock="the end of the older run",
    )


def leaving(view: View, _wave: PlannedWave, _now: datetime) -> Stop | None:
    """A former run is to be delivered again: the run that does so takes over at once."""
    again = view.status.undo_to
    if not again:
        return None
    return Stop(
        reason="GivingWay",
        message=f"gives way: {again} is delivered again",
        unblock="the run that delivers it; the Application says what hinders that",
    )


def paused(view: View, _wave: PlannedWave, _now: datetime) -> Stop | None:
    """A person or the policy pauses the run."""
    if view.status.paused:
        return Stop(
            reason="Paused",
            message="paused by request: write the request resume",
            unblock="the request resume",
        )
    if view.observed.paused:
        return Stop(
            reason="Paused",
            message="paused by deliveryPolicy.paused",
            unblock="deliveryPolicy.paused: false",
        )
    return None


def halted(view: View, _wave: PlannedWave, _now: datetime) -> Stop | None:
    """Something failed; a person decides how it goes on."""
    if view.status.halted_at is None:
        return None
    return failing(view) or Stop(
        reason="Halted",
        message="halted; what failed has recovered: request resume, retry, rollback or abort",
        unblock=WAYS_OUT,
    )


def spent(view: View, wave: PlannedWave, _now: datetime) -> Stop | None:
    """The wave's own budget is overspent: no new start of it, whatever else goes on."""
    if view.plan.on_failure == "Continue":
        return None
    return _overspent(view, wave)


def soaking(view: View, wave: PlannedWave, now: datetime) -> Stop | None:
    """A wave up to this one has to run well for a while; who comes late waits for the end."""
    for earlier in view.plan.waves:
        status = find(view.status, earlier.name)
        left = soak_left(earlier, status, now)
        if left is not None:
            return Stop(
                reason="Soaking",
                message=f"soaking until {phrases.clock(left)}",
                until=left,
                unblock="the end of the soak",
            )
        doubted = [row for row in view.wave(earlier.name) if row.doubt]
        if doubted and status.phase is WavePhase.SOAKING:
            why = f"{doubted[0].name}: {doubted[0].doubt}"
            return Stop(
                reason="Soaking",
                message=f"soak stands still: {why}",
                unblock=f"fresh reports of {doubted[0].name} that it runs well",
            )
        if earlier.name == wave.name:
            break
    return None


def shut(view: View, wave: PlannedWave, now: datetime) -> Stop | None:
    """The gates before the wave; of one that has begun, its windows."""
    side = view.side(wave, waits.BEFORE)
    if side.status.started_at is None:
        is_empty = all(row.is_out for row in view.wave(wave.name))
        return None if is_empty else waits.first(side, now)
    return waits.window(side, now)


def closing(view: View, wave: PlannedWave, now: datetime) -> Stop | None:
    """The gates after a wave that has soaked, or has nothing to soak."""
    side = view.side(wave, waits.AFTER)
    is_due = side.status.phase is WavePhase.WAITING and side.status.started_at is not None
    return waits.first(side, now) if is_due else None


def full(view: View, wave: PlannedWave, _now: datetime) -> Stop | None:
    """All slots are taken."""
    busy = [row for row in view.wave(wave.name) if row.is_in_flight]
    if len(busy) < wave.max_concurrency:
        return None
    return stops.waiting_for(busy)


def _last_start(view: View) -> datetime | None:
    """When somebody began last, be it one who has left the fleet since."""
    wants = [item.spec.want for item in view.observed.clusters.values() if item.spec.want]
    known = [want.since for want in wants if want.run == view.run and not want.undoes]
    return max(
        (since for since in (*known, *(row.since for row in view.rows)) if since), default=None
    )


def spaced(view: View, wave: PlannedWave, now: datetime) -> Stop | None:
    """The last start was a moment ago."""
    least = view.plan.min_interval_seconds
    last = _last_start(view) if least else None
    if last is None or now >= last + timedelta(seconds=least):
        return None
    until = last + timedelta(seconds=least)
    return Stop(
        reason="MinInterval",
        message=f"the next cluster may start at {phrases.clock(until)}",
        until=until,
        unblock="the end of limits.minInterval",
    )


def crowded(view: View, wave: PlannedWave, _now: datetime) -> Stop | None:
    """With the next cluster too much of the fleet would run the revision, before its time."""
    place, limit, last = view.plan.place, view.plan.traffic_percent, view.plan.traffic_wave
    waiting = [row for row in view.wave(wave.name) if row.is_pending and row.ready]
    if limit == 100 or not waiting or place(wave.name) >= place(last):
        return None
    total = sum(row.replicas for row in view.rows)
    gone = sum(row.replicas for row in view.rows if row.mine and not row.is_failed)
    share = 100 * (gone + waiting[0].replicas) // max(total, 1)
    if share <= limit:
        return None
    return Stop(
        reason="TrafficShare",
        message=f"with {waiting[0].name} {share}% of the fleet would run the revision, and before "
        f"wave {last} at most {limit}% may",
        unblock=f"the request skip/<id>/{waiting[0].name}",
    )


STOPS: tuple[Gate, ...] = (isolated, preceded, leaving, halted, paused)
"""These stop the whole run, whatever the wave, and soak clocks too."""

GATES: tuple[Gate, ...] = (*STOPS, spent, soaking, shut, full, spaced, crowded)


def first_stop(
    view: View, wave: PlannedWave, now: datetime, asked: tuple[Gate, ...] = GATES
) -> Stop | None:
    """Ask every gate in order; the first that stops the wave explains why."""
    answers = (gate(view, wave, now) for gate in asked)
    return next((stop for stop in answers if stop is not None), None)


def failing(view: View) -> Stop | None:
    """What halts the whole run now: a failed analysis, or a budget overspent."""
    accepted = frozenset(view.status.accepted)
    fresh = [row for row in view.rows if row.is_failed and row.name not in accepted]
    judged = [row for row in fresh if row.reason == "AnalysisFailed"]
    if judged and view.plan.halt_on_first_failed_analysis:
        more = f" (and {len(judged) - 1} more)" if len(judged) > 1 else ""
        return Stop(
            reason="AnalysisFailed",
            message=f"halted: {judged[0].name} failed its analysis: {judged[0].message}{more}",
            unblock=WAYS_OUT,
        )
    if view.plan.on_failure == "Continue":
        return None
    over = (_overspent(view, wave) for wave in view.plan.waves)
    return next((stop for stop in over if stop is not None), None)


def ruin(view: View) -> Stop | None:
    """The overspent budget that takes the whole run back, where the policy says so and anybody has
    something to go back to."""
    if view.plan.on_failure != "Rollback" or not any(row.home for row in view.rows):
        return None
    over = (_overspent(view, wave) for wave in view.plan.waves)
    return next((stop for stop in over if stop is not None), None)


def find(status: FleetRolloutStatus, name: str) -> WaveStatus:
    """How that wave stands; one that is not in the status has not begun."""
    found = next((item for item in status.waves if item.name == name), None)
    return found if found is not None else WaveStatus(name=name)


def soak_left(wave: PlannedWave, status: WaveStatus, now: datetime) -> datetime | None:
    """When the soak ends; None while its clock stands still or there is nothing to wait for."""
    if status.soaking_since is None or not wave.soak_seconds:
        return None
    end = status.soaking_since + timedelta(seconds=wave.soak_seconds - status.soaked_seconds)
    return end if end > now else None


def _overspent(view: View, wave: PlannedWave) -> Stop | None:
    accepted = frozenset(view.status.accepted)
    failed = [row for row in view.wave(wave.name) if row.is_failed and row.name not in accepted]
    if len(failed) <= wave.failure_budget:
        return None
    why = failed[0].message or failed[0].reason
    return Stop(
        reason="BudgetExceeded",
        message=f"halted: {len(failed)} failed in wave {wave.name}, its budget is "
        f"{wave.failure_budget}: {failed[0].name}: {why}",
        unblock=WAYS_OUT,
    )
