"""The session that kopf is given: it brings our credentials, tells when a watch begins, keeps back
what is no news, and lets nothing go on from before a time in which nobody answered."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

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


async def refuse(_: web.Request) -> web.Response:
    return status(503)


async def forbid(_: web.Request) -> web.Response:
    return status(403)


async def hang_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return status(503)


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        pytest.param(hang_up, ["sets 7", "sets 1", "sets 7", "pods 1"], id="nobody has answered"),
        pytest.param(refuse, ["sets 7", "sets 1", "sets 7", "pods 1"], id="nobody behind a proxy"),
        pytest.param(forbid, ["sets 7", "pods 7"], id="the server has refused"),
    ],
)
async def test_a_watch_does_not_go_on_from_before_a_failure(
    server: Server, failure: Answer, expected: list[str]
) -> None:
    """The server may have been restored, and would be silent up to that version. A kind that has
    been listed since goes on, and no other."""
    going_on = {"watch": "true", "resourceVersion": "7"}

    async def ask(path: str, query: dict[str, str]) -> None:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(f"{server.url}/{path}", params=query):
                pass

    async with sessions.dedicated(server.config(), user_agent="test") as session:
        for path in ("sets", "pods"):
            await ask(path, {})
        server.answers += (failure, failure)  # the library itself tries a second time
        await ask("sets", going_on)
        await ask("sets", going_on)
        await ask("sets", {"limit": "100"})
        await ask("sets", going_on)
        await ask("pods", {"limit": "100", "continue": "1"})
        await ask("pods", going_on)
    asked = [request for request in server.requests if "watch" in request.query]
    told = [f"{request.path[1:]} {request.query['resourceVersion']}" for request in asked]
    assert [each for each, _ in itertools.groupby(told)] == expected


GOING_ON = {"watch": "true", "resourceVersion": "7"}


async def watch(session: aiohttp.ClientSession, server: Server) -> None:
    """As kopf: until it ends, if need be by a cancellation."""
    with contextlib.suppress(aiohttp.ClientError, asyncio.CancelledError):
        async with session.get(f"{server.url}/sets", params=GOING_ON) as said:
            async for _ in said.content.iter_chunked(1024):
                pass


async def say_nothing(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return status(503)


async def be_quiet(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.sleep(60)
    return response


async def break_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"{}\n")
    await asyncio.sleep(0.02)
    assert request.transport is not None
    request.transport.abort()
    return response


async def end(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"{}\n")
    return response


@pytest.mark.parametrize(
    ("ending", "is_given_up", "version"),
    [
        pytest.param(say_nothing, True, "1", id="the server has not said a word"),
        pytest.param(break_off, False, "1", id="the server has broken it off"),
        pytest.param(end, False, "7", id="the server has ended it in order"),
        pytest.param(be_quiet, True, "7", id="the server had nothing to say"),
    ],
)
async def test_how_a_watch_has_ended_says_whether_it_goes_on(
    server: Server, ending: Answer, is_given_up: bool, version: str
) -> None:
    begun = asyncio.Event()
    session = sessions.dedicated(server.config(), user_agent="test", watching=begun.set)
    async with session:
        async with session.get(f"{server.url}/sets"):
            pass
        server.answers.append(ending)
        watching = asyncio.create_task(watch(session, server))
        if is_given_up:
            await until(lambda: len(server.requests) > 1 and begun.is_set() == (ending is be_quiet))
            watching.cancel()
        await watching
        server.answers.append(end)
        await watch(session, server)
    assert [request.query.get("resourceVersion") for request in server.requests] == [
        None,
        "7",
        version,
    ]


async def test_a_watch_does_not_go_on_from_the_list_of_another_session(server: Server) -> None:
    """kopf logs in again after a 401, such as of a server that is on its way up, and goes on from
    where it was; who has failed before then is forgotten with the session."""
    server.answers.extend((end, refuse, end, end, end))
    async with sessions.dedicated(server.config(), user_agent="test") as session:
        async with session.get(f"{server.url}/sets"):
            pass
        await watch(session, server)
    async with sessions.dedicated(server.config(), user_agent="test") as session:
        await watch(session, server)
        async with session.get(f"{server.url}/sets"):
            pass
        await watch(session, server)
    assert [request.query.get("resourceVersion") for request in server.requests] == [
        None,
        "7",
        "1",
        None,
        "7",
    ]


async def test_a_list_is_told_of_before_it_is_asked_for(server: Server) -> None:
    told = list[Any]()
    session = sessions.dedicated(
        server.config(), user_agent="test", listing=lambda: told.append(len(server.requests))
    )
    async with session:
        for query in ({"limit": "1"}, {"limit": "1", "continue": "1"}, GOING_ON, {}):
            server.answers.append(end)
            async with session.get(f"{server.url}/sets", params=query):
                pass
    assert told == [0, 3]
