"""One member that is not there: as much of an API server as the hub asks for, in memory.

Held by `simulation`, a thousand of them in one process. It knows versions, watches, server-side
apply by two managers, merge patches and preconditions; no schema, no admission, no rights: those
are real everywhere else. Its engine completes what is put there, unless it is told not to.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from fleet.api.names import (
    DEPLOYMENTS,
    ENGINE_LEASE,
    ENGINE_NAMESPACE,
    HTTPROUTES,
    HUB_MANAGER,
    LEASES,
    ROLLOUTS,
    SERVICES,
    Key,
    Resource,
)

HASH = "0123456789"
KINDS = {item.plural: item for item in (ROLLOUTS, SERVICES, HTTPROUTES, LEASES, DEPLOYMENTS)}


class Refusal(Exception):
    """An answer that is no success: its code and what is said."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code

    def body(self) -> bytes:
        said = {"kind": "Status", "code": self.code, "reason": str(self), "message": str(self)}
        return orjson.dumps(said)


@dataclass(eq=False, slots=True)
class Watch:
    """One open watch: the lines to be sent. None ends it."""

    plural: str
    namespace: str
    name: str
    lines: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)

    def wants(self, plural: str, key: Key) -> bool:
        return (
            self.plural == plural and self.namespace in ("", key[0]) and self.name in ("", key[1])
        )


@dataclass(eq=False, slots=True)
class Simulated:
    """See the module. `put_at` and `held_at` say when the hub wrote what (seconds of the clock on
    the wall), `told_at` when the engine gave its verdict; by Application and image."""

    name: str
    version: int = 100
    objects: dict[str, dict[Key, dict[str, Any]]] = field(default_factory=dict)
    watches: list[Watch] = field(default_factory=list)
    put_at: dict[tuple[str, str], float] = field(default_factory=dict)
    held_at: dict[tuple[str, str], float] = field(default_factory=dict)
    told_at: dict[tuple[str, str], float] = field(default_factory=dict)
    requests: int = 0
    fresh: set[Key] = field(default_factory=set)
    """Rollouts that have changed and of which the engine has not said anything yet."""
    _uids: int = 0

    def __post_init__(self) -> None:
        self.objects = {plural: {} for plural in KINDS}
        self.renew()

    def find(self, plural: str, key: Key) -> dict[str, Any]:
        """Raises Refusal 404."""
        found = self.objects[plural].get(key)
        if found is None:
            raise Refusal(404, "NotFound")
        return found

    def listed(self, plural: str, namespace: str, name: str) -> dict[str, Any]:
        """A whole list; nobody here has more than a page."""
        wanted = Watch(plural, namespace, name)
        items = [one for key, one in self.objects[plural].items() if wanted.wants(plural, key)]
        resource = KINDS[plural]
        return {
            "apiVersion": resource.api_version,
            "kind": f"{resource.kind}List",
            "metadata": {"resourceVersion": str(self.version)},
            "items": items,
        }

    def open(self, watch: Watch, since: int) -> None:
        """Begin a watch with what has changed since that version."""
        for key, one in self.objects[watch.plural].items():
            if watch.wants(watch.plural, key) and int(one["metadata"]["resourceVersion"]) > since:
                watch.lines.put_nowait(_line("MODIFIED", one))
        self.watches.append(watch)

    def bookmark(self, plural: str) -> bytes:
        """The sign of life of a watch on which nothing happens."""
        kind = KINDS[plural]
        meta = {"resourceVersion": str(self.version)}
        return _line(
            "BOOKMARK", {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
        )

    def create(self, plural: str, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises Refusal 409 where there is one of that name."""
        key = (namespace, str(body["metadata"]["name"]))
        if key in self.objects[plural]:
            raise Refusal(409, "AlreadyExists")
        return self._store(plural, key, {**body}, None)

    def replace(self, plural: str, key: Key, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises Refusal 404, or 409 for a version that is not the newest."""
        before = self._guarded(plural, key, body)
        return self._store(plural, key, {**body, "status": before.get("status", {})}, before)

    def patch(self, plural: str, key: Key, body: Mapping[str, Any]) -> dict[str, Any]:
        """A merge patch."""
        before = self._guarded(plural, key, body)
        return self._store(plural, key, merged(before, body), before)

    def apply(self, plural: str, key: Key, body: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """As a server-side apply of `manager`: its spec is its own, what others own stays."""
        before = self.objects[plural].get(key)
        spec = dict(body.get("spec") or {})
        meta = dict(body["metadata"])
        own = {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": _fields(spec)}}
        others: list[dict[str, Any]] = []
        if before is not None:
            known = before["metadata"].get("managedFields", ())
            others = [entry for entry in known if entry["manager"] != manager]
            for entry in others:
                names = (name.removeprefix("f:") for name in entry["fieldsV1"]["f:spec"])
                kept = {name: before["spec"][name] for name in names if name in before["spec"]}
                spec = kept | spec
            for part in ("labels", "annotations"):
                meta[part] = before["metadata"].get(part, {}) | meta.get(part, {})
        meta["managedFields"] = [*others, own]
        return self._store(plural, key, {**body, "metadata": meta, "spec": spec}, before)

    def delete(self, plural: str, key: Key, options: Mapping[str, Any]) -> None:
        """Raises Refusal 404, or 409 where a precondition does not hold."""
        found = self.find(plural, key)
        for name, value in (options.get("preconditions") or {}).items():
            if found["metadata"].get(name) != value:
                raise Refusal(409, "Conflict")
        del self.objects[plural][key]
        self.fresh.discard(key)
        self.version += 1
        meta = {**found["metadata"], "resourceVersion": str(self.version)}
        self._tell("DELETED", plural, key, {**found, "metadata": meta})

    def renew(self) -> None:
        """The engine's Lease, as a living one renews it."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = {
            "metadata": {"name": ENGINE_LEASE},
            "spec": {"holderIdentity": "simulated", "leaseDurationSeconds": 15, "renewTime": now},
        }
        key = (ENGINE_NAMESPACE, ENGINE_LEASE)
        self._store(LEASES.plural, key, body, self.objects[LEASES.plural].get(key))

    def report(self, key: Key, phase: str, **status: Any) -> None:
        """The engine's word on a Rollout as it is now."""
        found = self.find(ROLLOUTS.plural, key)
        known = {
            "phase": phase,
            "observedGeneration": found["metadata"]["generation"],
            "fleetRevision": found["spec"].get("fleetRevision", ""),
            "currentPodHash": HASH,
            "replicas": found["spec"].get("replicas", 0),
            "readyReplicas": found["spec"].get("replicas", 0),
        }
        self.fresh.discard(key)
        self.told_at.setdefault((key[1], image_of(found)), time.time())
        self._store(ROLLOUTS.plural, key, {**found, "status": known | status}, found)

    def complete(self, key: Key) -> None:
        """The engine has brought it everywhere. Raises Refusal 404."""
        self.report(key, "Completed", stablePodHash=HASH, currentWeight=100)

    def plant(self, objects: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """What the hub had written some time ago, and the engine completed."""
        for plural, body in objects:
            key = (str(body["metadata"]["namespace"]), str(body["metadata"]["name"]))
            self.apply(plural, key, body, HUB_MANAGER)
            if plural == ROLLOUTS.plural:
                self.complete(key)

    def _guarded(self, plural: str, key: Key, body: Mapping[str, Any]) -> dict[str, Any]:
        found = self.find(plural, key)
        wanted = (body.get("metadata") or {}).get("resourceVersion")
        if wanted and wanted != found["metadata"]["resourceVersion"]:
            raise Refusal(409, "Conflict")
        return found

    def _store(
        self, plural: str, key: Key, body: dict[str, Any], before: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The object as it is now; nothing happens where nothing is different."""
        old: Mapping[str, Any] = before["metadata"] if before is not None else {}
        same = before is not None and before.get("spec") == body.get("spec")
        self._uids += before is None
        meta = {
            **body["metadata"],
            "namespace": key[0],
            "uid": old.get("uid") or body["metadata"].get("uid") or f"{self.name}-{self._uids}",
            "generation": int(old.get("generation", 0)) + (not same),
            "creationTimestamp": old.get("creationTimestamp") or _now(),
            "resourceVersion": old.get("resourceVersion", "0"),
        }
        resource = KINDS[plural]
        named = {"apiVersion": resource.api_version, "kind": resource.kind}
        status = body.get("status") or (before or {}).get("status")
        if status and _is_judged(body, status):
            status = {**status, "observedGeneration": meta["generation"]}
        stored = {**named, **body, "metadata": meta} | ({"status": status} if status else {})
        if stored == before:
            return stored
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        self.objects[plural][key] = stored
        if plural == ROLLOUTS.plural and not same:
            self._note(key, stored, before)
        self._tell("ADDED" if before is None else "MODIFIED", plural, key, stored)
        return stored

    def _note(self, key: Key, stored: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
        mark = (key[1], image_of(stored))
        self.fresh.add(key)
        self.put_at.setdefault(mark, time.time())
        if stored["spec"].get("hold"):  # it may be that of a former run, which stays
            self.held_at.setdefault(mark, time.time())
        else:
            self.held_at.pop(mark, None)

    def _tell(self, kind: str, plural: str, key: Key, body: Mapping[str, Any]) -> None:
        line = b""
        for watch in self.watches:
            if watch.wants(plural, key):
                line = line or _line(kind, body)
                watch.lines.put_nowait(line)


def _is_judged(body: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether the engine has had its say on the revision that a Rollout asks for: it repeats that
    of each generation, as when a hold is lifted."""
    wanted = body.get("spec", {}).get("fleetRevision", "")
    return bool(wanted) and status.get("fleetRevision") == wanted


def image_of(rollout: Mapping[str, Any]) -> str:
    """The image of its first container."""
    containers = (rollout["spec"].get("template") or {}).get("spec", {}).get("containers")
    return str(containers[0]["image"]) if containers else ""


def merged(before: Any, change: Any) -> Any:
    """A JSON merge patch (RFC 7386)."""
    if not isinstance(change, Mapping) or not isinstance(before, Mapping):
        return change
    result = dict(before)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key, {}), value)
    return result


def resource_of(plural: str) -> Resource:
    """Raises Refusal 404 for what nobody asks of a member."""
    if plural not in KINDS:
        raise Refusal(404, "NotFound")
    return KINDS[plural]


def _fields(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {f"f:{name}": {} for name in spec}


def _line(kind: str, body: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "object": body}) + b"\n"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
