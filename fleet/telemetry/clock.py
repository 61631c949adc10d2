"""The system's clocks: the only place that reads the wall time. Everything else gets `now`."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

JUMP = 2.0
"""Seconds. Clocks that are kept right are moved by less at once, and by less than a thousandth in
the long run; what is more is a jump."""


def wall() -> datetime:
    """What the clock on the wall shows, in whole milliseconds."""
    return _whole(datetime.now(UTC))


def _whole(moment: datetime) -> datetime:
    return moment - timedelta(microseconds=moment.microsecond % 1_000)


class SystemClock:
    """The clock on the wall, for commands that end soon."""

    def now(self) -> datetime:
        return wall()

    def monotonic(self) -> float:
        return time.monotonic()

    def drift(self) -> timedelta:
        return timedelta(0)


class SteadyClock:
    """`ports.Clock` of a controller: a clock on the wall that jumps does not move it.

    Soaks, pauses and deadlines are stored as times of day. Whoever sets the clock of the machine,
    or wakes it up, ends none of them early and lets none hang; until the process ends, its present
    is that of before the jump. While nobody jumps it follows the wall.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = wall,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self.monotonic = wall, monotonic
        self._shown = self._seen = wall()
        self._at = monotonic()

    def now(self) -> datetime:
        shown, at = self._wall(), self.monotonic()
        moved, passed = shown - self._shown, at - self._at
        follows = abs(moved.total_seconds() - passed) < JUMP + passed / 1_000
        self._shown, self._at = shown, at
        self._seen = _whole(self._seen + (moved if follows else timedelta(seconds=passed)))
        return self._seen

    def drift(self) -> timedelta:
        now = self.now()
        return self._shown - now
