"""The fleet changes while a run is on its way."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api.fleetrollout import RunPhase
from tests.hub import gen, world
from tests.hub.world import ClusterName, World

WAVES = {
    "waves": [
        {"name": "one", "clusterSelector": {"matchLabels": {"ring": "one"}}},
        {"name": "two", "clusterSelector": {"matchLabels": {"ring": "two"}}},
        {"name": "rest", "remaining": True},
    ]
}
RINGS = {"a": "one", "b": "two", "c": "two", "d": "rest"}


def going(**policy: Any) -> World:
    """The second version has come to wave two."""
    here = world.settle(world.new("a", "b", "c", "d", labels=RINGS, **WAVES, **policy))
    here = world.deliver(replace(here, started=[]), "shop:v2", **WAVES, **policy)
    while here.run.status.wave != "two":
        here = world.tick(here)
    return here


def joins(here: World, name: str, ring: str, **given: Any) -> World:
    key = ClusterName(name)
    return replace(
        here,
        members=here.members
        | {key: replace(gen.member(name), cluster=gen.cluster(name, ring=ring, **given))},
        objects=here.objects | {key: {}},
    )


def leaves(here: World, name: str) -> World:
    """The member is not selected any more; its MemberCluster is still there."""
    member = here.members[ClusterName(name)]
    cluster = gen.cluster(name, tier="none", ring=RINGS[name])
    return replace(
        here, members=here.members | {ClusterName(name): replace(member, cluster=cluster)}
    )


def told(here: World, reason: str) -> list[str]:
    return [one.message for one in here.run.status.history if one.reason == reason]


@pytest.mark.parametrize(
    ("ring", "order"),
    [
        pytest.param("one", "abcde", id="[MT-03] its wave is done: it goes after all others"),
        pytest.param("two", "abced", id="[MT-03] its wave is in work: it goes with it"),
        pytest.param("rest", "abcde", id="[MT-03] its wave is still to come: as everybody"),
    ],
)
def test_who_joins_goes_with_its_wave(ring: str, order: str) -> None:
    here = going()
    before = here.run.status.plan_digest
    done = world.settle(joins(here, "e", ring))
    assert ("".join(done.started), done.run.status.phase) == (order, RunPhase.SUCCEEDED)
    assert told(done, "MemberAppended") == [f"e joins wave {ring}"]
    assert (done.run.status.counts.total, done.run.status.plan_digest) == (5, before)
    assert done.run.spec.number == 2, "the run is not disturbed, and needs no other after it"


ONE, TWO, REST = WAVES["waves"]
SHARE = {"maxTrafficShareOnNewRevision": "30%", "untilWave": "two"}


@pytest.mark.parametrize(
    ("ring", "policy"),
    [
        pytest.param("one", WAVES, id="in a wave of its own"),
        pytest.param("two", {"waves": [ONE, TWO | {"failureBudget": 2}, REST]},
                     id="fewer than the wave may lose"),
        pytest.param("one", WAVES | {"limits": SHARE},
                     id="a larger share of those who go than may before the second wave"),
    ],
)  # fmt: skip
def test_who_joins_after_the_end_gets_a_run_of_its_own(ring: str, policy: dict[str, Any]) -> None:
    done = world.settle(world.new("a", "b", "c", "d", labels=RINGS, **policy))
    assert done.run.status.phase is RunPhase.SUCCEEDED
    here = world.settle(world.tick(joins(done, "e", ring)))
    assert (here.run.spec.trigger, "".join(here.started)) == ("MembersJoined", "abcde")
    assert here.run.status.phase is RunPhase.SUCCEEDED


def test_who_joins_a_wave_that_was_passed_with_nobody_in_it_finds_its_gate_closed() -> None:
    """The gate was opened for nobody: only a run of its own brings the revision there."""
    ring = {"clusterSelector": {"matchLabels": {"ring": "new"}}}
    gated = [{"name": "new", **ring, "before": [{"approval": {}}]}, *WAVES["waves"]]
    here = world.settle(world.new("a", "b", "c", "d", labels=RINGS, waves=gated))
    here = world.deliver(replace(here, started=[]), "shop:v2", waves=gated)
    while here.run.status.wave != "two":
        here = world.tick(here)
    done = world.settle(joins(here, "e", "new"))
    assert "".join(done.started) == "abcd"
    assert done.runs["checkout-2"].status.phase is RunPhase.SUCCEEDED
    assert (done.run.spec.trigger, done.run.status.phase) == (
        "MembersJoined",
        RunPhase.AWAITING_APPROVAL,
    )
    yes = world.settle(replace(done, request=f"approve/1/new:{done.run.status.plan_digest}"))
    assert (yes.started[-1], yes.run.status.phase) == ("e", RunPhase.SUCCEEDED)


def test_who_may_not_receive_is_not_let_in() -> None:
    here = world.tick(joins(going(), "e", "two", namespaces=("other",)))
    assert here.run.status.appended == ()


def test_the_next_run_takes_those_that_joined_where_the_policy_says_so() -> None:
    here = joins(going(membershipChanges="NextRun"), "e", "rest")
    second = world.settle(here)
    assert "e" in second.started
    assert (second.run.spec.trigger, second.run.spec.number) == ("MembersJoined", 3)
    assert second.runs["checkout-2"].status.counts.total == 4


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(lambda here: joins(here, "e", "one"), "e joined", id="somebody joins"),
        pytest.param(lambda here: leaves(here, "d"), "d left", id="somebody leaves"),
    ],
)
def test_all_begins_anew_where_the_policy_says_so(change: Any, why: str) -> None:
    here = world.settle(change(going(membershipChanges="Abort")))
    second = here.runs["checkout-2"].status
    assert (second.phase, second.reason) == (RunPhase.ABORTED, "MembersChanged")
    assert second.message == f"{why} the fleet: all begins anew (membershipChanges: Abort)"
    assert (here.run.spec.number, here.run.status.phase) == (3, RunPhase.SUCCEEDED)


def test_who_leaves_drops_out_and_the_others_go_on() -> None:
    done = world.settle(leaves(going(), "d"))
    assert (done.run.status.phase, done.run.status.counts.total) == (RunPhase.SUCCEEDED, 3)
    assert "d" not in done.started
    assert done.objects[ClusterName("d")] == {}, "what was there is taken away"


def test_a_fleet_that_selects_nobody_by_mistake_stops_nothing() -> None:
    here = going()
    nobody = gen.fleet(members={"clusterSelector": {"matchLabels": {"tier": "typo"}}})
    here = world.settle(replace(here, fleet=nobody))
    assert here.run.status.counts.total == 4
    assert {here.image(name) for name in "abcd"} == {"shop:v2"}
