"""Members join, leave, come back, and are made anew, while an Application is there."""

from dataclasses import replace
from typing import Any

from fleet.api.conditions import find
from fleet.api.fleetrollout import ClusterPhase, RunPhase
from tests.hub import gen, world
from tests.hub.world import ClusterName, World

OTHERWISE = {
    "clusterSelector": {"matchLabels": {"ring": "other"}},
    "patch": [{"op": "replace", "path": "/workload/replicas", "value": 2}],
}


def relabelled(here: World, name: str, **labels: str) -> World:
    """The member with other labels."""
    member = here.members[ClusterName(name)]
    cluster = gen.cluster(name, **labels)
    return replace(
        here, members=here.members | {ClusterName(name): replace(member, cluster=cluster)}
    )


def without(here: World, name: str) -> World:
    members = {key: value for key, value in here.members.items() if key != name}
    return replace(here, members=members)


def anew(here: World, name: str) -> World:
    """A MemberCluster of that name, made again for an empty API server."""
    cluster = gen.cluster(name)
    meta = cluster.metadata.model_copy(update={"uid": "made-anew"})
    member = replace(gen.member(name), cluster=cluster.model_copy(update={"metadata": meta}))
    return replace(
        here,
        members=here.members | {ClusterName(name): member},
        objects=here.objects | {ClusterName(name): {}},
    )


def leave(here: World, *names: str) -> World:
    """These have another tier, which the Fleet does not select."""
    for name in names:
        here = relabelled(here, name, tier="other")
    return here


def later(here: World, ticks: int = 30) -> World:
    for _ in range(ticks):
        here = world.tick(here)
    return here


def overriding(**policy: Any) -> World:
    here = world.new("a", "b", "c", **policy)
    body = gen.spec(**policy) | {"overrides": [OTHERWISE]}
    return world.settle(replace(here, application=gen.application(body=body)))


def test_changed_labels_go_through_one_run() -> None:
    here = later(relabelled(overriding(), "c", ring="other"))
    assert sorted(here.runs) == ["checkout-1", "checkout-2"]
    assert here.run.spec.trigger == "ClusterInputsChanged"


def test_who_is_left_out_of_that_run_makes_no_other() -> None:
    """What has changed there has changed still; the next run, whatever it is for, brings it."""
    here = relabelled(overriding(), "c", ring="other")
    while len(here.runs) < 2:
        here = world.tick(here)
    here = later(replace(here, request="skip/1/c"))
    assert (sorted(here.runs), here.run.status.message) == (
        ["checkout-1", "checkout-2"], "2 of 3 clusters updated, 1 skipped: c",
    )  # fmt: skip
    done = later(relabelled(here, "b", ring="other"))
    assert (sorted(done.runs)[-1], done.run.status.phase) == ("checkout-3", RunPhase.SUCCEEDED)
    assert done.run.status.counts.updated == 3


def test_who_leaves_and_would_be_rendered_otherwise_starts_no_run() -> None:
    here = later(relabelled(overriding(), "c", tier="none", ring="other"))
    assert sorted(here.runs) == ["checkout-1"]
    assert here.application.status.clusters == "2/2"


def test_who_belongs_to_no_wave_starts_no_run() -> None:
    waves = {"waves": [{"name": "one", "clusters": ["a", "b"]}], "unmatchedClusters": "Ignore"}
    here = later(relabelled(overriding(**waves), "c", ring="other"))
    assert sorted(here.runs) == ["checkout-1"]


def test_who_comes_back_is_brought_to_the_newest_revision() -> None:
    here = world.settle(world.new("a", "b"))
    left = relabelled(here, "b", tier="none")
    here = world.settle(world.deliver(left, "shop:v2", maxPrune=0))
    assert [here.image(name) for name in "ab"] == ["shop:v2", "shop:v1"], "nobody lets it go"
    back = later(relabelled(here, "b"))
    assert (back.run.spec.trigger, back.run.status.phase) == ("MembersJoined", RunPhase.SUCCEEDED)
    assert [back.image(name) for name in "ab"] == ["shop:v2", "shop:v2"]
    assert sorted(back.runs) == ["checkout-1", "checkout-2", "checkout-3"]


def test_who_is_made_anew_gets_nothing_outside_a_run() -> None:
    here = world.settle(world.new("a", "b"))
    here = replace(without(here, "b"))
    here = world.tick(here)
    paused = world.deliver(anew(here, "b"), "shop:v1", paused=True)
    paused = later(paused, 5)
    assert paused.objects[ClusterName("b")] == {}, "the run of the former b is not its run"
    assert paused.application.status.clusters == "1/2"
    done = later(world.deliver(paused, "shop:v1"))
    assert (done.run.spec.trigger, done.run.status.phase) == ("MembersJoined", RunPhase.SUCCEEDED)
    assert done.run.spec.plan.waves[0].clusters == ("b",)
    assert (done.image("b"), done.application.status.clusters) == ("shop:v1", "2/2")


def test_who_is_made_anew_in_a_run_waits_for_its_turn_in_it() -> None:
    here = world.tick(world.tick(world.new("a", "b")))
    assert here.phase("a") is ClusterPhase.PROGRESSING
    here = anew(here, "a")
    done = world.settle(here)
    assert (done.run.status.phase, sorted(done.runs)) == (RunPhase.SUCCEEDED, ["checkout-1"])
    assert [done.image(name) for name in "ab"] == ["shop:v1"] * 2
    assert done.started == ["a", "a", "b"]


def swapped(here: World, name: str, server: str) -> World:
    """The kubeconfig of that member names this API server from now on."""
    member = here.members[ClusterName(name)]
    return replace(here, members=here.members | {ClusterName(name): replace(member, server=server)})


def test_another_api_server_gets_nothing_outside_a_run() -> None:
    here = world.settle(swapped(world.new("a", "b"), "b", "first"))
    former = here.objects[ClusterName("b")]
    moved = replace(swapped(here, "b", "second"), objects=here.objects | {ClusterName("b"): {}})
    moved = later(world.deliver(moved, "shop:v1", paused=True), 5)
    assert moved.objects[ClusterName("b")] == {}, "what the first one received is not for this one"
    status = moved.cluster("b").status
    assert (status.phase, status.reason) == (ClusterPhase.PENDING, "MemberReplaced")
    assert len(status.inventory) == 4, "what is in the first one is not forgotten yet"

    back = swapped(moved, "b", "first")
    back = later(replace(back, objects=back.objects | {ClusterName("b"): former}), 5)
    assert back.phase("b") is ClusterPhase.SUCCEEDED
    assert [line for line in back.log if line.startswith("b apply")] == ["b apply 1"]

    done = later(world.deliver(moved, "shop:v1"))
    assert done.image("b") == "shop:v1"
    assert done.run.status.phase is RunPhase.SUCCEEDED
    assert done.cluster("b").status.server == "second"


def test_what_is_in_another_api_server_is_left_there_and_said() -> None:
    here = world.settle(swapped(world.new("a"), "a", "first"))
    here = swapped(here, "a", "second")
    item = here.cluster("a")
    meta = item.metadata.model_copy(update={"deletion_timestamp": here.now})
    here.items[ClusterName("a")] = item.model_copy(update={"metadata": meta})
    done = world.tick(here)
    assert (done.items, len(done.objects[ClusterName("a")])) == ({}, 4)


def test_who_leaves_in_flight_drops_out_and_goes_by_the_policy() -> None:
    """[MT-04] The others go on; what had been made there is taken away."""
    here = world.new("a", "b", "c", maxConcurrency=2)
    here = world.settle(here)
    here = world.tick(world.deliver(here, "shop:v2", maxConcurrency=2))
    wants = [here.items[ClusterName(name)].spec.want for name in "abc"]
    assert [want.run for want in wants if want] == ["checkout-2", "checkout-2", "checkout-1"]
    done = world.settle(leave(here, "a"))
    assert (done.run.status.phase, done.run.status.counts.total) == (RunPhase.SUCCEEDED, 2)
    assert sorted(done.items) == ["b", "c"]
    assert done.objects[ClusterName("a")] == {}


def test_an_orphan_keeps_what_it_has() -> None:
    here = world.settle(world.new("a", "b", deletionPolicy="Orphan"))
    done = later(leave(here, "a"), 5)
    assert sorted(done.items) == ["b"]
    kept = done.objects[ClusterName("a")]
    assert sorted(place[0] for place in kept) == ["httproutes", "rollouts", "services", "services"]
    assert kept["rollouts", "checkout", "checkout"]["spec"]["dispatch"]["released"] is True


def test_many_that_leave_wait_for_a_person() -> None:
    names = [f"c{number}" for number in range(20)]
    here = world.settle(world.new(*names, maxConcurrency="100%"))
    here = later(leave(here, *names[:5]), 5)
    assert len(here.items) == 20
    found = find(here.application.status.conditions, "Pruned")
    assert found is not None
    digest = found.message.rpartition("/")[2]
    done = later(replace(here, request=f"confirm-prune/1/{digest}"), 5)
    assert sorted(done.items) == sorted(names[5:])
