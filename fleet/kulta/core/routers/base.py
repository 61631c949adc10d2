"""The shape of a router: pure questions about one object, and the values that they are about.

Implemented by the files beside it, asked by `traffic` and `removal`; strategies say with its values
what they want (`Target`, `Branch`, `Beside`), `divisions` what there is (`Backends`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from fleet.api.meta import Manifest
from fleet.kulta.core.wait import Wait

Place = tuple[str, str]
"""Kind and name of an object of the Rollout's namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Objects that shall divide the traffic, as a strategy asks for them: one by its name, or all
    with some labels."""

    kind: str
    """A key of `ROUTERS`."""
    asked: str
    """Where in the strategy it is asked for, from `trafficRouting` on."""
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    """Only rules with these names; empty: all that fit."""
    prefix: str = ""
    """What annotations begin with, where they hold the weights."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """More of those annotations, without the prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What an object of ours is made after."""

    source: Manifest | None
    """The user's; None: it is not there, and nothing can be written."""
    owner: Manifest
    """The owner reference of the Rollout."""
    prefix: str
    notes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A header that a request has."""

    name: str
    value: str
    type: Literal["Exact", "RegularExpression"] = "Exact"


Headers = tuple[Header, ...]
"""All of them at once."""

AMONG = (r"^(.*;[ \t]*)?", r"([ \t]*;.*)?$")
"""What stands before and after a cookie in the pattern of the header that has it among others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A part of the traffic that has a Service of its own: requests that match."""

    name: str
    service: str
    matches: tuple[Headers, ...]
    """One of them is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """What the gateway gives to those who got the new revision."""

    name: str
    text: str
    """The whole `Set-Cookie`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Who gets the canary Service whatever its weight: by headers, or by the cookie."""

    branches: tuple[Branch, ...] = ()
    cookie: Cookie | None = None
    carriers: Branch | None = None
    """Who has the cookie."""

    def ways(self, weight: int) -> tuple[Branch, ...]:
        """All branches in force at that weight: a cookie opens nothing that is closed."""
        is_open = self.carriers is not None and weight > 0
        return (*self.branches, *([self.carriers] if self.carriers and is_open else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """The Services between which a Rollout's traffic is divided."""

    rollout: str
    stable: str
    canary: str
    port: int = 80
    """Which reference is meant where a rule has one Service several times."""
    rules: tuple[str, ...] = ()
    """Only rules with these names are ours; empty: all that fit."""
    branches: tuple[Branch, ...] = ()
    """Where matches divide the traffic: a weight of 100 lets all of them be, 0 none."""
    mirrors: bool = field(default=False, compare=False)
    """The canary Service gets a copy of each request."""
    beside: Beside | None = field(default=None, compare=False)
    """Rules of ours beside the weights; None: none at present."""
    origin: Origin | None = field(default=None, compare=False)
    """For routers that make objects of their own."""


class Router(Protocol):
    """Every answer is a new value; nothing is changed in place. `route` is empty where an object of
    the router's own is not there yet."""

    @property
    def is_silent(self) -> bool:
        """Nobody says when a write is in force: it is stamped with its time."""

    @property
    def makes(self) -> bool:
        """It divides by objects of its own, made beside the user's, and deletes them again."""

    def own(self, rollout: str, name: str) -> str:
        """The name of the object that holds the weights, where the strategy names `name`."""

    def problem(self, route: Manifest, backends: Backends) -> Wait | None:
        """Why no weight can be written at all: the object is unfit."""

    def misfit(self, route: Manifest, backends: Backends) -> Wait | None:
        """Why the branches cannot be written: limits of the object, or what it asks for itself."""

    def weight(self, route: Manifest, backends: Backends) -> int:
        """Percent of the traffic that may go to the canary Service at present, rounded up."""

    def weighted(self, route: Manifest, backends: Backends, weight: int) -> Manifest | None:
        """The object with the canary at `weight` percent; None when it says so already."""

    def pending(self, route: Manifest) -> Wait | None:
        """Why what is written is not in force yet."""

    def is_underway(self, route: Manifest, backends: Backends) -> bool:
        """Whether what is written is a step of ours on the way to something else."""

    def kept(self, route: Manifest) -> Mapping[str, Backends]:
        """Rollouts for which the object is changed at present, and between what they divide."""

    def restored(self, route: Manifest, backends: Backends) -> Manifest | None:
        """The next step to the object as it was before we changed it; None when we never did, or
        the step before is waited for. Without a stable Service, it is the only step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """An object that is asked for."""

    target: Target
    named: Place
    """The user's; without a name where labels were asked for that nothing has."""
    place: Place
    """The one that holds the weights; the same, where the router makes none of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """One object, the Services between which it divides, and who knows how."""

    spot: Spot
    router: Router
    source: Manifest | None
    """The user's object; None: it is not there."""
    route: Manifest | None
    """The one that holds the weights; None: it is not there."""
    parts: Backends

    @property
    def place(self) -> Place:
        return self.spot.place
