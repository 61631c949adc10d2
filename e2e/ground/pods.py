"""One pod on the local node, from its binding to its removal from the API.

`node` makes a Worker per pod and tells it what the API says of the pod. The worker runs the
containers, writes one status patch per change, and deletes the object when everything has ended.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from e2e.ground import discovery, environment, kubelet, podstatus
from e2e.ground.addresses import Block
from e2e.ground.containers import Command, Container, NotStartable, Place, stamp
from e2e.ground.discovery import Targets
from e2e.ground.images import Images
from e2e.ground.probes import Unsupported
from e2e.ground.tokens import TokenVolume
from fleet import errors
from fleet.clusters.client import Client

TMP = "/tmp"
"""A volume here would hide the programs and logs of whoever started us: it becomes TMPDIR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all pods of a node share. `hosts`: name → address, for `/etc/hosts`."""

    client: Client
    images: Images
    folder: Path
    block: Block
    hosts: Mapping[str, str]
    backoff: tuple[float, float]
    targets: Targets | None


class Worker:
    """Runs one pod; `pod` is the newest manifest, `address` where its processes listen, `is_in_api`
    that nobody has said that the object is gone."""

    def __init__(self, pod: Mapping[str, Any], around: Surroundings) -> None:
        metadata = pod["metadata"]
        self.pod = pod
        self.reported = around.block.take()
        self.address = around.block.served(self.reported)
        self.folder: Path = (
            around.folder / metadata["namespace"] / metadata["name"] / metadata["uid"]
        )
        self._around = around
        self._changed = asyncio.Event()
        self._ending = asyncio.Event()
        self.is_in_api = True
        self._volumes: dict[str, TokenVolume] = {}
        self._beside: list[asyncio.Task[None]] = []
        self.containers = [self._container(spec) for spec in pod["spec"]["containers"]]

    def update(self, pod: Mapping[str, Any]) -> None:
        """The API server's newest word on the pod; an older one than known is ignored."""
        if _version(pod) < _version(self.pod):
            return
        self.pod = pod
        self._changed.set()
        if "deletionTimestamp" in pod["metadata"]:
            self._ending.set()

    def abandon(self) -> None:
        """The object is gone, or the node ends: kill, and report nothing more."""
        self.is_in_api = False
        self._ending.set()

    async def run(self) -> None:
        """Everything that happens to the pod here; returns when nothing of it is left."""
        self._hosts.parent.mkdir(parents=True, exist_ok=True)
        self._write_hosts()
        try:
            async with asyncio.TaskGroup() as tasks:
                lives = [tasks.create_task(container.run()) for container in self.containers]
                self._tasks = tasks
                self._beside.append(tasks.create_task(self._report()))
                self.update(self.pod)
                await self._ending.wait()
                await asyncio.gather(*(c.stop(self._grace) for c in self.containers))
                await asyncio.wait(lives)
                for task in self._beside:
                    task.cancel()
            await self._remove()
        finally:
            self._tell_prometheus(None)
            self._around.block.give(self.reported)

    @property
    def _grace(self) -> float:
        return float(self.pod["metadata"].get("deletionGracePeriodSeconds", 0) * self.is_in_api)

    async def _report(self) -> None:
        """Write the status at each difference, until cancelled, abandoned or another pod."""
        written: Mapping[str, Any] = {}
        while True:
            await self._changed.wait()
            if not self.is_in_api:
                return
            self._changed.clear()
            status = podstatus.build(
                self.pod,
                self.containers,
                address=self.reported,
                host=self._around.block.host,
                now=stamp(),
                before=written,
            )
            same = status == written and not podstatus.is_overruled(self.pod, status)
            if same or all(container.is_new for container in self.containers):
                continue
            self._tell_prometheus(status)
            try:
                answer = await kubelet.report(self._around.client, self.pod, status)
            except (errors.NotFound, errors.Conflict):
                return
            except errors.TemporaryError:
                self._changed.set()
                await asyncio.sleep(1)
                continue
            written = status
            self.update(answer)

    async def _remove(self) -> None:
        while self.is_in_api:
            try:
                await kubelet.remove(self._around.client, self.pod)
            except errors.TemporaryError:
                await asyncio.sleep(1)
            else:
                return

    def _tell_prometheus(self, status: Mapping[str, Any] | None) -> None:
        if self._around.targets is None:
            return
        running = status is not None and status["phase"] == "Running"
        entries = discovery.targets(self.pod, status, self.address) if status and running else []
        self._around.targets.update(self.pod["metadata"]["uid"], entries)

    # What the containers get.

    @property
    def _hosts(self) -> Path:
        return self.folder / "hosts"

    def _write_hosts(self) -> None:
        names = {"localhost": "127.0.0.1", self.pod["metadata"]["name"]: self.address}
        rows = (names | dict(self._around.hosts)).items()
        self._hosts.write_text("".join(f"{address}\t{name}\n" for name, address in rows))

    def _container(self, spec: Mapping[str, Any]) -> Container:
        mounts = tuple(
            (self._volume_folder(mount["name"]), mount["mountPath"])
            for mount in spec.get("volumeMounts") or ()
            if mount["mountPath"] != TMP
        )
        place = Place(
            pod=self.pod["metadata"]["name"],
            address=self.address,
            directory=self.folder,
            hosts=self._hosts,
            mounts=mounts,
            backoff=self._around.backoff,
            grace=self.pod["spec"].get("terminationGracePeriodSeconds", 30),
        )
        return Container(
            spec,
            place,
            policy=self.pod["spec"].get("restartPolicy", "Always"),
            command=lambda: self._command(spec),
            changed=self._changed.set,
        )

    async def _command(self, spec: Mapping[str, Any]) -> Command:
        if self.pod["spec"].get("initContainers"):
            raise Unsupported("the local node runs no init containers")
        image = self._around.images(spec["image"])
        if image is None:
            message = f"no program of this node stands for the image {spec['image']!r}"
            raise NotStartable("ErrImagePull", message)
        try:
            for mount in spec.get("volumeMounts") or ():
                await self._mount(mount["name"])
            own = await environment.variables(spec, self.pod, self.address, self._around.client)
        except errors.FleetError as error:
            raise NotStartable("CreateContainerConfigError", str(error)) from error
        return environment.command(spec, image, self._variables(spec) | own)

    def _variables(self, spec: Mapping[str, Any]) -> dict[str, str]:
        server = urlsplit(self._around.client.config.server)
        # POD_IP is given unasked: without a network namespace of its own a process must be told.
        variables = {
            "POD_IP": self.address,
            "HOSTNAME": self.pod["metadata"]["name"],
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port or 443),
        }
        for mount in spec.get("volumeMounts") or ():
            if mount["mountPath"] == TMP:
                variables["TMPDIR"] = str(self._volume_folder(mount["name"]))
        return variables

    def _volume_folder(self, name: str) -> Path:
        return self.folder / "volumes" / name

    async def _mount(self, name: str) -> None:
        """Fill the folder of a volume, once for all containers."""
        folder = self._volume_folder(name)
        volume = next(v for v in self.pod["spec"]["volumes"] if v["name"] == name)
        if "emptyDir" in volume:
            folder.mkdir(parents=True, exist_ok=True)
        elif "projected" not in volume:
            raise Unsupported(f"volume {name}: there are emptyDir and projected volumes only")
        elif name not in self._volumes:
            projected = TokenVolume(self._around.client, self.pod, volume, folder)
            due = await projected.write()
            self._volumes[name] = projected
            self._beside.append(self._tasks.create_task(projected.renew(due)))


def _version(pod: Mapping[str, Any]) -> int:
    return int(pod["metadata"]["resourceVersion"])
