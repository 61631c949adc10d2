"""Why something waits: the one value by which modules tell each other and the user.

`reason` is a constant of `api.reasons`; the message says what is missing and what would help.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing moves at present. `is_brief`: it is reported only when it takes long."""

    reason: str
    message: str
    until: datetime | None = None
    is_brief: bool = False
    revision: str = ""
    """Whose pods are awaited; empty: those of the revision that is asked for."""


PODS = "PodsPending"


def for_pods(message: str, revision: str = "") -> Wait:
    """Pods are not ready."""
    return Wait(reason=PODS, message=message, revision=revision)


def because(wait: Wait | None, cause: Callable[[str], str]) -> Wait | None:
    """`wait`, with the cause where pods of a revision are awaited and one is known."""
    why = cause(wait.revision) if wait is not None and wait.reason == PODS else ""
    return replace(wait, message=f"{wait.message}: {why}") if wait is not None and why else wait
