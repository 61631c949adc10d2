"""Whose turn it is, where much wants to be done at once: a line, and places.

Used by `clusters` for requests and by the hub's runtime for looks. What presses, such as a verdict,
goes before what only begins. Knows nothing of queues, and nothing of Kubernetes.
"""

import asyncio
import contextvars
from collections import deque

_presses: contextvars.ContextVar[bool] = contextvars.ContextVar("presses", default=False)


def pressing(does: bool = True) -> "Pressing":
    """What is done inside goes before others in every `Line` and for all `Places`; tasks that begin
    inside too. With False it does not, whatever is around."""
    return Pressing(does)


class Pressing:
    """What `pressing` returns, to be entered once; a generator would take three times as long."""

    __slots__ = ("_does", "_token")

    def __init__(self, does: bool) -> None:
        self._does = does

    def __enter__(self) -> None:
        self._token = _presses.set(self._does)

    def __exit__(self, *_: object) -> None:
        _presses.reset(self._token)


class _Lanes:
    """Who waits, in the order in which they came. Who presses goes before the others, but only
    every other time while both wait: nobody is kept away for ever. Who has time goes last."""

    def __init__(self) -> None:
        self._ahead: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        self._last: deque[asyncio.Future[None]] = deque()
        self._was_ahead = False

    def join(self, *, has_time: bool = False) -> "asyncio.Future[None]":
        """A place at the end of its lane; done when it is the caller's turn."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane = self._ahead if _presses.get() else self._others
        (self._last if has_time else lane).append(future)
        return future

    def advance(self) -> bool:
        """Let the next one go; whether there was one."""
        lanes = (self._ahead, self._others)
        for lane in (*(reversed(lanes) if self._was_ahead else lanes), self._last):
            while lane:
                first = lane.popleft()
                if not first.done():  # who was cancelled has gone
                    first.set_result(None)
                    self._was_ahead = lane is self._ahead
                    return True
        return False


class Line:
    """Work that takes a moment each and comes in thousands: one of them per round of the event
    loop, so that whatever else is due, such as the renewal of a Lease, waits for one at most.

        turn ─> [ third, second, first ] ── one per round ──> goes on
    """

    def __init__(self) -> None:
        self._lanes = _Lanes()
        self._is_moving = False

    async def turn(self, *, has_time: bool = False) -> None:
        """Until it is the caller's turn, in the order in which they came (`pressing`); of who
        `has_time`, until nobody else waits."""
        future = self._lanes.join(has_time=has_time)
        if not self._is_moving:
            self._is_moving = True
            asyncio.get_running_loop().call_soon(self._move)
        await future

    def _move(self) -> None:
        self._is_moving = self._lanes.advance()
        if self._is_moving:
            asyncio.get_running_loop().call_soon(self._move)


class Places:
    """So many at once, the others wait in the order in which they came (`pressing`).

    async with places:
        ...
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._lanes = _Lanes()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        future = self._lanes.join()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._leave()  # the place was given at the same moment
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        if not self._lanes.advance():
            self._free += 1
