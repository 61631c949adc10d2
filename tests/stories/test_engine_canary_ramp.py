"""Stories of `promotionSteps`: a canary gets the rest of the traffic bit by bit."""

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core.feedback import validation
from tests import gen
from tests.kulta.world import World, canary_world


def ramped(*weights: int, judged: bool = False, dynamic: bool = False) -> World:
    """shop:v2 waits at 50 %; then these weights."""
    world = canary_world(routed=True, replicas=10)
    more = {"analysis": gen.analysis(interval="10s")} if judged else {}
    strategy = gen.canary((50, None), routed=True, promotionSteps=list(weights), **more)
    strategy["canary"]["dynamicStableScale"] = dynamic
    world.manifest["spec"]["strategy"] = strategy
    world.answer = lambda text: 1_000.0 if "increase" in text else 0.5
    world.settle()
    world.weights.clear()
    world.image("shop:v2")
    world.run(300)
    assert (world.status.phase, world.split()) == (Phase.PAUSED, (50, 50))
    return world


@pytest.mark.parametrize("dynamic", [False, True], ids=["stable keeps its pods", "stable shrinks"])
def test_the_promotion_goes_by_its_weights(dynamic: bool) -> None:
    """[KH-73] From 50: 70, 90, 100; all pods are ready before the first of them."""
    world = ramped(70, 90, dynamic=dynamic)
    world.annotate("promote")

    def all_there(seen: World) -> None:
        if seen.split()[1] > 50:
            assert seen.ready("shop:v2") == 10

    world.after_each = all_there
    world.settle()
    assert world.weights == [50, 70, 90, 0]
    assert world.status.phase is Phase.COMPLETED
    assert world.behind(gen.STABLE) == {gen.revision("shop:v2")}
    assert world.split() == (100, 0)


def test_each_weight_lasts_for_the_interval_of_the_analysis() -> None:
    world = ramped(70, 90, judged=True)
    world.annotate("promote")
    began = world.now
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    done = next(x for x in reversed(world.status.decisions) if x.action == "Complete").timestamp
    assert done is not None
    assert 20 <= (done - began).total_seconds() <= 40


def test_a_bad_check_on_the_way_takes_it_back() -> None:
    world = ramped(70, 90, judged=True)
    world.annotate("promote")
    while world.split()[1] != 70:
        world.run(1)
    world.answer = lambda text: 1_000.0 if "increase" in text else 50.0
    world.settle()
    assert world.status.phase is Phase.FAILED
    assert (world.ready("shop:v1"), world.size("shop:v2")) == (10, 0)
    assert world.split() == (100, 0)


def test_it_cannot_follow_all_the_traffic() -> None:
    analysis = gen.analysis()
    strategy = gen.canary(20, routed=True, promotionSteps=[70], analyzeAtFull={}, analysis=analysis)
    (problem,) = validation.of_manifest(gen.manifest(strategy=strategy))
    assert "promotionSteps cannot stand beside analyzeAtFull" in problem


def test_an_engine_that_dies_after_a_weight_takes_it_for_its_own() -> None:
    """The next step has its pods already: that it begins is known before its weight is in force."""
    world = canary_world((20, "5s"), (60, "5s"), (80, "5s"), routed=True, replicas=1)
    world.settle()
    world.cut = True
    world.weights.clear()
    world.image("shop:v2")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.weights == [20, 60, 80, 0]
    assert world.status.restores == 0
