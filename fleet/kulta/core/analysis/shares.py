"""The metrics of an experiment as PromQL: how many, of how many, since it began, for one arm.

Pure texts, used by `experiment`. Every metric is a share of requests: those that failed, those that
converted, those that were slower than a quantile of the control. Counts and shares are of one
window, so that n·p is a number of requests. `queries` has the texts that other strategies ask too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.api.experiment import ABMetric
from fleet.kit import placeholders
from fleet.kulta.core.analysis import queries
from fleet.kulta.core.analysis.queries import QUANTILES, SECONDS, Series, escaped

CONVERSIONS = "http_conversions_total"
COUNT = SECONDS.replace("_bucket", "_count")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSeries(Series):
    """Series that carry the name of the arm's Service instead of a revision."""

    @property
    def labels(self) -> str:
        pairs = (("namespace", self.namespace), ("service", self.service))
        return ",".join(f'{key}="{escaped(value)}"' for key, value in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One arm as metrics see it."""

    name: str
    """`A`, `B` and so on."""
    namespace: str
    rollout: str
    revision: str
    role: str
    service: str

    def series(self, source: str, seconds: int) -> Series:
        """What its series are called in `source`, over that window."""
        name = self.revision if source == "app" else self.role
        if source == "service":
            return ServiceSeries(
                namespace=self.namespace,
                rollout=self.rollout,
                revision=name,
                service=self.service,
                seconds=seconds,
            )
        return Series(
            namespace=self.namespace, rollout=self.rollout, revision=name, seconds=seconds
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """The queries about one arm for one metric."""

    n: str
    hits: str
    hits_are_good: bool = False
    """Hits are what did not happen: requests that were fast, where slow ones are counted."""
    value: str = ""
    """What people see where it is not the share."""

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.n, self.hits, self.value) if self.value else (self.n, self.hits)


def questions(metric: ABMetric, subject: Subject, control: Subject, seconds: int) -> Questions:
    """What is asked about `subject`, which may be the control itself, over the last `seconds`."""
    series = subject.series(metric.source, seconds)
    if metric.numerator is not None and metric.denominator is not None:
        texts = (metric.denominator, metric.numerator)
        n, hits = (filled(text, subject, series.window) for text in texts)
        return Questions(n=n, hits=hits)
    if metric.name in QUANTILES:
        return _latency(metric, series, control.series(metric.source, seconds))
    if metric.name == "conversion-rate":
        text = f"sum(increase({CONVERSIONS}{{{series.labels}}}[{series.window}])) or vector(0)"
        return Questions(n=queries.requests(series), hits=text)
    return Questions(n=queries.requests(series), hits=queries.failures(series))


def _latency(metric: ABMetric, series: Series, control: Series) -> Questions:
    """Requests that were no slower than the bucket below the control's quantile.

    Of the control's buckets that hold less than the quantile the largest is chosen, by the same
    words for each arm, so that all are measured by one limit.
    """
    buckets = f"sum by (le) (increase({SECONDS}{{{series.labels}}}[{series.window}]))"
    others = f"sum by (le) (increase({SECONDS}{{{control.labels}}}[{control.window}]))"
    everything = f"scalar(sum(increase({COUNT}{{{control.labels}}}[{control.window}])))"
    limit = f"topk(1, {others} / {everything} < {QUANTILES[metric.name]})"
    return Questions(
        n=f"sum(increase({COUNT}{{{series.labels}}}[{series.window}]))",
        hits=f"sum({buckets} and on (le) {limit})",
        hits_are_good=True,
        value=f"histogram_quantile({QUANTILES[metric.name]}, {buckets}) * 1000 >= 0",
    )


def filled(text: str, subject: Subject, window: str) -> str:
    """A query of the user's with its placeholders filled in, escaped."""
    values: Mapping[str, str] = {
        "namespace": subject.namespace,
        "rollout": subject.rollout,
        "revision": subject.revision,
        "role": subject.role,
        "service": subject.service,
        "window": window,
    }
    return placeholders.filled(text, values, escaped)
