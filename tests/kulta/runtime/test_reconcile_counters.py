"""A status that differs only in counters waits for a better reason to be written."""

from datetime import timedelta

import pytest

from fleet.api.rollout import RolloutStatus
from fleet.errors import Conflict, FleetError, Unreachable
from fleet.kulta.core.actions import Plan
from tests.kulta.runtime.test_reconcile import GOING, Bench


def later(ready: int, seconds: float) -> Plan:
    """A status that differs only in counters."""
    status = RolloutStatus(ready_replicas=ready)
    return Plan(status=status, may_wait=timedelta(seconds=seconds))


async def test_counters_wait_for_a_better_reason() -> None:
    bench = Bench()
    await bench.go(later(1, 5))
    assert (bench.writes, bench.queue.after) == ([], [5.0])
    bench.clock.advance(2)
    await bench.go(later(1, 5))
    assert (bench.writes, bench.queue.after[1:]) == ([], [3.0])
    bench.clock.advance(3)
    await bench.go(later(1, 5))
    assert bench.writes == ["replace Rollout"]


@pytest.mark.parametrize(
    ("first", "then", "left"),
    [
        pytest.param(30, 5, 5.0, id="what may not wait so long hastens them"),
        pytest.param(5, 30, 3.0, id="what may wait longer delays nothing"),
    ],
)
async def test_counters_are_written_when_the_first_is_due(
    first: float, then: float, left: float
) -> None:
    bench = Bench()
    await bench.go(later(1, first))
    bench.clock.advance(2)
    await bench.go(later(2, then))
    assert (bench.writes, bench.queue.after[-1]) == ([], left)
    bench.clock.advance(left)
    await bench.go(later(2, then))
    assert bench.writes == ["replace Rollout"]


async def test_counters_ride_on_an_urgent_status() -> None:
    bench = Bench()
    await bench.go(later(1, 5))
    await bench.go(Plan(status=GOING))
    await bench.go(Plan(status=GOING))
    assert bench.writes == ["replace Rollout"]


@pytest.mark.parametrize("error", [Conflict("moved"), Unreachable("away")])
async def test_counters_that_could_not_be_written_are_due_still(error: FleetError) -> None:
    bench = Bench()
    await bench.go(later(1, 30))
    bench.clock.advance(30)
    bench.kube.failures.append(("replace", error))
    await bench.go(later(1, 30))
    bench.clock.advance(6)
    await bench.go(later(1, 30))
    assert bench.stored["status"]["readyReplicas"] == 1
