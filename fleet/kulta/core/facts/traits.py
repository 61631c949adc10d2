"""What the rest of the engine needs to know of a strategy, so that nobody asks "is it canary?".

A strategy makes one from the spec; `draft` carries it through a look.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet.api.analysis import Analysis
from fleet.kulta.core.routers.base import Beside, Branch, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A revision that is tried beside the stable one, for those who ask for it."""

    name: str
    """`B`, `C` and so on."""
    role: str
    """The type label of its pods."""
    revision: str
    template: Mapping[str, Any]
    """What it runs."""
    branch: Branch
    """Its Service, and who gets there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """How a strategy uses pods, Services, routes and metrics."""

    strategy: str
    """The member of `spec.strategy`: a label of metrics."""
    stable_role: str
    """The type label of pods of the stable revision."""
    new_role: str
    """The type label of pods of the revision on its way."""
    stable_service: str = ""
    """The Service of the stable revision; empty where the strategy has none."""
    canary_service: str = ""
    """The Service of the new revision; empty where the strategy has none."""
    port: int = 80
    """The port of both, where a route has them with several."""
    targets: tuple[Target, ...] = ()
    """What divides the traffic; empty: nobody but pods or Services."""
    stable_stays: bool = False
    """The stable revision keeps all its pods until the promotion."""
    cuts_over: bool = False
    """All traffic changes hands at once, by the Services, with a router or without; while the old
    pods stay it can come back the same way."""
    arms: tuple[Arm, ...] = ()
    """What is tried side by side: first the new revision, then others."""
    beside: Beside | None = None
    """Who gets the new revision whatever its weight, while some of the traffic may."""
    analysis: Analysis | None = None
    """How the new revision is judged; None: it is not."""

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the Services that the engine points at revisions."""
        return (self.stable_service, *self.new_services) if self.stable_service else ()

    @property
    def new_services(self) -> tuple[str, ...]:
        """Names of those that lead to something else than the stable revision."""
        if self.arms:
            return tuple(arm.branch.service for arm in self.arms)
        return (self.canary_service,) if self.canary_service else ()

    def role_of(self, revision: str) -> str:
        """The type label of pods of a revision that is tried."""
        return next((x.role for x in self.arms if x.revision == revision), self.new_role)

    def template_of(self, revision: str) -> Mapping[str, Any] | None:
        """What an arm of that revision runs; None where there is none."""
        return next((x.template for x in self.arms if x.revision == revision), None)

    @property
    def is_routed(self) -> bool:
        """Whether a router divides the traffic."""
        return bool(self.targets)

    @property
    def is_counted(self) -> bool:
        """Whether numbers of pods divide the traffic."""
        return not (self.targets or self.cuts_over or self.arms)
