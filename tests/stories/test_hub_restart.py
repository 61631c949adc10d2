"""The hub is killed after each write that it ever makes, and the next one goes on.

Nothing is kept in memory, so a new process sees what the old one had written and no more. The end
must be the same each time, and no dispatch may arrive twice: the little API server of the world
refuses a sequence that it has seen.
"""

from dataclasses import replace
from functools import cache

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


@cache
def play(crash_at: int | None) -> tuple[world.World, RunPhase | None]:
    """v2 over v1 with a pause in its midst; and the phase of the run in which the hub died."""
    here = replace(START, writes=0, crash_at=crash_at, log=[], started=[])
    here = world.deliver(here, "shop:v2", **WAVES)
    died: RunPhase | None = None
    for number in range(44):
        before = here.crash_at
        request = "" if number < PAUSE else "pause/1" if number < GO else "resume/2"
        here = world.tick(replace(here, request=request))
        if before is not None and here.crash_at is None:
            died = here.run.status.phase or RunPhase.PLANNED
        if number > GO and here.run.status.phase is RunPhase.SUCCEEDED:
            break
    return here, died


START = world.settle(world.new("a", "b", "c", **WAVES))
QUIET, _ = play(None)
TOTAL = QUIET.writes
EXPECTED = sorted(QUIET.log)
DEATHS: set[RunPhase | None] = set()


@pytest.mark.parametrize("crash_at", range(1, TOTAL + 1))
def test_the_end_is_the_same(crash_at: int) -> None:
    """[MT-02] After each single write; all phases are met, as the next test counts."""
    after, died = play(crash_at)
    DEATHS.add(died)
    assert after.run.status.phase is RunPhase.SUCCEEDED
    assert {after.image(name) for name in "abc"} == {"shop:v2"}
    dispatched = [line for line in sorted(after.log) if "apply" in line]
    assert dispatched == [line for line in EXPECTED if "apply" in line], "nothing came twice"
    assert sorted(set(after.started)) == ["a", "b", "c"], "no cluster was skipped"


def test_the_hub_died_in_every_phase() -> None:
    """[MT-02] One case per phase at least."""
    for crash_at in range(1, TOTAL + 1):
        DEATHS.add(play(crash_at)[1])
    phases = {RunPhase.PLANNED, RunPhase.PROGRESSING, RunPhase.SOAKING, RunPhase.PAUSED}
    assert phases | {RunPhase.SUCCEEDED} <= DEATHS
