"""What a member's refusal of a write means for its cluster: a table, first match.

Called by the runtime's `dispatching`. What only needs another look or a moment means nothing, and
of a member that does not answer its `connectivity` tells; what may last although the member answers
is said, wherever the cluster stands on its way.
"""

from dataclasses import dataclass

from fleet import errors
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import AUTOSCALER
from fleet.errors import Conflict, FleetError
from fleet.hub.core import phases
from fleet.hub.core.cluster.assessment import Assessment


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error whose text holds `mark`, and what it means."""

    error: type[FleetError]
    mark: str = ""
    phase: ClusterPhase | None = ClusterPhase.FAILED
    """None: it goes on by itself, and stays where it is on its way."""
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
    Refusal(
        error=errors.Forbidden,
        mark="denied",
        reason="Forbidden",
        advice="an admission policy there denies it",
    ),
    Refusal(error=errors.Forbidden, reason="Forbidden", advice="the hub lacks a right there"),
    Refusal(
        error=errors.NotFound,
        reason="NamespaceNotFound",
        advice="the namespace, or the kind, does not exist there",
    ),
    Refusal(
        error=errors.Unreachable,
        mark="failed calling webhook",
        phase=None,
        reason="WriteRefused",
        advice="an admission webhook there does not answer; it is tried again",
    ),
    Refusal(
        error=errors.Throttled,
        phase=None,
        reason="WriteRefused",
        advice="the member's API server asks for fewer requests; it is tried again",
    ),
)


def assess(error: FleetError, before: ClusterPhase, *, is_read: bool = False) -> Assessment | None:
    """Where a refusal leaves a cluster that stood at `before`; None when it is only to be tried
    again. A look fails nobody, for rights take a moment to hold: it says what it waits for. An
    autoscaler that was faster than the watch is spared at the next look (`drift`)."""
    text = str(error)
    if isinstance(error, Conflict) and set(error.managers) - {AUTOSCALER}:
        owners = ", ".join(error.managers)
        advice = "let them go, or set deliveryPolicy.onConflict: Force"
        message = f"{owners} owns fields of the Rollout: {advice}"
        return Assessment(phase=ClusterPhase.CONFLICT, reason="Conflict", message=message)
    for row in REFUSALS:
        if isinstance(error, row.error) and row.mark in text:
            phase = None if is_read else row.phase
            if phase is None and before not in phases.RUNNING:
                return None
            message = f"{row.advice}: {text}"
            return Assessment(phase=phase or before, reason=row.reason, message=message)
    return None
