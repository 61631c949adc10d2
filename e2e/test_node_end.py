"""A local node that ends: its processes end with it, and nothing begins meanwhile."""

import asyncio
import itertools
import threading
from pathlib import Path

from e2e.conftest import IMAGES
from e2e.ground import guardian
from e2e.ground.node import LocalNode
from e2e.ground.site import Site
from e2e.ground.waiting import until
from e2e.test_node import pod_spec
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig


async def test_a_node_that_stops_takes_up_no_pod_again(site: Site, tmp_path: Path) -> None:
    """While it ends its pods one by one, the API server goes on telling news of all of them."""
    namespace = await asyncio.to_thread(site.plane.add_namespace, "stopping")
    where = f"/api/v1/namespaces/{namespace}/pods"
    spec = pod_spec("shell", args=["-c", "sleep 600"]) | {"nodeName": "stopping-node"}
    names = [f"pod-{number}" for number in range(8)]
    is_over = threading.Event()

    def disturb() -> None:
        for turn in itertools.count():
            body = {"metadata": {"annotations": {"turn": str(turn)}}}
            for name in names:
                site.plane.call("PATCH", f"{where}/{name}", body)
            if is_over.is_set():
                return

    async with open_session() as session:
        config = load_kubeconfig(site.plane.kubeconfig_of("local-node"))
        client = Client("stopping", config, session)
        node = LocalNode(client, name="stopping-node", images=IMAGES, folder=tmp_path)
        async with node:
            for name in names:
                body = {"metadata": {"name": name}, "spec": spec}
                await asyncio.to_thread(site.plane.call, "POST", where, body)
            for name in names:
                await asyncio.to_thread(
                    until, lambda n=name: _pids(node, namespace, n), f"{name} runs", within=10
                )
            disturbing = asyncio.create_task(asyncio.to_thread(disturb))
        is_over.set()
        await disturbing
        await asyncio.to_thread(site.plane.call, "DELETE", "/api/v1/nodes/stopping-node")
    assert node.block.take().endswith(f".{len(names) + 2}"), "a pod was given two addresses"


async def test_processes_end_with_their_node(site: Site, tmp_path: Path) -> None:
    namespace = await asyncio.to_thread(site.plane.add_namespace, "ending")
    where = f"/api/v1/namespaces/{namespace}/pods"
    spec = pod_spec("shell", args=["-c", "sleep 600 & sleep 600"]) | {"nodeName": "other-node"}
    body = {"metadata": {"name": "sleeping"}, "spec": spec}
    async with open_session() as session:
        config = load_kubeconfig(site.plane.kubeconfig_of("local-node"))
        node = LocalNode(
            Client("other", config, session), name="other-node", images=IMAGES, folder=tmp_path
        )
        async with node:
            code, answer = await asyncio.to_thread(site.plane.call, "POST", where, body)
            assert code == 201, answer
            (group,) = await asyncio.to_thread(
                until, lambda: _pids(node, namespace, "sleeping"), "the pod runs", within=10
            )
            assert guardian.living({group}) == {group}
        await asyncio.to_thread(site.plane.call, "DELETE", "/api/v1/nodes/other-node")
    assert guardian.living({group}) == set()


def _pids(node: LocalNode, namespace: str, pod: str) -> list[int]:
    try:
        containers = node.worker(namespace, pod).containers
    except KeyError:
        return []
    return [one.process.pid for one in containers if one.process is not None]
