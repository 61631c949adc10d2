"""Which requests `HttpProxy` disturbs, and how: values that a test names and the proxy asks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request that reached the HTTP proxy."""

    method: str
    path: str
    """With its query."""

    @property
    def is_write(self) -> bool:
        return self.method in WRITES

    @property
    def is_watch(self) -> bool:
        return "watch=" in self.path


When = Callable[[Seen], bool]


def always(_: Seen) -> bool:
    """Every request."""
    return True


def never(_: Seen) -> bool:
    """No request."""
    return False


def writing(seen: Seen) -> bool:
    """Every request that changes something."""
    return seen.is_write


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next `times` requests for which `when` holds."""

    when: When
    times: int
    status: int | None
    """Answered in the server's place; None = the server acts, but its answer is lost."""

    def takes(self, request: Seen) -> bool:
        """Whether this fault is for `request`; it is used up by that."""
        if self.times <= 0 or not self.when(request):
            return False
        self.times -= 1
        return True


@dataclass(slots=True, kw_only=True)
class Caught:
    """A request that is on its way until `let_go`; tests in other threads may ask and call."""

    when: When
    loop: asyncio.AbstractEventLoop
    has_come: bool = False
    status: int = 0
    """How the server has answered it, late."""
    answer: str = ""
    free: asyncio.Event = field(default_factory=asyncio.Event)

    def let_go(self) -> None:
        """It may arrive now."""
        self.loop.call_soon_threadsafe(self.free.set)


class Brake:
    """Lets so many more writes through, and then nothing; proxies of one loop may share one.

    A write that was let through is under way until it ends, however it ends: by the server's
    answer, by a fault in its place, or because its client has gone.
    """

    def __init__(self, counted: When = writing) -> None:
        self.written = 0
        """Counted writes so far."""
        self.waiting = 0
        """Requests that are held back."""
        self.held = asyncio.Event()
        """Set once requests are held back and no counted write is under way any more."""
        self._counted = counted
        self._under_way = 0
        self._left: int | None = None
        self._passing = asyncio.Event()
        self._passing.set()

    def after(self, writes: int) -> None:
        """Hold all requests after so many more writes, at least 1, until `release`."""
        self.held.clear()
        self._left = writes

    def release(self) -> None:
        """Everything passes again."""
        self._left = None
        self.held.clear()
        self._passing.set()

    @contextlib.asynccontextmanager
    async def admitted(self, seen: Seen) -> AsyncIterator[None]:
        """Wait while requests are held; within, the request is under way."""
        await self._wait()
        if not self._counted(seen):
            yield
            return
        self._count()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way and not self._passing.is_set():
                self.held.set()

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            while not self._passing.is_set():
                await self._passing.wait()
        finally:
            self.waiting -= 1

    def _count(self) -> None:
        """One more; the last of those that were let through closes the way behind it."""
        self.written += 1
        if self._left is None:
            return
        self._left -= 1
        if self._left <= 0:
            self._left = None
            self._passing.clear()


class View:
    """What of the world a client is shown: all of it and at once, until told otherwise."""

    def __init__(self) -> None:
        self._lists: dict[str, bytes] = {}
        self._past: When = never
        self._missed: When = never
        self._present = asyncio.Event()

    def show_past(self, when: When) -> None:
        """Answer lists as they were when they were last asked for; events have to wait."""
        self._present.clear()
        self._past = when

    def miss(self, when: When) -> None:
        """Lose the events of these watches."""
        self._missed = when

    def show_present(self) -> None:
        """Nothing is old or lost any more; events that have waited come now."""
        self._past = self._missed = never
        self._present.set()

    def note(self, seen: Seen, body: bytes) -> None:
        """Remember an answer that may be a list."""
        if seen.method == "GET" and b'"items":' in body:
            self._lists[seen.path] = body

    def old(self, seen: Seen) -> bytes | None:
        """The past answer to be given in the place of the present one."""
        return self._lists.get(seen.path) if self._past(seen) else None

    async def shows(self, seen: Seen) -> bool:
        """Wait while events of that watch have to; whether they may pass then."""
        if self._past(seen):
            await self._present.wait()
        return not self._missed(seen)
