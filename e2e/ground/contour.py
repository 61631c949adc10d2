"""A Gateway API implementation that we did not write: real Contour and its Envoy.

    with Contour(plane, folder, GATEWAY) as contour:
        contour.connect()
        contour.url          # http://127.0.0.1:8080, for the Gateway's listener port 80

It serves one Gateway, by static provisioning. Its ports are fixed and its Envoy connects to the
addresses that the API shows, so it needs a network of its own (`seclusion`); its CRDs and the
experimental ones of the Gateway API must be served before it starts. Blocking.
"""

import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from e2e.ground import binaries, definitions, processes
from e2e.ground.controlplane import ControlPlane
from e2e.ground.processes import Process
from e2e.ground.waiting import until

HOST = "127.0.0.1"
XDS, METRICS, DEBUG = "8001", "8003", "6060"
"""8000 is its health, 8002 its Envoy's statistics."""
SHIFT = 8000
"""A Gateway's listener port is served so much higher."""
START_LIMIT = 60.0
ENVOY = ("--service-cluster", "contour", "--service-node", "contour", "--disable-hot-restart")
QUIET = ("--concurrency", "1", "--log-level", "warn")


def prepare(plane: ControlPlane) -> None:
    """The definitions that it watches, in this order: it ends when one is missing."""
    parts = ("gateway-api-experimental", "contour-crds.yaml")
    definitions.install(plane, *(binaries.find(part) for part in parts))


class Contour:
    """Serves the Gateway `gateway` (namespace and name) in the network that it is started in."""

    controller = "projectcontour.io/gateway-controller"
    gateway_class: Mapping[str, Any] = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "contour"},
        "spec": {"controllerName": controller},
    }

    def __init__(self, plane: ControlPlane, folder: Path, gateway: tuple[str, str]) -> None:
        self.folder = folder
        self._plane, self._gateway = plane, gateway
        self._processes: list[Process] = []

    @property
    def url(self) -> str:
        """Where the listener port 80 is served."""
        return f"http://{HOST}:{SHIFT + 80}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            processes.stop(*self._processes)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        processes.stop(*self._processes)

    def connect(self) -> None:
        """Start its Envoy once there is somebody to answer it: it would ask again much later."""
        until(self._answers, "Contour answers", within=START_LIMIT)
        self._run("envoy", "envoy", "-c", str(self.folder / "envoy.json"), *ENVOY, *QUIET)

    def _answers(self) -> bool:
        (contour, *_) = self._processes
        if not contour.alive:
            raise RuntimeError(f"Contour ended with {contour.code}: {contour.tail()}")
        with socket.create_connection((HOST, int(XDS)), timeout=1):
            return True

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        namespace, name = self._gateway
        config = self.folder / "contour.yaml"
        config.write_text(
            yaml.safe_dump({"gateway": {"gatewayRef": {"namespace": namespace, "name": name}}})
        )
        self._run("contour", "contour", *self._serving(config))
        written = self._run("bootstrap", "contour", *self._bootstrap())
        if written.wait(START_LIMIT):
            raise RuntimeError(f"contour bootstrap ended with {written.code}: {written.tail()}")

    def _serving(self, config: Path) -> tuple[str, ...]:
        return (
            "serve",
            f"--kubeconfig={self._plane.kubeconfig_of('contour')}",
            f"--config-path={config}",
            "--insecure",
            "--disable-leader-election",
            f"--xds-address={HOST}",
            f"--xds-port={XDS}",
            f"--http-address={HOST}",
            f"--http-port={METRICS}",
            f"--health-address={HOST}",
            f"--debug-http-address={HOST}",
            f"--debug-http-port={DEBUG}",
            f"--stats-address={HOST}",
            f"--envoy-service-http-address={HOST}",
        )

    def _bootstrap(self) -> tuple[str, ...]:
        # The socket's path is short because a long one is refused by the kernel.
        at = (f"--xds-address={HOST}", f"--xds-port={XDS}", "--admin-address=admin.sock")
        return ("bootstrap", str(self.folder / "envoy.json"), *at)

    def _run(self, name: str, part: str, *words: str) -> Process:
        log = self.folder / f"{name}.log"
        process = processes.start(name, [binaries.find(part), *words], log=log, cwd=self.folder)
        self._processes.append(process)
        return process
