"""One Rollout under test: made, changed, asked and waited for, as a user would with kubectl.

Used by the engine's tests and its benchmark. It never acts for the engine.

    web = Subject(plane, namespace, "web", strategy={"simple": {}}, replicas=2)
    web.apply("app:v1")
    web.wait(phase="Completed")
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from e2e.ground.audit import Request
from e2e.ground.controlplane import ControlPlane
from e2e.ground.engine import ACCOUNT
from e2e.ground.waiting import until

GROUP = "kulta.io"
TYPE_LABEL = "rollouts.kulta.io/type"


@dataclass(eq=False, slots=True, kw_only=True)
class Subject:
    """`spec` is merged over a small default; `version` is the API version that it is written in."""

    plane: ControlPlane
    namespace: str
    name: str
    strategy: Mapping[str, Any]
    replicas: int = 2
    spec: Mapping[str, Any] = field(default_factory=dict)
    version: str = "v1beta1"
    mark: int = 0

    def manifest(self, image: str) -> dict[str, Any]:
        """The object as a user writes it."""
        labels = {"app": self.name}
        container = {"name": "app", "image": image}
        return {
            "apiVersion": f"{GROUP}/{self.version}",
            "kind": "Rollout",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
                "strategy": dict(self.strategy),
                "scaleDownDelay": "0s",
                **copy.deepcopy(dict(self.spec)),
            },
        }

    def apply(self, image: str) -> None:
        """Create or change it."""
        self.mark = self.mark or self.plane.audit.mark()
        code, answer = self.plane.call("POST", self._collection, self.manifest(image))
        if code == 409:
            self.patch({"spec": self.manifest(image)["spec"]})
        elif code != 201:
            raise RuntimeError(f"{self.name}: {code} {answer}")

    def patch(self, body: Mapping[str, Any]) -> None:
        """A merge patch."""
        code, answer = self.plane.call("PATCH", self.path, body)
        if code != 200:
            raise RuntimeError(f"{self.name}: {code} {answer}")

    def request(self, verb: str) -> None:
        """Ask the engine for something: promote, abort, retry …"""
        self.patch({"metadata": {"annotations": {f"{GROUP}/{verb}": "true"}}})

    def take(self, verb: str) -> None:
        """Ask for something, and wait until the engine has taken the request away."""
        self.request(verb)
        self.taken(verb)

    def taken(self, verb: str) -> None:
        """Wait until the engine has taken a request away."""
        asked = f"{GROUP}/{verb}"
        taken = f"{self.name}: {verb} is taken"
        until(lambda: asked not in self.object["metadata"].get("annotations", {}), taken, within=10)

    def told(self, reason: str) -> list[int]:
        """How often each Event of that reason was told in its namespace."""
        _, found = self.plane.call("GET", f"/api/v1/namespaces/{self.namespace}/events")
        return [item["count"] for item in found["items"] if item["reason"] == reason]

    def delete(self) -> None:
        """Delete it and wait until it is gone."""
        self.plane.call("DELETE", self.path)
        gone = f"{self.name} is gone"
        until(lambda: self.plane.call("GET", self.path)[0] == 404, gone, within=15)

    @property
    def object(self) -> dict[str, Any]:
        """The object at present."""
        code, answer = self.plane.call("GET", self.path)
        if code != 200:
            raise RuntimeError(f"{self.name}: {code} {answer}")
        found: dict[str, Any] = answer
        return found

    @property
    def status(self) -> dict[str, Any]:
        """Its status at present."""
        found: dict[str, Any] = self.object.get("status", {})
        return found

    def wait(self, *, within: float = 30, **wanted: Any) -> dict[str, Any]:
        """The status, once its fields are as wanted and speak of the latest spec."""

        def is_so() -> dict[str, Any] | None:
            now = self.object
            status = now.get("status", {})
            fresh = status.get("observedGeneration") == now["metadata"]["generation"]
            same = all(status.get(key) == value for key, value in wanted.items())
            return status if fresh and same else None

        try:
            return until(is_so, f"{self.name}: {wanted}", within=within)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it is {self.status}") from None

    def condition(self, type_: str) -> dict[str, Any]:
        """One condition of the status; empty when it is not there."""
        found = self.status.get("conditions", [])
        return next((item for item in found if item["type"] == type_), {})

    def decided(self, action: str) -> list[dict[str, Any]]:
        """The decisions of one kind so far."""
        return [item for item in self.status.get("decisions", []) if item["action"] == action]

    def sets(self) -> dict[str, dict[str, Any]]:
        """Its ReplicaSets by revision."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/replicasets"
        _, answer = self.plane.call("GET", f"{path}?labelSelector={self._selector}")
        return {
            item["metadata"]["labels"]["rollouts.kulta.io/hash"]: item for item in answer["items"]
        }

    def pods(self) -> list[dict[str, Any]]:
        """Its pods."""
        path = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={self._selector}"
        found: list[dict[str, Any]] = self.plane.call("GET", path)[1]["items"]
        return found

    def service(self, name: str) -> dict[str, Any]:
        """One Service of its namespace."""
        path = f"/api/v1/namespaces/{self.namespace}/services/{name}"
        found: dict[str, Any] = self.plane.call("GET", path)[1]
        return found

    def asked(self, **filters: Any) -> tuple[Request, ...]:
        """What the engine has asked of this namespace since the first `apply`."""
        since = {"since": self.mark, "user": ACCOUNT, "namespace": self.namespace}
        return self.plane.audit.read(**{**since, **filters})

    @property
    def path(self) -> str:
        return f"{self._collection}/{self.name}"

    @property
    def _collection(self) -> str:
        return f"/apis/{GROUP}/{self.version}/namespaces/{self.namespace}/rollouts"

    @property
    def _selector(self) -> str:
        return f"rollouts.kulta.io/rollout={self.name}"


def service(namespace: str, name: str, app: str, role: str, port: int = 80) -> dict[str, Any]:
    """A Service as the KULTA reference writes it: by role."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"app": app, TYPE_LABEL: role},
            "ports": [{"name": "http", "port": port, "targetPort": 8080}],
        },
    }


def route(
    namespace: str, name: str, stable: str, canary: str = "", *, port: int = 80, host: str = ""
) -> dict[str, Any]:
    """An HTTPRoute with a rule for both Services, or for one, behind the site's Gateway."""
    backends = [{"name": stable, "port": port, "weight": 100}]
    if canary:
        backends.append({"name": canary, "port": port, "weight": 0})
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": [host or f"{name}.{namespace}.example.com"],
            "rules": [{"backendRefs": backends}],
        },
    }
