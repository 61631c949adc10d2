"""What kopf tells is put into the store: lists are believed, news give way to newer ones, and of
what is known already kopf hears nothing."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from kopf._cogs.clients import api

from fleet.clusters.config import ClientConfig
from fleet.kulta.runtime import handlers
from fleet.kulta.runtime.rollouts import Rollouts
from tests.clusters import server
from tests.kulta.runtime import objects
from tests.kulta.runtime.objects import KEY
from tests.waiting import until

CONFIG = ClientConfig(
    server="https://127.0.0.1:6443",
    ca=None,
    token=None,
    token_file=None,
    certificate=None,
    key=None,
    tls_server_name=None,
    proxy_url=None,
)


@pytest.mark.parametrize(
    ("kind", "version", "known"),
    [
        pytest.param("MODIFIED", "60", "60", id="a newer version"),
        pytest.param("MODIFIED", "40", "50", id="an echo that comes late"),
        pytest.param(None, "40", "40", id="a full list of a restored server"),
        pytest.param("DELETED", "60", None, id="the end"),
    ],
)
async def test_what_the_watch_says(kind: str | None, version: str, known: str | None) -> None:
    store, woken = Rollouts().known, list[Any]()
    store.see(objects.rollout())
    registry = handlers.registry(store, woken.append, CONFIG, user_agent="test")
    (handler,) = registry._watching.get_all_handlers()
    manifest = objects.rollout(resourceVersion=version)
    await handler.fn(event={"type": kind, "object": manifest})
    found = orjson.loads(store[KEY])["metadata"]["resourceVersion"] if KEY in store else None
    assert found == known
    assert woken == ([] if known == "50" else [KEY])


@pytest.mark.parametrize(
    ("line", "is_heard"),
    [
        pytest.param(("MODIFIED", objects.rollout(resourceVersion="50")), False, id="an echo"),
        pytest.param(("ADDED", objects.rollout(resourceVersion="50")), False, id="told again"),
        pytest.param(("MODIFIED", objects.rollout(resourceVersion="40")), False, id="a late echo"),
        pytest.param(("MODIFIED", objects.rollout(resourceVersion="60")), True, id="news"),
        pytest.param(("MODIFIED", objects.rollout(name="calm")), True, id="learnt before the list"),
        pytest.param(("ADDED", objects.rollout(name="other")), True, id="another one"),
        pytest.param(("MODIFIED", objects.rollout(uid="other")), True, id="its successor"),
        pytest.param(("DELETED", objects.rollout(resourceVersion="50")), True, id="the end"),
        pytest.param(("BOOKMARK", {"metadata": {"resourceVersion": "50"}}), True, id="a bookmark"),
        pytest.param(("ERROR", {"kind": "Status", "code": 410}), True, id="an error"),
        pytest.param(("MODIFIED", "what?"), True, id="what makes no sense"),
        pytest.param(None, True, id="what is no event"),
    ],
)
async def test_what_kopf_hears(line: Any, is_heard: bool) -> None:
    """Through its own reading of a watch, with our session."""
    store = Rollouts().known
    store.see(objects.rollout(name="calm"))
    event = line and {"type": line[0], "object": line[1]}
    async with server.running() as plane:
        registry = handlers.registry(store, lambda _: None, plane.config(), user_agent="test")
        store.see(objects.rollout())
        heard = [item async for item in watched(registry, plane, event, event)]
    assert heard == [event] * 2 * is_heard


@pytest.mark.parametrize(
    ("before", "meanwhile", "line"),
    [
        pytest.param(9, 11, 11, id="an echo is as late as it was when the list was asked"),
        pytest.param(9, 12, 11, id="a late echo"),
        pytest.param(1000, None, 11, id="a change at a restored server"),
        pytest.param(11, None, 11, id="another change with the same version at a restored one"),
        pytest.param(1000, 11, 11, id="an own write at a restored one"),
        pytest.param(10, None, 11, id="a change"),
    ],
)
async def test_a_list_that_is_handled_late_takes_nothing_back(
    before: int, meanwhile: int | None, line: int
) -> None:
    """kopf handles an item of a list, version 10, when what the watch says next has been sifted."""
    store = Rollouts().known
    async with server.running() as plane:
        registry = handlers.registry(store, lambda _: None, plane.config(), user_agent="test")
        store.see(version(before, "before"))
        (see,) = registry._watching.get_all_handlers()
        (login,) = registry._activities.get_all_handlers()
        session = (await login.fn()).aiohttp_session
        async with session, session.get(f"{plane.url}/apis"):
            if meanwhile is not None:
                store.see(version(meanwhile, "newest"))
        event = {"type": "MODIFIED", "object": version(line, "newest")}
        heard = [item async for item in watched(registry, plane, event)]
    for each in ({"type": None, "object": version(10, "listed")}, *heard):
        await see.fn(event=each)
    found = orjson.loads(store[KEY])["metadata"]
    assert found["labels"] == {"is": "newest"}
    newest = meanwhile if meanwhile and before < 1000 else line
    assert found["resourceVersion"] == str(newest)


def version(number: int, name: str) -> dict[str, Any]:
    return objects.rollout(resourceVersion=str(number), labels={"is": name})


async def watched(
    registry: handlers.Registry, plane: server.Server, *events: Any
) -> AsyncIterator[Any]:
    """What kopf hears of a watch that says all this."""
    (login,) = registry._activities.get_all_handlers()
    session, url = (await login.fn()).aiohttp_session, f"{plane.url}/apis"
    async with session, session.get(url, params={"watch": "true"}) as answer:
        await until(lambda: plane.watches)
        for event in events:
            plane.watches[0].put_nowait(orjson.dumps(event) + b"\n")
        plane.end_watches()
        async for line in api.iter_jsonlines(answer.content):
            yield orjson.loads(line)
