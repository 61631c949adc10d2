"""kopf, and nothing else: what its watch of Rollouts says goes into the store and the queue.

Built by `wiring.engine`, run by `wiring.watching`. Handlers are `on.event` only, so kopf writes
nothing to anyone's objects: no finalizer, no annotation, no Event. What it cannot see (an object
that vanished while it was not watching) is healed by `reconcile`, whose writes then answer 404.
The echoes of our own writes, most of what a watch says, do not get as far as kopf.

    a list is asked for ──> our write is answered: 12 ──> its echo is sifted ──> the list's 11: 12

kopf handles what a list has brought when what follows has been sifted already. So a list takes back
only what was known when it was asked for (the server may have been restored since), and only what
has been learnt after that sifts: nothing is kept from kopf that a list may yet take back.
"""

from collections.abc import Callable
from typing import Any

import kopf
import orjson

from fleet.api.names import ROLLOUTS, Key
from fleet.clusters import sessions
from fleet.clusters.config import ClientConfig
from fleet.clusters.store import Store, identity

Registry = kopf.OperatorRegistry

CHANGES = frozenset({"ADDED", "MODIFIED"})
"""What an echo is; an end is news in any case."""


def registry(
    known: Store[bytes],
    wake: Callable[[Key], None],
    config: ClientConfig,
    *,
    user_agent: str,
    watching: Callable[[], None] = lambda: None,
) -> Registry:
    """The handlers: one event handler and the login. `watching` is called when the Rollouts have
    been listed and their watch begins."""
    handlers = Registry()
    asked = known.moment

    def listing() -> None:
        nonlocal asked
        asked = known.moment

    @kopf.on.event(ROLLOUTS.group, ROLLOUTS.version, ROLLOUTS.plural, registry=handlers)
    async def see(event: Any, **_: Any) -> None:
        manifest = event["object"]
        key = identity(manifest)[0]
        if event["type"] == "DELETED":
            is_news = known.end(manifest)
        elif event["type"] is None:  # one of a whole list; what is newer may not follow it
            is_news = known.correct(key, manifest, asked)
        else:
            is_news = known.see(manifest)
        if is_news:
            wake(key)

    def is_news(line: bytes) -> bool:
        """Whether `see` could learn anything from it, once kopf has handled what it has heard so
        far; what makes no sense is kopf's to judge."""
        try:
            event = orjson.loads(line)
            manifest, is_change = event["object"], event["type"] in CHANGES
            return not (is_change and known.is_settled(manifest, asked))
        except (ValueError, KeyError, TypeError, AttributeError):
            return True

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        session = sessions.dedicated(
            config, user_agent=user_agent, listing=listing, watching=watching, is_news=is_news
        )
        return kopf.AiohttpSession(server=config.server, aiohttp_session=session)

    return handlers
