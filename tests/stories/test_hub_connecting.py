"""The hub has just met its members: it began a moment ago, or they were registered a moment ago.

What is not connected yet is not lost: its wave waits for it, for half a minute at most. Who is
lost, or stays away that long, is put off and blocks nobody.
"""

from datetime import timedelta

import pytest

from fleet.api.fleetrollout import RunPhase
from fleet.kit import phrases
from tests.hub import world

RINGS = {"a": "canary"}
WAVES = {
    "waves": [
        {
            "name": "canary",
            "clusterSelector": {"matchLabels": {"ring": "canary"}},
            "after": [{"soak": "5m"}],
        },
        {"name": "rest", "remaining": True, "maxConcurrency": 2},
    ]
}


@pytest.fixture(scope="module")
def restarted() -> world.World:
    """v2 was asked for when a new hub began, which is not connected to anybody yet."""
    here = world.settle(world.new("a", "b", "c", labels=RINGS))
    return world.meet(world.deliver(here, "shop:v2", **WAVES), "a", "b", "c")


def told(here: world.World) -> list[tuple[str, str]]:
    return [(entry.reason, entry.message) for entry in here.run.status.history]


def test_the_rest_does_not_go_before_the_canary(restarted: world.World) -> None:
    here = world.tick(world.regain(restarted, "b", "c"))
    assert here.run.status.reason == "Connecting"
    until = phrases.clock(restarted.now + timedelta(seconds=30))
    message = f"waiting for a to be connected, until {until} at the latest"
    assert here.run.status.message == message
    assert {row.name: row.phase for row in here.run.status.clusters} == dict.fromkeys(
        "abc", "Pending"
    )
    assert here.started[3:] == []
    soaks = world.settle(world.regain(here, "a"))
    assert (soaks.run.status.phase, soaks.started[3:]) == (RunPhase.SOAKING, ["a"])
    done = world.settle(world.tick(soaks, seconds=300))
    assert done.run.status.phase is RunPhase.SUCCEEDED


def test_who_is_not_there_in_time_is_put_off_and_blocks_nobody(restarted: world.World) -> None:
    here = world.regain(restarted, "b", "c")
    for _ in range(4):
        here = world.tick(here)
    assert set(here.started[3:]) == {"b", "c"}
    assert {row.name: row.phase for row in here.run.status.clusters}["a"] == "Deferred"
    assert RunPhase.SOAKING not in {reason for reason, _ in told(here)}, "there is nothing to soak"
    assert ("WaveDone", "wave canary is put off: 0 of 1 updated, 1 put off, took 30s") in told(here)
    done = world.settle(world.regain(world.settle(here), "a"), ticks=90)
    assert (done.run.status.phase, done.started[-1]) == (RunPhase.SUCCEEDED, "a")


def test_who_is_found_to_be_lost_is_put_off_at_once(restarted: world.World) -> None:
    here = world.tick(world.lose(world.regain(restarted, "b", "c"), "a"))
    assert set(here.started[3:]) == {"b", "c"}


def test_nobody_is_waited_for_once_more_in_a_wave_that_was_passed(restarted: world.World) -> None:
    """A second restart, when the rest is on its way."""
    here = world.tick(world.lose(world.regain(restarted, "b", "c"), "a"))
    again = world.tick(world.regain(world.meet(here, "a"), "b", "c"))
    assert [item.phase for item in again.run.status.waves] == ["Done", "Progressing"]
    assert world.settle(again, ticks=30).run.status.reason == "Deferred"
