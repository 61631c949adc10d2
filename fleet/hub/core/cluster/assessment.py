"""What an engine's report means for its cluster.

Called by `dispatch` with the live Rollout. Succeeded needs everything at once: our dispatch, our
revision echoed, the latest generation observed, phase Completed with the wanted pods, and a fresh
member. A report about anything else is not counted, however healthy it looks.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from fleet.api import Rollout, conditions
from fleet.api.analysis import MetricStatus
from fleet.api.clusterrollout import EngineReport
from fleet.api.conditions import Condition
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.rollout import Phase, RolloutSpec
from fleet.errors import UserError
from fleet.hub.core.cluster import persons
from fleet.hub.core.observed import Member
from fleet.kit import memory, redaction

TEXT_LIMIT = 500
"""Most characters that a member's sentence takes in the hub; its names are cut like labels."""
NAME_LIMIT = 64
SPECS = 1_024
"""Specs of Rollouts that are remembered; a hundred Applications have a few each."""
REPORTS = 1_024
"""As many reports."""

TAKEN_BACK = re.compile(r"^revision [0-9a-f]+ was taken back: (?=.)")
"""How an engine begins; its revision is the hash of the pods, and that of a run is another."""

ANALYZING = frozenset({"Pending", "Inconclusive", "Undecided", "Error"})
"""Verdicts of a metric that hold a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Where the cluster stands and why; `update` and `conditions` go into its status."""

    phase: ClusterPhase
    reason: str
    message: str = ""
    update: dict[str, Any] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()


WAITING = {
    Phase.PAUSED: ("Paused", "paused"),
    Phase.PREVIEW: ("AwaitingPromotion", "the preview waits for its promotion"),
    Phase.EXPERIMENTING: ("Experimenting", "the experiment runs"),
    Phase.CONCLUDED: ("AwaitingPromotion", "what the experiment has found waits for a person"),
}
"""Phases in which the engine waits for a clock or a person: reason, and words for want of any."""

SUCCEEDED = Assessment(phase=ClusterPhase.SUCCEEDED, reason="Succeeded")


@memory.once
def parse(live: Mapping[str, Any] | None) -> Rollout | None:
    """The live Rollout as a model; None where there is none or it cannot be read.

    `live` is what was seen, and never changes: a look that saw the same one reads it no more.
    """
    if live is None:
        return None
    try:
        return Rollout.parse({**live, "spec": _spec(live.get("spec"))})
    except UserError:
        return None


def _spec_of(spec: Any) -> RolloutSpec:
    """What is wished is the same in most members, and stands in memory once for all of them."""
    return Rollout.parse({"spec": spec}).spec


_spec = memory.once(_spec_of, SPECS)


def report(rollout: Rollout, revision: str) -> EngineReport:
    """The numbers of a Rollout's status, for display; steps only of `revision`.

    What a member writes is a stranger's text: it is cut before it enters an object of the hub, and
    taken without credentials.
    """
    status = rollout.status
    available = conditions.find(status.conditions, "Available")
    told: dict[str, Any] = {
        "phase": status.phase or "",
        "revision": status.fleet_revision[:NAME_LIMIT],
        "replicas": rollout.spec.replicas,
        "ready": status.ready_replicas,
        "available": None if available is None else available.status == "True",
    }
    if status.fleet_revision == revision:
        decision = status.decisions[-1] if status.decisions else None
        told |= {
            "pod_hash": status.current_pod_hash[:NAME_LIMIT],
            "step": status.step[:NAME_LIMIT],
            "weight": status.current_weight or 0,
            "awaits": persons.awaited(rollout),
            "reason": decision.reason if decision else "",
            "message": redaction.excerpt(status.message, TEXT_LIMIT),
        }
    return _report(**told)


_report: Callable[..., EngineReport] = lru_cache(maxsize=REPORTS)(EngineReport)
"""Frozen, and the same for most members of an Application."""


def of(
    rollout: Rollout, revision: str, member: Member, before: ClusterPhase | None = None
) -> Assessment:
    """Where the cluster stands; `before` is where it stood when this wish had arrived."""
    found = _found(rollout, revision, member, before)
    said = redaction.redact(found.message)
    return found if said == found.message else replace(found, message=said)


def _found(
    rollout: Rollout, revision: str, member: Member, before: ClusterPhase | None
) -> Assessment:
    status = rollout.status
    was_done = before is ClusterPhase.SUCCEEDED
    has_failed = before is ClusterPhase.FAILED and status.phase is Phase.FAILED
    # A hold that came or went is a new generation too: what has ended outlives it.
    latest = was_done or has_failed or status.observed_generation == rollout.metadata.generation
    seen = status.fleet_revision == revision and latest
    if not seen:
        return _unseen(rollout)
    if status.phase is Phase.FAILED:
        return _failed(rollout)
    if status.phase is Phase.COMPLETED:
        return _completed(rollout) or (SUCCEEDED if was_done else _believed(member))
    if rollout.spec.hold is not None:
        return Assessment(
            phase=ClusterPhase.PAUSED, reason="Held", message=f"held: {rollout.spec.hold.reason}"
        )
    if status.phase in WAITING:
        reason, word = WAITING[status.phase]
        reason = persons.unjudged(rollout) or reason
        return Assessment(phase=ClusterPhase.PAUSED, reason=reason, message=status.message or word)
    return _progressing(rollout)


def _unseen(rollout: Rollout) -> Assessment:
    """The engine has not taken it up; a refusal of this very generation is its last word."""
    refused = conditions.find(rollout.status.conditions, "InvalidSpec")
    latest = rollout.metadata.generation
    if refused and refused.status == "True" and refused.observed_generation == latest:
        return Assessment(
            phase=ClusterPhase.FAILED,
            reason="InvalidSpec",
            message=f"the engine refuses it: {refused.message}",
        )
    return _stalled(rollout, ClusterPhase.APPLYING) or Assessment(
        phase=ClusterPhase.APPLYING,
        reason="Applying",
        message="the engine has not taken up the revision yet",
    )


def _stalled(rollout: Rollout, phase: ClusterPhase) -> Assessment | None:
    """What stands in the engine's way, as it says itself."""
    found = conditions.find(rollout.status.conditions, "Stalled")
    if found is None or found.status != "True":
        return None
    return Assessment(
        phase=phase, reason="Stalled", message=f"the engine is stuck: {found.message}"
    )


def _completed(rollout: Rollout) -> Assessment | None:
    """What speaks against an engine that says it is through."""
    status = rollout.status
    if status.current_pod_hash == status.stable_pod_hash:
        return None
    return Assessment(
        phase=ClusterPhase.PROGRESSING,
        reason="Progressing",
        message=f"completed with pods of {status.stable_pod_hash or 'no revision'}, "
        f"not of {status.current_pod_hash or 'any'}",
    )


def _believed(member: Member) -> Assessment:
    """The end, if the member's reports count."""
    if member.fresh:
        return SUCCEEDED
    return Assessment(
        phase=ClusterPhase.PROGRESSING,
        reason="Stale",
        message=f"completed by an old report: {member.message}",
    )


def _failed(rollout: Rollout) -> Assessment:
    """The engine took it back: its reason, and the metric that failed."""
    backs = [item for item in rollout.status.decisions if item.action == "Rollback"]
    reason = backs[-1].reason if backs else "RolledBack"
    told = TAKEN_BACK.sub("", (backs[-1].message if backs else "") or rollout.status.message)
    metric = failing_metric(rollout)
    if metric and metric.split(" ")[0] not in told:
        told = f"{metric}; {told}" if told else metric
    return Assessment(
        phase=ClusterPhase.FAILED, reason=reason, message=told or "the engine took it back"
    )


def _judging(rollout: Rollout) -> list[MetricStatus]:
    """The metrics that decide something: not those of a dry run."""
    analysis = rollout.status.analysis
    return [item for item in analysis.metrics if not item.dry_run] if analysis else []


def failing_metric(rollout: Rollout) -> str:
    """`error-rate 12.4 is not below 5`; empty where no metric failed."""
    for item in _judging(rollout):
        if item.verdict == "Failed" and item.value is not None and item.threshold is not None:
            return f"{item.name} {item.value:g} is not below {item.threshold:g}"
    return ""


def _progressing(rollout: Rollout) -> Assessment:
    if stalled := _stalled(rollout, ClusterPhase.PROGRESSING):
        return stalled
    held = [item for item in _judging(rollout) if item.verdict in ANALYZING]
    if held:
        return Assessment(
            phase=ClusterPhase.ANALYZING,
            reason="Analyzing",
            message=rollout.status.message or f"{held[0].name}: {held[0].message}",
        )
    stuck = conditions.find(rollout.status.conditions, "Available")
    return Assessment(
        phase=ClusterPhase.PROGRESSING,
        reason="Progressing",
        message=rollout.status.message or (stuck.message if stuck else ""),
    )
