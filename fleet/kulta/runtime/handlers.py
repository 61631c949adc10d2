"""kopf, and nothing else: what its watch of Rollouts says goes into the store and the queue.

Built and run by `wiring.engine`. Handlers are `on.event` only, so kopf writes nothing to anyone's
objects: no finalizer, no annotation, no Event. What it cannot see (an object that vanished while it
was not watching) is healed by `reconcile`, whose writes to such an object answer 404.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import kopf

from fleet import aio
from fleet.api.names import ROLLOUTS
from fleet.clusters import sessions
from fleet.clusters.config import ClientConfig
from fleet.errors import UnexpectedState
from fleet.kulta.runtime.rollouts import Key, Rollouts, key_of

Registry = kopf.OperatorRegistry

REQUEST_SECONDS, CONNECT_SECONDS = 20.0, 5.0


class Patience:
    """Delays between tries of one request, without end: 1, 2, 4 … 30 seconds."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1.0, 2.0, 4.0, 8.0, 16.0), itertools.repeat(30.0))


class Unchanging(kopf.DiffBaseStorage):
    """Spares kopf the copies by which it would find out what changed: nobody asks for that."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        """Nothing is kept on anybody's object."""


class Progressless(kopf.ProgressStorage):
    """There is no progress to keep, and no copies to make for it."""

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        """Nothing is kept on anybody's object."""

    def purge(self, **_: Any) -> None:
        """There is nothing."""

    def touch(self, **_: Any) -> None:
        """There is nothing."""

    def clear(self, *, essence: Any) -> Any:
        return essence


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
        else:
            changed = rollouts.put(manifest)
        if changed:
            wake(key_of(manifest))

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        session = sessions.dedicated(config, user_agent=user_agent)
        return kopf.AiohttpSession(server=config.server, aiohttp_session=session)

    return handlers


def settings() -> kopf.OperatorSettings:
    """kopf as a watcher that writes nothing, never gives up and never kills the process."""
    result = kopf.OperatorSettings()
    result.peering.standalone = True
    result.scanning.disabled = True
    result.posting.enabled = False
    result.process.ultimate_exiting_timeout = None
    result.networking.request_timeout = REQUEST_SECONDS
    result.networking.connect_timeout = CONNECT_SECONDS
    result.networking.error_backoffs = Patience()
    result.persistence.diffbase_storage = Unchanging()
    result.persistence.progress_storage = Progressless()
    result.watching.chunk_size = 100
    result.queueing.idle_timeout = 1.0
    return result


async def watch(handlers: Registry, started: Callable[[], None]) -> None:
    """Run kopf until cancelled. `started` is called once it has taken the signals, to take them
    back. Raises UnexpectedState when one of kopf's tasks ends: the process must be started anew."""
    stop = asyncio.Event()
    tasks = await kopf.spawn_tasks(
        registry=handlers,
        settings=settings(),
        clusterwide=True,
        standalone=True,
        stop_flag=stop,
    )
    started()
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        names = ", ".join(sorted(task.get_name() for task in done))
        errors = [str(task.exception()) for task in done if not task.cancelled()]
        raise UnexpectedState(f"the watch of Rollouts has ended ({names}): {'; '.join(errors)}")
    finally:
        await aio.cancel(*tasks)
