"""Argo Rollouts and our engine, one after the other in the same run: the same task, the same pods.

N Rollouts with a canary of four steps, 4 replicas and no router, each side on a control plane of
its own. Argo is built from its release (`ground/go/argo`) and has the rights of its own manifests;
its client limits are raised so that they do not slow it. Both have a network of their own, because
Argo listens on every address; where none can be made, `make bench-peers` says so and ends.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.bench import engine
from e2e.bench.crowd import NAMESPACE
from e2e.bench.figures import Figure
from e2e.ground import binaries, definitions, flags, processes, seclusion
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.processes import Process
from fleet.api.names import Resource

ARGO = Resource(group="argoproj.io", version="v1alpha1", plural="rollouts", kind="Rollout")
ACCOUNT = "argo-rollouts"
RBAC = "rbac.authorization.k8s.io"
LIMITS = ("--qps=1000", "--burst=2000")


@dataclass(frozen=True, slots=True)
class Peer:
    """One Rollout of Argo's: what `engine.canary` is among ours."""

    name: str

    def manifest(self, image: str) -> dict[str, Any]:
        labels = {"app": self.name}
        container = {"name": "app", "image": image}
        steps = [{"setWeight": weight} for weight in engine.STEPS]
        return {
            "apiVersion": ARGO.api_version,
            "kind": ARGO.kind,
            "metadata": {"name": self.name, "namespace": NAMESPACE},
            "spec": {
                "replicas": 4,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
                "strategy": {"canary": {"steps": steps}},
            },
        }


def is_healthy(status: Mapping[str, Any], generation: int) -> bool:
    """Whether one of Argo's Rollouts is as its spec wants it."""
    healthy = status.get("phase") == "Healthy"
    fresh = status.get("observedGeneration") == str(generation)
    return healthy and fresh and status.get("stableRS") == status.get("currentPodHash")


def measure(folder: Path, number: int) -> list[Figure]:
    """Both, Argo first: its time is our goal."""
    binaries.ready(*binaries.PEERS)  # from within a network of its own one could not download
    with seclusion.entered():
        with _argo(folder / "argo") as (plane, process):
            found = asyncio.run(_course(plane, process, number))
        ours = engine.busy(folder / "ours", number, peer=round(found.wall, 1))
    title = f"Argo Rollouts × {number:,}: "
    rows = (
        ("wall", "s", found.wall),
        ("requests per Rollout without Events and relabels", "", found.requests(number, bare=True)),
        ("requests per Rollout", "", found.requests(number)),
        ("CPU per Rollout", "ms", found.cpu),
        ("peak RSS", "MiB", found.peak),
    )
    return [
        *(Figure(name=title + name, unit=unit, samples=(round(x, 2),)) for name, unit, x in rows),
        *ours,
    ]


async def _course(plane: ControlPlane, process: Process, number: int) -> engine.Course:
    members = [Peer(f"bench-{index:05}") for index in range(number)]
    async with engine.crowd_of(plane, members, resource=ARGO, is_over=is_healthy) as crowd:
        return await engine.course(plane, crowd, process, ACCOUNT)


@contextmanager
def _argo(folder: Path) -> Iterator[tuple[ControlPlane, Process]]:
    """Its controller, with the rights that it is shipped with."""
    room = Options(kwok_nodes=3, room=flags.MUCH_ROOM)
    with ControlPlane("argo", folder / "plane", room) as plane:
        definitions.install(plane, binaries.find("argo-crds"))
        plane.add_namespace(NAMESPACE)
        plane.add_namespace(ACCOUNT)
        plane.apply(*_rights())
        kubeconfig = plane.write_kubeconfig(folder / "kubeconfig", plane.mint(ACCOUNT, ACCOUNT))
        process = processes.start(
            "rollouts-controller",
            [
                binaries.find("rollouts-controller"),
                *("--kubeconfig", kubeconfig, "--namespace", ACCOUNT),
                *("--leader-elect=false", "--loglevel=warn", *LIMITS),
            ],
            log=folder / "rollouts-controller.log",
        )
        try:
            yield plane, process
        finally:
            process.stop()


def _rights() -> Iterator[dict[str, Any]]:
    metadata = {"name": ACCOUNT, "namespace": ACCOUNT}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    role = yaml.safe_load(binaries.find("argo-role.yaml").read_text())
    yield role
    yield {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": ACCOUNT},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role["metadata"]["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": ACCOUNT}],
    }
