"""Everything the hub can do: closed unions, executed by `runtime.apply`, each repeatable."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from fleet.api.application import ApplicationStatus
from fleet.api.clusterrollout import ClusterRolloutStatus, Deletion, Request, Want
from fleet.api.fleetrollout import FleetRolloutSpec, FleetRolloutStatus
from fleet.api.names import ClusterName, Resource

# --- Application → run ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRun:
    """POST a FleetRollout `name`; a name that is taken already is success."""

    name: str
    spec: FleetRolloutSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRun:
    """Delete a finished run beyond the history limit."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDeletion:
    """Write into the ClusterRollout `name` what becomes of its objects when it is deleted."""

    name: str
    deletion: Deletion


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneCluster:
    """Delete exactly the ClusterRollout that was seen: its cluster has left."""

    name: str
    uid: str


ApplicationAction = CreateRun | DeleteRun | SetDeletion | PruneCluster


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationPlan:
    """One decision about an Application."""

    status: ApplicationStatus
    actions: tuple[ApplicationAction, ...] = ()
    wake_at: datetime | None = None


# --- run → clusters -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCluster:
    """This cluster may go now: create or update its ClusterRollout with this wish, without hold.

    One write: `spec.want` is set and `spec.hold` emptied together; a new ClusterRollout is created
    with our finalizer.
    """

    cluster: ClusterName
    want: Want


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCluster:
    """Hold this cluster at its step."""

    cluster: ClusterName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCluster:
    """Let this cluster go on."""

    cluster: ClusterName


@dataclass(frozen=True, slots=True, kw_only=True)
class AskCluster:
    """Carry a person's request to the engine of this cluster.

    It is written before the run's status says that the request was seen to: who comes back from a
    crash in between asks nobody twice, for the ClusterRollout holds the request's id.
    """

    cluster: ClusterName
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHook:
    """Ask that address, and look at the run again with the answer."""

    wave: str
    gate: str
    """`before[0]`: where the gate stands in its wave."""
    url: str
    seconds: int
    """How long the answer may take."""


RunAction = StartCluster | HoldCluster | ReleaseCluster | AskCluster


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One decision about a run. Events are (kind, reason, message)."""

    status: FleetRolloutStatus
    actions: tuple[RunAction, ...] = ()
    asks: tuple[AskHook, ...] = ()
    events: tuple[tuple[str, str, str], ...] = ()
    recheck_at: datetime | None = None


# --- cluster → member ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """Read the live objects, then plan again with `DispatchObserved.looked_up`.

    All that are rendered and all of the inventory. A Rollout only where the informer has none, or
    one without our digest: what is adopted is remembered, and the informer keeps no pods.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRollout:
    """Server-side apply of the Rollout as `kulta-fleet`; `manifest` carries `spec.dispatch`."""

    manifest: Mapping[str, Any]
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRollout:
    """Server-side apply of `spec.hold` alone as `kulta-fleet-hold`."""

    name: str
    namespace: str
    reason: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRollout:
    """Take `spec.hold` away, whoever wrote it, from the Rollout of exactly this version.

    Nothing in the API can fence a removal by a sequence: the version does, for a newer leader's
    hold is another version.
    """

    name: str
    namespace: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceRollout:
    """Write `spec.dispatch` alone into the Rollout of exactly this version, before it is deleted.

    The member's API server refuses it to a deposed leader, who so never comes to the deletion.
    `released` lets go of it instead: any hub may take it over, and ours holds it no more. A
    `weight` is moved with it, where the rest of the Rollout has to stay as it is; a person's
    `request` goes with it, so that whoever sees the sequence knows that it has arrived.
    """

    name: str
    namespace: str
    version: str
    hub: str
    sequence: int
    released: bool = False
    spares_hold: bool = False
    """The hold in it is not ours: it stays."""
    weight: int | None = None
    """`externalWeight` of its canary, in percent."""
    request: str = ""
    """The annotation by which the engine is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateObject:
    """POST an object that is not there (strict validation)."""

    resource: Resource
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateObject:
    """PUT an object read before, with its resourceVersion; what the engine owns in it is kept."""

    resource: Resource
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteObject:
    """DELETE of exactly the object that was seen; only what the inventory names.

    It comes after an own dispatch write, which a deposed leader cannot do.
    """

    resource: Resource
    namespace: str
    name: str
    uid: str
    version: str


MemberAction = (
    LookUp
    | ApplyRollout
    | HoldRollout
    | ReleaseRollout
    | FenceRollout
    | CreateObject
    | UpdateObject
    | DeleteObject
)


class Finalizer(Enum):
    """What becomes of our finalizer on the ClusterRollout."""

    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchPlan:
    """One decision about one cluster. Events are (kind, reason, message).

    A `LookUp` comes alone or last: what needs it is planned afterwards.

    With `fence` the status is written first: that guarded write takes the sequence, and only then
    the member is touched. Otherwise actions go first and the status reports.
    """

    status: ClusterRolloutStatus
    actions: tuple[MemberAction, ...] = ()
    fence: bool = False
    finalizer: Finalizer | None = None
    """None leaves it as it is."""
    events: tuple[tuple[str, str, str], ...] = ()
    wake_at: datetime | None = None
