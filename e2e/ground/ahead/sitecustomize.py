"""Lets a process of ours live in another hour: its wall clock is CLOCK_AHEAD seconds ahead.

Python imports this file when its folder is in PYTHONPATH. Nothing else of the machine is moved, and
monotonic time is left alone, as when the clocks of two machines differ.
"""

import os
from datetime import datetime, timedelta, tzinfo

from fleet.telemetry import clock

AHEAD = timedelta(seconds=float(os.environ["CLOCK_AHEAD"]))


class Moved(datetime):
    """What `telemetry.clock` reads, the only place that reads the time of day."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Moved":
        return super().now(tz) + AHEAD


clock.datetime = Moved  # type: ignore[attr-defined]  # it is taken from others
