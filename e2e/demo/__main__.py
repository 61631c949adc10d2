"""`make demo`: the main job, from an empty machine to a verdict for each claim.

With a terminal it stays up afterwards and prints what to type; without one, or with DEMO_EXIT=1, it
stops everything and exits 0 only if each claim held. Its last lines say how it ended, and why.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from e2e.demo import claims, evidence, stage, story
from e2e.demo.screen import Screen
from e2e.ground import binaries

BEFORE_V2, AFTERMATH = 2.0, 2.0
"""Seconds of traffic before the second version, and after the rollback of the third."""


def main() -> int:
    """0 when every claim held, 1 otherwise, 130 after Ctrl-C and 143 after `kill`."""
    screen = Screen()
    verdicts: list[claims.Verdict] = []
    trouble: BaseException | None = None
    try:
        asyncio.run(_perform(screen, verdicts))
    except KeyboardInterrupt:
        return 130
    except asyncio.CancelledError:
        return 143
    except BaseException as error:  # noqa: BLE001 - told in the last lines, whatever it is
        trouble = error
    return 0 if screen.end(verdicts, trouble) else 1


async def _perform(screen: Screen, verdicts: list[claims.Verdict]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="kulta-demo-"))
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with AsyncExitStack() as stack:
            world = await stage.enter(stack, folder, screen)
            verdicts += await _play(world, stack, screen)
            if sys.stdout.isatty() and os.environ.get("DEMO_EXIT") != "1":
                invite(world, screen)
                await asyncio.Event().wait()
    finally:
        if os.environ.get("DEMO_KEEP") != "1":
            shutil.rmtree(folder, ignore_errors=True)


async def _play(world: stage.Stage, stack: AsyncExitStack, screen: Screen) -> list[claims.Verdict]:
    notes = story.Notes()
    async with story.watching(world, screen):
        screen.chapter("v1 goes everywhere: kubectl apply -f examples/demo/")
        await story.deliver(world, notes, "v1")
        stage.begin_load(world, stack)
        await asyncio.sleep(BEFORE_V2)
        screen.chapter("v2 is good: 25 %, 60 %, 100 %, judged at each step, cluster by cluster")
        await story.deliver(world, notes, "v2")
        screen.chapter("v3 answers 40 % of its requests with an error")
        await story.deliver(world, notes, claims.V3)
        screen.line(f"{claims.CANARY}: {evidence.failed_metric(world, claims.CANARY)}", "red")
        await asyncio.sleep(AFTERMATH)
        await story.answered(world, claims.CANARY, claims.ENOUGH)
    verdicts = await asyncio.to_thread(claims.judge, world, notes)
    screen.verdicts(verdicts)
    return verdicts


def invite(world: stage.Stage, screen: Screen) -> None:
    """What to type in another terminal, and where."""
    screen.chapter("It stays up for you; Ctrl-C stops everything")
    programs = (Path(sys.executable).parent, binaries.find("kubectl").parent)
    shown = {
        f"export PATH={':'.join(map(str, programs))}:$PATH": "fleet and kubectl of this demo",
        f"export KUBECONFIG={world.hub.kubeconfig}": "hub: fleet get -A; kubectl get fr -A",
    }
    for name, site in world.sites.items():
        shown[f"export KUBECONFIG={site.plane.kubeconfig}"] = f"{name}: fleet rollout get -A"
    for command, what in shown.items():
        screen.line(f"# {what}", "dim")
        screen.line(command)
    screen.line("# alpha answers:", "dim")
    screen.line(f"curl -H 'Host: {stage.HOST}' {world.sites['alpha'].gateway.url}/")


if __name__ == "__main__":
    sys.exit(main())
