"""Which requests `HttpProxy` disturbs, and how: values that a test names and the proxy asks."""

import asyncio
from collections.abc import Callable
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
