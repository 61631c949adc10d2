"""Copies of a small world: one that goes on from here; its Rollout as the engine reads it.

A story that asks what happens at every turn plays up to that turn once, and forks.
"""

import copy
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import orjson

from fleet.api.rollout import Rollout, RolloutStatus
from tests.trees import clone

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
            self._read.spec.template == manifest["spec"]["template"]
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
    numbers = copy.copy(world.numbers)
    return replace(world, **{**own, **trees, "numbers": numbers, "reader": Reader()})


CHANGE = (dict, list, set)
"""What holds frozen things and changes itself."""
