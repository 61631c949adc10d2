"""Leader election by a Lease, with hard deadlines and no trust in anybody's wall clock.

    look at the Lease ──> decide (pure) ──> write it, guarded by its resourceVersion ──> lead until
    10 s after the moment *before* the request was sent, on the monotonic clock

A foreign Lease has expired when its record has not changed for its duration *since we first saw it
so*; its timestamps are shown to people, never compared. Leading ends at 10 s, others may begin at
15 s: the 5 s between are for the work to stop. A name that two processes may share (a host's) binds
only together with the mark of the process, which stands in an annotation. Run by `wiring`, with a
client of its own (one attempt, a low cap on its breaker), so that a renewal never queues behind
anything.
"""

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from fleet import aio
from fleet.api.meta import Manifest
from fleet.api.names import LEASES, PROCESS_ANNOTATION
from fleet.errors import AlreadyExists, Conflict, FleetError, NotFound
from fleet.ports import Clock, Kube

DURATION = 15.0
"""Seconds for which a record binds others."""
DEADLINE = 10.0
"""Seconds after a renewal was begun until whoever holds the Lease ends to lead."""
ATTEMPT = 5.0
"""Seconds for one look or renewal."""
RELEASE = 2.0
"""Seconds for letting go: who ends must end, and the next one begins anyhow after `DURATION`."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as it was when it last changed, and when that was (monotonic seconds)."""

    stamp: tuple[str, str] = ("", "")
    at: float = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseName:
    """Which Lease."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Who wants to hold it."""

    identity: str
    process: str = ""
    """Tells this process from others that may have the same identity; empty where none may."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """What the holder writes into the Lease."""

    @property
    def notes(self) -> dict[str, str]:
        """The annotations with the mark of the process."""
        mark = {PROCESS_ANNOTATION: self.process} if self.process else {}
        return {**self.annotations, **mark}


class Move(Enum):
    """What to do about a Lease."""

    CREATE = "there is none"
    TAKE = "it is free, or its holder is gone"
    RENEW = "it is ours"
    FOLLOW = "somebody else holds it"


def look(lease: Manifest, seen: Seen, now: float) -> Seen:
    """`seen`, renewed when the record has changed since."""
    stamp = (str(lease["metadata"]["resourceVersion"]), str(_spec(lease).get("holderIdentity")))
    return seen if stamp == seen.stamp else Seen(stamp, now)


def is_held(lease: Manifest, me: str, process: str = "") -> bool:
    """Whether `me` holds it; with `process`, whether that very process of this name does."""
    marks = lease["metadata"].get("annotations") or {}
    named = _spec(lease).get("holderIdentity") == me
    return named and (not process or marks.get(PROCESS_ANNOTATION) == process)


def decide(lease: Manifest | None, me: str, seen: Seen, now: float, *, process: str = "") -> Move:
    """What `me` should do about `lease`, last seen to change at `seen.at`; times in seconds.

    A record without holder, renewTime or duration binds nobody.
    """
    if lease is None:
        return Move.CREATE
    spec = _spec(lease)
    if is_held(lease, me, process):
        return Move.RENEW
    duration = spec.get("leaseDurationSeconds")
    if not spec.get("holderIdentity") or not spec.get("renewTime") or not duration:
        return Move.TAKE
    return Move.TAKE if now - seen.at > float(duration) else Move.FOLLOW


def record(
    lease: Manifest | None, me: str, now: datetime, duration: float, *, process: str = ""
) -> dict[str, Any]:
    """The spec that makes `me` the holder from `now` on, following on `lease`."""
    old = _spec(lease) if lease is not None else {}
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    mine = lease is not None and is_held(lease, me, process)
    return {
        "holderIdentity": me,
        "leaseDurationSeconds": math.ceil(duration),
        "acquireTime": old.get("acquireTime", stamp) if mine else stamp,
        "renewTime": stamp,
        "leaseTransitions": int(old.get("leaseTransitions") or 0)
        + (0 if mine or lease is None else 1),
    }


def _spec(lease: Manifest) -> Mapping[str, Any]:
    return lease.get("spec") or {}


class Alone:
    """The elector when there is no election: always leading."""

    is_leader = True
    is_overdue = False

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work()`."""
        await work()


class Elector:
    """One candidate for one Lease."""

    def __init__(
        self, kube: Kube, clock: Clock, where: LeaseName, me: Candidate, *, period: float = 2.0
    ) -> None:
        """`period` seconds between renewals, below 10."""
        self._kube, self._clock, self._period = kube, clock, period
        self._namespace, self._name = where.namespace, where.name
        self._me = me
        self._held: dict[str, Any] | None = None
        self._seen = Seen()
        self._until = -math.inf
        self._is_working = False

    @property
    def is_leader(self) -> bool:
        """True only while nobody else can be; holds even if the renewing task is starved."""
        return self._clock.monotonic() < self._until

    @property
    def is_overdue(self) -> bool:
        """Whether the work goes on although leadership is lost: it does not let itself be ended."""
        return self._is_working and not self.is_leader

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Follow; when leading, run `work()`. Returns when leadership is lost or `work` has ended.

        What `work` raises is raised. When `run` is cancelled (a clean stop), `work` is cancelled,
        the Lease is renewed while it winds down, and then released for the next.
        """
        await self._follow()
        log.info("leading", extra={"lease": self._name, "identity": self._me.identity})
        self._is_working = True
        worker = asyncio.ensure_future(work())
        keeper = asyncio.create_task(self._keep())
        try:
            await asyncio.wait({worker, keeper}, return_when=asyncio.FIRST_COMPLETED)
            if worker.done():
                worker.result()
            else:
                log.error("leadership is lost", extra={"lease": self._name})
        finally:
            await aio.cancel(worker)
            self._is_working = False
            await aio.cancel(keeper)
            await self._release()

    async def _follow(self) -> None:
        """Until leading."""
        while True:
            if await self._try():
                return
            await asyncio.sleep(self._period * random.uniform(0.8, 1.2))

    async def _keep(self) -> None:
        """Renew until leadership is lost."""
        while (left := self._until - self._clock.monotonic()) > 0:
            await asyncio.sleep(min(self._period, left))
            if not self.is_leader:
                return
            if not await self._try() and self._held is None and self.is_leader:
                # Somebody else wrote into it: look at once whether it is still ours.
                await self._try()

    async def _try(self) -> bool:
        """One look or renewal, five seconds at most; True when it made us leader."""
        started = self._clock.monotonic()
        budget = min(ATTEMPT, self._until - started) if self.is_leader else ATTEMPT
        try:
            async with asyncio.timeout(budget):
                return await self._write(started)
        except (Conflict, AlreadyExists, NotFound):
            self._held = None
        except FleetError as error:
            log.warning("the Lease cannot be had", extra={"lease": self._name, "why": str(error)})
        except TimeoutError:
            log.warning("the Lease cannot be had", extra={"lease": self._name, "why": "time-out"})
        return False

    async def _write(self, started: float) -> bool:
        lease = self._held or await self._read()
        if lease is not None:
            self._seen = look(lease, self._seen, started)
        move = decide(lease, self._me.identity, self._seen, started, process=self._me.process)
        if move is Move.FOLLOW:
            self._held, self._until = None, -math.inf
            return False
        now = self._clock.now()
        spec = record(lease, self._me.identity, now, DURATION, process=self._me.process)
        meta: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        found = lease["metadata"] if lease is not None else {}
        if lease is not None:
            meta["resourceVersion"] = found["resourceVersion"]
        theirs = dict(found.get("annotations") or {})
        theirs.pop(PROCESS_ANNOTATION, None)
        if notes := {**theirs, **self._me.notes}:
            meta["annotations"] = notes
        manifest = {**LEASES.head, "metadata": meta, "spec": spec}
        write = self._kube.create if move is Move.CREATE else self._kube.replace
        self._held = await write(LEASES, manifest)
        self._until = started + DEADLINE
        return True

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self._kube.get(LEASES, self._name, self._namespace)
        except NotFound:
            return None

    async def _release(self) -> None:
        """Let the next candidate begin at once, if the Lease is still ours."""
        held, leading = self._held, self.is_leader
        self._held, self._until = None, -math.inf
        if held is None or not leading:
            return
        free = {**held, "spec": {**held["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}}
        with contextlib.suppress(FleetError, TimeoutError):
            async with asyncio.timeout(RELEASE):
                await self._kube.replace(LEASES, free)
