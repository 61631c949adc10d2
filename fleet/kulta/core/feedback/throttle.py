"""Which changes of a status are worth a write of their own.

Called by `report` at the end of every look. What differs only in counters, those in a message among
them, is not while the rollout moves; nothing else is ever held back.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from fleet.api.conditions import Condition
from fleet.api.rollout import Phase, RolloutStatus
from fleet.kulta.core.draft import Draft

THROTTLE = timedelta(seconds=30)
"""Counters alone are written at most this often while a rollout moves."""

MINOR = {"replicas", "ready_replicas", "updated_replicas", "progress_started_at", "progress_ready"}
"""What is not worth a write of its own at once."""

COUNTED = re.compile(r"\b[0-9]+ of [0-9]+ (?=[A-Z])")
"""How many pods have the same trouble: `look.cause`."""


def written(draft: Draft, stored: RolloutStatus) -> tuple[RolloutStatus, bool]:
    """The status to write and whether it is worth a write of its own."""
    status = draft.status
    if status.model_copy(update={"emitted": stored.emitted}) == stored:
        return stored, False  # that Events went out is told with the next change
    minor = {name: getattr(stored, name) for name in (*MINOR, "emitted")}
    minor |= _recounted(status, stored)
    if status.model_copy(update=minor) != stored:
        return status, True
    since = stored.progress_started_at
    if draft.phase is Phase.PROGRESSING and since is not None:
        deadline = draft.look.spec.progress_deadline_seconds or 600
        due = since + min(THROTTLE, timedelta(seconds=deadline) / 2)
        if draft.now < due and status != stored:
            draft.wake(due)
            return stored, True
    return status, False


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
