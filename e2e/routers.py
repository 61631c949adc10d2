"""Objects that divide traffic for tests of the engine, and who takes them: the local gateway for
HTTPRoutes, a thread of ours for kinds that it does not know."""

import contextlib
import threading
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any

from e2e.ground.controlplane import ControlPlane
from e2e.ground.gateway import LocalGateway
from fleet.api import names
from fleet.api.names import Resource
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig

PARENT = {"name": "public", "namespace": "gateways"}
VIRTUAL_SERVICES = {
    "apiVersion": names.CRDS.api_version,
    "kind": names.CRDS.kind,
    "metadata": {"name": "virtualservices.networking.istio.io"},
    "spec": {
        "group": names.VIRTUALSERVICES.group,
        "names": {
            "plural": "virtualservices",
            "singular": "virtualservice",
            "kind": "VirtualService",
            "listKind": "VirtualServiceList",
        },
        "scope": "Namespaced",
        "versions": [
            {
                "name": names.VIRTUALSERVICES.version,
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            }
                        },
                    }
                },
            }
        ],
    },
}
"""Istio's definition, without its rules about what stands in the spec."""
BESIDE = {
    "headerRoutes": [{"name": "X-Team", "value": "checkout"}],
    "sessionAffinity": {"cookieName": "version"},
}
"""Who gets a canary whatever its weight."""
PAIR = (("web-stable", 100), ("web-canary", 0))
EVERY = {
    "gatewayAPI": {"httpRoute": "web", "grpcRoutes": [{"name": "web"}]},
    "istio": {"virtualServices": [{"name": "web"}]},
    "nginx": {"stableIngresses": ["web"]},
}
"""All kinds of routers, each with an object named web."""


def furnish(plane: ControlPlane, namespace: str) -> None:
    """What `EVERY` names, but for the HTTPRoute; and the kinds that an API server lacks."""
    plane.apply(VIRTUAL_SERVICES)
    plane.await_crds()
    refs = [{"name": name, "port": 80, "weight": weight} for name, weight in PAIR]
    ways = [{"destination": {"host": name}, "weight": weight} for name, weight in PAIR]
    backend = {"service": {"name": "web-stable", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    specs = (
        (names.GRPCROUTES, {"parentRefs": [PARENT], "rules": [{"backendRefs": refs}]}),
        (names.VIRTUALSERVICES, {"hosts": ["web.example.com"], "http": [{"route": ways}]}),
        (names.INGRESSES, {"rules": [{"host": "web.example.com", "http": {"paths": [path]}}]}),
    )
    for resource, spec in specs:
        what = {"apiVersion": resource.api_version, "kind": resource.kind, "spec": spec}
        plane.apply(what | {"metadata": {"name": "web", "namespace": namespace}})


def rules(plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    """All rules of the HTTPRoute, in their order."""
    _, found = plane.call("GET", names.HTTPROUTES.path(namespace, "web"))
    return list(found["spec"]["rules"])


def headers(plane: ControlPlane, namespace: str) -> list[str]:
    """The headers that its rules ask for, rule by rule, and those that are given."""
    found = rules(plane, namespace)
    matches = (match for x in found for match in x["matches"])
    asked = [item["name"] for match in matches for item in match.get("headers", [])]
    filters = (item for x in found for ref in x["backendRefs"] for item in ref.get("filters", []))
    return [*asked, *(x["responseHeaderModifier"]["add"][0]["name"] for x in filters)]


def rule(plane: ControlPlane, namespace: str) -> dict[str, Any]:
    """The one of them that holds both Services."""
    return next(x for x in rules(plane, namespace) if len(x["backendRefs"]) == len(PAIR))


def weights(plane: ControlPlane, namespace: str) -> list[int] | None:
    """The weights of GRPCRoute and VirtualService; None where they differ."""
    _, grpc = plane.call("GET", names.GRPCROUTES.path(namespace, "web"))
    _, mesh = plane.call("GET", names.VIRTUALSERVICES.path(namespace, "web"))
    found = [item["weight"] for item in grpc["spec"]["rules"][0]["backendRefs"]]
    other = [item.get("weight", 0) for item in mesh["spec"]["http"][0]["route"]]
    return found if found == other else None


def canary_ingress(plane: ControlPlane, namespace: str) -> str | None:
    """The weight of the engine's own Ingress; None where there is none."""
    code, found = plane.call("GET", names.INGRESSES.path(namespace, "web-web-canary"))
    if code == 404:
        return None
    notes = found["metadata"]["annotations"]
    return str(notes["nginx.ingress.kubernetes.io/canary-weight"])


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


@contextlib.contextmanager
def accepted(
    plane: ControlPlane, namespace: str, resource: Resource = names.GRPCROUTES
) -> Iterator[None]:
    """Meanwhile somebody takes every generation of each such route there."""
    over, taken = threading.Event(), dict[str, int]()

    def look() -> None:
        code, found = plane.call("GET", resource.path(namespace))
        for item in found["items"] if code == 200 else ():
            name, generation = item["metadata"]["name"], item["metadata"]["generation"]
            path, body = resource.path(namespace, name, "status"), {"status": report(generation)}
            if taken.get(name) != generation and plane.call("PATCH", path, body)[0] == 200:
                taken[name] = generation

    def accept() -> None:
        while not over.wait(0.05):
            with contextlib.suppress(OSError, HTTPException):  # the API server is away
                look()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def report(generation: int) -> dict[str, Any]:
    """The status of a route whose generation somebody has taken."""
    said = {"status": "True", "message": "", "lastTransitionTime": "2026-11-20T12:00:00Z"}
    conditions = [
        {"type": kind, "reason": kind, "observedGeneration": generation, **said}
        for kind in ("Accepted", "ResolvedRefs")
    ]
    parent = {"parentRef": PARENT, "controllerName": "example.com/hand", "conditions": conditions}
    return {"parents": [parent]}
