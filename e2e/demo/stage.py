"""The demo's world: one hub and three members on this machine, registered and under load.

`__main__` enters it; `story` acts on it; `claims` judges it. Leaving it stops everything.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.demo.screen import Screen
from e2e.ground import definitions, ports, processes
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.images import Image, Images, table
from e2e.ground.loadgen import Load, LoadGenerator
from e2e.ground.site import Site
from e2e.ground.waiting import until
from fleet.api.names import HUB_LEASE, LEASES

ROOT = Path(__file__).parents[2]
RINGS: Mapping[str, str] = {"alpha": "canary", "beta": "rest", "gamma": "rest"}
NAMESPACE = "shop"
HUB_NAMESPACE = "kulta-fleet"
HOST = "checkout.example.com"
RATE = 40.0
"""Requests per second to each member."""
LONGEST = 240.0
"""Seconds after which the load ends, whatever happens."""


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

    folder: Path
    hub: ControlPlane
    sites: dict[str, Site]
    load: dict[str, LoadGenerator]
    commands: dict[str, str]
    """What `export KUBECONFIG=…` shows at the end."""

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl on the hub, in the demo's namespace."""
        return self.hub.kubectl("-n", NAMESPACE, *arguments, stdin=stdin)

    def get(self, resource: str, name: str) -> dict[str, Any]:
        """An object of the hub."""
        found: dict[str, Any] = json.loads(self.kubectl("get", resource, name, "-o", "json"))
        return found


async def enter(stack: AsyncExitStack, folder: Path, screen: Screen) -> Stage:
    """Start everything; what was started is ended by the stack."""
    screen.chapter("1 hub and 3 members: real control planes, nodes, gateways, Prometheus")
    hub = ControlPlane("hub", folder / "hub", Options(scheduler=False))
    sites = {name: Site(name, folder / name, images=images()) for name in RINGS}
    stage = Stage(folder=folder, hub=hub, sites=sites, load={}, commands={})
    await asyncio.gather(
        _enter_hub(stage, stack), *(stack.enter_async_context(site) for site in sites.values())
    )
    screen.line(f"hub {hub.server}")
    for site in sites.values():
        screen.line(f"{site.name:6} {site.plane.server}  gateway {site.gateway.url}")
    screen.chapter("The administrator registers the members: fleet cluster add")
    said = [asyncio.to_thread(_register, stage, name) for name in RINGS]
    for text in await asyncio.gather(*said):
        for line in text.splitlines():
            screen.line(line)
    return stage


async def _enter_hub(stage: Stage, stack: AsyncExitStack) -> None:
    await stack.enter_async_context(stage.hub)
    await asyncio.to_thread(_prepare_hub, stage)
    await asyncio.to_thread(_start_hub, stage, stack)


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


def _prepare_hub(stage: Stage) -> None:
    definitions.install(stage.hub, ROOT / "crds")
    stage.hub.kubectl("create", "namespace", NAMESPACE)
    for file in ("namespace.yaml", "rbac.yaml"):
        stage.hub.kubectl("apply", "-f", str(ROOT / "deploy" / "hub" / file))


def _start_hub(stage: Stage, stack: AsyncExitStack) -> None:
    """The hub as a process, under its own ServiceAccount with the rights of deploy/hub."""
    token = stage.hub.mint("kulta-fleet-hub", HUB_NAMESPACE, duration="12h")
    kubeconfig = stage.hub.write_kubeconfig(stage.folder / "hub-account.yaml", token)
    (port,) = ports.free(1)
    argv = [sys.executable, "-m", "fleet", "run", "hub", "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "POD_NAMESPACE": HUB_NAMESPACE,
        "POD_NAME": "demo-hub",
        "KULTA_ENGINE_ENV": "KULTA_ALLOW_LOOPBACK=true",
    }
    process = processes.start("hub", argv, log=stage.folder / "hub.log", env=environment, cwd=ROOT)
    stack.callback(process.stop)
    stage.commands["hub log"] = str(stage.folder / "hub.log")

    def led() -> bool:
        if not process.alive:
            raise RuntimeError(f"the hub ended with {process.code}:\n{process.tail()}")
        return stage.hub.call("GET", LEASES.path(HUB_NAMESPACE, HUB_LEASE))[0] == 200

    until(led, "the hub leads", within=30)


def _register(stage: Stage, name: str) -> str:
    site = stage.sites[name]
    argv = [
        *(sys.executable, "-m", "fleet", "cluster", "add", name),
        *("--kubeconfig", str(site.plane.kubeconfig), "--namespaces", "checkout"),
        *("--labels", f"ring={RINGS[name]}", "--prometheus", site.prometheus.url),
        *("--namespace", NAMESPACE, "--hub-kubeconfig", str(stage.hub.kubeconfig)),
    ]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise RuntimeError(f"fleet cluster add {name} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
