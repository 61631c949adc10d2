"""The demo's plot: deliver v1, v2 and v3, and show what happens as it happens.

`__main__` calls the chapters in order; `claims` judges afterwards, from other sources than these.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from e2e.demo.screen import Screen
from e2e.demo.stage import NAMESPACE, ROOT, Stage
from e2e.ground import binaries
from fleet.api import names

ENDS = ("Succeeded", "SucceededWithFailures", "Halted", "Superseded", "Aborted")
LIMIT = 600.0
"""Seconds for one delivery; v2 takes about 55."""
SHARE_WINDOW = 2.5


@dataclass
class Notes:
    """By version: when its delivery began and ended, in monotonic seconds, and how."""

    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    ends: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The run's object at its end."""


@asynccontextmanager
async def watching(stage: Stage, screen: Screen) -> AsyncIterator[None]:
    """Show the hub's runs and the members' traffic while the body runs."""
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(_table(stage, screen)),
            tasks.create_task(_traffic(stage, screen)),
        ]
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


async def answered(stage: Stage, member: str, count: int) -> None:
    """Wait until a member's clients have had so many answers more."""
    load = stage.load[member]
    enough, deadline = len(load.answers) + count, time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if len(load.answers) >= enough:
            return
        await asyncio.sleep(0.1)


async def _ended(stage: Stage, run: str) -> dict[str, Any]:
    deadline = time.monotonic() + LIMIT
    path = names.FLEETROLLOUTS.path(NAMESPACE, run)
    while time.monotonic() < deadline:
        code, found = await asyncio.to_thread(stage.hub.call, "GET", path)
        if code == 200 and (found.get("status") or {}).get("phase") in ENDS:
            return dict(found)
        await asyncio.sleep(0.2)
    raise TimeoutError(f"{run} did not end within {LIMIT:g} s: {stage.kubectl('get', 'crl')}")


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
