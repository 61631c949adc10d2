"""The engine under load and at rest, with pods played by kwok on a real control plane.

    busy   N Rollouts × 4 steps (25/50/75/100), 4 replicas, no router, no pauses: all are changed by
           merge patches over 8 connections; wall is from the first patch until all are healthy
    idle   an engine that is started beside N completed Rollouts

Requests are counted in the API server's audit log, CPU and memory are the engine's process's.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.bench.crowd import CONNECTIONS, NAMESPACE, Crowd, Member, subjects
from e2e.bench.figures import Figure, Goal
from e2e.bench.usage import Usage
from e2e.ground import engine, flags
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.engine import Engine
from e2e.ground.processes import Process
from fleet import aio
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig

STEPS = (25, 50, 75, 100)
APART = ("create events", "patch events", "patch pods")
"""Requests that the goal without Events and relabelled pods leaves out."""
PEER_WALL = {50: 12.5, 200: 56.0, 500: 138.0}
"""Seconds of Argo Rollouts 1.10 with raised client limits, same task, same kind of machine."""
SETTLE_SECONDS, QUIET_SECONDS, MOST_CALM_TRIES = 3, 20, 60


def canary(name: str) -> dict[str, Any]:
    """Four steps; the Services are not there, so pods divide the traffic."""
    steps = [{"setWeight": weight} for weight in STEPS]
    return {
        "canary": {"stableService": name, "canaryService": f"{name}-canary", "steps": steps},
    }


def simple(_: str) -> dict[str, Any]:
    """No steps."""
    return {"simple": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What it cost to bring N Rollouts to their second image."""

    wall: float
    """Seconds."""
    kinds: Counter[str]
    """Requests by verb and resource."""
    cpu: float
    """Milliseconds for each Rollout."""
    peak: float
    """MiB."""

    def requests(self, number: int, *, bare: bool = False) -> float:
        """For each Rollout; `bare`: without Events and relabelled pods."""
        left_out = APART if bare else ()
        return sum(count for kind, count in self.kinds.items() if kind not in left_out) / number


def busy(folder: Path, number: int, peer: float | None = None) -> list[Figure]:
    """Change N Rollouts, on a control plane of their own. `peer`: seconds that another engine has
    just needed for the same; else what was measured once."""
    with _running(folder) as (plane, running):
        return asyncio.run(_busy(plane, running, number, peer or PEER_WALL.get(number)))


def idle(folder: Path, number: int) -> list[Figure]:
    """An engine beside N completed Rollouts, on a control plane of their own."""
    with _running(folder) as (plane, running):
        asyncio.run(_complete(plane, running, number))
        running.stop()
        running.start()
        _calm(plane, running, number)
        usage = Usage(running.process.pid)
        mark, spent = plane.audit.mark(), usage.cpu_seconds()
        time.sleep(QUIET_SECONDS)
        spent = (usage.cpu_seconds() - spent) / QUIET_SECONDS * 100
        kinds = _kinds(plane, mark)
        return [
            _figure(number, "idle: RSS", "MiB", usage.rss_mb(), 350.0),
            Figure(
                name=_name(number, f"idle: requests in {QUIET_SECONDS} s but for the Lease"),
                unit="",
                samples=(sum(kinds.values()),),
                goals=(Goal(limit=0),),
                details=dict(kinds),
            ),
            _figure(number, "idle: CPU", "%", spent),
        ]


async def _busy(
    plane: ControlPlane, running: Engine, number: int, peer: float | None
) -> list[Figure]:
    async with crowd_of(plane, subjects(plane, number, canary, 4)) as crowd:
        found = await course(plane, crowd, running.process, engine.ACCOUNT)
    goals = (Goal(limit=peer, note="Argo Rollouts"),) if peer else ()
    return [
        Figure(name=_name(number, "wall"), unit="s", samples=(round(found.wall, 1),), goals=goals),
        Figure(
            name=_name(number, "requests per Rollout without Events and relabels"),
            unit="",
            samples=(round(found.requests(number, bare=True), 2),),
            goals=(Goal(limit=12),),
            details={key: round(count / number, 2) for key, count in found.kinds.most_common()},
        ),
        _figure(number, "requests per Rollout", "", found.requests(number), 25),
        _figure(number, "looks per Rollout, from its beginning", "", _looks(running) / number),
        _figure(number, "CPU per Rollout", "ms", found.cpu, 30),
        _figure(number, "peak RSS", "MiB", found.peak, 150),
    ]


async def course(plane: ControlPlane, crowd: Crowd, process: Process, account: str) -> Course:
    """Make them all, then change them all, which is measured. `process` does it as `account`."""
    await _through(crowd, process, crowd.create, "app:v1")
    await asyncio.sleep(SETTLE_SECONDS)
    usage = Usage(process.pid)
    mark, spent, started = plane.audit.mark(), usage.cpu_seconds(), time.monotonic()
    await _through(crowd, process, crowd.change, "app:v2")
    wall = time.monotonic() - started
    cpu = (usage.cpu_seconds() - spent) * 1_000 / len(crowd.subjects)
    kinds = _kinds(plane, mark, account)
    return Course(wall=wall, kinds=kinds, cpu=cpu, peak=usage.peak_mb())


async def _complete(plane: ControlPlane, running: Engine, number: int) -> None:
    async with crowd_of(plane, subjects(plane, number, simple, 0)) as crowd:
        await _through(crowd, running.process, crowd.create, "app:v1")


async def _through(
    crowd: Crowd, process: Process, write: Callable[[str], Awaitable[None]], image: str
) -> None:
    """Write that image to all and wait until all are well. RuntimeError when the engine ends."""

    async def work() -> None:
        await write(image)
        await crowd.healthy(image)

    working = asyncio.create_task(work())
    ending = asyncio.create_task(process.ended())
    await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        await aio.cancel(working)
        raise RuntimeError(f"{process.name} has ended:\n{process.tail(40)}")
    await aio.cancel(ending)
    working.result()


@contextmanager
def _running(folder: Path) -> Iterator[tuple[ControlPlane, Engine]]:
    with ControlPlane(
        "bench", folder / "plane", Options(kwok_nodes=3, room=flags.MUCH_ROOM)
    ) as plane:
        engine.prepare(plane)
        plane.add_namespace(NAMESPACE)
        with Engine(plane, folder, KULTA_LEADER_ELECTION="true") as running:
            yield plane, running


@asynccontextmanager
async def crowd_of(
    plane: ControlPlane, members: Sequence[Member], **kind: Any
) -> AsyncIterator[Crowd]:
    """These, watched meanwhile; `kind` is what `Crowd` takes where they are not ours."""
    async with open_session() as session:
        config = load_kubeconfig(plane.kubeconfig)
        client = Client("bench", config, session, inflight=CONNECTIONS)
        crowd = Crowd(client, members, **kind)
        watching = asyncio.create_task(crowd.informer.run())
        await crowd.informer.synced.wait()
        yield crowd
        await aio.cancel(watching)


def _calm(plane: ControlPlane, running: Engine, number: int) -> None:
    """Until the engine has done what a start brings along: to look at each, to retell Events."""
    for _ in range(MOST_CALM_TRIES):
        mark = plane.audit.mark()
        time.sleep(SETTLE_SECONDS)
        if _looks(running) >= number and not _kinds(plane, mark):
            return
    raise RuntimeError(f"no calm within {MOST_CALM_TRIES * SETTLE_SECONDS} s of the start")


def _looks(running: Engine) -> float:
    """How often the engine has looked at a Rollout since it started."""
    lines = running.get("/metrics")[1].splitlines()
    counts = (line for line in lines if line.startswith("kulta_reconciliations_total{"))
    return sum(float(line.rpartition(" ")[2]) for line in counts)


def _kinds(plane: ControlPlane, mark: int, account: str = engine.ACCOUNT) -> Counter[str]:
    """An engine's requests since `mark` by verb and resource; Lease and watches left out."""
    found: Counter[str] = Counter()
    for item in plane.audit.read(since=mark, user=account):
        sub = f"/{item.subresource}" if item.subresource else ""
        kind = f"{item.verb} {item.resource.partition('.')[0]}{sub}"
        if item.verb != "watch" and item.resource != "leases.coordination.k8s.io":
            found[kind] += 1
    return found


def _name(number: int, what: str) -> str:
    return f"engine × {number:,}: {what}"


def _figure(number: int, what: str, unit: str, value: float, limit: float | None = None) -> Figure:
    goals = () if limit is None else (Goal(limit=limit),)
    return Figure(name=_name(number, what), unit=unit, samples=(round(value, 2),), goals=goals)
