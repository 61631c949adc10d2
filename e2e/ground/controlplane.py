"""One real Kubernetes control plane on 127.0.0.1: etcd, API server, controllers, scheduler.

Used by the session fixtures, the demo and the benchmarks; several run side by side (`planes`).
Everything it needs and writes lies in one folder; RBAC, ServiceAccount admission, TLS and the audit
log are on, as in a real cluster. It never runs pods: that is `node`'s work, or kwok's.

    with ControlPlane("hub", folder) as plane:
        plane.apply(Path("crds"))
        plane.kubectl("get", "crds")
"""

import asyncio
import base64
import json
import secrets
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from e2e.ground import binaries, flags, objects, ports, processes
from e2e.ground.audit import AuditLog
from e2e.ground.authority import Authority, Certificate, signing_pair
from e2e.ground.connections import Connections
from e2e.ground.processes import Process
from e2e.ground.waiting import until
from fleet.kit import durations

ADMIN = "admin"
MASTERS = "system:masters"
USERS: Mapping[str, str] = {
    ADMIN: MASTERS,
    "kwok": MASTERS,
    "local-node": MASTERS,
    "local-gateway": MASTERS,
    "contour": MASTERS,
    flags.CONTROLLER_MANAGER: "",
    flags.SCHEDULER: "",
}
"""Users of the token file and their group: one per program, so the audit log tells them apart."""

ATTEMPTS = 3
START_LIMIT = 90.0
"""Seconds; a plane alone is ready in about 3, twenty at once on two cores take long."""
NODE_SIZE = {"cpu": "1000", "memory": "1000Gi", "pods": "100000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a plane has. Without controllers and scheduler it needs 300 MB instead of 470."""

    controller_manager: bool = True
    scheduler: bool = True
    kwok_nodes: int = 0
    """With at least one, kwok runs and plays the kubelet of that many fake nodes."""
    audit: flags.AuditPolicy = field(default_factory=flags.AuditPolicy)
    api_server: tuple[str, ...] = ()
    """More flags of kube-apiserver."""
    room: int = flags.ROOM
    """MiB that each part's heap may have before it suffers."""


LEAN = Options(controller_manager=False, scheduler=False)


class KubectlFailed(RuntimeError):
    """kubectl ended with an error; the message is what it said."""


class StartFailed(RuntimeError):
    """A part ended while the plane started; the message holds the end of its log."""


class ControlPlane:
    """One control plane; a context manager in both colours, or `start` and `stop`. Blocking."""

    def __init__(self, name: str, folder: Path, options: Options | None = None) -> None:
        self.name = name
        self.folder = folder
        self.options = options or Options()
        self.processes: dict[str, Process] = {}
        self.server = ""
        """The address of the API server, `https://127.0.0.1:<port>`, once started."""
        self.port = 0
        self.tokens = {user: secrets.token_hex(16) for user in USERS}
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(folder / "tls")
        self.connections = Connections(self.authority.context())
        self.audit = AuditLog(folder / "audit.log")
        self._layout: flags.Layout | None = None

    def start(self) -> Self:
        """Start all parts and wait until they answer; StartFailed or TimeoutError otherwise."""
        rows = [f'{self.tokens[user]},{user},{user},"{group}"' for user, group in USERS.items()]
        (self.folder / "tokens.csv").write_text("\n".join(rows) + "\n")
        (self.folder / "audit.yaml").write_text(yaml.safe_dump(self.options.audit.manifest()))
        serving, signing = self.authority.issue("server"), signing_pair(self.folder)
        try:
            for attempt in range(ATTEMPTS):
                self._place(serving, signing)
                try:
                    self._start_server()
                    self._start_clients()
                    break
                except StartFailed as error:
                    # Somebody took a port between our choice and the server's bind.
                    if "address already in use" not in str(error) or attempt == ATTEMPTS - 1:
                        raise
                    self.stop()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything at once, as a power cut would; the folder stays.

        Nobody reads the store again, and a server that ends in order waits for its watches.
        """
        processes.stop(*self.processes.values(), grace=0)
        self.processes.clear()
        self.connections.close()

    def restart(self, part: str) -> None:
        """Kill one part, as a crash would, and start it again with the same flags and port."""
        self.kill(part)
        self._run(part)
        self._await_server()

    def kill(self, part: str) -> None:
        """SIGKILL one part; `restart` brings it back."""
        if part in self.processes:
            self.processes.pop(part).stop(grace=0)

    def forget_history(self) -> None:
        """Compact the store and restart the API server: watches from before now get 410.

        Compaction alone would not show, because the API server answers from its own cache.
        """
        everything = self.store("range", {"key": "AA==", "count_only": True})
        self.store("compaction", {"revision": everything["header"]["revision"], "physical": True})
        self.restart("kube-apiserver")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    # What tests and the demo do with a running plane.

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.kubeconfig_of(ADMIN)

    @property
    def ca(self) -> Path:
        """The certificate that verifies the API server."""
        return self.authority.certificate

    @property
    def admin_token(self) -> str:
        return self.tokens[ADMIN]

    def kubeconfig_of(self, user: str) -> Path:
        """The kubeconfig of one of USERS."""
        return self._at.kubeconfig(user)

    def write_kubeconfig(self, path: Path, token: str, server: str | None = None) -> Path:
        """A kubeconfig with the authority inside; `server` is another way here, e.g. a proxy's."""
        authority = base64.b64encode(self.ca.read_bytes()).decode()
        cluster = {"server": server or self.server, "certificate-authority-data": authority}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": cluster}],
            "users": [{"name": self.name, "user": {"token": token}}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": self.name}}],
            "current-context": self.name,
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    def mint(self, account: str, namespace: str, *, duration: str = "1h") -> str:
        """A token of a ServiceAccount (TokenRequest); at least 10 minutes, e.g. `1h`, `168h`."""
        wish = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": durations.seconds(duration)},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        code, answer = self.call("POST", path, wish)
        if code != 201:
            raise RuntimeError(f"{self.name}: token of {namespace}/{account}: {answer}")
        return str(answer["status"]["token"])

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 240) -> str:
        """What kubectl prints as administrator; KubectlFailed with its words when it fails."""
        done = subprocess.run(
            [
                str(binaries.find("kubectl")),
                f"--kubeconfig={self.kubeconfig}",
                f"--cache-dir={self.folder / 'kubectl'}",
                *arguments,
            ],
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise KubectlFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *manifests: str | Path | Mapping[str, Any]) -> None:
        """As kubectl apply: files, folders, YAML text, objects; KubectlFailed with its words."""
        for manifest in objects.create(self.call, objects.read(*manifests)):
            self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def await_crds(self) -> None:
        """Wait until every CRD is served; `kubectl wait` fails on one that has no status yet."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

        def served() -> bool:
            found = self.call("GET", path)[1]["items"]
            told = [item.get("status", {}).get("conditions") or () for item in found]
            return all(("Established", "True") in map(_standing, each) for each in told)

        until(served, f"{self.name}: CRDs are served", within=30)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str = ADMIN,
        timeout: float = 30,
    ) -> tuple[int, Any]:
        """One request to the API server: status code and parsed answer (text where not JSON).

        A PATCH is a JSON merge patch. Not for watches. `timeout` is in seconds of silence. Raises
        ConnectionError also where an answer that calls itself JSON is none, as one that is cut off.
        """
        patch = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self.tokens[user]}", "Content-Type": patch}
        with self.connections.one(self._at.api, timeout=timeout) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        if "json" not in answer.getheader("Content-Type", ""):
            return answer.status, text
        try:
            return answer.status, json.loads(text)
        except ValueError:
            what = f"{method} {path}: {answer.status}, and no JSON: {text[:200]!r}"
            raise ConnectionError(what) from None

    def add_namespace(self, name: str) -> str:
        """Create a namespace and wait until pods may be made in it; its name."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        code, answer = self.call("POST", "/api/v1/namespaces", body)
        if code != 201:
            raise RuntimeError(f"{self.name}: namespace {name}: {answer}")
        self._await_namespace(name)
        return name

    # How it starts.

    @property
    def _at(self) -> flags.Layout:
        if self._layout is None:
            raise StartFailed(f"{self.name} has not been started")
        return self._layout

    def _place(self, serving: Certificate, signing: tuple[Path, Path]) -> None:
        """Choose ports and write what depends on them."""
        store, peer, api, scheduler, kwok = ports.free(5)
        self._layout = flags.Layout(
            folder=self.folder,
            ca=self.ca,
            serving=serving,
            signing=signing,
            store=store,
            peer=peer,
            api=api,
            scheduler=scheduler,
            kwok=kwok,
            extra=self.options.api_server,
        )
        self.port, self.server = api, f"https://127.0.0.1:{api}"
        for user, token in self.tokens.items():
            self.write_kubeconfig(self.kubeconfig_of(user), token)

    def _run(self, part: str) -> None:
        known = flags.PARTS[part]
        argv = [*known.under, str(binaries.find(part)), *known.argv(self._at)]
        log, stage = self.folder / f"{part}.log", known.stage
        variables = flags.garbage(self.options.room)
        self.processes[part] = processes.start(part, argv, log=log, stage=stage, env=variables)

    def _start_server(self) -> None:
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)
        self._run("etcd")
        self._run("kube-apiserver")
        self._await_server()

    def _await_server(self) -> None:
        self._await("ready", lambda: self.call("GET", "/readyz", timeout=2)[0] == 200)

    def _start_clients(self) -> None:
        """Start what talks to the API server, and wait until each has shown that it works."""
        if self.options.controller_manager:
            self._run("kube-controller-manager")
        if self.options.scheduler:
            self._run("kube-scheduler")
        if self.options.kwok_nodes:
            shutil.copyfile(binaries.find("kwok-stages.yaml"), self.folder / "kwok-stages.yaml")
            self._run("kwok")
            for number in range(self.options.kwok_nodes):
                self._add_fake_node(f"kwok-{number}")
        self._await_namespace("default")
        if self.options.scheduler:
            self._await("scheduling", self._is_scheduling)

    def _await_namespace(self, name: str) -> None:
        """Pods are refused before the controllers have made both of these in their namespace."""
        if self.options.controller_manager:
            for path in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
                self._await_object(f"/api/v1/namespaces/{name}/{path}")

    def _await_object(self, path: str) -> None:
        self._await(path, lambda: self.call("GET", path)[0] == 200)

    def _is_scheduling(self) -> bool:
        with socket.create_connection(("127.0.0.1", self._at.scheduler), timeout=1):
            return True

    def store(self, call: str, body: Mapping[str, Any]) -> Any:
        """One request to etcd's JSON gateway."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._at.store}/v3/kv/{call}", json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def _add_fake_node(self, name: str) -> None:
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "annotations": flags.FAKE_NODE, "labels": {"type": "kwok"}},
            "status": {"allocatable": NODE_SIZE, "capacity": NODE_SIZE},
        }
        code, answer = self.call("POST", "/api/v1/nodes", node)
        if code != 201:
            raise StartFailed(f"{self.name}: node {name}: {answer}")

    def _await(self, what: str, ask: Callable[[], bool]) -> None:
        """Wait for `ask`, but not for the dead: a part that has ended ends the waiting."""

        def asked() -> bool:
            for part, process in self.processes.items():
                if not process.alive:
                    tail = process.tail()
                    raise StartFailed(f"{self.name}: {part} ended with {process.code}:\n{tail}")
            return ask()

        until(asked, f"{self.name}: {what}", within=START_LIMIT)


def _standing(condition: Mapping[str, str]) -> tuple[str, str]:
    return condition["type"], condition["status"]
