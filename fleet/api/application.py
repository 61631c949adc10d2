"""Application: what a tenant wants delivered to a fleet, and how.

Written by the tenant; the hub freezes `spec` into a FleetRollout for each run and renders a Rollout
per member from it. Defaults are fail-safe: no waves means one wave, one cluster at a time.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from fleet.api import canaries
from fleet.api.analysis import Analysis
from fleet.api.conditions import Conditions
from fleet.api.conduct import Conduct, replaceable
from fleet.api.experiment import LETTERS, ABAnalysis, Matches, VariantMatch, VariantWish
from fleet.api.hooks import Hooks
from fleet.api.meta import LabelSelector, Model, Object
from fleet.api.rules import Rule, Rules, choice
from fleet.api.strategy import SOMEBODY_GETS_B, CanaryWay, Choice, Preview
from fleet.api.values import (
    APPLICATION_LENGTH,
    Amount,
    AtLeastOne,
    Duration,
    Name,
    Namespace,
    PodTemplate,
    Port,
    ServiceBase,
    letters,
)
from fleet.api.waves import OrderBy, Waves
from fleet.kit import phrases


class Destination(Model):
    """Where to: a fleet of this namespace, and the namespace in each member."""

    fleet: Name
    """A Fleet of the Application's own namespace."""
    namespace: Namespace | None = None
    """Default: the Application's own namespace."""


class WorkloadService(Model):
    """The Service in front of the workload; that of a new revision is made beside it."""

    name: ServiceBase | None = None
    """Default: the Application's name."""
    port: Port = 80
    """The port at which clients ask."""
    target_port: Annotated[
        int | str,
        Rules(
            Rule(
                rule="type(self) == int ? self >= 1 && self <= 65535 : "
                "self.matches('^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$')",
                message="write a port from 1 to 65535, or the name of a container's port",
            ),
            **{"x-kubernetes-int-or-string": True, "maxLength": 15},
        ),
    ] = 80
    """The container's port, a number or a name."""


class ParentRef(Model):
    """A Gateway in the member."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """The Gateway's name."""
    namespace: Name | None = None
    """Default: the namespace of the workload."""
    section_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """One listener of the Gateway; default all that allow the route."""


class Route(Model):
    """An HTTPRoute in front of both Services; without it, weights are replica counts."""

    parent_refs: Annotated[tuple[ParentRef, ...], Field(min_length=1, max_length=8)]
    """The Gateways that take the traffic in."""
    hostnames: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253)], ...], Field(max_length=16)
    ] = ()
    """Host names that the route answers to; none means all of the Gateway."""


class Workload(Model):
    """What runs in each member."""

    RULES = (
        Rule(
            rule="has(self.template.metadata) && has(self.template.metadata.labels) && "
            "self.template.metadata.labels.size() > 0",
            message="template.metadata.labels cannot be empty: write at least app: <name>, "
            "pods are selected by them",
            field=".template",
        ),
    )

    replicas: Annotated[int, Field(ge=0, le=100_000)] = 1
    """How many pods serve in each member."""
    template: PodTemplate
    """A core/v1 PodTemplateSpec; each change of it is a new revision."""
    service: WorkloadService | None = None
    """Needed where traffic is moved; a `simple` workload may go without."""
    route: Route | None = None


class PatchOperation(Model):
    """One operation of a JSON patch (RFC 6902) on this spec."""

    op: Literal["add", "replace", "remove"]
    """What is done at `path`."""
    path: Annotated[
        str,
        Field(max_length=512, pattern="^/"),
        Rules(
            Rule(
                rule="self.startsWith('/')",
                message="write a JSON pointer into this spec, for example /workload/replicas",
            ),
            instead_of=("pattern",),
        ),
    ]
    """JSON pointer into this spec, for example `/workload/replicas`."""
    value: Annotated[
        Any, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = None
    """The new value; any JSON. `remove` needs none."""


class Override(Model):
    """A difference for some members, applied to this spec before rendering."""

    cluster_selector: LabelSelector
    """The members that differ."""
    patch: Annotated[tuple[PatchOperation, ...], Field(min_length=1, max_length=64)]
    """Operations of a JSON patch, in order."""


class Templates(Model):
    """Templates of one's own in the place of the hub's."""

    config_map: Annotated[str, Field(min_length=1, max_length=253)]
    """A ConfigMap of the Application's namespace with the label `fleet.kulta.io/templates: "true"`.
    Its keys name the templates that they replace: `rollout.yaml.j2`, `services.yaml.j2`,
    `httproute.yaml.j2`, `_macros.j2`; together at most 64 KiB."""


class CanaryPolicy(CanaryWay):
    """The canary inside a cluster: steps with growing weights, judged by analysis."""

    RULES = canaries.WISHES


class BlueGreenPolicy(Model):
    """Blue-green inside a cluster: a complete preview, then all the traffic at once."""

    auto_promotion_enabled: bool = False
    """Promote by itself, once `autoPromotionSeconds` are over and the analysis has passed; else
    the preview in each cluster waits for `kulta.io/promote`."""
    auto_promotion_seconds: Preview = 0
    """How long a preview whose pods are all ready lasts before it is promoted by itself."""
    analysis: Analysis | None = None


class ABTestingPolicy(Model):
    """A/B inside a cluster: the new revision for those who ask for it, until a person promotes what
    has won. Services are made beside the workload's: `-b`, and `-c` … for `variants`."""

    RULES = (SOMEBODY_GETS_B,)

    variant_b_match: VariantMatch | None = None
    matches: Matches = ()
    """Who else gets B: requests that have all of one of these."""
    variants: Annotated[tuple[VariantWish, ...], Field(max_length=len(LETTERS) - 2)] = ()
    """More arms: C, D, E, F."""
    max_duration: Duration | None = None
    """The experiment in each cluster is concluded when this time is over, with a winner or not."""
    analysis: ABAnalysis | None = None


class SimplePolicy(Model):
    """A rolling update inside a cluster."""

    analysis: Analysis | None = None


class StrategyPolicy(Choice):
    """How a cluster changes: exactly one member."""

    RULES = (choice("canary", "simple", "blueGreen", "abTesting"),)

    canary: CanaryPolicy | None = None
    simple: SimplePolicy | None = None
    blue_green: BlueGreenPolicy | None = None
    ab_testing: ABTestingPolicy | None = None


class UnavailableClusters(Model):
    """Members that cannot be reached when it is their turn."""

    policy: Literal["Defer", "Skip", "Block"] = "Defer"
    """Defer puts them off to the end, Block lets their wave wait for them, both until `timeout`,
    when they count against the budget; Skip leaves them out until they are back."""
    timeout: Duration = "2h"
    """How long a member may be put off or block."""
    accept_unknown_engine: bool = False
    """Whether members count whose engine is External and has no Lease: its API server is heard of,
    and that it lives is taken for granted."""


class RollbackPolicy(Model):
    """How clusters go back to what ran well there before: the last wave first."""

    max_concurrency: AtLeastOne = "50%"
    """Of all members, those that were done and go back at once; who is in flight never waits."""


class Limits(Model):
    """Limits over all waves."""

    min_interval: Duration | None = None
    """Least time between two starts, against storms on a registry."""
    max_traffic_share_on_new_revision: (
        Annotated[
            str,
            Field(max_length=9),
            Rules(
                Rule(
                    rule=r"self.matches(r'^[1-9][0-9]?%$')",
                    message="write a percentage from 1% to 99%",
                )
            ),
        ]
        | None
    ) = None
    """Most of the fleet's replicas that may go to the revision before the wave `untilWave`."""
    until_wave: Name | None = None
    """The first wave without that limit; default the last."""


class DeliveryPolicy(Model):
    """From revision to fleet: inside a cluster, and from cluster to cluster."""

    # A Fleet's defaults fill either gap, so only both together are what a cluster is told.
    RULES = (
        replaceable("self.rollout", "self.strategy.canary", "self.rollout", "self.strategy"),
        Rule(
            rule="!has(self.limits) || !has(self.limits.untilWave) || !has(self.waves) || "
            "self.waves.size() == 0 || self.waves.exists(w, w.name == self.limits.untilWave)",
            message="limits.untilWave is none of these waves: write the name of one of them",
            field=".limits",
        ),
    )

    strategy: StrategyPolicy | None = None
    rollout: Conduct | None = None
    """How the engine of each cluster goes about it, in any strategy: as in a Rollout's spec."""
    hooks: Hooks = ()
    """HTTP servers that the engine of each cluster asks, or tells, on the way."""
    paused: bool = False
    """Nothing new starts while this is true; what is in flight is held at its step."""
    waves: Waves = ()
    """From cluster to cluster; none means one wave, one cluster at a time."""
    order_by: OrderBy | None = None
    """For waves that say nothing themselves."""
    max_concurrency: AtLeastOne | None = None
    """For waves that say nothing themselves."""
    failure_budget: Amount | None = None
    """For waves that say nothing themselves."""
    progress_deadline: Duration | None = None
    """For waves that say nothing themselves."""
    on_failure: Literal["Halt", "Rollback", "Continue"] | None = None
    """When a budget is overspent; default Halt."""
    rollback: RollbackPolicy | None = None
    halt_on_first_failed_analysis: bool | None = None
    """Default true: the first failed analysis anywhere halts the run."""
    unmatched_clusters: Literal["Fail", "Ignore"] | None = None
    """Members that no wave takes; default Fail."""
    unavailable_clusters: UnavailableClusters | None = None
    on_new_revision: Literal["Supersede", "Queue"] | None = None
    """Whether a new revision takes over from a run (default) or waits for its end."""
    membership_changes: Literal["Append", "NextRun", "Abort"] | None = None
    """Who joins the fleet during a run goes with its wave (default), in a run of its own after it,
    or everybody begins anew."""
    limits: Limits | None = None
    revision_history_limit: Annotated[int, Field(ge=1, le=100)] | None = None
    """Finished runs that are kept; default 10."""
    on_conflict: Literal["Report", "Force"] | None = None
    """Fields that somebody else owns: report (default) or take."""
    deletion_policy: Literal["Delete", "Orphan", "Revert"] | None = None
    """What becomes of the objects in a member that leaves, or when the Application is deleted:
    they go too (default), stay there and are let go of, or become what they were before us."""
    deletion_timeout: Duration | None = None
    """How long a member out of reach is waited for until its objects are given up; default 24h."""
    max_prune: Amount | None = None
    """Of the Application's clusters, those that may leave the fleet without a question; default
    10%, at least 1. More wait for the request `confirm-prune`."""


ROUTED = ("promotionSteps", "headerRoutes", "sessionAffinity")
"""Fields of a canary that mean nothing without a route."""


class ApplicationSpec(Model):
    """What a tenant wants."""

    RULES = (
        Rule(
            rule="has(self.deliveryPolicy.strategy)",
            message="deliveryPolicy.strategy is missing: write strategy: {canary: {steps: [...]}} "
            "or strategy: {simple: {}}",
            field=".deliveryPolicy",
        ),
        Rule(
            rule="!has(self.deliveryPolicy.strategy) || "
            "!has(self.deliveryPolicy.strategy.canary) || has(self.workload.service)",
            message="a canary needs workload.service: write service: {port: 80, targetPort: 8080}",
            field=".workload",
        ),
        Rule(
            rule="!has(self.deliveryPolicy.strategy) || "
            "!has(self.deliveryPolicy.strategy.blueGreen) || has(self.workload.service)",
            message="blueGreen needs workload.service: write service: {port: 80, targetPort: 8080}",
            field=".workload",
        ),
        Rule(
            rule="!has(self.deliveryPolicy.strategy) || "
            "!has(self.deliveryPolicy.strategy.abTesting) || has(self.workload.service)",
            message="abTesting needs workload.service: write service: {port: 80, targetPort: 8080}",
            field=".workload",
        ),
        Rule(
            rule="has(self.workload.route) || !has(self.deliveryPolicy.strategy) || "
            "!has(self.deliveryPolicy.strategy.canary) || "
            + " && ".join(f"!has(self.deliveryPolicy.strategy.canary.{name})" for name in ROUTED),
            message=f"{phrases.listed(ROUTED)} need workload.route: "
            "write route: {parentRefs: [{name: public, namespace: gateways}]}",
            field=".workload",
        ),
    )

    destination: Destination
    workload: Workload
    overrides: Annotated[tuple[Override, ...], Field(max_length=64)] = ()
    """What differs for some members; all that match are applied, in order."""
    templates: Templates | None = None
    """Default: the hub's own templates. A change of the ConfigMap goes through the waves, in a run
    of its own."""
    delivery_policy: DeliveryPolicy


class ApplicationPhase(StrEnum):
    """One word for the whole Application."""

    READY = "Ready"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    WAITING_APPROVAL = "WaitingApproval"
    DELETING = "Deleting"


class ApplicationStatus(Model):
    """What the hub reports to the tenant."""

    phase: ApplicationPhase | None = None
    """One word for the whole Application."""
    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    revision: str = ""
    """Fleet revision of the newest accepted spec."""
    run: str = ""
    """The newest FleetRollout."""
    runs: int = 0
    """How many runs there have been; the next is called `<application>-<runs + 1>`."""
    clusters: str = ""
    """`25/120`: members at the newest revision of all members."""
    message: str = ""
    """What is going on, or what is wrong, in a sentence."""
    conditions: Conditions = ()
    """Aspects of health, each with reason and sentence."""


class Application(Object[ApplicationSpec, ApplicationStatus]):
    """One workload for a whole fleet."""

    RULES = (
        Rule(
            rule=f"self.metadata.name.matches(r'{letters(APPLICATION_LENGTH)}')",
            message="an Application's name becomes the name of Services and runs: 1 to "
            f"{APPLICATION_LENGTH} lower-case letters, digits and dashes, beginning with a letter",
            field=".metadata.name",
        ),
    )

    status: ApplicationStatus = ApplicationStatus()
