"""What must never be in the small fleet, checked by `world` after every tick."""

from typing import Any

from fleet.api import reasons
from fleet.hub.core import phases


def check(world: Any) -> None:
    """A world that must never be is an error of the planner, whatever the story."""
    active = [run for run in world.runs.values() if run.status.phase not in phases.ENDS]
    assert len(active) <= 2, "one run is active, and perhaps one that is about to give way"
    for run in world.runs.values():
        numbers = run.status.counts
        boxes = numbers.updated + numbers.in_flight + numbers.failed + numbers.unreachable
        boxes += numbers.skipped + numbers.rolled_back
        assert boxes + numbers.pending == numbers.total
    _check_reasons(world)
    _check_weights(world)


def _check_reasons(world: Any) -> None:
    """What people and machines are told is one of the listed reasons."""
    stands = [item.status for item in (*world.runs.values(), *world.items.values())]
    said = {item.reason for status in stands for item in (status, *status.conditions)}
    said |= {entry.reason for run in world.runs.values() for entry in run.status.history}
    assert said <= {"", *reasons.SENTENCES}


def _check_weights(world: Any) -> None:
    """A route divides all of the traffic."""
    for objects in world.objects.values():
        for (plural, *_), manifest in objects.items():
            if plural == "httproutes":
                refs = manifest["spec"]["rules"][0]["backendRefs"]
                assert sum(ref.get("weight", 1) for ref in refs) in (1, 100)
