"""What a gate says when it is closed, and where a run stands then.

Made by gates and waits (`Stop`), by `state`, `rollback` and `plan` (`State`); `report` writes it
down. Also how clusters that are waited for are named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.api.fleetrollout import RunPhase
from fleet.hub.core import weights
from fleet.hub.core.run.row import Row
from fleet.kit import phrases


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Why nothing starts now."""

    reason: str
    """A constant of `api.reasons`."""
    message: str
    until: datetime | None = None
    """When time alone ends it; None where it does not."""
    unblock: str = ""
    """What would end it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the run stands: its phase, and why nothing more starts now, or ever."""

    phase: RunPhase
    why: Stop


def waiting_for(busy: list[Row]) -> Stop:
    """Clusters are in flight."""
    low = phrases.listed([row.name for row in busy if row.weight_waits], most=3)
    told = f"; {weights.FIELD} only falls in {low} until a run brings its other inputs"
    who, unblock = person(busy)
    return Stop(
        reason="WaitingForClusters",
        message=f"waiting for {places(busy)}{told if low else ''}{who}",
        unblock=unblock,
    )


def person(busy: Sequence[Row]) -> tuple[str, str]:
    """Which of those in flight waits for somebody, in words, and what would end the waiting."""
    still = [row for row in busy if row.awaits]
    asked = min(still, key=lambda row: row.awaits != "promote", default=None)
    who = f"; {asked.name} {asked.message}" if asked is not None else ""
    if asked is not None and len(still) == len(busy):
        return who, f"the request {asked.awaits}/<id>/{asked.wave}"
    return who, "the end of one of them, or its deadline"


def places(rows: list[Row]) -> str:
    """`eu-1 (step 2/4), eu-2 (preview), eu-3 and 3 more`."""
    return phrases.listed([f"{row.name}{_place(row.step)}" for row in rows], most=3)


def _place(step: str) -> str:
    """The engine's word for where it is: a number of a number, or a name."""
    numbered = "step " if "/" in step else ""
    return f" ({numbered}{step})" if step else ""
