"""Two questions that need no expectation written by hand, after Acto (SOSP 2023).

The way does not matter: specs one after the other, in the middle of each other, end as the last of
them alone. A bad spec that is mended leaves nothing behind.
"""

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from fleet.api.rollout import Phase
from fleet.errors import UserError
from fleet.kulta.core import phases
from tests import gen, search
from tests.kulta.world import World
from tests.trees import clone

pytestmark = [search.in_time, pytest.mark.hypothesis]

COUNT = 600 if search.MANY > 1_000 else 8
SERVICES = (gen.STABLE, gen.CANARY, gen.PREVIEW, gen.VARIANT)
STRATEGIES: tuple[Mapping[str, Any], ...] = (
    gen.canary(20, (50, "5s"), 100, routed=True),
    gen.canary(50, routed=True, dynamicStableScale=True),
    gen.canary((50, "5s")),
    gen.canary(30, 60, routed=True, analysis=gen.analysis(interval="5s")),
    gen.blue_green(after=5),
    gen.blue_green(after=0, routed=True),
    gen.ab_testing(maxDuration="30s"),
    {"simple": {}},
    {"simple": {"analysis": gen.analysis(interval="5s")}},
)
BAD: tuple[Mapping[str, Any], ...] = (
    {"maxSurge": "lots"},
    {"maxSurge": 0, "maxUnavailable": "0%"},
    {"scaleDownDelay": "soon"},
    {"selector": {"matchLabels": {"app": "another"}}},
    {"strategy": {"simple": {}, "canary": gen.canary()["canary"]}},
    {"strategy": gen.canary(50, 20)},
    {"replicas": -1},
)


def spec(dice: Random, image: str) -> dict[str, Any]:
    """A good one."""
    return {
        "replicas": dice.randint(0, 4),
        "maxSurge": dice.choice(["25%", 1, "100%"]),
        "maxUnavailable": dice.choice([0, 1]) if dice.random() < 0.5 else "25%",
        "scaleDownDelay": dice.choice(["0s", "5s"]),
        "strategy": clone(dice.choice(STRATEGIES)),
        "template": gen.template(image),
    }


def place(body: Mapping[str, Any]) -> World:
    """Everything that any of the strategies names."""
    manifest = gen.manifest()
    manifest["spec"] |= clone(body)
    world = World(manifest, strict=False, answer=lambda _: 0.5)
    world.services = {name: gen.service(name) for name in SERVICES}
    pairs = [(gen.STABLE, other) for other in (gen.CANARY, gen.PREVIEW)]
    rules = [{"backendRefs": [gen.backend(a, 100), gen.backend(b, 0)]} for a, b in pairs]
    world.routes = {gen.ROUTE: gen.route(rules=rules)}
    return world


def alone(body: Mapping[str, Any]) -> World:
    """A world that never had another spec, and an earlier revision to compare with."""
    world = end(place({**body, "template": gen.template()}))
    world.update(**clone(body))
    return end(world)


def end(world: World) -> World:
    """With somebody who promotes what waits for it."""
    for _ in range(6):
        world.settle()
        if world.status.phase in phases.ENDS:
            return world
        world.annotate("promote")
    raise AssertionError(f"no end: {world.status.message}")


def picture(world: World) -> dict[str, Any]:
    """What anybody can see, but for history."""
    status = world.status
    return {
        "phase": status.phase,
        "stable": status.stable_pod_hash,
        "pods": {key: item.replicas for key, item in world.sets.items() if item.replicas},
        "roles": sorted({(pod.hash, pod.role) for pod in world.pods.values()}),
        "services": {name: (x.selector, x.original) for name, x in world.services.items()},
        "routes": {name: item["spec"]["rules"] for name, item in world.routes.items()},
        "finalizers": world.manifest["metadata"].get("finalizers", []),
        "conditions": [(item.type, item.status, item.reason) for item in status.conditions],
        "counts": (status.replicas, status.ready_replicas, status.updated_replicas),
    }


def test_the_way_to_a_spec_does_not_matter() -> None:
    for seed in range(COUNT):
        dice = Random(seed)
        specs = [spec(dice, f"shop:v{number}") for number in (1, 2, 3)]
        world = end(place(specs[0]))
        for body in specs[1:]:
            world.update(**clone(body))
            world.run(dice.choice([0, 1, 3, 8, 60]))
        assert picture(end(world)) == picture(alone(specs[2])), f"seed {seed}"


def test_a_bad_spec_that_is_mended_leaves_nothing_behind() -> None:
    for seed in range(COUNT):
        dice = Random(seed)
        first, last = spec(dice, "shop:v1"), spec(dice, "shop:v2")
        world, other = end(place(first)), end(place(first))
        if dice.random() < 0.5:
            for each in (world, other):
                each.update(**clone(last))
                each.run(2)
        try:
            world.update(**clone(dice.choice(BAD)))
            world.run(5)
            assert world.condition("InvalidSpec") is not None, f"seed {seed}"
        except UserError:
            pass  # our models cannot read it: the runtime reports that, and looks at nothing
        for each in (world, other):
            each.update(**{"selector": {"matchLabels": dict(gen.APP)}, **clone(last)})
        assert picture(end(world)) == picture(end(other)), f"seed {seed}"
        assert world.status.phase is Phase.COMPLETED, f"seed {seed}"
