"""How steps that ask for pods apart from the weight are drawn and told."""

from typing import Any

import pytest

from fleet.api.names import APPLICATION_LABEL, CLUSTER_LABEL
from fleet.cli.rollouts import forecast, show
from tests import gen
from tests.cli.rollouts import scenes
from tests.kulta.world import World, canary_world


def scaled() -> World:
    """A canary that has five pods and no traffic yet."""
    world = canary_world(routed=True, replicas=10)
    steps = [
        {"setCanaryScale": {"replicas": 5}, "pause": {}},
        {"setWeight": 20, "setCanaryScale": {"percent": 40}},
        {"setCanaryScale": {"matchTrafficWeight": True}, "pause": {}},
    ]
    world.manifest["spec"]["strategy"] = gen.canary(routed=True, steps=steps)
    world.settle()
    world.image("shop:v2")
    return world.run(60)


def test_the_steps_of_a_picture() -> None:
    world = scaled()
    text = "\n".join(
        line.plain for line in show.picture(scenes.family(world), world.now, None, wide=False)
    )
    assert "5 pods until promoted" in text
    assert "20%, 40% of the pods" in text
    assert "pods as the weight wants until promoted" in text


def test_the_way_from_here() -> None:
    world = scaled()
    moves = [item.text for item in forecast.of(scenes.family(world), world.now).ahead]
    new = "revision 2"
    assert moves[0] == f"step 1 of 3: {new} has 0% of the traffic"
    assert f"step 2 of 3: {new} gets 4 pods, and when they are ready, 20% of the traffic" in moves
    assert f"step 3 of 3: {new} gets 2 pods, and when they are ready, 20% of the traffic" in moves


@pytest.mark.parametrize(
    ("spec", "command"),
    [
        pytest.param({}, "fleet rollout promote checkout", id="here"),
        pytest.param(
            {"dispatch": {"hub": "h", "sequence": 3}},
            "fleet promote checkout --cluster eu-7",
            id="of a hub",
        ),
    ],
)
def test_whom_a_person_asks(spec: dict[str, Any], command: str) -> None:
    world = scaled()
    world.manifest["spec"] |= spec
    labels = {APPLICATION_LABEL: "checkout", CLUSTER_LABEL: "eu-7"}
    moves = [item.text for item in forecast.of(scenes.family(world, **labels), world.now).ahead]
    assert f"it waits at 0% until somebody says: {command}" in moves
