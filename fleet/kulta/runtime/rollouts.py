"""The Rollouts of the cluster, small while they are idle.

`known` is filled by `handlers` (what the watch says) and by the writes and reads of `apply`, so
that no decision rests on a view that lacks them. Thousands of idle Rollouts are kept as compact
JSON; those in use are kept parsed as well.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from fleet.api.names import ROLLOUTS, Key
from fleet.api.rollout import Rollout, RolloutStatus
from fleet.clusters.store import Change, Store
from fleet.kulta.core.facts.specs import IN_USE


class Rollouts:
    """Key → newest known Rollout."""

    def __init__(self, parsed: int = IN_USE) -> None:
        self.known: Store[bytes] = Store(ROLLOUTS, _compact, self._changed)
        self.listed = asyncio.Event()
        """Set when all that there are have been told, and changes are."""
        self._parsed: OrderedDict[Key, Rollout] = OrderedDict()
        self._limit = parsed

    def get(self, key: Key) -> Rollout | None:
        """The Rollout, None when it is gone. Raises UserError where it cannot be read."""
        rollout = self._parsed.get(key)
        if rollout is None:
            manifest = self.manifest(key)
            if manifest is None:
                return None
            rollout = Rollout.parse(manifest)
            self._keep(key, rollout)
        self._parsed.move_to_end(key)
        return rollout

    def manifest(self, key: Key) -> dict[str, Any] | None:
        """The object as the API server gave it, without managed fields."""
        body = self.known.get(key)
        return None if body is None else orjson.loads(body)

    def statuses(self) -> Iterator[tuple[Key, RolloutStatus]]:
        """Of all; those that cannot be read are nowhere."""
        for key in list(self.known):
            manifest = self.manifest(key) or {}
            with contextlib.suppress(ValidationError):
                yield key, RolloutStatus.model_validate(manifest.get("status") or {})

    def remember(self, manifest: Mapping[str, Any], rollout: Rollout) -> None:
        """Keep the answer to our own write, of which `rollout` is the parsed form.

        An answer with the known version (nothing changed on the server) counts too: what it does
        not store is not written again and again.
        """
        self.known.see(manifest)
        if self.known.is_known(manifest):
            self._keep((rollout.namespace, rollout.name), rollout)

    def _changed(self, change: Change[bytes]) -> None:
        self._parsed.pop(change.key, None)

    def _keep(self, key: Key, rollout: Rollout) -> None:
        self._parsed[key] = rollout
        while len(self._parsed) > self._limit:
            self._parsed.popitem(last=False)


def _compact(manifest: Mapping[str, Any]) -> bytes:
    meta = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    return orjson.dumps({**manifest, "metadata": meta})
