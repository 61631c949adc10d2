"""How fast and how frugal the engine is: N Rollouts × 4 steps, 4 replicas, pods played by kwok.

    python -m e2e.bench_engine 50 200 500        # one run for each N
    python -m e2e.bench_engine --idle 5000       # what N idle Rollouts cost

All Rollouts are changed by merge patches over 8 connections; wall is from the first patch until all
are healthy. Requests are counted in the API server's audit log, CPU and memory read from the
engine's process. Prints a table, and JSON on the last line.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from e2e.ground import binaries, engine
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.engine import Engine
from e2e.ground.flags import AuditPolicy
from e2e.ground.subject import Subject
from fleet.api import names
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig
from fleet.clusters.watch import Change, Informer

CONNECTIONS = 8
NAMESPACE = "bench"
STEPS = (25, 50, 75, 100)
TICKS = os.sysconf("SC_CLK_TCK")
BULK = ("--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000")
QUIET_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run. `requests` is for each Rollout, without Events and relabelled pods where it says."""

    rollouts: int
    wall_seconds: float
    requests: float
    requests_with_events: float
    cpu_ms: float
    rss_mb: float
    kinds: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Usage:
    """What a process has used, from /proc."""

    pid: int

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mb(self) -> float:
        return self._memory("VmHWM")

    def rss_mb(self) -> float:
        return self._memory("VmRSS")

    def _memory(self, name: str) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


class Crowd:
    """N Rollouts, and which of them are done with which image."""

    def __init__(self, client: Client, plane: ControlPlane, number: int) -> None:
        self.client = client
        self.subjects = [
            Subject(
                plane=plane,
                namespace=NAMESPACE,
                name=f"bench-{index:05}",
                replicas=4,
                strategy={
                    "canary": {
                        "stableService": f"bench-{index:05}",
                        "canaryService": f"bench-{index:05}-canary",
                        "steps": [{"setWeight": weight} for weight in STEPS],
                    }
                },
            )
            for index in range(number)
        ]
        self.done: dict[str, str] = {}
        self.changed = asyncio.Event()
        self.informer = Informer(
            client, names.ROLLOUTS, decode=lambda manifest: manifest, on=self._see
        )

    async def write(self, method: str, image: str) -> None:
        """Create (POST) or change (PATCH) all, over 8 connections."""
        waiting = iter(self.subjects)

        async def work() -> None:
            for subject in waiting:
                manifest = subject.manifest(image)
                if method == "POST":
                    await self.client.create(names.ROLLOUTS, manifest)
                else:
                    template = manifest["spec"]["template"]
                    body = {"spec": {"template": template}}
                    await self.client.patch(names.ROLLOUTS, subject.name, NAMESPACE, body)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(work())

    async def healthy(self, image: str) -> None:
        """Until all are completed with `image`."""
        while sum(found == image for found in self.done.values()) < len(self.subjects):
            self.changed.clear()
            await self.changed.wait()

    def _see(self, change: Change[dict[str, Any]]) -> None:
        if change.new is None:
            return
        status, meta = change.new.get("status", {}), change.new["metadata"]
        over = status.get("phase") == "Completed"
        fresh = status.get("observedGeneration") == meta["generation"]
        proven = status.get("stablePodHash") == status.get("currentPodHash")
        image = change.new["spec"]["template"]["spec"]["containers"][0]["image"]
        self.done[meta["name"]] = image if over and fresh and proven else ""
        self.changed.set()


async def measure(plane: ControlPlane, running: Engine, number: int) -> Figures:
    """Deliver v1 to all, then measure the change to v2."""
    async with open_session() as session:
        config = load_kubeconfig(plane.kubeconfig)
        client = Client("bench", config, session, inflight=CONNECTIONS)
        crowd = Crowd(client, plane, number)
        watching = asyncio.create_task(crowd.informer.run())
        await crowd.informer.synced.wait()
        await crowd.write("POST", "app:v1")
        await crowd.healthy("app:v1")
        await asyncio.sleep(3)
        usage = Usage(running.process.pid)
        mark, cpu, started = plane.audit.mark(), usage.cpu_seconds(), time.monotonic()
        await crowd.write("PATCH", "app:v2")
        await crowd.healthy("app:v2")
        wall = time.monotonic() - started
        spent = usage.cpu_seconds() - cpu
        watching.cancel()
        kinds = _kinds(plane, mark)
    counted = {kind: count for kind, count in kinds.items() if kind not in ("create events", PODS)}
    return Figures(
        rollouts=number,
        wall_seconds=round(wall, 1),
        requests=round(sum(counted.values()) / number, 1),
        requests_with_events=round(sum(kinds.values()) / number, 1),
        cpu_ms=round(spent * 1000 / number, 1),
        rss_mb=round(usage.peak_mb(), 1),
        kinds={kind: round(count / number, 2) for kind, count in kinds.most_common()},
    )


PODS = "patch pods"


def _kinds(plane: ControlPlane, mark: int) -> Counter[str]:
    """The engine's requests since `mark` by verb and resource; Lease and watches left out."""
    found: Counter[str] = Counter()
    for item in plane.audit.read(since=mark, user=engine.ACCOUNT):
        sub = f"/{item.subresource}" if item.subresource else ""
        kind = f"{item.verb} {item.resource.partition('.')[0]}{sub}"
        if item.verb != "watch" and item.resource != "leases.coordination.k8s.io":
            found[kind] += 1
    return found


async def idle(plane: ControlPlane, running: Engine, number: int) -> dict[str, float]:
    """Memory and requests of an engine, started anew, with `number` completed Rollouts."""
    async with open_session() as session:
        client = Client("bench", load_kubeconfig(plane.kubeconfig), session, inflight=CONNECTIONS)
        crowd = Crowd(client, plane, number)
        for subject in crowd.subjects:
            subject.replicas, subject.strategy = 0, {"simple": {}}
        watching = asyncio.create_task(crowd.informer.run())
        await crowd.write("POST", "app:v1")
        await crowd.healthy("app:v1")
        watching.cancel()
    await asyncio.to_thread(running.stop)
    started = time.monotonic()
    await asyncio.to_thread(running.start)
    await asyncio.sleep(QUIET_SECONDS)
    usage = Usage(running.process.pid)
    mark, cpu = plane.audit.mark(), usage.cpu_seconds()
    await asyncio.sleep(QUIET_SECONDS)
    return {
        "rollouts": number,
        "ready_seconds": round(time.monotonic() - started - 2 * QUIET_SECONDS, 1),
        "rss_mb": round(usage.rss_mb(), 1),
        "peak_rss_mb": round(usage.peak_mb(), 1),
        "requests": sum(_kinds(plane, mark).values()),
        "cpu_percent": round((usage.cpu_seconds() - cpu) / QUIET_SECONDS * 100, 2),
    }


def run(number: int, *, is_idle: bool = False) -> dict[str, Any]:
    """One run on a control plane of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-engine-") as folder:
        options = Options(kwok_nodes=3, api_server=BULK, audit=AuditPolicy())
        with ControlPlane("bench", Path(folder) / "plane", options) as plane:
            engine.prepare(plane)
            plane.add_namespace(NAMESPACE)
            with Engine(plane, Path(folder), KULTA_LEADER_ELECTION="true") as running:
                if is_idle:
                    return asyncio.run(idle(plane, running, number))
                return asdict(asyncio.run(measure(plane, running, number)))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("numbers", nargs="*", type=int, default=[50])
    options.add_argument("--idle", type=int)
    chosen = options.parse_args()
    binaries.ready()
    if chosen.idle:
        print(json.dumps(run(chosen.idle, is_idle=True)))
        return
    rows = []
    print(
        f"{'rollouts':>8} {'wall s':>7} {'requests':>8} {'+events':>8} {'cpu ms':>7} {'rss MB':>7}"
    )
    for number in chosen.numbers:
        row = run(number)
        rows.append(row)
        print(
            f"{row['rollouts']:>8} {row['wall_seconds']:>7} {row['requests']:>8}"
            f" {row['requests_with_events']:>8} {row['cpu_ms']:>7} {row['rss_mb']:>7}"
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
