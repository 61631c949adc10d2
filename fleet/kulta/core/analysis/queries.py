"""The built-in metrics as PromQL, for one revision of one Rollout.

Pure texts, used by `rounds` and `shares`. No traffic gives an empty answer ("no data"), never NaN:
a rate that is zero is filtered out of a denominator, a quantile of nothing by `>= 0`. A service
without any failed request has an error rate of 0, though the series of failures does not exist.
"""

import re
from collections.abc import Iterator, Mapping
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
class Family:
    """What the series of one source are called."""

    requests: str = REQUESTS
    """A counter."""
    failed: str = FAILED
    """The matcher of those that failed."""
    buckets: str = SECONDS
    """A histogram of the time that they took."""
    factor: str = " * 1000"
    """From its unit to milliseconds."""


APP = Family()
FAMILIES: Mapping[str, Family] = {
    "envoy": Family(
        requests="envoy_cluster_upstream_rq",
        failed='envoy_response_code=~"5.."',
        buckets="envoy_cluster_upstream_rq_time_bucket",
        factor="",
    ),
    "istio": Family(
        requests="istio_requests_total",
        failed='response_code=~"5.."',
        buckets="istio_request_duration_milliseconds_bucket",
        factor="",
    ),
    "nginx": Family(
        requests="nginx_ingress_controller_requests",
        buckets="nginx_ingress_controller_request_duration_seconds_bucket",
    ),
}
"""Sources that are not the pods themselves, which `APP` stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Which series a query looks at; `revision` is a pod hash, a role or, for proxies, the name of
    the revision's Service; `seconds` the window."""

    namespace: str
    rollout: str
    revision: str
    seconds: int
    source: str = "app"
    is_stable: bool = False
    """Of the stable revision, not of the new one."""
    service: str = ""
    """The revision's Service; empty where the strategy has none."""

    @property
    def family(self) -> Family:
        return FAMILIES.get(self.source, APP)

    @property
    def labels(self) -> str:
        return ",".join(_matchers(self))

    @property
    def window(self) -> str:
        return f"{self.seconds // 60}m" if self.seconds % 60 == 0 else f"{self.seconds}s"


def _matchers(series: Series) -> Iterator[str]:
    """`key="value"`, one after the other, as the source labels its series."""
    namespace, revision = series.namespace, series.revision
    match series.source:
        case "envoy":  # clusters of a Service's ports: shop_checkout_80, shop/checkout/80
            pattern = f"{_literal(namespace)}[/_]{_literal(revision)}[/_].+"
            yield f'envoy_cluster_name=~"{escaped(pattern)}"'
        case "istio":
            yield 'reporter="source"'
            yield f'destination_service_namespace="{escaped(namespace)}"'
            yield f'destination_service_name="{escaped(revision)}"'
        case "nginx" if series.is_stable:
            yield f'namespace="{escaped(namespace)}"'
            yield f'service="{escaped(revision)}"'
            yield 'canary=""'
        case "nginx":  # what a canary Ingress took is told apart by its upstream: shop-checkout-80
            pattern = f"{_literal(namespace)}-{_literal(revision)}-[^-]+"
            yield f'namespace="{escaped(namespace)}"'
            yield f'canary=~"{escaped(pattern)}"'
        case _:
            yield f'namespace="{escaped(namespace)}"'
            yield f'rollout="{escaped(series.rollout)}"'
            yield f'revision="{escaped(revision)}"'


def value(metric: str, series: Series) -> str:
    """The query whose answer is compared with the threshold: percent, milliseconds or 1/s.

    Raises UserError for a metric that is not built in.
    """
    labels, window, family = series.labels, series.window, series.family
    everything = f"sum(rate({family.requests}{{{labels}}}[{window}]))"
    if metric == "error-rate":
        failed = f"sum(rate({family.requests}{{{family.failed},{labels}}}[{window}]))"
        return f"({failed} or vector(0)) / ({everything} > 0) * 100"
    if metric == "request-rate":
        return everything
    if metric in QUANTILES:
        buckets = f"sum by (le) (rate({family.buckets}{{{labels}}}[{window}]))"
        return f"histogram_quantile({QUANTILES[metric]}, {buckets}){family.factor} >= 0"
    known = ", ".join(["error-rate", "request-rate", *QUANTILES])
    raise UserError("InvalidSpec", f"metric {metric!r} is not known: write one of {known}")


def requests(series: Series) -> str:
    """How many requests the window holds."""
    return f"sum(increase({series.family.requests}{{{series.labels}}}[{series.window}]))"


def failures(series: Series) -> str:
    """How many of them failed."""
    family = series.family
    matchers = f"{family.failed},{series.labels}"
    return f"sum(increase({family.requests}{{{matchers}}}[{series.window}])) or vector(0)"


def escaped(text: str) -> str:
    """A label value that cannot leave its quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _literal(text: str) -> str:
    """A part of a regular expression that matches exactly `text`."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: "\\" + found[0], text)
