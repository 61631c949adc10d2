"""The destination's namespace changes: the new place first, then the old one is cleared."""

from dataclasses import replace
from typing import Any

from fleet.api.fleetrollout import RunPhase
from tests.hub import gen, world
from tests.hub.world import ClusterName


def move(here: world.World, namespace: str, image: str = "shop:v1", **policy: Any) -> world.World:
    """The tenant writes another namespace; every member allows it."""
    body = gen.spec(image, **policy)
    body["destination"]["namespace"] = namespace
    generation = here.application.metadata.generation + 1
    application = gen.application(body=body, generation=generation)
    open_ = {"allowed_namespaces": ("checkout", "other")}
    members = {
        name: replace(
            member,
            cluster=member.cluster.model_copy(
                update={"spec": member.cluster.spec.model_copy(update=open_)}
            ),
        )
        for name, member in here.members.items()
    }
    application = application.model_copy(update={"status": here.application.status})
    return replace(here, application=application, members=members)


def test_the_old_namespace_is_cleared_once_the_new_one_serves() -> None:
    here = world.settle(world.new("a", "b"))
    done = world.settle(move(replace(here, log=[]), "other"))
    assert done.run.status.phase is RunPhase.SUCCEEDED
    for name in "ab":
        places = {where[1] for where in done.objects[ClusterName(name)]}
        assert places == {"other"}
        item = done.cluster(name)
        assert item.spec.namespace == "other"
        assert {entry.namespace for entry in item.status.inventory} == {"other"}
    assert [line for line in done.log if line.startswith("a ")] == [
        "a apply 2",
        "a create services/checkout",
        "a create services/checkout-canary",
        "a create httproutes/checkout",
        "a apply 3",
        "a delete rollouts/checkout",
        "a apply 4",
        "a delete httproutes/checkout",
        "a delete services/checkout-canary",
        "a delete services/checkout",
    ]


def test_what_fails_in_the_new_namespace_leaves_the_old_one_alone() -> None:
    here = world.settle(world.new("a", "b"))
    stranger = {"metadata": {"name": "checkout", "namespace": "other", "uid": "x"}, "spec": {}}
    here.objects[ClusterName("a")]["services", "other", "checkout"] = stranger
    done = world.settle(move(here, "other"))
    assert done.run.status.phase is RunPhase.HALTED
    old = [where for where in done.objects[ClusterName("a")] if where[1] == "checkout"]
    assert len(old) == 4
