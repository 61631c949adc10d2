"""A run that a failed analysis has halted, and the ways out of it that a person has.

Three clusters, two at a time: `a` has failed, `b` is held on its way, `c` has not begun. The way
back for clusters that are done is told in test_hub_rollback.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from tests.hub import world
from tests.hub.world import World

STEPS = {"canary": {"steps": [{"setWeight": weight} for weight in (20, 40, 60, 80, 100)]}}
BOTH = {"maxConcurrency": 2, "strategy": STEPS}
OLD, NEW = "shop:v1", "shop:v2"


@pytest.fixture
def halted() -> World:
    """The second version came to a bad cluster; a world of one's own."""
    here = _halted()
    return replace(here, started=list(here.started))


@cache
def _halted() -> World:
    here = world.settle(world.new("a", "b", "c", **BOTH))
    here.bad = frozenset("a")
    here.started.clear()
    here = world.settle(world.deliver(here, NEW, **BOTH))
    assert here.run.status.phase is RunPhase.HALTED
    assert (here.phase("a"), here.cluster("a").status.reason) == (
        ClusterPhase.FAILED,
        "AnalysisFailed",
    )
    assert here.phase("b") is ClusterPhase.PAUSED
    assert here.cluster("b").spec.hold.startswith("halted: a failed its analysis")
    assert here.started == ["a", "b"]
    return here


def images(here: World) -> Mapping[str, str]:
    return {name: here.image(name) for name in "abc"}


def test_it_stays_halted_by_itself(halted: World) -> None:
    later = world.tick(world.tick(halted, seconds=86_400))
    assert (later.run.status.phase, later.started) == (RunPhase.HALTED, ["a", "b"])


def test_resume_accepts_what_has_failed_and_goes_on_with_the_rest(halted: World) -> None:
    done = world.settle(halted, request="resume/1")
    assert done.run.status.phase is RunPhase.SUCCEEDED_WITH_FAILURES
    assert done.run.status.accepted == ("a",)
    assert Counter(done.started) == {"a": 1, "b": 1, "c": 1}, "who failed is not tried again"
    assert (done.phase("b"), done.phase("c")) == (ClusterPhase.SUCCEEDED, ClusterPhase.SUCCEEDED)
    assert done.cluster("b").spec.hold == ""


def test_retry_touches_failed_clusters_only(halted: World) -> None:
    halted.bad = frozenset()
    done = world.settle(halted, request="retry/1")
    assert done.run.status.phase is RunPhase.SUCCEEDED
    assert Counter(done.started) == {"a": 2, "b": 1, "c": 1}
    assert images(done) == {"a": NEW, "b": NEW, "c": NEW}
    writes = Counter(line for line in done.log if " apply " in line)
    assert writes["b apply 2"] == 1, "one that was held goes on and is not sent again"


def test_retry_in_vain_halts_again(halted: World) -> None:
    again = world.settle(halted, request="retry/1")
    assert again.run.status.phase is RunPhase.HALTED
    assert Counter(again.started)["a"] == 2


def test_abort_takes_those_in_flight_back_and_starts_nobody(halted: World) -> None:
    done = world.settle(halted, request="abort/1")
    assert done.run.status.phase is RunPhase.ABORTED
    assert (images(done)["b"], images(done)["c"]) == (OLD, OLD)
    assert done.cluster("b").spec.hold == ""
    assert "c" not in done.started


def test_a_rollback_takes_back_whoever_has_gone(halted: World) -> None:
    done = world.settle(halted, request="rollback/1")
    assert done.run.status.phase is RunPhase.ROLLED_BACK
    assert images(done) == {"a": OLD, "b": OLD, "c": OLD}
    assert Counter(done.started) == {"a": 2, "b": 2}
    assert done.cluster("b").spec.hold == ""


@pytest.mark.parametrize(
    ("request_", "phase", "touched"),
    [
        pytest.param(
            "resume/1", RunPhase.SUCCEEDED_WITH_FAILURES, "c",
            id="[MT-26] resume goes on with those that have not failed",
        ),
        pytest.param(
            "retry/1", RunPhase.HALTED, "a", id="[MT-26] retry touches failed clusters only"
        ),
        pytest.param("rollback/1", RunPhase.ROLLED_BACK, "ab", id="[MT-26] rollback takes back"),
        pytest.param("abort/1", RunPhase.ABORTED, "b", id="[MT-26] abort takes back who is held"),
    ],
)  # fmt: skip
def test_the_ways_out(halted: World, request_: str, phase: RunPhase, touched: str) -> None:
    halted.started.clear()
    done = world.settle(halted, request=request_)
    assert (done.run.status.phase, "".join(sorted(set(done.started)))) == (phase, touched)


@pytest.fixture
def outdated() -> World:
    """The CRD of `a` lacks what the second version needs: nothing was sent there."""
    here = world.settle(world.new("a", "b"))
    here = world.settle(world.deliver(world.age(here, "a"), NEW))
    assert (here.run.status.phase, here.cluster("a").status.reason) == ("Halted", "EngineTooOld")
    return here


def later(here: World) -> World:
    """Two hours, in which whoever has to look has looked."""
    return world.tick(world.tick(here, seconds=3600), seconds=3600)


def test_what_stood_in_the_way_is_gone_and_nothing_starts_after_a_halt(outdated: World) -> None:
    """Only the engine's own work is held by a halt; what was never sent is not sent then."""
    here = later(world.renew(outdated, "a"))
    status = here.cluster("a").status
    assert (here.image("a"), here.run.status.phase) == (OLD, "Halted")
    assert (status.phase, status.reason, status.message) == (
        "Failed",
        "Halted",
        "what stood in the way is gone, but checkout-2 is Halted: fleet retry checkout",
    )
    done = world.settle(here, request="retry/1")
    assert (done.image("a"), done.run.status.phase) == (NEW, "Succeeded")


def test_nothing_starts_in_a_run_that_was_given_up(outdated: World) -> None:
    here = later(world.renew(world.settle(outdated, request="abort/1"), "a"))
    assert (here.image("a"), here.run.status.phase) == (OLD, "Aborted")
    said = "what stood in the way is gone, but checkout-2 is Aborted"
    assert here.cluster("a").status.message == said


def test_in_a_run_under_way_it_goes_on_by_itself() -> None:
    here = world.settle(world.new("a", "b"))
    here = world.tick(world.deliver(world.age(here, "a"), NEW, failureBudget=1))
    while here.phase("a") is not ClusterPhase.FAILED:
        here = world.tick(here)
    done = world.settle(world.renew(here, "a"))
    assert (done.image("a"), done.run.status.phase) == (NEW, "Succeeded")
