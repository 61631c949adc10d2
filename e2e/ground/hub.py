"""The hub as a process of its own, with the rights of deploy/hub and no others.

Used by the hub's tests and benchmarks. A missing right shows as a 403 in the audit log.

    with Hub(plane, folder) as hub:
        hub.kill()                # SIGKILL, as a crash
        hub.start()
"""

import functools
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e.ground import definitions, ports, processes
from e2e.ground.controlplane import ControlPlane
from e2e.ground.processes import Process
from e2e.ground.waiting import until
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    MEMBERCLUSTERS,
    Resource,
)

ROOT = Path(__file__).parents[2]
NAMESPACE, ACCOUNT = "kulta-fleet", "kulta-fleet-hub"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
START_LIMIT = 60.0
TOKEN_LIFE = "24h"
"""The demo may stay up for long, and this kubeconfig is not renewed."""
KINDS = (MEMBERCLUSTERS, FLEETS, APPLICATIONS, FLEETROLLOUTS, CLUSTERROLLOUTS)


def prepare(plane: ControlPlane) -> None:
    """What an administrator does once: the CRDs, the namespace, the rights."""
    definitions.install(plane, ROOT / "crds")
    for resource in KINDS:
        asked = functools.partial(_is_served, plane, resource)
        until(asked, f"{resource.plural} are served", within=20)
    plane.apply(ROOT / "deploy/hub/namespace.yaml", ROOT / "deploy/hub/rbac.yaml")


def _is_served(plane: ControlPlane, resource: Resource) -> bool:
    return bool(plane.call("GET", resource.path())[0] == 200)


class Hub:
    """One hub; a context manager, or `start` and `stop`. Blocking."""

    def __init__(
        self, plane: ControlPlane, folder: Path, *, name: str = "hub", **environment: str
    ) -> None:
        """`environment` is added to a small fixed one; `name` is its POD_NAME and its log's."""
        self.plane, self.folder, self.name = plane, folder, name
        self.url = ""
        self._environment = environment
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The running process; RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process

    def start(self, server: str | None = None) -> Self:
        """Start, and wait until it answers; `server` is another way to its API server (a proxy)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (port,) = ports.free(1)
        self.url = f"http://127.0.0.1:{port}"
        token = self.plane.mint(ACCOUNT, NAMESPACE, duration=TOKEN_LIFE)
        path = self.folder / f"{self.name}.kubeconfig"
        kubeconfig = self.plane.write_kubeconfig(path, token, server)
        where = ("--host", "127.0.0.1", "--port", str(port), "--kubeconfig", str(kubeconfig))
        self._process = processes.start(
            self.name,
            [sys.executable, "-m", "fleet", "run", "hub", "--log-format=text", *where],
            log=self.folder / f"{self.name}.log",
            env={"POD_NAME": self.name, "POD_NAMESPACE": NAMESPACE, **self._environment},
            cwd=ROOT,
        )
        until(self._is_ready, f"{self.name} is ready", within=START_LIMIT)
        return self

    def stop(self) -> int:
        """SIGTERM, then wait; returns the exit code."""
        self.process.stop(grace=20)
        return int(self.process.code or 0)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.process.signal(signal.SIGKILL)
        self.process.stop(grace=0)

    def log(self) -> str:
        """Everything it has said."""
        path = self.folder / f"{self.name}.log"
        return path.read_text() if path.exists() else ""

    def metrics(self) -> str:
        """What Prometheus would scrape."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            return str(answer.read().decode())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.alive:
            self.stop()

    def _is_ready(self) -> bool:
        if not self.process.alive:
            raise RuntimeError(
                f"{self.name} ended with {self.process.code}:\n{self.process.tail()}"
            )
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            return False
