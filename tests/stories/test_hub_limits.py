"""What holds over all waves: time between starts, share of the fleet, who is away, the queue."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api.fleetrollout import RunPhase
from fleet.api.names import ClusterName
from tests.hub import gen, world
from tests.hub.world import World

HOURS_3 = 10_800
A = ClusterName("a")


def settled(here: World, ticks: int = 30) -> World:
    for _ in range(ticks):
        here = world.tick(here)
    return here


# --- starts ---------------------------------------------------------------------------------------


def test_starts_are_so_far_apart() -> None:
    policy = {"maxConcurrency": 3, "limits": {"minInterval": "2m"}}
    here = world.tick(world.tick(world.new("a", "b", "c", **policy)))
    assert (here.started, here.run.status.reason) == (["a"], "WaitingForClusters")
    here = settled(here, 6)
    assert (here.run.status.reason, here.started) == ("MinInterval", ["a"])
    assert here.run.status.next_check == here.run.status.until
    here = world.settle(replace(here, now=here.run.status.next_check))
    assert here.started == ["a", "b"]
    here = world.tick(replace(here, now=here.run.status.next_check))
    assert here.started == ["a", "b", "c"]


def test_the_start_of_one_who_leaves_the_fleet_still_counts() -> None:
    policy = {"maxConcurrency": 3, "limits": {"minInterval": "2m"}}
    here = world.tick(world.tick(world.new("a", "b", **policy)))
    gone = replace(here.members[A], cluster=gen.cluster("a", tier="none"))
    here = world.tick(replace(here, members=here.members | {A: gone}))
    assert (here.run.status.reason, here.started) == ("MinInterval", ["a"])


def test_a_share_of_the_fleet_is_not_exceeded_before_its_wave() -> None:
    """Two of five may go before `rest`; the third of the first wave waits for a person."""
    waves = [
        {"name": "first", "clusters": ["a", "b", "c"], "maxConcurrency": 3},
        {"name": "rest", "remaining": True, "maxConcurrency": 2},
    ]
    limits = {"maxTrafficShareOnNewRevision": "40%"}
    here = world.settle(world.new("a", "b", "c", "d", "e", waves=waves, limits=limits))
    assert here.started == ["a", "b"]
    assert (here.run.status.reason, here.run.status.message) == (
        "TrafficShare",
        "with c 60% of the fleet would run the revision, and before wave rest at most 40% may",
    )
    assert here.run.status.unblock == "the request skip/<id>/c"
    done = world.settle(replace(here, request="skip/1/c"))
    assert done.started == ["a", "b", "d", "e"]
    assert done.run.status.message == "4 of 5 clusters updated, 1 skipped: c"


# --- members out of reach -------------------------------------------------------------------------


def away(policy: str, **more: Any) -> World:
    """`a` of three cannot be reached when it is its turn."""
    unavailable = {"policy": policy, "timeout": "1h"}
    here = world.new("a", "b", "c", unavailableClusters=unavailable, **more)
    return settled(world.lose(here, "a"), 20)


def test_skip_leaves_it_out_until_it_is_back() -> None:
    here = away("Skip")
    assert here.run.status.phase is RunPhase.SUCCEEDED_WITH_FAILURES
    assert here.run.status.message == "2 of 3 clusters updated, 1 skipped: a"
    back = settled(world.regain(here, "a"))
    assert (back.run.spec.trigger, back.started) == ("MembersJoined", ["b", "c", "a"])


def test_block_lets_the_wave_wait_for_it() -> None:
    here = away("Block")
    assert (here.run.status.reason, here.started) == ("Blocked", [])
    assert here.run.status.message == (
        "a cannot be reached and blocks: connection refused; counts as failed at 13:00:00Z"
    )
    back = world.settle(world.regain(here, "a"))
    assert (back.started, back.run.status.phase) == (["a", "b", "c"], RunPhase.SUCCEEDED)


@pytest.mark.parametrize(
    ("budget", "phase", "started"),
    [
        pytest.param(0, RunPhase.HALTED, "", id="no budget"),
        pytest.param(1, RunPhase.SUCCEEDED_WITH_FAILURES, "bc", id="a budget that bears it"),
    ],
)
def test_what_blocks_for_too_long_counts(budget: int, phase: RunPhase, started: str) -> None:
    here = settled(world.tick(away("Block", failureBudget=budget), seconds=HOURS_3), 20)
    assert (here.run.status.phase, "".join(here.started)) == (phase, started)


def test_an_engine_of_which_nothing_is_known_is_accepted_where_the_policy_says_so() -> None:
    """It is External, and its Rollout says all there is to know."""
    waiting = settled(world.forget(world.new("a", "b"), "a"))
    assert (waiting.started, waiting.run.status.reason) == (["b"], "Deferred")
    accepting = {"unavailableClusters": {"acceptUnknownEngine": True}}
    here = settled(world.forget(world.new("a", "b", **accepting), "a"))
    assert (here.started, here.run.status.phase) == (["a", "b"], RunPhase.SUCCEEDED)
    assert here.cluster("a").status.last_good.run == here.run.name
    lost = settled(world.deliver(world.lose(here, "a"), "shop:v2", **accepting))
    assert (lost.started[2:], lost.run.status.reason) == (["b"], "Deferred"), "none to accept"


def test_a_member_of_an_unknown_engine_that_joins_gets_a_run_of_its_own() -> None:
    accepting = {"unavailableClusters": {"acceptUnknownEngine": True}}
    here = settled(world.new("a", "b", **accepting))
    c = gen.unknown(gen.member("c"))
    here = replace(here, members=here.members | {c.name: c}, objects={**here.objects, c.name: {}})
    done = settled(here)
    assert (done.run.spec.trigger, done.started) == ("MembersJoined", ["a", "b", "c"])


def test_a_person_can_leave_out_what_blocks() -> None:
    done = settled(replace(away("Block"), request="skip/1/a"), 20)
    assert done.started == ["b", "c"]
    assert done.run.status.phase is RunPhase.SUCCEEDED_WITH_FAILURES


# --- queue ----------------------------------------------------------------------------------------


def test_a_new_revision_waits_in_the_queue() -> None:
    queue = {"onNewRevision": "Queue"}
    here = world.settle(world.new("a", "b", **queue))
    here = world.tick(world.tick(world.deliver(here, "shop:v2", **queue)))
    here = world.tick(world.deliver(here, "shop:v3", **queue))
    assert sorted(here.runs) == ["checkout-1", "checkout-2"]
    told = here.application.status
    assert told.message.startswith(f"revision {told.revision} waits for the end of run checkout-2")
    assert told.conditions[-1].reason == "Queued"
    here = settled(world.deliver(here, "shop:v4", **queue), 40)
    phases = {name: run.status.phase for name, run in here.runs.items()}
    assert phases == dict.fromkeys(["checkout-1", "checkout-2", "checkout-3"], RunPhase.SUCCEEDED)
    assert {here.image(name) for name in "ab"} == {"shop:v4"}, "the last one in the queue"


def test_the_queue_waits_for_a_person_when_the_run_is_halted() -> None:
    queue = {"onNewRevision": "Queue"}
    here = replace(world.settle(world.new("a", "b", **queue)), bad=frozenset("a"))
    here = world.settle(world.deliver(here, "shop:v2", **queue))
    here = settled(world.deliver(here, "shop:v3", **queue), 5)
    assert sorted(here.runs) == ["checkout-1", "checkout-2"]
    here = world.tick(replace(here, request="abort/1", bad=frozenset()))
    here = settled(replace(here, request=""), 30)
    assert {here.image(name) for name in "ab"} == {"shop:v3"}
