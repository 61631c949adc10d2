"""Which small worlds are one for `exploring`: all that can make a difference, and nothing else."""

import re
from collections import Counter
from collections.abc import Hashable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import BaseModel

from fleet.api import names
from fleet.api.rollout import RolloutStatus

LONG = 30.0
"""Seconds after which it makes no difference any more how long ago something was."""

TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
"""As models write times."""

UNTOLD = {"message", "conditions", "decisions", "analysis", "emitted"}
"""What stands in a status for people; what matters of it is taken apart below."""


def identity(world: Any) -> Hashable:
    """All that can make a difference: times as ages, pods without their names."""
    fixed, times = _shape(Same(world.status))
    now = world.now
    spec, meta = world.manifest["spec"], world.manifest["metadata"]
    template = spec.get("template") or {"spec": {"containers": [{"image": ""}]}}
    wish = (template["spec"]["containers"][0]["image"], spec["replicas"])
    asked = (*sorted(meta["annotations"]), bool(spec.get("hold")), *meta.get("finalizers", ()))
    return (
        world.left,
        world.mood,
        world.flipped,
        world.floor,
        fixed,
        tuple(_age(item, now) for item in times),
        wish,
        asked,
        tuple(sorted((x.hash, x.role, x.replicas, x.current) for x in world.sets.values())),
        _pods(world),
        tuple(
            (x.selector.get(names.HASH_LABEL), x.original is None) for x in world.services.values()
        ),
        tuple(orjson.dumps(_route(item)) for _, item in sorted(world.routes.items())),
        tuple(
            sorted(
                (x.text, y.value, y.error, _age(y.at, now)) for x, y in world.measurements.items()
            )
        ),
        tuple(sorted(world.failed.items())),
        world.told,
        world.emitted,
        tuple(sorted(world.consumed)),
        _age(world.counters_due, now),
    )


def _pods(world: Any) -> Hashable:
    behind = {name: world.slices.get(name, frozenset()) for name in world.services}
    kinds = Counter(
        (pod.hash, pod.role, pod.ready, pod.leaving, *(pod.uid in item for item in behind.values()))
        for pod in world.pods.values()
    )
    uids = {pod.uid for pod in world.pods.values()}
    return tuple(sorted(kinds.items())), tuple(bool(item - uids) for item in behind.values())


def _route(item: dict[str, Any]) -> Any:
    seen = [x["observedGeneration"] for x in item["status"]["parents"][0]["conditions"]]
    lag = item["metadata"]["generation"] - min(seen)
    return [item["spec"], item["metadata"].get("annotations"), bool(lag)]


def _age(moment: datetime | None, now: datetime) -> float | None:
    if moment is None:
        return None
    return max(min((now - moment).total_seconds(), LONG), -LONG)


class Same:
    """A key that is equal for the same object only, and keeps it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.value is self.value


@lru_cache(maxsize=10_000)
def _shape(same: Same) -> tuple[Hashable, tuple[datetime, ...]]:
    """A status without times, and the times that stand in it."""
    status: RolloutStatus = same.value
    times: list[datetime] = []
    body = status.model_dump(exclude=UNTOLD)
    told = [(item.type, item.status, item.reason) for item in status.conditions]
    last = status.decisions[-1] if status.decisions else None
    diary = (last.action, last.reason, last.phase, last.timestamp) if last else ()
    judged = status.analysis.model_dump(exclude={"metrics"}) if status.analysis else None
    numbers = [
        (x.name, x.verdict, x.passed, x.undecided, x.failures, x.failed, x.errors)
        for x in (status.analysis.metrics if status.analysis else ())
    ]
    whole = _plain([body, told, diary, judged, numbers], times)
    return orjson.dumps(whole, option=orjson.OPT_SORT_KEYS), tuple(times)


def _plain(value: Any, times: list[datetime]) -> Any:
    if isinstance(value, str) and TIME.fullmatch(value):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        times.append(value)
        return "a time"
    if isinstance(value, Mapping):
        return {str(key): _plain(item, times) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, times) for item in value]
    return value.model_dump() if isinstance(value, BaseModel) else value
