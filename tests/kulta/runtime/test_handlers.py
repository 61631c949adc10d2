"""What kopf tells is put into the store: lists are believed, news give way to newer ones, and of
what is known already kopf hears nothing."""

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
    store.see(objects.rollout())
    event = line and {"type": line[0], "object": line[1]}
    async with server.running() as plane:
        registry = handlers.registry(store, lambda _: None, plane.config(), user_agent="test")
        (login,) = registry._activities.get_all_handlers()
        session = (await login.fn()).aiohttp_session
        url = f"{plane.url}/apis"
        async with session, session.get(url, params={"watch": "true"}) as answer:
            await until(lambda: plane.watches)
            for item in (event, event, {"type": "LAST"}):
                plane.watches[0].put_nowait(orjson.dumps(item) + b"\n")
            plane.end_watches()
            heard = [orjson.loads(line) async for line in api.iter_jsonlines(answer.content)]
    assert heard == [*([event] * 2 if is_heard else []), {"type": "LAST"}]
