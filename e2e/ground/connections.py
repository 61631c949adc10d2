"""Keeps connections to an API server open between requests: a new one costs both sides more work
than most requests do.

`ControlPlane.call` and `definitions` use it, from any thread. Knows nothing of Kubernetes.
"""

import contextlib
import http.client
import select
import socket
import ssl
import threading
from collections.abc import Iterator

HOST = "127.0.0.1"
MOST = 8
"""Idle connections that are kept."""


class Connections:
    """Connections to servers of this machine whose certificate one context verifies."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._idle: list[http.client.HTTPSConnection] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def one(self, port: int, *, timeout: float) -> Iterator[http.client.HTTPSConnection]:
        """A connection for one request whose answer is read to its end; `timeout` is in seconds of
        silence. After an error it is closed."""
        connection = self._kept(port) or http.client.HTTPSConnection(
            HOST, port, context=self._context
        )
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
            surplus = self._idle[:-MOST]
            del self._idle[:-MOST]
        _close(*surplus)

    def close(self) -> None:
        """Close what is idle; more may be made afterwards."""
        with self._lock:
            idle, self._idle = self._idle, []
        _close(*idle)

    def _kept(self, port: int) -> http.client.HTTPSConnection | None:
        """The one that was used last, if its server has not ended it meanwhile."""
        while True:
            with self._lock:
                found = next((one for one in reversed(self._idle) if one.port == port), None)
                if found is None:
                    return None
                self._idle.remove(found)
            if found.sock is None or not _has_news(found.sock):
                return found
            found.close()


def _has_news(idle: socket.socket) -> bool:
    """Whether something has come that nobody asked for: the end."""
    look = select.poll()
    look.register(idle, select.POLLIN)
    return bool(look.poll(0))


def _close(*connections: http.client.HTTPSConnection) -> None:
    for connection in connections:
        connection.close()
