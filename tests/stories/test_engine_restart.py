"""`kulta.io/restart`: new pods for the revision that serves, within the bounds in every case."""

from typing import Any

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core import actions as act
from tests import gen
from tests.kulta.world import World, blue_green_world, canary_world


def serving(**spec: Any) -> World:
    """v1 is stable, with four pods."""
    world = World(gen.manifest(strategy={"simple": {}}, **{"replicas": 4, **spec}))
    return world.settle()


def ask(world: World) -> set[str]:
    """Ask for a restart; the names of the pods that are there."""
    before = set(world.pods)
    world.annotate("restart")
    return before


def watched(world: World) -> list[tuple[int, int]]:
    """Ready pods and all pods, at each moment from now on."""
    seen: list[tuple[int, int]] = []

    def look(world: World) -> None:
        ready = sum(pod.ready for pod in world.pods.values())
        seen.append((ready, len(world.pods)))

    world.after_each = look
    return seen


BOUNDS = [
    pytest.param({"maxSurge": 1}, 4, 5, id="one pod more at a time"),
    pytest.param({"maxSurge": "50%"}, 4, 6, id="two pods more at a time"),
    pytest.param({"maxSurge": "100%"}, 4, 8, id="all at once"),
    pytest.param({"maxSurge": 0, "maxUnavailable": 1}, 3, 4, id="one pod less at a time"),
    pytest.param({"maxSurge": 0, "maxUnavailable": "100%"}, 0, 4, id="none in between"),
]


@pytest.mark.parametrize(("spec", "least", "most"), BOUNDS)
def test_every_pod_is_replaced_within_the_bounds(
    spec: dict[str, Any], least: int, most: int
) -> None:
    world = serving(**spec)
    before, seen = ask(world), watched(world)
    world.run(120)
    assert before.isdisjoint(world.pods)
    assert (min(ready for ready, _ in seen), max(count for _, count in seen)) == (least, most)
    assert (world.status.phase, world.status.replicas) == (Phase.COMPLETED, 4)
    assert world.annotations == {}
    (told,) = [item for item in world.actions(act.Emit) if item.reason == "Restarting"]
    assert told.kind == "Normal"
    assert told.message.startswith("4 pods of revision")


def test_a_restart_is_carried_on_after_a_crash_at_any_point() -> None:
    world = serving(maxSurge=1)
    before = ask(world)
    world.cut = True
    world.run(300)
    assert before.isdisjoint(world.pods)
    assert len(world.pods) == 4


def test_pods_that_do_not_become_ready_cost_none_of_the_others() -> None:
    world = serving(maxSurge=2)
    before = ask(world)
    world.born = dict.fromkeys(before, world.now.replace(year=2000))
    world.startup = 10_000.0
    world.run(600)
    assert before < set(world.pods)
    assert sum(pod.ready for pod in world.pods.values()) == 4
    world.startup = 2.0
    world.run(600)
    assert before.isdisjoint(world.pods)


def test_what_is_on_its_way_is_not_restarted() -> None:
    world = canary_world((50, None), 100, routed=True, replicas=4).settle()
    world.image("shop:v2")
    world.run(60)
    before = ask(world)
    world.run(60)
    assert set(world.pods) == before
    assert world.actions(act.Emit)[-1].reason == "NothingToDo"
    assert world.annotations == {}


def test_a_new_template_goes_before_what_is_left_of_a_restart() -> None:
    world = serving(maxSurge=1)
    before = ask(world)
    world.run(5)
    assert before & set(world.pods)
    world.image("shop:v2")
    world.run(120)
    assert world.status.phase is Phase.COMPLETED
    assert {pod.hash for pod in world.pods.values()} == {gen.revision("shop:v2")}
    assert not any(pod.leaving for pod in world.pods.values())


def test_what_serves_after_a_failure_can_be_restarted() -> None:
    world = canary_world(50, 100, routed=True, replicas=4, progressDeadlineSeconds=60).settle()
    world.broken = {gen.revision("shop:v2")}
    world.image("shop:v2")
    world.run(300)
    assert world.status.phase is Phase.FAILED
    before = ask(world)
    world.run(120)
    assert before.isdisjoint(world.pods)
    assert {pod.hash for pod in world.pods.values()} == {gen.revision("shop:v1")}


def test_it_waits_for_old_pods_that_stay_for_a_while() -> None:
    """Blue-green has room for two revisions, and for no pod more."""
    world = blue_green_world(routed=True, replicas=4, after=0, scaleDownDelay="60s").settle()
    world.image("shop:v2")
    world.run(20)
    assert world.status.phase is Phase.COMPLETED
    before = ask(world)
    world.run(20)
    assert set(world.pods) == before
    world.run(200)
    assert before.isdisjoint(world.pods)


def test_scaling_goes_before_and_a_restart_goes_on() -> None:
    world = serving(maxSurge=1)
    before = ask(world)
    world.run(3)
    world.update(replicas=8)
    world.run(200)
    assert before.isdisjoint(world.pods)
    assert len(world.pods) == 8


def test_nothing_is_there_to_restart() -> None:
    world = serving(replicas=0)
    ask(world)
    world.run(10)
    assert world.actions(act.Emit)[-1].reason == "NothingToDo"
