"""Failures that a member has shown and no ClusterRollout tells yet.

    a Rollout fails ──seen──> [ nothing of its run begins ] ──judged──> the run halts, or goes on

Noted by `triggers`, asked by whoever lets clusters go (`reconcile`) or begins at one
(`dispatching`): while the report of a failure stands in line behind a hundred clusters that only
begin, none of them does. Decides nothing: what a failure means, the next look at the run says.
"""

from fleet.api.names import Key
from fleet.ports import Clock

LONGEST_SECONDS = 5.0
"""So long a failure that is not judged, for whatever reason, keeps others from beginning."""
AGAIN_SECONDS = 0.25
"""Who was kept from beginning asks again after this time."""


class Verdicts:
    """By ClusterRollout, for a moment each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[Key, tuple[Key, float]] = {}

    def seen(self, key: Key, run: Key) -> None:
        """The Rollout of that ClusterRollout has failed with what `run` wants."""
        self._seen[key] = run, self._clock.monotonic() + LONGEST_SECONDS

    def judged(self, key: Key) -> None:
        """Its run has gone by it."""
        self._seen.pop(key, None)

    def of(self, run: Key) -> tuple[Key, ...]:
        """The ClusterRollouts whose failures `run` has not judged."""
        if not self._seen:
            return ()
        now = self._clock.monotonic()
        self._seen = {key: one for key, one in self._seen.items() if now < one[1]}
        return tuple(key for key, one in self._seen.items() if one[0] == run)
