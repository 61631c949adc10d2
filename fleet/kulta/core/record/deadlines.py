"""Clocks: the progress deadline, pauses, delays. Everything here is (status, now) → answer.

The deadline counts from the last progress: a new step, more ready pods, a pause that ended. A clock
that does not count has no start (`progressStartedAt` is empty): in pauses and while the analysis
takes its time.
"""

from datetime import datetime, timedelta

from fleet.api.rollout import Pause, Phase, RolloutStatus
from fleet.kit import durations
from fleet.kulta.core.draft import Draft

LONGEST = timedelta(minutes=5)
"""Nobody sleeps longer than this in a pause: a clock that was set wrong heals."""

PATIENCE = timedelta(seconds=15)
"""What normally takes a moment is reported when it has taken this long."""


COUNTING = frozenset({Phase.INITIALIZING, Phase.PROGRESSING, Phase.PREVIEW})
"""Phases in which the deadline counts."""


def exceeded(status: RolloutStatus, deadline: int, now: datetime) -> bool:
    """Whether more than `deadline` whole seconds have passed without progress; 0 is never."""
    started = status.progress_started_at
    if not deadline or started is None or status.phase not in COUNTING:
        return False
    return int((now - started).total_seconds()) > deadline


def due(status: RolloutStatus, deadline: int) -> datetime | None:
    """When the deadline will be exceeded, as things stand."""
    if not deadline or status.progress_started_at is None:
        return None
    return status.progress_started_at + timedelta(seconds=deadline + 1)


def run(draft: Draft) -> None:
    """The clock counts: start it if it stood still, and start it anew at progress."""
    ready = draft.look.ready(draft.current)
    if ready > draft.status.progress_ready:
        draft.set(progress_started_at=draft.now, progress_ready=ready)
    elif draft.status.progress_started_at is None:
        draft.set(progress_started_at=draft.now)
    draft.wake(due(draft.status, draft.look.spec.progress_deadline_seconds))


def stop(draft: Draft) -> None:
    """The clock stands still."""
    ready = max(draft.look.ready(draft.current), draft.status.progress_ready)
    draft.set(progress_started_at=None, progress_ready=ready)


def is_late(draft: Draft) -> bool:
    """Whether the rollout has had its time; pods that have just become ready give it more."""
    if draft.look.ready(draft.current) > draft.status.progress_ready:
        return False
    return exceeded(draft.status, draft.look.spec.progress_deadline_seconds, draft.now)


def pause_end(pause: Pause | None, began: datetime | None) -> datetime | None:
    """When a timed pause is over; None for one that only a person ends."""
    if pause is None or pause.duration is None or began is None:
        return None
    return began + durations.parse(pause.duration)


def next_look(due: datetime, now: datetime) -> datetime:
    """When to look at a pause again that ends at `due`: then, but at least every five minutes."""
    return min(due, now + LONGEST)
