"""What kopf tells is put into the store: lists are believed, news give way to newer ones."""

from typing import Any

import orjson
import pytest

from fleet.clusters.config import ClientConfig
from fleet.kulta.runtime import handlers
from fleet.kulta.runtime.rollouts import Rollouts
from tests.kulta.runtime import objects
from tests.kulta.runtime.objects import KEY

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
