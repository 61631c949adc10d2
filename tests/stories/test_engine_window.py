"""Stories of the rollback window: what was stable lately needs no steps and no analysis."""

import pytest

from fleet.api.rollout import Phase
from tests import gen
from tests.kulta.world import World, blue_green_world
from tests.stories.test_engine_canary import running


def through(world: World, *images: str, window: int = 2) -> World:
    """Each of these has been stable, one after the other."""
    world.update(rollbackWindow=window)
    for image in images:
        world.image(image)
        world.settle()
        if world.status.phase is not Phase.COMPLETED:
            world.annotate("promote-full")
            world.settle()
        assert world.status.phase is Phase.COMPLETED
        assert world.status.stable_pod_hash == gen.revision(image)
    world.weights.clear()
    return world


@pytest.mark.parametrize(
    ("window", "image", "is_known"),
    [
        pytest.param(2, "shop:v3", True, id="the one before"),
        pytest.param(2, "shop:v2", True, id="the last in the window"),
        pytest.param(2, "shop:v1", False, id="one before the window"),
        pytest.param(0, "shop:v3", False, id="without a window"),
        pytest.param(10, "shop:v9", False, id="one that is new"),
    ],
)
def test_who_needs_no_steps(window: int, image: str, is_known: bool) -> None:
    world = running((20, None), 100, routed=True)
    through(world, "shop:v2", "shop:v3", "shop:v4", window=window)
    world.image(image)
    world.run(60)
    assert (world.status.phase is Phase.COMPLETED) == is_known
    begun = [item.reason for item in world.status.decisions if item.action == "Initialize"][-1]
    assert begun == ("KnownRevision" if is_known else "Initialization")
    if is_known:
        assert world.status.stable_pod_hash == gen.revision(image)
        assert world.ready(image) == 4
    else:
        assert world.split() == (80, 20)


def test_a_way_back_and_forth_within_the_window() -> None:
    world = through(running((20, None), 100, routed=True), "shop:v2")
    for image in ("shop:v1", "shop:v2", "shop:v1"):
        world.image(image)
        world.run(60)
        assert (world.status.phase, world.ready(image)) == (Phase.COMPLETED, 4)


def test_what_was_taken_back_is_not_known_any_more() -> None:
    """Although it was stable once: it goes through its steps again."""
    world = blue_green_world(rollbackWindow=5).settle()
    world.image("shop:v2")
    for verb in ("promote", "rollback"):
        world.run(10)
        world.annotate(verb)
    world.settle()
    assert world.status.phase is Phase.FAILED
    assert gen.revision("shop:v2") not in world.status.proven_pod_hashes
    world.annotate("retry")
    world.run(60)
    assert world.status.phase is Phase.PREVIEW


def test_only_so_many_are_remembered() -> None:
    images = [f"shop:n{number}" for number in range(13)]
    world = through(running((20, None), 100), *images)
    known = [gen.revision(image) for image in reversed(images)]
    assert list(world.status.proven_pod_hashes) == known[:11]
