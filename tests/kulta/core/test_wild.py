"""Wild Rollouts, valid by their schema: never a crash, always a status that says why.

A few hundred here, 5,000 in `make check-deep`; how they end is printed.
"""

from collections import Counter
from random import Random
from typing import Any

import pytest

from fleet.api.rollout import Rollout
from fleet.errors import UserError
from tests import gen, search, wild
from tests.kulta.world import World

pytestmark = [search.in_time, pytest.mark.hypothesis]

COUNT = 5_000 if search.MANY > 1_000 else 200
TURNS = 24 if search.MANY > 1_000 else 4
STRATEGIES = ("canary", "canary", "blueGreen", "abTesting", "simple")
SERVICES = {gen.STABLE: "stable", gen.CANARY: "canary", gen.PREVIEW: "preview", gen.VARIANT: "b"}
NAMES = {"canary": "canary", "blueGreen": "preview", "abTesting": "variant"}


def sane(dice: Random) -> dict[str, Any]:
    """Parts that make sense, of which most Rollouts have most."""
    at = "spec.strategy"
    metrics = [{"name": "error-rate", "threshold": 5}]
    match = {"header": {"name": "x", "value": "y"}}
    return {
        "spec.replicas": dice.randint(0, 4),
        "spec.selector": {"matchLabels": dict(gen.APP)},
        "spec.template": gen.template(),
        "spec.maxSurge": "25%",
        "spec.maxUnavailable": 0,
        "spec.scaleDownDelay": "5s",
        "spec.advisor": {"level": "Off"},
        f"{at}.canary.stableService": gen.STABLE,
        f"{at}.canary.canaryService": gen.CANARY,
        f"{at}.canary.steps": gen.steps(20, (50, "5s"), 100),
        f"{at}.canary.trafficRouting": {"gatewayAPI": {"httpRoute": gen.ROUTE}},
        f"{at}.canary.promotionSteps": [],
        f"{at}.canary.analysis.metrics": metrics,
        f"{at}.blueGreen.activeService": gen.ACTIVE,
        f"{at}.blueGreen.previewService": gen.PREVIEW,
        f"{at}.blueGreen.analysis.metrics": metrics,
        f"{at}.abTesting.variantAService": gen.STABLE,
        f"{at}.abTesting.variantBService": gen.VARIANT,
        f"{at}.abTesting.variantBMatch": match,
        f"{at}.abTesting.matches": [],
        f"{at}.abTesting.variants": [],
        f"{at}.simple.analysis.metrics": metrics,
    }


def made(dice: Random) -> dict[str, Any]:
    """A wild manifest."""
    schema = wild.of("rollouts")["properties"]["spec"]
    spec = wild.value(schema, dice)
    kind = dice.choice(STRATEGIES)
    node = schema["properties"]["strategy"]["properties"][kind]
    if dice.random() < 0.9:
        spec["strategy"] = {kind: wild.value(node, dice)}
    manifest = gen.manifest()
    manifest["spec"] = spec
    wild.put(manifest, sane(dice), dice, dice.choice([0.0, 0.8, 0.95, 1.0]))
    if dice.random() < 0.2:
        manifest["status"] = wild.value(wild.of("rollouts")["properties"]["status"], dice)
    wild.check("rollouts", "spec", manifest["spec"])
    return manifest


def lived(manifest: dict[str, Any], dice: Random) -> World | str:
    """Its world after some turns, or the sentence with which it is refused."""
    try:
        rollout = Rollout.parse(manifest)
    except UserError as error:
        return str(error)
    world = World(manifest, status=rollout.status, strict=False, after_each=lambda _: None)
    if rollout.spec.replicas > 50:
        world.manifest["spec"]["replicas"] = dice.choice([0, 1, 7])
    world.services = {name: gen.service(name, role) for name, role in SERVICES.items()}
    world.routes = {gen.ROUTE: gen.route(100, 0)} if dice.random() < 0.8 else {}
    world.answer = lambda _: dice.choice([0.5, 50.0, None, 1e308, -1.0])
    for turn in range(TURNS):
        if not world.tick():
            world.now = max(world._next() or world.now, world.now)
        world._world()
        if turn == TURNS // 3:
            spec = world.manifest["spec"].setdefault("template", {}).setdefault("spec", {})
            spec["containers"] = [{"name": "app", "image": "shop:v2"}]
        if dice.random() < 0.1:
            world.annotate(dice.choice(["promote", "abort", "retry", "pause", "resume", "restart"]))
    return world


def test_no_object_breaks_the_engine() -> None:
    ends: Counter[str] = Counter()
    for seed in range(COUNT):
        dice = Random(seed)
        try:
            found = lived(made(dice), dice)
            ends[why(found)] += 1
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    print(f"{COUNT} wild Rollouts:", ", ".join(f"{n} {c}" for n, c in sorted(ends.items())))  # noqa: T201
    assert len(ends.keys() - {"refused", "InvalidSpec"}) > 1, "some come through"


def why(found: World | str) -> str:
    """How it ended; the status always says why."""
    if isinstance(found, str):
        assert found
        return "refused"
    status = found.status
    wild.check("rollouts", "status", status.manifest())
    wrong = found.condition("InvalidSpec")
    if wrong is not None and wrong[0] == "True":
        assert found.detail("InvalidSpec")
        return "InvalidSpec"
    assert status.phase is not None
    assert status.message
    assert found.condition("Progressing") is not None
    return str(status.phase)
