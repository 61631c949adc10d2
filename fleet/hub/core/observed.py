"""What the hub sees in one look: frozen values, no clients, no clock.

`runtime.observe` fills them from the informers' stores and the cluster registry; the planners read
them. A failed render or an unreachable member is a value here, so that a plan can speak about it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fleet.api import Application, ClusterRollout, Fleet, FleetRollout, MemberCluster
from fleet.api.clusterrollout import Want
from fleet.api.fleetrollout import Asked, RunPhase
from fleet.api.names import ClusterName
from fleet.rendering.render import Rendered
from fleet.rendering.tenant import Own

Place = tuple[str, str, str]
"""Where an object is in a member: plural, namespace, name."""

__all__ = [
    "ApplicationObserved",
    "DispatchObserved",
    "HookAnswer",
    "Member",
    "Place",
    "Rendered",
    "RunObserved",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One MemberCluster and the truth about it at this moment."""

    cluster: MemberCluster
    reachable: bool = False
    """Its API server answers and its Rollouts have been listed completely since the hub began."""
    fresh: bool = False
    """Reachable, and the engine's Lease changed lately; only fresh reports count as healthy."""
    reason: str = "Unreachable"
    message: str = ""
    """Why it is not reachable or not fresh, as a sentence."""
    has_unknown_engine: bool = False
    """Its engine is External and has no Lease, or none that may be read: nothing tells whether it
    lives."""
    connecting_until: datetime | None = None
    """Until when it is waited for as one that the hub has just met; None where it is not."""
    server: str = ""
    """Identity of the API server that answers (uid of its kube-system); empty while unknown."""
    fields: frozenset[str] = frozenset()
    """What its Rollout CRD declares (`cluster.schema`); empty while unknown."""

    @property
    def name(self) -> ClusterName:
        return ClusterName(self.cluster.name)

    @property
    def labels(self) -> Mapping[str, str]:
        return self.cluster.metadata.labels

    @property
    def uid(self) -> str:
        """The MemberCluster's identity: one that is made anew under its name is another."""
        return self.cluster.metadata.uid

    @property
    def accepted(self) -> "Member":
        """As one whose reports count, for a policy that accepts unknown engines."""
        if not (self.has_unknown_engine and self.reachable):
            return self
        return replace(self, fresh=True, reason="Reachable", message="", connecting_until=None)

    def is_meant(self, want: Want) -> bool:
        """Whether `want` was decided for this MemberCluster, and not for one of its name before."""
        return want.member in ("", self.uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationObserved:
    """For `application.decision`: who could receive, and which runs there are."""

    fleet: Fleet | None
    members: Mapping[ClusterName, Member] = field(default_factory=dict)
    """All MemberClusters of the namespace."""
    runs: tuple[FleetRollout, ...] = ()
    """All runs of this Application, oldest first."""
    clusters: tuple[ClusterRollout, ...] = ()
    """All ClusterRollouts of this Application."""
    templates: str = ""
    """Digest of the hub's templates."""
    own: Own | None = None
    """What the ConfigMap holds that the Application names; None where there is none."""
    render_errors: Mapping[ClusterName, str] = field(default_factory=dict)
    """Members whose manifests cannot be rendered from the present spec, with the sentence."""

    @property
    def newest(self) -> FleetRollout | None:
        """The newest run; None before the first."""
        return self.runs[-1] if self.runs else None

    def counted(self, application: Application) -> int:
        """How many runs the Application has had: its status may be behind, and old ones go."""
        return max([application.status.runs, *(run.spec.number for run in self.runs)])


@dataclass(frozen=True, slots=True, kw_only=True)
class HookAnswer:
    """What came back from a hook of a wave."""

    yes: bool
    message: str
    """What was said, as the end of a sentence that begins with the host."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunObserved:
    """For `run.plan`: the run's clusters and whether a newer run exists."""

    members: Mapping[ClusterName, Member] = field(default_factory=dict)
    clusters: Mapping[ClusterName, ClusterRollout] = field(default_factory=dict)
    """ClusterRollouts of the Application by cluster; absent = never dispatched."""
    newest: int = 0
    """Number of the Application's newest run."""
    isolated: bool = False
    """The hub suspects its own network: nothing starts, nothing counts as failed."""
    requests: tuple[str, ...] = ()
    """The request annotations `<verb>/<id>[/<argument>]` on the run and on its Application."""
    authors: Mapping[str, str] = field(default_factory=dict)
    """Who wrote a request, as far as that stands beside it."""
    hooks: Mapping[str, HookAnswer] = field(default_factory=dict)
    """The last answers of the run's hooks, by `<wave>/<place>`; none after a restart."""
    deleting: bool = False
    """The Application is being deleted."""
    paused: bool = False
    """`deliveryPolicy.paused` of the Application or its Fleet as they are now; the run's snapshot
    does not move."""
    preceding: tuple[str, ...] = ()
    """Older runs of the Application that have not ended: they give way first."""
    former: tuple[FleetRollout, ...] = ()
    """Older runs of the Application that are kept, oldest first."""
    asked: Asked | None = None
    """What the Application asks for now; looked at only where an undo is about."""
    leaving: str = ""
    """Digest of those who have left the fleet and wait for a person; empty while nobody does."""
    weight: int | None = None
    """The live weight that the Application asks for, if this run is what it asks for else."""
    drift: timedelta = timedelta(0)
    """How far the clock on the wall has jumped ahead of the present."""
    fleet: frozenset[str] | None = None
    """Names of the fleet's members as it is now; None where that is not known, or it is empty."""

    @property
    def accepting(self) -> "RunObserved":
        """The same for a run that accepts unknown engines."""
        return replace(self, members={name: one.accepted for name, one in self.members.items()})

    def has(self, name: str) -> bool:
        """Whether that cluster belongs to the fleet still, as far as is known."""
        return self.fleet is None or name in self.fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchObserved:
    """For `cluster.dispatch`: one cluster, what it shall have and what is there."""

    member: Member | None
    """None: the MemberCluster is gone."""
    hub: str = ""
    """This hub's identity (uid of its kube-system), written into `spec.dispatch.hub`."""
    rendered: tuple[Rendered, ...] = ()
    """What the wanted run's snapshot renders to for this cluster; the Rollout first."""
    render_error: str = ""
    is_printing: bool = False
    """Nothing is rendered yet: templates of the tenant are being printed, and another look comes
    when that is done."""
    force: bool = False
    """`onConflict: Force` of the wanted run."""
    accepts_unknown_engine: bool = False
    """Its `acceptUnknownEngine`."""
    run_phase: RunPhase | None = None
    """Where the wanted run stands; None where it is not known."""
    weight: int | None = None
    """The live weight that the wanted run has for this cluster; None where its steps have it."""
    rollouts: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """(namespace, name) → live Rollout with our labels, of those that are rendered or listed; what
    the watch does not show is not here (or nothing is known: see `member.reachable`)."""
    siblings: Mapping[ClusterName, ClusterRollout] = field(default_factory=dict)
    """Where the Application is gone: its ClusterRollouts of later waves whose members answer."""
    looked_up: Mapping[Place, Mapping[str, Any]] | None = None
    """Live objects, every rendered one and every one of the inventory; None while not looked up.
    Rollouts stand here only where `rollouts` has none that we wrote: somebody else's, or one that
    is to be adopted."""
