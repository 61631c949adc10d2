"""Free TCP ports on 127.0.0.1 for servers that must be told theirs before they start.

The ports lie below the kernel's ephemeral range: a number from that range may become the source
port of somebody's connection between our choice and the server's bind. Another process may still
win the race, so who starts a server tries again with other ports (`controlplane`, `prometheus`).
"""

import random
import socket
import threading
from pathlib import Path

LOWEST = 10_000
_given: set[int] = set()
_lock = threading.Lock()


def free(count: int) -> tuple[int, ...]:
    """`count` different ports that nobody listens on; none is given twice by one process."""
    with _lock:
        ports: list[int] = []
        while len(ports) < count:
            port = random.randrange(LOWEST, _ephemeral())
            if port not in _given and is_free(port):
                _given.add(port)
                ports.append(port)
        return tuple(ports)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could bind `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _ephemeral() -> int:
    """The first port that the kernel gives to outgoing connections."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return first if first > LOWEST + 1000 else 32_768
