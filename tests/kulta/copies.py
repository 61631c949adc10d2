"""Copies of a small world: one that goes on from here; its Rollout as the engine reads it.

A story that asks what happens at every turn plays up to that turn once, and forks.
"""

import copy
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, replace
from typing import Any

import orjson

from fleet.api.rollout import Rollout, RolloutStatus
from tests.kulta.nature import agree
from tests.trees import clone

KEPT = 1_000
"""Worlds that have begun and are kept for others that begin alike."""
OFTEN = 8
"""Of so many statuses one is written as JSON and read again."""


class Reader:
    """Reads a manifest with its status, anew only when one of them has changed."""

    def __init__(self) -> None:
        self._text = b""
        self._read: Rollout | None = None
        self._seen = 0

    def read(self, manifest: Mapping[str, Any], status: RolloutStatus) -> Rollout:
        """The Rollout; `status` itself is frozen, and must survive JSON."""
        text = orjson.dumps(manifest)
        if self._read is None or self._text != text:
            self._text, self._read = text, Rollout.parse({**orjson.loads(text), "status": {}})
        if self._read.status is not status:
            if self._seen % OFTEN == 0:
                stored = orjson.loads(orjson.dumps(status.manifest()))
                assert RolloutStatus.model_validate(stored) == status, "it does not survive JSON"
            self._seen += 1
            self._read = self._read.model_copy(update={"status": status})
        return self._read

    def is_untouched(self, manifest: Mapping[str, Any]) -> bool:
        """Whether what was read, and is not frozen, is still what `manifest` says."""
        assert self._read is not None
        meta = self._read.metadata
        return (
            self._read.spec.template == manifest["spec"].get("template", {})
            and meta.annotations == manifest["metadata"]["annotations"]
        )


def anew(manifest: Mapping[str, Any], status: RolloutStatus) -> Rollout:
    """A Rollout of its own, in which nobody can have changed anything."""
    parsed = Rollout.parse({**clone(manifest), "status": {}})
    return parsed.model_copy(update={"status": status})


def fork(world: Any) -> Any:
    """A world that goes on from here by itself and shares nothing that changes."""
    values = {field.name: getattr(world, field.name) for field in fields(world)}
    own = {name: copy.copy(item) for name, item in values.items() if isinstance(item, CHANGE)}
    trees = {"manifest": clone(world.manifest), "routes": clone(world.routes)}
    return replace(world, **{**own, **trees, "reader": Reader()})


def once(world: Any, go: Callable[[], None]) -> Any:
    """`world` after `go`; of worlds that have yet to begin and are equal, one goes, and the others
    take over what came of it."""
    key = _beginning(world)
    if key is None:
        go()
    elif (known := _GONE.get(key)) is None:
        go()
        if len(_GONE) < KEPT:
            _GONE[key] = fork(world)
    else:
        for name, value in vars(fork(known)).items():
            setattr(world, name, value)
    return world


def _beginning(world: Any) -> Hashable:
    """All that makes a difference to a world that has yet to begin; None once it has begun, or
    where a test has put something of its own into it."""
    if world.plans or world.hooks.says is not agree:
        return None
    values = {field.name: getattr(world, field.name) for field in fields(world)}
    own = (item.name for item in fields(world) if callable(item.default))
    if any(values.pop(name) is not getattr(type(world), name) for name in own):
        return None
    body = {name: values.pop(name) for name in ("manifest", "routes")}
    del values["reader"], values["hooks"]
    return type(world), orjson.dumps(body), repr(values)


_GONE: dict[Hashable, Any] = {}

CHANGE = (dict, list, set)
"""What holds frozen things and changes itself."""
