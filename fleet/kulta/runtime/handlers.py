"""kopf, and nothing else: what its watch of Rollouts says goes into the store and the queue.

Built by `wiring.engine`, run by `wiring.watching`. Handlers are `on.event` only, so kopf writes
nothing to anyone's objects: no finalizer, no annotation, no Event. What it cannot see (an object
that vanished while it was not watching) is healed by `reconcile`, whose writes then answer 404.
"""

from collections.abc import Callable
from typing import Any

import kopf

from fleet.api.names import ROLLOUTS, Key
from fleet.clusters import sessions
from fleet.clusters.config import ClientConfig
from fleet.kulta.runtime.rollouts import Rollouts, key_of

Registry = kopf.OperatorRegistry


def registry(
    rollouts: Rollouts, wake: Callable[[Key], None], config: ClientConfig, *, user_agent: str
) -> Registry:
    """The handlers: one event handler and the login."""
    handlers = Registry()

    @kopf.on.event(ROLLOUTS.group, ROLLOUTS.version, ROLLOUTS.plural, registry=handlers)
    async def see(event: Any, **_: Any) -> None:
        manifest = event["object"]
        if event["type"] == "DELETED":
            changed = rollouts.drop(key_of(manifest), manifest["metadata"]["uid"])
        elif event["type"] is None:  # one of a full list
            changed = rollouts.listed(manifest)
        else:
            changed = rollouts.put(manifest)
        if changed:
            wake(key_of(manifest))

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        session = sessions.dedicated(config, user_agent=user_agent)
        return kopf.AiohttpSession(server=config.server, aiohttp_session=session)

    return handlers
