"""A member that sends more than any cluster has, or what no cluster sends: it harms only itself.

Lists without an end, objects too large or too deep, answers of a wrong type. What an answer or an
event may hold at most is in `test_transport` and `test_watch`.
"""

import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from fleet.api.names import ROLLOUTS
from fleet.clusters import watch
from fleet.clusters.client import Client
from fleet.clusters.store import Change
from fleet.clusters.transport import Session
from fleet.clusters.watch import PART, Informer
from fleet.errors import FleetError, Invalid, Unreachable
from tests.clusters.server import Server, rollout
from tests.waiting import until

PAGE = 50


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SHORTEST", 0.01)


class Seen:
    """An informer for at most a hundred objects, and what it told."""

    def __init__(self, client: Client, decode: Callable[[Any], Any], **more: Any) -> None:
        self.errors: list[FleetError] = []
        self.changes: list[Change[Any]] = []
        self.informer: Informer[Any] = Informer(
            client,
            ROLLOUTS,
            decode=decode,
            on=self.changes.append,
            on_error=self.errors.append,
            most=100,
            **more,
        )


@contextlib.asynccontextmanager
async def informing(
    client: Client, decode: Callable[[Any], Any] = lambda manifest: manifest["metadata"]["name"]
) -> AsyncIterator[Seen]:
    seen = Seen(client, decode)
    task = asyncio.create_task(seen.informer.run())
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def endless(server: Server, name: Callable[[int], str], size: int = 0) -> list[int]:
    """Let every page name a next one; the numbers of the pages that were asked for."""
    asked: list[int] = []

    async def page(request: web.Request) -> web.Response:
        number = int(request.query.get("continue") or 0)
        asked.append(number)
        server.answers.append(page)
        items = [rollout(name(number * PAGE + index), 5) for index in range(PAGE)]
        for item in items:
            item["spec"]["ballast"] = "x" * size
        meta = {"resourceVersion": "10", "continue": str(number + 1)}
        return web.json_response({"metadata": meta, "items": items})

    server.answers.append(page)
    return asked


@pytest.mark.parametrize(
    ("name", "size", "pages"),
    [
        pytest.param(lambda number: f"r-{number}", 0, 3, id="ever new objects"),
        pytest.param(lambda number: f"r-{number % PAGE}", 2_000, 60, id="the same for ever"),
        pytest.param(lambda number: f"r-{number}", 200_000, 1, id="few, each too large"),
    ],
)
async def test_a_list_without_an_end_is_no_list(
    client: Client,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    name: Callable[[int], str],
    size: int,
    pages: int,
) -> None:
    monkeypatch.setattr(watch, "MOST_BYTES", 2**20)
    asked = endless(server, name, size)
    async with informing(client) as seen:
        await until(lambda: seen.errors)
        assert isinstance(seen.errors[0], Unreachable)
        assert "more than 100 objects, or too large ones" in str(seen.errors[0])
        assert not seen.informer.synced.is_set(), "of such a member nothing is believed"
        assert len(seen.informer.store) <= 100, "what is too much is not taken first"
    assert max(asked) <= pages


async def test_a_watch_without_an_end_is_left(client: Client, server: Server) -> None:
    async with informing(client) as seen:
        await until(lambda: server.watches)
        for number in range(150):
            server.push("ADDED", rollout(f"r-{number}", 11 + number))
        await until(lambda: seen.errors)
        assert isinstance(seen.errors[0], Unreachable)
        assert len(seen.informer.store) == 101


async def test_of_a_list_one_page_is_held_at_a_time(client: Client, server: Server) -> None:
    """A hundred thousand objects as they travel are a gigabyte, and a third of that when kept."""
    held: list[int] = []
    pages = [(["a", "b"], "1"), (["c"], "2"), (["d"], "")]

    async def page(_: web.Request) -> web.Response:
        held.append(len(seen.informer.store))
        names, token = pages[len(held) - 1]
        meta = {"resourceVersion": "10", "continue": token}
        return web.json_response({"metadata": meta, "items": [rollout(n, 5) for n in names]})

    server.answers.extend([page, page, page])
    async with informing(client) as seen:
        await until(seen.informer.synced.is_set)
    assert (held[0], held[2] >= 2) == (0, True), "the next one is on its way, and no more"
    assert [change.key[1] for change in seen.changes] == ["a", "b", "c", "d"]


async def test_a_page_is_taken_a_few_objects_at_a_time(client: Client, server: Server) -> None:
    """Five hundred at once would keep everybody else waiting for a tenth of a second."""
    held: set[int] = set()

    async def look() -> None:
        while True:
            held.add(len(seen.informer.store))
            await asyncio.sleep(0)

    names = [f"r-{number:03}" for number in range(2 * PART + 1)]
    server.objects = [rollout(name, 5) for name in names]
    seen = Seen(client, dict)
    seen.informer.most = None
    looking = asyncio.create_task(look())
    task = asyncio.create_task(seen.informer.run())
    await until(seen.informer.synced.is_set)
    task.cancel()
    looking.cancel()
    assert {PART, 2 * PART} <= held
    assert [change.key[1] for change in seen.changes] == names, "in their order"


async def test_an_object_that_is_nested_too_deeply_makes_no_sense(
    client: Client, server: Server
) -> None:
    """For a decoder that goes down in it, as this one does with two calls a level."""
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"x": deep}
    server.objects = [{**rollout("deep", 5), "status": deep}, rollout("well", 5)]
    async with informing(client, copy.deepcopy) as seen:
        await until(seen.informer.synced.is_set)
        assert set(seen.informer.store) == {("shop", "well")}
    assert isinstance(seen.errors[0], Invalid)


async def test_a_number_beyond_all_bounds_makes_no_sense(client: Client, server: Server) -> None:
    items = [rollout("odd", 5, weight=1234), rollout("well", 5)]
    text = json.dumps({"metadata": {"resourceVersion": "10"}, "items": items})
    body = text.replace("1234", "1e999")
    server.answer(web.Response(text=body, content_type="application/json"))
    async with informing(client, lambda manifest: int(manifest["spec"]["weight"])) as seen:
        await until(seen.informer.synced.is_set)
        assert set(seen.informer.store) == {("shop", "well")}
    assert isinstance(seen.errors[0], Invalid)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"body": b"k8s\x00\n\x0b\n\x02v1\x12\x05List"}, id="protobuf"),
        pytest.param({"text": "kind: List\nitems: []\n"}, id="YAML"),
        pytest.param({"body": b"\xff\xfe{\x00}\x00"}, id="another encoding"),
        pytest.param({"body": b"[" * 100_000}, id="brackets without an end"),
        pytest.param({"status": 204}, id="no content"),
        pytest.param({"body": b'{"kind":"Table","rows":[]}'}, id="a table"),
    ],
)
async def test_an_answer_of_a_wrong_type_is_no_list(
    client: Client, server: Server, answer: dict[str, Any]
) -> None:
    server.answer(*(web.Response(**answer) for _ in range(4)))
    async with informing(client) as seen:
        await until(lambda: seen.errors)
    assert isinstance(seen.errors[0], Unreachable)
    assert seen.changes == []


async def test_each_request_page_and_watch_waits_for_its_turn(
    server: Server, session: Session
) -> None:
    """Where a thousand clusters share an event loop, whoever comes in bulk stands in line."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1

    client = Client("eu-7", server.config(), session, turn=turn)
    server.objects, server.pages = [rollout(name, 5) for name in "abc"], 2
    for work, expected in ((client.list(ROLLOUTS), 5), (_opened(client), 1)):
        turns = 0
        await work
        assert turns == expected
    assert len(server.requests) == 3


async def _opened(client: Client) -> None:
    """A watch until its first event."""
    watch = client.watch(ROLLOUTS, version="10", opened=lambda: None)
    async with contextlib.aclosing(watch) as events:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(events)
