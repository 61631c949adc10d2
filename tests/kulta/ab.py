"""Small worlds with an experiment in them, at its beginning or at its conclusion."""

import re
from collections.abc import Callable
from typing import Any

from fleet.api.experiment import ExperimentStatus
from fleet.api.rollout import Phase
from tests import gen
from tests.kulta.audience import Audience, Behaviour
from tests.kulta.world import World, furnish

OLD, NEW = gen.revision("shop:v1"), gen.revision("shop:v2")
BETTER = {"shop:v1": Behaviour(errors=0.05), "shop:v2": Behaviour(errors=0.02)}
EQUAL = {"shop:v1": Behaviour(errors=0.05), "shop:v2": Behaviour(errors=0.05)}
CONVERSION = {"name": "conversion-rate", "direction": "higher"}
ERRORS = {"name": "error-rate", "direction": "lower"}


def begun(**more: Any) -> World:
    """An experiment of v2 against v1 that has just begun."""
    world = ab_world(**more).settle()
    world.asked.clear()
    world.image("shop:v2")
    world.run(3)
    assert world.status.phase is Phase.EXPERIMENTING
    return world


def decided(behaviour: dict[str, Behaviour] | None = None, **more: Any) -> World:
    """One that its numbers have concluded."""
    analysis = more.pop("analysis", None) or gen.ab_analysis(minDuration="5m")
    world = begun(answer=Audience(behaviour or BETTER), analysis=analysis, **more)
    world.run(3_600)
    assert world.status.phase is Phase.CONCLUDED
    return world


def known(world: World) -> ExperimentStatus:
    assert world.status.ab_experiment is not None
    return world.status.ab_experiment


def counting(
    control: tuple[float, float], arm: tuple[float, float]
) -> Callable[[str], float | None]:
    """Whatever the window: so many requests, and so many of them failed, of both arms."""

    def answer(text: str) -> float | None:
        n, hits = control if OLD in text else arm
        return hits if "status=~" in text else n

    return answer


def ab_world(*, routed: bool = True, **keywords: Any) -> World:
    """A world with a Service for each arm; the route of the user knows A alone."""
    own = ("analysis", "variants", "maxDuration", "matches")
    more = {key: keywords.pop(key) for key in own if key in keywords}
    spec = {key: keywords.pop(key) for key in list(keywords) if re.match(r"[a-z]+[A-Z]|rep", key)}
    world = World(gen.manifest(strategy=gen.ab_testing(routed=routed, **more), **spec))
    for key, value in keywords.items():
        setattr(world, key, value)
    names_ = [gen.STABLE, gen.VARIANT, *(item["service"] for item in more.get("variants", ()))]
    roles = [(name, f"variant-{letter}") for name, letter in zip(names_, "abcdef", strict=False)]
    furnish(world, *roles, routed=False)
    if routed:
        alone = [{"matches": [gen.SHOP], "backendRefs": [gen.backend(gen.STABLE, 1)]}]
        world.routes = {gen.ROUTE: gen.route(rules=alone)}
    return world
