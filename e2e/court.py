"""One cluster whose HTTPRoutes two implementations serve: Contour, who judges, and ours.

Everything is in a network of its own (`ground/seclusion`), so pods listen where the API says and
nobody translates: control plane, pods, both gateways, the engine. Used by `test_contour`.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from e2e.ground import background, binaries, contour, engine, seclusion
from e2e.ground.contour import Contour
from e2e.ground.controlplane import ControlPlane
from e2e.ground.engine import Engine
from e2e.ground.gateway import LocalGateway
from e2e.ground.images import Images
from e2e.ground.node import LocalNode
from e2e.ground.waiting import until
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig

Manifest = dict[str, Any]
API = "/apis/gateway.networking.k8s.io/v1"
NAMESPACE = "gateways"
JUDGE, OURS = "contour", "local"
"""Names of a GatewayClass each and of the Gateway with it."""
PARENTS: list[Manifest] = [{"name": name, "namespace": NAMESPACE} for name in (JUDGE, OURS)]
"""What a route names that both shall serve."""
EVERYBODY = {"namespaces": {"from": "All"}}
LISTENERS: list[Manifest] = [
    {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": EVERYBODY},
    {"name": "same", "protocol": "HTTP", "port": 81},
    {
        "name": "hosted",
        "protocol": "HTTP",
        "port": 82,
        "hostname": "only.example.com",
        "allowedRoutes": EVERYBODY,
    },
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Court:
    """`urls`: where each serves the listener `http`; `controllers`: whose entries are whose."""

    plane: ControlPlane
    engine: Engine
    urls: Mapping[str, str]
    controllers: Mapping[str, str]

    def reports(self, route: Manifest) -> dict[str, dict[str, Manifest]]:
        """What each says of a route: conditions by type, where it says something."""
        names = {controller: name for name, controller in self.controllers.items()}
        return {
            names[parent["controllerName"]]: {one["type"]: one for one in parent["conditions"]}
            for parent in route.get("status", {}).get("parents", ())
        }

    def is_settled(self, route: Manifest) -> bool:
        """Whether both speak of the route as it is."""
        seen = {
            one["observedGeneration"]
            for conditions in self.reports(route).values()
            for one in conditions.values()
        }
        return len(self.reports(route)) == 2 and seen == {route["metadata"]["generation"]}


@contextmanager
def sitting(folder: Path, images: Images) -> Iterator[Court]:
    """Start everything; what was started ends with the context, the network too."""
    binaries.ready(*binaries.LAZY)  # from within one could not download
    with ExitStack() as stack:
        stack.enter_context(seclusion.entered())
        plane = stack.enter_context(ControlPlane("court", folder / "plane"))
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda prepare: prepare(plane), (contour.prepare, engine.prepare)))
        plane.add_namespace(NAMESPACE)
        judge = Contour(plane, folder / "contour", (NAMESPACE, JUDGE))
        stack.enter_context(judge)
        ours = stack.enter_context(background.running(_Side(plane, folder, images)))
        both: dict[str, Contour | LocalGateway] = {JUDGE: judge, OURS: ours}
        plane.apply(*(one.gateway_class for one in both.values()), *map(_gateway, both))
        running = stack.enter_context(Engine(plane, folder))
        judge.connect()
        for name in both:
            until(partial(_is_programmed, plane, name), f"{name} serves", within=30)
        yield Court(
            plane=plane,
            engine=running,
            urls={name: one.url for name, one in both.items()},
            controllers={name: one.controller for name, one in both.items()},
        )


class _Side:
    """The node and our gateway, in the loop that it is entered in."""

    def __init__(self, plane: ControlPlane, folder: Path, images: Images) -> None:
        self._plane, self._folder, self._images = plane, folder, images
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> LocalGateway:
        session = await self._stack.enter_async_context(open_session())
        node, gateway = (
            Client(f"court/{user}", load_kubeconfig(self._plane.kubeconfig_of(user)), session)
            for user in ("local-node", "local-gateway")
        )
        await self._stack.enter_async_context(
            LocalNode(
                node,
                name="court-node",
                images=self._images,
                folder=self._folder / "pods",
                is_secluded=True,
            )
        )
        made = LocalGateway(gateway, folder=self._folder / "envoy", is_secluded=True)
        return await self._stack.enter_async_context(made)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()


def _gateway(name: str) -> Manifest:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"gatewayClassName": name, "listeners": LISTENERS},
    }


def _is_programmed(plane: ControlPlane, name: str) -> bool:
    found = plane.call("GET", f"{API}/namespaces/{NAMESPACE}/gateways/{name}")[1]
    told = [(one["type"], one["status"]) for one in found.get("status", {}).get("conditions", ())]
    return ("Programmed", "True") in told
