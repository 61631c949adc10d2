"""A hub whose clock is an hour ahead of its members', or behind: nobody's time is compared.

Engines renew their Leases by their own clock; the hub believes in what it sees change. Another
one takes over in the midst of a soak. What a jump of one clock does is told, without a
cluster, in `tests/stories/test_hub_clocks`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.ground.hub import Hub
from e2e.ground.waiting import until
from e2e.tenancy import Tenant, World
from fleet.api.meta import read_time

FOLDER = Path(__file__).parent / "ground/ahead"
WAVES = [
    {"name": "canary", "clusters": ["west"], "after": [{"soak": "2s"}]},
    {"name": "rest", "remaining": True, "maxConcurrency": 2},
]
HOUR = timedelta(hours=1)


@pytest.fixture
def tenant(world: World) -> Iterator[Tenant]:
    """Its world has no hub; at the end the usual one leads again."""
    found = world.tenant()
    world.hub.stop()
    yield found
    world.hub.start()


def hub(tenant: Tenant, folder: Path, ahead: timedelta) -> Hub:
    """One whose clock is so far ahead of all others."""
    clock = {"PYTHONPATH": str(FOLDER), "CLOCK_AHEAD": str(ahead.total_seconds())}
    return Hub(tenant.world.plane, folder, name=f"hub{ahead.total_seconds():+g}", **clock)


def soaked(tenant: Tenant) -> dict[str, Any]:
    """The status of the run once its first wave soaks or has; empty before. A soak is too short to
    be met for certain."""
    status = tenant.run(1)
    waves = status.get("waves") or [{}]
    return status if {"soakingSince", "finishedAt"} & waves[0].keys() else {}


def test_a_fleet_is_served_by_hubs_of_other_hours(tenant: Tenant, tmp_path: Path) -> None:
    """The soak that the first one began lies two hours ahead of the second, and ends in time."""
    with hub(tenant, tmp_path, HOUR):
        tenant.deliver("app:v1", waves=WAVES, progressDeadline="1m")
        tenant.complete("app:v1", "west")
        status = until(lambda: soaked(tenant), "the soak begins", within=30)
        begun = read_time(status["startedAt"])
        assert abs(begun - datetime.now(UTC) - HOUR) < HOUR / 2
        assert tenant.condition("west", "EngineHealthy")[0] == "True"
    with hub(tenant, tmp_path, -HOUR):
        tenant.complete("app:v1", "east", "north")
        status = tenant.await_phase(1, "Succeeded", within=30)
        assert status["counts"]["failed"] == 0
        ended = read_time(status["finishedAt"])
        assert abs(ended - datetime.now(UTC) + HOUR) < HOUR / 2
        for name in tenant.puppets:
            assert tenant.condition(name, "EngineHealthy")[0] == "True"
            assert tenant.dispatches(name) == [1], "nothing is sent twice"
