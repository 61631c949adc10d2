"""A node of a real cluster whose pods are processes of this machine.

    async with LocalNode(client, name="eu-1", images=table, folder=folder) as node: ...

It registers a Node, keeps it Ready, and runs what kube-scheduler binds to it. Used by tests and the
demo; it lives in their event loop, and its processes end with it, however it ends (`processes`).
It never asks the API for news: pods come by a watch.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e.ground import processes
from e2e.ground.addresses import Block
from e2e.ground.containers import stamp
from e2e.ground.discovery import Targets
from e2e.ground.images import Images
from e2e.ground.pods import Surroundings, Worker
from fleet import errors
from fleet.api import names
from fleet.clusters.client import Client
from fleet.clusters.store import Change
from fleet.clusters.watch import Informer

NODES = names.Resource(group="", version="v1", plural="nodes", kind="Node", namespaced=False)
LEASES = "kube-node-lease"
RENEW = 10.0
LEASE = 40
HEARTBEAT = 300.0
"""Seconds between status reports without news; liveness is the Lease's business."""

SIZE = {"cpu": "64", "memory": "256Gi", "pods": "240", "ephemeral-storage": "100Gi"}
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
BACKOFF = (10.0, 300.0)
OVER = ("Succeeded", "Failed")


class LocalNode:
    """One Node; several may run side by side, each with its own block of addresses.

    `hosts` are names that pods resolve, e.g. Prometheus' service name; it is read at each pod's
    start. `targets` is the file for Prometheus. `backoff` is the first and the longest pause, in
    seconds, before a crashed container restarts. `is_secluded`: in a network of its own, where pods
    listen on the addresses that the API shows.
    """

    def __init__(
        self,
        client: Client,
        *,
        name: str,
        images: Images,
        folder: Path,
        index: int | None = None,
        hosts: Mapping[str, str] | None = None,
        targets: Path | None = None,
        backoff: tuple[float, float] = BACKOFF,
        is_secluded: bool = False,
    ) -> None:
        self.name = name
        self.block = Block(index, is_secluded=is_secluded)
        self._client = client
        self._around = Surroundings(
            client=client,
            images=images,
            folder=folder,
            block=self.block,
            hosts=hosts if hosts is not None else {},
            backoff=backoff,
            targets=Targets(targets) if targets is not None else None,
        )
        self._workers: dict[str, Worker] = {}
        self._over: set[str] = set()
        self._is_stopping = False
        self._running: set[asyncio.Task[None]] = set()
        self._main: asyncio.Task[None] | None = None
        self._informer: Informer[dict[str, Any]] = Informer(
            client,
            names.PODS,
            decode=dict,
            on=self._on,
            field_selector=f"spec.nodeName={name}",
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Register; returns when pods can be bound here."""
        await self._register()
        self._main = asyncio.create_task(self._run(), name=f"node {self.name}")
        synced = asyncio.create_task(self._informer.synced.wait())
        await asyncio.wait({self._main, synced}, return_when=asyncio.FIRST_COMPLETED)
        if self._main.done():
            synced.cancel()
            await self._main

    async def stop(self) -> None:
        """Kill everything that runs here; the Node stays in the API, as after a power cut."""
        if self._main is None:
            return
        self._is_stopping = True
        for worker in self._workers.values():
            worker.abandon()
        found = (c.process for worker in self._workers.values() for c in worker.containers)
        running = [process for process in found if process is not None]
        if running:
            await asyncio.to_thread(processes.stop, *running, grace=0)
        if self._running:
            await asyncio.wait(self._running)
        self._main.cancel()
        await asyncio.wait({self._main})
        self.block.close()
        if not self._main.cancelled() and (error := self._main.exception()):
            raise error

    def worker(self, namespace: str, pod: str) -> Worker:
        """The pod of that name that runs here; KeyError when there is none."""
        for worker in self._workers.values():
            metadata = worker.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, pod):
                return worker
        raise KeyError(f"{self.name} runs no pod {namespace}/{pod}")

    def logs(self, namespace: str, prefix: str = "") -> str:
        """What the pods of a namespace whose names begin so have printed, also those that ended."""
        found = sorted((self._around.folder / namespace).glob(f"{prefix}*/*/*.log"))
        return "".join(
            f"--- {path.parent.parent.name}/{path.stem}\n{path.read_text(errors='replace')}"
            for path in found
        )

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._informer.run())
            tasks.create_task(self._renew())
            tasks.create_task(self._heartbeat())
            if self._around.targets is not None:
                tasks.create_task(self._around.targets.run())

    def _on(self, change: Change[dict[str, Any]]) -> None:
        """Hear of a pod. News of one that has ended here are late: a second worker would report a
        second address, which the API server refuses."""
        if change.old is not None and change.type == "DELETED":
            self._over.discard(_uid(change.old))
            if worker := self._workers.get(_uid(change.old)):
                worker.abandon()
        pod = change.new
        if pod is None or self._is_stopping or _uid(pod) in self._over:
            return
        if worker := self._workers.get(_uid(pod)):
            worker.update(pod)
        elif pod.get("status", {}).get("phase") not in OVER or _is_ending(pod):
            self._begin(pod)

    def _begin(self, pod: dict[str, Any]) -> None:
        uid = _uid(pod)
        worker = self._workers[uid] = Worker(pod, self._around)
        task = self._tasks.create_task(worker.run(), name=f"pod {pod['metadata']['name']}")
        self._running.add(task)

        def forget(done: asyncio.Task[None]) -> None:
            self._running.discard(done)
            if self._workers.pop(uid).is_in_api:
                self._over.add(uid)

        task.add_done_callback(forget)

    # The Node object and its Lease.

    async def _register(self) -> None:
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {"podCIDR": self.block.cidr, "podCIDRs": [self.block.cidr]},
            "status": self._status(),
        }
        try:
            await self._client.create(NODES, node)
        except errors.AlreadyExists:
            await self._report()
        await self._lease()

    async def _report(self) -> None:
        body = {"status": self._status()}
        await self._client.patch(NODES, self.name, None, body, sub="status")

    def _status(self) -> dict[str, Any]:
        now = stamp()
        times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
        good = [{"type": kind, "status": "False", "reason": "Sufficient"} for kind in PRESSURES]
        ready = {"type": "Ready", "status": "True", "reason": "LocalNodeReady"}
        return {
            "capacity": SIZE,
            "allocatable": SIZE,
            "addresses": [
                {"type": "InternalIP", "address": self.block.host},
                {"type": "Hostname", "address": self.name},
            ],
            "conditions": [condition | times for condition in (*good, ready)],
        }

    async def _lease(self) -> None:
        spec = {
            "holderIdentity": self.name,
            "leaseDurationSeconds": LEASE,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        lease = {
            "apiVersion": names.LEASES.api_version,
            "kind": names.LEASES.kind,
            "metadata": {"name": self.name, "namespace": LEASES},
            "spec": spec,
        }
        try:
            await self._client.patch(names.LEASES, self.name, LEASES, {"spec": spec})
        except errors.NotFound:
            await self._client.create(names.LEASES, lease)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW)
            try:
                await self._lease()
            except (errors.TemporaryError, errors.NotFound):
                continue

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            try:
                await self._report()
            except errors.TemporaryError:
                continue


def _uid(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


def _is_ending(pod: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" in pod["metadata"]
