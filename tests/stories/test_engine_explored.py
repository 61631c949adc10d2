"""What the search through every state found (`tests.kulta.core.test_exploration`), one by one."""

from collections.abc import Callable
from typing import Any

import pytest

from fleet.api.rollout import Phase
from tests import gen
from tests.kulta import nature
from tests.kulta.world import World, blue_green_world
from tests.stories.test_engine_canary import running

OLD, NEW = gen.revision("shop:v1"), gen.revision("shop:v2")


class Reached(Exception):
    """The moment has come."""


def until(world: World, is_so: Callable[[], bool]) -> None:
    """Right up to the write after which that is so; there the engine dies."""

    def look(_: World) -> None:
        if is_so():
            raise Reached

    world.after_each = look
    with pytest.raises(Reached):
        world.settle()
    world.after_each = lambda _: None
    world.restart()


def leads_to(world: World, service: str, revision: str) -> bool:
    return world.services[service].selector.get("rollouts.kulta.io/hash") == revision


def served(world: World) -> int:
    """Ready pods behind the addresses that have traffic."""
    split = zip((gen.STABLE, gen.CANARY), world.split(), strict=True)
    uids = {uid for name, weight in split if weight for uid in world.slices[name]}
    return sum(pod.ready for pod in world.pods.values() if pod.uid in uids)


def test_addresses_that_lag_keep_the_pods_of_a_promotion_that_is_superseded() -> None:
    """The stable Service points back at once; as long as its slices still lead to the revision that
    is given up, that keeps its pods."""
    world = running((50, "5s"), routed=True, replicas=1)
    world.image("shop:v2")
    until(world, lambda: leads_to(world, gen.STABLE, NEW))
    nature.turn(world)
    world.sliced = False
    world.image("shop:v3")
    world.run(60)
    assert leads_to(world, gen.STABLE, OLD)
    assert served(world) == world.size("shop:v2") == 1
    world.sliced = True
    world.settle()
    assert (world.size("shop:v2"), world.ready("shop:v3")) == (0, 1)


def test_a_restart_waits_for_the_addresses_of_the_new_pods() -> None:
    world = running(50, routed=True, replicas=1)
    old = set(world.pods)
    world.sliced = False
    world.annotate("restart")
    world.run(60)
    assert old < set(world.pods)
    world.sliced = True
    world.settle()
    assert not old & set(world.pods)
    assert served(world) == 1


def shrunken(weight: int = 75) -> World:
    """At 75 %: the stable revision has one of its four pods left."""
    world = running((weight, None), routed=True)
    world.manifest["spec"]["strategy"]["canary"]["dynamicStableScale"] = True
    world.image("shop:v2")
    world.run(30)
    assert (world.split(), world.size("shop:v1")) == ((25, 75), 1)
    world.after_each = lambda _: _check(world)
    return world


def _check(world: World) -> None:
    assert served(world) >= 4


def test_a_shrunken_stable_revision_takes_back_what_is_superseded_as_its_pods_are_ready() -> None:
    world = shrunken()
    world.image("shop:v3")
    world.run(30)
    assert world.size("shop:v2") == 0
    assert world.split() == (25, 75)
    assert world.ready("shop:v3") == 3


def test_a_shrunken_stable_revision_takes_back_what_is_given_up_as_its_pods_are_ready() -> None:
    world = shrunken()
    world.image("shop:v1")
    world.settle()
    assert (world.size("shop:v2"), world.ready("shop:v1"), world.split()) == (0, 4, (100, 0))


def test_what_has_no_ready_pod_left_keeps_no_traffic_until_the_stable_one_has_grown() -> None:
    world = shrunken()
    world.after_each = lambda _: None
    world.startup, world.broken, world.strict = 20, {NEW}, False
    nature.turn(world)
    world.annotate("abort")
    world.run(1)
    assert (world.size("shop:v1"), world.ready("shop:v1")) == (4, 1)
    assert world.split() == (100, 0)


def alone(weight: int = 50) -> World:
    """At 50 %, and then every pod of the stable revision fails."""
    world = running((weight, None), 75, routed=True, replicas=2)
    world.image("shop:v2")
    world.run(30)
    assert world.split() == (50, 50)
    world.strict, world.able = False, {OLD: 0}
    world.run()
    world.after_each = lambda _: _some(world)
    return world


def _some(world: World) -> None:
    assert served(world)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"template": gen.template("shop:v3")}, id="superseded"),
        pytest.param({"template": gen.template("shop:v1")}, id="given up"),
        pytest.param({"hold": {"reason": "halted"}}, id="held"),
    ],
)
def test_traffic_stays_at_the_only_pods_that_are_ready(change: dict[str, Any]) -> None:
    world = alone()
    world.update(**change)
    world.run(5)
    assert world.split() == (50, 50)
    world.able = {}
    world.update(hold=None)
    world.run(60)
    assert world.ready("shop:v1") == 2


def test_promote_full_makes_room_before_it_fills_it() -> None:
    """Active at v2 already, preview too; v3 supersedes it and is wanted at once: never three."""
    world = blue_green_world(after=5, replicas=2).settle()
    world.image("shop:v2")
    until(world, lambda: leads_to(world, gen.ACTIVE, NEW))
    nature.turn(world)
    world.image("shop:v3")
    world.tick()
    world.annotate("promote-full")
    world.settle()
    assert (world.status.phase, world.ready("shop:v3")) == (Phase.COMPLETED, 2)
    assert (world.size("shop:v1"), world.size("shop:v2")) == (0, 0)


def test_a_stable_revision_that_is_to_shrink_leaves_room_for_the_next_one() -> None:
    """Fewer replicas and another revision at once, where the stable set shrinks with the weight."""
    world = running((50, None), routed=True)
    world.manifest["spec"]["strategy"]["canary"]["dynamicStableScale"] = True
    world.update(replicas=2, template=gen.template("shop:v2"))
    world.run(30)
    assert (world.status.phase, world.split()) == (Phase.PAUSED, (50, 50))
    assert (world.ready("shop:v1"), world.ready("shop:v2")) == (1, 1)
