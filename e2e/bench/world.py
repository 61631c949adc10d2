"""A hub and N lean members whose engines are imitated: what the benchmarks of delivery act on.

API servers, CRDs, rights, fence and hub are real. Engines are not, because what is measured is the
way to them and back; each renews its Lease as often as a real one and writes what a benchmark says.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from e2e.bench.seeing import Manifest, Sighting, Watch
from e2e.ground import hub as hubs
from e2e.ground import member as members
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.flags import MUCH_ROOM, AuditPolicy
from e2e.ground.hub import Hub
from e2e.ground.planes import Planes
from fleet.api.names import (
    APPLICATIONS,
    ENGINE_LEASE,
    ENGINE_NAMESPACE,
    FLEETROLLOUTS,
    FLEETS,
    LEASES,
    MEMBERCLUSTERS,
    ROLLOUTS,
    SECRETS,
)
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig
from fleet.errors import Conflict

NAMESPACE, NAME = "bench", "checkout"
RENEW_SECONDS = 5.0
BODIES = AuditPolicy(bodies=("rollouts.kulta.io",))
LEAN = Options(controller_manager=False, scheduler=False, audit=BODIES, room=MUCH_ROOM)
HASH = "0123456789"


@dataclass(eq=False, slots=True)
class Member:
    """One member: its plane, a watch of its Rollouts, and the words of its engine."""

    plane: ControlPlane
    client: Client
    rollouts: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.rollouts = Watch(self.client, ROLLOUTS, NAMESPACE)

    async def live(self) -> None:
        """Be an engine that lives, until cancelled."""
        spec = {"holderIdentity": "imitated", "leaseDurationSeconds": 15}
        lease = {**_kind(LEASES, ENGINE_LEASE, ENGINE_NAMESPACE), "spec": spec}
        await self.client.create(LEASES, lease)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.rollouts.run())
            while True:
                now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
                body = {"spec": {"renewTime": now}}
                await self.client.patch(LEASES, ENGINE_LEASE, ENGINE_NAMESPACE, body)
                await asyncio.sleep(RENEW_SECONDS)

    async def has(self, image: str) -> Sighting:
        """Until the Rollout is there with that image."""
        return await self.rollouts.seen(
            lambda found: members.image_of(found) == image, f"{self.plane.name}: {image}"
        )

    async def is_free(self, image: str) -> Sighting:
        """Until the Rollout is there with that image and no hold of a former run is on it."""
        return await self.rollouts.seen(
            lambda found: members.image_of(found) == image and "hold" not in found["spec"],
            f"{self.plane.name}: {image}, free",
        )

    async def complete(self) -> None:
        """Report that the Rollout as it is now is everywhere."""
        await self._report({"phase": "Completed", "stablePodHash": HASH, "currentWeight": 100})

    async def fail(self) -> None:
        """Report that its analysis failed and that it has been taken back."""
        decision = {
            "sequence": 1,
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "action": "Rollback",
            "reason": "AnalysisFailed",
            "message": "error-rate 37.5 is not below 5",
        }
        await self._report({"phase": "Failed", "decisions": [decision]})

    async def _report(self, status: Mapping[str, Any]) -> None:
        """Of the newest Rollout: the hub may write once more while a report is on its way."""
        store = self.rollouts.informer.store
        while True:
            found = store[NAMESPACE, NAME]
            known = {
                "observedGeneration": found["metadata"]["generation"],
                "fleetRevision": found["spec"].get("fleetRevision", ""),
                "currentPodHash": HASH,
            }
            manifest = {**found, "status": known | dict(status)}
            try:
                store.see(await self.client.replace(ROLLOUTS, manifest, sub="status"))
            except Conflict:
                store.see(await self.client.get(ROLLOUTS, NAME, NAMESPACE))
            else:
                return


@dataclass(eq=False, slots=True, kw_only=True)
class World:
    """Everything, running and registered."""

    plane: ControlPlane
    client: Client
    hub: Hub
    members: Mapping[str, Member]
    runs: Watch
    clusters: Watch

    async def deliver(self, image: str) -> None:
        """Change the Application's image, or make it; all members at once, in one wave."""
        containers = [{"name": "app", "image": image}]
        if image != "app:v1":
            body = {"spec": {"workload": {"template": {"spec": {"containers": containers}}}}}
            await self.client.patch(APPLICATIONS, NAME, NAMESPACE, body)
            return
        labels = {"app": NAME}
        steps = [{"setWeight": 50}, {"setWeight": 100}]
        spec = {
            "destination": {"fleet": "all"},
            "workload": {
                "replicas": 4,
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
                "service": {"port": 80},
            },
            "deliveryPolicy": {
                "strategy": {"canary": {"steps": steps}},
                "maxConcurrency": len(self.members),
            },
        }
        await self.client.create(APPLICATIONS, {**_kind(APPLICATIONS, NAME), "spec": spec})

    async def everywhere(self, image: str) -> None:
        """Until every member has it."""
        await asyncio.gather(*(member.has(image) for member in self.members.values()))

    async def complete(self, image: str) -> None:
        """Every member reports it complete, and the run ends well. What is reported once has to be
        the last word: a hold that is lifted later would leave the report behind."""
        await asyncio.gather(*(member.is_free(image) for member in self.members.values()))
        for member in self.members.values():
            await member.complete()
        await self.runs.seen(
            lambda run: image_of_run(run) == image and phase_of(run) == "Succeeded",
            f"the run of {image} has succeeded",
        )


def phase_of(run: Manifest) -> str:
    """The phase of a run, as its table shows it."""
    return str((run.get("status") or {}).get("phase", ""))


def updated_by(run: Manifest) -> int:
    """The clusters that the run says are updated."""
    return int(((run.get("status") or {}).get("counts") or {}).get("updated", 0))


def image_of_run(run: Manifest) -> str:
    """The image that a run delivers."""
    template = run["spec"]["application"]["spec"]["workload"]["template"]
    return str(template["spec"]["containers"][0]["image"])


@asynccontextmanager
async def running(folder: Path, number: int) -> AsyncIterator[World]:
    """A world with that many members; leaving it ends everything."""
    names = [f"member-{index + 1}" for index in range(number)]
    async with AsyncExitStack() as stack:
        planes = stack.enter_context(Planes(folder))
        plane, *others = await asyncio.to_thread(lambda: planes("hub", *names, options=LEAN))
        await asyncio.to_thread(_prepare, plane, others)
        session = await stack.enter_async_context(open_session())
        client = Client("hub", load_kubeconfig(plane.kubeconfig), session)
        found = {
            other.name: Member(
                other, Client(other.name, load_kubeconfig(other.kubeconfig), session)
            )
            for other in others
        }
        hub = await asyncio.to_thread(stack.enter_context, Hub(plane, folder))
        world = World(
            plane=plane,
            client=client,
            hub=hub,
            members=found,
            runs=Watch(client, FLEETROLLOUTS, NAMESPACE),
            clusters=Watch(client, MEMBERCLUSTERS, NAMESPACE),
        )
        async with asyncio.TaskGroup() as tasks:
            watches = [world.runs.run(), world.clusters.run()]
            works = [*watches, *(member.live() for member in found.values())]
            beside = [tasks.create_task(work) for work in works]
            await _register(world)
            yield world
            for task in beside:
                task.cancel()


def _prepare(plane: ControlPlane, others: list[ControlPlane]) -> None:
    with ThreadPoolExecutor() as pool:
        done = [pool.submit(members.prepare, other, NAMESPACE) for other in others]
        done.append(pool.submit(hubs.prepare, plane))
        for future in done:
            future.result()
    plane.call(
        "POST",
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
    )


async def _register(world: World) -> None:
    for name, member in world.members.items():
        text = await asyncio.to_thread(members.kubeconfig, member.plane)
        await world.client.create(SECRETS, members.secret(NAMESPACE, name, text))
        cluster = members.member_cluster(NAMESPACE, name, NAMESPACE)
        await world.client.create(MEMBERCLUSTERS, cluster)
    fleet = {"members": {"names": list(world.members)}}
    await world.client.create(FLEETS, {**_kind(FLEETS, "all"), "spec": fleet})
    for name in world.members:
        said = f"{name} is reachable and its engine lives"
        await world.clusters.seen(functools.partial(_is_healthy, name), said)


def _is_healthy(name: str, cluster: Manifest) -> bool:
    if cluster["metadata"]["name"] != name:
        return False
    conditions = (cluster.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "EngineHealthy" and item["status"] == "True" for item in conditions)


def _kind(resource: Any, name: str, namespace: str = NAMESPACE) -> Manifest:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": namespace},
    }
