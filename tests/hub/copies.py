"""Copies of a small hub: one that goes on from here, and what comes of those that begin alike.

Manifests are shared between a world and the next: who changes one puts another in its place. What a
story gets to begin with is its own throughout.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache, wraps
from typing import Any

from tests.hub import engine
from tests.hub.engine import Objects

_SETTLED: dict[tuple[str, int], Any] = {}
"""What has come of worlds that had just been made."""


def copied(world: Any) -> Any:
    """Everything that can change is copied; the models are frozen, the manifests are shared."""
    values = {item.name: getattr(world, item.name) for item in fields(world)}
    own = {name: item.copy() for name, item in values.items() if isinstance(item, (dict, list))}
    own["objects"] = {name: items.copy() for name, items in values["objects"].items()}
    return replace(world, **own)


def clones(objects: Objects) -> Objects:
    """Objects that share nothing with `objects`."""
    return {key: engine.clone(manifest) for key, manifest in objects.items()}


def once(world: Any, go: Callable[[Any, int], Any], ticks: int) -> Any:
    """`go`; of worlds that have yet to begin and are equal, one goes, and each is given its own."""
    key = _beginning(world)
    if key is None:
        return go(world, ticks)
    if (key, ticks) not in _SETTLED:
        _SETTLED[key, ticks] = go(world, ticks)
    return _given(_SETTLED[key, ticks])


def scene(make: Callable[[], Any]) -> Callable[[], Any]:
    """`make`, made once for all; each who asks is given its own."""
    made = cache(make)
    return wraps(make)(lambda: _given(made()))


def _given(world: Any) -> Any:
    """A world that shares nothing that changes, not even by a story's own hand."""
    after = copied(world)
    after.objects = {name: clones(items) for name, items in after.objects.items()}
    return after


def _beginning(world: Any) -> str | None:
    """All that makes a difference to a world without a run; None where there is more to it."""
    values = {item.name: getattr(world, item.name) for item in fields(world)}
    if values["runs"] or values["items"] or type(values.pop("engines")) is not engine.Imitation:
        return None
    return repr(values)
