"""`make demo`: the main job, from an empty machine to a verdict for each claim.

With a terminal it stays up afterwards and prints what to type; without one, or with DEMO_EXIT=1, it
stops everything and exits 0 only if each claim held.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from e2e.demo import claims, stage, story
from e2e.demo.screen import Screen


async def main() -> int:
    """0 when every claim held, 1 otherwise."""
    screen = Screen()
    folder = Path(tempfile.mkdtemp(prefix="kulta-demo-"))
    try:
        async with AsyncExitStack() as stack:
            world = await stage.enter(stack, folder, screen)
            held = await _play(world, stack, screen)
            if sys.stdout.isatty() and os.environ.get("DEMO_EXIT") != "1":
                _invite(world, screen)
                await asyncio.Event().wait()
    finally:
        if os.environ.get("DEMO_KEEP") != "1":
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if held else 1


async def _play(world: stage.Stage, stack: AsyncExitStack, screen: Screen) -> bool:
    notes = story.Notes()
    async with story.watching(world, screen, notes):
        screen.chapter("v1 goes everywhere: kubectl apply -f examples/demo/")
        await story.deliver(world, notes, "v1")
        stage.begin_load(world, stack)
        await asyncio.sleep(2)
        screen.chapter("v2 is good: 25 %, 60 %, 100 %, judged at each step, cluster by cluster")
        await story.deliver(world, notes, "v2")
        screen.chapter("v3 answers 40 % of its requests with an error")
        await story.deliver(world, notes, claims.V3)
        screen.line(f"{claims.CANARY}: {story.failed_metric(notes, claims.CANARY)}", "red")
        await asyncio.sleep(4)
    verdicts = await asyncio.to_thread(claims.judge, world, notes)
    screen.verdicts(verdicts)
    return all(held for held, _, _ in verdicts)


def _invite(world: stage.Stage, screen: Screen) -> None:
    screen.chapter("It stays up for you; Ctrl-C stops everything")
    screen.line(
        f"export KUBECONFIG={world.hub.kubeconfig}      # hub: kubectl get fr,crl,mc -n shop"
    )
    for name, site in world.sites.items():
        screen.line(
            f"export KUBECONFIG={site.plane.kubeconfig}    # {name}: kubectl get ro,pods -A"
        )
    screen.line(f"curl -H 'Host: {stage.HOST}' {world.sites['alpha'].gateway.url}/")


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
