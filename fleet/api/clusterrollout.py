"""ClusterRollout: which revision one cluster shall have, what was applied, what its engine reports.

One per (Application, cluster), named `<application>.<cluster>`; written by the hub alone. `spec`
says what the planner decided; `status.dispatch` is the fence that every write into the member
carries.
"""

from typing import Annotated

from pydantic import Field

from fleet.api.application import Name
from fleet.api.conditions import Condition
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.meta import Model, Object, Time


class Want(Model):
    """A revision for this cluster: the run whose snapshot is rendered."""

    run: Annotated[str, Field(min_length=1, max_length=253)]
    revision: Annotated[str, Field(min_length=1, max_length=64)]
    since: Time = None
    """When the planner let this cluster go; the progress deadline counts from here."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """Grows with each retry, so that a failed revision is tried again."""


class ClusterRolloutSpec(Model):
    """What the planner decided for this cluster."""

    application: Name
    cluster: Name
    namespace: Name
    """The namespace in the member."""
    want: Want | None = None
    hold: Annotated[str, Field(max_length=256)] = ""
    """A reason holds the cluster at its step; empty lets it go on."""


class Dispatched(Model):
    """The fence: taken with a guarded write before anything is written into the member."""

    sequence: Annotated[int, Field(ge=0)] = 0
    run: str = ""
    revision: str = ""
    digest: str = ""
    """Digest of all rendered objects."""
    hold: str = ""
    attempt: Annotated[int, Field(ge=0)] = 0
    rollout: Annotated[int, Field(ge=0)] = 0
    """The sequence that the Rollout itself carries; later ones only held it or let it go."""
    at: Time = None


class InventoryItem(Model):
    """An object that we made or adopted in the member; only these are ever deleted."""

    group: str = ""
    version: str
    plural: str
    kind: str
    namespace: str
    name: str
    uid: str = ""
    digest: str = ""


class EngineReport(Model):
    """The member's Rollout status, as last seen; times are the member's and only shown."""

    phase: str = ""
    revision: str = ""
    """The fleet revision that the engine echoes."""
    pod_hash: str = ""
    step: str = ""
    """`2/4`: step in work of all steps."""
    weight: int = 0
    replicas: int = 0
    ready: int = 0
    reason: str = ""
    message: str = ""


class LastGood(Model):
    """The last run that completed here."""

    run: str = ""
    revision: str = ""


class ClusterRolloutStatus(Model):
    """What happened here."""

    observed_generation: int = 0
    phase: ClusterPhase = ClusterPhase.PENDING
    reason: str = ""
    message: str = ""
    dispatch: Dispatched = Dispatched()
    applied_run: str = ""
    """The run whose objects are all in the member."""
    inventory: Annotated[tuple[InventoryItem, ...], Field(max_length=64)] = ()
    engine: EngineReport = EngineReport()
    last_good: LastGood = LastGood()
    finished_at: Time = None
    waited_seconds: float = 0
    """Time in pauses, holds and out of reach since `want.since`: no part of the deadline."""
    waiting_since: Time = None
    """Since when it waits so now."""
    conditions: tuple[Condition, ...] = ()


class ClusterRollout(Object[ClusterRolloutSpec, ClusterRolloutStatus]):
    """One Application in one cluster."""

    status: ClusterRolloutStatus = ClusterRolloutStatus()
