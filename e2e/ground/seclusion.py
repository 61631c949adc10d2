"""A network of our own, in which pods listen where the API says: a network namespace without
neighbours, whose only interface is loopback.

`court` lives in one. A namespace belongs to a thread, to the threads that it starts and to their
programs, so whoever enters takes along what begins afterwards and nothing else. It has neither name
nor file: it ends with its last process, however that ends.

    with seclusion.entered():
        ...                       # 127.0.0.0/8 and 10.244.0.0/16 are ours alone
"""

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NETWORK, MASK = "10.244.255.254", "255.255.0.0"
"""An address that no pod gets: on loopback a mask makes all of its network local."""

_NEWNET = 0x4000_0000  # CLONE_NEWNET
_SET_FLAGS, _SET_ADDRESS, _SET_MASK = 0x8914, 0x8916, 0x891C  # SIOCSIF…
_UP = 1  # IFF_UP
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def entered() -> Iterator[None]:
    """The calling thread in a new network, and back; OSError when it may not make one."""
    with Path("/proc/thread-self/ns/net").open("rb") as home:
        _checked(_libc.unshare(_NEWNET))
        try:
            _furnish()
            yield
        finally:
            _checked(_libc.setns(home.fileno(), _NEWNET))


def refusal() -> str:
    """Why this user may not make one or come back from it; empty when it may. Found by trying."""
    found: list[str] = []

    def attempt() -> None:
        try:
            with entered():
                pass
        except OSError as error:
            found.append(error.strerror or str(error))

    thread = threading.Thread(target=attempt)  # whose network is nobody else's
    thread.start()
    thread.join()
    return "".join(found)


def _furnish() -> None:
    """Loopback, and the pods' addresses on it, as `ip route add local 10.244.0.0/16 dev lo`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
        for request, address in ((_SET_ADDRESS, NETWORK), (_SET_MASK, MASK)):
            packed = socket.inet_aton(address)
            fcntl.ioctl(
                asking, request, struct.pack("16sHH4s8x", b"lo:0", socket.AF_INET, 0, packed)
            )


def _checked(code: int) -> None:
    if code:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
