"""The texts of the built-in metrics."""

import pytest

from fleet.errors import UserError
from fleet.kulta.core.analysis import queries
from fleet.kulta.core.analysis.queries import Series

SERIES = Series(namespace="shop", rollout="my-app", revision="canary", seconds=120)
LABELS = 'namespace="shop",rollout="my-app",revision="canary"'


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        pytest.param(
            "error-rate",
            f'(sum(rate(http_requests_total{{status=~"5..",{LABELS}}}[2m])) or vector(0))'
            f" / (sum(rate(http_requests_total{{{LABELS}}}[2m])) > 0) * 100",
            id="[M1] [M23] failed of all requests in percent; no failures are 0",
        ),
        pytest.param(
            "latency-p95",
            "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket"
            f"{{{LABELS}}}[2m]))) * 1000 >= 0",
            id="[M2] the 95th percentile in milliseconds over all series",
        ),
        pytest.param(
            "latency-p99",
            "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket"
            f"{{{LABELS}}}[2m]))) * 1000 >= 0",
            id="[M31] the 99th percentile",
        ),
        pytest.param(
            "request-rate",
            f"sum(rate(http_requests_total{{{LABELS}}}[2m]))",
            id="requests a second",
        ),
    ],
)
def test_value(metric: str, text: str) -> None:
    assert queries.value(metric, SERIES) == text


def test_samples() -> None:
    every = f"sum(increase(http_requests_total{{{LABELS}}}[2m]))"
    failed = f'sum(increase(http_requests_total{{status=~"5..",{LABELS}}}[2m])) or vector(0)'
    assert queries.requests(SERIES) == every
    assert queries.failures(SERIES) == failed


def test_unknown_metric_names_those_that_are_known() -> None:
    with pytest.raises(UserError, match=r"latency-p42.*latency-p50"):
        queries.value("latency-p42", SERIES)


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        pytest.param('a"} or up{x="', 'a\\"} or up{x=\\"', id="quotes stay inside"),
        pytest.param("a\\", "a\\\\", id="a backslash does not open the quotes"),
        pytest.param("a\nb", "a\\nb", id="a new line is written as one"),
    ],
)
def test_label_values_cannot_leave_their_quotes(value: str, escaped: str) -> None:
    series = Series(namespace=value, rollout="r", revision="v", seconds=1)
    assert f'namespace="{escaped}",rollout="r"' in queries.requests(series)


@pytest.mark.parametrize(
    ("seconds", "window"),
    [
        pytest.param(120, "[2m]", id="whole minutes"),
        pytest.param(90, "[90s]", id="seconds otherwise"),
    ],
)
def test_window(seconds: int, window: str) -> None:
    series = Series(namespace="n", rollout="r", revision="v", seconds=seconds)
    assert window in queries.requests(series)


@pytest.mark.parametrize(
    ("source", "is_stable", "labels"),
    [
        pytest.param(
            "envoy",
            False,
            'envoy_cluster_name=~"shop[/_]web-canary[/_].+"',
            id="Envoy's clusters, as Contour and others name them",
        ),
        pytest.param(
            "istio",
            True,
            'reporter="source",destination_service_namespace="shop",'
            'destination_service_name="web-canary"',
            id="Istio's view of the caller",
        ),
        pytest.param(
            "nginx",
            False,
            'namespace="shop",canary=~"shop-web-canary-[^-]+"',
            id="what the canary Ingress took",
        ),
        pytest.param(
            "nginx",
            True,
            'namespace="shop",service="web-canary",canary=""',
            id="what the user's Ingress kept",
        ),
    ],
)
def test_proxies_know_services(source: str, is_stable: bool, labels: str) -> None:
    series = Series(
        namespace="shop",
        rollout="web",
        revision="web-canary",
        seconds=60,
        source=source,
        is_stable=is_stable,
    )
    assert series.labels == labels


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        pytest.param(
            "envoy",
            (
                "envoy_cluster_upstream_rq{envoy_response_code",
                "upstream_rq_time_bucket",
                "))) >= 0",
            ),
            id="Envoy counts milliseconds",
        ),
        pytest.param(
            "istio",
            ("istio_requests_total{response_code", "duration_milliseconds_bucket", "))) >= 0"),
            id="so does Istio",
        ),
        pytest.param(
            "nginx",
            ("nginx_ingress_controller_requests{status", "duration_seconds_bucket", "* 1000 >= 0"),
            id="nginx counts seconds",
        ),
    ],
)
def test_proxies_have_names_of_their_own(source: str, texts: tuple[str, str, str]) -> None:
    series = Series(namespace="n", rollout="r", revision="s", seconds=60, source=source)
    assert texts[0] in queries.value("error-rate", series)
    assert texts[0] in queries.failures(series)
    assert texts[1] in queries.value("latency-p95", series)
    assert texts[2] in queries.value("latency-p95", series)


def test_names_in_patterns_are_taken_literally() -> None:
    series = Series(namespace="a.b", rollout="r", revision="s", seconds=1, source="envoy")
    assert series.labels == 'envoy_cluster_name=~"a\\\\.b[/_]s[/_].+"'
