"""A hub that begins, and does not know all its members yet: what it looks at before it does.

Whatever is as it was left has had its look then, and no other follows. Everything else waits until
all members are known, and nothing is written before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fleet import aio
from fleet.api.names import (
    CLUSTERROLLOUTS,
    FLEETROLLOUTS,
    FLEETS,
    ROLLOUTS,
    Key,
)
from fleet.hub.runtime import dispatching, membership, reconcile, triggers
from fleet.hub.runtime.context import Dispatches
from tests.hub import gen
from tests.hub.runtime.desk import TENANT, Desk
from tests.waiting import until

EAST, WEST = (TENANT, "checkout.east"), (TENANT, "checkout.west")
LOOKED = 'fleet_reconciliations_total{kind="ClusterRollout",result="success"} '


def report(desk: Desk, cluster: str, phase: str) -> None:
    """The engine's word, and the hub's watch of it."""
    found = desk.member(cluster).peek(ROLLOUTS, "checkout", "checkout")
    assert found is not None
    found["status"] = {
        "phase": phase,
        "observedGeneration": found["metadata"]["generation"],
        "fleetRevision": found["spec"]["fleetRevision"],
    }
    seen = desk.member(cluster).seed(ROLLOUTS, found)
    handle = desk.link(cluster).handle
    assert handle is not None
    handle.informers[ROLLOUTS].store.see(seen)


def change(desk: Desk, resource: Any, name: str, part: str, **fields: Any) -> None:
    """Somebody writes that part of an object, and the hub sees it."""
    found = desk.kube.peek(resource, name, TENANT)
    assert found is not None
    desk.put(resource, {**found, part: {**found[part], **fields}})


@pytest.fixture
async def desk() -> Desk:
    """Two clusters in which checkout-1 has succeeded, as their ClusterRollouts say."""
    made = Desk()
    made.put(FLEETS, gen.fleet())
    made.put(FLEETROLLOUTS, gen.run(gen.wave("all", "east", "west")))
    for name in ("east", "west"):
        await membership.reconcile(made.hub, made.register(name, engine={"mode": "External"}))
        made.live(name)
        body = gen.item(name).manifest()
        body["status"] = {}
        made.put(CLUSTERROLLOUTS, body)
        for phase in ("Progressing", "Completed"):
            await dispatching.dispatch(made.hub, (TENANT, f"checkout.{name}"))
            report(made, name, phase)
        await dispatching.dispatch(made.hub, (TENANT, f"checkout.{name}"))
    return made


def calls(desk: Desk) -> list[int]:
    return [len(kube.calls) for kube in (desk.kube, *desk.members.values())]


async def test_what_is_as_it_was_left_is_at_rest(desk: Desk) -> None:
    before = calls(desk)
    assert dispatching.is_at_rest(desk.hub, EAST)
    assert calls(desk) == before


async def unknown(desk: Desk) -> None:
    items = desk.hub.stores.items
    items.correct(EAST, None, items.moment)


async def gone(desk: Desk) -> None:
    await desk.kube.delete(CLUSTERROLLOUTS, EAST[1], TENANT)
    desk.see(CLUSTERROLLOUTS, EAST[1])


async def unseen(desk: Desk) -> None:
    runs = desk.hub.stores.runs
    runs.correct((TENANT, "checkout-1"), None, runs.moment)


async def silent(desk: Desk) -> None:
    desk.clock.advance(60)
    triggers.poke(desk.hub, desk.link("east"))


async def failed(desk: Desk) -> None:
    report(desk, "east", "Failed")


async def lost(desk: Desk) -> None:
    handle = desk.link("east").handle
    assert handle is not None
    store = handle.informers[ROLLOUTS].store
    store.correct(("checkout", "checkout"), None, store.moment)


async def held(desk: Desk) -> None:
    change(desk, CLUSTERROLLOUTS, EAST[1], "spec", hold="eu-7 has failed")


async def wished(desk: Desk) -> None:
    want = {"run": "checkout-1", "revision": "rev1", "attempt": 1}
    change(desk, CLUSTERROLLOUTS, EAST[1], "spec", want=want)


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(unknown, id="it has not been listed yet"),
        pytest.param(gone, id="it is deleted"),
        pytest.param(unseen, id="its run has not been seen"),
        pytest.param(silent, id="its member is not believed"),
        pytest.param(failed, id="its engine says something else"),
        pytest.param(lost, id="its Rollout is gone"),
        pytest.param(held, id="it is to be held"),
        pytest.param(wished, id="it is to be tried again"),
    ],
)
async def test_whatever_else_is_found_waits(
    desk: Desk, happens: Callable[[Desk], Awaitable[None]]
) -> None:
    await happens(desk)
    before = calls(desk)
    assert not dispatching.is_at_rest(desk.hub, EAST)
    assert calls(desk) == before, "nothing is written, and nobody asked"


def looks(desk: Desk) -> float:
    lines = desk.hub.metrics.exposition().decode().splitlines()
    return sum(float(line.removeprefix(LOOKED)) for line in lines if line.startswith(LOOKED))


class Begun:
    """The queue of a hub that begins; `handled` is who was looked at once all are known."""

    def __init__(self, desk: Desk) -> None:
        self.queue, self.handled = Dispatches(), list[Key]()
        desk.hub.queues.dispatches = self.queue
        self._tasks = [asyncio.create_task(reconcile.run_early(desk.hub))]

    async def know_all(self) -> None:
        """All members are known."""

        async def handle(key: Key) -> None:
            self.handled.append(key)

        await self.end()
        self._tasks = [asyncio.create_task(self.queue.run(handle))]

    async def end_with(self, *keys: Key) -> None:
        """Once all are known, these are looked at, and nobody else."""
        await self.know_all()
        await until(lambda: self.handled)
        await self.end()
        assert self.handled == [*keys]

    async def end(self) -> None:
        await aio.cancel(*self._tasks)


async def test_each_cluster_is_looked_at_once(desk: Desk) -> None:
    """However often it is asked for: one is as it was left, and of the other there is news."""
    report(desk, "west", "Failed")
    begun = Begun(desk)
    await asyncio.sleep(0)
    for name in ("east", "west"):
        for _ in range(3):
            triggers.everybody(desk.hub, (TENANT, name))
    await until(lambda: looks(desk) == 1)
    await begun.end_with(WEST)


async def test_a_member_that_is_not_believed_is_not_looked_at(desk: Desk) -> None:
    desk.clock.advance(60)
    triggers.poke(desk.hub, desk.link("west"))
    desk.live("east")
    begun = Begun(desk)
    await asyncio.sleep(0)
    for key in (WEST, EAST):
        begun.queue.add(key)
    await until(lambda: looks(desk) == 1)
    await begun.end_with(WEST)


async def test_what_comes_after_an_early_look_is_looked_at(desk: Desk) -> None:
    begun = Begun(desk)
    await asyncio.sleep(0)
    begun.queue.add(EAST)
    await until(lambda: looks(desk) == 1)
    report(desk, "east", "Failed")
    await begun.end_with(EAST)
