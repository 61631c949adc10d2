"""The engine as a process of its own, with the rights of its ServiceAccount and no others.

Used by the engine's tests and its benchmark. What it may do is `clusters/engine-rbac.yaml`, so a
missing right shows as a 403 in the audit log; the CRDs are `crds/`.

    with Engine(plane, folder) as engine:
        plane.apply(rollout)
        engine.kill()             # SIGKILL, as a crash
        engine.start()
"""

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
from fleet.api.names import ROLLOUTS, SERVICEACCOUNTS

ROOT = Path(__file__).parents[2]
NAMESPACE, ACCOUNT = "kulta-system", "kulta-controller"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
DEFINITION = f"{ROLLOUTS.plural}.{ROLLOUTS.group}"
START_LIMIT = 60.0
OTHER = "import fleet; fleet.__version__ = {!r}; from fleet.cli.main import main; main()"
"""A program that takes itself for another version."""


def prepare(plane: ControlPlane) -> None:
    """What an administrator does once: namespace, CRD, rights; nothing where that is done."""
    wanted = (f"{definitions.COLLECTION}/{DEFINITION}", SERVICEACCOUNTS.path(NAMESPACE, ACCOUNT))
    if all(plane.call("GET", path)[0] == 200 for path in wanted):
        return
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    definitions.install(plane, ROOT / "crds" / "rollouts.yaml")
    grant(plane)
    path = "/apis/kulta.io/v1beta1/rollouts"
    until(lambda: plane.call("GET", path)[0] == 200, "Rollouts are served", within=20)


def grant(plane: ControlPlane) -> None:
    """The rights alone, where namespace and CRD are there already: what is there is changed by
    kubectl, and a CRD costs the server a second again."""
    plane.apply(ROOT / "clusters" / "engine-rbac.yaml")


class Engine:
    """One engine; a context manager, or `start` and `stop`. Blocking."""

    def __init__(
        self,
        plane: ControlPlane,
        folder: Path,
        *,
        name: str = "engine",
        only: str = "",
        version: str = "",
        **environment: str,
    ) -> None:
        """`environment` is added to a small fixed one; `name` is its POD_NAME and its log's; `only`
        is the one namespace that it works and lives in, with the account there; `version` is what
        it calls itself, where that is another one than ours."""
        self.plane, self.folder, self.name, self.only = plane, folder, name, only
        self.url = ""
        self._program = ["-c", OTHER.format(version)] if version else ["-m", "fleet"]
        self._environment = environment
        self._process: Process | None = None

    @property
    def occurrences(self) -> Path:
        """The folder of its FALSE occurrences."""
        return self.folder / "occurrences" / self.name

    @property
    def process(self) -> Process:
        """The running process; RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process

    def start(self, *, wait: bool = True, server: str | None = None) -> Self:
        """Start, and wait until it is ready (where `wait`); `server` is another way to its API
        server, a proxy's."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (port,) = ports.free(1)
        self.url = f"http://127.0.0.1:{port}"
        token = self.plane.mint(ACCOUNT, self.only or NAMESPACE)
        path = self.folder / f"{self.name}.kubeconfig"
        kubeconfig = self.plane.write_kubeconfig(path, token, server)
        where = ["--host", "127.0.0.1", "--port", str(port), "--kubeconfig", str(kubeconfig)]
        where += ["--namespace", self.only] if self.only else []
        self._process = processes.start(
            self.name,
            [sys.executable, *self._program, "run", "engine", "--log-format=text", *where],
            log=self.folder / f"{self.name}.log",
            env={
                "POD_NAME": self.name,
                "POD_NAMESPACE": self.only or NAMESPACE,
                "KULTA_ALLOW_LOOPBACK": "true",
                "KULTA_OCCURRENCE_DIR": str(self.occurrences),
                **self._environment,
            },
            cwd=ROOT,
        )
        if wait:
            until(self._is_ready, f"{self.name} is ready", within=START_LIMIT)
        return self

    def stop(self) -> int:
        """SIGTERM, then wait; the exit code."""
        process = self.process
        process.stop(grace=25)
        return process.wait()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.stop(grace=0)

    def get(self, path: str) -> tuple[int, str]:
        """Status code and text of its own server's answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                return error.code, error.read().decode()

    def _is_ready(self) -> bool:
        if not self.process.alive:
            raise RuntimeError(f"{self.name} has ended:\n{self.process.tail(40)}")
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

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
