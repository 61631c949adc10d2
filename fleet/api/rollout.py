"""Rollout: the object in a member that says how one workload is delivered there, and how it went.

Field-compatible with the KULTA reference (`kulta.io/v1alpha1` and `v1beta1`, one schema). The hub
renders it, or a person writes it; the engine alone writes its status. Rules between fields are CEL
rules in the CRD (`RULES` of each model, read by `api.schema`) and the same sentences in
`kulta.core.validation`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from fleet.api.conditions import Condition
from fleet.api.meta import LabelSelector, Model, Object, Time
from fleet.kit import durations

Duration = Annotated[str, Field(max_length=16, pattern=durations.PATTERN)]
"""`30s`, `5m`, `2h`, `7d`: a whole number and one unit."""

Amount = Annotated[
    str | int,
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "pattern": r"^([0-9]{1,9}|100%|[0-9]{1,2}%)$",
            "maxLength": 9,
        }
    ),
]
"""A number of pods, or a percentage `0%`…`100%` of `replicas`."""

PodTemplate = Annotated[dict[str, Any], Field(json_schema_extra={"x-kulta-schema": "podtemplate"})]
"""A core/v1 PodTemplateSpec; its complete schema is put in by `api.schema`."""

ServiceName = Annotated[str, Field(min_length=1, max_length=63)]
Port = Annotated[int, Field(ge=1, le=65_535)]


class Phase(StrEnum):
    """Where a Rollout stands; legal moves are in `kulta.core.phases`."""

    INITIALIZING = "Initializing"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    PREVIEW = "Preview"
    EXPERIMENTING = "Experimenting"
    CONCLUDED = "Concluded"
    COMPLETED = "Completed"
    FAILED = "Failed"


class FailurePolicy(StrEnum):
    """What happens when the metrics cannot be had (`analysis.failurePolicy`)."""

    PAUSE = "Pause"
    CONTINUE = "Continue"
    ROLLBACK = "Rollback"


METRIC_NAMES = ("error-rate", "latency-p50", "latency-p95", "latency-p99", "request-rate")


class Prometheus(Model):
    """Where the engine asks for metrics."""

    address: Annotated[str, Field(max_length=512, pattern=r"^https?://[^\s]+$")]
    """Base URL, for example `http://prometheus.monitoring:9090`."""


class Metric(Model):
    """One condition on the new revision: its value must stay below the threshold."""

    name: Literal["error-rate", "latency-p50", "latency-p95", "latency-p99", "request-rate"]
    """`error-rate` in percent, `latency-*` in milliseconds, `request-rate` in requests a second."""
    threshold: float
    """The value must be less than this; equal fails."""
    interval: Duration | None = None
    """Time between two checks; default 30s. The smallest of all metrics counts."""
    failure_threshold: Annotated[int, Field(ge=1, le=100)] | None = None
    """Consecutive failed checks that roll back; default 1 unless `failureLimit` is set."""
    min_sample_size: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Fewer requests than this in the window prove nothing: the step is held."""
    window: Duration | None = None
    """How far back a query looks; default 2m, never before the step's start."""
    source: Literal["app", "appRole"] = "app"
    """Which labels the series carry: `app` has the pod hash as `revision`, `appRole` the role."""


class Analysis(Model):
    """How the new revision is judged, for the whole rollout, pauses included."""

    prometheus: Prometheus | None = None
    """Default: the engine's KULTA_PROMETHEUS_ADDRESS."""
    failure_policy: FailurePolicy = FailurePolicy.PAUSE
    """After `consecutiveErrorLimit` errors: hold (Pause), go on (Continue) or roll back."""
    warmup_duration: Duration | None = None
    """No check before this time has passed since the start of the step; default none."""
    failure_limit: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Failed checks in all that roll back; default off."""
    consecutive_error_limit: Annotated[int, Field(ge=1, le=100)] = 4
    """Errors in a row (no answer, nonsense) after which `failurePolicy` decides."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=20)] = ()


class Pause(Model):
    """A pause after a step; without a duration it lasts until `kulta.io/promote`."""

    duration: Duration | None = None


class Step(Model):
    """One step of a canary: a share of the traffic, then perhaps a pause."""

    set_weight: Annotated[int, Field(ge=0, le=100)]
    """Percent of the traffic for the new revision."""
    pause: Pause | None = None


class GatewayAPI(Model):
    """Traffic through an HTTPRoute of the same namespace."""

    http_route: Annotated[
        str,
        Field(
            max_length=253,
            json_schema_extra={
                "x-kubernetes-validations": [
                    {
                        "rule": "self.size() > 0",
                        "message": "httpRoute cannot be empty: write the name of an HTTPRoute of "
                        "this namespace, or leave out trafficRouting",
                    }
                ]
            },
        ),
    ] = Field(alias="httpRoute")


class TrafficRouting(Model):
    """Who divides the traffic; without it, weights are replica counts."""

    gateway_api: GatewayAPI | None = Field(default=None, alias="gatewayAPI")


class Canary(Model):
    """Percent by percent: the new revision takes a growing share while it is judged."""

    canary_service: Annotated[str, Field(max_length=63)]
    """The Service that the engine points at the new revision."""
    stable_service: Annotated[str, Field(max_length=63)]
    """The Service that the engine points at the stable revision."""
    port: Port = 80
    """The port of both Services in the HTTPRoute."""
    steps: Annotated[tuple[Step, ...], Field(max_length=50)] = ()
    traffic_routing: TrafficRouting | None = None
    analysis: Analysis | None = None
    dynamic_stable_scale: bool = False
    """Scale the stable revision down as the canary grows, although a router divides traffic."""


class Simple(Model):
    """A rolling update, watched and taken back when it does not become ready or fails analysis."""

    analysis: Analysis | None = None


class Strategy(Model):
    """Exactly one member."""

    simple: Simple | None = None
    canary: Canary | None = None


class Advisor(Model):
    """External advice; only `Off` works so far."""

    level: Literal["Off"] = "Off"
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 10


class Hold(Model):
    """The hub's hold: steps wait, analysis and rollback go on."""

    reason: Annotated[str, Field(min_length=1, max_length=256)]
    sequence: Annotated[int, Field(ge=0)] = 0
    """The dispatch sequence of the leader that wrote the hold."""


class Dispatch(Model):
    """Which hub wrote this spec, and in which order; a former leader's write is refused."""

    hub: Annotated[str, Field(min_length=1, max_length=128)]
    sequence: Annotated[int, Field(ge=1)]
    released: bool = False
    """True lets another hub take over."""


class RolloutSpec(Model):
    """What shall run and how it gets there."""

    replicas: Annotated[int, Field(ge=0, le=100_000)] = 1
    selector: LabelSelector
    template: PodTemplate
    strategy: Strategy
    max_surge: Amount = "25%"
    """Pods above `replicas` while changing; a number or percent, rounded up."""
    max_unavailable: Amount = "0"
    """Ready pods that may be missing while changing; a number or percent, rounded up."""
    progress_deadline_seconds: Annotated[int, Field(ge=0, le=604_800)] = 600
    """Seconds without any progress after which the rollout is taken back; pauses do not count."""
    advisor: Advisor = Advisor()
    paused: bool = False
    """The user's pause: steps wait, analysis and rollback go on."""
    hold: Hold | None = None
    dispatch: Dispatch | None = None
    fleet_revision: Annotated[str, Field(max_length=64)] = ""
    """The hub's name for this revision; echoed in the status."""
    steps_on_first_rollout: bool = False
    """Go through the steps although there is no earlier revision to compare with."""
    scale_down_delay: Annotated[str, Field(max_length=16, pattern=durations.PATTERN)] = "30s"
    """How long the old revision's pods stay after a promotion; `0s` is allowed here."""
    revision_history_limit: Annotated[int, Field(ge=0, le=100)] = 10
    """Old ReplicaSets (0 replicas) that are kept."""


class MetricResult(Model):
    """A number at the time of a decision."""

    value: float
    threshold: float
    passed: bool


class Decision(Model):
    """What the engine decided, when and why: the last 20 are kept, numbered without gaps."""

    sequence: int = 0
    timestamp: Time = None
    action: Literal[
        "Initialize", "StepAdvance", "Promotion", "Rollback", "Pause", "Resume", "Complete"
    ]
    reason: Literal[
        "AnalysisPassed",
        "AnalysisFailed",
        "PauseDurationExpired",
        "ManualPromotion",
        "ManualRollback",
        "Timeout",
        "Initialization",
        "MetricsUnavailable",
        "StepCompleted",
        "Superseded",
    ]
    from_step: int | None = None
    to_step: int | None = None
    weight: int | None = None
    """Percent of traffic on the new revision after the decision."""
    message: str = ""
    metrics: Mapping[str, MetricResult] = Field(default_factory=dict)


class Samples(Model):
    """Requests seen in the window, so that a hub can pool over clusters."""

    n: float = 0
    bad: float = 0


class MetricStatus(Model):
    """How one metric stands."""

    name: str
    verdict: Literal["Passed", "Failed", "Inconclusive", "Error", "Pending"] = "Pending"
    value: float | None = None
    threshold: float | None = None
    failures: int = 0
    """Failed checks in a row."""
    failed: int = 0
    """Failed checks in all."""
    errors: int = 0
    """Errors in a row."""
    query: str = ""
    message: str = ""
    stable: Samples | None = None
    canary: Samples | None = None


class AnalysisStatus(Model):
    """How the new revision is judged at present."""

    revision: str = ""
    checked_at: Time = None
    passed_at: Time = None
    """When all metrics passed for the first time since the start of the step."""
    metrics: tuple[MetricStatus, ...] = ()


class RolloutStatus(Model):
    """What the engine reports."""

    phase: Phase | None = None
    message: str = ""
    observed_generation: int = 0
    fleet_revision: str = ""
    current_pod_hash: str = ""
    stable_pod_hash: str = ""
    failed_pod_hash: str = ""
    """The revision that was taken back; it is not tried again by itself."""
    current_step_index: int | None = None
    current_weight: int | None = None
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    selector: str = ""
    """Label selector of all pods, for the scale sub-resource."""
    pause_start_time: Time = None
    step_start_time: Time = None
    progress_started_at: Time = None
    """When progress was last seen; the deadline counts from here."""
    promoted_at: Time = None
    """When the stable Service was switched; the old revision goes after `scaleDownDelay`."""
    conditions: tuple[Condition, ...] = ()
    decisions: tuple[Decision, ...] = ()
    emitted: int = 0
    """The last decision whose effects (Events) were delivered."""
    handled: Mapping[str, str] = Field(default_factory=dict)
    """Requests that were acted on and whose annotation is still there."""
    analysis: AnalysisStatus | None = None
    last_decision_source: str = ""


class Rollout(Object[RolloutSpec, RolloutStatus]):
    """One workload in one cluster, delivered by the engine."""

    status: RolloutStatus = RolloutStatus()
