"""One cluster with everything that makes it one: control plane, node, gateway, Prometheus.

Used by the demo and by the end-to-end tests that need pods and traffic. Each site has its own
folder, addresses and processes; leaving it ends them all, and nothing of one is shared by another.

    async with Site("eu-1", folder, images=table) as site:
        site.plane.apply(Path("examples/…"))
        async with LoadGenerator(Load(url=site.gateway.url, host="shop.example.com")) …
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e.ground import binaries, definitions
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.flags import AuditPolicy
from e2e.ground.gateway import LocalGateway
from e2e.ground.images import Images
from e2e.ground.node import LocalNode
from e2e.ground.prometheus import Prometheus
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig

GATEWAY = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "public", "namespace": "gateways"},
    "spec": {
        "gatewayClassName": "local",
        "listeners": [
            {
                "name": "http",
                "protocol": "HTTP",
                "port": 80,
                "allowedRoutes": {"namespaces": {"from": "All"}},
            }
        ],
    },
}
"""The Gateway that every site has; Applications name it as their parent."""

BODIES = (
    "rollouts.kulta.io",
    "replicasets.apps",
    "pods",
    "deployments.apps",
    "httproutes.gateway.networking.k8s.io",
)
"""Whose request bodies the audit log holds, so that claims can be judged by images."""


class Site:
    """A cluster that can run pods and answer requests; an asynchronous context manager."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        images: Images,
        hosts: Mapping[str, str] | None = None,
        audit: AuditPolicy | None = None,
    ) -> None:
        self.name = name
        self.plane = ControlPlane(
            name, folder / "plane", Options(audit=audit or AuditPolicy(bodies=BODIES))
        )
        self.prometheus = Prometheus(folder / "prometheus")
        self.hosts = dict(hosts or {})
        """Names that pods resolve, beside their own; read when a pod starts."""
        self._images = images
        self._folder = folder
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stack.enter_async_context(self.prometheus))
            tasks.create_task(self._stack.enter_async_context(self.plane))
        await asyncio.to_thread(self._prepare)
        session = await self._stack.enter_async_context(open_session())
        self.node = await self._stack.enter_async_context(
            LocalNode(
                self._client("local-node", session),
                name=f"{self.name}-node",
                images=self._images,
                folder=self._folder / "pods",
                hosts=self.hosts,
                targets=self.prometheus.targets / "pods.json",
            )
        )
        self.gateway = await self._stack.enter_async_context(
            LocalGateway(self._client("local-gateway", session), folder=self._folder / "envoy")
        )
        await asyncio.to_thread(self.plane.apply, self.gateway.gateway_class, GATEWAY)

    def _prepare(self) -> None:
        definitions.install(self.plane, binaries.find("gateway-api"))
        self.plane.add_namespace("gateways")

    def _client(self, user: str, session: object) -> Client:
        config = load_kubeconfig(self.plane.kubeconfig_of(user))
        return Client(f"{self.name}/{user}", config, session)  # type: ignore[arg-type]
