"""A cluster that does not come to its end in time, and the ways out of that."""

from dataclasses import replace

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from tests.hub import world

HOUR = 3_600
SHORT = {"progressDeadline": "1m"}


def too_late() -> world.World:
    """Both run v1; `a` was given v2 and is far over its minute; everything is written."""
    here = world.settle(world.new("a", "b", **SHORT))
    here = world.tick(world.tick(world.deliver(here, "shop:v2", **SHORT)), seconds=HOUR)
    return world.settle(here)


def rows(here: world.World) -> dict[str, ClusterPhase]:
    return {row.name: row.phase for row in here.run.status.clusters}


def test_it_halts_the_run_and_stays_timed_out_while_it_is_held() -> None:
    here = too_late()
    assert here.cluster("a").spec.hold.startswith("halted: 1 failed in wave all")
    assert (here.run.status.phase, here.run.status.reason) == (RunPhase.HALTED, "BudgetExceeded")
    assert (here.run.status.counts.failed, rows(here)["a"]) == (1, ClusterPhase.TIMED_OUT)
    later = world.tick(world.tick(here, seconds=HOUR))
    assert later.run.status == here.run.status


def test_retry_gives_it_its_whole_time_again() -> None:
    done = world.settle(too_late(), request="retry/1")
    assert done.run.status.phase is RunPhase.SUCCEEDED
    assert [done.image(name) for name in "ab"] == ["shop:v2"] * 2


def test_resume_accepts_it_and_goes_on() -> None:
    here = world.tick(too_late())
    here = world.tick(replace(here, request="resume/1"))
    assert (here.run.status.phase, here.run.status.accepted) == (RunPhase.PROGRESSING, ("a",))
    done = world.settle(here)
    assert done.run.status.phase is RunPhase.SUCCEEDED, "it came to its end after all"


def test_what_a_person_has_accepted_stays_accepted_while_the_hub_suspects_itself() -> None:
    """Nothing counts then; when it is over, nothing counts a second time."""
    here = world.tick(replace(world.tick(too_late()), request="resume/1"))
    dark = world.tick(replace(here, isolated=True))
    assert dark.run.status.reason == "HubIsolated"
    assert rows(dark)["a"] is not ClusterPhase.TIMED_OUT
    light = world.tick(replace(dark, isolated=False))
    assert (light.run.status.phase, light.run.status.accepted) == (RunPhase.PROGRESSING, ("a",))
