"""ClusterRollout: which revision one cluster shall have, what was applied, what its engine reports.

One per (Application, cluster), named `<application>.<cluster>`; written by the hub alone. `spec`
says what the planner decided; `status.dispatch` is the fence that every write into the member
carries.
"""

from typing import Annotated, Literal

from pydantic import Field

from fleet.api.conditions import Conditions
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.meta import Model, Object, Time
from fleet.api.rules import Rule
from fleet.api.values import Name

WHOLE = Field(json_schema_extra={"x-kubernetes-map-type": "atomic"})
"""One writer has all of it: the server keeps no account of each field in it, which would be a
fourth of what is stored and listed, and a third of what it computes for each write."""


class Want(Model):
    """A revision for this cluster: the run whose snapshot is rendered."""

    run: Annotated[str, Field(min_length=1, max_length=253)]
    """The FleetRollout."""
    revision: Annotated[str, Field(min_length=1, max_length=64)]
    """Its fleet revision."""
    since: Time = None
    """When the planner let this cluster go; the progress deadline counts from here."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """Grows with each retry, so that a failed revision is tried again."""
    member: Annotated[str, Field(max_length=64)] = ""
    """Uid of the MemberCluster for which this was decided: another one of its name waits."""
    undoes: Annotated[str, Field(max_length=253)] = ""
    """The run that sent the cluster back here; empty where a run brings what is its own."""
    wave: Annotated[int, Field(ge=0)] = 0
    """Place of its wave in the plan, from 0: what is taken away goes in the reverse order."""


class Request(Model):
    """What a person asks the engine of this cluster for: carried there once, or not at all."""

    id: Annotated[str, Field(min_length=1, max_length=253)]
    """Of the request on the run."""
    verb: Literal["promote", "conclude"]
    """End the pause, the preview or the choice that waits; or the experiment that runs."""
    step: Annotated[str, Field(max_length=64)] = ""
    """Where the engine waited then: where it waits by now is let go by another request."""
    time: Time = None
    """When the hub read it; five minutes later it is not carried any more."""


class Deletion(Model):
    """What becomes of the objects in the member when the ClusterRollout is deleted."""

    policy: Literal["Delete", "Orphan", "Revert"] = "Delete"
    """`deliveryPolicy.deletionPolicy` as it was seen last."""
    timeout_seconds: Annotated[int, Field(ge=1)] = 86_400
    """How long a member out of reach is waited for."""


class ClusterRolloutSpec(Model):
    """What the planner decided for this cluster."""

    RULES = (
        Rule(
            rule="self.application == oldSelf.application && self.cluster == oldSelf.cluster",
            message="application and cluster cannot change: another pair has another "
            "ClusterRollout",
        ),
    )

    application: Name
    """The Application."""
    cluster: Name
    """The MemberCluster."""
    namespace: Name
    """The namespace in the member."""
    want: Want | None = None
    hold: Annotated[str, Field(max_length=256)] = ""
    """A reason holds the cluster at its step; empty lets it go on."""
    request: Request | None = None
    deletion: Deletion = Deletion()


class Dispatched(Model):
    """The fence: taken with a guarded write before anything is written into the member."""

    sequence: Annotated[int, Field(ge=0)] = 0
    """Grows with each dispatch; stands in `spec.dispatch` of the Rollout."""
    run: str = ""
    """The run that was dispatched."""
    revision: str = ""
    """Its fleet revision."""
    digest: str = ""
    """Digest of all rendered objects."""
    hold: str = ""
    """The hold that was dispatched."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """Counts the tries of this dispatch."""
    rollout: Annotated[int, Field(ge=0)] = 0
    """The sequence with which the Rollout came; later ones only held it, let it go or moved its
    weight."""
    weight: Annotated[int, Field(ge=0, le=100)] | None = None
    """The live weight that was dispatched, where the strategy has an `externalWeight`."""
    weighed: Annotated[int, Field(ge=0)] = 0
    """The sequence with which that weight went; 0 for one that came with the Rollout."""

    request: Annotated[str, Field(max_length=253)] = ""
    """Id of the last request of a person that was seen to: it is not looked at again."""
    asked: Annotated[int, Field(ge=0)] = 0
    """The sequence with which it went; 0 for one that was not carried."""

    @property
    def carried(self) -> int:
        """The sequence that stands in the Rollout, or one before it, once all but a request has
        arrived."""
        return max(self.rollout, self.weighed)


class InventoryItem(Model):
    """An object that we made or adopted in the member; only these are ever deleted."""

    group: str = ""
    """API group; empty is the core group."""
    version: str
    """API version."""
    plural: str
    """Name of the resource."""
    kind: str
    """Kind."""
    namespace: str
    """Namespace in the member."""
    name: str
    """Name."""
    uid: str = ""
    """Identity: an object of the same name made by somebody else is not ours."""
    digest: str = ""
    """Digest of what was applied last."""
    before: Annotated[str, Field(max_length=65_536)] = ""
    """What it was when we adopted it, for `deletionPolicy: Revert`; empty for what we made."""


class EngineReport(Model):
    """The member's Rollout status, as last seen; times are the member's and only shown."""

    phase: str = ""
    """The Rollout's phase."""
    revision: str = ""
    """The fleet revision that the engine echoes."""
    pod_hash: str = ""
    """Hash of the wanted pod template."""
    step: str = ""
    """`2/4`: step in work of all steps."""
    weight: int = 0
    """Percent of traffic on the new revision."""
    replicas: int = 0
    """Pods wanted."""
    ready: int = 0
    """Pods that are ready."""
    available: bool | None = None
    """Whether enough ready pods serve there; absent while the engine has not said so."""
    awaits: Literal["", "promote", "conclude"] = ""
    """The request for which it waits, or by which its experiment ends; empty where it goes on by
    itself."""
    reason: str = ""
    """Why, for machines: a constant of `api.reasons`."""
    message: str = ""
    """Why, for people."""


class LastGood(Model):
    """The last run that completed here."""

    run: str = ""
    """The run."""
    revision: str = ""
    """Its fleet revision."""


class ClusterRolloutStatus(Model):
    """What happened here."""

    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    phase: ClusterPhase = ClusterPhase.PENDING
    """One word for this cluster."""
    reason: str = ""
    """Why, for machines: a constant of `api.reasons`."""
    message: str = ""
    """Why, for people."""
    dispatch: Dispatched = Dispatched()
    server: str = ""
    """Which API server was written to, by the uid of its kube-system: the inventory is there."""
    applied_run: str = ""
    """The run whose objects are all in the member."""
    inventory: Annotated[tuple[InventoryItem, ...], Field(max_length=64)] = ()
    """What we made or adopted there."""
    owned: Annotated[str, Field(max_length=64)] = ""
    """Digest of the fields of its Rollout that were ours when it had arrived: another one means
    that somebody changed them."""
    engine: EngineReport = EngineReport()
    last_good: LastGood = LastGood()
    previous_good: LastGood = LastGood()
    """The one that completed here before it: where a rollback leads."""
    finished_at: Time = None
    """When this cluster was done with the wanted run, well or not."""
    waited_seconds: float = 0
    """Time in pauses, holds and out of reach since `want.since`: no part of the deadline."""
    waiting_since: Time = None
    """Since when it waits so now."""
    conditions: Conditions = ()
    """Aspects of health, each with reason and sentence."""


class ClusterRollout(Object[ClusterRolloutSpec, ClusterRolloutStatus]):
    """One Application in one cluster."""

    ALIKE = (
        ("metadata", "owner_references"),
        ("status", "dispatch"),
        ("status", "engine"),
        ("status", "last_good"),
        ("status", "previous_good"),
    )

    spec: Annotated[ClusterRolloutSpec, WHOLE]
    status: Annotated[ClusterRolloutStatus, WHOLE] = ClusterRolloutStatus()
