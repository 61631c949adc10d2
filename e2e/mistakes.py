"""Somebody makes a mistake: one hub, one member with an engine, and what each of them says to it.

Used by `test_bad_input`. Each method takes an input, hands it in as a user would, and returns the
words that the user reads, from where the user reads them.
"""

import base64
import functools
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

from e2e.ground import binaries, definitions, engine
from e2e.ground import hub as hubs
from e2e.ground import member as members
from e2e.ground.authority import Authority
from e2e.ground.controlplane import LEAN, ControlPlane, KubectlFailed, Options
from e2e.ground.engine import Engine
from e2e.ground.hub import Hub
from e2e.ground.planes import Planes
from e2e.ground.waiting import until
from fleet.api import names
from fleet.api.names import Resource

ROOT = Path(__file__).parent.parent
NAMESPACE, OPEN = "shop", "checkout"
"""The tenant's namespace in the hub, and the one that it may use in the member."""
WITHIN = 20.0
BAD = ("Conflict", "Failed", "Halted")
"""Phases in which a ClusterRollout or a run waits for somebody."""


def application(name: str, *operations: dict[str, Any]) -> dict[str, Any]:
    """The demo's Application, smaller, with `operations` applied."""
    manifest = yaml.safe_load((ROOT / "examples/demo/application.yaml").read_text())
    manifest["metadata"] = {"name": name, "namespace": NAMESPACE}
    del manifest["spec"]["workload"]["route"]
    del manifest["spec"]["deliveryPolicy"]["waves"]
    changed: dict[str, Any] = jsonpatch.apply_patch(manifest, list(operations))
    return changed


def rollout(name: str, *operations: dict[str, Any]) -> dict[str, Any]:
    """A canary that begins with its steps, with `operations` applied."""
    labels = {"app": name}
    container = {"name": "app", "image": "app:v1"}
    manifest = {
        "apiVersion": names.ROLLOUTS.api_version,
        "kind": names.ROLLOUTS.kind,
        "metadata": {"name": name, "namespace": OPEN},
        "spec": {
            "replicas": 2,
            "stepsOnFirstRollout": True,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            "strategy": {
                "canary": {
                    "stableService": f"{name}-stable",
                    "canaryService": f"{name}-canary",
                    "steps": [{"setWeight": 50, "pause": {}}, {"setWeight": 100}],
                }
            },
        },
    }
    changed: dict[str, Any] = jsonpatch.apply_patch(manifest, list(operations))
    return changed


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where mistakes are made."""

    hub: ControlPlane
    member: ControlPlane
    folder: Path
    expiry: datetime
    """An hour ago, in whole seconds."""

    # What a user reads, and where.

    def server(self, manifest: Mapping[str, Any]) -> str:
        """What `kubectl apply` says."""
        try:
            self.hub.apply(manifest)
        except KubectlFailed as error:
            return str(error).partition(": ")[2]
        raise AssertionError("the API server has taken it")

    def render(self, manifest: Mapping[str, Any], *words: str) -> str:
        """What `fleet render` says."""
        path = self.folder / "application.yaml"
        path.write_text(yaml.safe_dump(dict(manifest)))
        done = subprocess.run(
            [sys.executable, "-m", "fleet", "render", "-f", str(path), "--cluster", "eu", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 1, done.stdout
        return done.stderr.strip().replace(str(path), "FILE")

    def condition(
        self, plane: ControlPlane, resource: Resource, manifest: Mapping[str, Any], kind: str
    ) -> str:
        """`Reason: message` of a condition that is False, once the object is written."""
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        plane.apply(manifest)
        return self.read(plane, resource.path(namespace, name), kind)

    def read(self, plane: ControlPlane, path: str, kind: str) -> str:
        """`Reason: message` of a condition, once it is False."""

        def told() -> str:
            status = plane.call("GET", path)[1].get("status") or {}
            for item in status.get("conditions") or ():
                if (item["type"], item["status"]) == (kind, "False") and item.get("message"):
                    return f"{item['reason']}: {item['message']}"
            return ""

        try:
            return until(told, f"{path}: {kind}", within=WITHIN)
        except TimeoutError as error:
            raise TimeoutError(
                f"{error}; it is {plane.call('GET', path)[1].get('status')}"
            ) from None

    def put(self, *manifests: Mapping[str, Any]) -> None:
        """Write good objects into the hub."""
        self.hub.apply(*manifests)

    def cluster(self, manifest: Mapping[str, Any]) -> str:
        """`Phase Reason: message` of the Application's one ClusterRollout, once it went wrong."""
        return self._outcome(manifest, names.CLUSTERROLLOUTS, ".eu")

    def run(self, manifest: Mapping[str, Any]) -> str:
        """`Phase Reason: message` of the Application's first FleetRollout, once it went wrong."""
        return self._outcome(manifest, names.FLEETROLLOUTS, "-1")

    def _outcome(self, manifest: Mapping[str, Any], resource: Resource, suffix: str) -> str:
        self.hub.apply(manifest)
        path = resource.path(NAMESPACE, f"{manifest['metadata']['name']}{suffix}")
        ask = functools.partial(self.hub.call, "GET", path)

        def told() -> str:
            code, found = ask()
            status = found.get("status") or {} if code == 200 else {}
            if status.get("phase") not in BAD:
                return ""
            return f"{status['phase']} {status.get('reason')}: {status.get('message')}"

        try:
            return until(told, path, within=WITHIN)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it is {ask()}") from None

    # What is wrong.

    def registered(self, name: str, text: str | None, **spec: Any) -> dict[str, Any]:
        """The MemberCluster of that name, its Secret written (where there is one)."""
        if text is not None:
            self.put(members.secret(NAMESPACE, name, text))
        manifest = members.member_cluster(NAMESPACE, name, OPEN)
        manifest["spec"] |= spec
        return manifest

    def kubeconfig(self, **changes: Any) -> str:
        """A good kubeconfig with parts of its cluster or user replaced."""
        document = yaml.safe_load(members.kubeconfig(self.member))
        document["clusters"][0]["cluster"] |= changes.get("cluster", {})
        document["users"][0]["user"] = changes.get("user", document["users"][0]["user"])
        return yaml.safe_dump(document)

    def foreign_authority(self) -> str:
        """A certificate that has signed nothing here."""
        authority = Authority(self.folder / "foreign")
        return base64.b64encode(authority.certificate.read_bytes()).decode()

    def expired_token(self) -> str:
        """A token that the member has signed and that has ended at `expiry`."""
        token = self.member.mint(members.ACCOUNT, names.ENGINE_NAMESPACE)
        claims = json.loads(_decoded(token.split(".")[1]))
        claims |= {"exp": int(self.expiry.timestamp()), "iat": claims["iat"] - 9_000}
        claims["nbf"] = claims["iat"]
        return _signed(claims, self.member.folder / "tokens.key")

    def powerless(self) -> str:
        """A token of an account that may do nothing."""
        return self.member.mint("default", "elsewhere")

    @property
    def uid(self) -> str:
        """The identity of the member's API server."""
        path = names.NAMESPACES.path(None, "kube-system")
        return str(self.member.call("GET", path)[1]["metadata"]["uid"])


@contextmanager
def ground(planes: Planes, folder: Path) -> Iterator[Ground]:
    """Everything that answers: hub and engine run with the rights that are written, no others."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        sides = (
            pool.submit(_hub, planes, stack, folder),
            pool.submit(_member, planes, stack, folder),
        )
        hub, member = (side.result() for side in sides)
        hour_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        found = Ground(hub=hub, member=member, folder=folder, expiry=hour_ago)
        hub.apply(found.registered("eu", members.kubeconfig(member)))
        hub.apply(fleet("production", ["eu"]))
        path = names.MEMBERCLUSTERS.path(NAMESPACE, "eu")
        until(
            lambda: (hub.call("GET", path)[1].get("status") or {}).get("engine", {}).get("healthy"),
            "the member is believed",
            within=60,
        )
        yield found


def _hub(planes: Planes, stack: ExitStack, folder: Path) -> ControlPlane:
    (plane,) = planes("mistaken-hub", options=LEAN)
    hubs.prepare(plane)
    plane.add_namespace(NAMESPACE)
    stack.enter_context(Hub(plane, folder))
    return plane


def _member(planes: Planes, stack: ExitStack, folder: Path) -> ControlPlane:
    (plane,) = planes("mistaken", options=Options(kwok_nodes=1))
    members.prepare(plane, OPEN, "elsewhere")
    definitions.install(plane, binaries.find("gateway-api"))
    engine.grant(plane)
    stack.enter_context(Engine(plane, folder, KULTA_LEADER_ELECTION="true"))
    return plane


def fleet(name: str, clusters: list[str], **members_: Any) -> dict[str, Any]:
    """A Fleet of these members."""
    return {
        "apiVersion": names.FLEETS.api_version,
        "kind": names.FLEETS.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"members": members_ or {"names": clusters}},
    }


@contextmanager
def answering(body: str, status: int = 200) -> Iterator[str]:
    """The address of a server that answers every request so."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signed(claims: Mapping[str, Any], key: Path) -> str:
    """A JSON web token with these claims, signed ES256."""
    head = _encoded(json.dumps({"alg": "ES256", "typ": "JWT"}).encode())
    text = f"{head}.{_encoded(json.dumps(dict(claims)).encode())}"
    argv = ["openssl", "dgst", "-sha256", "-sign", str(key)]
    der = subprocess.run(argv, input=text.encode(), capture_output=True, check=True).stdout
    return f"{text}.{_encoded(_plain(der))}"


def _plain(der: bytes) -> bytes:
    """The two numbers of an ECDSA signature side by side, 32 bytes each."""
    size = der[3]
    first, second = der[4 : 4 + size], der[6 + size :]
    return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in (first, second))
