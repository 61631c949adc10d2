"""Soaks and pauses: the soak clock stops in a pause and does not start anew."""

from dataclasses import replace
from datetime import timedelta

from fleet.api.fleetrollout import RunPhase
from tests.hub import world

SOAK = {
    "waves": [
        {"name": "one", "clusters": ["a"], "after": [{"soak": "5m"}]},
        {"name": "two", "remaining": True},
    ]
}


def soaking() -> world.World:
    here = world.new("a", "b", **SOAK)
    while not here.runs or here.run.status.phase is not RunPhase.SOAKING:
        here = world.tick(here)
    return here


def test_a_soak_that_spans_a_pause() -> None:
    """[MT-09] Two minutes before, an hour of pause, three minutes after: five in all."""
    here = soaking()
    for _ in range(12):
        here = world.tick(here)
    here = world.tick(replace(here, request="pause/1"), seconds=3_600)
    assert here.run.status.phase is RunPhase.PAUSED
    before = here.run.status.waves[0].soaked_seconds
    assert 120 <= before <= 140
    here = world.tick(here)
    assert here.run.status.waves[0].soaked_seconds == before, "the clock stands still"
    resumed = here.now
    here = replace(here, request="resume/2")
    while here.run.status.wave == "one":
        here = world.tick(here)
    assert timedelta(seconds=300 - before) <= here.now - resumed <= timedelta(seconds=320 - before)


def test_a_pause_holds_what_is_in_flight_and_its_time_does_not_count() -> None:
    here = world.tick(world.tick(world.new("a", "b", progressDeadline="1m")))
    here = world.tick(replace(here, request="pause/1"))
    assert here.cluster("a").spec.hold == "paused by request: write the request resume"
    here = world.tick(here, seconds=7_200)
    assert here.run.status.phase is RunPhase.PAUSED
    done = world.settle(here, request="resume/2")
    assert done.run.status.phase is RunPhase.SUCCEEDED, "the pause is no part of the deadline"
    assert [line for line in done.log if line.split()[1] in ("hold", "release")] == [
        "a hold 2 paused by request: write the request resume",
        "a release",
    ]
