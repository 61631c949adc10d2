"""The informer: one kind of object of one API server, kept as a dictionary whose age is known.

    list (pages) ──> difference to the store ──> watch with bookmarks ──> it ended: watch again
         ^                                               │
         └───── 410, or three failures in a row ─────────┘

Run by `supervisor` for members and by `wiring` for the process's own API server. Every difference
is told once, as a `Change` with the old and new value: objects that vanished while nobody looked
are DELETED, objects that were made anew under an old name are DELETED and ADDED. `run` never ends
by itself; what goes wrong is told to `on_error` and shows in the age of `last_byte`. Only a bug in
`on` ends it, loudly: the supervisor starts it again.

The store holds what `decode` returns: keep it small, and raise ValueError or KeyError for an object
that makes no sense. Such an object keeps its last good value and is named in `unreadable`.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Generic, Literal, TypeVar

from fleet.api.names import Key, Resource
from fleet.clusters.client import Client
from fleet.errors import (
    FleetError,
    Gone,
    Invalid,
    NotFound,
    PermanentError,
    TemporaryError,
    Unreachable,
)

T = TypeVar("T")

SHORTEST, LONGEST = 0.2, 60.0
STEADY_SECONDS = 10.0
PATIENCE = 3
"""Failures in a row after which the version is no longer trusted: a restored API server counts
from lower, and a watch from a version that it has yet to reach stays empty for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[T]):
    """What happened to one object; `old` is None when ADDED, `new` is None when DELETED."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    key: Key
    old: T | None
    new: T | None


@dataclass(frozen=True, slots=True)
class _Mark:
    uid: str
    version: str


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
    decode: Callable[[dict[str, Any]], T]
    on: Callable[[Change[T]], None]
    namespace: str | None = None
    selector: str | None = None
    field_selector: str | None = None
    on_error: Callable[[FleetError], None] = _nowhere
    store: dict[Key, T] = field(default_factory=dict, init=False)
    synced: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    last_byte: float = field(default=-math.inf, init=False)
    relists: int = field(default=0, init=False)
    unreadable: dict[Key, str] = field(default_factory=dict, init=False)
    _version: str = field(default="", init=False)
    _marks: dict[Key, _Mark] = field(default_factory=dict, init=False)
    _ahead: set[Key] = field(default_factory=set, init=False)
    _is_restored: bool = field(default=False, init=False)

    async def run(self) -> None:
        """List and watch until cancelled; started again after a cancellation it goes on."""
        failures = 0
        while True:
            started = self.kube.monotonic()
            pause = 0.0
            try:
                if not self._version:
                    await self._relist()
                await self._watch()
            except Gone:
                self._version = ""
            except (TemporaryError, PermanentError) as error:
                pause = error.retry_after or 0.0 if isinstance(error, TemporaryError) else 0.0
                if failures + 1 >= PATIENCE or isinstance(error, NotFound | Invalid):
                    self._version = ""
                self.on_error(error)
            steady = self.kube.monotonic() - started >= STEADY_SECONDS
            failures = 0 if steady else failures + 1
            await asyncio.sleep(pause + _jitter(failures))

    def remember(self, manifest: Mapping[str, Any]) -> None:
        """Take the answer to our own write now rather than when the watch echoes it.

        Only for objects that the selectors match. Told as a `Change` at once; the echo is then
        silent. An answer older than what is known, or than a deletion seen since, is ignored.
        """
        key, mark = _identity(manifest)
        known = self._marks.get(key)
        seen = known.version if known else self._version
        if seen and not _is_newer(mark.version, seen):
            return
        self._ahead.add(key)
        self._put(key, mark, dict(manifest))

    def mark(self, key: Key) -> object:
        """What is known of that object now, to be handed to `correct`."""
        return self._marks.get(key)

    def correct(self, key: Key, manifest: Mapping[str, Any] | None, before: object) -> None:
        """Take the API server's answer (None: it is not there) to a question that was asked when
        `before` was known, unless more has been learnt since.

        It wins also where its version is lower: then the API server was restored, and all is
        listed again.
        """
        known = self._marks.get(key)
        if known != before:
            return
        if manifest is None:
            self._ahead.discard(key)
            self._drop(key)
            return
        mark = _identity(manifest)[1]
        if known is not None and _is_newer(known.version, mark.version):
            self._is_restored = True
        self._ahead.add(key)
        self._put(key, mark, dict(manifest))

    async def _relist(self) -> None:
        # What was remembered before this list began is in it; what is remembered from here on may
        # not be. (Versions are not compared otherwise: a restored server counts from lower.)
        self._ahead.clear()
        self._is_restored = False
        found: dict[Key, tuple[_Mark, dict[str, Any]]] = {}
        version = ""
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
                    key, mark = self._identified(manifest)
                    found[key] = (mark, manifest)
                version = page.version
        self._ahead = {key for key in self._ahead if _is_newer(self._marks[key].version, version)}
        for key in [key for key in self._marks if key not in found and key not in self._ahead]:
            self._drop(key)
        for key, (mark, manifest) in found.items():
            if key not in self._ahead:
                self._put(key, mark, manifest)
        self._version = version
        self.relists += 1
        self.synced.set()

    async def _watch(self) -> None:
        events = self.kube.watch(
            self.resource,
            version=self._version,
            selector=self.selector,
            field_selector=self.field_selector,
            namespace=self.namespace,
            timeout=random.randint(240, 480),
            opened=self._heard,
        )
        async with contextlib.aclosing(events):
            async for event in events:
                self._heard()
                self._see(event)

    def _heard(self) -> None:
        self.last_byte = self.kube.monotonic()

    def _see(self, event: Mapping[str, Any]) -> None:
        manifest = event.get("object")
        if not isinstance(manifest, dict):
            raise Unreachable(f"WATCH {self.resource.plural}: an event without an object")
        if event.get("type") == "BOOKMARK":
            meta = manifest.get("metadata") or {}
            version = str(meta.get("resourceVersion") or self._version)
            if self._is_restored or _is_newer(self._version, version):
                raise Gone(f"WATCH {self.resource.plural}: versions count from lower than before")
            self._version = version
            return
        key, mark = self._identified(manifest)
        self._version = mark.version
        if key in self._ahead:
            if _is_newer(self._marks[key].version, mark.version):
                return
            self._ahead.discard(key)
        if event.get("type") == "DELETED":
            self._drop(key)
        else:
            self._put(key, mark, manifest)

    def _put(self, key: Key, mark: _Mark, manifest: dict[str, Any]) -> None:
        known = self._marks.get(key)
        if known == mark:
            return
        if known is not None and known.uid != mark.uid:
            self._drop(key)
        self._marks[key] = mark
        try:
            value = self.decode(manifest)
        except (ValueError, KeyError, TypeError) as error:
            self.unreadable[key] = str(error)
            self.on_error(Invalid(f"{self.resource.kind} {'/'.join(key)} makes no sense: {error}"))
            return
        self.unreadable.pop(key, None)
        old = self.store.get(key)
        self.store[key] = value
        kind: Literal["ADDED", "MODIFIED"] = "ADDED" if old is None else "MODIFIED"
        self.on(Change(type=kind, key=key, old=old, new=value))

    def _drop(self, key: Key) -> None:
        self._marks.pop(key, None)
        self.unreadable.pop(key, None)
        old = self.store.pop(key, None)
        if old is not None:
            self.on(Change(type="DELETED", key=key, old=old, new=None))

    def _identified(self, manifest: Mapping[str, Any]) -> tuple[Key, _Mark]:
        try:
            return _identity(manifest)
        except (KeyError, TypeError):
            text = f"{self.resource.plural}: an object without name, uid or version"
            raise Unreachable(text) from None


def _identity(manifest: Mapping[str, Any]) -> tuple[Key, _Mark]:
    meta = manifest["metadata"]
    key = (str(meta.get("namespace") or ""), str(meta["name"]))
    return key, _Mark(str(meta["uid"]), str(meta["resourceVersion"]))


def _is_newer(version: str, than: str) -> bool:
    """Whether `version` is later; versions that are no numbers cannot be compared: False."""
    return version.isdecimal() and than.isdecimal() and int(version) > int(than)


def _jitter(failures: int) -> float:
    """Full jitter: anything up to 0.2 s, 0.4 s, … a minute; nothing after a steady watch."""
    if not failures:
        return 0.0
    return random.uniform(0.0, min(LONGEST, SHORTEST * 2.0 ** min(failures - 1, 16)))
