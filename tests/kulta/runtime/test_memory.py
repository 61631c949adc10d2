"""Rollouts that come and go leave nothing behind in the process that has seen them.

Real stores, core, outbox and metrics around a fake API server; a few here, 2,000 one after another
in `make check-deep`, where the memory is measured and printed.
"""

import gc
import os
from pathlib import Path

import pytest

from fleet.api import names
from fleet.api.rollout import Phase
from fleet.kulta.core import plan
from tests import search
from tests.kulta.runtime import objects
from tests.kulta.runtime.objects import NAMESPACE
from tests.kulta.runtime.test_reconcile import Bench

pytestmark = [search.in_time, pytest.mark.hypothesis]

IS_DEEP = search.MANY > 1_000
WARM, COUNT = (1_000, 2_000) if IS_DEEP else (2, 5)
"""What is remembered on purpose (parsed Rollouts, ends of objects) has its bounds by then."""
MOST = 1.05
"""Of the memory after the warm-up."""


class Place:
    """An engine, and what the rest of a cluster does."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.bench.reconciler.decide = plan.plan

    async def live(self, name: str) -> None:
        """One Rollout from its creation, over its second revision, to its end."""
        world, kube = self.bench.world, self.bench.kube
        made = kube.seed(names.ROLLOUTS, objects.rollout(name=name, uid=f"uid-{name}"))
        world.rollouts.known.see(made)
        for image in ("app:v1", "app:v2"):
            made["spec"]["template"]["spec"]["containers"][0]["image"] = image
            world.rollouts.known.see(await kube.replace(names.ROLLOUTS, made))
            made = await self._completed(name)
        await self._delete(name)
        for log in (kube.calls, self.bench.sent.events, self.bench.queue.after):
            log.clear()

    async def _completed(self, name: str) -> dict[str, object]:
        for _ in range(30):
            await self.bench.reconciler.reconcile((NAMESPACE, name))
            self.bench.clock.advance(20)
            await self._follow(name)
            found = self.bench.kube.peek(names.ROLLOUTS, name, NAMESPACE)
            assert found is not None
            status = found.get("status", {})
            is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
            if is_seen and status.get("phase") == Phase.COMPLETED:
                return found
        raise AssertionError(f"{name}: {found.get('status')}")

    async def _follow(self, name: str) -> None:
        """Sets have their pods, and those are ready."""
        kube, observer = self.bench.kube, self.bench.world.observer
        for found in await kube.list(names.REPLICASETS, NAMESPACE):
            meta = found["metadata"]
            if meta["labels"].get(names.ROLLOUT_LABEL) != name:
                continue
            for number in range(3):
                pod = objects.pod(f"{meta['name']}-{number}", owner=meta["uid"])
                pod["metadata"]["labels"] = dict(meta["labels"])
                there = kube.peek(names.PODS, pod["metadata"]["name"], NAMESPACE)
                if number < found["spec"]["replicas"] and there is None:
                    observer.remember(names.PODS, kube.seed(names.PODS, pod))
                elif number >= found["spec"]["replicas"] and there is not None:
                    await kube.delete(names.PODS, there["metadata"]["name"], NAMESPACE)
                    observer.pods.store.end(there)

    async def _delete(self, name: str) -> None:
        """Somebody deletes it, and the garbage collector what is its own."""
        kube, observer = self.bench.kube, self.bench.world.observer
        stores = {names.PODS: observer.pods.store, names.REPLICASETS: observer.replica_sets.store}
        for resource, store in stores.items():
            for found in await kube.list(resource, NAMESPACE):
                if found["metadata"]["labels"].get(names.ROLLOUT_LABEL) == name:
                    await kube.delete(resource, found["metadata"]["name"], NAMESPACE)
                    store.end(found)
        found = kube.peek(names.ROLLOUTS, name, NAMESPACE)
        assert found is not None
        await kube.delete(names.ROLLOUTS, name, NAMESPACE)
        self.bench.world.rollouts.known.end(found)
        await self.bench.reconciler.reconcile((NAMESPACE, name))


def resident() -> int:
    """Bytes of this process in memory."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def test_rollouts_that_come_and_go_leave_nothing_behind() -> None:
    place = Place()
    for number in range(WARM):
        await place.live(f"warm-{number}")
    gc.collect()
    before = resident()
    for number in range(COUNT):
        await place.live(f"r-{number}")
    gc.collect()
    share = resident() / before
    print(f"{COUNT} Rollouts later: {share:.1%} of {before / 2**20:.0f} MiB")  # noqa: T201
    world = place.bench.world
    assert len(world.rollouts.known) == len(list(world.observer.replica_sets.store)) == 1
    assert list(world.observer.pods.store) == []
    assert not IS_DEEP or share < MOST
