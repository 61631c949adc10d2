"""What happened between two looks at a run, as entries with numbers: history and Events.

Called by `report` with the status before and after, by `plan` for what it tells itself. A moment is
told once, because the status that follows remembers it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from fleet.api.fleetrollout import (
    Entry,
    FleetRolloutStatus,
    Plan,
    PlannedWave,
    RunPhase,
    WavePhase,
    WaveStatus,
)
from fleet.hub.core import phases
from fleet.hub.core.run import gates
from fleet.hub.core.run.row import Row
from fleet.kit import durations, phrases

KEPT = 50
"""Entries in the history of a run, the latest."""
LENGTH = 200
"""Characters of a message."""
GOOD = frozenset(
    {"Planned", "WaveStarted", "EmptyWave", "WaveDone", "Soaking", "Progressing", "Succeeded"}
    | {"AwaitingApproval", "Approved", "AwaitingPromotion", "Promoted", "AwaitingHook"}
    | {"Concluded"}
    | {"OutsideWindow", "Paused", "Resumed", "Retried", "Skipped", "MemberAppended"}
    | {"MembersChanged", "PruneConfirmed", "GivingWay", "Undone", "Superseded", "RolledBack"}
    | {"Aborted"}
)
"""Reasons of a run that goes its way. For what a cluster fails, its engine or its API server has
words that nobody here has listed."""

Told = tuple[str, str]
"""(reason, message)."""


def tell(
    before: FleetRolloutStatus, after: FleetRolloutStatus, plan: Plan, rows: Sequence[Row]
) -> tuple[Told, ...]:
    """Everything new, in the order in which a person would tell it."""
    return (
        *_beginning(before, plan),
        *_failures(before, rows),
        *_waves(before, after, plan),
        *_phase(before, after),
    )


def history(before: FleetRolloutStatus, told: Sequence[Told], now: datetime) -> tuple[Entry, ...]:
    """The history with what is new, the last fifty."""
    new = tuple(
        Entry(time=now, reason=reason, message=phrases.short(message, LENGTH))
        for reason, message in told
    )
    return (*before.history, *new)[-KEPT:]


def events(told: Sequence[Told]) -> tuple[tuple[str, str, str], ...]:
    """The same as Kubernetes Events: (kind, reason, message)."""
    return tuple(
        ("Warning" if is_bad(reason) else "Normal", reason, message) for reason, message in told
    )


def is_bad(reason: str) -> bool:
    """Whether somebody should look: it is none of what belongs to a run that goes its way."""
    return reason not in GOOD


def deleted(before: FleetRolloutStatus) -> Told:
    """A run that was deleted before its end."""
    phase = before.phase or RunPhase.PLANNED
    return "Aborted", phrases.short(f"deleted while {phase}: {before.message or 'begins'}", LENGTH)


def _beginning(before: FleetRolloutStatus, plan: Plan) -> Iterator[Told]:
    if before.phase is None:
        total = sum(len(wave.clusters) for wave in plan.waves)
        notes = f": {'; '.join(plan.notes)}" if plan.notes else ""
        sizes = f"{_counted(total, 'cluster')} in {_counted(len(plan.waves), 'wave')}"
        yield "Planned", f"{sizes}{notes}"


def _failures(before: FleetRolloutStatus, rows: Sequence[Row]) -> Iterator[Told]:
    known = {item.name for item in before.clusters if item.phase in phases.FAILURES}
    for row in [row for row in rows if row.phase in phases.FAILURES][: phases.ANNOUNCED]:
        if row.name not in known:
            yield row.reason or row.phase, f"{row.name} failed: {row.message or row.reason}"


def _waves(before: FleetRolloutStatus, after: FleetRolloutStatus, plan: Plan) -> Iterator[Told]:
    for wave in plan.waves:
        old, new = gates.find(before, wave.name), gates.find(after, wave.name)
        if old.started_at is None and new.started_at is not None:
            if not new.total:
                yield "EmptyWave", f"wave {wave.name} has no cluster and is passed at once"
                continue
            yield "WaveStarted", _start(wave, new)
        if old.phase is not WavePhase.SOAKING and new.phase is WavePhase.SOAKING:
            yield "Soaking", f"wave {wave.name} soaks for {wave.soak_seconds} s"
        if new.total and old.finished_at is None and new.finished_at is not None:
            yield "WaveDone", _done(new)


def _start(wave: PlannedWave, status: WaveStatus) -> str:
    return (
        f"wave {wave.name} begins: {_counted(status.total, 'cluster')}, "
        f"{wave.max_concurrency} at a time, "
        f"failure budget {wave.failure_budget}"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _done(status: WaveStatus) -> str:
    left = status.total - status.updated - status.failed
    parts = [f"{status.updated} of {status.total} updated"]
    parts += [f"{status.failed} failed"] if status.failed else []
    parts += [f"{left} put off"] if left else []
    if status.started_at and status.finished_at:
        parts.append(f"took {durations.format_short(status.finished_at - status.started_at)}")
    end = "is done" if status.updated or status.failed else "is put off"
    return f"wave {status.name} {end}: {', '.join(parts)}"


def _phase(before: FleetRolloutStatus, after: FleetRolloutStatus) -> Iterator[Told]:
    quiet = (RunPhase.PLANNED, RunPhase.PROGRESSING, RunPhase.SOAKING)
    if after.phase is before.phase or after.phase is None:
        return
    if after.phase not in quiet:
        yield after.reason, after.message
    elif before.phase in (RunPhase.HALTED, RunPhase.PAUSED):
        yield "Progressing", f"goes on: {after.message}"
