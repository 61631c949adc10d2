"""Hub and engine together: the manifests that the hub writes, taken by the real engine core.

Everything else about the hub is told with an imitation of an engine; what that imitation accepts
must be what an engine accepts. Here nothing between Application and Rollout status is imitated but
pods, gateway and metrics.
"""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from tests.hub import world
from tests.hub.real import Real
from tests.hub.world import ClusterName

ANALYSIS = {
    "prometheus": {"address": "http://prometheus:9090"},
    "interval": "10s",
    "metrics": [{"name": "error-rate", "threshold": 5.0}],
}
STEPS = [{"setWeight": 50, "pause": {"duration": "30s"}}, {"setWeight": 100}]
STRATEGY = {"canary": {"steps": STEPS, "analysis": ANALYSIS}}
TICKS = 90


def deliver(here: world.World, image: str) -> world.World:
    return world.deliver(here, image, strategy=STRATEGY)


def until(here: world.World, phase: ClusterPhase, name: str = "a") -> world.World:
    """Ticks until that cluster is there."""
    for _ in range(TICKS):
        here = world.tick(here)
        if name in here.items and here.phase(name) is phase:
            return here
    raise AssertionError(f"{name} is {here.cluster(name).status}")


def finish(here: world.World, **changes: Any) -> world.World:
    """Ticks until the newest run has an end or is halted."""
    return world.settle(here, ticks=TICKS, **changes)


def rollout(here: world.World, name: str = "a") -> dict[str, Any]:
    return here.objects[ClusterName(name)]["rollouts", "checkout", "checkout"]


@pytest.fixture
def first() -> world.World:
    """One member that runs v1."""
    made = replace(world.new("a", strategy=STRATEGY), engines=Real())
    return finish(made)


@pytest.fixture
def failed(first: world.World) -> world.World:
    """A second revision that its engine took back."""
    return finish(deliver(first, "shop:bad"))


def test_a_first_delivery_completes(first: world.World) -> None:
    assert first.run.status.phase is RunPhase.SUCCEEDED
    assert rollout(first)["status"]["phase"] == "Completed"
    assert first.cluster("a").status.engine.available is True


def test_a_second_revision_goes_through_its_steps(first: world.World) -> None:
    here = until(deliver(first, "shop:v2"), ClusterPhase.PAUSED)
    assert here.cluster("a").status.engine.step == "1/2"
    done = finish(here)
    assert done.run.status.phase is RunPhase.SUCCEEDED
    assert done.cluster("a").status.last_good.run == "checkout-2"


def test_a_failure_is_reported_with_its_metric(failed: world.World) -> None:
    status = failed.cluster("a").status
    assert (status.phase, status.reason) == (ClusterPhase.FAILED, "AnalysisFailed")
    assert "error-rate: 12.4 against a threshold of 5" in status.message
    assert failed.run.status.phase is RunPhase.HALTED


def test_a_retry_makes_the_engine_try_again(failed: world.World) -> None:
    engines = failed.engines
    assert isinstance(engines, Real)
    engines.mended = True
    done = finish(failed, request="retry/1")
    assert done.run.status.phase is RunPhase.SUCCEEDED
    assert rollout(done)["status"]["phase"] == "Completed"
    assert "kulta.io/retry" not in rollout(done)["metadata"]["annotations"]
    applied = [line for line in done.log if line.startswith("a apply")]
    assert applied == ["a apply 1", "a apply 2", "a apply 3"], "asked once"


def test_a_hold_stops_the_steps_and_its_release_lets_them_go_on(first: world.World) -> None:
    here = until(deliver(first, "shop:v2"), ClusterPhase.PAUSED)
    held = world.settle(here, ticks=30, request="pause/1")
    assert rollout(held)["spec"]["hold"]["reason"]
    assert rollout(held)["status"]["currentStepIndex"] == 0
    assert held.cluster("a").status.reason == "Held"
    done = finish(held, request="resume/2")
    assert "hold" not in rollout(done)["spec"]
    assert done.run.status.phase is RunPhase.SUCCEEDED


def test_a_revision_that_is_superseded_goes_back_first(first: world.World) -> None:
    here = until(deliver(first, "shop:v2"), ClusterPhase.PAUSED)
    done = finish(deliver(here, "shop:v3"))
    assert done.run.status.phase is RunPhase.SUCCEEDED
    assert done.image("a") == "shop:v3"
