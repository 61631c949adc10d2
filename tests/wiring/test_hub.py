"""How a hub's process ends when its work does: with one sentence, never with a group of traces."""

import asyncio
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
