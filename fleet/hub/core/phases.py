"""The two machines of the hub as tables: where a run stands, and where a cluster of it stands.

Every change of phase goes through `move`; a move that is not in the table is our own bug. The
README's table comes from here. A cluster's table holds within one wish: a new wish (`Want`)
begins at Pending or Applying again.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from fleet.api.fleetrollout import ClusterPhase as C
from fleet.api.fleetrollout import RunPhase as R
from fleet.errors import UnexpectedState

ENDS = frozenset({R.SUCCEEDED, R.SUCCEEDED_WITH_FAILURES, R.ROLLED_BACK, R.SUPERSEDED, R.ABORTED})
"""A run that ended; `retry` opens one with failures again, `rollback` one that was not undone."""
GOOD_ENDS = frozenset({R.SUCCEEDED, R.SUCCEEDED_WITH_FAILURES})
"""Ends to which a run comes by going its whole way."""

_WAY = frozenset(
    {R.PROGRESSING, R.SOAKING, R.AWAITING_APPROVAL, R.OUTSIDE_WINDOW, R.PAUSED, R.HALTED}
    | {R.ROLLING_BACK}
)
"""Between the beginning and the end, in any order."""
_AGAIN = _WAY | {R.ROLLED_BACK, R.SUCCEEDED_WITH_FAILURES}
"""After an end that was opened again."""

RUN_MOVES: Mapping[R, frozenset[R]] = {
    R.PLANNED: _WAY | ENDS,
    R.PROGRESSING: (_WAY | ENDS) - {R.PROGRESSING},
    R.SOAKING: (_WAY | ENDS) - {R.SOAKING},
    R.AWAITING_APPROVAL: (_WAY | ENDS | {R.PLANNED}) - {R.AWAITING_APPROVAL},
    R.OUTSIDE_WINDOW: (_WAY | ENDS | {R.PLANNED}) - {R.OUTSIDE_WINDOW},
    R.PAUSED: (_WAY | ENDS | {R.PLANNED}) - {R.PAUSED},
    R.HALTED: (_WAY | ENDS) - {R.HALTED},
    R.ROLLING_BACK: (_WAY | ENDS) - {R.ROLLING_BACK},
    R.SUCCEEDED: _AGAIN - {R.SOAKING, R.AWAITING_APPROVAL, R.OUTSIDE_WINDOW},
    R.SUCCEEDED_WITH_FAILURES: _AGAIN - {R.SUCCEEDED_WITH_FAILURES},
    R.ROLLED_BACK: frozenset(),
    R.SUPERSEDED: frozenset(),
    R.ABORTED: frozenset({R.ROLLING_BACK, R.ROLLED_BACK}),
}

STOPPED = frozenset({R.PAUSED, R.HALTED, R.ROLLING_BACK, R.ROLLED_BACK, R.SUPERSEDED, R.ABORTED})
"""Nothing starts in such a run, whatever was in its way before."""

FAILURES = frozenset({C.FAILED, C.TIMED_OUT, C.CONFLICT})
"""What counts against a budget at once; Unreachable counts after its time-out."""
ON_THE_WAY_HOME = frozenset({C.ROLLING_BACK, C.UNREACHABLE})
"""How those stand who were sent home by a run that was given up, until they are there."""

ANNOUNCED = 100
"""Most failures that a run tells one by one: as many as its status lists."""

RUNNING = frozenset({C.APPLYING, C.PROGRESSING, C.ANALYZING, C.PAUSED, C.UNREACHABLE})
"""In flight: the engine works, or is thought to."""

_WORK = frozenset({C.APPLYING, C.PROGRESSING, C.ANALYZING, C.PAUSED})
_ANY = _WORK | FAILURES | {C.SUCCEEDED, C.UNREACHABLE}

CLUSTER_MOVES: Mapping[C, frozenset[C]] = {
    C.PENDING: _ANY | {C.DEFERRED},
    C.DEFERRED: _ANY | {C.PENDING},
    C.APPLYING: _ANY,
    C.PROGRESSING: _ANY,
    C.ANALYZING: _ANY,
    C.PAUSED: _ANY,
    C.UNREACHABLE: _ANY | {C.PENDING, C.DEFERRED},
    # Succeeded stands when the member is lost afterwards; a change made in the member can end it.
    C.SUCCEEDED: _WORK | {C.FAILED, C.CONFLICT},
    C.FAILED: _WORK | {C.SUCCEEDED, C.CONFLICT},
    C.TIMED_OUT: _ANY,
    C.CONFLICT: _ANY,
    # Words of a run for its clusters; a ClusterRollout itself is never in them.
    C.SKIPPED: frozenset(),
    C.ROLLING_BACK: frozenset(),
    C.ROLLED_BACK: frozenset(),
}

Phase = TypeVar("Phase", bound=StrEnum)


def move(
    moves: Mapping[Phase, frozenset[Phase]], before: Phase | None, after: Phase, about: str
) -> Phase:
    """`after`, if it may follow `before` (None: the beginning); else UnexpectedState."""
    if before is None or before is after or after in moves[before]:
        return after
    raise UnexpectedState(f"{about}: {before} cannot become {after}")
