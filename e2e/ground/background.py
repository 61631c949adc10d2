"""Keeps an asynchronous ground (a Site) running in a thread of its own, for tests that block.

A node must renew its Lease and answer the scheduler also while a test waits for kubectl, or another
test file runs. The fixture `site` uses it; the demo, all asynchronous, does not.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
LINGER = 0.25
"""Seconds in which TLS connections that were closed say good-bye."""


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """End the thread, when closed connections are gone."""
        self.call(asyncio.sleep(LINGER))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@contextmanager
def running(ground: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Enter in the background what has been made; leave it there at the end."""
    loop = Loop()
    try:
        entered = loop.call(_enter(ground))
        try:
            yield entered
        finally:
            loop.call(_leave(ground))
    finally:
        loop.close()


async def _enter(ground: AbstractAsyncContextManager[T]) -> T:
    return await ground.__aenter__()


async def _leave(ground: AbstractAsyncContextManager[Any]) -> None:
    await ground.__aexit__(None, None, None)
