"""The demo's plot: deliver v1, v2 and v3, and note when each member changed, seen from outside.

`__main__` calls the chapters in order. What is noted here comes from watches of the members and
from the load generator, never from what the hub says of itself.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from e2e.demo.screen import Screen
from e2e.demo.stage import NAMESPACE, ROOT, Stage
from e2e.ground import binaries
from fleet.api import names
from fleet.clusters.client import Client, open_session
from fleet.clusters.config import load_kubeconfig
from fleet.clusters.watch import Change, Informer

ENDS = ("Succeeded", "SucceededWithFailures", "Halted", "Superseded", "Aborted")
LIMIT = 120.0
"""Seconds for one delivery; v2 takes about 60."""
SHARE_WINDOW = 2.5


@dataclass(frozen=True, slots=True)
class Moment:
    """A member's Rollout changed: when (monotonic seconds), and to what."""

    at: float
    image: str
    phase: str
    weight: int
    status: dict[str, Any]


@dataclass
class Notes:
    """What was seen, by member, in order; and when each delivery began and ended."""

    moments: dict[str, list[Moment]] = field(default_factory=dict)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    ends: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Version → the run's object at its end."""


@asynccontextmanager
async def watching(stage: Stage, screen: Screen, notes: Notes) -> AsyncIterator[None]:
    """Follow the members' Rollouts and the hub's runs, and show both while the body runs."""
    async with open_session() as session, asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_table(stage, screen))]
        for name, site in stage.sites.items():
            client = Client(name, load_kubeconfig(site.plane.kubeconfig), session)
            follow = Informer(
                client, names.ROLLOUTS, decode=lambda item: item, on=_noting(notes, name)
            )
            running.append(tasks.create_task(follow.run()))
        running.append(tasks.create_task(_traffic(stage, screen)))
        yield
        for task in running:
            task.cancel()


async def deliver(stage: Stage, notes: Notes, version: str) -> dict[str, Any]:
    """Change the Application's image and wait for the end of the run; returns the run."""
    begin = time.monotonic()
    if version == "v1":
        manifests = ROOT / "examples" / "demo"
        await asyncio.to_thread(stage.kubectl, "apply", "-f", str(manifests))
    else:
        path = "/spec/workload/template/spec/containers/0/image"
        patch = f'[{{"op": "replace", "path": "{path}", "value": "sample:{version}"}}]'
        await asyncio.to_thread(
            stage.kubectl, "patch", "application", "checkout", "--type=json", "-p", patch
        )
    number = len(notes.ends) + 1
    run = await _ended(stage, f"checkout-{number}")
    notes.spans[version] = (begin, time.monotonic())
    notes.ends[version] = run
    return run


def failed_metric(notes: Notes, member: str) -> str:
    """The metric that a member's engine judged, with value and threshold, as its status says."""
    for moment in reversed(notes.moments.get(member, [])):
        for decision in reversed(moment.status.get("decisions") or []):
            for name, result in (decision.get("metrics") or {}).items():
                if not result["passed"]:
                    value, threshold = result["value"], result["threshold"]
                    return f"{name} {value:.1f} is not below {threshold:g}"
    return "no failed metric in the member's decisions"


async def _ended(stage: Stage, run: str) -> dict[str, Any]:
    deadline = time.monotonic() + LIMIT
    path = names.FLEETROLLOUTS.path(NAMESPACE, run)
    while time.monotonic() < deadline:
        code, found = await asyncio.to_thread(stage.hub.call, "GET", path)
        if code == 200 and (found.get("status") or {}).get("phase") in ENDS:
            return dict(found)
        await asyncio.sleep(0.2)
    raise TimeoutError(f"{run} did not end within {LIMIT:g} s: {stage.kubectl('get', 'crl')}")


def _noting(notes: Notes, member: str) -> "Callable[[Change[dict[str, Any]]], None]":
    def note(change: "Change[dict[str, Any]]") -> None:
        if change.new is None:
            return
        spec, status = change.new["spec"], change.new.get("status") or {}
        moment = Moment(
            at=time.monotonic(),
            image=spec["template"]["spec"]["containers"][0]["image"],
            phase=status.get("phase", ""),
            weight=status.get("currentWeight") or 0,
            status=status,
        )
        notes.moments.setdefault(member, []).append(moment)

    return note


async def _table(stage: Stage, screen: Screen) -> None:
    """kubectl's own table, line by line as it changes."""
    process = await asyncio.create_subprocess_exec(
        str(binaries.find("kubectl")),
        *("--kubeconfig", str(stage.hub.kubeconfig), "-n", NAMESPACE),
        *("get", "fleetrollouts", "--watch"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            screen.kubectl(line.decode().rstrip())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _traffic(stage: Stage, screen: Screen) -> None:
    while True:
        await asyncio.sleep(1)
        for name, generator in stage.load.items():
            screen.shares(name, generator.share(time.monotonic() - SHARE_WINDOW))
