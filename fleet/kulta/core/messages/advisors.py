"""What advisors are asked and answer: the JSON on the wire, and which words count at which level.

`runtime.advisors` speaks it; when advice is asked for and what comes of it is `advice`. Knows of no
draft.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet.api.advisor import Level
from fleet.api.conditions import MESSAGE_LIMIT
from fleet.api.meta import write_time
from fleet.api.rollout import Rollout
from fleet.kit import redaction
from fleet.kulta.core.messages.vocabulary import word
from fleet.kulta.core.observed import Recommendation

SURE = 0.5
"""Advice of less confidence has no consequence."""
HOLDING = frozenset({"Pause", "Rollback"})
ACTIONS = ("Continue", "Pause", "Rollback")
HEEDED: Mapping[Level, frozenset[str]] = {
    Level.PLANNED: HOLDING,
    Level.DRIVEN: HOLDING | {"Advance"},
}
"""Level → advice that may have a consequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What an advisor is to be asked now. `rollout.status` is the status as it was decided."""

    rollout: Rollout
    is_healthy: bool
    """Whether no metric is against it."""


def body(question: Question) -> dict[str, Any]:
    """The JSON that an advisor gets."""
    rollout, status = question.rollout, question.rollout.status
    return {
        "rollout_name": rollout.name,
        "namespace": rollout.namespace,
        "strategy": word(status.strategy),
        "current_step": status.current_step_index,
        "current_weight": status.current_weight,
        "metrics_healthy": question.is_healthy,
        "phase": status.phase.value if status.phase else None,
        "history": [
            f"{write_time(item.timestamp)}: {item.action}"
            for item in status.decisions
            if item.timestamp is not None
        ],
    }


def read(said: Any) -> Recommendation:
    """An advisor's answer. Raises ValueError with a sentence for what makes no sense."""
    if not isinstance(said, dict):
        raise ValueError("it answered with something that is not an object")
    action, weight = _action(said.get("action"))
    sure = said.get("confidence")
    if isinstance(sure, bool) or not isinstance(sure, int | float) or not 0 <= sure <= 1:
        raise ValueError("its confidence is not a number between 0 and 1")
    reasoning = said.get("reasoning", "")
    if not isinstance(reasoning, str):
        raise ValueError("its reasoning is not a text")
    return Recommendation(
        action=action,
        to_weight=weight,
        confidence=float(sure),
        reasoning=redaction.excerpt(reasoning, MESSAGE_LIMIT),
    )


def _action(said: Any) -> tuple[str, int | None]:
    if said in ACTIONS:
        return str(said), None
    inner = said.get("Advance") if isinstance(said, dict) else None
    weight = inner.get("toWeight") if isinstance(inner, dict) else None
    if isinstance(weight, int) and not isinstance(weight, bool) and 0 <= weight <= 100:
        return "Advance", weight
    known = ", ".join((*ACTIONS, '{"Advance": {"toWeight": 0…100}}'))
    raise ValueError(f"its action is none of {known}")


def follows(level: Level, said: Recommendation) -> bool:
    """Whether such advice has a consequence at that level."""
    return said.action in HEEDED.get(level, ()) and said.confidence >= SURE
