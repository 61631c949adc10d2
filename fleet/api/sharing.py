"""Equal parts of many objects, kept once: a hundred thousand reports differ in little.

Called by the runtimes where an object goes into a store. Most of a ClusterRollout is the same for
all clusters of an Application: its owner, its revision, its conditions, the empty parts. Values are
frozen, so whoever has one cannot tell that others have it too.
"""

import functools
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from fleet.api.meta import Model

T = TypeVar("T")

KEPT = 50_000
"""Parts that are remembered. Then all are forgotten at once and sharing begins anew: what is used
stays with who uses it, and what is not is gone."""


class Shared:
    """A memory of parts. Call it with an object that is new and that nobody else holds: its models
    are changed in place, its dictionaries and lists are copied."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._parts: dict[Any, Any] = {}
        self._given: dict[frozenset[str], set[str]] = {}

    def __call__(self, value: T) -> T:
        """`value`, with equal parts of earlier ones in place of its own. The whole is not kept: no
        two objects are equal."""
        if len(self._parts) > self._kept:
            self._parts.clear()
        if isinstance(value, Model):
            self._share(value)
            return value
        if isinstance(value, dict):
            return type(value)((key, self._of(item)) for key, item in value.items())
        return value

    def _of(self, value: Any) -> Any:
        kind = type(value)
        if kind is str or kind is datetime:
            return self._parts.setdefault(value, value)
        if kind is dict:
            part: Any = {key: self._of(item) for key, item in value.items()}
            return self._first(part, dict, part, part.values())
        if kind is tuple or kind is list:
            part = kind([self._of(item) for item in value])
            return self._first(part, kind, (), part)
        if _is_model(kind):  # type: ignore[arg-type]  # a type is hashable, whatever mypy says
            self._share(value)
            return self._first(value, kind, (), value.__dict__.values())
        return value

    def _share(self, model: Model) -> None:
        values = model.__dict__
        for name, item in values.items():
            values[name] = self._of(item)
        given = model.__pydantic_fields_set__
        given = self._given.setdefault(frozenset(given), given)
        object.__setattr__(model, "__pydantic_fields_set__", given)

    def _first(self, part: Any, kind: type, names: Iterable[str], items: Iterable[Any]) -> Any:
        """The first of the equals of `part`. What it holds is compared by identity, because that is
        shared already, and lives as long as the first that holds it."""
        return self._parts.setdefault((kind, *names, *map(id, items)), part)


@functools.cache
def _is_model(kind: type) -> bool:
    """Asked of each part; pydantic's own `isinstance` takes many times as long."""
    return issubclass(kind, Model)
