"""Kubernetes Events for people: `ports.Recorder` over a bounded queue.

Called by both reconcilers; `wiring` runs it. Recording never blocks and never fails the caller:
what cannot be written is counted in `dropped` and logged. The same event about the same object is
one Event with a count. An object that has too much to say is slowed down.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet.api.meta import Manifest
from fleet.api.names import EVENTS
from fleet.errors import FleetError, NotFound
from fleet.kit import hashing
from fleet.ports import Clock, Kube

CAPACITY = 1_000
"""Events that may wait to be written; then the oldest is dropped."""
REMEMBERED = 4_000
"""Events, and objects, of which it is known what they have said."""
SAME_SECONDS = 600.0
BURST, REFILL_SECONDS = 25.0, 30.0
"""Events that one object may have at once, and the time after which it may have one more."""
LONGEST_MESSAGE = 1_024
"""Characters."""

log = logging.getLogger(__name__)

_Same = tuple[str, str, str, str, str]


@dataclass(slots=True)
class _Written:
    """An Event that exists: repeats within ten minutes raise its count."""

    name: str
    count: int
    at: float


@dataclass(slots=True)
class _Allowance:
    """How many events an object may have now: a bucket of 25 that gains one each 30 s."""

    left: float
    at: float

    def take(self, now: float) -> bool:
        self.left = min(BURST, self.left + (now - self.at) / REFILL_SECONDS)
        self.at = now
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What an Event says. `about` is a reference, as `reference` makes one."""

    about: dict[str, str]
    kind: str
    reason: str
    message: str
    at: datetime

    @property
    def same(self) -> _Same:
        about = self.about
        who = about.get("uid") or f"{about.get('namespace')}/{about['name']}"
        return (who, about["kind"], self.kind, self.reason, self.message)


class EventRecorder:
    """See the module. `dropped` counts what was not written: queue full, too many, refused."""

    def __init__(self, kube: Kube, clock: Clock, *, component: str, instance: str = "") -> None:
        """`component` (e.g. kulta-engine) and `instance` (the pod) are shown as the source."""
        self.dropped = 0
        self._kube, self._clock = kube, clock
        self._component, self._instance = component, instance or component
        self._queue: deque[Note] = deque(maxlen=CAPACITY)
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._written: OrderedDict[_Same, _Written] = OrderedDict()
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()
        self._serial = 0

    def event(self, about: Manifest, *, kind: str, reason: str, message: str) -> None:
        note = Note(
            about=reference(about),
            kind=kind,
            reason=reason,
            message=message[:LONGEST_MESSAGE],
            at=self._clock.now(),
        )
        if not self._allowance(note.same[0]).take(self._clock.monotonic()):
            self.dropped += 1
            return
        if len(self._queue) == CAPACITY:
            self.dropped += 1
        self._queue.append(note)
        self._idle.clear()
        self._filled.set()

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            await self._filled.wait()
            while self._queue:
                await self._write(self._queue.popleft())
            self._filled.clear()
            self._idle.set()

    async def flush(self, seconds: float) -> None:
        """Wait until the queue is written, `seconds` at most; for the end of the process."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def _write(self, note: Note) -> None:
        try:
            if not await self._repeat(note):
                await self._kube.create(EVENTS, self._manifest(note))
        except FleetError as error:
            self.dropped += 1
            log.warning(
                "an Event was not written", extra={"reason": note.reason, "why": str(error)}
            )

    async def _repeat(self, note: Note) -> bool:
        """Raise the count of the Event that says the same; False when there is none."""
        now = self._clock.monotonic()
        written = self._written.get(note.same)
        if written is None or now - written.at > SAME_SECONDS:
            return False
        written.count, written.at = written.count + 1, now
        change = {"count": written.count, "lastTimestamp": _stamp(note.at)}
        try:
            await self._kube.patch(EVENTS, written.name, _namespace(note.about), change)
        except NotFound:  # the API server forgets Events after an hour
            del self._written[note.same]
            return False
        return True

    def _manifest(self, note: Note) -> dict[str, Any]:
        self._serial += 1
        unique = hashing.digest([self._instance, self._serial, _stamp(note.at), *note.same])
        name = f"{note.about['name'][:230]}.{unique}"
        self._written[note.same] = _Written(name, 1, self._clock.monotonic())
        if len(self._written) > REMEMBERED:
            self._written.popitem(last=False)
        return manifest(note, name, self._component, self._instance)

    def _allowance(self, who: str) -> _Allowance:
        found = self._allowances.get(who)
        if found is None:
            found = self._allowances[who] = _Allowance(BURST, self._clock.monotonic())
            if len(self._allowances) > REMEMBERED:
                self._allowances.popitem(last=False)
        return found


def manifest(note: Note, name: str, component: str, instance: str) -> dict[str, Any]:
    """The Event of that name."""
    stamp = _stamp(note.at)
    return {
        **EVENTS.head,
        "metadata": {"name": name, "namespace": _namespace(note.about)},
        "involvedObject": note.about,
        "type": note.kind,
        "reason": note.reason,
        "message": note.message,
        "count": 1,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": instance,
    }


def reference(about: Manifest) -> dict[str, str]:
    """`involvedObject` for that object."""
    meta = about["metadata"]
    wanted = {
        "apiVersion": about["apiVersion"],
        "kind": about["kind"],
        "name": meta["name"],
        "namespace": meta.get("namespace"),
        "uid": meta.get("uid"),
        "resourceVersion": meta.get("resourceVersion"),
    }
    return {key: value for key, value in wanted.items() if value}


def _namespace(about: dict[str, str]) -> str:
    """Events of cluster-scoped objects stand in `default`."""
    return about.get("namespace", "default")


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
