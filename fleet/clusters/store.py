"""What is known of one kind of object: the newest version of each that anybody has told.

Fed by watches (`watch.Informer`, the handlers of kopf), by the answers to our own writes and reads,
and by whole lists; read as a mapping from key to what `decode` made of the object. Every difference
is told once, as a `Change`: an own write counts at once, and its echo is silent, whichever of the
two comes first. Never asks an API server itself.

Versions order what arrives late, but do not outlive the API server: one that was restored from a
backup counts from lower. So who tells (`see`, `end`) gives way to what is newer, and who has asked
(`correct`, `replace`) is believed against all that was known at the moment of asking:

    a question is asked ──> our write is answered: version 12 ──> the answer: 11    12 stays
    a question is asked ──────────────────────────────────────> the answer: 11      11 it is
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, overload

from fleet.api.names import Key, Resource
from fleet.errors import UserError

T = TypeVar("T")
D = TypeVar("D")

Identity = tuple[Key, str, str]
"""Key, uid and version of an object."""

GRAVES = 1_000
"""Deleted objects whose uids are remembered, so that a late answer revives nobody."""


NONSENSE = (UserError, ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What reading an object that makes no sense raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[T]):
    """What happened to one object; `old` is None when ADDED, `new` is None when DELETED.

    UNREADABLE: its new version makes no sense, `old` is kept, `new` is None.
    """

    type: Literal["ADDED", "MODIFIED", "DELETED", "UNREADABLE"]
    key: Key
    old: T | None
    new: T | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An object that makes no sense, and why: what it takes to report that to its author."""

    manifest: Mapping[str, Any]
    error: UserError


@dataclass(slots=True)
class _Mark:
    """What is known of an object, and since which moment. Never changed, which would cost seven
    times as much to enforce for each object of a list."""

    uid: str
    version: str
    learnt: int


def _nowhere(change: Change[Any]) -> None:
    """The listener before anyone listens."""


@dataclass(eq=False, slots=True)
class Store(Mapping[Key, T]):
    """See the module. `on` is called in the event loop, after the store has changed.

    `decode` raises one of `NONSENSE` for an object that makes no sense; such an object keeps its
    last good value and is named in `unreadable`.
    """

    resource: Resource
    decode: Callable[[Mapping[str, Any]], T]
    on: Callable[[Change[T]], None] = _nowhere
    reached: str = ""
    """Up to this version everything has been told, in its order: what is not known then is not
    there. Set by an informer; empty where changes come in no order."""
    is_restored: bool = field(default=False, init=False)
    """Whether an answer counted from lower than before; until the next whole list."""
    unreadable: dict[Key, Unreadable] = field(default_factory=dict, init=False)
    moment: int = field(default=0, init=False)
    """Grows with each change; to be noted before a question is asked."""
    _items: dict[Key, T] = field(default_factory=dict, init=False)
    _marks: dict[Key, _Mark] = field(default_factory=dict, init=False)
    _graves: OrderedDict[str, int] = field(default_factory=OrderedDict, init=False)
    _absent: int = field(default=0, init=False)
    """The moment of the last end or whole list: of what is not known, so much is."""

    def __getitem__(self, key: Key) -> T:
        return self._items[key]

    @overload
    def get(self, key: Key, /) -> T | None: ...

    @overload
    def get(self, key: Key, /, default: T | D) -> T | D: ...

    def get(self, key: Key, /, default: T | D | None = None) -> T | D | None:
        """As of any mapping; that of the library raises and catches an error for what is not."""
        return self._items.get(key, default)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def see(self, manifest: Mapping[str, Any]) -> bool:
        """Take what a watch tells or a write answers, unless something newer or its end is known;
        whether it was news."""
        who = identity(manifest)
        key, uid, version = who
        known = self._marks.get(key)
        newest = known.version if known else self.reached
        if newest and (newest == version or is_newer(newest, than=version)):
            return False
        if uid in self._graves:
            return False
        self._take(manifest, who)
        return True

    def end(self, manifest: Mapping[str, Any]) -> bool:
        """This object is deleted, or selected no more; whether it was known. What was made since
        under its name stays."""
        key, uid, version = identity(manifest)
        known = self._marks.get(key)
        if known is None or known.uid != uid:
            self._bury(uid)
            return False
        return not is_newer(known.version, than=version) and self._lose(key)

    def correct(self, key: Key, manifest: Mapping[str, Any] | None, since: int) -> bool:
        """Take the API server's answer (None: it is not there) to a question about one object that
        was asked at the moment `since`; whether it was news. What has been learnt since stays."""
        known = self._marks.get(key)
        is_later = (known.learnt if known else self._absent) > since
        if manifest is None:
            return not is_later and self._lose(key)
        who = identity(manifest)
        if is_later or self._graves.get(who[1], 0) > since:
            return self.see(manifest)
        return self._believe(manifest, who)

    def replace(
        self, manifests: Iterable[Mapping[str, Any]], since: int, version: str = ""
    ) -> None:
        """Take a whole list that was asked for at the moment `since`. What has been learnt since
        stays, unless the list's `version`, where that is known, is later."""
        self.settle(self.take(manifests, since, version), since, version)

    def take(
        self, manifests: Iterable[Mapping[str, Any]], since: int, version: str = ""
    ) -> set[Key]:
        """Take a part of such a list, so that the whole is never held at once; what it names."""
        listed: set[Key] = set()
        for item in manifests:
            who = identity(item)
            key, uid, _ = who
            listed.add(key)
            known = self._marks.get(key)
            is_later = known is not None and _is_later(known, since, version)
            if is_later or self._graves.get(uid, 0) > since:
                self.see(item)
            else:
                self._believe(item, who)
        return listed

    def settle(self, listed: Container[Key], since: int, version: str = "") -> None:
        """All parts have been taken, and these were in them: what was not is gone."""
        for key, mark in list(self._marks.items()):
            if key not in listed and not _is_later(mark, since, version):
                self._lose(key)
        self.moment += 1
        self._absent = self.moment
        self.is_restored = False

    def is_known(self, manifest: Mapping[str, Any]) -> bool:
        """Whether exactly this version is what is known."""
        key, uid, version = identity(manifest)
        known = self._marks.get(key)
        return known is not None and (known.uid, known.version) == (uid, version)

    def is_behind(self, manifest: Mapping[str, Any]) -> bool:
        """Whether something newer is known under its name."""
        key, _, version = identity(manifest)
        known = self._marks.get(key)
        return known is not None and is_newer(known.version, than=version)

    def is_settled(self, manifest: Mapping[str, Any], since: int) -> bool:
        """Whether this version, or a newer one, has been learnt after the moment `since`: the
        answer to a question that was asked then takes nothing back."""
        key, uid, version = identity(manifest)
        known = self._marks.get(key)
        if known is None or known.learnt <= since:
            return False
        return (known.uid, known.version) == (uid, version) or is_newer(known.version, than=version)

    def _believe(self, manifest: Mapping[str, Any], who: Identity) -> bool:
        """Take it whatever is known."""
        key, uid, version = who
        known = self._marks.get(key)
        if known is not None and (known.uid, known.version) == (uid, version):
            return False
        is_behind = known is not None and is_newer(known.version, than=version)
        self.is_restored = self.is_restored or is_behind
        self._graves.pop(uid, None)
        self._take(manifest, who)
        return True

    def _take(self, manifest: Mapping[str, Any], who: Identity) -> None:
        key, uid, version = who
        known = self._marks.get(key)
        if known is not None and known.uid != uid:
            self._lose(key)
        self.moment += 1
        self._marks[key] = _Mark(uid, version, self.moment)
        old = self._items.get(key)
        try:
            value = self.decode(manifest)
        except NONSENSE as error:
            told = error if isinstance(error, UserError) else UserError("InvalidSpec", str(error))
            self.unreadable[key] = Unreadable(manifest=manifest, error=told)
            self.on(Change(type="UNREADABLE", key=key, old=old, new=None))
            return
        self.unreadable.pop(key, None)
        self._items[key] = value
        kind: Literal["ADDED", "MODIFIED"] = "ADDED" if old is None else "MODIFIED"
        self.on(Change(type=kind, key=key, old=old, new=value))

    def _lose(self, key: Key) -> bool:
        known = self._marks.pop(key, None)
        if known is None:
            return False
        self._bury(known.uid)
        self.unreadable.pop(key, None)
        old = self._items.pop(key, None)
        if old is not None:
            self.on(Change(type="DELETED", key=key, old=old, new=None))
        return True

    def _bury(self, uid: str) -> None:
        """Remember an end, where `reached` does not say enough."""
        self.moment += 1
        self._absent = self.moment
        if self.reached:
            return
        self._graves[uid] = self.moment
        while len(self._graves) > GRAVES:
            self._graves.popitem(last=False)


@dataclass(eq=False, slots=True)
class Index(Generic[T]):
    """Objects grouped by what `by` says that they belong to (None: to nothing); follows a store."""

    by: Callable[[Key, T], Hashable | None]
    _groups: dict[Hashable, dict[Key, T]] = field(default_factory=dict, init=False)

    def update(self, change: Change[T]) -> None:
        """Call it for every change of the store."""
        if change.type == "UNREADABLE":
            return
        before = None if change.old is None else self.by(change.key, change.old)
        after = None if change.new is None else self.by(change.key, change.new)
        if before is not None and before != after:
            self._remove(before, change.key)
        if after is not None and change.new is not None:
            self._groups.setdefault(after, {})[change.key] = change.new

    def get(self, group: Hashable) -> Mapping[Key, T]:
        """The objects of that group; empty when there are none."""
        return self._groups.get(group, {})

    def of(self, group: Hashable) -> list[T]:
        """The same without their keys, in the order of these."""
        members = self._groups.get(group)
        return [members[key] for key in sorted(members)] if members else []

    def _remove(self, group: Hashable, key: Key) -> None:
        members = self._groups.get(group, {})
        members.pop(key, None)
        if not members:
            self._groups.pop(group, None)


def identity(manifest: Mapping[str, Any]) -> Identity:
    """Key, uid and version of an object. Raises KeyError or TypeError for what is none."""
    meta = manifest["metadata"]
    key = (str(meta.get("namespace") or ""), str(meta["name"]))
    return key, str(meta["uid"]), str(meta["resourceVersion"])


def _is_later(mark: _Mark, since: int, version: str) -> bool:
    """Whether a list of `version` that was asked for at `since` may lack what the mark tells."""
    return mark.learnt > since and (not version or is_newer(mark.version, than=version))


def is_newer(version: str, *, than: str) -> bool:
    """Whether `version` is later; versions that are no numbers cannot be compared: False."""
    return version.isdecimal() and than.isdecimal() and int(version) > int(than)
