"""A member as the hub sees it: registered by hand, with an engine that does what a test says.

`Puppet` renews the engine's Lease and writes Rollout statuses, so that a test decides when a
cluster completes or fails, without pods. Its API server, CRD, RBAC and fence are real.
"""

import base64
import contextlib
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e.ground import definitions
from e2e.ground.controlplane import ControlPlane
from e2e.ground.waiting import until
from fleet.api.names import (
    ENGINE_LEASE,
    ENGINE_NAMESPACE,
    LEASES,
    MEMBERCLUSTERS,
    ROLLOUTS,
    SECRETS,
)

ROOT = Path(__file__).parents[2]
ACCOUNT = "kulta-fleet-hub"
HUB_USER = f"system:serviceaccount:{ENGINE_NAMESPACE}:{ACCOUNT}"
EACH_NAMESPACE = "ALLOWED_NAMESPACE"
IN_EACH = f"namespace: {EACH_NAMESPACE}}}"
"""Stands in the documents that are applied for each namespace, and in no comment."""
PULSE_SECONDS = 0.5


def prepare(plane: ControlPlane, *namespaces: str) -> None:
    """What `fleet cluster add` makes in a member: namespaces, CRD, the hub's rights."""
    for name in (ENGINE_NAMESPACE, *namespaces):
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    definitions.install(plane, ROOT / "crds" / "rollouts.yaml")
    until(lambda: plane.call("GET", ROLLOUTS.path())[0] == 200, "Rollouts are served", within=20)
    text = (ROOT / "clusters" / "member-rbac.yaml").read_text()
    documents = []
    for document in text.split("\n---\n"):
        copies = namespaces if IN_EACH in document else ("",)
        documents += [document.replace(EACH_NAMESPACE, name) for name in copies]
    plane.apply("\n---\n".join(documents))


def kubeconfig(plane: ControlPlane, *, server: str | None = None, token: str | None = None) -> str:
    """The text for a member's Secret; a new token of the hub's account unless one is given."""
    path = plane.folder / "member.kubeconfig"
    given = token if token is not None else plane.mint(ACCOUNT, ENGINE_NAMESPACE)
    return plane.write_kubeconfig(path, given, server).read_text()


def secret(namespace: str, name: str, text: str) -> dict[str, Any]:
    """A kubeconfig Secret that the hub watches."""
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"fleet.kulta.io/kubeconfig": "true"},
        },
        "data": {"kubeconfig": base64.b64encode(text.encode()).decode()},
    }


def member_cluster(
    namespace: str, name: str, *allowed: str, labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A MemberCluster whose engine somebody else keeps."""
    return {
        "apiVersion": MEMBERCLUSTERS.api_version,
        "kind": MEMBERCLUSTERS.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels or {})},
        "spec": {
            "kubeconfig": {"secretRef": {"name": name}},
            "allowedNamespaces": list(allowed),
            "engine": {"mode": "External"},
        },
    }


class Puppet:
    """An engine on strings: it lives while the context is open, and reports what it is told to."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"puppet {plane.name}", daemon=True)

    def __enter__(self) -> Self:
        lease = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": ENGINE_LEASE, "namespace": ENGINE_NAMESPACE},
            "spec": {"holderIdentity": "puppet", "leaseDurationSeconds": 15},
        }
        self.plane.call("POST", LEASES.path(ENGINE_NAMESPACE), lease)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def rollout(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The Rollout, None when there is none."""
        code, found = self.plane.call("GET", ROLLOUTS.path(namespace, name))
        return found if code == 200 else None

    def await_image(
        self, namespace: str, name: str, image: str, *, within: float = 20
    ) -> dict[str, Any]:
        """The Rollout once it has that image."""

        def there() -> dict[str, Any] | None:
            found = self.rollout(namespace, name)
            return found if found and image_of(found) == image else None

        return until(there, f"{self.plane.name}: {name} with {image}", within=within)

    def report(self, namespace: str, name: str, phase: str, **status: Any) -> None:
        """Write the status that an engine would, about the spec as it is now."""
        path = ROLLOUTS.path(namespace, name, "status")

        def written() -> bool:
            found = self.rollout(namespace, name)
            assert found is not None, f"there is no Rollout {namespace}/{name}"
            found["status"] = {
                "phase": phase,
                "observedGeneration": found["metadata"]["generation"],
                "fleetRevision": found["spec"].get("fleetRevision", ""),
                "currentPodHash": "0123456789",
                **status,
            }
            code, answer = self.plane.call("PUT", path, found)
            assert code in (200, 409), answer
            return code == 200  # the hub may write in between

        until(written, f"{name} is {phase}", within=10, every=0.01)

    def complete(self, namespace: str, name: str, image: str) -> None:
        """Wait for that image, then say that it is everywhere."""
        self.await_image(namespace, name, image)
        self.report(namespace, name, "Completed", stablePodHash="0123456789", currentWeight=100)

    def fail(self, namespace: str, name: str) -> None:
        """Say that the analysis failed and the revision was taken back."""
        decision = {
            "sequence": 1,
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "action": "Rollback",
            "reason": "AnalysisFailed",
            "message": "error-rate 37.5 is not below 5",
        }
        self.report(namespace, name, "Failed", decisions=[decision])

    def _live(self) -> None:
        path = LEASES.path(ENGINE_NAMESPACE, ENGINE_LEASE)
        while not self._stopping.wait(PULSE_SECONDS):
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            with contextlib.suppress(OSError):
                self.plane.call("PATCH", path, {"spec": {"renewTime": now}})


def image_of(rollout: Mapping[str, Any]) -> str:
    """The image of a Rollout's first container."""
    return str(rollout["spec"]["template"]["spec"]["containers"][0]["image"])
