"""kopf inside our process: settings, start, and what its end means.

Used by `hub`; the handlers come from the runtime. kopf watches and writes nothing here, does not
elect, does not probe, and never decides when the process ends.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator

import kopf

from fleet import aio
from fleet.errors import UnexpectedState

REQUEST_SECONDS, CONNECT_SECONDS = 20.0, 5.0


class Patience:
    """Delays between tries of one request, without end: 1, 2, 4 … 30 seconds."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1.0, 2.0, 4.0, 8.0, 16.0), itertools.repeat(30.0))


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
    result.watching.chunk_size = 100
    result.queueing.idle_timeout = 1.0
    return result


async def watch(handlers: kopf.OperatorRegistry, started: Callable[[], None]) -> None:
    """Run kopf until cancelled. `started` is called once it has taken the signals, to take them
    back. Raises UnexpectedState when one of kopf's tasks ends: the process must be started anew."""
    tasks = await kopf.spawn_tasks(
        registry=handlers,
        settings=settings(),
        clusterwide=True,
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
