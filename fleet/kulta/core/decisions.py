"""The engine's diary: numbered decisions in the status, and an Event for each of them.

Whoever decides calls `note`; `report` turns what is new into Events, which go out once the status
is written, at least once: a process remembers what it gave away (`Plan.emitted`), the status says
so with its next write, and an engine that starts gives away again what may have been lost.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from fleet.api.analysis import MetricResult
from fleet.api.conditions import MESSAGE_LIMIT, Condition
from fleet.api.rollout import Decision, RolloutStatus
from fleet.kulta.core.actions import Emit
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.look import Look

KEPT = 20

EVENT_LIFE = timedelta(hours=1)
"""An API server forgets Events after an hour: what was lost before that is not told again."""

BY_HUMAN = frozenset({"ManualPromotion", "ManualRollback", "ManualConclusion"})
BY_THRESHOLD = frozenset(
    {
        "AnalysisPassed",
        "AnalysisFailed",
        "MetricsUnavailable",
        "Timeout",
        "SignificanceReached",
        "ConsensusReached",
        "MaxDurationExceeded",
    }
)


def note(
    draft: Draft,
    action: str,
    reason: str,
    message: str,
    *,
    metrics: Mapping[str, MetricResult] | None = None,
    **steps: int | None,
) -> None:
    """Write down a decision; `steps` are `from_step`, `to_step` and `weight`."""
    known, message = draft.status.decisions, cut(message)
    fields: dict[str, Any] = {
        "sequence": known[-1].sequence + 1 if known else 1,
        "timestamp": draft.now,
        "action": action,
        "reason": reason,
        "message": message,
        "metrics": dict(metrics or {}),
        **steps,
    }
    draft.set(
        decisions=(*known, Decision(**fields))[-KEPT:],
        last_decision_source=_source(reason),
        message=message,
    )


def cut(message: str) -> str:
    """No longer than a condition's message: sources and gateways may say anything at any length."""
    return message[:MESSAGE_LIMIT]


def last(status: RolloutStatus) -> int:
    """The number of the newest decision; 0 before the first."""
    return status.decisions[-1].sequence if status.decisions else 0


def emitted(look: Look) -> int:
    """The last decision whose Event is known to have been given away."""
    stored, known = look.rollout.status, look.observed.emitted
    # What we remember beyond what is stored belongs to a status that was lost.
    return max(stored.emitted, known if known <= last(stored) else 0)


def events(status: RolloutStatus, since: int, now: datetime) -> Iterator[Emit]:
    """An Event for each decision after number `since`."""
    for item in status.decisions:
        is_fresh = item.timestamp is None or now - item.timestamp < EVENT_LIFE
        if item.sequence > since and is_fresh:
            kind = "Warning" if item.action == "Rollback" else "Normal"
            yield Emit(kind=kind, reason=item.action, message=f"{item.reason}: {item.message}")


TROUBLE = {
    "TrafficReady": "False",
    "MetricsAvailable": "False",
    "Degraded": "True",
    "InvalidSpec": "True",
}
"""Conditions that deserve a warning when they turn so."""


def warnings(old: Iterable[Condition], new: Iterable[Condition]) -> Iterator[Emit]:
    """A Warning for each condition that has turned bad, or is bad for another reason now."""
    before = {item.type: (item.status, item.reason) for item in old}
    for item in new:
        is_new = before.get(item.type) != (item.status, item.reason)
        if is_new and TROUBLE.get(item.type) == item.status:
            yield Emit(kind="Warning", reason=item.reason, message=item.message)


def _source(reason: str) -> str:
    if reason in BY_HUMAN:
        return "Human"
    return "Threshold" if reason in BY_THRESHOLD else ""
