"""The beginning of a hub, in which it reads everything that there is: no search for garbage in it.

Used by `hub`. Python's collector walks through all that lives each time that this has grown by a
quarter, and later now and then: with a hundred thousand ClusterRollouts, which are no garbage and
hold no cycles, each walk stops the process for as long as it may take to answer.
"""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Nothing is collected meanwhile, and what is there at the end is never walked through again.
    It is freed as ever when nobody holds it any more."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
