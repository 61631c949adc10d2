"""A Gateway API implementation for one cluster: real Envoy, configured by files.

    async with LocalGateway(client, folder=folder) as gateway:
        gateway.url          # http://127.244.7.1:8080, for a Gateway's listener port 80

It watches what decides (never asks), translates it (`routing`, `xds`), offers it to Envoy, and
writes statuses only when Envoy shows that it has taken them, and only where they differ. Used by
tests and the demo, in their event loop. A route's change is live within some 50 ms.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e.ground import addresses, gatewaystatus, routing, xds
from e2e.ground.containers import stamp
from e2e.ground.envoy import Counters, Envoy, Offer
from fleet import errors
from fleet.api import names
from fleet.api.names import Resource
from fleet.clusters.client import Client
from fleet.clusters.watch import Informer

CONTROLLER = "kulta.io/local-gateway"
CLASSES = Resource(
    group=routing.GROUP,
    version="v1",
    plural="gatewayclasses",
    kind="GatewayClass",
    namespaced=False,
)
GRANTS = Resource(
    group=routing.GROUP, version="v1beta1", plural="referencegrants", kind="ReferenceGrant"
)
WATCHED: Mapping[str, Resource] = {
    "classes": CLASSES,
    "gateways": names.GATEWAYS,
    "routes": names.HTTPROUTES,
    "services": names.SERVICES,
    "slices": names.ENDPOINTSLICES,
    "grants": GRANTS,
    "namespaces": names.NAMESPACES,
}
UNPRIVILEGED = 1024


class LocalGateway:
    """Serves all Gateways of the class `local` on an address of its own, `host`."""

    controller = CONTROLLER
    gateway_class: Mapping[str, Any] = {
        "apiVersion": CLASSES.api_version,
        "kind": CLASSES.kind,
        "metadata": {"name": "local"},
        "spec": {"controllerName": CONTROLLER},
    }

    def __init__(self, client: Client, *, folder: Path, is_secluded: bool = False) -> None:
        """`is_secluded`: in a network of its own, where addresses are what the API shows."""
        self._block = addresses.Block(is_secluded=is_secluded)
        self.host = self._block.served(self._block.host)
        self.envoy = Envoy(folder)
        self._client = client
        self._changed = asyncio.Event()
        self._statuses_due = asyncio.Event()
        self._table = routing.Table()
        self._world: routing.World | None = None
        self._main: asyncio.Task[None] | None = None
        self._informers: dict[str, Informer[dict[str, Any]]] = {
            kind: Informer(client, resource, decode=dict, on=lambda _: self._changed.set())
            for kind, resource in WATCHED.items()
        }

    @staticmethod
    def port(listener: int) -> int:
        """Where a Gateway's listener port is served: below 1024 it is 8000 higher."""
        return listener if listener >= UNPRIVILEGED else 8000 + listener

    @property
    def url(self) -> str:
        """Where the listener port 80 is served."""
        return f"http://{self.host}:{self.port(80)}"

    def counters(self) -> dict[str, Counters]:
        """Requests answered by each `<namespace>/<service>/<port>`. Blocking, from any thread."""
        return self.envoy.counters()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when everything has been listed and Envoy runs; the Gateway CRDs must exist."""
        await self.envoy.start()
        self._main = asyncio.create_task(self._run(), name="local gateway")
        ready = asyncio.create_task(self._synced())
        await asyncio.wait({self._main, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self._main.done():
            ready.cancel()
            await self._main

    async def stop(self) -> None:
        """End Envoy and forget; statuses stay as they are."""
        if self._main is not None:
            self._main.cancel()
            await asyncio.wait({self._main})
        await self.envoy.stop()
        self._block.close()
        if self._main is not None and not self._main.cancelled():
            await self._main

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers.values():
                tasks.create_task(informer.run())
            await self._synced()
            tasks.create_task(self._configure())
            tasks.create_task(self._report())

    async def _synced(self) -> None:
        for informer in self._informers.values():
            await informer.synced.wait()

    async def _configure(self) -> None:
        """Offer what follows from the newest world whenever something has changed, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            world = routing.World(
                **{kind: dict(one.store) for kind, one in self._informers.items()}
            )
            table = routing.build(world, self.controller)
            await self.envoy.offer(self._offer(world, table))
            self._world, self._table = world, table
            self._statuses_due.set()

    def _offer(self, world: routing.World, table: routing.Table) -> Offer:
        backends = {backend.name: backend for backend in table.backends}
        source = self.envoy.source
        ports = xds.names(table)
        return Offer(
            endpoints={
                name: xds.endpoints(world, one, self._block.served)
                for name, one in backends.items()
            },
            clusters={
                name: xds.cluster(one, source("eds", name)) for name, one in backends.items()
            },
            routes={name: xds.routes(name, table.ports[port]) for port, name in ports.items()},
            listeners={
                name: xds.listener(self.host, self.port(port), name, source("rds", name))
                for port, name in ports.items()
            },
        )

    async def _report(self) -> None:
        """Write the statuses that differ from the world Envoy runs with, for ever."""
        while True:
            await self._statuses_due.wait()
            self._statuses_due.clear()
            world, table = self._world, self._table
            if world is None:
                continue
            now = stamp()
            for manifest in world.classes.values():
                if manifest["spec"]["controllerName"] == self.controller:
                    await self._write("classes", manifest, gatewaystatus.of_class(manifest, now))
            for manifest in world.gateways.values():
                if routing.is_ours(world, manifest, self.controller):
                    status = gatewaystatus.of_gateway(manifest, table, self.host, now)
                    await self._write("gateways", manifest, status)
            for key, manifest in world.routes.items():
                verdicts = table.verdicts.get(key, ())
                parents = gatewaystatus.of_route(manifest, verdicts, self.controller, now)
                if parents is not None:
                    await self._write("routes", manifest, parents)

    async def _write(
        self, kind: str, manifest: routing.Manifest, status: gatewaystatus.Status
    ) -> None:
        """Write a status unless it is so already, or speaks of a generation that is gone."""
        metadata = manifest["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        newest = self._informers[kind].store.get(key, {"metadata": {}})["metadata"]
        is_current = newest.get("resourceVersion") == metadata["resourceVersion"]
        if not is_current or not gatewaystatus.differs(manifest.get("status") or {}, status):
            return
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status}
        namespace = metadata.get("namespace")
        try:
            answer = await self._client.patch(
                WATCHED[kind], metadata["name"], namespace, body, sub="status"
            )
        except (errors.Conflict, errors.NotFound):
            return
        except errors.TemporaryError:
            self._statuses_due.set()
            await asyncio.sleep(1)
            return
        self._informers[kind].store.see(answer)
