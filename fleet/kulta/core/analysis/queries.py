"""The built-in metrics as PromQL, for one revision of one Rollout.

Pure texts, used by `checks`. No traffic gives an empty answer ("no data"), never NaN: a rate that
is zero is filtered out of a denominator, and a quantile of nothing is filtered by `>= 0`. A service
without any failed request has an error rate of 0, though the series of failures does not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.errors import UserError

QUANTILES: Mapping[str, str] = {
    "latency-p50": "0.5",
    "latency-p95": "0.95",
    "latency-p99": "0.99",
}

REQUESTS = "http_requests_total"
SECONDS = "http_request_duration_seconds_bucket"
FAILED = 'status=~"5.."'


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Which series a query looks at; `revision` is a pod hash or a role, `seconds` the window."""

    namespace: str
    rollout: str
    revision: str
    seconds: int

    @property
    def labels(self) -> str:
        pairs = (
            ("namespace", self.namespace),
            ("rollout", self.rollout),
            ("revision", self.revision),
        )
        return ",".join(f'{key}="{escaped(value)}"' for key, value in pairs)

    @property
    def window(self) -> str:
        return f"{self.seconds // 60}m" if self.seconds % 60 == 0 else f"{self.seconds}s"


def value(metric: str, series: Series) -> str:
    """The query whose answer is compared with the threshold: percent, milliseconds or 1/s.

    Raises UserError for a metric that is not built in.
    """
    labels, window = series.labels, series.window
    everything = f"sum(rate({REQUESTS}{{{labels}}}[{window}]))"
    if metric == "error-rate":
        failed = f"sum(rate({REQUESTS}{{{FAILED},{labels}}}[{window}]))"
        return f"({failed} or vector(0)) / ({everything} > 0) * 100"
    if metric == "request-rate":
        return everything
    if metric in QUANTILES:
        buckets = f"sum by (le) (rate({SECONDS}{{{labels}}}[{window}]))"
        return f"histogram_quantile({QUANTILES[metric]}, {buckets}) * 1000 >= 0"
    known = ", ".join(["error-rate", "request-rate", *QUANTILES])
    raise UserError("InvalidSpec", f"metric {metric!r} is not known: write one of {known}")


def requests(series: Series) -> str:
    """How many requests the window holds."""
    return f"sum(increase({REQUESTS}{{{series.labels}}}[{series.window}]))"


def failures(series: Series) -> str:
    """How many of them failed."""
    return f"sum(increase({REQUESTS}{{{FAILED},{series.labels}}}[{series.window}])) or vector(0)"


def escaped(text: str) -> str:
    """A label value that cannot leave its quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
