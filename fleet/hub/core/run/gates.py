"""What keeps the next cluster of a wave from starting: an ordered tuple of questions.

Called by `plan`. Each gate has one signature and stands alone; the first that says no wins and says
why, in a sentence, and until when. A new gate is a function and an entry in `GATES`.
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
from fleet.hub.core.run import rows as rowlib
from fleet.hub.core.run.row import Row
from fleet.kit import phrases

ISOLATED = "HubIsolated"
"""Reason of a run that waits until the hub trusts its own network again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why nothing starts now."""

    reason: str
    message: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that a gate may look at."""

    plan: Plan
    rows: tuple[Row, ...]
    status: FleetRolloutStatus
    observed: RunObserved

    def wave(self, name: str) -> tuple[Row, ...]:
        return rowlib.of(self.rows, name)


Gate = Callable[[View, PlannedWave, datetime], Stop | None]


def isolated(view: View, _wave: PlannedWave, _now: datetime) -> Stop | None:
    """The hub suspects its own network: nothing that it sees is worth acting on."""
    if not view.observed.isolated:
        return None
    return Stop(
        reason=ISOLATED,
        message="many members went silent at once: the hub suspects its own network and waits",
    )


def preceded(view: View, _wave: PlannedWave, _now: datetime) -> Stop | None:
    """One active run: an older one gives way first."""
    older = view.observed.preceding
    if not older:
        return None
    return Stop(reason="GivingWay", message=f"waiting for {phrases.listed(older)} to give way")


def paused(view: View, _wave: PlannedWave, _now: datetime) -> Stop | None:
    """A person or the policy pauses the run."""
    if view.status.paused:
        return Stop(reason="Paused", message="paused by request: write the request resume")
    if view.observed.paused:
        return Stop(reason="Paused", message="paused by deliveryPolicy.paused")
    return None


def halted(view: View, _wave: PlannedWave, _now: datetime) -> Stop | None:
    """Something failed; a person decides how it goes on."""
    if view.status.halted_at is None:
        return None
    return failing(view) or Stop(
        reason="Halted",
        message="halted; what failed has recovered: request resume, retry or abort",
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
                reason="Soaking", message=f"soaking until {phrases.clock(left)}", until=left
            )
        doubted = [row for row in view.wave(earlier.name) if row.doubt]
        if doubted and status.phase is WavePhase.SOAKING:
            why = f"{doubted[0].name}: {doubted[0].doubt}"
            return Stop(reason="Soaking", message=f"soak stands still: {why}")
        if earlier.name == wave.name:
            break
    return None


def full(view: View, wave: PlannedWave, _now: datetime) -> Stop | None:
    """All slots are taken."""
    busy = [row for row in view.wave(wave.name) if row.is_in_flight]
    if len(busy) < wave.max_concurrency:
        return None
    return Stop(reason="WaitingForClusters", message=f"waiting for {places(busy)}")


STOPS: tuple[Gate, ...] = (isolated, preceded, halted, paused)
"""These stop the whole run, whatever the wave, and soak clocks too."""

GATES: tuple[Gate, ...] = (*STOPS, spent, soaking, full)


def first_stop(
    view: View, wave: PlannedWave, now: datetime, asked: tuple[Gate, ...] = GATES
) -> Stop | None:
    """Ask every gate in order; the first that stops the wave explains why."""
    stops = (gate(view, wave, now) for gate in asked)
    return next((stop for stop in stops if stop is not None), None)


def failing(view: View) -> Stop | None:
    """What halts the whole run now: a failed analysis, or a budget overspent."""
    fresh = [row for row in view.rows if row.is_failed and row.name not in view.status.accepted]
    judged = [row for row in fresh if row.reason == "AnalysisFailed"]
    if judged and view.plan.halt_on_first_failed_analysis:
        more = f" (and {len(judged) - 1} more)" if len(judged) > 1 else ""
        return Stop(
            reason="AnalysisFailed",
            message=f"halted: {judged[0].name} failed its analysis: {judged[0].message}{more}",
        )
    if view.plan.on_failure == "Continue":
        return None
    over = (_overspent(view, wave) for wave in view.plan.waves)
    return next((stop for stop in over if stop is not None), None)


def find(status: FleetRolloutStatus, name: str) -> WaveStatus:
    """How that wave stands; one that is not in the status has not begun."""
    return next((item for item in status.waves if item.name == name), WaveStatus(name=name))


def soak_left(wave: PlannedWave, status: WaveStatus, now: datetime) -> datetime | None:
    """When the soak ends; None while its clock stands still or there is nothing to wait for."""
    if status.soaking_since is None or not wave.soak_seconds:
        return None
    end = status.soaking_since + timedelta(seconds=wave.soak_seconds - status.soaked_seconds)
    return end if end > now else None


def places(rows: list[Row]) -> str:
    """`eu-1 (step 2/4), eu-2 (preview), eu-3 and 3 more`."""
    return phrases.listed([f"{row.name}{_place(row.step)}" for row in rows], most=3)


def _place(step: str) -> str:
    """The engine's word for where it is: a number of a number, or a name."""
    numbered = "step " if "/" in step else ""
    return f" ({numbered}{step})" if step else ""


def _overspent(view: View, wave: PlannedWave) -> Stop | None:
    failed = [
        row
        for row in view.wave(wave.name)
        if row.is_failed and row.name not in view.status.accepted
    ]
    if len(failed) <= wave.failure_budget:
        return None
    why = failed[0].message or failed[0].reason
    return Stop(
        reason="BudgetExceeded",
        message=f"halted: {len(failed)} failed in wave {wave.name}, its budget is "
        f"{wave.failure_budget}: {failed[0].name}: {why}",
    )
