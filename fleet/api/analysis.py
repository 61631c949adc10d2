"""Analysis: which metrics judge a new revision, and how each stands.

Part of a Rollout's strategy and of an Application's; the status half is written by the engine.
"""

import math
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, get_args

from pydantic import Field

from fleet.api import newer
from fleet.api.meta import Model, Time
from fleet.api.providers import Prometheus, Provider
from fleet.api.rules import Rule, Rules
from fleet.api.values import Span
from fleet.kit import durations, placeholders


class FailurePolicy(StrEnum):
    """What happens when the metrics cannot be had (`analysis.failurePolicy`)."""

    PAUSE = "Pause"
    CONTINUE = "Continue"
    ROLLBACK = "Rollback"


METRIC_NAMES = ("error-rate", "latency-p50", "latency-p95", "latency-p99", "request-rate")
"""Metrics that need no query of the user's."""
SERVICE_SOURCES = frozenset({"envoy", "istio", "nginx"})
"""Series of proxies: they know Services, not revisions."""
PLACEHOLDERS = ("namespace", "rollout", "stable", "canary", "service", "window")
"""What a query of the user's may hold."""


class ThresholdRange(Model):
    """Where a value is good, both ends included."""

    RULES = (Rule(rule="has(self.min) || has(self.max)", message="write min, max or both"),)

    min: float | None = None
    """The least."""
    max: float | None = None
    """The most."""


_INCREASE = r"^[0-9]{1,6}([.][0-9]{1,3})?%?$"


class CompareToStable(Model):
    """The stable revision's value is the limit."""

    max_increase: Annotated[
        str | int,
        Rules(
            Rule(
                rule=f"string(self).matches(r'{_INCREASE}')",
                message="write 10%, or a number in the metric's unit: 2 or '0.5'",
            ),
            **{"x-kubernetes-int-or-string": True, "maxLength": 12},
        ),
    ]
    """How much higher it may be: `10%`, or a number in the metric's unit."""

    def limit(self, stable: float) -> float:
        """The most that is allowed beside `stable`. Raises ValueError for what is no increase."""
        text = str(self.max_increase)
        if not re.match(_INCREASE, text):
            raise ValueError(f"{text!r} is neither a percentage (10%) nor a number (0.5)")
        number = float(text.rstrip("%"))
        return stable + (abs(stable) * number / 100 if text.endswith("%") else number)


class NoData(StrEnum):
    """What an answer without any value means (`metrics[].noData`)."""

    HOLD = "Hold"
    PASS = "Pass"
    FAIL = "Fail"
    ERROR = "Error"


class Metric(Model):
    """One condition on the new revision."""

    RULES = (
        Rule(
            rule=f"self.name in {list(METRIC_NAMES)} || has(self.query) || "
            "has(self.provider) && has(self.provider.url)",
            message=f"write one of {', '.join(METRIC_NAMES)}, or a query",
            field=".name",
        ),
        Rule(
            rule="has(self.threshold) || has(self.thresholdRange) || has(self.compareToStable)",
            message="write threshold, thresholdRange or compareToStable",
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=63)]
    """`error-rate` in percent, `latency-*` in milliseconds, `request-rate` per second, or any."""
    threshold: float | None = None
    """The value must be less than this; equal fails."""
    threshold_range: ThresholdRange | None = None
    """With `threshold` too, a person decides what lies between."""
    compare_to_stable: CompareToStable | None = None
    query: Annotated[str, Field(min_length=1, max_length=2_048)] | None = None
    """PromQL that yields one number; may hold `{{ canary }}`, `{{ stable }}`, `{{ namespace }}`,
    `{{ rollout }}`, `{{ service }}`, `{{ window }}`."""
    provider: Provider | None = None
    no_data: NoData = NoData.HOLD
    """What an empty answer means; default Hold: wait."""
    dry_run: bool = False
    """Measure and report, but decide nothing."""
    interval: Span | None = None
    """Time between two checks of it; default `analysis.interval`."""
    initial_delay: Span | None = None
    """No check of it before a step is that old; default `analysis.warmupDuration`."""
    failure_threshold: Annotated[int, Field(ge=1, le=100)] | None = None
    """Consecutive failed checks that roll back; default 1 unless `failureLimit` is set."""
    min_sample_size: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Fewer requests in the window prove nothing: the step is held."""
    window: Span | None = None
    """How far back a query looks; default 2m, never before the step's start."""
    source: Literal["app", "appRole", "envoy", "istio", "nginx"] = "app"
    """Series of pods by hash (`app`) or role (`appRole`), or a proxy's by Service."""

    @property
    def url(self) -> str:
        """Of the JSON API that is asked; empty where it is a Prometheus."""
        return (self.provider.url or "") if self.provider is not None else ""

    def faults(self, *, has_services: bool = True) -> Iterator[tuple[str, str]]:
        """Field and sentence of all that is wrong beyond single fields, as the CRD's rules say it,
        and of what they cannot say."""
        yield from self._bounds()
        if self.name not in METRIC_NAMES and self.query is None and not self.url:
            yield "name", f"{self.name} is not known: {self.RULES[0].message}"
        for field, text in (
            ("interval", self.interval),
            ("initialDelay", self.initial_delay),
            ("window", self.window),
        ):
            try:
                durations.parse(text or "1s")
            except ValueError as error:
                yield field, str(error)
        if self.source in SERVICE_SOURCES and not has_services:
            yield "source", f"{self.source} tells Services apart; write app or appRole"
        yield from self._question(self.url or self.query, has_services=has_services)
        yield from self._provider()

    def _provider(self) -> Iterator[tuple[str, str]]:
        for field, sentence in self.provider.faults() if self.provider is not None else ():
            yield f"provider.{field}".rstrip("."), sentence
        if self.url:
            for field, given in (("query", self.query), ("minSampleSize", self.min_sample_size)):
                if given is not None:
                    yield field, "is for a Prometheus; leave it out beside provider.url"

    def _bounds(self) -> Iterator[tuple[str, str]]:
        limits = self.threshold_range
        if (self.threshold, limits, self.compare_to_stable) == (None, None, None):
            yield "threshold", f"is missing: {self.RULES[1].message}"
        if self.threshold is not None and not math.isfinite(self.threshold):
            yield "threshold", f"must be a finite number, it is {self.threshold}"
        if limits is not None:
            given = [item for item in (limits.min, limits.max) if item is not None]
            if not given or not all(math.isfinite(item) for item in given):
                yield "thresholdRange", "needs min, max or both, finite numbers"
            elif given != sorted(given):
                yield "thresholdRange", f"has a min {limits.min} above its max; exchange them"
        if self.compare_to_stable is not None:
            try:
                self.compare_to_stable.limit(0.0)
            except ValueError as error:
                yield "compareToStable.maxIncrease", str(error)

    def _question(self, text: str | None, *, has_services: bool) -> Iterator[tuple[str, str]]:
        field = "provider.url" if self.url else "query"
        found = placeholders.names(text or "")
        known = [item for item in PLACEHOLDERS if has_services or item != "service"]
        for name in found:
            if name not in known:
                words = ", ".join(known)
                yield field, f"has {{{{ {name} }}}}, which means nothing; write one of {words}"
        if text and self.compare_to_stable and not {"canary", "service"} & set(found):
            yield (
                field,
                "asks the same of both revisions, which compareToStable compares; "
                "write {{ canary }} into it where the revision's name belongs",
            )


class Analysis(Model):
    """How the new revision is judged, for the whole rollout, pauses included."""

    prometheus: Prometheus | None = None
    """Default: the engine's KULTA_PROMETHEUS_ADDRESS."""
    failure_policy: FailurePolicy = FailurePolicy.PAUSE
    """After `consecutiveErrorLimit` errors: hold (Pause), go on (Continue) or roll back."""
    warmup_duration: Span | None = None
    """No check before a step is that old; default none."""
    interval: Span | None = None
    """Time between two checks; default 30s."""
    iterations: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Checks that must pass in each step before it is left."""
    inconclusive_limit: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Undecided checks in a step after which a person decides."""
    failure_limit: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Failed checks in all that roll back; default off."""
    consecutive_error_limit: Annotated[int, Field(ge=1, le=100)] = 4
    """Errors in a row (no answer, nonsense) after which `failurePolicy` decides."""
    dry_run: bool = False
    """Measure and report, but decide nothing."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=20)] = ()
    """All of them must hold; none means that the new revision is not judged."""


class MetricResult(Model):
    """A number at the time of a decision."""

    value: float
    """What was measured."""
    threshold: float | None = None
    """What it had to be below; empty where a range decided."""
    passed: bool
    """Whether the value was good."""
    message: str = ""
    """How it was compared, where not with a threshold."""


class Samples(Model):
    """Requests seen in the window, so that a hub can pool over clusters."""

    n: float = 0
    """All requests."""
    bad: float = 0
    """Those that failed, or were too slow."""


Verdict = Literal["Passed", "Failed", "Inconclusive", "Undecided", "Error", "Pending"]


class MetricStatus(Model):
    """How one metric stands."""

    name: str
    """Which metric."""
    verdict: Annotated[Verdict, newer.otherwise("Pending", *get_args(Verdict))] = "Pending"
    """What the last check said; Inconclusive waits for data, Undecided for a person."""
    value: float | None = None
    """What was measured last."""
    stable_value: float | None = None
    """What the stable revision had, where it is compared."""
    threshold: float | None = None
    """What it had to be below; empty where a range decided."""
    passed: int = 0
    """Passed checks in this step, as far as they are needed."""
    undecided: int = 0
    """Undecided checks in this step."""
    dry_run: bool = False
    """It decides nothing."""
    failures: int = 0
    """Failed checks in a row."""
    failed: int = 0
    """Failed checks in all."""
    errors: int = 0
    """Errors in a row."""
    checked_at: Time = None
    """When it was asked last; empty where an older engine has counted."""
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
