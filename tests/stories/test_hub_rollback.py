"""The way back: the last wave first, each cluster to what ran well there, whoever is away later."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from tests.hub import world
from tests.hub.world import World

OLD, NEW = "shop:v1", "shop:v2"
WAVES = {
    "waves": [
        {"name": "one", "clusters": ["a"]},
        {"name": "two", "clusters": ["b", "c"], "maxConcurrency": 2},
        {"name": "rest", "remaining": True},
    ],
    "rollback": {"maxConcurrency": 1},
}


def images(here: World) -> str:
    """`2221`: the version of each cluster."""
    return "".join(here.image(name)[-1] for name in sorted(here.objects))


def history(here: World) -> list[str]:
    return [entry.message for entry in here.run.status.history]


def delivered(*images: str, **policy: Any) -> World:
    """Four clusters that have all run every image, and a world of one's own."""
    here = _delivered(images, tuple(policy.items()))
    return replace(here, started=[])


@cache
def _delivered(images: tuple[str, ...], given: tuple[tuple[str, Any], ...]) -> World:
    policy = dict(given)
    here = world.settle(world.new("a", "b", "c", "d", **WAVES, **policy))
    for image in images:
        here = world.settle(world.deliver(here, image, **WAVES, **policy))
        assert here.run.status.phase is RunPhase.SUCCEEDED
    return here


def test_a_run_that_was_done_goes_back_in_reverse_order_one_at_a_time() -> None:
    here = replace(delivered(NEW), request="rollback/1")
    flying = []
    for _ in range(30):
        here = world.tick(here)
        flying.append(here.run.status.counts.in_flight)
    assert here.run.status.phase is RunPhase.ROLLED_BACK
    assert here.run.status.message == "4 of 4 clusters are back (asked for)"
    assert (here.started, max(flying), images(here)) == (["d", "c", "b", "a"], 1, "1111")
    assert here.run.status.counts.rolled_back == 4
    assert {here.cluster(name).status.last_good.run for name in "abcd"} == {"checkout-1"}


def test_one_that_is_away_goes_back_on_its_return() -> None:
    """[MT-15] It delays nobody; its wish is written and waits for it."""
    here = world.tick(world.lose(delivered(NEW), "c"))
    done = world.settle(here, request="rollback/1")
    assert done.run.status.phase is RunPhase.ROLLED_BACK
    assert done.run.status.message == "3 of 4 clusters are back; c on return (asked for)"
    assert images(done) == "1121"
    back = world.settle(world.tick(world.regain(done, "c")))
    assert (images(back), back.phase("c")) == ("1111", ClusterPhase.SUCCEEDED)


def test_each_goes_to_its_own_last_good_run() -> None:
    """`d` was left out of the second version: it goes back from the third to the first."""
    start = delivered()
    second = world.tick(world.tick(world.deliver(start, "shop:v2", **WAVES)))
    second = world.settle(second, request="skip/1/d")
    assert second.run.status.phase is RunPhase.SUCCEEDED_WITH_FAILURES
    assert second.run.status.message == "3 of 4 clusters updated, 1 skipped: d"
    assert images(second) == "2221", "nobody brings it what it was left out of"
    third = world.settle(world.deliver(replace(second, request=""), "shop:v3", **WAVES))
    assert images(third) == "3333"
    done = world.settle(third, request="rollback/2")
    assert images(done) == "2221"


def test_what_is_some_clusters_last_good_run_is_kept() -> None:
    """The history keeps two runs, and those to which somebody may have to go back."""
    policy = {"revisionHistoryLimit": 2}
    here = delivered("shop:v2", "shop:v3", "shop:v4", **policy)
    assert sorted(here.runs) == ["checkout-3", "checkout-4"]
    done = world.settle(here, request="rollback/1")
    assert images(done) == "3333"


@pytest.mark.parametrize(
    ("argument", "after", "message"),
    [
        pytest.param("/c", "2212", "3 of 4 clusters updated, 1 rolled back: c", id="a cluster"),
        pytest.param("/two", "2112", "2 of 4 clusters updated, 2 rolled back: b, c", id="a wave"),
    ],
)
def test_a_part_of_a_run_goes_back(argument: str, after: str, message: str) -> None:
    done = world.settle(delivered(NEW), request=f"rollback/1{argument}")
    assert (images(done), done.run.status.message) == (after, message)
    assert done.run.status.phase is RunPhase.SUCCEEDED_WITH_FAILURES
    later = world.tick(world.tick(done, seconds=3_600))
    assert (images(later), later.run.name) == (after, done.run.name), "it stays there"


def test_a_cluster_goes_back_and_the_others_go_on() -> None:
    here = world.deliver(delivered(), NEW, **WAVES)
    while here.run.status.wave != "two":
        here = world.tick(here)
    done = world.settle(here, request="rollback/1/a")
    assert (images(done), done.run.status.phase) == ("1222", RunPhase.SUCCEEDED_WITH_FAILURES)


@pytest.mark.parametrize("ticks", [1, 4, 7])
def test_a_rollback_that_is_superseded(ticks: int) -> None:
    """A newer revision wins over a way back, however far that has come."""
    here = replace(delivered(NEW), request="rollback/1")
    for _ in range(ticks):
        here = world.tick(here)
    done = world.settle(world.deliver(here, "shop:v3", **WAVES))
    assert (images(done), done.run.status.phase) == ("3333", RunPhase.SUCCEEDED)


@pytest.mark.parametrize("crash", [1, 3, 6, 10, 15])
def test_a_hub_that_ends_on_the_way_back(crash: int) -> None:
    here = replace(delivered(NEW), request="rollback/1", writes=0, crash_at=crash)
    done = world.settle(here)
    assert (done.run.status.phase, images(done)) == (RunPhase.ROLLED_BACK, "1111")
    assert done.started.count("d") == 1, "nobody is sent twice"


# --- by itself ------------------------------------------------------------------------------------


def test_an_overspent_budget_takes_the_run_back() -> None:
    """`c` fails: `a` and `b`, which were well, go back too; `d` never went."""
    policy = {"onFailure": "Rollback"}
    here = replace(delivered(**policy), bad=frozenset("c"))
    done = world.settle(world.deliver(here, NEW, **WAVES, **policy))
    assert done.run.status.phase is RunPhase.ROLLED_BACK
    assert images(done) == "1111"
    assert "d" not in done.started
    assert done.run.status.message == (
        "3 of 3 clusters are back (1 failed in wave two, its budget is 0: c: error-rate 12.4 is "
        "not below 5)"
    )
    assert done.application.status.phase == "Degraded"
    later = world.tick(world.tick(done, seconds=86_400))
    assert later.run.status == done.run.status, "it is not tried again by itself"


def test_a_failure_within_the_budget_takes_nothing_back() -> None:
    policy = {"onFailure": "Rollback", "haltOnFirstFailedAnalysis": False, "failureBudget": 1}
    here = replace(delivered(**policy), bad=frozenset("c"))
    done = world.settle(world.deliver(here, NEW, **WAVES, **policy))
    assert done.run.status.phase is RunPhase.SUCCEEDED_WITH_FAILURES
    assert done.run.status.undo is None


def test_a_first_run_has_nothing_to_go_back_to_and_halts() -> None:
    here = world.new("a", "b", onFailure="Rollback", progressDeadline="1m")
    here = world.tick(world.tick(world.tick(here, seconds=1), seconds=3_600), seconds=1)
    assert (here.run.status.phase, here.run.status.undo) == (RunPhase.HALTED, None)


@pytest.mark.parametrize("paused", [True, False])
def test_no_pause_stops_a_way_back(paused: bool) -> None:
    here = delivered(NEW)
    policy = {**WAVES, "paused": paused}
    here = world.deliver(here, NEW, **policy)
    done = world.settle(here, request="rollback/1")
    assert (done.run.status.phase, images(done)) == (RunPhase.ROLLED_BACK, "1111")


def test_what_cannot_be_rolled_back_is_said() -> None:
    first = world.settle(world.new("a", "b"), request="rollback/1")
    assert history(first)[-1] != ""
    assert "nothing to roll back: nothing ran well before this run in a, b" in history(
        world.settle(first, request="rollback/2")
    )
    assert "q is neither a wave of this run (all) nor a cluster of it" in history(
        world.settle(first, request="rollback/3/q")
    )
    going = world.tick(world.deliver(first, NEW))
    assert "nothing to roll back: no cluster of it has been updated" in history(
        world.tick(replace(going, request="rollback/4/b"))
    )


def test_what_comes_too_late_is_said() -> None:
    here = world.tick(replace(delivered(NEW), request="rollback/1"))
    late = world.tick(replace(here, request="skip/2/a"))
    assert history(late)[-1] == "the request skip came too late: the run is rolled back"
    done = world.settle(late)
    assert history(world.settle(done, request="rollback/3"))[-1] == (
        "the request rollback came after the end of the run: RolledBack"
    )
