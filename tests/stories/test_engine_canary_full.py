"""Stories of `analyzeAtFull`: all the traffic on the new revision, judged before the promotion."""

from typing import Any

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core.feedback import validation
from tests import gen
from tests.kulta.world import World, canary_world

METRICS = gen.analysis(interval="10s")
STEPS = [
    pytest.param([20], id="steps that end before all the traffic"),
    pytest.param([20, 100], id="steps that end with all the traffic"),
]
WAYS = pytest.mark.parametrize("routed", [True, False], ids=["by a route", "by numbers of pods"])


def full(weights: list[int], *, routed: bool, checks: int = 3) -> World:
    """A world in which the new revision is judged at its last step, with good numbers so far."""
    more: dict[str, Any] = {"analyzeAtFull": {"iterations": checks}, "analysis": METRICS}
    world = canary_world(routed=routed, replicas=5)
    world.manifest["spec"]["strategy"] = gen.canary(*weights, routed=routed, **more)
    world.answer = lambda text: 1_000.0 if "increase" in text else 0.5
    world.settle()
    world.image("shop:v2")
    while world.state[1] != len(weights) or world.status.reached_step_index != len(weights):
        world.run(1)
    return world


@WAYS
@pytest.mark.parametrize("weights", STEPS)
def test_so_many_good_checks_come_before_the_promotion(weights: list[int], routed: bool) -> None:
    world = full(weights, routed=routed)
    began = world.now
    assert world.status.step == f"{len(weights) + 1}/{len(weights) + 1}"
    assert "100%" in world.status.message
    assert world.ready("shop:v2") == 5
    if routed:
        assert (world.split(), world.size("shop:v1")) == ((0, 100), 5)
    while world.status.phase is not Phase.COMPLETED:
        assert world.status.stable_pod_hash == gen.revision("shop:v1")
        world.run(1)
    assert 20 <= (world.now - began).total_seconds() <= 40
    assert world.state == (Phase.COMPLETED, len(weights) + 1, 100)
    assert world.split() == (100, 0) if routed else world.size("shop:v1") == 0


@WAYS
@pytest.mark.parametrize("weights", STEPS)
def test_a_bad_check_with_all_the_traffic_takes_it_back(weights: list[int], routed: bool) -> None:
    world = full(weights, routed=routed)
    world.answer = lambda text: 1_000.0 if "increase" in text else 50.0
    world.settle()
    assert world.status.phase is Phase.FAILED
    assert (world.ready("shop:v1"), world.size("shop:v2")) == (5, 0)
    if routed:
        assert world.split() == (100, 0)


def test_a_person_need_not_wait_for_the_checks() -> None:
    world = full([20], routed=True, checks=100)
    world.annotate("promote")
    world.run(60)
    assert world.status.phase is Phase.COMPLETED


def test_it_needs_something_to_judge_by() -> None:
    strategy = gen.canary(20, routed=True, analyzeAtFull={})
    (problem,) = validation.of_manifest(gen.manifest(strategy=strategy))
    assert "canary.analyzeAtFull has nothing to judge by" in problem
    assert "write canary.analysis.metrics: [{name: error-rate" in problem
