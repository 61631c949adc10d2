"""Keeps an asynchronous ground (a Site) running in a thread of its own, for tests that block.

A node must renew its Lease and answer the scheduler also while a test waits for kubectl, or another
test file runs. The fixture `site` uses it; the demo, all asynchronous, does not.
"""

import asyncio
import selectors
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
LINGER = 5.0
"""Seconds in which TLS connections that were closed say good-bye; usually a few milliseconds."""
OWN = 1
"""Sockets with which a loop wakes itself."""


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """End the thread, when closed connections are gone."""
        self._await_silence()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _await_silence(self) -> None:
        until = time.monotonic() + LINGER
        while len(self._selector.get_map()) > OWN and time.monotonic() < until:
            time.sleep(0.01)


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
