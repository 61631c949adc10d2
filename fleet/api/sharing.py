"""Equal parts of many objects, kept once: a hundred thousand reports differ in little.

Called by the runtimes where an object goes into a store. Most of a ClusterRollout is the same for
all clusters of an Application: its owner, its revision, its engine's report. Nobody changes what is
in a store, so whoever has a part cannot tell that others have it too. Words are no concern of this
module: who reads JSON (`clusters.client`) has most of them once.
"""

import functools
import json
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import orjson
from pydantic.alias_generators import to_camel

from fleet.api.meta import Model, Object

Read = TypeVar("Read", bound=Object[Any, Any])

KEPT_BYTES = 2 * 2**20
"""Texts by which parts are known. Then all are forgotten at once and sharing begins anew: what is
used stays with who uses it, and what is not is gone."""


_PLAIN = frozenset((str, int, float, bool, type(None), datetime, dict))
"""Not made of models: most of what there is."""


class Shared:
    """A memory of parts, of objects of JSON and of models."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._texts: dict[Hashable, Any] = {}
        self._bytes = 0
        self._names: dict[frozenset[str], set[str]] = {}

    def parse(self, kind: type[Read], new: Mapping[str, Any]) -> Read:
        """What `kind.parse` makes of `new`; of what it names as `ALIKE` only what is new here is
        read. The whole is not kept: no two objects are equal."""
        rest = {name: dict(part) if type(part) is dict else part for name, part in new.items()}
        known: list[tuple[str, str, Any]] = []
        unknown: list[tuple[str, str, bytes]] = []
        for section, name, outside in _alike(kind):
            given = rest.get(section)
            if type(given) is dict and (part := given.get(outside)):
                text = orjson.dumps(part)
                if (kept := self._texts.get((kind, section, name, text))) is not None:
                    del given[outside]
                    known.append((section, name, kept))
                else:
                    unknown.append((section, name, text))
        found = kind.parse(rest)
        for section, name, kept in known:
            found.__dict__[section].__dict__[name] = kept
            found.__dict__[section].__pydantic_fields_set__.add(name)
        self._name(found)
        for section, name, text in unknown:
            kept = found.__dict__[section].__dict__[name]
            self._remember((kind, section, name, _small(text)), kept, len(text))
        return found

    def manifest(self, new: Mapping[str, Any]) -> dict[str, Any]:
        """An object of JSON equal to `new`, made of its parts where they are the first of their
        kind. Raises TypeError for what is no JSON, ValueError for a number beyond all bounds."""
        return {
            name: self._members(part) if name == "metadata" else self._read(part)
            for name, part in new.items()
        }

    def _members(self, part: Any) -> Any:
        """An object with these members, each of them shared: the whole is like no other."""
        if type(part) is not dict:
            return self._read(part)
        return {name: self._read(item) for name, item in part.items()}

    def _read(self, part: Any) -> Any:
        if type(part) is not dict and type(part) is not list:
            return part
        try:
            text = orjson.dumps(part)
        except TypeError:  # a whole number of more than 64 bits: a float for everybody else
            return orjson.loads(json.dumps(part))
        if b"null" in text and orjson.loads(text) != part:
            raise ValueError("a number beyond all bounds")
        kept = self._texts.get(text)
        if kept is None:
            kept = part
            self._remember(_small(text), part, len(text))
        return kept

    def _remember(self, text: Hashable, kept: Any, size: int) -> None:
        if self._bytes > self._kept_bytes:
            self._texts.clear()
            self._bytes = 0
        self._texts[text] = kept
        self._bytes += size

    def _name(self, model: Model) -> None:
        """The names of what a model was given: the same in most models of a kind, and each set of
        them takes as much as all that they name."""
        values, names = model.__dict__, model.__pydantic_fields_set__
        kept = self._names.setdefault(frozenset(names), names)
        object.__setattr__(model, "__pydantic_fields_set__", kept)
        for name in kept:
            item = values[name]
            kind: Any = type(item)
            if kind is tuple:
                for one in item:
                    if _is_model(one.__class__):
                        self._name(one)
            elif kind not in _PLAIN and _is_model(kind):
                self._name(item)


@functools.cache
def _is_model(kind: Any) -> bool:
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
