"""Stopwatches: durations that begin in one place of the hub and end in another.

Started by `triggers` when something is first seen, stopped by who does what it asked for. A
stopwatch that nobody stops is started anew by the next occasion.
"""

from collections.abc import Iterable

from fleet.api.names import Key
from fleet.ports import Clock
from fleet.telemetry.metrics import HubMetrics


class Timers:
    """By ClusterRollout: from a new wish to its Rollout, from a failed verdict to the halt."""

    def __init__(self, metrics: HubMetrics, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock
        self._wishes: dict[Key, float] = {}
        self._verdicts: dict[Key, float] = {}

    def wished(self, key: Key) -> None:
        """It got a new wish: what was seen of a former one is of no account any more."""
        self._wishes[key] = self._clock.monotonic()
        self._verdicts.pop(key, None)

    def dispatched(self, key: Key) -> None:
        """Its Rollout was written: that is how long the wish took to get there."""
        began = self._wishes.pop(key, None)
        if began is not None:
            self._metrics.dispatched(self._clock.monotonic() - began)

    def touched(self, key: Key) -> None:
        """Something else was written into its member: the wish was not about the Rollout."""
        self._wishes.pop(key, None)

    def failed(self, key: Key) -> None:
        """Its Rollout was seen to have failed; the first sight counts."""
        self._verdicts.setdefault(key, self._clock.monotonic())

    def succeeded(self, key: Key) -> None:
        """It is done, whatever it was before."""
        self._verdicts.pop(key, None)

    def halted(self, keys: Iterable[Key]) -> None:
        """Their run was halted: the time since the first of their verdicts, if there is one."""
        found = [self._verdicts.pop(key) for key in keys if key in self._verdicts]
        if found:
            self._metrics.halted(self._clock.monotonic() - min(found))

    def forget(self, key: Key) -> None:
        """It is gone."""
        self._wishes.pop(key, None)
        self._verdicts.pop(key, None)
