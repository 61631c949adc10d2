"""The demo's world: one hub and three members on this machine, registered and under load.

`__main__` enters it; `story` acts on it; `claims` judges it. Leaving it stops everything.
"""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from e2e.demo.screen import Screen
from e2e.ground import hub as hubs
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.hub import Hub
from e2e.ground.images import Image, Images, table
from e2e.ground.loadgen import Load, LoadGenerator
from e2e.ground.site import Site

ROOT = Path(__file__).parents[2]
RINGS: Mapping[str, str] = {"alpha": "canary", "beta": "rest", "gamma": "rest"}
NAMESPACE = "shop"
HOST = "checkout.example.com"
RATE = 40.0
"""Requests per second to each member."""
LONGEST = 2000.0
"""Seconds after which the load ends, whatever happens."""
READY = 120.0
"""Seconds for a registration (about 3) and until every engine is healthy (about 6)."""


def images() -> Images:
    """The demo's images: the engine and the sample application, as programs of this checkout."""
    python = sys.executable
    return table(
        {
            "kulta-fleet": Image(argv=(python, "-m", "fleet"), cwd=ROOT),
            "sample": Image(argv=(python, str(ROOT / "e2e/sample/app.py"), "{tag}"), cwd=ROOT),
        }
    )


@dataclass
class Stage:
    """Everything that runs."""

    hub: ControlPlane
    process: Hub
    sites: dict[str, Site]
    load: dict[str, LoadGenerator] = field(default_factory=dict)

    def kubectl(self, *arguments: str) -> str:
        """kubectl on the hub, in the demo's namespace."""
        return self.hub.kubectl("-n", NAMESPACE, *arguments, timeout=READY + 10)


async def enter(stack: AsyncExitStack, folder: Path, screen: Screen) -> Stage:
    """Start everything; what was started is ended by the stack."""
    screen.chapter("1 hub and 3 members: real control planes, nodes, gateways, Prometheus")
    hub = ControlPlane("hub", folder / "hub", Options(scheduler=False))
    sites = {name: Site(name, folder / name, images=images()) for name in RINGS}
    process = Hub(hub, folder, KULTA_ENGINE_ENV="KULTA_ALLOW_LOOPBACK=true")
    stage = Stage(hub=hub, process=process, sites=sites)
    stack.push_async_callback(_stop, stage)
    await _start(stage)
    screen.line(f"hub {hub.server}")
    for site in sites.values():
        screen.line(f"{site.name:6} {site.plane.server}  gateway {site.gateway.url}")
    screen.chapter("The administrator registers the members: fleet cluster add")
    said = [asyncio.to_thread(_register, stage, name) for name in RINGS]
    screen.lines(*await asyncio.gather(*said))
    screen.chapter("The hub brings an engine to each: kubectl wait")
    words = ("wait", "--for=condition=EngineHealthy", "memberclusters", "--all")
    screen.lines(await asyncio.to_thread(stage.kubectl, *words, f"--timeout={READY:g}s"))
    return stage


async def _start(stage: Stage) -> None:
    """Hub and members at the same time."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.to_thread(_start_hub, stage))
        for site in stage.sites.values():
            tasks.create_task(site.__aenter__())


def _start_hub(stage: Stage) -> None:
    """The hub as a process, under its own ServiceAccount with the rights of deploy/hub; people get
    theirs from there as well."""
    hubs.prepare(stage.hub.start())
    stage.hub.apply(ROOT / "deploy/hub/requests.yaml")
    stage.hub.add_namespace(NAMESPACE)
    stage.process.start()


async def _stop(stage: Stage) -> None:
    """The hub first: it would report that its members are gone."""
    await asyncio.to_thread(stage.process.__exit__, None, None, None)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.to_thread(stage.hub.stop))
        for site in stage.sites.values():
            tasks.create_task(site.__aexit__(None, None, None))


def begin_load(stage: Stage, stack: AsyncExitStack) -> None:
    """Send requests to every member's gateway until the demo ends."""
    for name, site in stage.sites.items():
        generator = LoadGenerator(
            Load(url=f"{site.gateway.url}/", host=HOST, rate=RATE, duration=LONGEST)
        )
        stage.load[name] = generator
        task = asyncio.create_task(generator.run(), name=f"load {name}")
        stack.push_async_callback(_end, generator, task)


async def _end(generator: LoadGenerator, task: "asyncio.Task[None]") -> None:
    generator.stop()
    await task


def _register(stage: Stage, name: str) -> str:
    site = stage.sites[name]
    argv = [
        *(sys.executable, "-m", "fleet", "cluster", "add", name),
        *("--kubeconfig", str(site.plane.kubeconfig), "--namespaces", "checkout"),
        *("--labels", f"ring={RINGS[name]}", "--prometheus", site.prometheus.url),
        *("--namespace", NAMESPACE, "--hub-kubeconfig", str(stage.hub.kubeconfig)),
    ]
    done = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=READY
    )
    if done.returncode:
        raise RuntimeError(f"fleet cluster add {name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
