"""Two replicas of the engine as `deploy/engine` ships them, beside the shared site's pods.

They are the engine of `test_engine_traffic`; `test_replicas` judges who led, when a minute has
passed with the tests between the two.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from e2e.ground import engine
from e2e.ground.audit import Request
from e2e.ground.controlplane import ControlPlane
from e2e.ground.site import Site
from e2e.ground.waiting import until
from fleet.api.names import DEPLOYMENTS, ENGINE_NAME, ENGINE_NAMESPACE, PODS

SECONDS = 60.0
READY_LIMIT = 40.0
COUNT = 2
ARGUMENTS = ["run", "engine", "--host", "$(POD_IP)"]
VARIABLES = [
    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    {"name": "KULTA_ALLOW_LOOPBACK", "value": "true"},
]
UNSET = "KULTA_PROMETHEUS_ADDRESS"
"""What differs from the shipped manifest: the pods of the local node share one network, in which
metrics are local too, and Rollouts name their Prometheus themselves."""


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """Both have been ready since `began`."""

    plane: ControlPlane
    pods: frozenset[str]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def pass_time(self) -> None:
        """Wait until they have run for a minute."""
        end = self.began + timedelta(seconds=SECONDS)
        time.sleep(max((end - datetime.now(UTC)).total_seconds(), 0))

    def requests(self) -> tuple[Request, ...]:
        """What they have asked since."""
        asked = self.plane.audit.read(user=engine.USER)
        return tuple(request for request in asked if request.received >= self.began)


@contextmanager
def begun(site: Site) -> Iterator[Replicas]:
    """Install them as the README of `deploy/engine` says, and wait until both are ready."""
    engine.prepare(site.plane)
    site.plane.apply(*_manifests())
    path = DEPLOYMENTS.path(ENGINE_NAMESPACE, ENGINE_NAME)

    def are_ready() -> bool:
        status = site.plane.call("GET", path)[1].get("status") or {}
        return bool(status.get("readyReplicas") == COUNT)

    until(are_ready, "both replicas are ready", within=READY_LIMIT)
    yield Replicas(plane=site.plane, pods=frozenset(running(site.plane)))


def running(plane: ControlPlane) -> dict[str, int]:
    """The engine's pods by name, with how often they were started anew."""
    _, found = plane.call("GET", PODS.path(ENGINE_NAMESPACE))
    return {
        item["metadata"]["name"]: item["status"]["containerStatuses"][0]["restartCount"]
        for item in found["items"]
    }


def _manifests() -> list[dict[str, Any]]:
    text = (engine.ROOT / "deploy/engine/deployment.yaml").read_text()
    manifests = [item for item in yaml.safe_load_all(text) if item]
    for item in manifests:
        if item["kind"] == "Deployment":
            (container,) = item["spec"]["template"]["spec"]["containers"]
            kept = [variable for variable in container["env"] if variable["name"] != UNSET]
            container |= {"args": ARGUMENTS, "env": [*kept, *VARIABLES]}
            container["readinessProbe"]["periodSeconds"] = 1
    return manifests
