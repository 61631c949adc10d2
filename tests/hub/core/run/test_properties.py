"""What must hold in every world: small fleets, random policies, failures, losses, two revisions."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.api import FleetRollout
from fleet.api.fleetrollout import WavePhase, WaveStatus
from fleet.hub.core import phases
from fleet.hub.core.observed import RunObserved
from fleet.hub.core.run import rows
from tests.hub import world
from tests.hub.world import World

pytestmark = pytest.mark.timeout(120)

NAMES = ("a", "b", "c", "d")
TICKS = 30

names = st.sampled_from(NAMES)
events = st.dictionaries(
    st.integers(2, TICKS - 8),
    st.one_of(
        st.tuples(st.sampled_from(["lose", "silence", "meet"]), names),
        st.tuples(st.just("regain"), names),
        st.tuples(st.sampled_from(["pause", "resume", "retry", "abort"]), st.just("")),
        st.tuples(st.just("deliver"), st.sampled_from(["shop:v3", "shop:bad"])),
    ),
    max_size=6,
)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """A valid deliveryPolicy over the five members."""
    first = draw(st.lists(names, unique=True, max_size=3))
    amounts = st.sampled_from([1, 2, "40%", "100%"])
    waves: list[dict[str, Any]] = [{"name": "rest", "remaining": True}]
    if first:
        soak = draw(st.sampled_from([[], [{"soak": "30s"}]]))
        waves.insert(0, {"name": "first", "clusters": first, "after": soak})
    return {
        "waves": waves,
        "maxConcurrency": draw(amounts),
        "failureBudget": draw(st.sampled_from([0, 1, "40%"])),
        "onFailure": draw(st.sampled_from(["Halt", "Continue"])),
        "haltOnFirstFailedAnalysis": draw(st.booleans()),
    }


def changed(here: World, event: tuple[str, str], number: int, policy: dict[str, Any]) -> World:
    match event:
        case ("lose", name):
            return world.lose(here, name)
        case ("silence", name):
            return world.silence(here, name)
        case ("meet", name):
            return world.meet(here, name)
        case ("regain", name):
            return world.regain(here, name)
        case ("deliver", image):
            return world.deliver(here, image, **policy)
        case (verb, _):
            return replace(here, request=f"{verb}/{number}")


def look(here: World, run: FleetRollout) -> tuple[rows.Row, ...]:
    observed = RunObserved(members=here.members, clusters=here.items, newest=run.spec.number)
    return rows.look(run, observed, here.now)


def check(before: World, after: World) -> None:
    """The promises of the planner, over one tick."""
    for name, run in after.runs.items():
        found = look(after, run)
        for wave in run.spec.plan.waves:
            busy = [row for row in rows.of(found, wave.name) if row.is_in_flight]
            assert len(busy) <= wave.max_concurrency, "concurrency is never exceeded"
        started = {row.name for row in found if row.mine}
        old = before.runs.get(name)
        known = {row.name for row in look(before, old) if row.mine} if old else set()
        for wave, status in zip(run.spec.plan.waves, run.status.waves, strict=False):
            fresh = (started - known) & set(wave.clusters)
            assert not fresh or status.started_at, "nobody starts before its wave"
            if _has_just_ended(old, status):
                awaited = [row for row in rows.of(found, wave.name) if row.awaited_until]
                assert not awaited, "no wave goes on without who is being connected"
        if old and old.status.halted_at and run.status.halted_at:
            assert started <= known, "nothing starts after a halt"


def _has_just_ended(old: FleetRollout | None, status: WaveStatus) -> bool:
    """Whether the wave was in work and is done now; in a soak nobody is waited for any more."""
    before = {item.name: item.phase for item in old.status.waves} if old else {}
    return status.phase is WavePhase.DONE and before.get(status.name, WavePhase.PENDING) not in (
        WavePhase.SOAKING,
        WavePhase.DONE,
    )


def is_at_rest(before: World, after: World) -> bool:
    """Whether the run is over and a tick changed nothing: then no later one will."""
    return after.run.status.phase in phases.ENDS and (
        (after.runs, after.items, after.objects) == (before.runs, before.items, before.objects)
    )


@given(policy=policies(), events=events, bad=st.frozensets(names, max_size=2))
def test_promises(
    policy: dict[str, Any], events: dict[int, tuple[str, str]], bad: frozenset[str]
) -> None:
    here = replace(START, bad=bad)
    here = world.deliver(here, "shop:v2", **policy)
    for number in range(TICKS):
        if number in events:
            here = changed(here, events[number], number, policy)
        after = world.tick(here, seconds=15)
        check(here, after)
        rests = number >= max(events, default=0) and is_at_rest(here, after)
        here = after
        if rests:
            break
    status = here.run.status
    assert status.phase in phases.ENDS or status.message, "it ends, or says what it waits for"
    active = [run for run in here.runs.values() if run.status.phase not in phases.ENDS]
    assert len(active) <= 1
    for name in NAMES:
        assert here.image(name) in ("shop:v1", "shop:v2", "shop:v3", "shop:bad")


START = world.settle(world.new(*NAMES, maxConcurrency=5))
