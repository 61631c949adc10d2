"""The texts of an experiment's metrics: one window, each arm by its labels, one limit for all."""

import pytest

from fleet.api.experiment import ABMetric
from fleet.kulta.core.analysis import shares
from fleet.kulta.core.analysis.shares import Questions, Subject

CONTROL = Subject(
    name="A",
    namespace="shop",
    rollout="checkout",
    revision="aaaa",
    role="variant-a",
    service="checkout-v1",
)
ARM = Subject(
    name="B",
    namespace="shop",
    rollout="checkout",
    revision="bbbb",
    role="variant-b",
    service="checkout-v2",
)
A = 'namespace="shop",rollout="checkout",revision="aaaa"'
B = 'namespace="shop",rollout="checkout",revision="bbbb"'


def asked(name: str, subject: Subject = ARM, seconds: int = 300, **more: str) -> Questions:
    metric = ABMetric.model_validate({"name": name, "direction": "lower", **more})
    return shares.questions(metric, subject, CONTROL, seconds)


def test_errors_are_counted_of_all_requests() -> None:
    """One window for both, so that n times the share is a number of requests."""
    found = asked("error-rate")
    assert found.n == f"sum(increase(http_requests_total{{{B}}}[5m]))"
    assert found.hits == (
        f'sum(increase(http_requests_total{{status=~"5..",{B}}}[5m])) or vector(0)'
    )
    assert (found.value, found.hits_are_good) == ("", False)


def test_series_may_carry_the_service() -> None:
    """[M3] [M4] As the reference asks: by Service, 5.., five minutes into the experiment."""
    found = asked("error-rate", source="service")
    labels = 'namespace="shop",service="checkout-v2"'
    assert found.n == f"sum(increase(http_requests_total{{{labels}}}[5m]))"
    assert f'status=~"5..",{labels}' in found.hits
    assert "[5m]" in found.hits


def test_series_may_carry_the_role() -> None:
    found = asked("error-rate", source="appRole")
    assert 'rollout="checkout",revision="variant-b"' in found.n


def test_conversions_are_counted_of_all_requests() -> None:
    found = asked("conversion-rate", seconds=90)
    assert found.n == f"sum(increase(http_requests_total{{{B}}}[90s]))"
    assert found.hits == f"sum(increase(http_conversions_total{{{B}}}[90s])) or vector(0)"


@pytest.mark.parametrize(
    ("name", "quantile"),
    [("latency-p50", "0.5"), ("latency-p95", "0.95"), ("latency-p99", "0.99")],
)
def test_latencies_are_counted_by_a_limit_of_the_control(name: str, quantile: str) -> None:
    """For each arm the same limit: the control's largest bucket below the quantile."""
    seconds, buckets = "http_request_duration_seconds_count", "http_request_duration_seconds_bucket"
    limit = (
        f"topk(1, sum by (le) (increase({buckets}{{{A}}}[5m]))"
        f" / scalar(sum(increase({seconds}{{{A}}}[5m]))) < {quantile})"
    )
    for subject, labels in ((ARM, B), (CONTROL, A)):
        found = asked(name, subject)
        own = f"sum by (le) (increase({buckets}{{{labels}}}[5m]))"
        assert found.n == f"sum(increase({seconds}{{{labels}}}[5m]))"
        assert found.hits == f"sum({own} and on (le) {limit})"
        assert found.hits_are_good
        assert found.value == f"histogram_quantile({quantile}, {own}) * 1000 >= 0"


def test_queries_of_ones_own_are_filled_in() -> None:
    numerator = 'sum(paid{rev="{{ revision }}",svc="{{service}}"}[{{ window }}])'
    denominator = 'n{ns="{{ namespace }}",ro="{{ rollout }}",role="{{ role }}"}'
    found = asked("paid", numerator=numerator, denominator=denominator)
    assert found.hits == 'sum(paid{rev="bbbb",svc="checkout-v2"}[5m])'
    assert found.n == 'n{ns="shop",ro="checkout",role="variant-b"}'
    assert found.texts == (found.n, found.hits)


def test_built_in_names_may_have_queries_of_ones_own() -> None:
    """Both parts of `conversion-rate` can be replaced."""
    found = asked("conversion-rate", numerator="orders", denominator="sessions")
    assert (found.n, found.hits) == ("sessions", "orders")


def test_values_cannot_leave_their_quotes() -> None:
    evil = Subject(
        name="B", namespace='a"} or up{x="', rollout="r", revision="v", role="b", service="s"
    )
    assert shares.filled('{n="{{ namespace }}"}', evil, "5m") == '{n="a\\"} or up{x=\\""}'


def test_placeholders_that_mean_nothing_stay() -> None:
    assert shares.filled("{{ cluster }}", ARM, "5m") == "{{ cluster }}"
