"""Somebody sets the clock of the hub's machine: soaks and deadlines take as long as they take."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.telemetry.clock import SteadyClock
from tests.conftest import NOON
from tests.fakes import Machine
from tests.hub import world
from tests.hub.world import World

HOUR = timedelta(hours=1)
JUMPS = [
    pytest.param(HOUR, id="[MT-19] an hour forwards"),
    pytest.param(-HOUR, id="[MT-19] an hour backwards"),
]
SOAK: Mapping[str, Any] = {
    "waves": [
        {"name": "one", "clusters": ["a"], "after": [{"soak": "5m"}]},
        {"name": "two", "remaining": True},
    ]
}


class Standing:
    """Engines that take nothing up."""

    def step(self, *_args: object, **_kept: object) -> None:
        return


class Hub:
    """A hub on that machine: it looks every ten seconds."""

    def __init__(self, here: World) -> None:
        self.machine = Machine()
        self.clock = SteadyClock(lambda: self.machine.wall, lambda: self.machine.uptime)
        self.here = replace(here, now=self.clock.now())

    def look(self, jump: timedelta = timedelta(0)) -> None:
        self.machine.run(10, jump)
        now, drift = self.clock.now(), self.clock.drift()
        self.here = world.tick(replace(self.here, now=now, drift=drift), seconds=0)

    def until(self, phase: RunPhase, most: int = 120) -> float:
        """Looks until the run is there; seconds that it took."""
        began = self.machine.uptime
        for _ in range(most):
            if self.here.runs and self.here.run.status.phase is phase:
                return self.machine.uptime - began
            self.look()
        raise AssertionError(f"the run is {self.here.run.status}")


@pytest.mark.parametrize("jump", JUMPS)
def test_a_soak_takes_its_time(jump: timedelta) -> None:
    hub = Hub(world.new("a", "b", **SOAK))
    hub.until(RunPhase.SOAKING)
    hub.look()
    hub.look(jump)
    assert hub.here.run.status.phase is RunPhase.SOAKING
    assert hub.until(RunPhase.PROGRESSING) == 280


@pytest.mark.parametrize("jump", JUMPS)
def test_a_deadline_ends_when_it_ends(jump: timedelta) -> None:
    hub = Hub(replace(world.new("a", "b", progressDeadline="5m"), engines=Standing()))
    hub.until(RunPhase.PROGRESSING)
    hub.look()
    hub.look(jump)
    assert hub.here.run.status.counts.failed == 0
    assert hub.until(RunPhase.HALTED) == 280
    assert hub.here.run.status.clusters[0].phase is ClusterPhase.TIMED_OUT


def test_a_hub_whose_clock_was_ahead_leaves_no_soak_that_hangs() -> None:
    """[MT-19] The next one, whose clock is right, begins it where it stands."""
    hub = Hub(world.new("a", "b", **SOAK))
    hub.machine.wall += 24 * HOUR
    hub.clock = SteadyClock(lambda: hub.machine.wall, lambda: hub.machine.uptime)
    hub.until(RunPhase.SOAKING)
    hub.machine.wall = NOON
    hub.clock = SteadyClock(lambda: hub.machine.wall, lambda: hub.machine.uptime)
    assert hub.until(RunPhase.PROGRESSING) == 310
