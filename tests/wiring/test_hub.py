"""How a hub's process ends when its work does: with one sentence, never with a group of traces."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fleet.clusters.client import open_session
from fleet.clusters.config import ClientConfig
from fleet.clusters.lease import Alone
from fleet.errors import UnexpectedState
from fleet.settings import Connection, HubSettings
from fleet.telemetry.metrics import HubMetrics
from fleet.telemetry.server import Health
from fleet.wiring import hub
from tests.waiting import until

CHOSEN = HubSettings(
    identity="hub-0", connection=Connection(kubeconfig=Path("nowhere")), leader_election=False
)


class Leading(Alone):
    """Leads, with that as its work."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self.work = work

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        await self.work()


async def lost() -> None:
    """Work that returns: so it is when leadership is lost."""


async def kopf_ends() -> None:
    """Work as `_lead` does it: in groups, where one task's end ends the others."""

    async def watch() -> None:
        raise UnexpectedState("kopf has ended")

    async with asyncio.TaskGroup() as outer, asyncio.TaskGroup() as tasks:
        outer.create_task(asyncio.sleep(60))
        tasks.create_task(asyncio.sleep(60))
        tasks.create_task(watch())


@pytest.mark.parametrize(
    ("work", "said"),
    [
        pytest.param(lost, "leadership is lost", id="leadership that is lost"),
        pytest.param(kopf_ends, "kopf has ended", id="a part that has ended"),
    ],
)
async def test_a_hub_whose_work_ends_says_why(
    work: Callable[[], Awaitable[None]], said: str
) -> None:
    async with open_session() as session:
        config = ClientConfig(server="http://127.0.0.1:9")
        made = hub.compose(CHOSEN, config, session, Health(), HubMetrics())
        made.elector = Leading(work)
        with pytest.raises(UnexpectedState, match=said):
            await made.run_until_asked()


async def test_members_are_met_while_the_own_objects_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred thousand take half a minute, and a member its time to answer and to renew its
    Lease; nothing is decided before both are known. Who is known by then is looked at meanwhile,
    and by nobody else once all are."""
    met, looks, decides = asyncio.Event(), asyncio.Event(), asyncio.Event()
    together: list[bool] = []

    async def at_once(*_: object) -> None:
        await asyncio.sleep(0)

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    async def identity(_: hub.Hub) -> str:
        return "hub-1"

    async def meet(_: object) -> None:
        met.set()
        await never()

    async def look(_: object) -> None:
        looks.set()
        try:
            await never()
        finally:
            looks.clear()

    async def decide(_: object) -> None:
        together.append(looks.is_set())
        decides.set()
        await never()

    monkeypatch.setattr(hub.Hub, "_identify", identity)
    monkeypatch.setattr(hub, "loading", contextlib.nullcontext)  # it is for a whole process
    monkeypatch.setattr(hub.Informer, "run", never)
    monkeypatch.setattr(hub.EventRecorder, "run", never)
    monkeypatch.setattr(hub.resync, "prime", at_once)
    monkeypatch.setattr(hub.watching, "watch", never)
    monkeypatch.setattr(hub.reconcile, "run_members", meet)
    monkeypatch.setattr(hub.reconcile, "run_early", look)
    monkeypatch.setattr(hub.reconcile, "run_others", decide)
    async with open_session() as session:
        config, health = ClientConfig(server="http://127.0.0.1:9"), Health()
        made = hub.compose(CHOSEN, config, session, health, HubMetrics())
        running = asyncio.create_task(made.run_until_asked())
        await asyncio.sleep(0.05)
        assert not met.is_set(), "their Secrets are not known yet"
        made.secrets.synced.set()
        await until(lambda: met.is_set() and looks.is_set())
        made.templates.synced.set()
        await asyncio.sleep(0.05)
        assert not decides.is_set(), "what it has delivered is not known yet"
        made.items.synced.set()
        await until(decides.is_set)
        assert together == [False]
        health.shutdown.request()
        await running
