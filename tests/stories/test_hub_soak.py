"""A soak counts only while every cluster of its wave is known to run well."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api.conditions import condition
from fleet.api.fleetrollout import RunPhase
from tests.hub import gen, world

HOURS_3 = 10_800
TWO = {
    "waves": [
        {"name": "one", "clusters": ["a", "b"], "after": [{"soak": "5m"}], "maxConcurrency": 2},
        {"name": "two", "remaining": True},
    ]
}


def soaking(**policy: Any) -> world.World:
    here = world.new("a", "b", "c", **TWO, **policy)
    while not here.runs or here.run.status.phase is not RunPhase.SOAKING:
        here = world.tick(here)
    return world.tick(here)


def later(here: world.World) -> world.World:
    """Twenty minutes."""
    for _ in range(20):
        here = world.tick(here, seconds=60)
    return here


def serves(here: world.World, name: str, value: bool) -> world.World:
    """The engine of that cluster says whether enough pods serve."""
    item = here.cluster(name)
    (rollout,) = (
        one for key, one in here.objects[world.ClusterName(name)].items() if "rollouts" in key
    )
    said = condition("Available", value, "Available" if value else "Unavailable")
    rollout["status"]["conditions"] = [said.manifest()]
    assert item.status.phase == "Succeeded"
    return here


@pytest.mark.parametrize(
    ("away", "why"),
    [
        pytest.param(world.lose, "connection refused", id="its API server does not answer"),
        pytest.param(world.silence, gen.SILENT, id="its engine is silent"),
    ],
)
def test_a_cluster_that_is_lost_stops_the_clock(away: Any, why: str) -> None:
    here = world.tick(world.tick(away(soaking(), "a"), seconds=3_600), seconds=10)
    assert (here.run.status.phase, here.started) == (RunPhase.SOAKING, ["a", "b"])
    assert here.run.status.message == f"soak stands still: a: {why}"
    before = here.run.status.waves[0].soaked_seconds
    assert 0 < before < 60
    back = world.tick(world.regain(here, "a"))
    assert back.run.status.waves[0].soaked_seconds == before, "it goes on where it stood"
    assert back.run.status.message.startswith("soaking until ")
    assert later(back).run.status.phase is RunPhase.SUCCEEDED


def test_pods_that_do_not_serve_stop_the_clock() -> None:
    here = world.tick(serves(soaking(), "b", False))
    here = world.tick(world.tick(here, seconds=HOURS_3))
    assert (here.run.status.phase, here.started) == (RunPhase.SOAKING, ["a", "b"])
    assert here.run.status.message == "soak stands still: b: too few of its pods are ready"
    done = later(serves(here, "b", True))
    assert done.run.status.phase is RunPhase.SUCCEEDED


def test_who_stays_away_counts_and_the_soak_goes_on_as_far_as_the_budget_bears() -> None:
    here = world.settle(world.tick(world.lose(soaking(), "a"), seconds=HOURS_3))
    assert (here.run.status.phase, here.run.status.reason) == (RunPhase.HALTED, "BudgetExceeded")
    assert "release" not in " ".join(here.log)
    borne = world.lose(soaking(failureBudget=1), "a")
    borne = later(world.tick(borne, seconds=HOURS_3))
    assert borne.started == ["a", "b", "c"], "an unreachable cluster blocks nobody for good"
    accepted = later(replace(here, request="resume/1"))
    assert accepted.started == ["a", "b", "c"]
