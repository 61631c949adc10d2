"""Stories of a limit of active rollouts: who has to wait touches nothing, and goes on by itself."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from fleet.api.rollout import Phase
from fleet.kulta.core.gates import turns
from fleet.kulta.core.observed import Observed
from tests import gen
from tests.kulta.world import World

STRATEGIES = {
    "canary": gen.canary(50, 100),
    "simple": {"simple": {}},
    "blueGreen": gen.blue_green(after=1),
}


@dataclass
class Crowd(World):
    """A world in which others have all places."""

    is_full: bool = True

    def observe(self) -> Observed:
        return replace(super().observe(), is_full=self.is_full)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_who_waits_has_no_pods_and_begins_by_itself(strategy: dict[str, Any]) -> None:
    """The first revision waits too; the deadline does not count."""
    world = Crowd(gen.manifest(strategy=strategy))
    for name in (gen.ACTIVE, gen.PREVIEW) if "blueGreen" in strategy else ():
        world.services[name] = gen.service(name, "active" if name == gen.ACTIVE else "preview")
    for image in ("shop:v1", "shop:v2"):
        world.is_full = True
        world.image(image)
        world.run(3_600)
        assert (world.status.phase, world.condition("Paused")) == (Phase.PAUSED, ("True", "Queued"))
        assert (world.size(image), turns.is_queued(world.status)) == (0, True)
        assert not turns.is_active(world.status)
        world.is_full = False
        world.settle()
        assert (world.status.phase, world.ready(image)) == (Phase.COMPLETED, 4)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_who_is_known_or_wanted_at_once_does_not_wait(strategy: dict[str, Any]) -> None:
    world = Crowd(gen.manifest(strategy=strategy, rollbackWindow=1), is_full=False)
    for name in (gen.ACTIVE, gen.PREVIEW) if "blueGreen" in strategy else ():
        world.services[name] = gen.service(name, "active" if name == gen.ACTIVE else "preview")
    world.settle()
    world.is_full = True
    world.image("shop:v2")
    world.run(60)
    assert world.condition("Paused") == ("True", "Queued")
    world.annotate("promote-full")
    world.settle()
    assert (world.status.phase, world.ready("shop:v2")) == (Phase.COMPLETED, 4)
    world.image("shop:v1")
    world.settle()
    assert (world.status.phase, world.ready("shop:v1")) == (Phase.COMPLETED, 4)


def test_who_has_begun_goes_on_and_who_returns_needs_no_place() -> None:
    world = Crowd(gen.manifest(strategy=gen.canary((50, None), 100)), is_full=False)
    world.settle()
    world.image("shop:v2")
    world.run(10)
    world.is_full = True
    assert turns.is_active(world.status)
    world.restart()
    world.run(60)
    assert world.size("shop:v2") == 2
    world.image("shop:v1")
    world.settle()
    assert (world.status.phase, world.ready("shop:v1")) == (Phase.COMPLETED, 4)
