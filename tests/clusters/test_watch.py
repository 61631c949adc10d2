"""The informer against a small server: a store that heals, and changes that are told once.

Aspects: first list, events, bookmarks; what a gap hides (deletions, successors); 410; own writes;
objects that make no sense. What goes wrong is `test_watch_failures`, what wins over what
`test_store`; faults of real servers are in `e2e/`.
"""

import asyncio

import pytest
from aiohttp import web

from fleet.clusters.client import Client
from fleet.errors import Invalid
from tests.clusters.informing import informing, later, relisted, watching
from tests.clusters.server import Server, rollout, status
from tests.waiting import until

A, B = ("shop", "a"), ("shop", "b")


async def test_the_first_list_is_told_as_added(client: Client, server: Server) -> None:
    server.objects = [rollout("a", 5, weight=1), rollout("b", 6, weight=2)]
    async with informing(client) as seen:
        await watching(server, seen)
        assert seen.take() == [("ADDED", "a", None, 1), ("ADDED", "b", None, 2)]
        assert seen.informer.store == {A: 1, B: 2}


async def test_what_the_requests_ask_for(client: Client, server: Server) -> None:
    more = {"namespace": "shop", "selector": "x=y", "field_selector": "metadata.name=a"}
    async with informing(client, **more) as seen:
        await watching(server, seen)
    listing, watched = server.requests
    both = {"labelSelector": "x=y", "fieldSelector": "metadata.name=a"}
    seconds = int(watched.query["timeoutSeconds"])
    assert dict(listing.query) == both | {"limit": "500"}
    assert dict(watched.query) == both | {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "10",
        "timeoutSeconds": str(seconds),
    }
    assert 65 <= seconds <= 72


async def test_events_are_told_with_old_and_new(client: Client, server: Server) -> None:
    async with informing(client) as seen:
        await watching(server, seen)
        server.push("ADDED", rollout("a", 11, weight=1))
        server.push("MODIFIED", rollout("a", 12, weight=2))
        server.push("DELETED", rollout("a", 13, weight=2))
        await until(lambda: len(seen.changes) == 3)
    assert seen.informer.store.reached == "13"
    assert seen.take() == [
        ("ADDED", "a", None, 1),
        ("MODIFIED", "a", 1, 2),
        ("DELETED", "a", 2, None),
    ]


async def test_events_may_come_in_pieces(client: Client, server: Server) -> None:
    async with informing(client) as seen:
        await watching(server, seen)
        whole = b'{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"shop",' + (
            b'"uid":"u","resourceVersion":"11"},"spec":{"weight":7}}}\n'
        )
        for piece in (whole[:20], whole[20:90], whole[90:] + b"\n"):
            server.watches[0].put_nowait(piece)
            await asyncio.sleep(0.02)
        await until(lambda: seen.changes)
    assert seen.take() == [("ADDED", "a", None, 7)]


async def test_after_a_normal_end_the_watch_goes_on_from_the_bookmark(
    client: Client, server: Server
) -> None:
    async with informing(client) as seen:
        await watching(server, seen)
        server.push("BOOKMARK", {"metadata": {"resourceVersion": "50"}})
        later(client, 72)
        server.end_watches()
        await until(lambda: server.watches)
    versions = [request.query.get("resourceVersion") for request in server.requests]
    assert versions == [None, "10", "50"]


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("event", id="the watch says 410"),
        pytest.param("answer", id="the request for a watch is answered 410"),
    ],
)
async def test_what_happened_in_a_gap_is_told(client: Client, server: Server, how: str) -> None:
    server.objects = [rollout(name, 5, weight=1) for name in ("a", "b", "c")]
    async with informing(client) as seen:
        await watching(server, seen)
        seen.take()
        server.version = 30
        server.objects = [
            rollout("a", 5, weight=1),
            rollout("b", 21, weight=4),
            rollout("d", 22, weight=5),
        ]
        if how == "event":
            server.push("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
        else:
            server.answer(status(410, "Expired"))
            server.end_watches()
        await relisted(seen)
        assert seen.take() == [
            ("MODIFIED", "b", 1, 4),
            ("ADDED", "d", None, 5),
            ("DELETED", "c", 1, None),
        ]
        assert seen.errors == []


async def test_a_successor_of_the_same_name_is_another_object(
    client: Client, server: Server
) -> None:
    server.objects = [rollout("a", 5, uid="first", weight=1)]
    async with informing(client) as seen:
        await watching(server, seen)
        server.push("MODIFIED", rollout("a", 12, uid="second", weight=2))
        await until(lambda: len(seen.changes) == 3)
        assert seen.take()[1:] == [("DELETED", "a", 1, None), ("ADDED", "a", None, 2)]


async def test_a_page_of_a_broken_proxy_deletes_nothing(client: Client, server: Server) -> None:
    server.objects = [rollout("a", 5, weight=1)]
    async with informing(client) as seen:
        await watching(server, seen)
        server.answer(status(410), web.json_response({}))
        server.end_watches()
        await relisted(seen)
        assert seen.take() == [("ADDED", "a", None, 1)]


# --- objects that make no sense, and our own writes ---------------------------------------------


async def test_an_object_that_makes_no_sense_keeps_its_last_value(
    client: Client, server: Server
) -> None:
    server.objects = [rollout("a", 5, weight=1), {"metadata": rollout("b", 6)["metadata"]}]
    async with informing(client) as seen:
        await watching(server, seen)
        broken = {**rollout("a", 11), "spec": {"weight": "much"}}
        server.push("MODIFIED", broken)
        await until(lambda: len(seen.errors) == 2)
        assert (seen.informer.store, set(seen.informer.store.unreadable)) == ({A: 1}, {A, B})
        assert [type(error) for error in seen.errors] == [Invalid, Invalid]
        server.push("MODIFIED", rollout("a", 12, weight=3))
        await until(lambda: seen.informer.store == {A: 3})
        assert set(seen.informer.store.unreadable) == {B}


async def test_our_own_write_is_known_at_once_and_told_once(client: Client, server: Server) -> None:
    server.objects = [rollout("a", 5, weight=1)]
    async with informing(client) as seen:
        await watching(server, seen)
        seen.take()
        seen.informer.store.see(rollout("a", 12, weight=2))
        assert seen.informer.store == {A: 2}
        server.push("MODIFIED", rollout("a", 11, weight=9))
        server.push("MODIFIED", rollout("a", 12, weight=2))
        server.push("MODIFIED", rollout("a", 13, weight=3))
        await until(lambda: seen.informer.store == {A: 3})
        assert seen.take() == [("MODIFIED", "a", 1, 2), ("MODIFIED", "a", 2, 3)]


async def test_what_was_remembered_during_a_list_outlives_it(
    client: Client, server: Server
) -> None:
    server.objects = [rollout("a", 5, weight=1)]
    async with informing(client) as seen:
        await watching(server, seen)
        reached, go = asyncio.Event(), asyncio.Event()

        async def slow(request: web.Request) -> web.Response:
            answer = server._list(request)  # as it is now, sent later
            reached.set()
            await go.wait()
            return answer

        server.version = 20
        server.answers.append(slow)
        server.push("ERROR", {"code": 410})
        await reached.wait()
        seen.informer.store.see(rollout("b", 21, weight=2))
        go.set()
        await relisted(seen)
        assert seen.informer.store == {A: 1, B: 2}


async def test_after_a_restore_what_was_remembered_goes(client: Client, server: Server) -> None:
    async with informing(client) as seen:
        await watching(server, seen)
        seen.informer.store.see(rollout("a", 900, weight=2))
        server.version = 3
        server.push("ERROR", {"code": 410})
        await relisted(seen)
        assert seen.informer.store == {}


async def test_a_bookmark_that_counts_from_lower_lists_anew(client: Client, server: Server) -> None:
    """A restored API server lets a watch from a later version stay open, and silent."""
    server.objects = [rollout("a", 900, weight=2)]
    server.version = 900
    async with informing(client) as seen:
        await watching(server, seen)
        server.objects, server.version = [rollout("a", 3, weight=1)], 3
        server.push("BOOKMARK", {"metadata": {"resourceVersion": "4"}})
        await until(lambda: seen.informer.store == {A: 1})


async def test_an_event_that_counts_from_lower_lists_anew(client: Client, server: Server) -> None:
    server.objects = [rollout("a", 900, weight=2), rollout("ghost", 901)]
    server.version = 901
    async with informing(client) as seen:
        await watching(server, seen)
        server.objects, server.version = [rollout("a", 4, weight=1)], 4
        server.push("MODIFIED", rollout("a", 4, weight=1))
        await relisted(seen)
        assert seen.informer.store == {A: 1}


async def test_after_an_answer_that_counts_from_lower_all_is_listed_anew(
    client: Client, server: Server
) -> None:
    """The next bookmark may count from higher again: the restored server has been busy."""
    server.objects = [rollout("a", 9, weight=2), rollout("ghost", 10)]
    async with informing(client) as seen:
        await watching(server, seen)
        since = seen.informer.store.moment
        seen.informer.store.correct(A, rollout("a", 3, weight=1), since)
        server.objects, server.version = [rollout("a", 3, weight=1)], 50
        server.push("BOOKMARK", {"metadata": {"resourceVersion": "50"}})
        await relisted(seen)
        assert seen.informer.store == {A: 1}


async def test_an_answer_from_before_a_list_that_lacks_it_revives_nobody(
    client: Client, server: Server
) -> None:
    """Made by us and deleted by somebody while no watch was open: nobody tells of either."""
    async with informing(client) as seen:
        await watching(server, seen)
        server.version = 30
        server.push("ERROR", {"code": 410})
        await relisted(seen)
        seen.informer.store.see(rollout("a", 21, weight=2))
        assert seen.informer.store == {}
