"""Somebody to whom an engine posts JSON: a sink of events, an advisor.

A real HTTP server in a thread. It keeps what it takes, and can be slow, refuse, go away and come
back at the same port.

    with Mailbox() as box:
        start_engine(KULTA_CDEVENTS_SINK_URL=box.url)
        until(lambda: box.letters, "something arrives", within=10)
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from e2e.ground import ports


class Mailbox:
    """Answers every POST with `status` and `reply` after `delay` seconds; open while entered."""

    def __init__(self, *, status: int = 202, reply: Any = None, delay: float = 0.0) -> None:
        self.status, self.reply, self.delay = status, reply, delay
        self.letters: list[dict[str, Any]] = []
        """What came, whatever the answer was; before the answer."""
        (self.port,) = ports.free(1)
        self.url = f"http://127.0.0.1:{self.port}/"
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Listen."""
        box = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                box.letters.append(json.loads(body))
                time.sleep(box.delay)
                reply = json.dumps(box.reply).encode()
                self.send_response(box.status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: object) -> None:
                """Stay silent."""

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    return  # the engine was killed while it waited for the answer

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Listen no more; connections are refused."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
