"""The session that kopf is given: it brings our credentials, tells when a watch begins, and keeps
back what is no news."""

import asyncio
from typing import Any

import pytest

from fleet.clusters import sessions
from tests.clusters.server import TOKEN, Server, status
from tests.waiting import until


@pytest.mark.parametrize(
    ("query", "code", "heard"),
    [
        pytest.param({}, 200, 0, id="a list is no watch"),
        pytest.param({"watch": "true"}, 200, 1, id="a watch that the server takes"),
        pytest.param({"watch": "true"}, 403, 0, id="a watch that it refuses"),
    ],
)
async def test_a_watch_is_told_of_once_it_has_begun(
    server: Server, query: dict[str, str], code: int, heard: int
) -> None:
    told = list[Any]()
    server.answer(status(code))
    session = sessions.dedicated(
        server.config(), user_agent="test", watching=lambda: told.append(None)
    )
    async with session, session.get(f"{server.url}/apis", params=query) as answer:
        assert answer.status == code
    assert len(told) == heard
    assert server.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("parts", "heard"),
    [
        pytest.param([b"old\n", b"new\n"], b"new\n", id="lines that come by themselves"),
        pytest.param([b"old\nnew\nold\nnew\n"], b"new\nnew\n", id="lines that come together"),
        pytest.param([b"new ol", b"d", b"er\nol", b"d\n"], b"new older\n", id="torn lines"),
        pytest.param([b"new\n\nold\n"], b"new\n", id="an empty line"),
        pytest.param([b"new\n", b"ol"], b"new\nol", id="a line that was cut off"),
    ],
)
async def test_what_is_no_news_is_kept_back(
    server: Server, parts: list[bytes], heard: bytes
) -> None:
    session = sessions.dedicated(
        server.config(), user_agent="test", is_news=lambda line: line.startswith(b"new")
    )
    query, found = {"watch": "true"}, b""
    async with session, session.get(f"{server.url}/apis", params=query) as answer:
        await until(lambda: server.watches)
        for part in parts:
            server.watches[0].put_nowait(part)
            await asyncio.sleep(0.02)
        server.end_watches()
        async for part in answer.content.iter_chunked(1024):
            found += part
        assert answer.content.is_eof()
    assert found == heard


async def test_a_list_is_given_as_it_is(server: Server) -> None:
    session = sessions.dedicated(server.config(), user_agent="test", is_news=lambda _: False)
    async with session, session.get(f"{server.url}/apis") as answer:
        assert (await answer.json())["kind"] == "List"
