"""The store in worlds that hypothesis makes up: an API server, its watch, our writes and questions,
all of which are answered whenever it pleases them.

Whatever the order: what is told in order is never a version back, the deleted are not revived, and
when all has been told the store holds what the API server holds, even after a restore from backup.
Two kinds of watch: an informer's (in order, of a selection, listing anew when it was closed) and
kopf's (each object for itself, telling only the last of a burst, healed by whole lists).
"""

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fleet.api.names import FLEETS
from fleet.clusters.store import Change, Store
from tests import search

pytestmark = search.in_time

NAMES = st.sampled_from(["a", "b"])
Manifest = dict[str, Any]


def made(name: str, uid: str, version: int) -> Manifest:
    meta = {"namespace": "shop", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": meta}


def what(manifest: Any) -> tuple[str, int]:
    """Uid and version."""
    return manifest["metadata"]["uid"], int(manifest["metadata"]["resourceVersion"])


@dataclass
class Server:
    """An API server; `events` is what its watch has yet to tell."""

    objects: dict[str, Manifest] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    """Names that the selection does not match now."""
    version: int = 10
    events: list[tuple[str, Manifest]] = field(default_factory=list)

    @property
    def selected(self) -> dict[str, Manifest]:
        return {name: item for name, item in self.objects.items() if name not in self.hidden}

    def copy(self) -> "Server":
        """One that goes on by itself; what is in it is never changed."""
        return replace(
            self, objects=dict(self.objects), hidden=set(self.hidden), events=list(self.events)
        )

    def write(self, name: str, uid: str) -> Manifest:
        """Make the object if need be, else write it anew; the answer."""
        self.version += 1
        old = self.objects.get(name)
        found = made(name, what(old)[0] if old else uid, self.version)
        self.objects[name] = found
        self._tell("MODIFIED" if old else "ADDED", found)
        return found

    def delete(self, name: str) -> None:
        self.version += 1
        gone = made(name, what(self.objects.pop(name))[0], self.version)
        self._tell("DELETED", gone)
        self.hidden.discard(name)

    def hide(self, name: str) -> None:
        """Write the object so that it enters or leaves the selection."""
        self.version += 1
        self.objects[name] = found = made(name, what(self.objects[name])[0], self.version)
        shown = name in self.hidden
        self.hidden ^= {name}
        self.events.append(("ADDED" if shown else "DELETED", found))

    def _tell(self, kind: str, manifest: Manifest) -> None:
        if manifest["metadata"]["name"] not in self.hidden:
            self.events.append((kind, manifest))


class World(RuleBasedStateMachine):
    """One store and what feeds it."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.backup = self.server.copy()
        self.told: dict[str, tuple[str, int]] = {}
        self.store: Store[tuple[str, int]] = Store(FLEETS, what, self._hear)
        self.answers: list[Manifest] = []
        self.asked: list[tuple[str, Manifest | None, int]] = []
        self.listing: list[Any] = []
        """The moment of asking; then what was found, and the version."""
        self.is_watching = True
        self.is_restored = False
        self.highest: dict[str, int] = {}
        self.lives: dict[str, set[str]] = {}
        """Name → uids that it had."""
        self.ended: set[str] = set()
        self.uids = 0

    @initialize(ordered=st.booleans())
    def begin(self, ordered: bool) -> None:
        self.ordered = ordered
        if ordered:
            self.store.reached = "10"

    def _hear(self, change: Change[tuple[str, int]]) -> None:
        """Each difference is told once, and follows on what was told before."""
        name = change.key[1]
        assert self.told.get(name) == change.old
        assert (change.type == "ADDED") == (change.old is None)
        assert (change.type == "DELETED") == (change.new is None)
        if change.new is None:
            del self.told[name]
            return
        self.told[name] = change.new
        self.lives.setdefault(name, set()).add(change.new[0])
        if not self.is_restored:
            uid, version = change.new
            assert uid not in self.ended, "the deleted are not revived"
            assert version > self.highest.get(uid, 0), "never a version back"
            self.highest[uid] = version

    # What happens on the API server.

    @rule(name=NAMES)
    def somebody_writes(self, name: str) -> None:
        self.server.write(name, self._uid())

    @precondition(lambda self: self.server.objects)
    @rule(data=st.data())
    def somebody_deletes(self, data: st.DataObject) -> None:
        self.server.delete(data.draw(st.sampled_from(sorted(self.server.objects))))

    @precondition(lambda self: self.ordered and self.server.objects)
    @rule(data=st.data())
    def it_enters_or_leaves_the_selection(self, data: st.DataObject) -> None:
        self.server.hide(data.draw(st.sampled_from(sorted(self.server.objects))))

    @rule()
    def it_is_backed_up(self) -> None:
        self.backup = self.server.copy()

    @rule()
    def it_is_restored(self) -> None:
        """Connections break: what was not answered or told is not answered or told any more."""
        uids = self.server.version
        self.server = self.backup.copy()
        self.server.events.clear()
        self.uids += uids
        self.answers, self.asked, self.listing = [], [], []
        self.is_restored, self.is_watching = True, not self.ordered

    # What we do.

    @rule(name=NAMES)
    def we_write(self, name: str) -> None:
        if name not in self.server.hidden:
            self.answers.append(self.server.write(name, self._uid()))

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def our_write_is_answered(self, data: st.DataObject) -> None:
        self.store.see(self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1))))

    @rule(name=NAMES)
    def we_ask(self, name: str) -> None:
        if name not in self.server.hidden:
            self.asked.append((name, self.server.objects.get(name), self.store.moment))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def we_are_answered(self, data: st.DataObject) -> None:
        self._answer(*self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1))))

    # What is told.

    @precondition(lambda self: self.is_watching and self.server.events)
    @rule(data=st.data())
    def the_watch_tells(self, data: st.DataObject) -> None:
        if self.ordered:
            self._tell(0)
            return
        uids = [what(manifest)[0] for _, manifest in self.server.events]
        uid = data.draw(st.sampled_from(sorted(set(uids))))
        places = [place for place, mine in enumerate(uids) if mine == uid]
        told = places[-1] if data.draw(st.booleans()) else places[0]
        for place in reversed([place for place in places if place < told]):
            del self.server.events[place]
        self._tell(places[0])

    @precondition(lambda self: self.ordered and self.is_watching)
    @rule()
    def the_watch_breaks(self) -> None:
        """And its version is too old to go on from."""
        self.is_watching = False

    @precondition(lambda self: not self.listing and (not self.ordered or not self.is_watching))
    @rule()
    def we_ask_for_a_list(self) -> None:
        self.listing = [self.store.moment]

    @precondition(lambda self: len(self.listing) == 1)
    @rule()
    def the_list_is_made(self) -> None:
        self.listing += [list(self.server.selected.values()), self.server.version]

    @precondition(lambda self: len(self.listing) == 3)
    @rule()
    def we_get_the_list(self) -> None:
        since, found, version = self.listing
        self.listing = []
        if not self.ordered:
            self.store.replace(found, since)
            return
        self.store.replace(found, since, str(version))
        self.store.reached, self.is_watching = str(version), True
        self.server.events = [event for event in self.server.events if what(event[1])[1] > version]

    @invariant()
    def what_was_told_is_what_is_known(self) -> None:
        assert {key[1]: item for key, item in self.store.items()} == self.told

    def teardown(self) -> None:
        """All questions are answered, all events told: now the two are equal."""
        for answer in self.answers:
            self.store.see(answer)
        for asked in self.asked:
            self._answer(*asked)
        if not self.is_watching or self.is_restored:
            self.listing = []
            self.we_ask_for_a_list()
        if self.listing:
            if len(self.listing) == 1:
                self.the_list_is_made()
            self.we_get_the_list()
        while self.server.events:
            self._tell(0)
        expected = {name: what(item) for name, item in self.server.selected.items()}
        assert {key[1]: item for key, item in self.store.items()} == expected

    def _answer(self, name: str, found: Manifest | None, since: int) -> None:
        if found is None and name in self.told:
            # A watch that lags behind the answer may tell of it once more, and of all that had the
            # name before it, and then of their ends.
            for uid in self.lives[name]:
                self.highest.pop(uid, None)
        self.store.correct(("shop", name), found, since)

    def _tell(self, place: int) -> None:
        kind, manifest = self.server.events.pop(place)
        if kind == "DELETED":
            self.store.end(manifest)
            if not self.ordered:
                self.ended.add(what(manifest)[0])
        else:
            self.store.see(manifest)
        if self.ordered:
            self.store.reached = manifest["metadata"]["resourceVersion"]

    def _uid(self) -> str:
        self.uids += 1
        return f"u{self.uids}"


TestWorlds = World.TestCase
TestWorlds.settings = settings(max_examples=max(100, settings().max_examples))
