"""A member is lost before, during and after its turn, and comes back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.hub.core.observed import Member
from tests.hub import engine, gen, world
from tests.hub.world import ClusterName

HOURS_3 = 10_800
A, B = ClusterName("a"), ClusterName("b")
CONNECTING = timedelta(seconds=30)
Policy = dict[str, Any]
SOAK: Policy = {
    "waves": [
        {"name": "all", "remaining": True, "maxConcurrency": 2, "after": [{"soak": "6h"}]},
    ]
}
Away = Callable[..., world.World]


def test_before_its_turn_it_is_put_off_and_goes_at_the_end() -> None:
    here = world.lose(world.new("a", "b", "c"), "a")
    here = world.settle(here, ticks=30)
    assert (here.run.status.phase, here.run.status.reason) == (RunPhase.PROGRESSING, "Deferred")
    assert here.run.status.counts.updated == 2
    done = world.settle(world.regain(here, "a"))
    assert (done.run.status.phase, done.started) == (RunPhase.SUCCEEDED, ["b", "c", "a"])


def test_before_its_turn_and_for_too_long_it_counts() -> None:
    here = world.settle(world.lose(world.new("a", "b"), "a"), ticks=20)
    here = world.settle(world.tick(here, seconds=HOURS_3))
    assert (here.run.status.phase, here.run.status.reason) == (RunPhase.HALTED, "BudgetExceeded")
    assert here.run.status.counts.unreachable == 1
    done = world.settle(here, request="resume/1")
    assert done.run.status.phase is RunPhase.SUCCEEDED_WITH_FAILURES


def test_who_was_accepted_as_lost_and_comes_back_is_judged_like_anybody() -> None:
    """What a person has accepted is its silence, not the analysis that it fails afterwards."""
    policy = {"unavailableClusters": {"policy": "Block", "timeout": "1h"}}
    here = world.settle(world.new("a", "b", "c", "d", **policy))
    here = world.deliver(replace(here, bad=frozenset("b"), started=[]), "shop:v2", **policy)
    here = world.settle(world.lose(here, "b"))
    here = world.settle(world.tick(here, seconds=HOURS_3))
    assert (here.run.status.phase, here.run.status.reason) == (RunPhase.HALTED, "BudgetExceeded")
    here = world.tick(world.tick(replace(here, request="resume/1")))
    assert (here.run.status.accepted, here.started) == (("b",), ["a", "c"])
    done = world.settle(world.regain(here, "b"))
    assert (done.run.status.phase, done.run.status.reason) == (RunPhase.HALTED, "AnalysisFailed")
    assert done.started == ["a", "c", "b"]


def test_a_silence_that_was_accepted_is_so_while_the_hub_suspects_itself_and_afterwards() -> None:
    """Its time-out begins anew then; when that is over, nobody has to accept it again."""
    policy = SOAK | {"unavailableClusters": {"timeout": "1h"}}
    here = world.settle(world.lose(world.settle(world.new("a", "b", **policy)), "a"))
    here = world.settle(world.tick(here, seconds=HOURS_3))
    assert (here.run.status.phase, here.run.status.reason) == (RunPhase.HALTED, "BudgetExceeded")
    here = world.tick(world.tick(replace(here, request="resume/1")))
    here = world.tick(replace(world.tick(replace(here, isolated=True)), isolated=False))
    assert here.run.status.message.startswith("soak stands still: a")
    here = world.tick(world.tick(here, seconds=HOURS_3))
    assert (here.run.status.phase, here.run.status.accepted) == (RunPhase.SOAKING, ("a",))


def unlisted(member: Member, _: datetime) -> Member:
    return replace(member, has_unknown_engine=False)


def cut(member: Member, _: datetime) -> Member:
    """The link knows; the MemberCluster does not say so yet."""
    return replace(member, reachable=False, has_unknown_engine=False)


def unmet(member: Member, now: datetime) -> Member:
    return replace(gen.meet(member, now + CONNECTING), has_unknown_engine=False)


@pytest.mark.parametrize(
    "away",
    [
        pytest.param(unlisted, id="its Leases"),
        pytest.param(cut, id="its API server"),
        pytest.param(unmet, id="the hub, which begins anew"),
    ],
)
@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(SOAK, id="in the soak"),
        pytest.param({"progressDeadline": "1d"}, id="before its turn"),
    ],
)
def test_a_blip_where_the_engine_is_accepted_unknown_is_a_blip(
    policy: Policy, away: Callable[[Member, datetime], Member]
) -> None:
    """Its reports have not counted since it was registered: that is no loss."""
    unknown = {"timeout": "1h", "acceptUnknownEngine": True}
    here = world.new("a", "b", **policy, unavailableClusters=unknown)
    here = world.tick(world.tick(world.forget(here, "b")), seconds=0)
    here = world.settle(here, ticks=0 if policy is not SOAK else 60)
    here = world.tick(here, seconds=HOURS_3)
    gone = away(here.members[B], here.now)
    blip = world.tick(replace(here, members={**here.members, B: gone}), seconds=1)
    assert blip.run.status.phase is here.run.status.phase
    back = world.tick(replace(blip, members=here.members), seconds=2 * HOURS_3)
    assert world.settle(back).run.status.phase is RunPhase.SUCCEEDED


@pytest.mark.parametrize(
    "away",
    [
        pytest.param(world.lose, id="its API server"),
        pytest.param(world.silence, id="its engine"),
    ],
)
def test_a_blip_in_a_wave_that_is_hours_old_is_a_blip(away: Away) -> None:
    """The time-out runs from the loss, not from the beginning of the wave."""
    here = world.tick(world.tick(world.new("a", "b", progressDeadline="1d")), seconds=2 * HOURS_3)
    here = world.settle(world.tick(world.lose(here, "a")))
    blip = world.tick(away(here, "b"), seconds=1)
    assert blip.run.status.phase is RunPhase.PROGRESSING
    assert {row.name: row.phase for row in blip.run.status.clusters}["b"] == "Deferred"
    done = world.settle(world.regain(blip, "a", "b"))
    assert done.run.status.phase is RunPhase.SUCCEEDED


def test_a_silent_engine_counts_in_the_end_and_is_not_called_unreachable() -> None:
    here = world.settle(world.silence(world.new("a", "b"), "a"), ticks=20)
    here = world.settle(world.tick(here, seconds=HOURS_3))
    assert (here.run.status.phase, here.run.status.reason) == (RunPhase.HALTED, "BudgetExceeded")
    (row,) = here.run.status.clusters
    assert (row.phase, row.message) == (ClusterPhase.DEFERRED, gen.SILENT)


def test_in_flight_it_keeps_its_slot_and_is_read_before_it_is_written() -> None:
    here = world.tick(world.tick(world.new("a", "b")))
    assert here.phase("a") is ClusterPhase.PROGRESSING
    lost = world.settle(world.lose(here, "a"), ticks=20)
    assert (lost.phase("a"), lost.started) == (ClusterPhase.UNREACHABLE, ["a"])
    back = world.settle(world.regain(lost, "a"))
    assert back.run.status.phase is RunPhase.SUCCEEDED
    assert [line for line in back.log if line.startswith("a apply")] == ["a apply 1"]


def test_after_its_turn_nothing_changes() -> None:
    done = world.settle(world.new("a", "b"))
    later = world.tick(world.tick(world.lose(done, "a")))
    assert later.phase("a") is ClusterPhase.SUCCEEDED
    assert later.run.status == done.run.status


def test_a_hub_that_lost_everybody_waits_and_counts_nobody() -> None:
    here = world.tick(world.tick(world.new("a", "b", "c")))
    dark = replace(world.lose(here, "a", "b", "c"), isolated=True)
    dark = world.settle(world.tick(world.tick(dark), seconds=HOURS_3))
    assert (dark.run.status.phase, dark.run.status.reason) == (RunPhase.PROGRESSING, "HubIsolated")
    light = replace(world.regain(dark, "a", "b", "c"), isolated=False)
    assert world.settle(light).run.status.phase is RunPhase.SUCCEEDED


def test_who_comes_back_a_moment_after_the_others_is_not_counted() -> None:
    """Nobody is lost for hours because the hub was: their time-outs begin when it is back."""
    here = world.tick(world.tick(world.new("a", "b", "c", "d")))
    dark = replace(world.lose(here, "a", "b", "c", "d"), isolated=True)
    dark = world.settle(world.tick(world.tick(dark), seconds=HOURS_3))
    dusk = world.tick(replace(world.regain(dark, "c", "d"), isolated=False))
    assert dusk.run.status.phase is RunPhase.PROGRESSING
    assert (dusk.run.status.counts.failed, dusk.run.status.counts.unreachable) == (0, 2)
    assert world.settle(world.regain(dusk, "a", "b")).run.status.phase is RunPhase.SUCCEEDED


def test_somebodys_service_is_in_the_way_until_it_is_gone() -> None:
    here = world.new("a", "b", failureBudget=1)
    stranger = {"metadata": {"name": "checkout", "namespace": "checkout", "uid": "x"}, "spec": {}}
    here.objects[world.ClusterName("a")]["services", "checkout", "checkout"] = stranger
    here = world.settle(here, ticks=20)
    assert (here.phase("a"), here.phase("b")) == (ClusterPhase.CONFLICT, ClusterPhase.SUCCEEDED)
    assert not [line for line in here.log if line.startswith("a ")], "nothing half-written"
    del here.objects[world.ClusterName("a")]["services", "checkout", "checkout"]
    assert world.settle(here).phase("a") is ClusterPhase.SUCCEEDED


def test_a_member_that_comes_back_from_an_old_backup_is_brought_up_to_date() -> None:
    """Its etcd is that of the first version; of the run that has ended nobody else hears."""
    first = world.settle(world.new("a", "b"))
    backup = {name: engine.clone(one) for name, one in first.objects[A].items()}
    second = world.settle(world.deliver(first, "shop:v2"))
    there = world.tick(replace(second, objects={**second.objects, A: backup}, started=[]))
    assert there.phase("a") is ClusterPhase.APPLYING
    done = world.settle(there)
    assert (done.image("a"), done.phase("a")) == ("shop:v2", ClusterPhase.SUCCEEDED)
    assert (done.run.status, done.started) == (second.run.status, [])
