"""The command lines of a control plane's parts: which flags, and why.

Called by `controlplane` only. Pure: paths, ports and choices in, arguments out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.ground import processes
from e2e.ground.authority import Certificate

CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
KWOK = "kwok"
AGAIN = ("/bin/sh", "-c", 'until "$@"; do sleep 0.2; done', "again")
"""kwok v0.8.0 may die when it sees its first objects: two of its workers then fill one map. As a
kubelet would, it starts again."""
FAKE_NODE = {"kwok.x-k8s.io/node": "fake"}
"""The annotation of nodes that kwok plays; other nodes of the plane are left alone."""
ROOM, MUCH_ROOM = 1_000, 4_096
"""MiB of a part's heap beyond which it looks for garbage all the time. Hundreds of Rollouts with
their pods need more than a test has."""
CLIENT_RATE = "1000"
"""Requests per second of the plane's own controllers: they must never be the bottleneck."""


def garbage(room: int) -> dict[str, str]:
    """Variables of every part: it looks for garbage when it has grown fivefold, or to `room` MiB.

    Its start and each definition then cost a fifth less.
    """
    return {"GOGC": "400", "GOMEMLIMIT": f"{room}MiB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPolicy:
    """What the audit log holds: every request without its body, and more or less where said.

    Resources are written `<plural>` or `<plural>.<group>`, e.g. `rollouts.kulta.io`.
    """

    bodies: tuple[str, ...] = ()
    """Resources whose request bodies are logged."""
    without: tuple[str, ...] = ()
    """Resources that are not logged at all, e.g. `leases.coordination.k8s.io`."""

    def manifest(self) -> dict[str, Any]:
        """The policy file's content; the first matching rule counts."""
        rules: list[dict[str, Any]] = []
        for level, names in (("None", self.without), ("Request", self.bodies)):
            if names:
                rules.append({"level": level, "resources": [_resource(name) for name in names]})
        rules.append({"level": "Metadata"})
        return {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "omitManagedFields": True,
            "rules": rules,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where one plane's files and ports are."""

    folder: Path
    ca: Path
    serving: Certificate
    signing: tuple[Path, Path]
    """Private and public key of ServiceAccount tokens."""
    store: int
    peer: int
    api: int
    scheduler: int
    kwok: int
    extra: tuple[str, ...] = ()
    """More flags of kube-apiserver."""

    def kubeconfig(self, user: str) -> Path:
        return self.folder / f"kubeconfig-{user.replace(':', '-')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One program of a plane."""

    stage: int
    argv: Callable[[Layout], list[str]]
    under: tuple[str, ...] = ()
    """What runs the program, where it does not run by itself."""


def _resource(name: str) -> dict[str, Any]:
    plural, _, group = name.partition(".")
    return {"group": group, "resources": [plural, f"{plural}/*"]}


def _etcd(at: Layout) -> list[str]:
    client, peer = f"http://127.0.0.1:{at.store}", f"http://127.0.0.1:{at.peer}"
    return [
        f"--data-dir={at.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # The data need not outlive the machine, only its processes.
        "--unsafe-no-fsync",
        "--log-level=error",
    ]


def _api_server(at: Layout) -> list[str]:
    return [
        f"--etcd-servers=http://127.0.0.1:{at.store}",
        "--bind-address=127.0.0.1",
        f"--secure-port={at.api}",
        f"--cert-dir={at.folder / 'tls'}",
        *_serving(at),
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={at.signing[0]}",
        f"--service-account-key-file={at.signing[1]}",
        "--authorization-mode=RBAC",
        f"--token-auth-file={at.folder / 'tokens.csv'}",
        "--service-cluster-ip-range=10.0.0.0/16",
        "--advertise-address=127.0.0.1",
        # Loopback addresses are refused in EndpointSlices, so `kubernetes` has no endpoints here.
        "--endpoint-reconciler-type=none",
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
        f"--audit-policy-file={at.folder / 'audit.yaml'}",
        f"--audit-log-path={at.folder / 'audit.log'}",
        # In megabytes: a rotation would hide requests from the reader.
        "--audit-log-maxsize=100000",
        *at.extra,
    ]


def _controller_manager(at: Layout) -> list[str]:
    return [
        f"--kubeconfig={at.kubeconfig(CONTROLLER_MANAGER)}",
        "--leader-elect=false",
        "--secure-port=0",
        "--controllers=*,-node-ipam-controller",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={at.signing[0]}",
        # Pods find the authority as ca.crt beside their token and verify the API server by it.
        f"--root-ca-file={at.ca}",
        f"--kube-api-qps={CLIENT_RATE}",
        f"--kube-api-burst={CLIENT_RATE}",
        "--concurrent-replicaset-syncs=20",
        # An autoscaler is looked at first after so long; nobody here has many.
        "--horizontal-pod-autoscaler-sync-period=1s",
    ]


def _scheduler(at: Layout) -> list[str]:
    return [
        f"--kubeconfig={at.kubeconfig(SCHEDULER)}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={at.scheduler}",
        *_serving(at),
        f"--kube-api-qps={CLIENT_RATE}",
        f"--kube-api-burst={CLIENT_RATE}",
    ]


def _kwok(at: Layout) -> list[str]:
    (annotation,) = (f"{key}={value}" for key, value in FAKE_NODE.items())
    return [
        f"--kubeconfig={at.kubeconfig(KWOK)}",
        f"--manage-nodes-with-annotation-selector={annotation}",
        f"--config={at.folder / 'kwok-stages.yaml'}",
        "--cidr=10.245.0.0/16",
        "--node-ip=10.245.0.1",
        f"--server-address=127.0.0.1:{at.kwok}",
    ]


def _serving(at: Layout) -> Sequence[str]:
    return (
        f"--tls-cert-file={at.serving.chain}",
        f"--tls-private-key-file={at.serving.key}",
    )


PARTS: Mapping[str, Part] = {
    "etcd": Part(stage=processes.STORE, argv=_etcd),
    "kube-apiserver": Part(stage=processes.SERVER, argv=_api_server),
    "kube-controller-manager": Part(stage=processes.FIRST, argv=_controller_manager),
    "kube-scheduler": Part(stage=processes.FIRST, argv=_scheduler),
    "kwok": Part(stage=processes.FIRST, argv=_kwok, under=AGAIN),
}
"""By the name of the program."""
