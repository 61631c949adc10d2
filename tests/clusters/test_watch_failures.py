"""The informer when nothing comes: refusals, silence, breaks, a stop; what it trusts after them.

What it tells while all goes well is `test_watch`.
"""

import asyncio

import pytest

from fleet.clusters import transport
from fleet.clusters.client import Client
from fleet.clusters.errors import CircuitOpen
from fleet.clusters.health import Breaker
from fleet.errors import Unauthorized, Unreachable
from tests.clusters.informing import Seen, informing, relisted, watching
from tests.clusters.server import Server, rollout, status
from tests.waiting import until


async def test_wrong_credentials_are_reported_and_tried_again(
    client: Client, server: Server
) -> None:
    server.answer(status(401, message="Unauthorized"), status(401, message="Unauthorized"))
    async with informing(client) as seen:
        await watching(server, seen)
    assert [type(error) for error in seen.errors] == [Unauthorized, Unauthorized]


async def test_a_silent_watch_begins_anew_and_is_no_failure(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose objects stand still has no bookmark to send; to open one may take its time."""
    silence = transport._Silence
    monkeypatch.setattr(transport, "_Silence", lambda content, _: silence(content, 0.2))
    async with informing(client) as seen:
        await until(lambda: len(server.watches) == 3)
    lists = [request for request in server.requests if "watch" not in request.query]
    assert (seen.errors, len(lists)) == ([], 1)


async def test_a_quiet_watch_is_ended_by_the_server_before_it_counts_as_silent(
    client: Client, server: Server
) -> None:
    """On the connection that is there; one that brought something lasts for minutes."""
    async with informing(client) as seen:
        await watching(server, seen)
        server.end_watches()
        await until(lambda: len(server.watches) == 1)
        server.push("ADDED", rollout("a", 12))
        await until(lambda: seen.changes)
        server.end_watches()
        await until(lambda: len(server.watches) == 1)
        connections = {request.transport for request in server.requests}
    asked = [request for request in server.requests if "watch" in request.query]
    seconds = [int(request.query["timeoutSeconds"]) for request in asked]
    assert max(seconds[:2]) < transport.SILENCE_SECONDS < 240 <= seconds[2]
    assert (len(connections), None in connections) == (1, False)


async def test_after_three_failures_the_version_is_not_trusted(
    client: Client, server: Server
) -> None:
    server.objects = [rollout("a", 5, weight=1)]
    async with informing(client) as seen:
        await watching(server, seen)
        server.version, server.objects = 3, []  # restored from a backup: it counts from lower
        server.answer(*(status(504, message="Too large resource version") for _ in range(3)))
        server.end_watches()
        await relisted(seen)
    assert seen.take()[1:] == [("DELETED", "a", 1, None)]


async def test_while_the_circuit_is_open_the_informer_waits_for_it(
    client: Client, server: Server
) -> None:
    client.breaker = Breaker(threshold=1, base=0.5).fail(client.monotonic(), 1.0)
    opens = client.breaker.until
    async with informing(client) as seen:
        await watching(server, seen)
    assert ([type(error) for error in seen.errors], client.monotonic() >= opens) == (
        [CircuitOpen],
        True,
    )


async def test_an_oversized_event_is_refused(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_EVENT_BYTES", 1_000)
    async with informing(client) as seen:
        await watching(server, seen)
        server.watches[0].put_nowait(b"x" * 2_000)
        await until(lambda: seen.errors)
    assert isinstance(seen.errors[0], Unreachable)


async def test_stopped_and_started_it_goes_on_where_it_was(client: Client, server: Server) -> None:
    seen = Seen(client)
    for _ in range(2):
        task = asyncio.create_task(seen.informer.run())
        await until(lambda: server.watches)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.end_watches()
    assert [request.query.get("watch") for request in server.requests] == [None, "true", "true"]


async def test_the_age_is_since_the_last_byte(client: Client, server: Server) -> None:
    now = 100.0
    client.monotonic = lambda: now
    async with informing(client) as seen:
        before = seen.informer.last_byte
        await watching(server, seen)
        listed = seen.informer.last_byte
        now = 150.0
        server.push("BOOKMARK", {"metadata": {"resourceVersion": "50"}})
        await until(lambda: seen.informer.last_byte != listed)
        assert (before, listed, seen.informer.last_byte) == (float("-inf"), 100.0, 150.0)
