"""Analysis: which metrics judge a new revision, and how each stands.

Part of a Rollout's strategy and of an Application's; the status half is written by the engine.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from fleet.api.meta import Model, Time
from fleet.api.rules import Rule, Rules
from fleet.api.values import Duration


class FailurePolicy(StrEnum):
    """What happens when the metrics cannot be had (`analysis.failurePolicy`)."""

    PAUSE = "Pause"
    CONTINUE = "Continue"
    ROLLBACK = "Rollback"


METRIC_NAMES = ("error-rate", "latency-p50", "latency-p95", "latency-p99", "request-rate")

ADDRESS = r"^https?://[^\s]+$"


class Prometheus(Model):
    """Where the engine asks for metrics."""

    address: Annotated[
        str,
        Field(max_length=512, pattern=ADDRESS),
        Rules(
            Rule(
                rule=f"self.matches(r'{ADDRESS}')",
                message="write a URL: http://host:port or https://host:port",
            ),
            instead_of=("pattern",),
        ),
    ]
    """Base URL, for example `http://prometheus.monitoring:9090`."""


class Metric(Model):
    """One condition on the new revision: its value must stay below the threshold."""

    name: Literal["error-rate", "latency-p50", "latency-p95", "latency-p99", "request-rate"]
    """`error-rate` in percent, `latency-*` in milliseconds, `request-rate` per second."""
    threshold: float
    """The value must be less than this; equal fails."""
    interval: Duration | None = None
    """Time between two checks, 30s; the smallest of all metrics counts."""
    failure_threshold: Annotated[int, Field(ge=1, le=100)] | None = None
    """Consecutive failed checks that roll back; default 1 unless `failureLimit` is set."""
    min_sample_size: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Fewer requests in the window prove nothing: the step is held."""
    window: Duration | None = None
    """How far back a query looks; default 2m, never before the step's start."""
    source: Literal["app", "appRole"] = "app"
    """What `revision` is in the series: with `app` the pod hash, with `appRole` the role."""


class Analysis(Model):
    """How the new revision is judged, for the whole rollout, pauses included."""

    prometheus: Prometheus | None = None
    """Default: the engine's KULTA_PROMETHEUS_ADDRESS."""
    failure_policy: FailurePolicy = FailurePolicy.PAUSE
    """After `consecutiveErrorLimit` errors: hold (Pause), go on (Continue) or roll back."""
    warmup_duration: Duration | None = None
    """No check before a step is that old; default none."""
    failure_limit: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Failed checks in all that roll back; default off."""
    consecutive_error_limit: Annotated[int, Field(ge=1, le=100)] = 4
    """Errors in a row (no answer, nonsense) after which `failurePolicy` decides."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=20)] = ()
    """All of them must hold; none means that the new revision is not judged."""


class MetricResult(Model):
    """A number at the time of a decision."""

    value: float
    """What was measured."""
    threshold: float
    """What it was compared with."""
    passed: bool
    """Whether the value was below the threshold."""


class Samples(Model):
    """Requests seen in the window, so that a hub can pool over clusters."""

    n: float = 0
    """All requests."""
    bad: float = 0
    """Those that failed, or were too slow."""


class MetricStatus(Model):
    """How one metric stands."""

    name: str
    """Which metric."""
    verdict: Literal["Passed", "Failed", "Inconclusive", "Error", "Pending"] = "Pending"
    """What the last check said."""
    value: float | None = None
    """What was measured last."""
    threshold: float | None = None
    """What it was compared with."""
    failures: int = 0
    """Failed checks in a row."""
    failed: int = 0
    """Failed checks in all."""
    errors: int = 0
    """Errors in a row."""
    query: str = ""
    """The query as it was sent."""
    message: str = ""
    """Why the verdict is what it is."""
    stable: Samples | None = None
    """Requests to the stable revision."""
    canary: Samples | None = None
    """Requests to the new revision."""


class AnalysisStatus(Model):
    """How the new revision is judged at present."""

    revision: str = ""
    """Pod hash of the revision that is judged."""
    checked_at: Time = None
    """When the metrics were asked last."""
    passed_at: Time = None
    """When all metrics passed for the first time since the start of the step."""
    metrics: tuple[MetricStatus, ...] = ()
    """Each metric by name."""
