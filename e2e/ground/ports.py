"""Free TCP ports on 127.0.0.1 for servers that must be told theirs before they start.

The ports lie below the kernel's ephemeral range: a number from that range may become the source
port of somebody's connection between our choice and the server's bind. A given port is claimed with
an abstract socket, which the kernel frees when the process is gone, so several test processes never
choose the same. A stranger may still win the race, so who starts a server tries again with other
ports (`controlplane`, `prometheus`).
"""

import random
import socket
import threading
from pathlib import Path

LOWEST = 10_000
_lock = threading.Lock()


def free(count: int) -> tuple[int, ...]:
    """`count` different ports that nobody listens on; none is given twice while we live."""
    with _lock:
        ports: list[int] = []
        while len(ports) < count:
            port = random.randrange(LOWEST, _ephemeral())
            if _claim(port) and is_free(port):
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


def _claim(port: int) -> bool:
    """Whether it is ours now; False when another process has it, or this one has had it."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(f"\0kulta-fleet-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()  # it stays open as long as this process lives
    return True


def _ephemeral() -> int:
    """The first port that the kernel gives to outgoing connections."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return first if first > LOWEST + 1000 else 32_768
