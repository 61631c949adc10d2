"""Breaths: while several Rollouts are looked at, the process stands still again and again.

Held by `wiring.engine` around each look. Who deals with every answer as it comes begins anew each
time, on a processor that did something else in between, and is interrupted by whom he writes to;
what has come in a few milliseconds is dealt with in one go. One Rollout alone never waits, and
nothing runs while there is nothing to look at.
"""

import asyncio
import time

SEVERAL = 2
"""Looks at once."""
LINGER_SECONDS = 0.5
"""How long it goes on after them: what they have brought about is told meanwhile."""
SHARE = 0.25
"""Of a breath, which passes between two; what there is to do is done, however long that takes."""


class Breath:
    """To be entered around each look; `seconds` is how long one breath is."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._looks = 0
        self._until = 0.0
        self._is_due = False

    def __enter__(self) -> None:
        self._looks += 1
        if self._looks >= SEVERAL:
            self._until = asyncio.get_running_loop().time() + LINGER_SECONDS
            if not self._is_due:
                self._plan()

    def __exit__(self, *_: object) -> None:
        self._looks -= 1

    def _plan(self) -> None:
        loop = asyncio.get_running_loop()
        self._is_due = loop.time() < self._until
        if self._is_due:
            loop.call_later(self._seconds * SHARE, self._take)

    def _take(self) -> None:
        time.sleep(self._seconds)
        self._plan()
