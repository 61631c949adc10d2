"""Failures that a member has shown and no ClusterRollout tells yet.

    a Rollout fails ──seen──> [ nothing of its run begins ] ──judged──> the run halts, or goes on

Noted by `triggers`, asked by whoever lets clusters go (`reconcile`) or begins at one
(`dispatching`): while the report of a failure stands in line behind a hundred clusters that only
begin, none of them does. Decides nothing: what a failure means, the next look at the run says.
"""

from fleet.api.names import Key
from fleet.ports import Clock

LONGEST_SECONDS = 5.0
"""So long failures that are not judged, for whatever reason, keep others from beginning: one, or
one after another."""
AGAIN_SECONDS = 0.25
"""Who was kept from beginning asks again after this time."""


class Verdicts:
    """By run and ClusterRollout, for a moment each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[Key, dict[Key, float | None]] = {}
        self._since: dict[Key, float] = {}

    def seen(self, key: Key, run: Key) -> None:
        """The Rollout of that ClusterRollout has failed on a way on which `run` has sent it."""
        self._seen.setdefault(run, {})[key] = None

    def judged(self, key: Key, run: Key) -> None:
        """`run` has gone by it."""
        left = self._seen.get(run, {})
        left.pop(key, None)
        if not left:
            self._forget(run)

    def of(self, run: Key) -> tuple[Key, ...]:
        """The ClusterRollouts whose failures `run` has not judged; none where there was one all the
        time for so long that it would never go on. The time runs from when they are asked for: a
        hub that begins to lead sees them before it looks at anything."""
        if run not in self._seen:
            return ()
        now = self._clock.monotonic()
        ends = {key: end or now + LONGEST_SECONDS for key, end in self._seen[run].items()}
        left = {key: end for key, end in ends.items() if now < end}
        if not left:
            self._forget(run)
            return ()
        self._seen[run] = dict(left)
        since = self._since.setdefault(run, now)
        return tuple(left) if now - since < LONGEST_SECONDS else ()

    def _forget(self, run: Key) -> None:
        self._seen.pop(run, None)
        self._since.pop(run, None)
