"""One fake for each port, as simple as a dictionary; no mock objects.

`FakeKube` keeps what reconcilers rely on: resource versions, generations, optimistic concurrency,
status apart from spec, finalizers, ownership by field managers. It knows no schema, no defaulting,
no garbage collection and no watch: that is what the real API server of `e2e/` is for.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonpatch

from fleet.api.names import Resource
from fleet.errors import AlreadyExists, Conflict, FleetError, Invalid, NotFound, TemporaryError
from fleet.kulta.core.observed import Query
from fleet.ports import Manifest
from tests import trees
from tests.trees import Path

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)

Key = tuple[str, str, str, str]


class Machine:
    """A machine whose clock on the wall can be set."""

    def __init__(self) -> None:
        self.wall, self.uptime = NOON, 1_000.0

    def run(self, seconds: float, jump: timedelta = timedelta(0)) -> None:
        self.uptime += seconds
        self.wall += timedelta(seconds=seconds) + jump


class FakeClock:
    """`ports.Clock` that moves only when told to."""

    def __init__(self, now: datetime = NOON, monotonic: float = 1_000.0) -> None:
        self._now, self._monotonic = now, monotonic
        self.jumped = timedelta(0)

    def drift(self) -> timedelta:
        return self.jumped

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of FakeKube: what a test counts."""

    verb: str
    kind: str
    name: str
    namespace: str | None = None
    sub: str = ""
    body: Any = None


@dataclass(slots=True)
class _Stored:
    manifest: dict[str, Any]
    owners: dict[str, set[Path]] = field(default_factory=dict)


class FakeKube:
    """`ports.Kube` in memory. `calls` lists what was asked; `failures` are raised first, in order.

    A failure in `failures` with a verb (`("replace", Conflict("…"))`) waits for that verb.
    """

    def __init__(self, *manifests: tuple[Resource, Manifest], clock: FakeClock | None = None):
        self.calls: list[Call] = []
        self.failures: deque[FleetError | tuple[str, FleetError]] = deque()
        self._clock = clock or FakeClock()
        self._objects: dict[Key, _Stored] = {}
        self._version = 100
        self._uids = 0
        for resource, manifest in manifests:
            self.seed(resource, manifest)

    # --- for tests ------------------------------------------------------------------------------

    def seed(self, resource: Resource, manifest: Manifest) -> dict[str, Any]:
        """Put an object there without a call; keeps status, uid and generation where given."""
        body = trees.clone(manifest)
        key = _key(resource, body["metadata"]["name"], body["metadata"].get("namespace"))
        return self._store(key, resource, body)

    def writes(self) -> list[Call]:
        """The calls that change something."""
        return [call for call in self.calls if call.verb not in ("get", "list")]

    def peek(
        self, resource: Resource, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        """The object, or None, without a call."""
        stored = self._objects.get(_key(resource, name, namespace))
        return trees.clone(stored.manifest) if stored else None

    # --- ports.Kube -----------------------------------------------------------------------------

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None
    ) -> dict[str, Any]:
        self._called("get", resource, name, namespace)
        return trees.clone(self._found(resource, name, namespace).manifest)

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        selector: str | None = None,
        field_selector: str | None = None,
    ) -> "list[dict[str, Any]]":
        """Of field selectors, `metadata.name=` alone is known."""
        self._called("list", resource, "", namespace)
        _, _, name = (field_selector or "").partition("metadata.name=")
        return [
            trees.clone(stored.manifest)
            for (kind, group, where, called), stored in sorted(self._objects.items())
            if (kind, group) == (resource.plural, resource.group)
            and (not name or called == name)
            and (namespace is None or where == namespace)
            and trees.matches(stored.manifest, selector)
        ]

    async def create(self, resource: Resource, manifest: Manifest) -> dict[str, Any]:
        meta = manifest["metadata"]
        self._called("create", resource, meta["name"], meta.get("namespace"), body=manifest)
        key = _key(resource, meta["name"], meta.get("namespace"))
        if key in self._objects:
            raise AlreadyExists(f"{resource.plural} {meta['name']!r} already exists")
        body = {k: v for k, v in trees.clone(manifest).items() if k != "status"}
        return self._store(key, resource, body)

    async def replace(
        self, resource: Resource, manifest: Manifest, *, sub: str = ""
    ) -> dict[str, Any]:
        meta = manifest["metadata"]
        self._called("replace", resource, meta["name"], meta.get("namespace"), sub, manifest)
        stored = self._found(resource, meta["name"], meta.get("namespace"))
        self._guard(stored, meta["resourceVersion"])
        body = trees.clone(manifest)
        return self._update(resource, stored, body, sub)

    async def apply(
        self, resource: Resource, manifest: Manifest, *, manager: str, force: bool = False
    ) -> dict[str, Any]:
        meta = manifest["metadata"]
        self._called("apply", resource, meta["name"], meta.get("namespace"), body=manifest)
        key = _key(resource, meta["name"], meta.get("namespace"))
        mine = dict(trees.leaves(_owned(manifest)))
        if key not in self._objects:
            answer = self._store(key, resource, trees.clone(manifest))
            self._objects[key].owners[manager] = set(mine)
            return answer
        stored = self._objects[key]
        self._resolve(stored, mine, manager, force)
        body = trees.clone(stored.manifest)
        for path in stored.owners.get(manager, set()) - set(mine):
            if not any(path in theirs for who, theirs in stored.owners.items() if who != manager):
                trees.remove(body, path)
        for path, value in mine.items():
            if value != {} or trees.at(body, path) is None:
                trees.put(body, path, trees.clone(value))
        stored.owners[manager] = set(mine)
        return self._update(resource, stored, body, "")

    async def patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        body: Manifest | Sequence[Manifest],
        *,
        sub: str = "",
    ) -> dict[str, Any]:
        self._called("patch", resource, name, namespace, sub, body)
        stored = self._found(resource, name, namespace)
        if isinstance(body, Mapping):
            self._guard(stored, body.get("metadata", {}).get("resourceVersion"))
            changed = trees.merged(stored.manifest, body)
        else:
            try:
                changed = jsonpatch.apply_patch(stored.manifest, list(body))
            except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
                raise Invalid(str(error)) from None
        return self._update(resource, stored, changed, sub)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        *,
        uid: str | None = None,
        version: str | None = None,
    ) -> None:
        self._called("delete", resource, name, namespace)
        key = _key(resource, name, namespace)
        stored = self._objects.get(key)
        if stored is None:
            return
        if uid is not None and stored.manifest["metadata"]["uid"] != uid:
            raise Conflict(f"{name}: the uid in the precondition is another")
        self._guard(stored, version)
        if stored.manifest["metadata"].get("finalizers"):
            stored.manifest["metadata"].setdefault("deletionTimestamp", self._stamp())
            self._bump(stored.manifest)
        else:
            del self._objects[key]

    # --- inside ---------------------------------------------------------------------------------

    def _called(
        self,
        verb: str,
        resource: Resource,
        name: str,
        namespace: str | None,
        sub: str = "",
        body: Any = None,
    ) -> None:
        self.calls.append(
            Call(
                verb=verb,
                kind=resource.kind,
                name=name,
                namespace=namespace,
                sub=sub,
                body=trees.clone(body),
            )
        )
        if self.failures:
            first = self.failures[0]
            wanted, error = first if isinstance(first, tuple) else (verb, first)
            if wanted == verb:
                self.failures.popleft()
                raise error

    def _found(self, resource: Resource, name: str, namespace: str | None) -> _Stored:
        stored = self._objects.get(_key(resource, name, namespace))
        if stored is None:
            raise NotFound(f"{resource.plural} {name!r} not found")
        return stored

    def _guard(self, stored: _Stored, version: str | None) -> None:
        if version and stored.manifest["metadata"]["resourceVersion"] != version:
            raise Conflict("the object has been modified; please apply your changes to the latest")

    def _store(self, key: Key, resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
        meta = body["metadata"]
        self._uids += 1
        meta.setdefault("uid", f"uid-{self._uids}")
        meta.setdefault("creationTimestamp", self._stamp())
        meta.setdefault("generation", 1)
        body.setdefault("apiVersion", resource.api_version)
        body.setdefault("kind", resource.kind)
        self._bump(body)
        self._objects[key] = _Stored(body)
        return trees.clone(body)

    def _update(
        self, resource: Resource, stored: _Stored, body: dict[str, Any], sub: str
    ) -> dict[str, Any]:
        """Store `body`; a status write changes the status alone, any other write never does."""
        old = stored.manifest
        if sub == "status":
            new = {**trees.clone(old), "status": body.get("status")}
        else:
            new = {key: value for key, value in body.items() if key != "status"}
            if "status" in old:
                new["status"] = old["status"]
            for fixed in ("uid", "creationTimestamp", "generation", "resourceVersion"):
                new["metadata"][fixed] = old["metadata"][fixed]
            if _substance(new) != _substance(old):
                new["metadata"]["generation"] += 1
        if new == old:
            return trees.clone(old)
        self._bump(new)
        stored.manifest = new
        meta = new["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            del self._objects[_key(resource, meta["name"], meta.get("namespace"))]
        return trees.clone(new)

    def _resolve(self, stored: _Stored, mine: dict[Path, Any], manager: str, force: bool) -> None:
        """Refuse, or take over, fields that others own with another value."""
        disputed = {
            who: {
                path for path in theirs & set(mine) if trees.at(stored.manifest, path) != mine[path]
            }
            for who, theirs in stored.owners.items()
            if who != manager
        }
        losers = tuple(sorted(who for who, paths in disputed.items() if paths))
        if losers and not force:
            raise Conflict(f"conflict with {', '.join(losers)}", managers=losers)
        for who in losers:
            stored.owners[who] -= disputed[who]

    def _bump(self, body: dict[str, Any]) -> None:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)

    def _stamp(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


class Samples:
    """`measure.Source`: answers by exact query text; an exception is raised, None is no data.

    A query that nobody prepared is an error that names it. `asked` lists (address, text).
    """

    def __init__(self, answers: Mapping[str, float | TemporaryError | None] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[tuple[str, str]] = []

    async def query(self, namespace: str, query: Query) -> float | None:
        self.asked.append((query.address, query.text))
        if query.text not in self.answers:
            raise TemporaryError(f"no sample is prepared for {query.text!r}")
        answer = self.answers[query.text]
        if isinstance(answer, TemporaryError):
            raise answer
        return answer


@dataclass(frozen=True, slots=True)
class Event:
    """What a Recorder was told."""

    about: str
    kind: str
    reason: str
    message: str


class Sent:
    """`ports.Recorder` that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, about: Manifest, *, kind: str, reason: str, message: str) -> None:
        self.events.append(Event(about["metadata"]["name"], kind, reason, message))

    def reasons(self) -> list[str]:
        return [event.reason for event in self.events]


def _key(resource: Resource, name: str, namespace: str | None) -> Key:
    return (resource.plural, resource.group, namespace or "", name)


def _substance(manifest: Manifest) -> dict[str, Any]:
    """What a generation counts: everything but metadata and status."""
    return {key: value for key, value in manifest.items() if key not in ("metadata", "status")}


def _owned(manifest: Manifest) -> dict[str, Any]:
    """What an apply owns: all but the identity."""
    body = {k: v for k, v in manifest.items() if k not in ("apiVersion", "kind", "metadata")}
    kept = ("labels", "annotations", "finalizers", "ownerReferences")
    body["metadata"] = {k: v for k, v in manifest["metadata"].items() if k in kept}
    return body
