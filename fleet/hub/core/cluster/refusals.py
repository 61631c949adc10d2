"""What a member's refusal of a write means for its cluster: a table, first match.

Called by the runtime's `dispatching`. What only needs another look or a moment means nothing.
"""

from dataclasses import dataclass

from fleet import errors
from fleet.api.fleetrollout import ClusterPhase
from fleet.errors import Conflict, FleetError
from fleet.hub.core.cluster.assessment import Assessment


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error whose text holds `mark`, and what it means."""

    error: type[FleetError]
    mark: str = ""
    phase: ClusterPhase = ClusterPhase.FAILED
    reason: str
    advice: str


REFUSALS = (
    Refusal(
        error=errors.Invalid,
        mark="dispatch.sequence",
        phase=ClusterPhase.CONFLICT,
        reason="Fenced",
        advice="a newer hub leader has written",
    ),
    Refusal(
        error=errors.Invalid,
        mark="not declared in schema",
        reason="EngineTooOld",
        advice="the member's Rollout CRD lacks a field: run `fleet cluster add` again",
    ),
    Refusal(error=errors.Invalid, reason="InvalidSpec", advice="the member refuses it"),
    Refusal(error=errors.Forbidden, reason="Forbidden", advice="the hub lacks a right there"),
    Refusal(
        error=errors.NotFound,
        reason="NamespaceNotFound",
        advice="the namespace, or the kind, does not exist there",
    ),
)


def assess(error: FleetError) -> Assessment | None:
    """Where a refused write leaves its cluster; None when it is only to be tried again."""
    text = str(error)
    if isinstance(error, Conflict) and error.managers:
        owners = ", ".join(error.managers)
        advice = "let them go, or set deliveryPolicy.onConflict: Force"
        message = f"{owners} owns fields of the Rollout: {advice}"
        return Assessment(phase=ClusterPhase.CONFLICT, reason="Conflict", message=message)
    for row in REFUSALS:
        if isinstance(error, row.error) and row.mark in text:
            return Assessment(phase=row.phase, reason=row.reason, message=f"{row.advice}: {text}")
    return None
