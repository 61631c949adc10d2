"""Stories of pods that cannot become ready: whoever reads the status reads why.

An image that is nowhere, a ConfigMap that is missing, a crash, no node: what a kubelet and a
scheduler say of pods is told while they are awaited, and when they are given up. Which of their
words count is in `runtime/test_decode`; sets that cannot make pods are in `test_engine_canary`.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from fleet.api.rollout import Phase
from tests import gen
from tests.kulta.ab import ab_world
from tests.kulta.world import World, blue_green_world, canary_world

V1, V2 = gen.revision("shop:v1"), gen.revision("shop:v2")
WORD = "ImagePullBackOff"
IMAGE = "registry.example.com/shop:v2"


def ail(world: World, revision: str, word: str, count: int = 99, image: str = "") -> World:
    """`count` pods of a revision cannot become ready, the others of it have nothing known."""
    own = [key for key, pod in world.pods.items() if pod.hash == revision]
    for number, key in enumerate(own):
        told = (word, image) if number < count else ("", "")
        world.pods[key] = replace(world.pods[key], trouble=told[0], image=told[1])
    return world


def started(world: World) -> World:
    """shop:v1 is complete, and of shop:v2 no pod becomes ready."""
    world.settle()
    world.broken = {V2}
    world.image("shop:v2")
    return world.run(5)


def test_an_image_that_is_nowhere_is_named_until_it_is_mended() -> None:
    world = started(canary_world(50, 100, routed=True))
    assert world.status.message.endswith("its pods are not ready yet")
    ail(world, V2, WORD, 1, IMAGE).run()
    assert world.status.message.endswith(f"its pods are not ready yet: 1 of 2 {WORD} ({IMAGE})")
    assert world.condition("Progressing") == ("True", "PodsPending")
    ail(world, V2, WORD, 2, IMAGE).run(60)
    assert world.status.message.endswith(f": 2 of 2 {WORD} ({IMAGE})")
    world.run(700)
    assert world.status.phase is Phase.FAILED
    why = f"revision {V2} made no progress for 600 seconds: 2 of 2 pods {WORD} ({IMAGE})"
    assert world.status.decisions[-1].message == why
    assert (world.condition("Progressing"), world.detail("Progressing")) == (
        ("False", "Timeout"),
        why,
    )
    world.image("shop:v3")
    assert world.settle().state == (Phase.COMPLETED, 2, 100)
    assert WORD not in world.status.message


def test_what_heals_by_itself_is_told_no_more() -> None:
    world = started(canary_world(50, 100, routed=True))
    ail(world, V2, "CreateContainerConfigError").run()
    assert world.status.message.endswith("2 of 2 CreateContainerConfigError")
    assert ail(world, V2, "").run().status.message.endswith("its pods are not ready yet")
    world.broken = set()
    assert world.settle().status.phase is Phase.COMPLETED


def test_more_pods_with_the_same_trouble_are_no_writes_of_their_own() -> None:
    """As counters: at most every 30 s, where a hundred pods fail one after another."""
    world = started(canary_world(100, routed=True, replicas=8))
    ail(world, V2, WORD, 1).run()
    before = len(world.writes)
    for count in range(2, 7):
        ail(world, V2, WORD, count).run(1)
    assert len(world.writes) == before
    world.run(60)
    assert len(world.writes) == before + 1
    assert world.status.message.endswith(f"6 of {world.size('shop:v2')} {WORD}")
    ail(world, V2, "CrashLoopBackOff").run()
    assert len(world.writes) == before + 2


def test_what_else_has_changed_is_told_at_once_with_the_count() -> None:
    world = started(canary_world(100, routed=True))
    ail(world, V2, WORD, 1).run()
    world.strict, world.broken = False, {V1, V2}
    ail(world, V2, WORD, 2).run()
    assert world.condition("Available") == ("False", "Unavailable")
    assert world.status.message.endswith(f"2 of 4 {WORD}")


@pytest.mark.parametrize(
    ("troubles", "told"),
    [
        pytest.param(["Unschedulable"], ": 1 of 2 Unschedulable", id="one of them"),
        pytest.param(["B", "A"], ": 1 of 2 A", id="of as many the first by name, always"),
        pytest.param(["", ""], "its pods are not ready yet", id="nothing is known"),
    ],
)
def test_the_trouble_of_most_is_told(troubles: list[str], told: str) -> None:
    world = started(canary_world(50, 100, routed=True))
    own = [key for key, pod in world.pods.items() if pod.hash == V2]
    for key, word in zip(own, troubles, strict=False):
        world.pods[key] = replace(world.pods[key], trouble=word)
    assert world.run().status.message.endswith(told)


def test_a_long_name_of_an_image_is_left_out() -> None:
    world = started(canary_world(50, 100, routed=True))
    assert ail(world, V2, WORD, image="x" * 101).run().status.message.endswith(f"2 of 2 {WORD}")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        pytest.param(blue_green_world, f"0 of its 4 pods are ready: 4 of 4 {WORD}", id="blueGreen"),
        pytest.param(ab_world, f"variant B are ready yet: 4 of 4 {WORD}", id="abTesting"),
        pytest.param(
            lambda: canary_world(50, 100, routed=True),
            f"its pods are not ready yet: 2 of 2 {WORD}",
            id="canary with a router",
        ),
    ],
)
def test_every_strategy_says_why_it_waits(make: Callable[[], World], told: str) -> None:
    assert ail(started(make()), V2, WORD).run().status.message.endswith(told)


def test_the_first_revision_says_so_too() -> None:
    world = canary_world(50, 100)
    world.broken = {V1}
    ail(world.run(5), V1, WORD).run()
    assert world.status.message.endswith(f"not all of its 4 pods are ready yet: 4 of 4 {WORD}")


def test_a_stable_revision_that_nobody_can_go_back_to_says_why() -> None:
    world = canary_world((50, None), 100, routed=True).settle()
    world.image("shop:v2")
    world.run(5)
    world.strict, world.broken = False, {V1}
    world.run(1)
    world.annotate("rollback")
    ail(world, V1, "CrashLoopBackOff").run(60)
    assert world.detail("TrafficReady").endswith(
        "traffic stays where ready pods are: 4 of 4 CrashLoopBackOff"
    )


def test_trouble_of_another_revision_is_not_this_ones() -> None:
    world = started(canary_world(50, 100, routed=True))
    assert ail(world, V1, WORD, 1).run().status.message.endswith("its pods are not ready yet")
