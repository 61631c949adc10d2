"""Another version of the engine goes on in mid-step: with what an older one or a newer one wrote.

The older ones are frozen (`tests/kulta/frozen.py`): worlds as versions of the past left them. A
newer one is today's with fields, phases and decisions that nobody here knows. The judge is the same
world with one engine from beginning to end.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fleet.api.rollout import Decision, Phase, RolloutStatus
from fleet.kulta.core import actions as kinds
from tests.kulta import ab, frozen
from tests.kulta.audience import Audience
from tests.kulta.world import World

VERSIONS = sorted((Path(__file__).parents[1] / "golden" / "statuses").glob("*.json"))
PERSON = {"paused": "promote", "untold": "promote", "concluded": "promote"}
"""Scene → what a person asks for, where one is awaited."""
NEXT = {"opened": ["Complete"]}
"""Scene → what is decided at once, whoever looks."""
ANSWERS = {"timed": lambda text: 0.0, "experimenting": Audience(ab.BETTER)}
MAPS = ("handled", "metrics")
"""Objects whose keys are names, not fields."""
UNKNOWN = {"rehearsal": {"since": "2026-11-20T12:00:00Z", "rounds": [1, 2]}}


@cache
def stored(version: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(version.read_text())
    return found


def newer(found: Any) -> Any:
    """The same with a field more in each of its objects."""
    if isinstance(found, list):
        return [newer(item) for item in found]
    if not isinstance(found, dict):
        return found
    return {
        key: value if key in MAPS and isinstance(value, dict) else newer(value)
        for key, value in found.items()
    } | UNKNOWN


def of_a_newer_engine(scene: str) -> dict[str, Any]:
    """A scene of today with a status that only the next version knows in full."""
    found = json.loads(json.dumps(stored(VERSIONS[-1])[scene]))
    status = found["rollout"]["status"]
    is_on_its_way = status["phase"] not in ("Completed", "Failed")
    last = status["decisions"][-1]
    rehearsed = {
        **last,
        "sequence": last["sequence"] + 1,
        "action": "Rehearse",
        "reason": "QuorumReached",
        **({"phase": "Rehearsing"} if is_on_its_way else {}),
    }
    status["decisions"].append(rehearsed)
    status["phase"] = "Rehearsing" if is_on_its_way else status["phase"]
    status["conditions"].append({"type": "Rehearsed", "status": "True", "reason": "QuorumReached"})
    found["rollout"]["status"] = newer(status)
    return found


def go_on(world: World, scene: str) -> World:
    """To the end, with a person's help where one is awaited."""
    world.answer = ANSWERS.get(scene, world.answer)
    world.listening = True
    if scene in PERSON:
        world.annotate(PERSON[scene])
    return world.settle()


def shown(item: Decision) -> tuple[object, ...]:
    return item.action, item.reason, item.revision, item.from_step, item.to_step, item.weight


@cache
def undisturbed(scene: Callable[[], World]) -> World:
    """How one engine alone brings it to its end."""
    return go_on(scene(), scene.__name__)


def stands(status: RolloutStatus) -> dict[str, Any]:
    """Where it stands, and since when."""
    names = (
        "phase",
        "current_pod_hash",
        "stable_pod_hash",
        "current_step_index",
        "reached_step_index",
        "current_weight",
        "step_start_time",
        "pause_start_time",
        "promoted_at",
    )
    return {name: getattr(status, name) for name in names}


def check_that_it_goes_on(world: World, scene: Callable[[], World], before: RolloutStatus) -> None:
    """Nothing begins anew, nothing is decided again, and the end is the same."""
    name = scene.__name__
    world.run()
    assert world.actions(kinds.CreateReplicaSet) == []
    fresh = world.status.decisions[len(before.decisions) :]
    assert [item.action for item in fresh] == NEXT.get(name, [])
    if not fresh:
        assert stands(world.status) == stands(before)
    end, alone = go_on(world, name).status, undisturbed(scene)
    assert (end.phase, end.stable_pod_hash) == (alone.status.phase, alone.status.stable_pod_hash)
    assert {key: item.replicas for key, item in world.sets.items()} == {
        key: item.replicas for key, item in alone.sets.items()
    }
    assert [item.sequence for item in end.decisions] == [*range(1, len(end.decisions) + 1)]
    known = [shown(item) for item in end.decisions if item.action != "Rehearse"]
    assert known == [shown(item) for item in alone.status.decisions]


@pytest.mark.parametrize("scene", frozen.SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.stem)
def test_what_an_older_engine_wrote_goes_on(version: Path, scene: Callable[[], World]) -> None:
    world = frozen.thaw(stored(version)[scene.__name__])
    check_that_it_goes_on(world, scene, world.status)


@pytest.mark.parametrize("scene", frozen.SCENES, ids=lambda scene: scene.__name__)
def test_what_a_newer_engine_wrote_goes_on(scene: Callable[[], World]) -> None:
    world = frozen.thaw(of_a_newer_engine(scene.__name__))
    world.strict = False  # reasons that nobody has listed are what this is about
    check_that_it_goes_on(world, scene, world.status)
    (kept,) = (item for item in world.status.decisions if item.action == "Rehearse")
    assert kept.reason == "QuorumReached"
    assert "Rehearsed" in {item.type for item in world.status.conditions}


def test_every_version_has_every_scene() -> None:
    for version in VERSIONS:
        assert stored(version).keys() == {scene.__name__ for scene in frozen.SCENES}


@pytest.mark.parametrize(
    ("decided", "phase"),
    [
        pytest.param(["Paused", "Rehearsing"], "Paused", id="the last one that we know"),
        pytest.param(["Rehearsing"], "Progressing", id="none that we know: it has set out"),
        pytest.param(["Completed"], "Progressing", id="an end is none of those on the way"),
        pytest.param([], "Progressing", id="no diary"),
    ],
)
def test_a_phase_that_nobody_knows(decided: list[str], phase: str) -> None:
    rows = [
        {"sequence": number, "action": "Pause", "reason": "Held", "revision": "abc", "phase": item}
        for number, item in enumerate(decided, 1)
    ]
    other = [{"action": "Complete", "reason": "Held", "revision": "old", "phase": "Preview"}]
    body = {"phase": "Rehearsing", "currentPodHash": "abc", "decisions": other + rows}
    assert RolloutStatus.model_validate(body).phase is Phase(phase)
