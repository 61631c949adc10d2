"""A real hub and many members that are only simulated: what the benchmark of scale acts on.

The hub's control plane, its CRDs and rights, and the hub's process are real; members are those of
`simulation`, reached over real sockets and verified TLS.
"""

import asyncio
import base64
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from e2e.bench.seeing import Manifest, Watch
from e2e.bench.simulation import HOST, address
from e2e.ground import hub as hubs
from e2e.ground import member as members
from e2e.ground import ports, processes
from e2e.ground.authority import Authority
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.flags import MUCH_ROOM
from e2e.ground.hub import Hub
from e2e.ground.processes import Process
from e2e.ground.waiting import until
from fleet.api.names import (
    APPLICATIONS,
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    MEMBERCLUSTERS,
    SECRETS,
    Resource,
)
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig
from fleet.clusters.store import Change
from fleet.clusters.watch import Informer

NAMESPACE = "bench"
ALL, TEN = "all", "ten"
"""The two Fleets: everybody, and the first ten of them."""
LEAN = Options(controller_manager=False, scheduler=False, room=MUCH_ROOM)
CONNECTIONS = 16
PATIENCE = 900.0
"""Seconds to wait for anything of a large fleet."""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Simulation:
    """The process with the members."""

    process: Process
    control: str
    names: tuple[str, ...]
    kubeconfigs: Mapping[str, str]

    def ask(self, path: str, **body: Any) -> Any:
        """What `simulation.Control` answers. Blocking."""
        request = urllib.request.Request(f"{self.control}/{path}", data=orjson.dumps(body))
        with urllib.request.urlopen(request, timeout=60) as answer:
            return orjson.loads(answer.read())

    def moments(self, application: str, image: str) -> dict[str, dict[str, float]]:
        """Member → when the Rollout was put, told about and held there."""
        found: dict[str, dict[str, float]] = self.ask(
            "moments", application=application, image=image
        )
        return found


@contextmanager
def simulation(folder: Path, number: int) -> Iterator[Simulation]:
    """So many members, until the context is left."""
    authority = Authority(folder)
    certificate = authority.issue("simulated", (f"DNS:{HOST}",))
    port, control = ports.free(2)
    arguments = {
        "members": number,
        "port": port,
        "control": control,
        "chain": certificate.chain,
        "key": certificate.key,
    }
    process = processes.start(
        "simulation",
        [
            sys.executable,
            *("-m", "e2e.bench.simulation"),
            *(f"--{name}={value}" for name, value in arguments.items()),
        ],
        log=folder / "simulation.log",
        cwd=ROOT,
    )
    ca = base64.b64encode(authority.certificate.read_bytes()).decode()
    names = tuple(f"m-{index:04}" for index in range(number))
    made = Simulation(
        process=process,
        control=f"http://127.0.0.1:{control}",
        names=names,
        kubeconfigs={
            name: _kubeconfig(name, f"https://{address(index)}:{port}", ca)
            for index, name in enumerate(names)
        },
    )
    try:
        until(lambda: _answers(made), "the simulation answers", within=60)
        yield made
    finally:
        process.stop(grace=0)


class Runs:
    """A watch of all runs that remembers when each number of updated clusters, and each phase, was
    first seen."""

    def __init__(self, client: Client) -> None:
        self.informer: Informer[Manifest] = Informer(
            client, FLEETROLLOUTS, decode=_slim, on=self._see, namespace=NAMESPACE
        )
        self.seen: dict[str, list[tuple[float, int]]] = {}
        self.phases: dict[tuple[str, str], float] = {}
        """(Image, phase) → when."""

    def updated(self, wanted: str, number: int) -> float | None:
        """When so many clusters were first seen to have that image."""
        return next((at for at, count in self.seen.get(wanted, ()) if count >= number), None)

    def _see(self, change: Change[Manifest]) -> None:
        if change.new is not None:
            mark = (time.time(), int(change.new["updated"]))
            image = str(change.new["image"])
            self.seen.setdefault(image, []).append(mark)
            self.phases.setdefault((image, str(change.new["phase"])), mark[0])


@dataclass(eq=False, slots=True, kw_only=True)
class World:
    """Everything, running and registered."""

    plane: ControlPlane
    client: Client
    hub: Hub
    simulation: Simulation
    applications: tuple[str, ...]
    runs: Runs
    clusters: Watch

    async def register(self) -> None:
        """Make the members known to the hub, and wait until it believes all of them."""
        bodies: list[tuple[Resource, Manifest]] = []
        for name in self.simulation.names:
            text = self.simulation.kubeconfigs[name]
            bodies.append((SECRETS, members.secret(NAMESPACE, name, text)))
            bodies.append((MEMBERCLUSTERS, members.member_cluster(NAMESPACE, name, NAMESPACE)))
        for title, names in ((ALL, self.simulation.names), (TEN, self.simulation.names[:10])):
            spec = {"members": {"names": list(names)}}
            bodies.append((FLEETS, _object(FLEETS, title, spec)))
        await self._create(bodies)
        await self.healthy(len(self.simulation.names))

    async def healthy(self, number: int) -> None:
        """Until so many members are believed."""

        def all_are() -> bool:
            known = self.clusters.informer.store.values()
            return sum(map(_is_healthy, known)) >= number

        await waited(all_are, f"{number} members are believed")

    async def begin(self) -> None:
        """All Applications, everywhere; the last goes to ten members only."""
        *others, small = self.applications
        wanted = [(name, ALL) for name in others] + [(small, TEN)]
        bodies = [
            (APPLICATIONS, _object(APPLICATIONS, name, _spec(name, fleet)))
            for name, fleet in wanted
        ]
        await self._create(bodies)
        for name in self.applications:
            await self.succeeded(name, 1)

    async def change(self, application: str, number: int) -> float:
        """Give it version `number`; when that was answered (seconds of the clock on the wall)."""
        template = _spec(application, ALL)["workload"]["template"]
        containers = [{"name": "app", "image": image(application, number)}]
        body = {
            "spec": {"workload": {"template": {**template, "spec": {"containers": containers}}}}
        }
        await self.client.patch(APPLICATIONS, application, NAMESPACE, body)
        return time.time()

    async def succeeded(self, application: str, number: int) -> None:
        """Until the run of that version has ended well."""
        wanted = image(application, number)

        def done() -> bool:
            return any(
                run["image"] == wanted and run["phase"] == "Succeeded"
                for run in self.runs.informer.store.values()
            )

        await waited(done, f"{wanted} is everywhere")

    async def items(self) -> tuple[int, int]:
        """How many ClusterRollouts there are, and how many bytes they have on average."""
        number = size = 0
        async for page in self.client.pages(CLUSTERROLLOUTS):
            number += len(page.items)
            size += sum(len(orjson.dumps(item)) for item in page.items)
        return number, size // max(number, 1)

    async def _create(self, bodies: list[tuple[Resource, Manifest]]) -> None:
        waiting = iter(bodies)

        async def work() -> None:
            for resource, body in waiting:
                await self.client.create(resource, body)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(work())


@asynccontextmanager
async def running(folder: Path, number: int, applications: int) -> AsyncIterator[World]:
    """A world of that size, registered; leaving it ends everything."""
    async with AsyncExitStack() as stack:
        plane = await stack.enter_async_context(ControlPlane("hub", folder / "hub", LEAN))
        await asyncio.to_thread(_prepare, plane)
        made = await asyncio.to_thread(stack.enter_context, simulation(folder / "sim", number))
        session = await stack.enter_async_context(open_session())
        client = Client("hub", load_kubeconfig(plane.kubeconfig), session, inflight=64)
        world = World(
            plane=plane,
            client=client,
            hub=await asyncio.to_thread(stack.enter_context, Hub(plane, folder)),
            simulation=made,
            applications=tuple(f"app-{index:03}" for index in range(applications + 1)),
            runs=Runs(client),
            clusters=Watch(client, MEMBERCLUSTERS, NAMESPACE),
        )
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(world.runs.informer.run()),
                tasks.create_task(world.clusters.run()),
            ]
            await world.register()
            yield world
            for task in beside:
                task.cancel()


async def waited(condition: Any, what: str, every: float = 0.05) -> None:
    """Until it holds. Raises TimeoutError naming `what`."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {PATIENCE:g} s")
        await asyncio.sleep(every)


def image(application: str, number: int) -> str:
    """The image of a version."""
    return f"{application}:v{number}"


def _slim(run: Mapping[str, Any]) -> Manifest:
    """What is asked of a run."""
    template = run["spec"]["application"]["spec"]["workload"]["template"]
    status = run.get("status") or {}
    return {
        "image": template["spec"]["containers"][0]["image"],
        "phase": status.get("phase", ""),
        "updated": (status.get("counts") or {}).get("updated", 0),
    }


def _is_healthy(cluster: Manifest) -> bool:
    conditions = (cluster.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "EngineHealthy" and item["status"] == "True" for item in conditions)


def _spec(application: str, fleet: str) -> dict[str, Any]:
    containers = [{"name": "app", "image": image(application, 1)}]
    return {
        "destination": {"fleet": fleet},
        "workload": {
            "replicas": 4,
            "template": {
                "metadata": {"labels": {"app": application}},
                "spec": {"containers": containers},
            },
            "service": {"port": 80},
        },
        "deliveryPolicy": {
            "strategy": {"canary": {"steps": [{"setWeight": 50}, {"setWeight": 100}]}},
            "maxConcurrency": "100%",
        },
    }


def _object(resource: Resource, name: str, spec: Mapping[str, Any]) -> Manifest:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def _prepare(plane: ControlPlane) -> None:
    hubs.prepare(plane)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    plane.call("POST", "/api/v1/namespaces", body)


def _answers(made: Simulation) -> bool:
    try:
        return bool(made.ask("") is not None)
    except OSError:
        if not made.process.alive:
            raise RuntimeError(f"the simulation has ended:\n{made.process.tail()}") from None
        return False


def _kubeconfig(name: str, server: str, ca: str) -> str:
    cluster = {
        "server": server,
        "certificate-authority-data": ca,
        "tls-server-name": HOST,
    }
    config = {
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": "simulated"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return yaml.safe_dump(config)
