"""Where a Rollout may go from where it stands: one table, read by `draft`.

A move that the table does not hold is a bug of ours: it raises, and nothing is written.
"""

from collections.abc import Mapping

from fleet.api.rollout import Phase
from fleet.errors import UnexpectedState

MOVES: Mapping[Phase | None, frozenset[Phase]] = {
    None: frozenset({Phase.INITIALIZING, Phase.PROGRESSING}),
    Phase.INITIALIZING: frozenset({Phase.PROGRESSING, Phase.COMPLETED, Phase.FAILED}),
    Phase.PROGRESSING: frozenset(
        {Phase.PAUSED, Phase.PREVIEW, Phase.EXPERIMENTING, Phase.COMPLETED, Phase.FAILED}
    ),
    Phase.PAUSED: frozenset({Phase.PROGRESSING, Phase.FAILED}),
    Phase.PREVIEW: frozenset({Phase.PROGRESSING, Phase.FAILED}),
    Phase.EXPERIMENTING: frozenset({Phase.PROGRESSING, Phase.CONCLUDED, Phase.FAILED}),
    Phase.CONCLUDED: frozenset({Phase.PROGRESSING, Phase.FAILED}),
    Phase.COMPLETED: frozenset({Phase.PROGRESSING, Phase.FAILED}),
    Phase.FAILED: frozenset({Phase.PROGRESSING}),
}
"""Phase → where it may go next; None is a Rollout that nobody has looked at yet."""

ENDS = frozenset({Phase.COMPLETED, Phase.FAILED})
"""Nothing happens here until somebody changes the template, or asks for a retry or a rollback."""


def is_active(phase: Phase | None) -> bool:
    """Whether a revision is on its way."""
    return phase is not None and phase not in ENDS


def move(before: Phase | None, after: Phase, name: str) -> Phase:
    """`after`, if it is a legal move (staying is); UnexpectedState names both and the Rollout."""
    if before is not after and after not in MOVES[before]:
        raise UnexpectedState(f"Rollout {name}: phase {before} may not become {after}")
    return after
