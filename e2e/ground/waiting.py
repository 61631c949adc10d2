"""Waiting for the world by asking it, with a limit and a sentence about what was awaited."""

import time
import urllib.error
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LENIENCE = 4.0
"""A limit says when to give up on a machine that is at ease; a busy one gets so many times more."""


def until(ask: Callable[[], T | None], what: str, *, within: float, every: float = 0.05) -> T:
    """The first truthy answer of `ask`; TimeoutError saying `what` after `within` seconds of a
    machine that is at ease.

    `ask` may raise OSError while nobody listens yet; any other error is the caller's.
    """
    limit = within * LENIENCE
    deadline = time.monotonic() + limit
    trouble: OSError | None = None
    while time.monotonic() < deadline:
        try:
            if answer := ask():
                return answer
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            trouble = error
        time.sleep(every)
    raise TimeoutError(f"{what}: not within {limit:g} s") from trouble
