"""Objects that divide traffic for tests of the engine, and who takes them: the local gateway for
HTTPRoutes, a thread of ours for kinds that it does not know."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from e2e.ground.controlplane import ControlPlane
from e2e.ground.gateway import LocalGateway
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig

API = "/apis/gateway.networking.k8s.io/v1"
PARENT = {"name": "public", "namespace": "gateways"}
GRPC: dict[str, Any] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "GRPCRoute",
    "spec": {
        "parentRefs": [PARENT],
        "rules": [
            {
                "backendRefs": [
                    {"name": "web-stable", "port": 80, "weight": 100},
                    {"name": "web-canary", "port": 80, "weight": 0},
                ]
            }
        ],
    },
}


class Routed(contextlib.AbstractAsyncContextManager[LocalGateway]):
    """A plane's local gateway, in the loop that it is entered in."""

    def __init__(self, plane: ControlPlane, folder: Any) -> None:
        self._plane, self._folder = plane, folder
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> LocalGateway:
        session = await self._stack.enter_async_context(open_session())
        config = load_kubeconfig(self._plane.kubeconfig_of("local-gateway"))
        gateway = LocalGateway(Client("gateway", config, session), folder=self._folder)
        return await self._stack.enter_async_context(gateway)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def weights_of(plane: ControlPlane, namespace: str, name: str) -> list[int]:
    """The weights of a GRPCRoute."""
    _, found = plane.call("GET", f"{API}/namespaces/{namespace}/grpcroutes/{name}")
    return [item["weight"] for item in found["spec"]["rules"][0]["backendRefs"]]


@contextlib.contextmanager
def accepted(plane: ControlPlane, namespace: str, name: str) -> Iterator[None]:
    """Meanwhile every generation of a GRPCRoute is taken."""
    path, over = f"{API}/namespaces/{namespace}/grpcroutes/{name}", threading.Event()
    taken = 0

    def accept() -> None:
        nonlocal taken
        while not over.wait(0.1):
            generation = plane.call("GET", path)[1]["metadata"]["generation"]
            if generation != taken:
                plane.call("PATCH", f"{path}/status", {"status": _status(generation)})
                taken = generation

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _status(generation: int) -> dict[str, Any]:
    said = {"status": "True", "message": "", "lastTransitionTime": "2026-11-20T12:00:00Z"}
    conditions = [
        {"type": kind, "reason": kind, "observedGeneration": generation, **said}
        for kind in ("Accepted", "ResolvedRefs")
    ]
    report = {"parentRef": PARENT, "controllerName": "example.com/hand", "conditions": conditions}
    return {"parents": [report]}
