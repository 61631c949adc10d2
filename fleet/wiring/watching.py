"""kopf inside our processes: settings, start, and what its end means.

Used by `hub` and `engine`; the handlers come from the runtimes. kopf watches and writes nothing
here, does not elect, does not probe, and never decides when the process ends.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import kopf
import orjson

from fleet import aio
from fleet.api.names import Resource
from fleet.clusters.client import Client
from fleet.errors import FleetError, UnexpectedState

REQUEST_SECONDS, CONNECT_SECONDS = 20.0, 5.0
DISCOVERY_SECONDS = 0.5


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


async def discovered(kube: Client, resource: Resource) -> None:
    """Until the API server lists `resource` among what it serves: kopf looks there once, at its
    start, and a definition is established a moment before it is listed."""
    while True:
        if await _is_listed(kube, resource):
            return
        await asyncio.sleep(DISCOVERY_SECONDS)


async def _is_listed(kube: Client, resource: Resource) -> bool:
    try:
        groups = orjson.loads(await kube.request("GET", "/apis"))["groups"]
        if not any(item["name"] == resource.group for item in groups):
            return False
        kinds = orjson.loads(await kube.request("GET", resource.root))["resources"]
    except FleetError:
        return False
    return any(item["name"] == resource.plural for item in kinds)


async def watch(
    handlers: kopf.OperatorRegistry, started: Callable[[], None], namespace: str | None = None
) -> None:
    """Run kopf until cancelled, in all namespaces or in one. `started` is called once it has taken
    the signals, to take them back. Raises UnexpectedState when one of kopf's tasks ends: the
    process must be started anew."""
    tasks = await kopf.spawn_tasks(
        registry=handlers,
        settings=settings(),
        clusterwide=namespace is None,
        namespaces=[namespace] if namespace else [],
        standalone=True,
        stop_flag=asyncio.Event(),
    )
    started()
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        names = ", ".join(sorted(task.get_name() for task in done))
        errors = [str(task.exception()) for task in done if not task.cancelled()]
        raise UnexpectedState(f"kopf has ended ({names}): {'; '.join(errors)}")
    finally:
        await aio.cancel(*tasks)
