"""FleetRollout: one run of one revision through a fleet, with frozen inputs and its progress.

Written by the hub alone; a person asks for things with the request annotation. The plan in `spec`
never changes; what moves is in `status`. Rows per cluster are the ClusterRollouts.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from fleet.api.application import ApplicationSpec, Name
from fleet.api.conditions import Condition
from fleet.api.meta import Model, Object, Time

ROWS = 100
"""Most clusters that a status lists (not done, failed first)."""


class RunPhase(StrEnum):
    """Where a run stands; legal moves are in `hub.core.phases`."""

    PLANNED = "Planned"
    PROGRESSING = "Progressing"
    SOAKING = "Soaking"
    PAUSED = "Paused"
    HALTED = "Halted"
    SUCCEEDED = "Succeeded"
    SUCCEEDED_WITH_FAILURES = "SucceededWithFailures"
    SUPERSEDED = "Superseded"
    ABORTED = "Aborted"


class ClusterPhase(StrEnum):
    """Where one member of a run stands."""

    PENDING = "Pending"
    DEFERRED = "Deferred"
    APPLYING = "Applying"
    PROGRESSING = "Progressing"
    ANALYZING = "Analyzing"
    PAUSED = "Paused"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    UNREACHABLE = "Unreachable"
    CONFLICT = "Conflict"


class PlannedWave(Model):
    """A wave with its members by name and its limits as numbers."""

    name: Name
    clusters: Annotated[tuple[Name, ...], Field(max_length=1_000)] = ()
    max_concurrency: Annotated[int, Field(ge=1)] = 1
    failure_budget: Annotated[int, Field(ge=0)] = 0
    progress_deadline_seconds: Annotated[int, Field(ge=1)] = 1_800
    soak_seconds: Annotated[int, Field(ge=0)] = 0
    """How long the wave must run well before the next begins."""


class Plan(Model):
    """Who goes when: the resolved form of the policy, without anything that moves."""

    waves: Annotated[tuple[PlannedWave, ...], Field(max_length=51)] = ()
    on_failure: Literal["Halt", "Continue"] = "Halt"
    halt_on_first_failed_analysis: bool = True
    unavailable_timeout_seconds: int = 7_200
    on_conflict: Literal["Report", "Force"] = "Report"
    notes: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    """What a reader should know: members matched twice, empty waves, members ignored."""


class Snapshot(Model):
    """The Application as it was when the run was made."""

    name: Name
    uid: str = ""
    generation: int = 0
    spec: ApplicationSpec


class FleetRolloutSpec(Model):
    """Frozen inputs."""

    application: Snapshot
    number: Annotated[int, Field(ge=1)]
    revision: Annotated[str, Field(max_length=64)]
    previous_revision: Annotated[str, Field(max_length=64)] = ""
    cause: str = "SpecChanged"
    plan: Plan
    plan_digest: str = ""


class Counts(Model):
    """Members by state; always exact."""

    total: int = 0
    updated: int = 0
    in_flight: int = 0
    failed: int = 0
    unreachable: int = 0
    pending: int = 0


class WaveStatus(Model):
    """How one wave stands."""

    name: str
    phase: str = "Pending"
    """Pending, Progressing, Soaking, Done, Failed."""
    total: int = 0
    updated: int = 0
    failed: int = 0
    started_at: Time = None
    finished_at: Time = None
    soaked_seconds: float = 0
    """Soak time that has counted before `soakingSince`."""
    soaking_since: Time = None
    """When the soak clock last started; empty while it stands still."""


class ClusterRow(Model):
    """A member that is not done, or failed."""

    name: str
    wave: str = ""
    phase: ClusterPhase = ClusterPhase.PENDING
    step: str = ""
    message: str = ""


class Display(Model):
    """Ready-made texts for the columns of `kubectl get`."""

    revision: str = ""
    wave: str = ""
    updated: str = ""
    traffic: str = ""
    strategy: str = ""


class Entry(Model):
    """One decision of the run with the numbers behind it; the last 50 are kept."""

    time: Time = None
    reason: str = ""
    message: str = ""


class FleetRolloutStatus(Model):
    """Progress."""

    observed_generation: int = 0
    phase: RunPhase | None = None
    reason: str = ""
    """A sentence: what the run waits for, or how it ended."""
    cause: str = ""
    """The reason as a constant of `api.reasons`."""
    wave: str = ""
    counts: Counts = Counts()
    waves: tuple[WaveStatus, ...] = ()
    clusters: Annotated[tuple[ClusterRow, ...], Field(max_length=ROWS)] = ()
    clusters_omitted: int = 0
    display: Display = Display()
    started_at: Time = None
    finished_at: Time = None
    halted_at: Time = None
    next_check: Time = None
    handled_request: str = ""
    """Id of the last request that was acted on."""
    paused: bool = False
    """Paused by a request; `deliveryPolicy.paused` pauses too."""
    accepted: Annotated[tuple[Name, ...], Field(max_length=1_000)] = ()
    """Failed clusters that a `resume` accepted: they halt the run no more."""
    history: Annotated[tuple[Entry, ...], Field(max_length=50)] = ()
    conditions: tuple[Condition, ...] = ()


class FleetRollout(Object[FleetRolloutSpec, FleetRolloutStatus]):
    """One run."""

    status: FleetRolloutStatus = FleetRolloutStatus()
