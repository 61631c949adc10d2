"""The informer: one kind of object of one API server, kept in a store whose age is known.

    list (pages) ──> difference to the store ──> watch with bookmarks ──> it ended: watch again
         ^                                               │
         ├──── 410, no answer, three failures in a row ──┤
         └── it counts from lower <── broke, or early ───┘

Run by `supervisor` for members and by `wiring` for the process's own API server. Every difference
is told once, as a `Change` with the old and new value: objects that vanished while nobody looked
are DELETED, objects that were made anew under an old name are DELETED and ADDED. `run` never ends
by itself; what goes wrong is told to `on_error` and shows in the age of `last_byte`. Only a bug in
`on` ends it, loudly: the supervisor starts it again.

A server that is restored from a backup says so to nobody: it counts from lower, and keeps a watch
from a version that it has yet to reach open, without a word. What it has lost is never told, nor is
what it has counted past once more. And to be restored it is stopped, which ends its watches in
order. So a watch goes on without a question only where the one before it lasted as long as was
asked for. The question is whether the server counts from lower; that it has counted past the
version once more shows only in a whole list, which follows each attempt that failed.

The store holds what `decode` returns: keep it small. The answers to our own writes and reads go
into it too; writes only for objects that the selectors match.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Generic, TypeVar

from fleet.api.names import Key, Resource
from fleet.clusters.client import Client
from fleet.clusters.errors import Hushed
from fleet.clusters.store import Change, Store, identity, is_newer
from fleet.clusters.transport import awake
from fleet.errors import (
    FleetError,
    Gone,
    Invalid,
    NotFound,
    PermanentError,
    TemporaryError,
    Throttled,
    Unreachable,
)

T = TypeVar("T")

SHORTEST, LONGEST = 0.2, 60.0
"""Seconds between attempts, the most after the first failure and after many."""
STEADY_SECONDS = 10.0
"""A watch that lasted so long was no failure."""
LIVELY, QUIET = (240, 480), (65, 72)
"""Seconds after which the server shall end a watch, where the last one brought something and where
it did not: a server has no bookmark to send while nothing moves, so what is quiet is asked for anew
before its silence counts as one, on the connection that is there."""
LARGEST, MOST_BYTES = 32 * 1024, 4 * 2**20
"""Where the number of objects is limited: bytes of each on average, and of a list beside that."""
PART = 50
"""Objects of a list that are taken in one go: some ten milliseconds."""
PATIENCE = 3
"""Failures in a row after which the version is no longer trusted, whatever they are."""
FEW = 5
"""Objects that are listed rather than asked for their version: a list finds out more, and one of so
few is small. One of 50 has fifty times the bytes of the answer, and a proxy may cut each minute."""
EARLY = 2.0
"""Seconds before its time up to which the end of a watch counts as the end that was asked for."""
AWAY = "initializing"
"""What a kube-apiserver says with a 429 while its storage is away, which may then be another."""


def _nowhere(error: FleetError) -> None:
    """The place for errors when nobody asks."""


@dataclass(eq=False, slots=True)
class Informer(Generic[T]):
    """See the module. `on` is called in the event loop and must not block; it may read `store`,
    which already holds the new value. `last_byte` is monotonic, minus infinity before the first.
    """

    kube: Client
    resource: Resource
    _: KW_ONLY
    decode: Callable[[Mapping[str, Any]], T]
    on: Callable[[Change[T]], None]
    namespace: str | None = None
    selector: str | None = None
    field_selector: str | None = None
    on_error: Callable[[FleetError], None] = _nowhere
    rest: Callable[[], float] = awake
    """Asked after each event: for how many seconds nobody needs the next one."""
    most: int | None = None
    """Objects that are held; None: as many as come."""
    store: Store[T] = field(init=False)
    synced: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    last_byte: float = field(default=-math.inf, init=False)
    _is_listed: bool = field(default=False, init=False)
    """Whether a watch can go on from what the store has reached."""
    _is_doubted: bool = field(default=False, init=False)
    """Whether that is to be found out first: another server may answer than before."""
    _is_open: bool = field(default=False, init=False)
    """Whether the server has begun to answer the last watch."""
    _opened_at: float = field(default=-math.inf, init=False)
    """When it last did."""
    _is_lively: bool = field(default=False, init=False)
    """Whether the last watch brought anything."""

    def __post_init__(self) -> None:
        self.store = Store(self.resource, self.decode, self._tell)

    async def run(self) -> None:
        """List and watch until cancelled; started again after a cancellation it goes on where the
        server has come as far."""
        failures, self._is_doubted = 0, True
        while True:
            started = self.kube.monotonic()
            pause, self._is_open = 0.0, False
            try:
                if self._is_listed and self._is_doubted:
                    await self._make_sure()
                if not self._is_listed:
                    await self._relist()
                await self._watch()
            except Gone:
                self._is_listed = False
            except Hushed:
                self._is_doubted = True
            except (TemporaryError, PermanentError) as error:
                pause = error.retry_after or 0.0
                self._is_doubted = True
                if failures + 1 >= PATIENCE or not self._may_go_on(error):
                    self._is_listed = False
                self.on_error(error)
            steady = self.kube.monotonic() - started >= STEADY_SECONDS
            failures = 0 if steady else failures + 1
            await asyncio.sleep(pause + _jitter(failures))

    def _may_go_on(self, error: FleetError) -> bool:
        """Whether the server has been there all the time: to be restored, it must be stopped. While
        it was not, it may also have counted past the version that has been reached. A server that
        only has too much to do is asked for no lists on top of it."""
        if isinstance(error, NotFound | Invalid):
            return False
        is_busy = isinstance(error, Throttled) and AWAY not in str(error)
        return self._is_open or is_busy

    async def _make_sure(self) -> None:
        """Find out whether the server has come as far as the store; of few objects by a list. Asked
        once: an answer that fails says enough, and is told at once."""
        if len(self.store) > FEW:
            version = await self.kube.version(
                self.resource,
                self.namespace,
                selector=self.selector,
                field_selector=self.field_selector,
            )
            self._is_listed = not is_newer(self.store.reached, than=version)
        else:
            self._is_listed = False
        self._is_doubted = False

    async def _relist(self) -> None:
        since = self.store.moment
        found: set[Key] = set()
        version, size = "", 0
        pages = self.kube.pages(
            self.resource,
            self.namespace,
            selector=self.selector,
            field_selector=self.field_selector,
        )
        async with contextlib.aclosing(pages):
            async for page in pages:
                self.last_byte = self.kube.monotonic()
                if page.restarted:
                    found.clear()
                for manifest in page.items:
                    self._version(manifest)
                version, size = page.version, size + page.size
                self._check_size(len(found) + len(page.items), size)
                for part in _parts(page.items):
                    # Timers and whoever has been answered go between; not the whole line, or a
                    # list that is taken anew in a burst of work would outlive its own pages.
                    await asyncio.sleep(0)
                    found |= self.store.take(part, since, version)
        self.store.settle(found, since, version)
        self.store.reached, self._is_listed, self._is_doubted = version, True, False
        self.synced.set()

    async def _watch(self) -> None:
        shortest, longest = LIVELY if self._is_lively else QUIET
        self._is_lively = False
        timeout = random.randint(shortest, longest)
        events = self.kube.watch(
            self.resource,
            version=self.store.reached,
            selector=self.selector,
            field_selector=self.field_selector,
            namespace=self.namespace,
            timeout=timeout,
            opened=self._opened,
            rest=self.rest,
        )
        async with contextlib.aclosing(events):
            async for event in events:
                self._heard()
                self._is_lively = True
                self._see(event)
        if self.kube.monotonic() - self._opened_at < timeout - EARLY:
            self._is_doubted = True

    def _check_size(self, objects: int, size: int = 0) -> None:
        """Raises Unreachable where more comes than any cluster has: it harms only itself."""
        if self.most is None:
            return
        if objects > self.most or size > MOST_BYTES + self.most * LARGEST:
            what = f"{self.resource.plural}: more than {self.most} objects, or too large ones"
            raise Unreachable(f"{what}: nobody can hold them")

    def _opened(self) -> None:
        self._is_open = True
        self._heard()
        self._opened_at = self.last_byte

    def _heard(self) -> None:
        self.last_byte = self.kube.monotonic()

    def _see(self, event: Mapping[str, Any]) -> None:
        manifest = event.get("object")
        if not isinstance(manifest, dict):
            raise Unreachable(f"WATCH {self.resource.plural}: an event without an object")
        if event.get("type") == "BOOKMARK":
            meta = manifest.get("metadata") or {}
            version = str(meta.get("resourceVersion") or self.store.reached)
            self._check_order(version)
            if self.store.is_restored:
                raise Gone(f"WATCH {self.resource.plural}: an answer counted from lower")
        else:
            version = self._version(manifest)
            self._check_order(version)
            take = self.store.end if event.get("type") == "DELETED" else self.store.see
            take(manifest)
            self._check_size(len(self.store))
        self.store.reached = version

    def _check_order(self, version: str) -> None:
        if is_newer(self.store.reached, than=version):
            raise Gone(f"WATCH {self.resource.plural}: versions count from lower than before")

    def _tell(self, change: Change[T]) -> None:
        if change.type != "UNREADABLE":
            self.on(change)
            return
        why = self.store.unreadable[change.key].error
        what = f"{self.resource.kind} {'/'.join(change.key)}"
        self.on_error(Invalid(f"{what} makes no sense: {why}"))

    def _version(self, manifest: Mapping[str, Any]) -> str:
        """Raises Unreachable for what is no object: a proxy may say anything."""
        try:
            return identity(manifest)[2]
        except (KeyError, TypeError, AttributeError):
            text = f"{self.resource.plural}: an object without name, uid or version"
            raise Unreachable(text) from None


def _parts(items: list[T]) -> Iterator[list[T]]:
    """All of them, a few at a time and in their order; `items` holds only those that are left, so
    that what was taken makes room for what is kept of the next."""
    items.reverse()
    while items:
        part = items[: -PART - 1 : -1]
        del items[-PART:]
        yield part


def _jitter(failures: int) -> float:
    """Full jitter: anything up to 0.2 s, 0.4 s, … a minute; nothing after a steady watch."""
    if not failures:
        return 0.0
    return random.uniform(0.0, min(LONGEST, SHORTEST * 2.0 ** min(failures - 1, 16)))
