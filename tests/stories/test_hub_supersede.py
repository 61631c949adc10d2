"""A newer revision takes over, whatever the older one was doing."""

from dataclasses import replace

import pytest

from fleet.api.fleetrollout import RunPhase
from fleet.hub.core import phases
from tests.hub import world

TWO = {"maxConcurrency": 2}


def active(now: world.World) -> list[str]:
    return [name for name, run in now.runs.items() if run.status.phase not in phases.ENDS]


@pytest.mark.parametrize("ticks", range(1, 9))
def test_every_cluster_ends_at_the_second(ticks: int) -> None:
    """[MT-08] Two revisions soon after each other: one superseded, one active, all at the last."""
    here = world.settle(world.new("a", "b", "c", **TWO))
    here = world.deliver(here, "shop:v2", **TWO)
    for _ in range(ticks):
        here = world.tick(here, seconds=0.1)
    here = world.tick(world.deliver(here, "shop:v3", **TWO), seconds=0.1)
    assert len(active(world.tick(here))) == 1
    done = world.settle(here)
    assert {name: run.status.phase for name, run in done.runs.items()} == {
        "checkout-1": RunPhase.SUCCEEDED,
        "checkout-2": RunPhase.SUPERSEDED,
        "checkout-3": RunPhase.SUCCEEDED,
    }
    assert {done.image(name) for name in "abc"} == {"shop:v3"}


def test_two_revisions_within_one_look() -> None:
    """[MT-08] The one that nobody looked at makes no run, or one that is superseded at once."""
    here = world.settle(world.new("a", "b"))
    here = world.tick(world.deliver(here, "shop:v2"), seconds=0)
    done = world.settle(world.deliver(here, "shop:v3"))
    assert {done.image(name) for name in "ab"} == {"shop:v3"}
    assert done.run.status.phase is RunPhase.SUCCEEDED


def test_those_in_flight_go_back_first_and_wait_for_their_wave() -> None:
    """Nobody skips a gate: the later wave runs what was good there until its turn comes."""
    waves = {
        "waves": [{"name": "one", "clusters": ["b"]}, {"name": "two", "remaining": True}],
        "maxConcurrency": 2,
    }
    start = world.settle(world.new("a", "b", **TWO))
    going = world.tick(world.tick(world.deliver(start, "shop:v2", **TWO)))
    assert [going.image(name) for name in "ab"] == ["shop:v2"] * 2
    after = world.tick(world.deliver(going, "shop:v3", **waves))
    after = world.tick(after)
    assert (after.image("a"), after.image("b")) == ("shop:v1", "shop:v3")
    done = world.settle(after)
    assert [done.image(name) for name in "ab"] == ["shop:v3"] * 2


def test_an_aborted_run_leaves_the_fleet_where_it_was() -> None:
    start = world.settle(world.new("a", "b", **TWO))
    going = world.tick(world.tick(world.deliver(start, "shop:v2", **TWO)))
    done = world.settle(going, request="abort/1")
    assert done.run.status.phase is RunPhase.ABORTED
    assert [done.image(name) for name in "ab"] == ["shop:v1"] * 2
    assert not active(done)
    status = done.run.status
    told = [(item.name, item.phase, item.message) for item in status.clusters]
    assert told == [("a", "RolledBack", "is back"), ("b", "RolledBack", "is back")]
    assert (status.counts.rolled_back, status.display.traffic) == (2, "0%")
    assert [item.reason for item in status.history].count("Aborted") == 1


def test_who_was_in_flight_is_shown_on_its_way_home_when_a_run_is_given_up() -> None:
    start = world.settle(world.new("a", "b", **TWO))
    going = world.tick(world.tick(world.deliver(start, "shop:v2", **TWO)))
    given_up = world.tick(replace(going, request="abort/1")).run
    assert given_up.status.phase is RunPhase.ABORTED
    told = [(item.name, item.phase, item.message) for item in given_up.status.clusters]
    home = "goes back to checkout-1"
    assert told == [("a", "RollingBack", home), ("b", "RollingBack", home)]
    assert (given_up.status.counts.in_flight, given_up.status.display.traffic) == (2, "0%")
