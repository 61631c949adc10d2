"""The hooks of a delivery policy: the engine of each cluster gets them, and a revision has them."""

from dataclasses import replace
from typing import Any

from tests.hub import gen, world
from tests.hub.world import ClusterName, World


def hook(url: str) -> dict[str, Any]:
    return {"name": "gate", "type": "confirm-promotion", "url": url}


def asked(here: World, name: str) -> list[str]:
    """Where the engine of that cluster asks."""
    rollout = here.objects[ClusterName(name)]["rollouts", "checkout", "checkout"]
    return [one["url"] for one in rollout["spec"].get("hooks", ())]


def test_a_hook_reaches_the_rollout_and_another_one_is_another_revision() -> None:
    here = world.settle(world.new("a", "b", hooks=[hook("http://one.example")]))
    assert [asked(here, name) for name in "ab"] == [["http://one.example"]] * 2
    done = world.settle(world.deliver(here, "shop:v1", hooks=[hook("http://two.example")]))
    assert (done.run.name, done.run.spec.trigger) == ("checkout-2", "SpecChanged")
    assert [asked(done, name) for name in "ab"] == [["http://two.example"]] * 2
    back = world.settle(done, request="undo/1")
    assert [asked(back, name) for name in "ab"] == [["http://one.example"]] * 2, "as it ran then"


def test_the_hooks_of_the_fleet_hold_where_the_application_names_none() -> None:
    shared = {"deliveryPolicy": {"hooks": [hook("http://fleet.example")]}}
    fleet = gen.fleet(members={"names": ["a"]}, defaults=shared)
    here = world.settle(replace(world.new("a"), fleet=fleet))
    assert asked(here, "a") == ["http://fleet.example"]
