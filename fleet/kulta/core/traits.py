"""What the rest of the engine needs to know of a strategy, so that nobody asks "is it canary?".

A strategy makes one from the spec; `draft` carries it through a look.
"""

from dataclasses import dataclass

from fleet.api.analysis import Analysis


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
    router: str = ""
    """Who divides the traffic: a key of `routers.ROUTERS`; empty: nobody but pods or Services."""
    route: str = ""
    """The router's object."""
    stable_stays: bool = False
    """The stable revision keeps all its pods until the promotion."""
    cuts_over: bool = False
    """All traffic changes hands at once, by the Services, with a router or without; while the old
    pods stay it can come back the same way."""
    analysis: Analysis | None = None
    """How the new revision is judged; None: it is not."""

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the Services that the engine points at revisions."""
        return tuple(name for name in (self.stable_service, self.canary_service) if name)

    @property
    def is_routed(self) -> bool:
        """Whether a router divides the traffic."""
        return bool(self.router)

    @property
    def is_counted(self) -> bool:
        """Whether numbers of pods divide the traffic."""
        return not (self.router or self.cuts_over)
