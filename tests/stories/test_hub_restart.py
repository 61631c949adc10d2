"""The hub is killed after each write that it ever makes, and the next one goes on.

Nothing is kept in memory, so a new process sees what the old one had written and no more. The end
must be the same each time, and no dispatch may arrive twice: the little API server of the world
refuses a sequence that it has seen.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fleet.api.fleetrollout import RunPhase
from tests.hub import world

WAVES = {
    "waves": [
        {"name": "one", "clusters": ["a"], "after": [{"soak": "1m"}]},
        {"name": "two", "remaining": True, "maxConcurrency": 2},
    ]
}
PAUSE, GO = 14, 18
"""Ticks at which the run is paused and goes on."""
TICKS = 44
"""More than the story needs."""


def played(here: world.World, number: int) -> world.World:
    """The world after tick `number` of the story: v2 over v1 with a pause in its midst."""
    request = "" if number < PAUSE else "pause/1" if number < GO else "resume/2"
    return world.tick(replace(here, request=request))


def is_over(here: world.World, number: int) -> bool:
    return number > GO and here.run.status.phase is RunPhase.SUCCEEDED


def history() -> Iterator[world.World]:
    """The world before each tick of an undisturbed story, and after the last."""
    here = world.settle(world.new("a", "b", "c", **WAVES))
    here = replace(here, writes=0, log=[], started=[])
    here = world.deliver(here, "shop:v2", **WAVES)
    for number in range(TICKS):
        yield here
        here = played(here, number)
        if is_over(here, number):
            break
    yield here


def death(crash_at: int) -> tuple[int, world.World]:
    """The tick in which the hub dies with that write, and the world after it."""
    number = next(number for number, here in enumerate(HISTORY) if here.writes >= crash_at) - 1
    here = played(replace(HISTORY[number], crash_at=crash_at), number)
    assert here.crash_at is None
    return number, here


def play(crash_at: int) -> world.World:
    """The end after a death with that write."""
    number, here = death(crash_at)
    while not is_over(here, number) and number < TICKS:
        number += 1
        here = played(here, number)
    return here


HISTORY = tuple(history())
TOTAL = HISTORY[-1].writes
EXPECTED = sorted(HISTORY[-1].log)


@pytest.mark.parametrize("crash_at", range(1, TOTAL + 1))
def test_the_end_is_the_same(crash_at: int) -> None:
    """[MT-02] After each single write; all phases are met, as the next test counts."""
    after = play(crash_at)
    assert after.run.status.phase is RunPhase.SUCCEEDED
    assert {after.image(name) for name in "abc"} == {"shop:v2"}
    dispatched = [line for line in sorted(after.log) if "apply" in line]
    assert dispatched == [line for line in EXPECTED if "apply" in line], "nothing came twice"
    assert sorted(set(after.started)) == ["a", "b", "c"], "no cluster was skipped"


def test_the_hub_died_in_every_phase() -> None:
    """[MT-02] One case per phase at least."""
    deaths = [death(crash_at)[1].run for crash_at in range(1, TOTAL + 1)]
    phases = {RunPhase.PLANNED, RunPhase.PROGRESSING, RunPhase.SOAKING, RunPhase.PAUSED}
    assert phases | {RunPhase.SUCCEEDED} <= {run.status.phase or RunPhase.PLANNED for run in deaths}
