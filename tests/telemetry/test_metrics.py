"""The metric table, what each call changes, and that what is gone is not shown.

The exposition is read with Prometheus' own parser, never by looking at text.
"""

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fleet.telemetry import metrics
from fleet.telemetry.metrics import Delivery, EngineMetrics, HubMetrics, Metrics


def samples(of: Metrics, name: str = "") -> dict[str, float]:
    """`name{label="value"}` → value, of the metrics that begin with `name`."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(of.exposition().decode()):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            if sample.name.startswith(name):
                found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


@pytest.mark.parametrize(
    ("made", "table"),
    [
        pytest.param(EngineMetrics, metrics.ENGINE, id="the engine's"),
        pytest.param(HubMetrics, metrics.HUB, id="the hub's"),
    ],
)
def test_the_table_is_what_is_shown(
    made: Callable[[], Metrics], table: tuple[metrics.MetricRow, ...]
) -> None:
    families = text_string_to_metric_families(made().exposition().decode())
    shown = {(family.name, family.type, family.documentation) for family in families}
    assert shown == {(row.name.removesuffix("_total"), row.type, row.help) for row in table}


def test_two_of_a_kind_do_not_share_anything() -> None:
    one, two = EngineMetrics(), EngineMetrics()
    one.reconciled(result="success")
    assert samples(two, "kulta_reconciliations_total") == {}


def test_three_successes_are_counted_by_result_and_timed_by_strategy() -> None:
    """[L4]"""
    engine = EngineMetrics()
    for strategy in ("canary", "canary", "blue-green"):
        engine.reconciled(result="success", strategy=strategy, seconds=0.2)
    assert samples(engine, "kulta_reconciliations_total") == {
        'kulta_reconciliations_total{result="success"}': 3.0
    }
    assert samples(engine, "kulta_reconciliation_duration_seconds_count") == {
        'kulta_reconciliation_duration_seconds_count{strategy="canary"}': 2.0,
        'kulta_reconciliation_duration_seconds_count{strategy="blue-green"}': 1.0,
    }


def test_two_skips_are_counted_and_not_timed() -> None:
    """[L5]"""
    engine = EngineMetrics()
    for _ in range(2):
        engine.reconciled(result="skipped")
    assert samples(engine, "kulta_reconciliation") == {
        'kulta_reconciliations_total{result="skipped"}': 2.0
    }


def test_weights_are_shown_by_namespace_and_rollout() -> None:
    """[L6]"""
    engine = EngineMetrics()
    engine.show_rollout("shop", "checkout", phase="Progressing", strategy="canary", weight=25)
    engine.show_rollout("shop", "cart", phase="Paused", strategy="canary", weight=50)
    assert samples(engine, "kulta_traffic_weight") == {
        'kulta_traffic_weight{namespace="shop",rollout="checkout"}': 25.0,
        'kulta_traffic_weight{namespace="shop",rollout="cart"}': 50.0,
    }


def test_the_buckets_of_the_duration() -> None:
    """[L7]"""
    engine = EngineMetrics()
    engine.reconciled(result="success", strategy="canary", seconds=0.3)
    name = "kulta_reconciliation_duration_seconds"
    found = samples(engine, name)
    bounds = ("0.01", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf")
    expected = {
        f'{name}_bucket{{le="{bound}",strategy="canary"}}': float(float(bound) >= 0.3)
        for bound in bounds
    }
    sums = {f'{name}_sum{{strategy="canary"}}': 0.3, f'{name}_count{{strategy="canary"}}': 1.0}
    assert found == expected | sums


def test_a_rollout_is_counted_where_it_is_now() -> None:
    engine = EngineMetrics()
    for phase in ("Initializing", "Progressing"):
        engine.show_rollout("shop", "checkout", phase=phase, strategy="canary", weight=10)
    engine.show_rollout("shop", "cart", phase="Progressing", strategy="canary", weight=10)
    assert samples(engine, "kulta_rollouts_active") == {
        'kulta_rollouts_active{phase="Progressing",strategy="canary"}': 2.0
    }


def test_the_gauges_of_a_deleted_rollout_disappear() -> None:
    engine = EngineMetrics()
    engine.show_rollout("shop", "checkout", phase="Progressing", strategy="canary", weight=25)
    for _ in range(2):
        engine.forget_rollout("shop", "checkout")
    assert samples(engine) == {}


def test_runs_are_counted_by_phase_until_they_are_gone() -> None:
    hub = HubMetrics()
    hub.show_run("shop", "checkout-1", phase="Progressing")
    hub.show_run("shop", "checkout-1", phase="Soaking")
    hub.show_run("shop", "cart-3", phase="Halted")
    for _ in range(2):
        hub.forget_run("shop", "cart-3")
    assert samples(hub, "fleet_rollouts") == {'fleet_rollouts{phase="Soaking"}': 1.0}


def delivery(number: int, phase: str, traffic: int = 0, **states: int) -> Delivery:
    return Delivery(number=number, phase=phase, states=states, traffic=traffic)


def test_an_application_shows_its_newest_run_and_nothing_of_its_clusters_one_by_one() -> None:
    hub, owner = HubMetrics(), ("shop", "checkout")
    hub.show_delivery(owner, delivery(2, "Progressing", updated=3, failed=0))
    hub.show_delivery(owner, delivery(3, "Halted", traffic=18, updated=1, failed=2))
    hub.show_delivery(owner, delivery(2, "Superseded", updated=3, failed=0))
    hub.forget_delivery(owner, 2)
    of = 'application="checkout",namespace="shop"'
    assert samples(hub, "fleet_rollout_") == {
        f'fleet_rollout_phase{{{of},phase="Halted"}}': 1.0,
        f'fleet_rollout_clusters{{{of},state="updated"}}': 1.0,
        f'fleet_rollout_clusters{{{of},state="failed"}}': 2.0,
        f"fleet_rollout_traffic_percent{{{of}}}": 18.0,
    } | {name: value for name, value in samples(hub, "fleet_rollout_status_bytes").items()}
    for _ in range(2):
        hub.forget_delivery(owner, 3)
    assert samples(hub, "fleet_rollout_phase") == {}
    assert samples(hub, "fleet_rollout_clusters") == {}


def test_no_metric_has_a_series_for_each_cluster_of_each_application() -> None:
    assert [row.name for row in metrics.HUB if {"cluster", "application"} <= {*row.labels}] == []


def test_the_age_of_a_cluster_is_of_the_moment_of_the_scrape() -> None:
    hub, age = HubMetrics(), 1.0
    hub.show_cluster("eu-7", reachable=True, age=lambda: age)
    age = 42.0
    assert samples(hub, "fleet_cluster") == {
        'fleet_cluster_reachable{cluster="eu-7"}': 1.0,
        'fleet_cluster_status_age_seconds{cluster="eu-7"}': 42.0,
    }


def test_a_cluster_that_left_disappears() -> None:
    hub = HubMetrics()
    hub.show_cluster("eu-7", reachable=False, age=lambda: float("inf"))
    for _ in range(2):
        hub.forget_cluster("eu-7")
    assert samples(hub, "fleet_cluster") == {}


def test_what_the_hub_measures() -> None:
    hub = HubMetrics()
    hub.dispatched(0.02)
    hub.printed("success", 0.005)
    hub.halted(0.3)
    hub.wave_done(60)
    hub.approved(600)
    hub.status_written(2_000)
    hub.decided("start", "WaitingForClusters")
    hub.reconciled("FleetRollout", result="error", seconds=0.01)
    hub.request(cluster="eu-7", verb="GET", code="200", seconds=0.01)
    counts = {
        name: value
        for name, value in samples(hub).items()
        if "_total" in name or name.split("{")[0].endswith("_count")
    }
    assert counts == {
        "fleet_dispatch_seconds_count": 1.0,
        'fleet_template_seconds_count{result="success"}': 1.0,
        "fleet_time_to_halt_seconds_count": 1.0,
        "fleet_wave_seconds_count": 1.0,
        "fleet_approval_wait_seconds_count": 1.0,
        "fleet_rollout_status_bytes_count": 1.0,
        'fleet_decisions_total{action="start",reason="WaitingForClusters"}': 1.0,
        'fleet_reconciliations_total{kind="FleetRollout",result="error"}': 1.0,
        'fleet_reconciliation_seconds_count{kind="FleetRollout"}': 1.0,
        'fleet_api_requests_total{code="200",verb="GET"}': 1.0,
    }
