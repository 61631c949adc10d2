"""Kubernetes Events: a transition as what `kubectl describe` shows."""

from datetime import datetime, timedelta

from fleet.kulta.core.messages.emit import Emit
from fleet.kulta.core.messages.transition import Transition

LIFE = timedelta(hours=1)
"""An API server forgets Events after an hour: what was lost before that is not told again."""


def of(transition: Transition, now: datetime) -> Emit | None:
    """The Event; None where it would have been forgotten by now."""
    if now - transition.at >= LIFE:
        return None
    decision = transition.decision
    return Emit(
        kind="Warning" if decision.action == "Rollback" else "Normal",
        reason=decision.action,
        message=f"{decision.reason}: {decision.message}",
    )
