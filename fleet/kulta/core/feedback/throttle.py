"""Which changes of a status are worth a write of their own.

Called by `report` at the end of every look. What differs only in counters, those in a message among
them, may wait for a better reason; nothing else is ever held back.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from fleet.api.conditions import Condition
from fleet.api.rollout import Phase, RolloutStatus
from fleet.kulta.core.draft import Draft

AT_ONCE, SOON = timedelta(0), timedelta(seconds=5)
"""How long a status may wait: one that matters, and one that differs only in counters."""

THROTTLE = timedelta(seconds=30)
"""Counters alone are written at most this often while a rollout moves. Those that nobody is shown,
the clock of the deadline among them, wait as long once they differ, but never until it is over: the
next step may tell them. Progress that is lost again before that has not been any."""

UNSEEN = {"updated_replicas", "progress_started_at", "progress_ready"}
"""Counters that are in no column of `kubectl get`."""
MINOR = {"replicas", "ready_replicas", *UNSEEN}
"""What is not worth a write of its own at once."""

COUNTED = re.compile(r"\b[0-9]+ of [0-9]+ (?=[A-Z])")
"""How many pods have the same trouble: `look.cause`."""


def written(draft: Draft, stored: RolloutStatus) -> tuple[RolloutStatus, timedelta]:
    """The status to write, and how long it may wait for a better reason."""
    status = draft.status
    if _with(status, stored, {"emitted"}) == stored:
        return stored, AT_ONCE  # that Events went out is told with the next change
    plain = status.model_copy(update=_recounted(status, stored))
    if _with(plain, stored, {"emitted", *MINOR}) != stored:
        return status, AT_ONCE
    since = stored.progress_started_at
    if draft.phase is not Phase.PROGRESSING or since is None:
        return status, SOON
    deadline = draft.look.spec.progress_deadline_seconds or 600
    longest = min(THROTTLE, timedelta(seconds=deadline) / 2)
    if _with(status, stored, {"emitted", *UNSEEN}) == stored:
        left = since + timedelta(seconds=deadline) - draft.now
        return status, max(min(longest, left), SOON)
    return status, max(since + longest - draft.now, SOON)


def _with(status: RolloutStatus, stored: RolloutStatus, fields: set[str]) -> RolloutStatus:
    """The status as it would be, had these not changed."""
    return status.model_copy(update={name: getattr(stored, name) for name in fields})


def _recounted(status: RolloutStatus, stored: RolloutStatus) -> dict[str, Any]:
    """The texts as they stand, where the new ones differ in the counts of pods alone."""
    if status.message == stored.message or _plain(status.message) != _plain(stored.message):
        return {}
    if _told(status.conditions) != _told(stored.conditions):
        return {}
    return {"message": stored.message, "conditions": stored.conditions}


def _told(conditions: Iterable[Condition]) -> list[Condition]:
    return [item.model_copy(update={"message": _plain(item.message)}) for item in conditions]


def _plain(message: str) -> str:
    return COUNTED.sub("", message)
