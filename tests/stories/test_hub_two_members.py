"""Two members, m1 and m2, as users of Kurator know them: what it could not do across clusters."""

from dataclasses import replace
from typing import Any

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from tests.hub import gen, world
from tests.hub.world import ClusterName, World

WAVES = {
    "waves": [
        {"name": "first", "clusters": ["m1"], "after": [{"soak": "60s"}]},
        {"name": "second", "clusters": ["m2"]},
    ]
}


def delivered(**policy: Any) -> World:
    """The first version, which both have."""
    return world.settle(world.new("m1", "m2", **policy))


def steps(here: World, name: str) -> list[int]:
    rollout = here.objects[ClusterName(name)]["rollouts", "checkout", "checkout"]
    return [step["setWeight"] for step in rollout["spec"]["strategy"]["canary"]["steps"]]


def test_the_second_wave_waits_for_the_soak_of_the_first() -> None:
    """[KH-78] m2 is untouched until m1 has run well for a minute."""
    here = world.new("m1", "m2", **WAVES)
    for _ in range(8):
        here = world.tick(here)
    since = here.run.status.waves[0].soaking_since
    assert (here.run.status.phase, here.phase("m1")) == (RunPhase.SOAKING, ClusterPhase.SUCCEEDED)
    assert since is not None
    while here.started == ["m1"]:
        assert here.objects[ClusterName("m2")] == {}
        here = world.tick(here, seconds=5)
    want = here.cluster("m2").spec.want
    assert want is not None
    assert want.since is not None
    assert (want.since - since).total_seconds() >= 60


def test_a_wave_that_fails_halts_the_run() -> None:
    """[KH-79] No failure is allowed: the second wave never starts."""
    policy = {**WAVES, "failureBudget": 0, "haltOnFirstFailedAnalysis": False}
    here = replace(delivered(), bad=frozenset(["m1"]), started=[])
    here = world.settle(world.deliver(here, "shop:v2", **policy))
    later = world.tick(world.tick(here, seconds=86_400))
    assert (later.run.status.phase, later.run.status.reason) == (RunPhase.HALTED, "BudgetExceeded")
    assert (later.started, later.image("m2")) == (["m1"], "shop:v1")


def test_one_is_done_and_one_has_failed() -> None:
    """[KH-77] The whole is Degraded, and the counts say why."""
    policy = {"maxConcurrency": 2, "onFailure": "Continue", "haltOnFirstFailedAnalysis": False}
    here = replace(delivered(**policy), bad=frozenset(["m2"]))
    here = world.settle(world.deliver(here, "shop:v2", **policy))
    assert (here.phase("m1"), here.phase("m2")) == (ClusterPhase.SUCCEEDED, ClusterPhase.FAILED)
    assert here.application.status.phase == "Degraded"
    assert (here.run.status.counts.updated, here.run.status.counts.failed) == (1, 1)
    assert here.run.status.message == "1 of 2 clusters updated, 1 failed: m2"


def test_an_override_changes_the_steps_of_one_member() -> None:
    """[KH-80] m2 has steps of its own, m1 those of the Application."""
    patch = {
        "op": "replace",
        "path": "/deliveryPolicy/strategy/canary/steps",
        "value": [{"setWeight": 10}, {"setWeight": 100}],
    }
    override = {"clusterSelector": {"matchLabels": {"ring": "own"}}, "patch": [patch]}
    here = world.new("m1", "m2", labels={"m2": "own"})
    body = gen.spec() | {"overrides": [override]}
    here = world.settle(replace(here, application=gen.application(body=body)))
    assert (steps(here, "m1"), steps(here, "m2")) == ([50, 100], [10, 100])
    assert here.run.status.phase is RunPhase.SUCCEEDED
