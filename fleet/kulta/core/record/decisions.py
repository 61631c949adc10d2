"""The engine's diary: numbered decisions in the status, and who has been told of them.

Whoever decides calls `note`. What is new goes out once the status is written, at least once: a
process remembers what it handed over (`Plan.told`) and what was delivered; the status says so with
its next write, and an engine that starts tells again what may have been lost.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from fleet.api.advisor import ASKED
from fleet.api.analysis import MetricResult
from fleet.api.conditions import MESSAGE_LIMIT, Condition
from fleet.api.rollout import Decision, Phase, RolloutStatus
from fleet.kulta.core.draft import Draft
from fleet.kulta.core.facts.look import Look
from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.core.messages.transition import Transition

KEPT = 20
"""Decisions in a status, the latest."""
MOST = 60
"""Decisions of which not everybody has been told are kept beyond `KEPT`, but no more than this."""

LIFE = timedelta(days=1)
"""What could not be told for so long is not told any more."""

BY_HUMAN = frozenset(
    {"ManualPromotion", "ManualRollback", "ManualConclusion", "UserPaused", "PauseRequested"}
)
BY_ADVISOR = frozenset({"AdvisorPause", "AdvisorRollback", "AdvisorAdvance"})
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
    phase: Phase | None = None,
    **steps: int | None,
) -> None:
    """Write down a decision. `phase` is the one that it leads to, where the move comes afterwards;
    `steps` are `from_step`, `to_step` and `weight`."""
    known, message = draft.status.decisions, cut(message)
    fields: dict[str, Any] = {
        "sequence": known[-1].sequence + 1 if known else 1,
        "timestamp": draft.now,
        "action": action,
        "reason": reason,
        "message": message,
        "metrics": dict(metrics or {}),
        "phase": phase or draft.phase,
        "generation": draft.look.rollout.metadata.generation,
        "revision": draft.current,
        "image": _image(draft),
        **steps,
    }
    untold = fields["sequence"] - emitted(draft.look)
    draft.set(
        decisions=(*known, Decision(**fields))[-max(KEPT, min(untold, MOST)) :],
        last_decision_source=_source(draft, reason),
        message=message,
    )


def account(draft: Draft) -> None:
    """Note that a pause began or ended, where no step has said so: holds come and go by themselves.

    Afterwards the newest decision and the status agree in the phase.
    """
    decided = draft.status.decisions[-1].phase if draft.status.decisions else None
    if decided is None or decided is draft.phase:
        return
    if draft.phase is Phase.PAUSED and draft.paused is not None:
        why = draft.paused
        note(draft, "Pause", why.reason, why.message, weight=draft.status.current_weight)
    elif decided is Phase.PAUSED and draft.is_active:
        message = f"revision {draft.current} goes on"
        note(draft, "Resume", "NotPaused", message, weight=draft.status.current_weight)


def cut(message: str) -> str:
    """No longer than a condition's message: sources and gateways may say anything at any length."""
    return message[:MESSAGE_LIMIT]


def last(status: RolloutStatus) -> int:
    """The number of the newest decision; 0 before the first."""
    return status.decisions[-1].sequence if status.decisions else 0


def emitted(look: Look) -> int:
    """The last decision up to which everybody is known to have been told."""
    stored = look.rollout.status
    return max(stored.emitted, _of_this_status(look.observed.emitted, stored))


def transitions(look: Look, status: RolloutStatus) -> Iterator[Transition]:
    """What this process has not handed over yet of the decisions in `status`."""
    stored = look.rollout.status
    since = max(stored.emitted, _of_this_status(look.observed.told, stored))
    if last(status) <= since:
        return
    rollout = look.rollout.model_copy(update={"status": status})
    for item in status.decisions:
        is_fresh = item.timestamp is None or look.now - item.timestamp < LIFE
        if item.sequence > since and is_fresh:
            yield Transition(rollout=rollout, decision=item)


TROUBLE = {
    "TrafficReady": "False",
    "MetricsAvailable": "False",
    "AdvisorAvailable": "False",
    "WorkloadReady": "False",
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


def _of_this_status(number: int, stored: RolloutStatus) -> int:
    """What we remember beyond what is stored belongs to a status that was lost."""
    return number if number <= last(stored) else 0


def _image(draft: Draft) -> str:
    """The first container's image of the revision that is decided about."""
    template, is_known = draft.traits.template_of(draft.current), draft.look.lacking is None
    if template is None and is_known and draft.current == draft.look.hash:
        template = draft.look.spec.template
    if template is not None:
        containers = (template.get("spec") or {}).get("containers") or ()
        return str(containers[0].get("image") or "") if containers else ""
    known = (x.image for x in reversed(draft.status.decisions) if x.revision == draft.current)
    return next(known, "")


def _source(draft: Draft, reason: str) -> str:
    """Where an advisor is asked as well, what it did not cause was decided by thresholds."""
    if reason in BY_HUMAN:
        return "Human"
    if reason in BY_ADVISOR:
        return "Advisor"
    is_advised = draft.look.spec.advisor.level in ASKED
    return "Threshold" if reason in BY_THRESHOLD or is_advised else ""
