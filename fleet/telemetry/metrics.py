"""Every metric of hub and engine in one table, and the two objects that set them.

Runtimes get `EngineMetrics` or `HubMetrics`, never a registry; `server` shows `exposition()`. What
speaks of an object ends with the object: `forget_…` removes its gauges.
"""

import functools
from collections import Counter as Count
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import prometheus_client as client

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_HOURS_SECONDS = (1.0, 10.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0)
_BYTES = (1_000.0, 5_000.0, 10_000.0, 25_000.0, 50_000.0, 100_000.0)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One row of the table; the README's is generated from it."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


ENGINE = (
    MetricRow(
        "kulta_reconciliations_total",
        "counter",
        "Reconciles of Rollouts by result: success, error, skipped.",
        ("result",),
    ),
    MetricRow(
        "kulta_reconciliation_duration_seconds",
        "histogram",
        "How long a reconcile took, by strategy.",
        ("strategy",),
        _SECONDS,
    ),
    MetricRow(
        "kulta_rollouts_active",
        "gauge",
        "Rollouts that exist, by phase and strategy.",
        ("phase", "strategy"),
    ),
    MetricRow(
        "kulta_traffic_weight",
        "gauge",
        "Percent of the traffic on the new revision.",
        ("namespace", "rollout"),
    ),
    MetricRow(
        "kulta_events_total",
        "counter",
        "Letters about decisions by sink and result: delivered, refused, dropped.",
        ("sink", "result"),
    ),
    MetricRow(
        "kulta_events_waiting",
        "gauge",
        "Letters that a sink has not taken yet.",
        ("sink",),
    ),
    MetricRow(
        "kulta_advice_total",
        "counter",
        "Questions to advisors by result: answered, failed.",
        ("result",),
    ),
)

HUB = (
    MetricRow("fleet_rollouts", "gauge", "FleetRollouts that exist, by phase.", ("phase",)),
    MetricRow(
        "fleet_rollout_phase",
        "gauge",
        "1 for the phase of an Application's newest run.",
        ("namespace", "application", "phase"),
    ),
    MetricRow(
        "fleet_rollout_clusters",
        "gauge",
        "Clusters of an Application's newest run, by state.",
        ("namespace", "application", "state"),
    ),
    MetricRow(
        "fleet_rollout_traffic_percent",
        "gauge",
        "Share of the traffic on the revision of an Application's newest run.",
        ("namespace", "application"),
    ),
    MetricRow(
        "fleet_decisions_total",
        "counter",
        "What runs decided for clusters (start, back, hold, release), by the run's reason then.",
        ("action", "reason"),
    ),
    MetricRow(
        "fleet_wave_seconds",
        "histogram",
        "From the start of a wave to its end, gates and soak included.",
        (),
        _HOURS_SECONDS,
    ),
    MetricRow(
        "fleet_approval_wait_seconds",
        "histogram",
        "How long a wave waited for a person.",
        (),
        _HOURS_SECONDS,
    ),
    MetricRow(
        "fleet_rollout_status_bytes",
        "histogram",
        "Size of each status of a run that was written.",
        (),
        _BYTES,
    ),
    MetricRow(
        "fleet_cluster_reachable",
        "gauge",
        "1 when the cluster answers and is watched, else 0.",
        ("cluster",),
    ),
    MetricRow(
        "fleet_cluster_status_age_seconds",
        "gauge",
        "Seconds since the cluster's last sign of life, at the time of the scrape.",
        ("cluster",),
    ),
    MetricRow(
        "fleet_dispatch_seconds",
        "histogram",
        "From a change of a ClusterRollout's spec to its Rollout in the member.",
        (),
        _SECONDS,
    ),
    MetricRow(
        "fleet_template_seconds",
        "histogram",
        "How long templates of a tenant took to print for a member: success, error, or retried.",
        ("result",),
        _SECONDS,
    ),
    MetricRow(
        "fleet_time_to_halt_seconds",
        "histogram",
        "From a member's failed verdict, as observed, to the halt of the run.",
        (),
        _LONG_SECONDS,
    ),
    MetricRow(
        "fleet_api_requests_total",
        "counter",
        "Requests to API servers by verb and HTTP code (error: no answer; open: not sent).",
        ("verb", "code"),
    ),
    MetricRow(
        "fleet_reconciliations_total",
        "counter",
        "Reconciles by kind and result: success, error.",
        ("kind", "result"),
    ),
    MetricRow(
        "fleet_reconciliation_seconds",
        "histogram",
        "How long a reconcile took, by kind.",
        ("kind",),
        _SECONDS,
    ),
)


DELIVERY = ("fleet_rollout_phase", "fleet_rollout_clusters", "fleet_rollout_traffic_percent")
"""What is shown of each Application's newest run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A run as its metrics show it."""

    number: int
    phase: str
    states: Mapping[str, int]
    """Clusters by state."""
    traffic: int
    """Percent."""


class _Census:
    """A gauge of how many objects there are by their labels; combinations that nobody has are not
    shown. A change costs the same however many there are."""

    def __init__(self, gauge: client.Gauge) -> None:
        self._gauge = gauge
        self._labels: dict[tuple[str, str], tuple[str, ...]] = {}
        self._counts: Count[tuple[str, ...]] = Count()

    def show(self, who: tuple[str, str], labels: tuple[str, ...]) -> None:
        """That object has these labels now."""
        if self._labels.get(who) != labels:
            self.forget(who)
            self._labels[who] = labels
            self._counts[labels] += 1
            self._gauge.labels(*labels).set(self._counts[labels])

    def forget(self, who: tuple[str, str]) -> bool:
        """That object is gone; whether it was known."""
        labels = self._labels.pop(who, None)
        if labels is None:
            return False
        self._counts[labels] -= 1
        if self._counts[labels]:
            self._gauge.labels(*labels).set(self._counts[labels])
        else:
            del self._counts[labels]
            self._gauge.remove(*labels)
        return True


class Metrics:
    """The metrics of one table, in a registry of their own."""

    def __init__(self, table: tuple[MetricRow, ...]) -> None:
        client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = client.CollectorRegistry()
        self._counters: dict[str, client.Counter] = {}
        self._gauges: dict[str, client.Gauge] = {}
        self._histograms: dict[str, client.Histogram] = {}
        for row in table:
            self._register(row)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes, of `CONTENT_TYPE`."""
        return client.generate_latest(self._registry)

    def _register(self, row: MetricRow) -> None:
        names, registry = row.labels, self._registry
        if row.type == "counter":
            self._counters[row.name] = client.Counter(row.name, row.help, names, registry=registry)
        elif row.type == "gauge":
            self._gauges[row.name] = client.Gauge(row.name, row.help, names, registry=registry)
        else:
            self._histograms[row.name] = client.Histogram(
                row.name, row.help, names, registry=registry, buckets=row.buckets
            )


class EngineMetrics(Metrics):
    """What the engine tells of itself; names as in the KULTA reference."""

    def __init__(self) -> None:
        super().__init__(ENGINE)
        self._rollouts = _Census(self._gauges["kulta_rollouts_active"])

    def reconciled(
        self,
        *,
        result: Literal["success", "error", "skipped"],
        strategy: str = "",
        seconds: float = 0.0,
    ) -> None:
        """Count a reconcile; its duration too, unless it was skipped or has no strategy."""
        self._counters["kulta_reconciliations_total"].labels(result).inc()
        if strategy and result != "skipped":
            self._histograms["kulta_reconciliation_duration_seconds"].labels(strategy).observe(
                seconds
            )

    def told(self, sink: str, result: Literal["delivered", "refused", "dropped"]) -> None:
        """Count a letter with which a sink is done."""
        self._counters["kulta_events_total"].labels(sink, result).inc()

    def advised(self, result: Literal["answered", "failed"]) -> None:
        """Count a question to an advisor."""
        self._counters["kulta_advice_total"].labels(result).inc()

    def show_waiting(self, sink: str, number: int) -> None:
        """How many letters wait for a sink."""
        self._gauges["kulta_events_waiting"].labels(sink).set(number)

    def show_rollout(
        self, namespace: str, name: str, *, phase: str, strategy: str, weight: int
    ) -> None:
        """A Rollout as its new status says; `weight` in percent."""
        self._gauges["kulta_traffic_weight"].labels(namespace, name).set(weight)
        self._rollouts.show((namespace, name), (phase, strategy))

    def forget_rollout(self, namespace: str, name: str) -> None:
        """The Rollout is deleted; nothing happens when it was never shown."""
        if self._rollouts.forget((namespace, name)):
            self._gauges["kulta_traffic_weight"].remove(namespace, name)


class HubMetrics(Metrics):
    """What the hub tells of itself and of its fleet."""

    def __init__(self) -> None:
        super().__init__(HUB)
        self._runs = _Census(self._gauges["fleet_rollouts"])
        self._clusters: set[str] = set()
        self._deliveries: dict[tuple[str, str], Delivery] = {}
        self._reconciled = functools.cache(self._of_reconciles)

    def _of_reconciles(self, kind: str, result: str) -> tuple[client.Counter, client.Histogram]:
        """To find them among all costs more than to count, and a restart counts 100,000 times."""
        histogram = self._histograms["fleet_reconciliation_seconds"].labels(kind)
        return self._counters["fleet_reconciliations_total"].labels(kind, result), histogram

    def reconciled(self, kind: str, *, result: Literal["success", "error"], seconds: float) -> None:
        """Count a reconcile of `kind` and its duration."""
        counter, histogram = self._reconciled(kind, result)
        counter.inc()
        histogram.observe(seconds)

    def request(self, *, cluster: str, verb: str, code: str, seconds: float) -> None:
        """A `clusters.client.RequestObserver`. By cluster it would be too many series."""
        self._counters["fleet_api_requests_total"].labels(verb, code).inc()

    def dispatched(self, seconds: float) -> None:
        """A Rollout reached its member."""
        self._histograms["fleet_dispatch_seconds"].observe(seconds)

    def printed(self, result: Literal["success", "error", "retried"], seconds: float) -> None:
        """Templates of a tenant have printed once, or were not able to."""
        self._histograms["fleet_template_seconds"].labels(result).observe(seconds)

    def halted(self, seconds: float) -> None:
        """A run was halted because of a verdict observed `seconds` ago."""
        self._histograms["fleet_time_to_halt_seconds"].observe(seconds)

    def show_run(self, namespace: str, name: str, *, phase: str) -> None:
        """A FleetRollout as its new status says."""
        self._runs.show((namespace, name), (phase,))

    def forget_run(self, namespace: str, name: str) -> None:
        """The FleetRollout is deleted; nothing happens when it was never shown."""
        self._runs.forget((namespace, name))

    def show_delivery(self, owner: tuple[str, str], shown: Delivery) -> None:
        """A run of the Application `owner` (namespace, name), unless a newer one is shown."""
        before = self._deliveries.get(owner)
        if before == shown or (before is not None and before.number > shown.number):
            return
        self._drop(owner)
        self._deliveries[owner] = shown
        self._gauges["fleet_rollout_phase"].labels(*owner, shown.phase).set(1)
        self._gauges["fleet_rollout_traffic_percent"].labels(*owner).set(shown.traffic)
        for state, clusters in shown.states.items():
            self._gauges["fleet_rollout_clusters"].labels(*owner, state).set(clusters)

    def forget_delivery(self, owner: tuple[str, str], number: int) -> None:
        """That run is deleted; nothing happens when another one is shown."""
        shown = self._deliveries.get(owner)
        if shown is not None and shown.number == number:
            del self._deliveries[owner]
            self._drop(owner)

    def _drop(self, owner: tuple[str, str]) -> None:
        labels = dict(zip(("namespace", "application"), owner, strict=True))
        for name in DELIVERY:
            self._gauges[name].remove_by_labels(labels)

    def decided(self, action: str, reason: str) -> None:
        """Count what a run has decided for a cluster."""
        self._counters["fleet_decisions_total"].labels(action, reason).inc()

    def wave_done(self, seconds: float) -> None:
        """A wave ended that began `seconds` ago."""
        self._histograms["fleet_wave_seconds"].observe(seconds)

    def approved(self, seconds: float) -> None:
        """A person let a wave go on that had waited for `seconds`."""
        self._histograms["fleet_approval_wait_seconds"].observe(seconds)

    def status_written(self, size: int) -> None:
        """The status of a run was written, `size` bytes long."""
        self._histograms["fleet_rollout_status_bytes"].observe(size)

    def show_cluster(self, cluster: str, *, reachable: bool, age: Callable[[], float]) -> None:
        """A member; `age` is called at each scrape and gives seconds."""
        self._clusters.add(cluster)
        self._gauges["fleet_cluster_reachable"].labels(cluster).set(int(reachable))
        self._gauges["fleet_cluster_status_age_seconds"].labels(cluster).set_function(age)

    def forget_cluster(self, cluster: str) -> None:
        """The member is gone; nothing happens when it was never shown."""
        if cluster in self._clusters:
            self._clusters.discard(cluster)
            self._gauges["fleet_cluster_reachable"].remove(cluster)
            self._gauges["fleet_cluster_status_age_seconds"].remove(cluster)
