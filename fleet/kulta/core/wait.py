"""Why something waits: the one value by which modules tell each other and the user.

`reason` is a constant of `api.reasons`; the message says what is missing and what would help.
"""

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing moves at present. `is_brief`: it is reported only when it takes long."""

    reason: str
    message: str
    until: datetime | None = None
    is_brief: bool = False


PODS = "PodsPending"


def for_pods(message: str) -> Wait:
    """Pods are not ready."""
    return Wait(reason=PODS, message=message)


def because(wait: Wait | None, cause: str) -> Wait | None:
    """`wait`, with the cause where pods are awaited that cannot be made."""
    if wait is None or wait.reason != PODS or not cause:
        return wait
    return replace(wait, message=f"{wait.message}: {cause}")
