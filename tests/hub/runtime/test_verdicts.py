"""A failure that a member shows, until its run has gone by it: nothing begins meanwhile."""

from typing import Any

import pytest

from fleet.api.fleetrollout import RunPhase
from fleet.api.names import APPLICATIONS, CLUSTERROLLOUTS, FLEETROLLOUTS, FLEETS, ROLLOUTS, Key
from fleet.hub.runtime import dispatching, membership, reconcile
from fleet.hub.runtime.verdicts import AGAIN_SECONDS, LONGEST_SECONDS, Verdicts
from tests.fakes import FakeClock
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk

APP: Key = (TENANT, "checkout")
RUN: Key = (TENANT, "checkout-1")
EAST: Key = (TENANT, "checkout.east")
WEST: Key = (TENANT, "checkout.west")


GOES_ON = {"haltOnFirstFailedAnalysis": False, "onFailure": "Continue"}


async def made(**policy: Any) -> Desk:
    """Two members that may go at once, and a run that has not looked yet."""
    desk = Desk()
    for name in ("east", "west"):
        await membership.reconcile(desk.hub, desk.register(name, engine={"mode": "External"}))
        desk.live(name)
    desk.put(FLEETS, gen.fleet())
    desk.put(APPLICATIONS, gen.application(maxConcurrency=2, **policy))
    await reconcile.application(desk.hub, APP)
    return desk


@pytest.fixture
async def desk() -> Desk:
    return await made()


def shows(desk: Desk, name: str, phase: str) -> None:
    """What the engine says, and the hub's watch of it."""
    member, link = desk.member(name), desk.link(name)
    found = member.peek(ROLLOUTS, "checkout", "checkout")
    assert found is not None
    assert link.handle is not None
    found["status"] = {
        "phase": phase,
        "observedGeneration": found["metadata"]["generation"],
        "fleetRevision": found["spec"]["fleetRevision"],
        "decisions": [{"action": "Rollback", "reason": "AnalysisFailed"}],
    }
    link.handle.informers[ROLLOUTS].store.see(member.seed(ROLLOUTS, found))


def holds(desk: Desk, key: Key) -> str:
    found = desk.kube.peek(CLUSTERROLLOUTS, key[1], TENANT)
    assert found is not None
    return str(found["spec"].get("hold", ""))


def phase(desk: Desk) -> Any:
    found = desk.kube.peek(FLEETROLLOUTS, RUN[1], TENANT)
    assert found is not None
    return found["status"]["phase"]


async def test_nobody_begins_with_what_another_cluster_has_just_failed_of(desk: Desk) -> None:
    """`west` was let go with `east`; its turn to be written comes a moment after the failure."""
    await reconcile.run(desk.hub, RUN)
    await dispatching.dispatch(desk.hub, EAST)
    shows(desk, "east", "Failed")

    await dispatching.dispatch(desk.hub, WEST)
    assert desk.queues.dispatches.later[WEST] == AGAIN_SECONDS
    await dispatching.dispatch(desk.hub, EAST)
    await dispatching.dispatch(desk.hub, WEST)
    assert desk.member("west").writes() == [], "it is told, and its run has not gone by it yet"

    await reconcile.run(desk.hub, RUN)
    assert (phase(desk), bool(holds(desk, WEST))) == (RunPhase.HALTED, True)
    assert desk.hub.verdicts.of(RUN) == ()
    await dispatching.dispatch(desk.hub, WEST)
    arrived = desk.member("west").peek(ROLLOUTS, "checkout", "checkout")
    assert arrived is not None
    assert arrived["spec"]["hold"]["reason"].startswith("halted: east failed its analysis")


async def test_a_fence_that_was_taken_before_the_failure_came_writes_nothing(desk: Desk) -> None:
    await reconcile.run(desk.hub, RUN)
    await dispatching.dispatch(desk.hub, EAST)
    write = desk.kube.replace

    async def fails_meanwhile(*given: Any, **named: Any) -> Any:
        answer = await write(*given, **named)
        shows(desk, "east", "Failed")
        return answer

    desk.kube.replace = fails_meanwhile  # type: ignore[method-assign]
    await dispatching.dispatch(desk.hub, WEST)
    assert desk.hub.stores.items[WEST].status.dispatch.sequence == 1
    assert desk.member("west").writes() == []
    assert desk.queues.dispatches.later[WEST] == AGAIN_SECONDS


async def test_where_a_failure_stops_nobody_the_others_begin_when_that_is_known() -> None:
    desk = await made(maxUnavailable="100%", **GOES_ON)
    await reconcile.run(desk.hub, RUN)
    await dispatching.dispatch(desk.hub, EAST)
    shows(desk, "east", "Failed")
    await dispatching.dispatch(desk.hub, WEST)
    assert desk.member("west").writes() == []
    await dispatching.dispatch(desk.hub, EAST)
    await reconcile.run(desk.hub, RUN)
    await dispatching.dispatch(desk.hub, WEST)
    assert desk.member("west").peek(ROLLOUTS, "checkout", "checkout") is not None


async def test_a_run_lets_nobody_go_while_a_failure_is_on_its_way_to_it() -> None:
    """But not for ever: a failure may never be told, as of a member that is lost just now."""
    desk = await made(maxUnavailable="100%", **GOES_ON)
    desk.put(CLUSTERROLLOUTS, gen.item("east"))
    desk.hub.verdicts.seen(EAST, RUN)
    await reconcile.run(desk.hub, RUN)
    assert desk.kube.peek(CLUSTERROLLOUTS, WEST[1], TENANT) is None
    assert desk.queues.runs.later[RUN] == AGAIN_SECONDS
    desk.clock.advance(LONGEST_SECONDS)
    await reconcile.run(desk.hub, RUN)
    assert desk.kube.peek(CLUSTERROLLOUTS, WEST[1], TENANT) is not None


async def test_who_is_kept_from_beginning_does_not_read(desk: Desk) -> None:
    """He asks again four times a second, and so may a hundred others."""
    await reconcile.run(desk.hub, RUN)
    await dispatching.dispatch(desk.hub, EAST)
    shows(desk, "east", "Failed")
    before = len(desk.member("west").calls)
    for _ in range(3):
        await dispatching.dispatch(desk.hub, WEST)
    assert len(desk.member("west").calls) == before


async def test_failures_one_after_another_do_not_stop_a_run_for_ever(desk: Desk) -> None:
    for number in range(20):
        name = f"m{number}"
        desk.put(CLUSTERROLLOUTS, gen.item(name))
        desk.hub.verdicts.seen((TENANT, f"checkout.{name}"), RUN)
        await reconcile.run(desk.hub, RUN)  # while that one is on its way
        desk.clock.advance(1.0)
    assert desk.kube.peek(CLUSTERROLLOUTS, WEST[1], TENANT) is not None


async def test_a_failure_on_the_way_back_is_of_the_run_that_goes_back(desk: Desk) -> None:
    await reconcile.run(desk.hub, RUN)
    await dispatching.dispatch(desk.hub, EAST)
    item = desk.hub.stores.items[EAST]
    assert item.spec.want is not None
    want = item.spec.want.model_copy(update={"undoes": "checkout-2"})
    spec = item.spec.model_copy(update={"want": want})
    desk.put(CLUSTERROLLOUTS, item.model_copy(update={"spec": spec}))
    shows(desk, "east", "Failed")
    assert (desk.hub.verdicts.of((TENANT, "checkout-2")), desk.hub.verdicts.of(RUN)) == (
        (EAST,),
        (),
    )


async def test_the_time_of_a_failure_begins_when_somebody_asks(desk: Desk) -> None:
    """A hub that begins to lead sees it with the first list of a member, and looks at runs when all
    have connected."""
    desk.put(CLUSTERROLLOUTS, gen.item("east"))
    desk.hub.verdicts.seen(EAST, RUN)
    desk.clock.advance(2 * LONGEST_SECONDS)
    await reconcile.run(desk.hub, RUN)
    assert desk.kube.peek(CLUSTERROLLOUTS, WEST[1], TENANT) is None


def test_failures_are_of_their_run_until_they_are_judged_or_old() -> None:
    clock = FakeClock()
    verdicts, other = Verdicts(clock), (TENANT, "search-1")
    assert verdicts.of(RUN) == ()
    verdicts.seen(EAST, RUN)
    verdicts.seen(WEST, RUN)
    verdicts.seen((TENANT, "search.east"), other)
    assert (verdicts.of(RUN), len(verdicts.of(other))) == ((EAST, WEST), 1)
    verdicts.judged(EAST, RUN)
    verdicts.judged(EAST, RUN)
    assert verdicts.of(RUN) == (WEST,)
    clock.advance(LONGEST_SECONDS)
    assert (verdicts.of(RUN), verdicts.of(other)) == ((), ())


def test_a_failure_long_after_one_that_was_judged_counts_anew() -> None:
    clock = FakeClock()
    verdicts = Verdicts(clock)
    for _ in range(2):
        verdicts.seen(EAST, RUN)
        assert verdicts.of(RUN) == (EAST,)
        verdicts.judged(EAST, RUN)
        clock.advance(2 * LONGEST_SECONDS)
