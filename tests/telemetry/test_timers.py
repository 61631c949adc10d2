"""Durations from one place to another: what begins them, what ends them, what is of no account."""

from collections.abc import Callable

import pytest

from fleet.telemetry.metrics import HubMetrics
from fleet.telemetry.timers import Timers
from tests.fakes import FakeClock

A, B = ("shop", "web.a"), ("shop", "web.b")
Step = Callable[[Timers], None]

HALT, DISPATCH = "fleet_time_to_halt_seconds", "fleet_dispatch_seconds"


@pytest.mark.parametrize(
    ("steps", "metric", "count", "total"),
    [
        pytest.param([lambda t: t.wished(A), lambda t: t.dispatched(A)],
                     DISPATCH, 1, 1.0, id="from the wish to the Rollout"),
        pytest.param([lambda t: t.wished(A), lambda t: t.wished(A),
                      lambda t: t.dispatched(A)], DISPATCH, 1, 1.0,
                     id="from the last wish"),
        pytest.param([lambda t: t.wished(A), lambda t: t.touched(A),
                      lambda t: t.dispatched(A)], DISPATCH, 0, 0.0,
                     id="what was there already is no dispatch"),
        pytest.param([lambda t: t.wished(A), lambda t: t.forget(A),
                      lambda t: t.dispatched(A)], DISPATCH, 0, 0.0,
                     id="nor what is gone"),
        pytest.param([lambda t: t.failed(A), lambda t: t.failed(B), lambda t: t.failed(A),
                      lambda t: t.halted([A, B])], HALT, 1, 3.0, id="from the first verdict"),
        pytest.param([lambda t: t.failed(A), lambda t: t.succeeded(A), lambda t: t.halted([A])],
                     HALT, 0, 0.0, id="not from one that turned out well"),
        pytest.param([lambda t: t.failed(A), lambda t: t.wished(A), lambda t: t.failed(B),
                      lambda t: t.halted([A, B])], HALT, 1, 1.0,
                     id="not from one of a revision that was superseded"),
        pytest.param([lambda t: t.failed(A), lambda t: t.forget(A), lambda t: t.halted([A])],
                     HALT, 0, 0.0, id="not from one that is gone"),
    ],
)  # fmt: skip
def test_durations(steps: list[Step], metric: str, count: int, total: float) -> None:
    """A second lies between two steps."""
    metrics, clock = HubMetrics(), FakeClock()
    timers = Timers(metrics, clock)
    for number, step in enumerate(steps):
        if number:
            clock.advance(1)
        step(timers)
    text = metrics.exposition().decode()
    assert f"{metric}_count {float(count)}" in text
    assert f"{metric}_sum {total}" in text
