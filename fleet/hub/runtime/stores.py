"""The hub's own objects as last seen: a store per kind that kopf's events and our own writes feed.

Fed by `handlers` (events), `apply` (answers to our writes) and `resync` (whole lists, because kopf
does not tell what vanished while it was not watching). Every difference is told once as a `Change`,
so an own write counts at once and its echo is silent. Never asks an API server itself.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from fleet.api.names import Resource
from fleet.clusters.watch import Change, Key
from fleet.errors import UserError

T = TypeVar("T")

MOST_GRAVES = 1_000
"""Deleted objects whose uids are remembered, so that a late answer does not revive one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An object that our models refuse: what it takes to report that to its author."""

    manifest: Mapping[str, Any]
    error: UserError


def _nowhere(change: Change[Any]) -> None:
    """The listener before anyone listens."""


@dataclass(eq=False, slots=True)
class Store(Generic[T]):
    """Objects of one kind. `on` is called in the event loop after the store has changed.

    An unreadable object keeps its last good value and is named in `unreadable`.
    """

    resource: Resource
    decode: Callable[[Mapping[str, Any]], T]
    on: Callable[[Change[T]], None] = _nowhere
    items: dict[Key, T] = field(default_factory=dict)
    unreadable: dict[Key, Unreadable] = field(default_factory=dict)
    _marks: dict[Key, tuple[str, int]] = field(default_factory=dict)
    _graves: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def see(self, manifest: Mapping[str, Any]) -> None:
        """Take this object unless a later version or its end is known already."""
        key, uid, version = identity(manifest)
        known = self._marks.get(key)
        if uid in self._graves or (known is not None and known[0] == uid and version <= known[1]):
            return
        if known is not None and known[0] != uid:
            self._drop(key)
        self._marks[key] = (uid, version)
        try:
            value = self.decode(manifest)
        except UserError as error:
            self.unreadable[key] = Unreadable(manifest=manifest, error=error)
            self.on(Change(type="MODIFIED", key=key, old=self.items.get(key), new=None))
            return
        self.unreadable.pop(key, None)
        old = self.items.get(key)
        self.items[key] = value
        kind: Literal["ADDED", "MODIFIED"] = "ADDED" if old is None else "MODIFIED"
        self.on(Change(type=kind, key=key, old=old, new=value))

    def end(self, manifest: Mapping[str, Any]) -> None:
        """This object is deleted; an object made since under its name stays."""
        key, uid, _ = identity(manifest)
        self._bury(uid)
        if self._marks.get(key, ("", 0))[0] == uid:
            self._drop(key)

    def replace(self, manifests: Iterable[Mapping[str, Any]], version: str) -> None:
        """The whole list as of `version`: what it lacks is gone, but for what is newer than it."""
        listed = {identity(item)[:2]: item for item in manifests}
        for key, (uid, known) in list(self._marks.items()):
            if (key, uid) not in listed and known <= number(version):
                self._bury(uid)
                self._drop(key)
        for item in listed.values():
            self.see(item)

    def _bury(self, uid: str) -> None:
        self._graves[uid] = None
        while len(self._graves) > MOST_GRAVES:
            self._graves.popitem(last=False)

    def _drop(self, key: Key) -> None:
        self._marks.pop(key, None)
        self.unreadable.pop(key, None)
        old = self.items.pop(key, None)
        if old is not None:
            self.on(Change(type="DELETED", key=key, old=old, new=None))


@dataclass(eq=False, slots=True)
class Index(Generic[T]):
    """Objects grouped by something that never changes in them, such as their Application."""

    by: Callable[[T], Hashable]
    _groups: dict[Hashable, dict[Key, T]] = field(default_factory=dict)

    def update(self, change: Change[T]) -> None:
        """Follow a store; call it for every change."""
        if change.new is not None:
            self._groups.setdefault(self.by(change.new), {})[change.key] = change.new
        elif change.type == "DELETED" and change.old is not None:
            group = self._groups.get(self.by(change.old), {})
            group.pop(change.key, None)
            if not group:
                self._groups.pop(self.by(change.old), None)

    def get(self, group: Hashable) -> Mapping[Key, T]:
        """The objects of that group; empty when there are none."""
        return self._groups.get(group, {})


def identity(manifest: Mapping[str, Any]) -> tuple[Key, str, int]:
    """Key, uid and version of an object."""
    meta = manifest["metadata"]
    key = (str(meta.get("namespace") or ""), str(meta["name"]))
    return key, str(meta.get("uid") or ""), number(str(meta.get("resourceVersion") or ""))


def number(version: str) -> int:
    """A resourceVersion as a number: API servers of 1.28 and later make them comparable."""
    return int(version) if version.isdecimal() else 0
