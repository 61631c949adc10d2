"""Links: what the hub holds about each member beside the MemberCluster, and how far it is believed.

A link begins with the MemberCluster and ends with it. `membership` connects it, `watches` fill it,
`triggers` tell when its connectivity changes, `observe` reads it. Member timestamps are shown,
never compared: every age here is on the hub's monotonic clock.
"""

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fleet import errors
from fleet.api.membercluster import EngineMode
from fleet.api.names import (
    DEPLOYMENTS,
    ENGINE_LEASE,
    ENGINE_NAME,
    ENGINE_NAMESPACE,
    LEASES,
    ROLLOUTS,
    Key,
    Resource,
)
from fleet.clusters.client import Client
from fleet.clusters.errors import CircuitOpen
from fleet.clusters.handles import Handle
from fleet.clusters.health import Circuit
from fleet.errors import FleetError
from fleet.hub.core.member import connectivity, freshness
from fleet.hub.core.member.connectivity import (
    CONNECT_SECONDS,
    SETTLE_SECONDS,
    Connectivity,
    Sight,
    Trouble,
)
from fleet.hub.core.member.engine import Deployed, EngineObserved, Obstacle, Term
from fleet.hub.core.member.identity import Identity
from fleet.hub.core.observed import Member
from fleet.ports import Clock
from fleet.rendering.render import EngineSetup

TEXTS = 64
"""Different definitions of Rollouts whose fields are kept, some 280 KB each; the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A new engine that was written: when (monotonic), and who held the Lease before."""

    at: float
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a watch broke, and when (monotonic)."""

    error: FleetError
    at: float


@dataclass(eq=False, slots=True, kw_only=True)
class Signs:
    """What one connection has shown."""

    since: float = -math.inf
    """Monotonic time at which it began."""
    lease_changed: float = -math.inf
    """Monotonic time at which the engine's Lease was seen to change, or the earliest at which it
    may have, where nobody looked."""
    unread_since: float = math.inf
    """Monotonic time at which that watch was last left alone; infinite while it is read."""
    problems: dict[Resource, Problem] = field(default_factory=dict)
    """The last one of each watch."""


@dataclass(eq=False, slots=True, kw_only=True)
class Link:
    """One member. `handle` is there while it is engaged."""

    key: Key
    met_at: float = -math.inf
    """Monotonic time since when it could have been connected: it does not wait for its turn now."""
    connecting_until: datetime | None = None
    """When it will have had `CONNECT_SECONDS`, as the clock on the wall says it."""
    is_begun: bool = False
    """Whether its turn to be connected has come: a hub that begins has a thousand."""
    handle: Handle | None = None
    trouble: Trouble | None = None
    """What `membership` could not get past; None while connected."""
    source: tuple[int, str] | None = None
    """Generation of the MemberCluster and version of the Secret that `handle` was made from."""
    uid: str = ""
    """Identity of the API server (kube-system's uid), once it has answered."""
    kubernetes: str = ""
    active: int = 0
    """Rollouts on their way, as last reported."""
    fields: frozenset[str] = frozenset()
    """What its Rollout CRD declares, once that has been read."""
    learned_at: float = -math.inf
    """Monotonic time at which it was read."""
    renew_at: datetime | None = None
    patience: datetime | None = None
    """Until when the token is not renewed once more."""
    expires: datetime | None = None
    """When the hub's own token there ends."""
    alarm_at: datetime | None = None
    """From when on a token that is still not renewed is worth a condition."""
    tried_at: float = -math.inf
    """Monotonic time of the last attempt to connect."""
    signs: Signs = field(default_factory=Signs)
    wait: Obstacle = Obstacle.NOTHING
    """What a newer engine waits for there."""
    wish: str = ""
    """Digest of the Deployment that the hub keeps there; empty where it keeps none."""
    printed: tuple[EngineSetup, str] | None = None
    """What the engine's Deployment was last printed from, and the digest of what came out."""
    exchange: Exchange | None = None
    """The last time that a new engine was written over this connection."""
    member: tuple[tuple[object, ...], Member] | None = None
    """What was observed of it last, and all that it was made of: asked for at each look at each
    run, Application and ClusterRollout, and the same most of the time."""
    told: Connectivity = field(default_factory=Connectivity)
    """The connectivity that everybody has been told."""
    calm_until: float = -math.inf
    """Monotonic time until which time alone changes nothing of what has been told."""
    fresh_at: float | None = None
    """Monotonic time since when the member is fresh; None while it is not."""
    lost_at: float | None = None
    """Monotonic time since when a member that was fresh is not; None while it is, or never was."""

    @property
    def client(self) -> Client:
        """Raises Unreachable while the member is not engaged."""
        if self.handle is None:
            raise errors.Unreachable(f"{self.key[1]} is not connected")
        return self.handle.client

    @property
    def is_refused(self) -> bool:
        """Whether the member refuses our credentials now."""
        return isinstance(self.problem(ROLLOUTS), errors.Unauthorized)

    @property
    def is_back(self) -> bool:
        """Whether a member that could not be reached has answered its watch since."""
        return (
            self.trouble is not None
            and self.trouble.reason == "Unreachable"
            and self.handle is not None
            and self.handle.informers[ROLLOUTS].last_byte > self.tried_at
        )

    @property
    def is_waiting(self) -> bool:
        """Whether its turn to be connected has not come, and everybody knows that: it loses no time
        (`Links.keep_waiting`), so time changes nothing."""
        return not self.is_begun and self.told.connecting

    def is_settled(self, now: float) -> bool:
        """Whether enough is known to speak of it: believed, in trouble, or without an engine."""
        if self.trouble is not None or self.told.fresh:
            return True
        if self.handle is None:
            return False
        if self.problem(ROLLOUTS) is not None or now - self.signs.since > SETTLE_SECONDS:
            return True
        leases = self.handle.informers[LEASES]
        return self.told.reachable and leases.synced.is_set() and self.term is None

    def problem(self, resource: Resource) -> FleetError | None:
        """Why that watch is broken now; None while it is not, or while there is none."""
        last = self.signs.problems.get(resource)
        if self.handle is None or last is None:
            return None
        return last.error if last.at > self.handle.informers[resource].last_byte else None

    @property
    def term(self) -> Term | None:
        found: Term | None = self._only(LEASES, (ENGINE_NAMESPACE, ENGINE_LEASE))
        return found

    @property
    def deployed(self) -> Deployed | None:
        found: Deployed | None = self._only(DEPLOYMENTS, (ENGINE_NAMESPACE, ENGINE_NAME))
        return found

    @property
    def rollouts(self) -> Mapping[Key, Mapping[str, Any]]:
        """The Rollouts that hubs made there, by namespace and name; empty while not engaged."""
        return self.handle.informers[ROLLOUTS].store if self.handle else {}

    def is_calm(self, now: float) -> bool:
        """Whether what has been told is still so at monotonic `now`, without a look: a member that
        is well is known to be so for a while, and everything else that is seen of it pokes."""
        if now >= self.calm_until or self.handle is None or self.trouble is not None:
            return False
        return self.handle.client.breaker.state is Circuit.CLOSED

    def connectivity(self, now: float) -> Connectivity:
        """What to believe at monotonic `now`."""
        return connectivity.of(self.sight(now))

    def believed(self, now: float) -> Connectivity:
        """The same, without a look where what has been told is known to be so still."""
        return self.told if self.is_calm(now) else self.connectivity(now)

    def look(self, now: float) -> Connectivity:
        """What to believe at monotonic `now`, and until when that is certain."""
        sight = self.sight(now)
        self.calm_until = now + connectivity.lasts(sight)
        return connectivity.of(sight)

    def sight(self, now: float) -> Sight:
        """What is seen of the member at monotonic `now`."""
        handle = self.handle
        if self.trouble is not None or handle is None or not self.uid:
            return Sight(
                name=self.key[1],
                trouble=self.trouble,
                is_known=False,
                known_for=now - self.met_at,
            )
        signs = self.signs
        is_looked_up = handle.informers[LEASES].synced.is_set() or bool(self._refusal(LEASES))
        age = connectivity.lease_age(changed=signs.lease_changed, since=signs.since, now=now)
        return Sight(
            name=self.key[1],
            expires=self.expires,
            is_cut=handle.client.breaker.state is not Circuit.CLOSED,
            failure=handle.client.last_failure,
            problem=self.problem(ROLLOUTS),
            silence=handle.age(ROLLOUTS),
            is_listed=handle.informers[ROLLOUTS].synced.is_set(),
            lease_age=None if self.term is None else age,
            lacks_lease=self.term is None and is_looked_up,
            known_for=now - self.met_at,
        )

    def seen(self, mode: EngineMode) -> EngineObserved:
        """What is seen of the engine, in the light of what is believed of the member."""
        return EngineObserved(
            mode=mode,
            believed=self.told,
            deployed=self.deployed,
            is_listed=self.handle is not None
            and self.handle.informers[DEPLOYMENTS].synced.is_set(),
            term=self.term,
            lease_problem=str(self.problem(LEASES) or ""),
            deployment_problem=self._refusal(DEPLOYMENTS),
        )

    @property
    def identity(self) -> Identity:
        """Which cluster it is, and until when it lets us in."""
        return Identity(
            uid=self.uid,
            kubernetes=self.kubernetes,
            expires=self.expires,
            alarm_at=self.alarm_at,
        )

    def cause(self, error: FleetError) -> FleetError:
        """What is behind an error: an open circuit says nothing of why it is open."""
        if isinstance(error, CircuitOpen) and self.handle is not None:
            return self.handle.client.last_failure or error
        return error

    def forget(self) -> None:
        """What was seen over a connection that is gone."""
        self.handle, self.calm_until = None, -math.inf
        self.wait, self.exchange = Obstacle.NOTHING, None
        self.signs = Signs()

    def _refusal(self, resource: Resource) -> str:
        """Why that watch cannot come back by itself; empty while it can."""
        problem = self.problem(resource)
        return str(problem) if isinstance(problem, errors.PermanentError) else ""

    def _only(self, resource: Resource, key: Key) -> Any:
        return self.handle.informers[resource].store.get(key) if self.handle else None


class Definitions:
    """What definitions of Rollouts declare, by a digest of their text: most members have the same.

    Whoever notes something has computed the digest from the text: no member tells of others.
    """

    def __init__(self) -> None:
        self._fields: dict[str, frozenset[str]] = {}
        self._asked: set[str] = set()

    def get(self, digest: str) -> frozenset[str] | None:
        """What the text of that digest declares, if it has been read."""
        return self._fields.get(digest)

    def note(self, digest: str, fields: frozenset[str]) -> None:
        """The text of that digest has been read."""
        while len(self._fields) >= TEXTS:
            self._fields.pop(next(iter(self._fields)))
        self._fields[digest] = fields

    def shared(self, text: bytes, read: Callable[[], frozenset[str]]) -> frozenset[str]:
        """What `read` makes of that text, read once."""
        digest = hashlib.sha256(text).hexdigest()
        if digest not in self._fields:
            self.note(digest, read())
        return self._fields[digest]

    @contextlib.contextmanager
    def asking(self, digest: str) -> Iterator[bool]:
        """While a member is asked for the text of that digest; False where another is already."""
        is_first = digest not in self._asked
        self._asked.add(digest)
        try:
            yield is_first
        finally:
            if is_first:
                self._asked.discard(digest)


class Links:
    """Key of a MemberCluster → link."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._links: dict[Key, Link] = {}
        self._alike: dict[tuple[str, str], set[Key]] = {}
        self.definitions = Definitions()
        self.in_line: set[Key] = set()
        """Those that wait for their turn to get a newer engine, and some that no longer do."""

    def __iter__(self) -> Iterator[Link]:
        return iter(tuple(self._links.values()))

    def __len__(self) -> int:
        return len(self._links)

    def get(self, key: Key) -> Link | None:
        return self._links.get(key)

    def make(self, key: Key) -> Link:
        """The link of that member; one that is new has been met now."""
        if key not in self._links:
            made = self._links[key] = Link(key=key)
            self._meet(made)
        return self._links[key]

    def begin(self, key: Key) -> Link:
        """The same; its turn to be connected has come, and from now on it is for it to answer."""
        link = self.make(key)
        if not link.is_begun:
            link.is_begun = True
            self._meet(link)
        return link

    def keep_waiting(self) -> None:
        """What waits for its turn loses no time by that. To be called more often than each
        `CONNECT_SECONDS` / 2."""
        now = self._clock.monotonic()
        for link in self._links.values():
            if not link.is_begun and now - link.met_at >= CONNECT_SECONDS / 2:
                self._meet(link)

    def _meet(self, link: Link) -> None:
        link.met_at = self._clock.monotonic()
        link.connecting_until = self._clock.now() + timedelta(seconds=CONNECT_SECONDS)

    def identify(self, link: Link, uid: str) -> None:
        """Which API server answers there; empty: that is not known any more."""
        if before := self._alike.get((link.key[0], link.uid)):
            before.discard(link.key)
        link.uid = uid
        if uid:
            self._alike.setdefault((link.key[0], uid), set()).add(link.key)

    def alike(self, link: Link) -> frozenset[Key]:
        """Those of its namespace over which the same API server answers, itself among them."""
        return frozenset(self._alike.get((link.key[0], link.uid), ()))

    def drop(self, key: Key) -> None:
        """The MemberCluster is gone."""
        if gone := self._links.pop(key, None):
            self._alike.get((key[0], gone.uid), set()).discard(key)

    def is_hub_suspect(self, namespace: str, now: float) -> bool:
        """Whether so many of that tenant's members were lost at once that the fault is more likely
        here. Each tenant counts alone: one with many dead members stops nobody else."""
        links = [link for key, link in self._links.items() if key[0] == namespace]
        lost = [link.lost_at for link in links if link.lost_at is not None]
        fresh = [link.fresh_at for link in links if link.fresh_at is not None]
        return freshness.is_isolated(lost, fresh, len(links), now)
