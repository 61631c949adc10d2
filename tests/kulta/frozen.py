"""Small worlds in mid-step, frozen: what a version of the engine wrote, for later ones to go on.

    python -m tests.kulta.frozen > tests/golden/statuses/<version>.json

run in a checkout of that version freezes every scene as its planner left it. A file is never
written anew: it is what stands in clusters when they are upgraded.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from fleet.api.meta import read_time
from fleet.api.rollout import RolloutStatus
from fleet.kulta.core.observed import Pod, ReplicaSet, Service
from tests import gen
from tests.kulta import ab
from tests.kulta.audience import Audience
from tests.kulta.world import World, blue_green_world, canary_world

SLOW = 3_600.0
"""Seconds in which no pod becomes ready."""


def _no_errors(_: str) -> float:
    return 0.0


def paused() -> World:
    """A person is awaited at the second of three steps."""
    world = canary_world(25, (50, None), 100).settle()
    world.image("shop:v2")
    return world.settle()


def timed() -> World:
    """Two of five minutes at the first step are over, all checks were good."""
    steps = [(20, "5m"), (50, "5m"), 100]
    world = canary_world(*steps, routed=True, analysis=gen.analysis(), answer=_no_errors).settle()
    world.image("shop:v2")
    return world.run(130)


def growing() -> World:
    """The first pods of a canary are not ready."""
    world = canary_world(50, 100).settle()
    world.startup = SLOW
    world.image("shop:v2")
    return world.run(10)


def previewing() -> World:
    """A third of the time until the promotion is over."""
    world = blue_green_world(routed=True, after=600).settle()
    world.image("shop:v2")
    return world.run(200)


def opened() -> World:
    """The gate of a preview is open, which is written down, and nothing has moved."""
    world = blue_green_world(routed=True).settle()
    world.image("shop:v2")
    world.settle().annotate("promote")
    while world.status.reached_step_index is None:
        world.tick()
    return world


def experimenting() -> World:
    """An experiment has run for 25 minutes of its hour."""
    analysis = gen.ab_analysis(minDuration="1h")
    world = ab.begun(answer=Audience(ab.BETTER), analysis=analysis, maxDuration="6h")
    return world.run(1_500)


def concluded() -> World:
    """An experiment has its winner; a person is awaited."""
    return ab.decided()


def replacing() -> World:
    """Some pods are replaced, the next are not ready."""
    world = World(gen.manifest(strategy={"simple": {}})).settle()
    world.startup = 60.0
    world.image("shop:v2")
    return world.run(30)


def untold() -> World:
    """Decisions that nobody has been told of."""
    world = canary_world(25, (50, None), 100).settle()
    world.listening = False
    world.image("shop:v2")
    return world.settle()


def failed() -> World:
    """Taken back; the pods of the preview stay for a while."""
    world = blue_green_world().settle()
    world.image("shop:v2")
    world.settle().annotate("abort")
    return world.run(5)


def promoted() -> World:
    """Completed; the pods of the revision before stay for a while."""
    world = canary_world((50, "5m"), 100, routed=True).settle()
    world.image("shop:v2")
    return world.run(310)


SCENES: tuple[Callable[[], World], ...] = (
    paused,
    timed,
    growing,
    previewing,
    opened,
    experimenting,
    concluded,
    replacing,
    untold,
    failed,
    promoted,
)


def freeze(world: World) -> dict[str, Any]:
    """All that the API server would hold, as JSON."""
    return {
        "now": world.now,
        "rollout": {**world.manifest, "status": world.status.manifest()},
        "sets": [*world.sets.values()],
        "pods": [*world.pods.values()],
        "born": {key: world.born[key] for key in world.pods},
        "services": [*world.services.values()],
        "slices": world.slices,
        "routes": world.routes,
        "startup": world.startup,
    }


def thaw(found: Mapping[str, Any]) -> World:
    """That world, with a process of today's engine that has just been started."""
    rollout = dict(found["rollout"])
    world = World(rollout, RolloutStatus.model_validate(rollout.pop("status")))
    rollout["status"] = {}
    world.now, world.startup = _moment(found["now"]), found["startup"]
    world.sets = {item["hash"]: _read(ReplicaSet, item) for item in found["sets"]}
    world.pods = {item["name"]: _read(Pod, item) for item in found["pods"]}
    world.born = {key: _moment(text) for key, text in found["born"].items()}
    world.services = {item["name"]: _read(Service, item) for item in found["services"]}
    world.slices = {key: frozenset(uids) for key, uids in found["slices"].items()}
    world.routes = {key: dict(item) for key, item in found["routes"].items()}
    world.named = 1_000  # names of pods of before are taken
    return world


def _read(kind: type[Any], item: Mapping[str, Any]) -> Any:
    known = {field.name for field in dataclasses.fields(kind)} & item.keys()
    values = {key: item[key] for key in known}
    if "created_at" in values:
        values["created_at"] = read_time(values["created_at"])
    return kind(**values)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return sorted(value)


def main() -> None:
    """Every scene, one a line."""
    lines = []
    for scene in SCENES:
        text = json.dumps(freeze(scene()), default=_plain, sort_keys=True, separators=(",", ":"))
        lines.append(f'"{scene.__name__}":{text}')
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
