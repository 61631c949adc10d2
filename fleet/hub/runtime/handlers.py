"""kopf, and nothing else: what its watches of the hub's kinds say goes into the stores.

Built by `wiring.hub`, run by `wiring.watching`. Handlers are `on.event` only, so kopf writes
nothing to anyone's objects: no finalizer, no annotation, no Event. What it cannot see (an object
that vanished while it was not watching) is healed by `resync`.
"""

from typing import Any

import kopf

from fleet.clusters import sessions
from fleet.clusters.config import ClientConfig
from fleet.clusters.store import Store
from fleet.hub.runtime.context import Stores

Registry = kopf.OperatorRegistry


def registry(stores: Stores, config: ClientConfig, *, user_agent: str) -> Registry:
    """The handlers: one for each kind, and the login."""
    handlers = Registry()
    for store in stores.watched:
        _watch(store, stores, handlers)

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        session = sessions.dedicated(config, user_agent=user_agent)
        return kopf.AiohttpSession(server=config.server, aiohttp_session=session)

    return handlers


def _watch(store: Store[Any], stores: Stores, handlers: Registry) -> None:
    resource = store.resource

    @kopf.on.event(resource.group, resource.version, resource.plural, registry=handlers)
    async def see(event: Any, **_: Any) -> None:
        if event["type"] is None and store.is_behind(event["object"]):
            # kopf has listed anew and finds an older version: late, or a restored API server.
            stores.doubt.ring()
        if event["type"] == "DELETED":
            store.end(event["object"])
        else:
            store.see(event["object"])
