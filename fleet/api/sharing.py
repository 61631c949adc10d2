"""Equal parts of many objects, kept once: a hundred thousand reports differ in little.

Called by the runtimes where an object goes into a store. Most of a ClusterRollout is the same for
all clusters of an Application: its owner, its revision, its engine's report, the empty parts.
Values are frozen, so whoever has one cannot tell that others have it too.

A part that holds a word or a time never seen before is like no other: it is neither compared nor
remembered. Without this, what is each object's own would be most of the work.
"""

import functools
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import orjson
from pydantic.alias_generators import to_camel

from fleet.api.meta import Model, Object

Read = TypeVar("Read", bound=Object[Any, Any])

KEPT = 50_000
"""Parts that are remembered. Then all are forgotten at once and sharing begins anew: what is used
stays with who uses it, and what is not is gone."""
KEPT_BYTES = 2 * 2**20
"""The same for the texts by which parts of JSON are known."""

_PLAIN = frozenset((int, bool, float, type(None)))
"""Too small to be worth sharing."""


class Shared:
    """A memory of parts, of objects of JSON and of models."""

    def __init__(self, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept, self._kept_bytes = kept, kept_bytes
        self._words: dict[str | datetime, Any] = {}
        self._parts: dict[Any, Any] = {}
        self._texts: dict[Hashable, Any] = {}
        self._bytes = 0
        self._ready: set[int] = set()
        """Ids of those parts of models that `_texts` holds."""
        self._given: dict[frozenset[str], set[str]] = {}

    def parse(self, kind: type[Read], new: Mapping[str, Any]) -> Read:
        """What `kind.parse` makes of `new`; of what it names as `ALIKE` only what is new here is
        read. The whole is not kept: no two objects are equal."""
        self._forget()
        rest = {name: dict(part) if type(part) is dict else part for name, part in new.items()}
        known: dict[str, dict[str, Any]] = {}
        unknown: list[tuple[type, str, str, bytes]] = []
        for section, name, outside in _alike(kind):
            given = rest.get(section)
            if type(given) is dict and (part := given.get(outside)):
                text = kind, section, name, orjson.dumps(part)
                if (kept := self._texts.get(text)) is not None:
                    del given[outside]
                    known.setdefault(section, {})[name] = kept
                else:
                    unknown.append(text)
        found = kind.parse(rest)
        for section, parts in known.items():  # before it is compared: they are what it says, too
            found.__dict__[section].__dict__.update(parts)
            found.__dict__[section].__pydantic_fields_set__.update(parts)
        self._share(found)
        for text in unknown:
            _, section, name, written = text
            kept = found.__dict__[section].__dict__[name]
            self._remember((kind, section, name, _small(written)), kept, len(written))
            self._ready.add(id(kept))
        return found

    def manifest(self, new: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of `new`. Raises TypeError for what is no JSON."""
        self._forget()
        return {
            name: self._members(part) if name == "metadata" else self._read(part)
            for name, part in new.items()
        }

    def _forget(self) -> None:
        if len(self._words) + len(self._parts) > self._kept:
            self._words.clear()
            self._parts.clear()
        if self._bytes > self._kept_bytes:
            self._texts.clear()
            self._ready.clear()
            self._bytes = 0

    def _members(self, part: Any) -> Any:
        """An object with these members, each of them shared: the whole is like no other."""
        if type(part) is not dict:
            return self._read(part)
        return {name: self._read(item) for name, item in part.items()}

    def _read(self, part: Any) -> Any:
        """A part of JSON. Nearly each that holds others is known by its text."""
        if type(part) is not dict and type(part) is not list:
            return self._of(part)
        text = orjson.dumps(part)
        kept = self._texts.get(text)
        if kept is None:
            known = len(self._words)
            kept = self._of(part)
            if len(self._words) == known:
                self._remember(_small(text), kept, len(text))
        return kept

    def _remember(self, text: Hashable, kept: Any, size: int) -> None:
        self._texts[text] = kept
        self._bytes += size

    def _of(self, value: Any) -> Any:
        kind, known = type(value), len(self._words)
        if kind is str or kind is datetime:
            return self._words.setdefault(value, value)
        if kind is dict:
            value = {name: self._of(item) for name, item in value.items()}
            names, items = value, value.values()
        elif kind is tuple or kind is list:
            value = kind([self._of(item) for item in value])
            names, items = (), value
        elif kind not in _PLAIN and _is_model(kind):  # type: ignore[arg-type]  # it is hashable
            self._share(value)
            names, items = (), value.__dict__.values()
        else:
            return value
        if len(self._words) != known:
            return value
        # Compared by identity, because what it holds is shared, and lives as long as who holds it.
        return self._parts.setdefault((kind, *names, *map(id, items)), value)

    def _share(self, model: Model) -> None:
        """Put what is kept into a new model. A default that is a model is the class's own."""
        values, given = model.__dict__, model.__pydantic_fields_set__
        keep = self._words.setdefault
        for name, item in values.items():
            kind = type(item)
            if kind is str:
                values[name] = keep(item, item)
            elif kind not in _PLAIN and (name in given or kind is dict):
                values[name] = item if id(item) in self._ready else self._of(item)
        given = self._given.setdefault(frozenset(given), given)
        object.__setattr__(model, "__pydantic_fields_set__", given)


@functools.cache
def _is_model(kind: type) -> bool:
    """Asked of each part; pydantic's own `isinstance` takes many times as long."""
    return issubclass(kind, Model)


@functools.cache
def _alike(kind: type[Object[Any, Any]]) -> Sequence[tuple[str, str, str]]:
    """Section and name of each part that is `ALIKE`, and its name outside."""
    return tuple((section, name, to_camel(name)) for section, name in kind.ALIKE)


def _small(text: bytes) -> bytes:
    """A copy that is as large as it is. That which orjson makes lies where large pieces of memory
    are taken from, and would keep what is free around it from the system."""
    return bytes(memoryview(text))
