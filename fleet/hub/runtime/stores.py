"""The hub's own objects as last seen: a store per kind that kopf's events and our own writes feed.

Fed by `handlers` (events), `apply` (answers to our writes) and `resync` (whole lists, because kopf
does not tell what vanished while it was not watching). Every difference is told once as a `Change`,
so an own write counts at once and its echo is silent. Never asks an API server itself.

Versions order what arrives late; they do not outlive the API server. One that was restored from a
backup counts from lower, so a whole list, or an answer to a question that was asked afterwards,
wins over what was known when it was asked for.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from fleet.api.names import Key, Resource
from fleet.clusters.watch import Change
from fleet.errors import UserError

T = TypeVar("T")

MOST_GRAVES = 1_000
"""Deleted objects whose uids are remembered, so that a late answer does not revive one."""


class Recollection(Protocol):
    """What remembers one kind of object and can be set right."""

    def mark(self, key: Key) -> object:
        """What is known of that object now, to be handed to `correct`."""

    def correct(self, key: Key, manifest: Mapping[str, Any] | None, before: object) -> None:
        """The API server's answer (None: it is not there) to a question asked when `before` was
        known: it wins, unless more has been learnt since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a store knew at a moment."""

    marks: Mapping[Key, tuple[str, int]]
    graves: Set[str]


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
        self._take(key, manifest)

    def is_behind(self, manifest: Mapping[str, Any]) -> bool:
        """Whether an older version of this very object is shown than what is known."""
        key, uid, version = identity(manifest)
        known = self._marks.get(key)
        return known is not None and known[0] == uid and version < known[1]

    def _take(self, key: Key, manifest: Mapping[str, Any]) -> None:
        _, uid, version = identity(manifest)
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

    def memory(self) -> Memory:
        """What is known now, to be handed to `replace`."""
        return Memory(marks=dict(self._marks), graves=frozenset(self._graves))

    def replace(self, manifests: Iterable[Mapping[str, Any]], before: Memory) -> None:
        """The whole list, asked for when `before` was known: it wins over that, in either
        direction; what has been learnt since stays."""
        listed = {identity(item)[:2]: item for item in manifests}
        for key, mark in list(self._marks.items()):
            if (key, mark[0]) not in listed and before.marks.get(key) == mark:
                self._bury(mark[0])
                self._drop(key)
        for (key, uid), item in listed.items():
            if uid in before.graves:
                self._graves.pop(uid, None)
            self._settle(key, item, before.marks.get(key))

    def mark(self, key: Key) -> tuple[str, int] | None:
        """As `Recollection`."""
        return self._marks.get(key)

    def correct(self, key: Key, manifest: Mapping[str, Any] | None, before: object) -> None:
        """As `Recollection`."""
        if manifest is not None:
            self._settle(key, manifest, before)
        elif (known := self._marks.get(key)) is not None and known == before:
            self._bury(known[0])
            self._drop(key)

    def _settle(self, key: Key, manifest: Mapping[str, Any], before: object) -> None:
        known = self._marks.get(key)
        if known is not None and known == before and known[0] == identity(manifest)[1]:
            if known != identity(manifest)[1:]:
                self._take(key, manifest)
            return
        self.see(manifest)

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
