"""FleetRollout: one run of one revision through a fleet, with frozen inputs and its progress.

Written by the hub alone; a person asks for things with the request annotation. The plan in `spec`
never changes; what moves is in `status`. Rows per cluster are the ClusterRollouts.
"""

import sys
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fleet.api.application import ApplicationSpec
from fleet.api.conditions import Conditions
from fleet.api.meta import Model, Object, Time
from fleet.api.rules import Rule
from fleet.api.values import Name
from fleet.api.waves import Gates

MEMBERS = 1_000
"""Most members of a run."""

OWN_TEMPLATES = 65_536
"""Most bytes of an Application's own templates; ten runs keep them."""

ROWS = 100
"""Most clusters that a status lists (not done, failed first)."""


class RunPhase(StrEnum):
    """Where a run stands; legal moves are in `hub.core.phases`."""

    PLANNED = "Planned"
    PROGRESSING = "Progressing"
    SOAKING = "Soaking"
    AWAITING_APPROVAL = "AwaitingApproval"
    OUTSIDE_WINDOW = "OutsideWindow"
    PAUSED = "Paused"
    HALTED = "Halted"
    ROLLING_BACK = "RollingBack"
    SUCCEEDED = "Succeeded"
    SUCCEEDED_WITH_FAILURES = "SucceededWithFailures"
    ROLLED_BACK = "RolledBack"
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
    SKIPPED = "Skipped"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"


class WavePhase(StrEnum):
    """Where one wave of a run stands."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    SOAKING = "Soaking"
    WAITING = "Waiting"
    DONE = "Done"


class PlannedWave(Model):
    """A wave with its members by name and its limits as numbers."""

    name: Name
    """The wave's name."""
    clusters: Annotated[tuple[Name, ...], Field(max_length=MEMBERS)] = ()
    """Its members, in the order in which they go."""
    max_concurrency: Annotated[int, Field(ge=1)] = 1
    """Members in flight at once."""
    failure_budget: Annotated[int, Field(ge=0)] = 0
    """Failed members that the wave bears."""
    progress_deadline_seconds: Annotated[int, Field(ge=1)] = 1_800
    """Time for one member, pauses excluded."""
    soak_seconds: Annotated[int, Field(ge=0)] = 0
    """How long the wave must run well before the next begins."""
    before: Gates = ()
    """What to wait for before it begins."""
    after: Gates = ()
    """What to wait for, when it has soaked, before it is done."""


class Plan(Model):
    """Who goes when: the resolved form of the policy, without anything that moves."""

    waves: Annotated[tuple[PlannedWave, ...], Field(max_length=51)] = ()
    """In the order in which they go."""
    on_failure: Literal["Halt", "Rollback", "Continue"] = "Halt"
    """What happens when a budget is overspent."""
    rollback_concurrency: Annotated[int, Field(ge=1)] = 1
    """Members that were done and go back at once."""
    halt_on_first_failed_analysis: bool = True
    """Whether the first failed analysis anywhere halts the run."""
    unavailable: Literal["Defer", "Skip", "Block"] = "Defer"
    """What becomes of a member that cannot be reached when it is its turn."""
    unavailable_timeout_seconds: int = 7_200
    """How long a member that cannot be reached is put off, or blocks."""
    accept_unknown_engine: bool = False
    """Whether an External engine without a Lease is taken to live."""
    membership: Literal["Append", "NextRun", "Abort"] = "NextRun"
    """What becomes of a member that joins during the run."""
    min_interval_seconds: Annotated[int, Field(ge=0)] = 0
    """Least time between two starts."""
    traffic_percent: Annotated[int, Field(ge=1, le=100)] = 100
    """Most of the replicas that may go to the revision before wave `trafficWave`."""
    traffic_wave: Annotated[str, Field(max_length=63)] = ""
    """The first wave without that limit."""
    on_conflict: Literal["Report", "Force"] = "Report"
    """Fields that somebody else owns: report or take."""
    notes: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    """What a reader should know: members matched twice, empty waves, members ignored."""

    def place(self, wave: str) -> int:
        """Where that wave stands, from 0. Raises ValueError where it is none of these."""
        return [one.name for one in self.waves].index(wave)


class Snapshot(Model):
    """The Application as it was when the run was made."""

    name: Name
    """The Application's name."""
    uid: str = ""
    """The Application's uid."""
    generation: int = 0
    """The Application's generation."""
    spec: ApplicationSpec
    templates: Annotated[
        dict[str, Annotated[str, Field(max_length=OWN_TEMPLATES), AfterValidator(sys.intern)]],
        Field(default_factory=dict, max_length=8),
    ]
    """Name → text of what `spec.templates` replaced: the ConfigMap as it was then."""
    # Interned: ten runs of an Application often hold the same.


class FleetRolloutSpec(Model):
    """Frozen inputs."""

    RULES = (
        Rule(
            rule="self == oldSelf",
            message="a run is immutable: change the Application, a new run follows",
        ),
    )

    application: Snapshot
    number: Annotated[int, Field(ge=1)]
    """Counts the Application's runs from 1."""
    revision: Annotated[str, Field(max_length=64)]
    """The fleet revision that this run delivers."""
    previous_revision: Annotated[str, Field(max_length=64)] = ""
    """The fleet revision of the run before."""
    trigger: str = "SpecChanged"
    """Why the run was made: a constant of `api.reasons`."""
    plan: Plan
    instead_of: Annotated[str, Field(max_length=64)] = ""
    """Digest of what the Application asks for, where an `undo` has put that aside: this run stands
    in for it until the Application changes."""
    request_seen: Annotated[str, Field(max_length=253)] = ""
    """Id of the request that stood on the Application when the run was made: not meant for it."""


class ClusterCounts(Model):
    """Members by state; always exact."""

    total: int = 0
    """All members of the run."""
    updated: int = 0
    """Those that run the revision, healthy."""
    in_flight: int = 0
    """Those on their way."""
    failed: int = 0
    """Those that failed or took too long."""
    unreachable: int = 0
    """Those that cannot be reached."""
    pending: int = 0
    """Those whose turn has not come."""
    skipped: int = 0
    """Those that are left out."""
    rolled_back: int = 0
    """Those that went back to what ran well there before."""


class Pass(Model):
    """A person let the wave through a gate."""

    gate: str
    """`before[0]`: where the gate stands in its wave."""
    by: str = ""
    """Who."""
    time: Time = None
    """When."""


class WaveStatus(Model):
    """How one wave stands."""

    name: str
    """The wave's name."""
    phase: WavePhase = WavePhase.PENDING
    """One word for the wave."""
    total: int = 0
    """All its members."""
    updated: int = 0
    """Those that run the revision, healthy."""
    failed: int = 0
    """Those that failed or took too long."""
    started_at: Time = None
    """When its first member started."""
    finished_at: Time = None
    """When the wave and its gates were done."""
    soaked_seconds: float = 0
    """Soak time that has counted before `soakingSince`."""
    soaking_since: Time = None
    """When the soak clock last started; empty while it stands still: in a pause, a halt, or while
    one of its members is not known to run well."""
    waiting_since: Time = None
    """Since when it waits for its gates: to begin, or to be done."""
    passes: Annotated[tuple[Pass, ...], Field(max_length=16)] = ()
    """Gates that a person has opened."""


class Undo(Model):
    """What goes back to what ran well there before: all of the run, or these."""

    fleet: bool = False
    """Everything that this run has let go."""
    waves: Annotated[tuple[Name, ...], Field(max_length=51)] = ()
    """Whole waves."""
    clusters: Annotated[tuple[Name, ...], Field(max_length=MEMBERS)] = ()
    """Single clusters."""
    message: Annotated[str, Field(max_length=512)] = ""
    """Why."""


class Appended(Model):
    """A member that joined during the run."""

    name: Name
    """The member's name."""
    wave: Name
    """The wave with which it goes; after its end, when all waves are done."""


class ClusterRow(Model):
    """A member that is not done, or failed."""

    name: str
    """The member's name."""
    wave: str = ""
    """Its wave."""
    phase: ClusterPhase = ClusterPhase.PENDING
    """Where it stands."""
    step: str = ""
    """`2/4`: step in work of all steps."""
    message: str = ""
    """What is going on there, or what went wrong."""


class Display(Model):
    """Ready-made texts for the columns of `kubectl get`."""

    revision: str = ""
    """The short form of the revision."""
    wave: str = ""
    """`2/3 eu`: number of all, and name."""
    updated: str = ""
    """`25/120`: members that run the revision, of all."""
    traffic: str = ""
    """`18%`: share of the fleet's traffic on the revision."""
    strategy: str = ""
    """`canary`, `blueGreen`, `abTesting` or `simple`."""


class Entry(Model):
    """One decision of the run with the numbers behind it; the last 50 are kept."""

    time: Time = None
    """When."""
    reason: str = ""
    """Why, for machines: a constant of `api.reasons`."""
    message: str = ""
    """What was decided, with the numbers behind it."""


class Asked(Model):
    """What the Application asked for when an `undo` was written: another wish after it holds."""

    generation: int
    """The Application's generation."""
    digest: Annotated[str, Field(max_length=64)]
    """Of what would have been delivered."""


class FleetRolloutStatus(Model):
    """Progress."""

    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    phase: RunPhase | None = None
    """One word for the whole run."""
    reason: str = ""
    """Why, for machines: a constant of `api.reasons`."""
    message: str = ""
    """Why, for people: what the run waits for, or how it ended."""
    since: Time = None
    """Since when that has been so."""
    until: Time = None
    """When time alone ends the wait; empty where it does not."""
    unblock: str = ""
    """What would end the wait."""
    plan_digest: Annotated[str, Field(max_length=64)] = ""
    """Digest of run, revision and plan: an approval names it."""
    wave: str = ""
    """The wave in work."""
    counts: Annotated[ClusterCounts, Field(json_schema_extra={"x-kulta-default": {}})] = (
        ClusterCounts()
    )
    waves: tuple[WaveStatus, ...] = ()
    """Each wave, in order."""
    clusters: Annotated[tuple[ClusterRow, ...], Field(max_length=ROWS)] = ()
    """The first members that are not done, failed ones first."""
    clusters_omitted: int = 0
    """Members that are not done and not listed."""
    display: Display = Display()
    started_at: Time = None
    """When the run began."""
    finished_at: Time = None
    """When the run ended."""
    halted_at: Time = None
    """When the run was halted."""
    isolated_until: Time = None
    """When the hub last found its own network in order again: time-outs of lost members count
    from there."""
    next_check: Time = None
    """When the run is looked at again although nothing changes."""
    handled: Annotated[tuple[Annotated[str, Field(max_length=253)], ...], Field(max_length=20)] = ()
    """Ids of the last requests that were acted on, the latest last: none is acted on again."""
    paused: bool = False
    """Paused by a request; `deliveryPolicy.paused` pauses too."""
    accepted: Annotated[tuple[Name, ...], Field(max_length=MEMBERS)] = ()
    """Failed clusters that a `resume` accepted: they halt the run no more."""
    retrying: Annotated[tuple[Name, ...], Field(max_length=MEMBERS)] = ()
    """Failed clusters that a `retry` gave another chance and that have not gone yet."""
    skipped: Annotated[tuple[Name, ...], Field(max_length=MEMBERS)] = ()
    """Clusters that a `skip` left out."""
    appended: Annotated[tuple[Appended, ...], Field(max_length=100)] = ()
    """Members that joined during the run."""
    external_weight: Annotated[int, Field(ge=0, le=100)] | None = None
    """Percent that the Application's `externalWeight` says now: clusters of this run follow."""
    undo: Undo | None = None
    prune_confirmed: Annotated[str, Field(max_length=64)] = ""
    """Digest of the clusters that have left the fleet and that a person lets go."""
    undo_to: Annotated[str, Field(max_length=253)] = ""
    """The former run that is delivered again, in a run of its own: asked for with `undo`."""
    undo_of: Asked | None = None
    history: Annotated[tuple[Entry, ...], Field(max_length=50)] = ()
    """What was decided, newest last."""
    conditions: Conditions = ()
    """Aspects of health, each with reason and sentence."""


class FleetRollout(Object[FleetRolloutSpec, FleetRolloutStatus]):
    """One run."""

    status: FleetRolloutStatus = FleetRolloutStatus()
