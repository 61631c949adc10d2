"""The beginning of a hub, in which it reads everything that there is: no search for garbage in it,
and what is needed for a moment goes back at once.

Used by `hub`. Python's collector walks through all that lives each time that this has grown by a
quarter, and later now and then: with a hundred thousand ClusterRollouts, which are no garbage and
hold no cycles, each walk stops the process for as long as it may take to answer.
"""

import contextlib
import ctypes
import gc
from collections.abc import Iterator

LARGE = 264 * 1024
"""Bytes from which on a piece of memory is the system's again as soon as nobody holds it. Above the
256 KiB that libuv's loop takes for each look at a TLS connection: to ask the system for these each
time cost a fourth of what a quiet fleet does."""
SPARE = 2**20
"""Bytes that are free at the end of the heap and stay the process's."""
COLLECTIONS = (20_000, 20, 100)
"""Garbage is looked for seldom: what a look makes is freed by counting references."""
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""As glibc's malloc.h names them."""


def frugal() -> bool:
    """Let the system have large pieces of memory back; whether this platform can. glibc by itself
    keeps pieces as large as the largest that was freed: of a process that has read a definition of
    280 KB over each of a thousand connections, a fourth."""
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    options = {MMAP_THRESHOLD: LARGE, TRIM_THRESHOLD: SPARE}
    return choose is not None and all(choose(option, size) for option, size in options.items())


def settle() -> None:
    """What is there lives as long as the process: collections need not visit it, and come seldom
    from now on."""
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Nothing is collected meanwhile, and what is there at the end is never walked through again.
    It is freed as ever when nobody holds it any more."""
    gc.disable()
    try:
        yield
    finally:
        settle()
        gc.enable()
