"""Application: what a tenant wants delivered to a fleet, and how.

Written by the tenant; the hub freezes `spec` into a FleetRollout for each run and renders a Rollout
per member from it. Defaults are fail-safe: no waves means one wave, one cluster at a time.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from fleet.api.conditions import Condition
from fleet.api.meta import LabelSelector, Model, Object
from fleet.api.rollout import Amount, Analysis, Duration, PodTemplate, Port, Step

Name = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
]


class Destination(Model):
    """Where to: a fleet of this namespace, and the namespace in each member."""

    fleet: Name
    namespace: Name | None = None
    """Default: the Application's own namespace."""


class WorkloadService(Model):
    """The Service in front of the workload; the canary's is made beside it."""

    name: Name | None = None
    """Default: the Application's name."""
    port: Port = 80
    target_port: Annotated[
        int | str, Field(json_schema_extra={"x-kubernetes-int-or-string": True, "maxLength": 15})
    ] = 80
    """The container's port, a number or a name."""


class ParentRef(Model):
    """A Gateway in the member."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: Name | None = None
    section_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None


class Route(Model):
    """An HTTPRoute in front of both Services; without it, weights are replica counts."""

    parent_refs: Annotated[tuple[ParentRef, ...], Field(min_length=1, max_length=8)]
    hostnames: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253)], ...], Field(max_length=16)
    ] = ()


class Workload(Model):
    """What runs in each member."""

    replicas: Annotated[int, Field(ge=0, le=100_000)] = 1
    template: PodTemplate
    service: WorkloadService | None = None
    """Needed by a canary; a `simple` workload may go without."""
    route: Route | None = None


class PatchOperation(Model):
    """One operation of a JSON patch (RFC 6902) on this spec."""

    op: Literal["add", "replace", "remove"]
    path: Annotated[str, Field(max_length=512, pattern="^/")]
    value: Annotated[
        Any, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = None


class Override(Model):
    """A difference for some members, applied to this spec before rendering."""

    cluster_selector: LabelSelector
    patch: Annotated[tuple[PatchOperation, ...], Field(min_length=1, max_length=64)]


class CanaryPolicy(Model):
    """The canary inside a cluster: steps with growing weights, judged by analysis."""

    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=50)]
    analysis: Analysis | None = None


class SimplePolicy(Model):
    """A rolling update inside a cluster."""

    analysis: Analysis | None = None


class StrategyPolicy(Model):
    """How a cluster changes: exactly one member."""

    canary: CanaryPolicy | None = None
    simple: SimplePolicy | None = None


class Gate(Model):
    """Something to wait for after a wave."""

    soak: Duration
    """How long the wave must run well before the next begins; the clock stops in pauses."""


class Wave(Model):
    """Members that may go together; exactly one of clusterSelector, clusters, remaining."""

    name: Name
    cluster_selector: LabelSelector | None = None
    clusters: Annotated[tuple[Name, ...], Field(max_length=1_000)] = ()
    remaining: bool = False
    """All members that no other wave took; only the last wave."""
    max_concurrency: Amount | None = None
    """Members in flight at once, rounded down, at least 1; default 1."""
    failure_budget: Amount | None = None
    """Failed members that the wave bears, rounded down; default 0."""
    progress_deadline: Duration | None = None
    """Time for one member, pauses excluded; default 30m."""
    after: Annotated[tuple[Gate, ...], Field(max_length=8)] = ()


class UnavailableClusters(Model):
    """Members that cannot be reached when it is their turn."""

    policy: Literal["Defer"] = "Defer"
    """Put off to the end; after `timeout` they count against the budget."""
    timeout: Duration = "2h"


class DeliveryPolicy(Model):
    """From revision to fleet: inside a cluster, and from cluster to cluster."""

    strategy: StrategyPolicy | None = None
    paused: bool = False
    waves: Annotated[tuple[Wave, ...], Field(max_length=50)] = ()
    max_concurrency: Amount | None = None
    failure_budget: Amount | None = None
    progress_deadline: Duration | None = None
    on_failure: Literal["Halt", "Continue"] | None = None
    """When a budget is overspent; default Halt."""
    halt_on_first_failed_analysis: bool | None = None
    """Default true: the first failed analysis anywhere halts the run."""
    unmatched_clusters: Literal["Fail", "Ignore"] | None = None
    """Members that no wave takes; default Fail."""
    unavailable_clusters: UnavailableClusters | None = None
    revision_history_limit: Annotated[int, Field(ge=1, le=100)] | None = None
    """Finished runs that are kept; default 10."""
    on_conflict: Literal["Report", "Force"] | None = None
    """Fields that somebody else owns: report (default) or take."""


class ApplicationSpec(Model):
    """What a tenant wants."""

    destination: Destination
    workload: Workload
    overrides: Annotated[tuple[Override, ...], Field(max_length=64)] = ()
    delivery_policy: DeliveryPolicy


class ApplicationPhase(StrEnum):
    """One word for the whole Application."""

    READY = "Ready"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    DELETING = "Deleting"


class ApplicationStatus(Model):
    """What the hub reports to the tenant."""

    phase: ApplicationPhase | None = None
    observed_generation: int = 0
    revision: str = ""
    """Fleet revision of the newest accepted spec."""
    run: str = ""
    """The newest FleetRollout."""
    runs: int = 0
    """How many runs there have been; the next is called `<application>-<runs + 1>`."""
    clusters: str = ""
    """`25/120`: members at the newest revision of all members."""
    message: str = ""
    conditions: tuple[Condition, ...] = ()


class Application(Object[ApplicationSpec, ApplicationStatus]):
    """One workload for a whole fleet."""

    status: ApplicationStatus = ApplicationStatus()
