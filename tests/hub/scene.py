"""Runs in the midst of things, for the tests of the planner."""

from datetime import timedelta

from fleet.api import FleetRollout
from fleet.api.fleetrollout import ClusterPhase, FleetRolloutStatus, RunPhase, WaveStatus
from fleet.hub.core.actions import AskCluster, RunPlan
from fleet.hub.core.observed import RunObserved
from tests.conftest import NOON
from tests.hub import gen

MINUTE = timedelta(minutes=1)
DONE, GOING, BAD = ClusterPhase.SUCCEEDED, ClusterPhase.PROGRESSING, ClusterPhase.FAILED


def observed(*names: str, **given: object) -> RunObserved:
    lost = given.pop("lost", ())
    items = given.pop("items", ())
    return RunObserved(
        members=gen.members(*names, lost=lost),  # type: ignore[arg-type]
        clusters=gen.items(*items),  # type: ignore[misc]
        **{"newest": 1, **given},  # type: ignore[arg-type]
    )


def begun(run: FleetRollout, *waves: WaveStatus, **status: object) -> FleetRollout:
    """The run as it stands after its waves began at noon."""
    waves = waves or tuple(
        WaveStatus(name=wave.name, phase="Progressing", started_at=NOON)
        for wave in run.spec.plan.waves
    )
    body = {"phase": RunPhase.PROGRESSING, "waves": waves, "started_at": NOON, **status}
    return run.model_copy(update={"status": FleetRolloutStatus.model_validate(body)})


def did(answer: RunPlan) -> list[str]:
    """`start a`, `hold b`, `release c`, `ask d 2/4`."""
    verbs = [type(action).__name__.removesuffix("Cluster").lower() for action in answer.actions]
    steps = [
        f" {one.request.step}" if isinstance(one, AskCluster) else "" for one in answer.actions
    ]
    found = zip(verbs, answer.actions, steps, strict=True)
    return [f"{verb} {action.cluster}{step}" for verb, action, step in found]


THREE = gen.wave("all", "a", "b", "c")
WIDE = gen.wave("all", "a", "b", "c", "d", max_concurrency=2, failure_budget=1)
FAILED = gen.item("a", BAD, reason="AnalysisFailed", message="error-rate 9 is not below 5")
