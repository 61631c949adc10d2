"""The Rollouts of the cluster, newest version first, small while they are idle.

Filled by `handlers` (what the watch says) and by `reconcile` (what our own writes answered, so that
no decision rests on a view that lacks them). Who tells of a change gives way to something newer;
who has asked the API server is believed, since versions begin anew where it was restored. Thousands
of idle Rollouts are kept as compact JSON; those in use are kept parsed as well.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from fleet.api.names import Key
from fleet.api.rollout import Rollout

PARSED = 1_000
"""Rollouts kept parsed."""
GRAVES = 1_000
"""Uids of the deleted that are remembered, so that a late answer revives nobody."""


@dataclass(slots=True)
class _Entry:
    uid: str
    version: int
    body: bytes


class Rollouts:
    """Key → newest known Rollout."""

    def __init__(self, parsed: int = PARSED) -> None:
        self._entries: dict[Key, _Entry] = {}
        self._parsed: OrderedDict[Key, Rollout] = OrderedDict()
        self._graves: OrderedDict[str, None] = OrderedDict()
        self._limit = parsed

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._entries))

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def put(self, manifest: Mapping[str, Any]) -> bool:
        """Keep `manifest` if it is newer than what is known; whether it was."""
        known = self._entries.get(key_of(manifest))
        if manifest["metadata"]["uid"] in self._graves:
            return False
        if known is not None and version_of(manifest) <= known.version:
            return False
        self._store(manifest)
        return True

    def listed(self, manifest: Mapping[str, Any]) -> bool:
        """Believe a full list, to which later changes will be told; whether it says anything new.

        It also revives: a store from before a deletion holds the deleted.
        """
        self._graves.pop(manifest["metadata"]["uid"], None)
        return self.read(manifest, self.version(key_of(manifest)))

    def version(self, key: Key) -> int | None:
        """The known version; to be taken before a Rollout is read anew."""
        known = self._entries.get(key)
        return None if known is None else known.version

    def read(self, manifest: Mapping[str, Any], before: int | None) -> bool:
        """Believe what the API server answered to a question asked when `before` was known.

        What came in while the question was under way is newer, unless its version is lower.
        """
        now = self.version(key_of(manifest))
        if now != before or now is None:
            return self.put(manifest)
        if now == version_of(manifest):
            return False
        self._store(manifest)
        return True

    def _store(self, manifest: Mapping[str, Any]) -> None:
        key, meta = key_of(manifest), manifest["metadata"]
        slim = {**manifest, "metadata": {k: v for k, v in meta.items() if k != "managedFields"}}
        self._entries[key] = _Entry(meta["uid"], version_of(manifest), orjson.dumps(slim))
        self._parsed.pop(key, None)

    def remember(self, manifest: Mapping[str, Any], rollout: Rollout) -> None:
        """Keep the answer to our own write, of which `rollout` is the parsed form.

        An answer with the known version (nothing changed on the server) counts too: what it does
        not store is not written again and again.
        """
        self.put(manifest)
        known = self._entries.get(key_of(manifest))
        if known is not None and known.version == version_of(manifest):
            self._keep(key_of(manifest), rollout)

    def get(self, key: Key) -> Rollout | None:
        """The Rollout, None when it is gone. Raises UserError where it cannot be read."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        rollout = self._parsed.get(key)
        if rollout is None:
            rollout = Rollout.parse(orjson.loads(entry.body))
            self._keep(key, rollout)
        self._parsed.move_to_end(key)
        return rollout

    def manifest(self, key: Key) -> dict[str, Any] | None:
        """The object as the API server gave it, without managed fields."""
        entry = self._entries.get(key)
        return None if entry is None else orjson.loads(entry.body)

    def drop(self, key: Key, uid: str = "") -> bool:
        """Forget a Rollout that is gone; with a uid, only that one. Whether it was known."""
        known = self._entries.get(key)
        self._bury(uid or (known.uid if known else ""))
        if known is None or (uid and known.uid != uid):
            return False
        del self._entries[key]
        self._parsed.pop(key, None)
        return True

    def _bury(self, uid: str) -> None:
        self._graves[uid] = None
        while len(self._graves) > GRAVES:
            self._graves.popitem(last=False)

    def _keep(self, key: Key, rollout: Rollout) -> None:
        self._parsed[key] = rollout
        while len(self._parsed) > self._limit:
            self._parsed.popitem(last=False)


def key_of(manifest: Mapping[str, Any]) -> Key:
    """Namespace and name of an object."""
    meta = manifest["metadata"]
    return (meta.get("namespace") or "", meta["name"])


def version_of(manifest: Mapping[str, Any]) -> int:
    """The resourceVersion as a number (all API servers on etcd number their writes)."""
    return int(manifest["metadata"]["resourceVersion"])
