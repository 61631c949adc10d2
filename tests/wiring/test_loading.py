"""What the collector walks through once a hub has begun: not what was there by then."""

import ctypes
import gc
import platform
import weakref
from collections.abc import Iterator

import pytest

from fleet.wiring.loading import COLLECTIONS, frugal, loading

READ = 256 * 1024
"""Bytes that libuv's loop takes for each look at a TLS connection."""


class Numbers(ctypes.Structure):
    """What malloc says of itself."""

    _fields_ = (("numbers", ctypes.c_size_t * 10),)


class Part:
    """Something that can be watched as it goes."""


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    """The collector as it was: the tests run without one."""
    enabled, before = gc.isenabled(), gc.get_threshold()
    gc.enable()
    yield
    gc.set_threshold(*before)
    if not enabled:
        gc.disable()


def test_what_is_read_in_the_beginning_is_not_walked_through_again() -> None:
    before = gc.get_freeze_count()
    with loading():
        assert not gc.isenabled()
        kept = [{"number": [number]} for number in range(1_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() - before >= 2 * len(kept)
    assert not any(one is kept[0] for one in gc.get_objects())


def test_later_garbage_is_looked_for_but_seldom() -> None:
    before = gc.get_threshold()
    with loading():
        assert gc.get_threshold() == before
    assert gc.get_threshold() == COLLECTIONS > before


def test_it_goes_as_ever_when_nobody_holds_it() -> None:
    with loading():
        part = Part()
    gone = weakref.ref(part)
    del part
    assert gone() is None


def test_a_beginning_that_fails_ends_too() -> None:
    with pytest.raises(RuntimeError), loading():
        raise RuntimeError("cut off")
    assert gc.isenabled()


def test_memory_goes_back_where_the_platform_lets_it() -> None:
    assert frugal() is (platform.libc_ver()[0] == "glibc")


def test_what_each_look_at_a_connection_takes_is_not_asked_of_the_system() -> None:
    frugal()
    assert not pieces(READ)


def pieces(size: int) -> bool:
    """Whether so many bytes are a piece of the system's own."""
    before = mapped()
    kept = bytes(size)
    return len(kept) == size and mapped() > before


def mapped() -> int:
    """How many such pieces there are, as malloc.h's `mallinfo2` counts them."""
    read = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if read is None:
        return 0
    read.restype = Numbers
    return int(read().numbers[3])
