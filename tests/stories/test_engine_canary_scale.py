"""Stories of pods apart from the weight: `setCanaryScale`, and steps that not all pods must reach.

Every story runs on the small world of `tests/kulta/world.py`, whose checker refuses weight without
ready pods and too many pods on every turn.
"""

from typing import Any

import pytest

from fleet.api.rollout import Phase
from tests import gen
from tests.kulta.world import World, canary_world

Step = dict[str, Any]
STOP = {"pause": {}}


def scaled(**scale: object) -> Step:
    """A step that asks for pods and waits for a person."""
    return {"setCanaryScale": scale, **STOP}


def weighed(weight: int, **more: Any) -> Step:
    return {"setWeight": weight, **STOP, **more}


def running(*steps: Step, number: int = 10, **more: Any) -> World:
    """A world whose first revision is complete and whose second has begun."""
    world = canary_world(routed=True, replicas=number)
    strategy = gen.canary(routed=True, steps=list(steps), **more)
    world.manifest["spec"]["strategy"] = strategy
    world.settle()
    world.weights.clear()
    world.image("shop:v2")
    return world.run(60)


def onward(world: World) -> World:
    """Somebody ends the pause."""
    world.annotate("promote")
    return world.run(120)


def stands(world: World) -> tuple[int, int]:
    """Pods and percent of the new revision, once its step is reached."""
    assert world.status.phase is Phase.PAUSED
    return world.size("shop:v2"), world.split()[1]


WAYS = [
    pytest.param(
        [scaled(replicas=3), weighed(10), weighed(50)],
        [(3, 0), (1, 10), (5, 50)],
        id="pods before any traffic, and each weight has its own size again",
    ),
    pytest.param(
        [weighed(10), scaled(percent=55), scaled(matchTrafficWeight=True)],
        [(1, 10), (6, 10), (1, 10)],
        id="a percentage is rounded up, and the weight's size comes back when asked for",
    ),
    pytest.param(
        [weighed(50, setCanaryScale={"replicas": 2}), {"setCanaryScale": {"replicas": 0}, **STOP}],
        [(2, 50), (1, 50)],
        id="fewer pods than the weight wants, but one as long as there is traffic",
    ),
    pytest.param(
        [scaled(replicas=99), scaled(percent=0)],
        [(10, 0), (0, 0)],
        id="never more pods than replicas, and none where nobody is led to them",
    ),
]


@pytest.mark.parametrize("dynamic", [False, True], ids=["stable keeps its pods", "stable shrinks"])
@pytest.mark.parametrize(("steps", "wanted"), WAYS)
def test_pods_apart_from_the_weight(
    steps: list[Step], wanted: list[tuple[int, int]], dynamic: bool
) -> None:
    world = running(*steps, dynamicStableScale=dynamic)
    seen = [stands(world)]
    while len(seen) < len(steps):
        seen.append(stands(onward(world)))
    assert seen == wanted
    onward(world).settle()
    assert world.status.phase is Phase.COMPLETED
    assert (world.size("shop:v1"), world.ready("shop:v2")) == (0, 10)
    assert world.split() == (100, 0)


def test_what_the_new_pods_lack_the_old_ones_keep() -> None:
    """A stable revision that shrinks does so only as far as the others can bear it."""
    world = running(weighed(50, setCanaryScale={"replicas": 2}), dynamicStableScale=True)
    assert (world.size("shop:v1"), world.size("shop:v2")) == (8, 2)


def test_pods_that_become_fewer_wait_for_the_old_ones() -> None:
    """5 of 10, then 2: the old revision has 8 ready pods before the new one loses any."""
    world = running(weighed(50), scaled(replicas=2), dynamicStableScale=True)
    assert (world.size("shop:v1"), world.size("shop:v2")) == (5, 5)

    def enough(seen: World) -> None:
        assert seen.ready("shop:v1") + seen.ready("shop:v2") >= 10

    world.after_each = enough
    onward(world)
    assert (world.size("shop:v1"), world.size("shop:v2")) == (8, 2)


def test_a_step_of_pods_says_what_it_is_about() -> None:
    world = running(scaled(replicas=3), weighed(10), scaled(percent=50))
    told = [world.writes[-1].step, *(item.message for item in world.status.decisions)]
    onward(onward(world))
    told += [item.message for item in world.status.decisions[-2:]]
    text = "\n".join(told)
    assert f"step 3 of 3: 10%, 50% of the pods for revision {gen.revision('shop:v2')}" in text


def test_a_hold_keeps_the_pods_of_the_step_before() -> None:
    world = running(scaled(replicas=3), weighed(50))
    world.update(paused=True)
    world.run(10)
    onward(world)
    assert (world.size("shop:v2"), world.split()) == (3, (100, 0))


def test_nothing_is_judged_before_the_first_weight() -> None:
    """There is no traffic yet that an analysis could wait for."""
    world = canary_world(routed=True)
    metrics = gen.analysis({"name": "error-rate", "threshold": 5.0})
    steps = [{"setCanaryScale": {"replicas": 2}}, weighed(20)]
    world.manifest["spec"]["strategy"] = gen.canary(routed=True, steps=steps, analysis=metrics)
    world.settle()
    world.answer = lambda text: None
    world.asked.clear()
    world.image("shop:v2")
    world.tick()
    while world.state[1] == 0:
        assert world.asked == []
        world.run(1)
    assert world.state == (Phase.PAUSED, 1, 20)
    assert world.asked != []


def test_copies_of_requests_are_judged_before_the_first_weight() -> None:
    more = {"analysis": gen.analysis(), "mirror": True}
    world = running({"setCanaryScale": {"replicas": 2}}, weighed(20), **more)
    assert world.state == (Phase.PROGRESSING, 0, 0)
    assert world.asked != []


def test_pods_of_a_step_follow_the_number_of_replicas() -> None:
    world = running(weighed(20, setCanaryScale={"percent": 50}))
    assert world.size("shop:v2") == 5
    world.update(replicas=20)
    world.run(60)
    assert world.size("shop:v2") == 10


def test_a_rollback_takes_traffic_first_and_then_all_the_pods() -> None:
    world = running(weighed(10, setCanaryScale={"replicas": 6}))
    world.annotate("rollback")
    world.settle()
    assert world.status.phase is Phase.FAILED
    assert (world.size("shop:v1"), world.size("shop:v2")) == (10, 0)
    assert world.split() == (100, 0)


class TestReadyThreshold:
    """How many of the new pods a step needs."""

    @pytest.mark.parametrize(
        ("threshold", "ready", "is_reached"),
        [
            pytest.param(100, 4, False, id="by default all of them"),
            pytest.param(80, 4, True, id="four of five are 80 percent"),
            pytest.param(80, 3, False, id="three of five are less"),
            pytest.param(61, 3, False, id="what is asked for is rounded up"),
            pytest.param(1, 1, True, id="at least one"),
        ],
    )
    def test_a_step_is_reached_with_so_many(
        self, threshold: int, ready: int, is_reached: bool
    ) -> None:
        world = self.limping(threshold, ready)
        assert world.ready("shop:v2") == ready
        assert world.split()[1] == (50 if is_reached else 0)
        assert (world.status.phase is Phase.PAUSED) == is_reached

    @pytest.mark.parametrize("last", [[{"setWeight": 100}], []], ids=["at 100", "after the last"])
    def test_all_the_traffic_needs_all_the_pods(self, last: list[Step]) -> None:
        world = self.limping(60, 3, *last)
        onward(world)
        assert world.status.phase is Phase.PROGRESSING
        assert world.split()[1] == 50
        assert world.behind(gen.STABLE) == {gen.revision("shop:v1")}

    def test_a_stable_revision_that_shrinks_makes_up_for_the_missing(self) -> None:
        world = self.limping(60, 3, dynamicStableScale=True)
        assert world.split()[1] == 50
        assert (world.ready("shop:v1"), world.ready("shop:v2")) == (7, 3)

    def limping(self, threshold: int, ready: int, *last: Step, **more: Any) -> World:
        """A world where only so many of the new pods ever become ready."""
        world = canary_world(routed=True, replicas=10)
        steps = [weighed(50), *last]
        more = {"readyThreshold": threshold, **more}
        world.manifest["spec"]["strategy"] = gen.canary(routed=True, steps=steps, **more)
        world.settle()
        world.able = {gen.revision("shop:v2"): ready}
        world.image("shop:v2")
        return world.run(60)
