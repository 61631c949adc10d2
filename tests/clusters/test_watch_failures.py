"""The informer when nothing comes: refusals, silence, breaks, a stop; what it trusts after them.

What it tells while all goes well is `test_watch`.
"""

import asyncio
from typing import Any

import pytest

from fleet.clusters import transport
from fleet.clusters.client import Client
from fleet.clusters.errors import CircuitOpen
from fleet.clusters.health import Breaker
from fleet.clusters.watch import FEW
from fleet.errors import Unauthorized, Unreachable
from tests.clusters.informing import Seen, informing, later, relisted, watching
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
    assert seen.errors == []


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


# --- what is trusted afterwards -------------------------------------------------------------------


def many(*versions: int) -> list[dict[str, Any]]:
    """So many Rollouts that a list of them costs more than a question."""
    rest = (rollout(f"other-{number}", 1) for number in range(FEW))
    return [*(rollout("a", version, weight=version) for version in versions), *rest]


def queries(server: Server) -> list[Any]:
    return [request.query for request in server.requests]


def cut(server: Server) -> None:
    """Break the open watch with no word of what is going on behind it."""
    for request in server.requests:
        if request.transport is not None:
            request.transport.abort()
    server.watches.clear()


@pytest.mark.parametrize("how", ["broken", "silent", "ended"])
@pytest.mark.parametrize("objects", [[rollout("a", 9, weight=9)], many(9)], ids=["few", "many"])
async def test_a_server_that_was_restored_behind_one_break_is_noticed(
    client: Client,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    objects: list[dict[str, Any]],
    how: str,
) -> None:
    """Something held the connection meanwhile, so that no attempt failed: the first that passes is
    answered by a server that counts from lower and would keep a watch from 10 open, and empty. One
    that is stopped orderly ends its watches in order."""
    server.objects = objects
    if how == "silent":
        silence = transport._Silence
        monkeypatch.setattr(transport, "_Silence", lambda content, _: silence(content, 0.2))
    async with informing(client) as seen:
        await watching(server, seen)
        seen.take()
        server.version, server.objects = 7, [rollout("a", 5, weight=5), *objects[1:]]
        if how == "broken":
            cut(server)
        if how == "ended":
            server.end_watches()
        await until(lambda: queries(server)[-1].get("resourceVersion") == "7")
    assert seen.take() == [("MODIFIED", "a", 9, 5)]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(1, [(None, "10")], id="in time"),
        pytest.param(4, [("1", None), (None, "10")], id="early"),
    ],
)
async def test_only_a_watch_that_ended_before_its_time_costs_a_question(
    client: Client, server: Server, before: int, expected: list[Any]
) -> None:
    server.objects = many(9)
    async with informing(client) as seen:
        await watching(server, seen)
        later(client, int(queries(server)[-1]["timeoutSeconds"]) - before)
        server.end_watches()
        await until(lambda: server.watches)
    asked = [(query.get("limit"), query.get("resourceVersion")) for query in queries(server)]
    assert asked == [("500", None), (None, "10"), *expected]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((504, "Timeout", ""), id="it has yet to reach that version"),
        pytest.param((503, "", ""), id="a proxy has nobody behind it"),
        pytest.param((401, "Unauthorized", ""), id="it has no such account"),
        pytest.param(
            (429, "TooManyRequests", "storage is (re)initializing"), id="its storage is away"
        ),
    ],
)
@pytest.mark.parametrize("moment", ["the question", "the next watch"])
@pytest.mark.parametrize("version", [7, 12], ids=["it counts from lower", "it has counted past"])
async def test_after_an_attempt_that_failed_the_version_is_not_trusted(
    client: Client, server: Server, answer: tuple[int, str, str], version: int, moment: str
) -> None:
    """One is enough: while nobody answers a server may be restored, and the circuit may keep an
    informer from a second one until it is there again."""
    server.objects = many(9)
    async with informing(client) as seen:
        await watching(server, seen)
        seen.take()
        server.version, server.objects = version, many(5)
        server.answer(status(*answer))
        if moment == "the next watch":
            later(client, 72)
        server.end_watches()
        await relisted(seen)
    assert [query.get("limit") for query in queries(server)].count("1") == (
        moment == "the question"
    )
    assert seen.take() == [("MODIFIED", "a", 9, 5)]


@pytest.mark.parametrize("is_busy", [False, True])
async def test_much_is_not_listed_again_where_the_server_counts_on(
    client: Client, server: Server, is_busy: bool
) -> None:
    """A proxy that cuts what is quiet would have everything listed each minute; and a server that
    asks for fewer requests gets no larger ones."""
    server.objects = many(9)
    async with informing(client) as seen:
        await watching(server, seen)
        if is_busy:
            later(client, 72)
            server.answer(status(429))
            server.end_watches()
        else:
            cut(server)
        await until(lambda: server.watches)
    asked = [(query.get("limit"), query.get("resourceVersion")) for query in queries(server)]
    refused = [(None, "10")] if is_busy else []
    assert asked == [("500", None), (None, "10"), *refused, ("1", None), (None, "10")]


async def test_after_three_failures_the_version_is_not_trusted_whatever_they_are(
    client: Client, server: Server
) -> None:
    server.objects = many(9)
    async with informing(client) as seen:
        await watching(server, seen)
        for _ in range(3):
            await until(lambda: server.watches)
            server.push("ERROR", {"code": 500})
            server.watches.clear()
        await relisted(seen)


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


async def test_stopped_and_started_it_asks_and_goes_on_where_it_was(
    client: Client, server: Server
) -> None:
    server.objects = many(9)
    seen = Seen(client)
    for _ in range(2):
        await _run_for_once(seen, server)
    asked = [(query.get("limit"), query.get("resourceVersion")) for query in queries(server)]
    assert asked == [("500", None), (None, "10"), ("1", None), (None, "10")]


@pytest.mark.parametrize("objects", [[rollout("a", 9, weight=9)], many(9)], ids=["few", "many"])
async def test_a_server_that_was_restored_before_it_is_started_anew_is_noticed(
    client: Client, server: Server, objects: list[dict[str, Any]]
) -> None:
    """As with new credentials for a server that was restored from a backup."""
    server.objects = objects
    seen = Seen(client)
    await _run_for_once(seen, server)
    seen.take()
    server.version, server.objects = 7, [rollout("a", 5, weight=5), *objects[1:]]
    await _run_for_once(seen, server)
    assert seen.take() == [("MODIFIED", "a", 9, 5)]


async def _run_for_once(seen: Seen, server: Server) -> None:
    """Until it watches; then it is cancelled."""
    task = asyncio.create_task(seen.informer.run())
    await until(lambda: server.watches)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    server.end_watches()


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
