"""While the caller sees to one part of a list, the next one is on its way: one, and no more."""

import asyncio
import contextlib

import pytest
from aiohttp import web

from fleet.api.names import ROLLOUTS
from fleet.clusters.client import Client, Page
from fleet.clusters.transport import Session
from fleet.errors import Invalid
from tests.clusters.server import Server, rollout, status
from tests.waiting import until

MOMENT = 0.05
"""Seconds in which a request would have come that must not."""


@pytest.fixture(autouse=True)
def objects(server: Server) -> None:
    server.objects, server.pages = [rollout(name, 5) for name in "abcdef"], 2


def names(page: Page) -> list[str]:
    return [item["metadata"]["name"] for item in page.items]


async def test_the_next_part_is_asked_for_while_the_caller_has_one(
    client: Client, server: Server
) -> None:
    async with contextlib.aclosing(client.pages(ROLLOUTS)) as pages:
        for expected, asked in (("ab", 2), ("cd", 3), ("ef", 3)):
            assert names(await anext(pages)) == list(expected)
            await asyncio.sleep(MOMENT)
            assert len(server.requests) == asked


async def test_it_is_asked_for_before_the_caller_can_keep_the_loop_busy(
    session: Session, server: Server
) -> None:
    begun = 0

    async def turn() -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0)

    client = Client("eu-7", server.config(), session, turn=turn)
    async with contextlib.aclosing(client.pages(ROLLOUTS)) as pages:
        await anext(pages)
        assert begun == 4, "to ask, to read, to ask for the next, and who lets it go first"


async def test_who_leaves_early_leaves_nothing_behind(client: Client, server: Server) -> None:
    asked = asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        asked.set()
        return await asyncio.get_running_loop().create_future()

    before = asyncio.all_tasks()
    async with contextlib.aclosing(client.pages(ROLLOUTS)) as pages:
        await anext(pages)
        server.answers.append(never)
        await asked.wait()
    assert {task for task in asyncio.all_tasks() - before if "_part" in repr(task)} == set()


async def test_what_goes_wrong_ahead_is_told_when_its_turn_comes(
    client: Client, server: Server
) -> None:
    first = web.json_response(
        {"metadata": {"resourceVersion": "5", "continue": "2"}, "items": server.objects[:2]}
    )
    server.answer(first, status(400, "BadRequest"))
    async with contextlib.aclosing(client.pages(ROLLOUTS)) as pages:
        page = await anext(pages)
        await until(lambda: len(server.requests) == 2)
        await asyncio.sleep(MOMENT)
        assert names(page) == ["a", "b"]
        with pytest.raises(Invalid):
            await anext(pages)


async def test_what_is_asked_for_ahead_ends_with_who_waits_for_it(
    client: Client, server: Server
) -> None:
    async def slow(_: web.Request) -> web.Response:
        return await asyncio.get_running_loop().create_future()

    async def read() -> None:
        async with contextlib.aclosing(client.pages(ROLLOUTS)) as pages:
            await anext(pages)
            server.answers.append(slow)
            await anext(pages)

    reading = asyncio.create_task(read())
    await until(lambda: len(server.requests) == 2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert client._slots._free == client.inflight, "no place is held by it"
