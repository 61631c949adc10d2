"""A former run delivered again: one snapshot for everybody, through the waves."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from fleet.api import Fleet
from fleet.api.fleetrollout import RunPhase
from fleet.hub.core.member import selection
from tests.hub import gen, world
from tests.hub.world import ClusterName, World

WAVES = {"waves": [{"name": "one", "clusters": ["a"]}, {"name": "rest", "remaining": True}]}


def images(here: World) -> str:
    """`221`: the version of each cluster."""
    return "".join(here.image(name)[-1] for name in sorted(here.objects))


def delivered(*images: str, **policy: Any) -> World:
    """Three clusters that have run every image, and a world of one's own."""
    return replace(_delivered(images, tuple(policy.items())), started=[])


@cache
def _delivered(images: tuple[str, ...], given: tuple[tuple[str, Any], ...]) -> World:
    policy = dict(given)
    here = world.settle(world.new("a", "b", "c", **WAVES, **policy))
    for image in images:
        here = world.settle(world.deliver(here, image, **WAVES, **policy))
    return here


def test_the_last_good_run_is_delivered_again_through_the_waves() -> None:
    """The third version failed in `a`; the second is what everybody gets, in the plan's order."""
    here = replace(delivered("shop:v2"), bad=frozenset("a"))
    halted = world.settle(world.deliver(here, "shop:v3", **WAVES))
    assert halted.run.status.phase is RunPhase.HALTED
    done = world.settle(replace(halted, bad=frozenset()), request="undo/1")
    assert (done.run.name, done.run.spec.trigger) == ("checkout-4", "Undone")
    assert (images(done), done.run.status.phase) == ("222", RunPhase.SUCCEEDED)
    assert done.started == ["a", "a", "b", "c"], "the third, and the second through the waves"
    assert done.run.spec.revision == done.runs["checkout-2"].spec.revision
    assert done.runs["checkout-3"].status.phase is RunPhase.SUPERSEDED
    assert done.application.status.message == (
        "run checkout-4: 3 of 3 clusters updated; an undo has put aside what is asked for here, "
        "until it is changed"
    )
    later = world.tick(world.tick(done, seconds=86_400))
    assert (later.run.name, images(later)) == ("checkout-4", "222"), "it stays"


def test_what_the_engines_were_told_comes_back_too() -> None:
    told = {
        "hooks": [{"name": "gate", "url": "http://gate.ops/"}],
        "rollout": {"rollbackWindow": 2},
    }
    first = world.settle(world.new("a", "b", "c", **WAVES, **told))
    here = world.settle(world.deliver(first, "shop:v2", **WAVES))
    done = world.settle(here, request="undo/1")
    specs = [
        one.objects[ClusterName("a")]["rollouts", "checkout", "checkout"]["spec"]
        for one in (first, here, done)
    ]
    assert [spec.get("rollbackWindow") for spec in specs] == [2, None, 2]
    assert ["hooks" in spec for spec in specs] == [True, False, True]


def test_a_named_run_is_delivered_again() -> None:
    here = delivered("shop:v2", "shop:v3")
    done = world.settle(here, request="undo/1/checkout-1")
    assert (images(done), done.run.name) == ("111", "checkout-4")
    assert done.started == ["a", "b", "c"]


def test_a_change_of_the_application_ends_what_put_it_aside() -> None:
    here = world.settle(delivered("shop:v2"), request="undo/1")
    assert images(here) == "111"
    same = world.settle(world.deliver(here, "shop:v2", **WAVES, maxConcurrency=2))
    assert (same.run.name, images(same)) == ("checkout-3", "111"), "the order is no content"
    done = world.settle(world.deliver(here, "shop:v4", **WAVES))
    assert (images(done), done.run.spec.instead_of) == ("444", "")
    assert "put aside" not in done.application.status.message


@pytest.mark.parametrize(
    ("defaults", "field"),
    [
        pytest.param({"rollout": {"rollbackWindow": 3}}, "rollout", id="how the engine goes about"),
        pytest.param(
            {"hooks": [{"name": "gate", "url": "http://gate.ops/"}]}, "hooks", id="whom it asks"
        ),
    ],
)
def test_a_default_of_the_fleet_is_undone_too(defaults: dict[str, Any], field: str) -> None:
    """What the former run went without stays empty, and is not filled from the Fleet again."""
    here = delivered()
    first = here.run
    body = here.fleet.manifest()
    body["spec"]["defaults"] = {"deliveryPolicy": defaults}
    told = world.settle(replace(here, fleet=Fleet.parse(body)))
    assert told.run.spec.application.spec.delivery_policy.manifest()[field] == defaults[field]
    done = world.settle(told, request="undo/1")
    assert (done.run.spec.number, done.run.spec.trigger) == (3, "Undone")
    assert done.run.spec.revision == first.spec.revision != told.run.spec.revision
    assert world.tick(done, seconds=86_400).run.name == done.run.name, "it stays"


def test_undone_once_more_it_is_the_second_again() -> None:
    here = world.settle(delivered("shop:v2"), request="undo/1")
    done = world.settle(here, request="undo/2")
    assert (images(done), done.run.name) == ("222", "checkout-4")


def test_who_joins_later_gets_what_stands_in() -> None:
    here = world.settle(delivered("shop:v2"), request="undo/1")
    new = ClusterName("d")
    members = {**here.members, new: gen.member("d")}
    assert new in selection.select(here.fleet, members).chosen
    done = world.settle(replace(here, members=members, objects={**here.objects, new: {}}))
    assert (images(done), done.run.spec.trigger) == ("1111", "MembersJoined")
    assert done.run.spec.instead_of


def test_an_undo_does_not_wait_in_the_queue() -> None:
    """The run in work would never end: `b` waits for an approval."""
    policy = {
        "onNewRevision": "Queue",
        "waves": [
            {"name": "one", "clusters": ["a"], "after": [{"approval": {}}]},
            {"name": "rest", "remaining": True},
        ],
    }
    here = delivered("shop:v2")
    going = world.settle(world.deliver(here, "shop:v3", **policy))
    assert (images(going), going.run.status.phase) == ("322", RunPhase.AWAITING_APPROVAL)
    going = world.deliver(replace(going, started=[]), "shop:v3", **policy)
    done = world.settle(going, request="undo/1")
    assert done.runs["checkout-3"].status.phase is RunPhase.SUPERSEDED
    assert (images(done), done.started) == ("222", ["a"]), "its gates are those of today"
    assert done.run.status.phase is RunPhase.AWAITING_APPROVAL


@pytest.mark.parametrize("crash", range(1, 12))
def test_a_hub_that_ends_on_the_way(crash: int) -> None:
    """Whichever write was the last before the end, the run is made once and nobody goes twice."""
    here = replace(delivered("shop:v2"), request="undo/1", writes=0, crash_at=crash)
    done = world.settle(here)
    assert (images(done), done.run.name) == ("111", "checkout-3")
    assert done.started == ["a", "b", "c"]


def test_an_invalid_application_is_undone_too() -> None:
    """What is wrong with it is of no account while something else stands in for it."""
    here = delivered("shop:v2")
    wrong = world.deliver(here, "shop:v3", **WAVES)
    strategy = {"canary": {"steps": [{"setWeight": 50}, {"setWeight": 20}]}}
    wrong = world.deliver(here, "shop:v3", **WAVES, strategy=strategy)
    refused = world.tick(wrong)
    assert (refused.application.status.phase, refused.run.name) == ("Degraded", "checkout-2")
    done = world.settle(refused, request="undo/1")
    assert (images(done), done.run.status.phase) == ("111", RunPhase.SUCCEEDED)


BROKEN = {"waves": [*WAVES["waves"], {"name": "late", "clusters": ["b"]}]}
"""Nobody may come after those that remain."""

HELD = {"waves": [{**WAVES["waves"][0], "after": [{"approval": {}}]}, WAVES["waves"][1]]}


def test_what_is_asked_for_after_a_hindered_undo_is_not_swallowed() -> None:
    here = world.settle(world.deliver(delivered("shop:v2"), "shop:v2", **BROKEN), request="undo/1")
    assert (images(here), here.run.status.undo_to) == ("222", "checkout-1"), "its waves hinder it"
    done = world.settle(world.deliver(here, "shop:v4", **WAVES))
    assert (images(done), done.run.name, done.run.spec.trigger) == (
        "444", "checkout-3", "SpecChanged",
    )  # fmt: skip
    later = world.settle(world.deliver(done, "shop:v2", **WAVES))
    assert (images(later), later.run.spec.instead_of) == ("222", "")


def test_an_undo_that_was_hindered_comes_when_that_is_mended() -> None:
    here = world.settle(world.deliver(delivered("shop:v2"), "shop:v2", **BROKEN), request="undo/1")
    done = world.settle(world.deliver(here, "shop:v2", **WAVES))
    assert (images(done), done.run.spec.trigger) == ("111", "Undone"), "its waves are no content"


def test_who_goes_back_to_what_runs_ends_a_hindered_undo() -> None:
    """No run follows that could take over from the one that gives way: it goes on."""
    here = world.settle(world.deliver(delivered("shop:v2"), "shop:v3", **HELD))
    wrong = world.deliver(here, "shop:v4", **BROKEN)
    hindered = world.settle(wrong, request="undo/1/checkout-1")
    assert hindered.run.status.reason == "GivingWay"
    done = world.settle(world.deliver(hindered, "shop:v3", **HELD))
    assert (images(done), done.run.status.phase) == ("322", RunPhase.AWAITING_APPROVAL)
    assert done.run.status.history[-2].message == (
        "checkout-1 is not delivered again: the Application has changed since"
    )


def test_an_abort_after_the_end_gives_up_a_hindered_undo() -> None:
    here = world.settle(world.deliver(delivered("shop:v2"), "shop:v2", **BROKEN), request="undo/1")
    here = world.settle(here, request="abort/2")
    done = world.settle(world.deliver(here, "shop:v2", **WAVES))
    assert (images(done), done.run.status.phase) == ("222", RunPhase.SUCCEEDED)


def test_an_abort_gives_up_a_hindered_undo_too() -> None:
    here = world.settle(world.deliver(delivered("shop:v2"), "shop:v3", **HELD))
    here = world.settle(world.deliver(here, "shop:v3", **BROKEN), request="undo/1/checkout-1")
    here = world.settle(here, request="abort/2")
    done = world.settle(world.deliver(here, "shop:v3", **HELD))
    assert (images(done), done.run.status.phase) == ("322", RunPhase.ABORTED)


def test_a_hub_that_makes_another_digest_of_it_does_not_bring_it_back() -> None:
    """A newer hub knows fields that an older one did not."""
    here = world.settle(delivered("shop:v2"), request="undo/1")
    spec = here.run.spec.model_copy(update={"instead_of": "0123456789"})
    runs = {**here.runs, here.run.name: here.run.model_copy(update={"spec": spec})}
    done = world.settle(replace(here, runs=runs))
    assert (images(done), done.run.name) == ("111", "checkout-3")


def test_history_keeps_what_is_to_be_delivered_again() -> None:
    policy = {"revisionHistoryLimit": 1}
    here = delivered("shop:v2", **policy)
    assert sorted(here.runs) == ["checkout-1", "checkout-2"], "it is everybody's way back"
    done = world.settle(here, request="undo/1")
    assert images(done) == "111"


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        pytest.param(
            "undo/1/checkout-9",
            "checkout-9 is no former run of this Application: write undo/<id>/<run> with one of "
            "checkout-1",
            id="a run that nobody knows",
        ),
        pytest.param(
            "undo/1/checkout-2",
            "nothing to undo: checkout-2 has the revision of checkout-2: write undo/<id>/<run> "
            "with one of checkout-1",
            id="the run itself",
        ),
    ],
)
def test_what_cannot_be_undone_is_said(request_: str, told: str) -> None:
    done = world.settle(delivered("shop:v2"), request=request_)
    assert done.run.status.history[-1].message == told
    assert (done.run.status.undo_to, images(done)) == ("", "222")


def test_a_first_run_has_nothing_before_it() -> None:
    done = world.settle(delivered(), request="undo/1")
    assert done.run.status.history[-1].message == (
        "nothing to undo: no former run of another revision went well: there is no former one"
    )


def test_a_run_that_went_elsewhere_is_not_delivered_here() -> None:
    here = delivered()
    body = gen.spec("shop:v2", **WAVES)
    body["destination"] = {"fleet": "production", "namespace": "till"}
    members = {
        name: replace(one, cluster=open_to(one.cluster)) for name, one in here.members.items()
    }
    moved = world.settle(
        replace(here, members=members, application=gen.application(body=body, generation=2))
    )
    done = world.settle(moved, request="undo/1")
    assert done.run.status.history[-1].message == (
        "checkout-1 went to fleet production, namespace checkout, checkout-2 does not: change "
        "spec.destination of the Application"
    )


def open_to(cluster: Any) -> Any:
    spec = cluster.spec.model_copy(update={"allowed_namespaces": ("checkout", "till")})
    return cluster.model_copy(update={"spec": spec})
