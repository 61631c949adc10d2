"""HTTPRoutes for tests of gateways: short to write, awaited until their status is current."""

import urllib.error
import urllib.request
from email.message import Message
from typing import Any, NamedTuple

from e2e.ground.site import Site
from e2e.ground.waiting import until

Manifest = dict[str, Any]
API = "/apis/gateway.networking.k8s.io/v1"
HOST = "shop.example.com"
GATEWAY = {"name": "public", "namespace": "gateways"}


class Answer(NamedTuple):
    """Status, version (empty when no pod answered) and headers (names in small letters)."""

    status: int
    version: str
    headers: dict[str, str]


def send(site: Site | None, host: str = HOST, path: str = "/", **more: Any) -> Answer:
    """One request through the site's gateway, or to `url`; redirects are not followed."""
    headers = {"Host": host} | more.pop("headers", {})
    url = more.pop("url", None) or (site.gateway.url if site else "")
    request = urllib.request.Request(f"{url}{path}", headers=headers, **more)
    try:
        with urllib.request.build_opener(Still).open(request, timeout=30) as answer:
            answer.read()
            return _answer(answer.status, answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers)


def _answer(status: int, headers: Message) -> Answer:
    found = {name.lower(): value for name, value in headers.items()}
    return Answer(status, found.get("x-version", ""), found)


class Still(urllib.request.HTTPRedirectHandler):
    """Leaves redirects as answers."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def paths(*values: str, kind: str = "PathPrefix") -> list[Manifest]:
    return [{"path": {"type": kind, "value": value}} for value in values]


def backend(name: str, weight: int = 1, **more: Any) -> Manifest:
    return {"name": name, "port": 80, "weight": weight} | more


def rule(*backends: Manifest, **more: Any) -> Manifest:
    return {"backendRefs": list(backends)} | more


class Routes:
    """Makes, changes and reads HTTPRoutes of a namespace of its own, with Services and pods."""

    def __init__(self, site: Site, namespace: str) -> None:
        self.site = site
        self.namespace = site.plane.add_namespace(namespace)
        self.path = f"{API}/namespaces/{namespace}/httproutes"

    def manifest(self, version: str, kind: str, name: str, spec: Manifest) -> Manifest:
        metadata = {"name": name, "namespace": self.namespace, "labels": {"version": name}}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}

    def add_service(self, name: str, version: str | None = None) -> None:
        """A Service of the pods of a version (its name), whether there are some or not."""
        spec = {"selector": {"version": version or name}}
        ports = [{"port": 80, "targetPort": 8080}]
        self.site.plane.apply(self.manifest("v1", "Service", name, spec | {"ports": ports}))

    def add_pods(self, *versions: str) -> None:
        """A pod of each version; returns when the gateway reaches each behind its Service."""
        probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
        for version in versions:
            pod = {"name": "app", "image": f"sample:{version}", "readinessProbe": probe}
            spec = {"containers": [pod], "terminationGracePeriodSeconds": 2}
            self.site.plane.apply(self.manifest("v1", "Pod", version, spec))
        pods = [f"pod/{version}" for version in versions]
        self.site.plane.kubectl("-n", self.namespace, "wait", "--for=condition=Ready", *pods)
        for version in versions:
            self.put("warm", rule(backend(version)))
            until(lambda: send(self.site).status == 200, f"{version} answers", within=15)
        self.delete("warm")

    def put(self, name: str, *rules: Manifest, **spec: Any) -> Manifest:
        """Make or change a route and wait until its status speaks of this generation."""
        spec = {"parentRefs": [GATEWAY], "hostnames": [HOST], "rules": list(rules)} | spec
        body = self.manifest("gateway.networking.k8s.io/v1", "HTTPRoute", name, spec)
        code, answer = self.site.plane.call("POST", self.path, body)
        if code == 409:
            code, answer = self.site.plane.call("PATCH", f"{self.path}/{name}", {"spec": spec})
        assert code in (200, 201), answer
        return self.settled(name)

    def settled(self, name: str) -> Manifest:
        def asked() -> Manifest | None:
            route = self.get(name)
            return route if _is_observed(route) else None

        return until(asked, f"the status of {name} is current", within=10, every=0.01)

    def get(self, name: str) -> Manifest:
        found: Manifest = self.call("GET", name)
        return found

    def delete(self, name: str) -> None:
        self.call("DELETE", name)

    def call(self, method: str, name: str) -> Any:
        return self.site.plane.call(method, f"{self.path}/{name}")[1]


def _is_observed(route: Manifest) -> bool:
    parents = route.get("status", {}).get("parents", ())
    seen = [c["observedGeneration"] for p in parents for c in p["conditions"]]
    return bool(seen) and set(seen) == {route["metadata"]["generation"]}


def conditions(route: Manifest, parent: int = 0) -> dict[str, tuple[str, str]]:
    """Type → status and reason."""
    found = route["status"]["parents"][parent]["conditions"]
    return {c["type"]: (c["status"], c["reason"]) for c in found}
