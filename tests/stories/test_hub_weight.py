"""A live weight: moved up and down in the Application while a run is on, and no other run begins.

The engines are real ones, so what stands here as a weight is what their routes were given.
"""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api import Application
from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.api.names import ClusterName, request_annotation
from tests.hub import engine, gen, world
from tests.hub.real import Real
from tests.hub.world import World

NAMES = ("a", "b", "c")
JUDGED = {
    "prometheus": {"address": "http://prometheus:9090"},
    "interval": "10s",
    "metrics": [{"name": "error-rate", "threshold": 5.0}],
}
PLACE = ("rollouts", "checkout", "checkout")


def asking(weight: int) -> dict[str, Any]:
    return {
        "strategy": {"canary": {"externalWeight": weight, "analysis": JUDGED}},
        "waves": [{"name": "all", "clusters": list(NAMES), "maxConcurrency": 2}],
    }


def begun(weight: int = 10, image: str = "shop:v2") -> World:
    """Run 2 has begun in a and b; c waits for one of them."""
    here = world.new(*NAMES, **asking(weight))
    here.engines = Real()
    here = world.settle(here)
    assert here.run.status.phase is RunPhase.SUCCEEDED, "a first revision goes to 100 % at once"
    return world.settle(world.deliver(here, image, **asking(weight)))


def moved(here: World, weight: int, image: str = "shop:v2") -> World:
    return world.settle(replace(world.deliver(here, image, **asking(weight)), log=[]))


def overriding(here: World, weight: int) -> World:
    """It is asked for that weight; where the ring is small there shall be two pods."""
    few = {
        "clusterSelector": {"matchLabels": {"ring": "small"}},
        "patch": [{"op": "replace", "path": "/workload/replicas", "value": 2}],
    }
    asked = world.deliver(here, "shop:v2", **asking(weight))
    spec = {**asked.application.manifest()["spec"], "overrides": [few]}
    application = Application.parse({**asked.application.manifest(), "spec": spec})
    return world.settle(replace(asked, application=application))


def rollout(here: World, name: str) -> dict[str, Any]:
    return here.objects[ClusterName(name)][PLACE]


def weights(here: World) -> dict[str, int]:
    """Percent of the traffic on a revision that is on its way."""
    found = ((name, rollout(here, name)["status"]) for name in NAMES)
    return {name: one["currentWeight"] for name, one in found if one["phase"] == "Paused"}


def promoted(here: World, name: str) -> World:
    after = world.copies.copied(here)
    one = engine.own(after.objects[ClusterName(name)], *PLACE)
    one["metadata"]["annotations"][request_annotation("promote")] = "true"
    return world.settle(after)


def test_clusters_follow_with_one_write_each_and_no_run_begins() -> None:
    before = begun()
    assert weights(before) == {"a": 10, "b": 10}
    here = moved(before, 40)
    assert weights(here) == {"a": 40, "b": 40}
    assert here.log == ["a apply 3", "b apply 3"]
    assert here.runs.keys() == before.runs.keys()
    status = here.run.status
    assert (status.external_weight, status.plan_digest) == (40, before.run.status.plan_digest)
    assert here.application.status.revision == before.application.status.revision
    assert weights(moved(here, 0)) == {"a": 0, "b": 0}


def test_who_starts_later_has_it_at_once_and_who_is_done_as_well() -> None:
    here = promoted(moved(begun(), 40), "a")
    assert here.phase("a") is ClusterPhase.SUCCEEDED
    assert weights(here) == {"b": 40, "c": 40}
    here = moved(here, 60)
    assert weights(here) == {"b": 60, "c": 60}
    assert rollout(here, "a")["spec"]["strategy"]["canary"]["externalWeight"] == 60
    assert here.phase("a") is ClusterPhase.SUCCEEDED
    here = promoted(promoted(here, "b"), "c")
    assert here.run.status.phase is RunPhase.SUCCEEDED
    assert [name for name in here.runs if name > "checkout-2"] == []


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param({"request": "pause/1"}, id="a paused run"),
        pytest.param({"bad": frozenset({"a"})}, id="a halted run"),
    ],
)
def test_what_is_stopped_only_falls(stop: dict[str, Any]) -> None:
    here = replace(begun(), **stop)
    for _ in range(5):
        here = world.tick(here)
    assert here.run.status.phase in (RunPhase.PAUSED, RunPhase.HALTED)
    here = moved(here, 70)
    assert here.cluster("b").spec.hold
    assert weights(here)["b"] == 10
    here = moved(here, 5)
    assert weights(here)["b"] == 5
    here = moved(here, 30)
    assert (weights(here)["b"], here.run.status.external_weight) == (5, 30)
    here = world.settle(replace(here, request="resume/2"))
    assert weights(here)["b"] == 30, "what was asked for meanwhile holds when it goes on"


def test_it_falls_alone_where_other_inputs_wait_for_a_run() -> None:
    here = overriding(begun(50), 50)
    assert weights(here) == {"a": 50, "b": 50}
    member = here.members[ClusterName("a")]
    small = replace(member, cluster=gen.member("a", ring="small").cluster)
    here = world.settle(replace(here, members=here.members | {ClusterName("a"): small}))
    before = rollout(here, "a")["spec"]
    for asked, has in ((20, 20), (60, 20), (0, 0)):
        here = overriding(here, asked)
        assert weights(here) == {"a": has, "b": asked}
        waits = "externalWeight only falls in a until a run brings its other inputs"
        assert (waits in here.run.status.message) is (asked > has)
    canary = {**before["strategy"]["canary"], "externalWeight": 0}
    assert rollout(here, "a")["spec"] == {
        **before,
        "strategy": {"canary": canary},
        "dispatch": {"hub": "hub-1", "sequence": before["dispatch"]["sequence"] + 2},
    }
    here = promoted(here, "a")
    for name in ("b", "c"):
        here = promoted(here, name)
    here = world.settle(here)
    assert here.run.spec.trigger == "ClusterInputsChanged"
    assert rollout(here, "a")["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    "sequence",
    [
        pytest.param(None, id="the Rollout is gone"),
        pytest.param(1, id="it comes back from a backup"),
        pytest.param(9, id="it is ahead of the hub"),
    ],
)
def test_nor_does_what_the_member_has_lost_rise_while_it_is_stopped(sequence: int | None) -> None:
    here = replace(begun(), bad=frozenset({"a"}))
    for _ in range(5):
        here = world.tick(here)
    here = world.copies.copied(moved(here, 70))
    if sequence is None:
        del here.objects[ClusterName("b")][PLACE]
    else:
        found = engine.own(here.objects[ClusterName("b")], *PLACE)
        found["spec"]["dispatch"]["sequence"] = sequence
    here = world.settle(here)
    assert here.run.status.phase is RunPhase.HALTED
    assert here.cluster("b").spec.hold
    assert rollout(here, "b")["spec"]["strategy"]["canary"]["externalWeight"] == 10
