"""What hooks are asked and told: the JSON on the wire.

`runtime.hooks` speaks it; when somebody is asked and what comes of it is `hooks`. Knows of no
draft.
"""

from dataclasses import dataclass
from typing import Any

from fleet.api.hooks import Hook
from fleet.api.meta import write_time
from fleet.api.rollout import Rollout
from fleet.kulta.core import phases
from fleet.kulta.core.messages.transition import Transition
from fleet.kulta.core.observed import Inquiry

LAST = frozenset({"Complete", "Rollback"})
"""Actions that may end a rollout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A hook that is to be asked now."""

    inquiry: Inquiry
    hook: Hook
    rollout: Rollout


def question(errand: Errand) -> dict[str, Any]:
    """The JSON that a hook is asked with."""
    status = errand.rollout.status
    return {
        **_about(errand.rollout, errand.hook),
        "checksum": errand.inquiry.revision,
        "phase": status.phase.value if status.phase else "",
        "step": status.current_step_index,
        "weight": status.current_weight,
        "metadata": dict(errand.hook.metadata),
    }


def told(transition: Transition) -> list[tuple[Hook, dict[str, Any]]]:
    """Hooks that are told of a decision, each with its JSON; the same again has the same id."""
    is_end = transition.decision.action in LAST and transition.phase in phases.ENDS
    return [
        (hook, _news(transition, hook))
        for hook in transition.rollout.spec.hooks
        if hook.type == "event" or (hook.type == "post-rollout" and is_end)
    ]


def _news(transition: Transition, hook: Hook) -> dict[str, Any]:
    decision = transition.decision
    said = {
        "eventMessage": decision.message,
        "eventType": "Warning" if decision.action == "Rollback" else "Normal",
        "timestamp": write_time(transition.at),
    }
    return {
        **_about(transition.rollout, hook),
        "checksum": decision.revision,
        "phase": transition.phase.value,
        "id": transition.uuid,
        "action": decision.action,
        "reason": decision.reason,
        "step": transition.step,
        "weight": decision.weight,
        "metadata": {**hook.metadata, **said},
    }


def _about(rollout: Rollout, hook: Hook) -> dict[str, Any]:
    return {
        "name": rollout.name,
        "namespace": rollout.namespace,
        "hook": hook.name,
        "type": hook.type or "step",
    }
