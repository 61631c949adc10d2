"""Whether the API server serves a custom resource yet, by watching its definition.

Used by `observe` (HTTPRoutes may never be installed) and by `wiring.engine` (kopf does not start
without the Rollout's definition). A watch of one object: nothing is asked again and again.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fleet.api.names import CRDS, Resource
from fleet.clusters.client import Client
from fleet.clusters.store import Change
from fleet.clusters.watch import Informer
from fleet.errors import FleetError


class Assumed:
    """What `Served` is for those who may not look beyond one namespace, where no definition is: it
    is there."""

    is_now = has_looked = True

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    async def run(self) -> None:
        """Nothing, until cancelled."""
        await asyncio.Event().wait()

    async def looked(self) -> None:
        """Nobody has to wait for it."""

    async def begun(self) -> None:
        """It has."""

    async def ended(self) -> None:
        """Never."""
        await asyncio.Event().wait()


class Served:
    """`is_now` follows the definition once `run` has looked."""

    namespace: str | None = None
    """Its objects are looked at in all of them."""

    def __init__(
        self,
        kube: Client,
        resource: Resource,
        on_error: Callable[[FleetError], None] = lambda error: None,
    ) -> None:
        self._resource = resource
        self._yes, self._no = asyncio.Event(), asyncio.Event()
        self._no.set()
        self.informer = Informer(
            kube,
            CRDS,
            decode=self._decode,
            on=self._changed,
            field_selector=f"metadata.name={resource.plural}.{resource.group}",
            on_error=on_error,
        )

    @property
    def is_now(self) -> bool:
        return self._yes.is_set()

    @property
    def has_looked(self) -> bool:
        """Whether `is_now` is known."""
        return self.informer.synced.is_set()

    async def run(self) -> None:
        """Watch until cancelled."""
        await self.informer.run()

    async def looked(self) -> None:
        """Until `is_now` is known."""
        await self.informer.synced.wait()

    async def begun(self) -> None:
        """Until the resource is served."""
        await self._yes.wait()

    async def ended(self) -> None:
        """Until the resource is not served any more."""
        await self._no.wait()

    def _decode(self, manifest: Mapping[str, Any]) -> bool:
        versions = manifest["spec"]["versions"]
        served = any(item["name"] == self._resource.version and item["served"] for item in versions)
        conditions = (manifest.get("status") or {}).get("conditions") or ()
        established = any(
            item["type"] == "Established" and item["status"] == "True" for item in conditions
        )
        return bool(served and established)

    def _changed(self, change: Change[bool]) -> None:
        on, off = (self._yes, self._no) if change.new else (self._no, self._yes)
        off.clear()
        on.set()
