"""Stories of a revision that has traffic when the next one comes, and of who takes that over."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from fleet.api.rollout import Phase
from tests import gen
from tests.kulta import checker
from tests.kulta.ab import ab_world
from tests.kulta.world import World, blue_green_world, canary_world

V1, V2, V3 = (gen.revision(f"shop:v{number}") for number in (1, 2, 3))


def switching() -> World:
    """A blue-green world whose route leads to shop:v2 while the active Service does not yet."""
    world = blue_green_world(routed=True)
    world.settle()
    world.image("shop:v2")
    world.run(30)
    world.annotate("promote")
    while world.split() != (0, 100):
        world.tick()
    return world


def half(*, dynamic: bool = False, is_known: bool = False) -> World:
    """A canary world whose route leads half of the traffic to shop:v2; `is_known`: shop:v3 was
    stable before shop:v1, so that it needs no steps."""
    world = canary_world((50, None), 100, routed=True, maxSurge=0, maxUnavailable=1)
    world.manifest["spec"]["strategy"]["canary"]["dynamicStableScale"] = dynamic
    world.settle()
    for image in ("shop:v3", "shop:v1") if is_known else ():
        world.update(rollbackWindow=2)
        world.image(image)
        world.settle()
        world.annotate("promote")
        world.settle()
    world.image("shop:v2")
    world.run(60)
    assert world.split() == (50, 50)
    return world


def lose(world: World, revision: str) -> None:
    """None of its pods is ready any more."""
    world.strict = False
    world.broken.add(revision)
    for key, pod in world.pods.items():
        if pod.hash == revision:
            world.pods[key] = replace(pod, ready=False)


CASES = [
    pytest.param(half, True, id="half of a canary, the stable revision is down"),
    pytest.param(lambda: half(dynamic=True), False, id="half of a canary, the stable one is small"),
    pytest.param(switching, True, id="all of blue-green, the stable revision is down"),
]


@pytest.mark.parametrize(("begun", "is_down"), CASES)
def test_who_is_promoted_at_once_takes_nothing_from_ready_pods_before(
    begun: Callable[[], World], is_down: bool
) -> None:
    """The stable revision cannot serve it, so it stays with the one that is given up."""
    world = begun()
    if is_down:
        lose(world, V1)

    def look(world: World) -> None:
        names = [(gen.STABLE, gen.CANARY), (gen.ACTIVE, gen.PREVIEW)][gen.PREVIEW in world.services]
        shares = zip(names, world.split(), strict=True)
        held = {item: share for name, share in shares for item in world.behind(name) if share}
        assert held, "nobody serves"
        assert held.get(V1, 0) <= (0 if is_down else 50), "more than it has pods for"

    world.after_each = look
    world.image("shop:v3")
    world.run(1)
    world.annotate("promote-full")
    world.run(120)
    assert (world.status.phase, world.status.stable_pod_hash) == (Phase.COMPLETED, V3)
    assert (world.split(), world.size("shop:v2")) == ((100, 0), 0)


def test_who_is_promoted_at_once_waits_for_addresses_that_lag() -> None:
    """The stable revision has its pods again and just nobody leads to them: no third set beside."""
    world = half(dynamic=True)
    world.sliced = False
    world.image("shop:v3")
    world.run(60)
    assert (world.ready("shop:v1"), world.ready("shop:v2"), world.split()) == (4, 2, (50, 50))
    world.annotate("promote-full")
    world.run(60)
    assert (world.size("shop:v1"), world.size("shop:v2"), world.size("shop:v3")) == (4, 2, 2)
    assert world.split() == (50, 50)
    world.sliced = True
    world.settle()
    assert (world.status.phase, world.status.stable_pod_hash) == (Phase.COMPLETED, V3)
    assert (world.split(), world.size("shop:v2")) == ((100, 0), 0)


def experimenting() -> World:
    """An experiment that leads those who have a cookie to shop:v2."""
    world = ab_world()
    world.settle()
    world.image("shop:v2")
    world.run(10)
    return world


HELD = [
    pytest.param(switching, id="blue-green on its way over"),
    pytest.param(experimenting, id="an experiment"),
    pytest.param(lambda: half(dynamic=True, is_known=True), id="a canary, then one without steps"),
]


@pytest.mark.parametrize("begun", HELD)
def test_who_is_given_up_loses_its_traffic_though_the_next_may_not_begin(
    begun: Callable[[], World],
) -> None:
    world = begun()
    assert share(world) > 0
    world.update(paused=True)
    world.image("shop:v3")
    world.run(120)
    assert (world.condition("Paused"), world.size("shop:v3")) == (("True", "UserPaused"), 0)
    assert share(world) == 0
    assert world.behind(gen.ACTIVE if gen.ACTIVE in world.services else gen.STABLE) == {V1}


def share(world: World) -> int:
    """Percent that leads to another Service than the stable one."""
    if gen.VARIANT in world.services:
        return 100 if gen.VARIANT in checker.leads(world) else 0
    return world.split()[1]


def test_traffic_stays_with_what_is_given_up_where_the_stable_set_was_deleted() -> None:
    """Its pods serve until those of the next revision are ready, which then takes their place."""
    world = half()
    del world.sets[V1]
    world.pods = {key: pod for key, pod in world.pods.items() if pod.hash != V1}
    world.strict = False  # half of the traffic is lost already
    world.run(1)
    world.startup = 30.0
    world.image("shop:v3")
    world.run(20)
    assert (world.split(), world.behind(gen.CANARY)) == ((50, 50), {V2})
    world.run(60)
    assert (world.split(), world.behind(gen.CANARY)) == ((50, 50), {V3})
    world.annotate("promote")
    world.settle()
    assert world.status.phase is Phase.COMPLETED
    assert world.behind(gen.STABLE) == {V3}
