"""Rows → what a person reads: counts, the wave table, the first hundred clusters, ready texts.

Called by `report` and `state`. Counts are exact and add up to the total; rows are capped, failed
first.
"""

from collections.abc import Sequence

from fleet.api.fleetrollout import (
    ROWS,
    ClusterCounts,
    ClusterPhase,
    ClusterRow,
    Display,
    FleetRolloutSpec,
    FleetRolloutStatus,
    WaveStatus,
)
from fleet.hub.core.run.row import Row
from fleet.hub.core.run.rows import of
from fleet.kit import phrases

MESSAGE = 160
"""Most characters of a message in a row; the whole text is in the ClusterRollout."""

LEAST = 10
"""Clusters that every status lists, if so many are not done."""

SHORT = 6
"""Digits of a revision in a column."""

_ORDER = {
    ClusterPhase.FAILED: 0,
    ClusterPhase.CONFLICT: 0,
    ClusterPhase.TIMED_OUT: 0,
    ClusterPhase.UNREACHABLE: 1,
    ClusterPhase.DEFERRED: 2,
    ClusterPhase.PENDING: 4,
    ClusterPhase.SKIPPED: 5,
    ClusterPhase.ROLLED_BACK: 5,
}


_BOXES = {
    ClusterPhase.SUCCEEDED: "updated",
    ClusterPhase.SKIPPED: "skipped",
    ClusterPhase.ROLLED_BACK: "rolled_back",
    ClusterPhase.UNREACHABLE: "unreachable",
    ClusterPhase.DEFERRED: "unreachable",
}


def counts(rows: Sequence[Row]) -> ClusterCounts:
    """Every row in exactly one box."""
    boxes = [_box(row) for row in rows]
    return ClusterCounts(
        total=len(rows),
        updated=boxes.count("updated"),
        in_flight=boxes.count("in_flight"),
        failed=boxes.count("failed"),
        unreachable=boxes.count("unreachable"),
        pending=boxes.count("pending"),
        skipped=boxes.count("skipped"),
        rolled_back=boxes.count("rolled_back"),
    )


def waves(before: Sequence[WaveStatus], rows: Sequence[Row]) -> tuple[WaveStatus, ...]:
    """The wave table with its numbers brought up to date."""
    result = []
    for item in before:
        own = of(rows, item.name)
        result.append(
            item.model_copy(
                update={
                    "total": len(own),
                    "updated": sum(row.is_updated for row in own),
                    "failed": sum(row.is_failed for row in own),
                }
            )
        )
    return tuple(result)


def room(status: FleetRolloutStatus) -> int:
    """How many clusters a status lists: fewer where it has many names to remember, so that a
    thousand clusters stay under 100 KB."""
    undo = status.undo.clusters if status.undo else ()
    known = (status.accepted, status.retrying, status.skipped, status.appended, undo)
    return max(ROWS - sum(map(len, known)) // 10, LEAST)


def listed(rows: Sequence[Row], most: int = ROWS) -> tuple[tuple[ClusterRow, ...], int]:
    """The first `most` clusters that are not done, failed first, and how many more there are."""
    open_ = sorted(
        (row for row in rows if not row.is_updated), key=lambda row: _ORDER.get(row.phase, 3)
    )
    shown = tuple(
        ClusterRow(
            name=row.name,
            wave=row.wave,
            phase=row.phase,
            step=row.step,
            message=phrases.short(row.message, MESSAGE),
        )
        for row in open_[:most]
    )
    return shown, len(open_) - len(shown)


def traffic(rows: Sequence[Row]) -> int:
    """Percent of all traffic on the run's revision: Σ replicas × weight / Σ replicas, down."""
    total = sum(row.replicas for row in rows)
    if not total:
        return 100 if rows and all(row.is_updated for row in rows) else 0
    return sum(row.replicas * row.weight for row in rows) // total


def display(spec: FleetRolloutSpec, rows: Sequence[Row], wave: str) -> Display:
    """Texts for the columns, for example `2/3 eu`, `25/120`, `18%`."""
    place = f"{spec.plan.place(wave) + 1}/{len(spec.plan.waves)} {wave}" if wave else ""
    numbers = counts(rows)
    strategy = spec.application.spec.delivery_policy.strategy
    return Display(
        revision=spec.revision[:SHORT],
        wave=place,
        updated=f"{numbers.updated}/{numbers.total}",
        traffic=f"{traffic(rows)}%",
        strategy=strategy.kind if strategy else "",
    )


def _box(row: Row) -> str:
    if row.phase in _BOXES:
        return _BOXES[row.phase]
    if row.is_failed:
        return "failed"
    return "pending" if row.is_pending else "in_flight"
