"""Rollout: the object in a member that says how one workload is delivered there, and how it went.

Field-compatible with the KULTA reference (`kulta.io/v1alpha1` and `v1beta1`, one schema). The hub
renders it, or a person writes it; the engine alone writes its status. Rules between fields are CEL
rules in the CRD (`RULES` of each model, read by `api.schema`) and the same sentences in
`kulta.core.feedback.validation`.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from fleet.api import newer
from fleet.api.advisor import Advice, Advisor
from fleet.api.analysis import (
    Analysis,
    AnalysisStatus,
    FailurePolicy,
    Metric,
    MetricResult,
    MetricStatus,
    Samples,
)
from fleet.api.conditions import Conditions
from fleet.api.conduct import Conduct, in_force, replaceable
from fleet.api.decision import ON_THE_WAY, Decision, Phase
from fleet.api.experiment import ExperimentStatus
from fleet.api.hooks import Hook, Hooks
from fleet.api.meta import LabelSelector, Model, Object, Time
from fleet.api.providers import Prometheus
from fleet.api.routing import GatewayAPI, GatewayRouting, TrafficRouting
from fleet.api.rules import Rule
from fleet.api.strategy import (
    ABTesting,
    BlueGreen,
    Canary,
    CanaryScale,
    Pause,
    Simple,
    Step,
    Steps,
    Strategy,
)
from fleet.api.values import Amount, Duration, PodTemplate, Port
from fleet.api.workload import WorkloadRef, WorkloadStatus

__all__ = [
    "ABTesting",
    "Advice",
    "Advisor",
    "Amount",
    "Analysis",
    "AnalysisStatus",
    "BlueGreen",
    "Canary",
    "CanaryScale",
    "Decision",
    "Dispatch",
    "Duration",
    "ExperimentStatus",
    "FailurePolicy",
    "GatewayAPI",
    "GatewayRouting",
    "Hold",
    "Hook",
    "Metric",
    "MetricResult",
    "MetricStatus",
    "Pause",
    "Phase",
    "PodTemplate",
    "Port",
    "Prometheus",
    "Rollout",
    "RolloutSpec",
    "RolloutStatus",
    "Samples",
    "Simple",
    "Step",
    "Steps",
    "Strategy",
    "TrafficRouting",
]
"""All that a reader of Rollouts needs, wherever it is defined."""


class Hold(Model):
    """The hub's hold: steps wait, analysis and rollback go on."""

    reason: Annotated[str, Field(min_length=1, max_length=256)]
    """Why the hub holds this Rollout."""
    sequence: Annotated[int, Field(ge=0)] = 0
    """The dispatch sequence of the leader that wrote the hold."""


class Dispatch(Model):
    """Which hub wrote this spec, and in which order; a former leader's write is refused."""

    hub: Annotated[str, Field(min_length=1, max_length=128)]
    """The hub that manages this Rollout."""
    sequence: Annotated[int, Field(ge=1)]
    """Grows with each dispatch; a lower one is refused."""
    released: bool = False
    """True lets another hub take over."""


class RolloutSpec(Conduct):
    """What shall run and how it gets there."""

    RULES = (
        Rule(
            rule="has(self.template) ? has(self.selector) && !has(self.workloadRef) : "
            "has(self.workloadRef)",
            message="write template and selector, or workloadRef instead",
            field=".template",
        ),
        Rule(
            rule="!has(self.template) || !has(self.selector) || "
            "has(self.template.metadata) && has(self.template.metadata.labels) && "
            "(!has(self.selector.matchLabels) || self.selector.matchLabels.all(key, "
            "key in self.template.metadata.labels && "
            "self.template.metadata.labels[key] == self.selector.matchLabels[key]))",
            message="selector.matchLabels must stand in template.metadata.labels too: "
            "copy them there",
            field=".selector",
        ),
        replaceable("self", "self.strategy.canary"),
        Rule(
            rule="!has(oldSelf.dispatch) || (has(self.dispatch) && "
            "self.dispatch.sequence >= oldSelf.dispatch.sequence)",
            message="dispatch.sequence may only grow: a former hub leader wrote this",
            field=".dispatch",
        ),
        Rule(
            rule="!has(oldSelf.dispatch) || !has(self.dispatch) || "
            "self.dispatch.hub == oldSelf.dispatch.hub || "
            "(has(oldSelf.dispatch.released) && oldSelf.dispatch.released)",
            message="another hub manages this Rollout: it must set dispatch.released first",
            field=".dispatch",
        ),
        Rule(
            rule="!has(self.hold) || !has(self.dispatch) || "
            "(has(oldSelf.hold) && oldSelf.hold == self.hold) || "
            "(has(self.hold.sequence) && self.hold.sequence >= self.dispatch.sequence)",
            message="hold.sequence may not be lower than dispatch.sequence: "
            "a former hub leader wrote this",
            field=".hold",
        ),
    )

    replicas: Annotated[int, Field(ge=0, le=100_000)] = 1
    """How many pods serve; an autoscaler may change it through the scale sub-resource."""
    selector: LabelSelector = LabelSelector()
    """Which pods belong to this Rollout; the template must carry the labels."""
    template: PodTemplate = Field(default_factory=dict)
    """A core/v1 PodTemplateSpec; each change of it is a new revision."""
    workload_ref: WorkloadRef | None = None
    strategy: Strategy
    paused: bool = False
    """The user's pause: steps wait, analysis and rollback go on."""
    hold: Hold | None = None
    dispatch: Dispatch | None = None
    fleet_revision: Annotated[str, Field(max_length=64)] = ""
    """The hub's name for this revision; echoed in the status."""
    hooks: Hooks = ()
    """HTTP servers that are asked, or told, on the way."""

    @property
    def amounts(self) -> Mapping[str, str | int]:
        """Field of this spec → `maxSurge` and `maxUnavailable` in force."""
        return in_force(self, self.strategy.canary)


_PHASES = tuple(Phase)  # it takes a while to make it of the names


class RolloutStatus(Model):
    """What the engine reports."""

    phase: Phase | None = None
    """One word for the whole Rollout."""
    message: str = ""
    """What is going on, or what went wrong, in a sentence."""
    observed_generation: int = 0
    """The generation of the spec that this status speaks of."""
    fleet_revision: str = ""
    """`spec.fleetRevision` of that generation."""
    current_pod_hash: str = ""
    """Hash of the wanted revision: of `spec.template`, or of the arm that won against it."""
    stable_pod_hash: str = ""
    """Hash of the revision that has proved itself and takes the traffic on failure."""
    proven_pod_hashes: tuple[str, ...] = ()
    """Revisions that have been stable, the newest first; at most 11."""
    previous_pod_hash: str = ""
    """The revision that the last promotion replaced; its pods stay for `scaleDownDelay`."""
    overruled_pod_hash: str = ""
    """The revision of `spec.template` while an experiment has chosen another arm instead."""
    failed_pod_hash: str = ""
    """The revision that was taken back; it is not tried again by itself."""
    strategy: str = ""
    """The strategy in force: the member of `spec.strategy`."""
    step: str = ""
    """`2/4`: the step in work of all steps; empty for a strategy without steps."""
    current_step_index: int | None = None
    """The step in work, counted from 0; equal to the number of steps when all are done."""
    current_weight: int | None = None
    """Percent of traffic on the new revision."""
    replicas: int = 0
    """All pods."""
    ready_replicas: int = 0
    """Pods that are ready."""
    updated_replicas: int = 0
    """Pods of the wanted revision."""
    selector: str = ""
    """Label selector of all pods, for the scale sub-resource."""
    pause_start_time: Time = None
    """When the pause of the step began; empty outside a pause."""
    step_start_time: Time = None
    """When the step began."""
    progress_started_at: Time = None
    """When progress was last seen; the deadline counts from here."""
    promoted_at: Time = None
    """When the stable Service was switched, there or back; the revision that it left goes after
    `scaleDownDelay`."""
    conditions: Conditions = ()
    """Aspects of health, each with reason and sentence."""
    decisions: tuple[Decision, ...] = ()
    """The last 20 decisions, and older ones that are not delivered yet."""
    emitted: int = 0
    """The last decision that all sinks are known to have; an engine that starts goes on there."""
    handled: Mapping[str, str] = Field(default_factory=dict)
    """Requests that were acted on and whose annotation is still there."""
    analysis: AnalysisStatus | None = None
    ab_experiment: ExperimentStatus | None = None
    advice: Advice | None = None
    last_decision_source: str = ""
    """Who decided last: Threshold, Human or Advisor."""
    reached_step_index: int | None = None
    """The last step whose pods are ready and whose weight is in force."""
    progress_ready: int = 0
    """Ready pods of the wanted revision when progress was last seen."""
    pause_requested: bool = False
    """`kulta.io/pause` was asked for, and `kulta.io/resume` not yet."""
    restores: int = 0
    """How often somebody undid our selectors or weights in this rollout."""
    workload_ref: WorkloadStatus | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_a_newer_engine(cls, body: Any) -> Any:
        """The rollout goes on from the last phase that we know."""
        said = body.get("phase") if isinstance(body, Mapping) else None
        if said is None or said in _PHASES:
            return body
        return {**body, "phase": newer.phase(body, ON_THE_WAY)}


class Rollout(Object[RolloutSpec, RolloutStatus]):
    """One workload in one cluster, delivered by the engine."""

    RULES = (
        Rule(
            rule="self.metadata.name.size() <= 63",
            message="a Rollout's name becomes a label of its pods: at most 63 characters",
            field=".metadata.name",
        ),
    )

    status: RolloutStatus = RolloutStatus()
