"""A small HTTP server whose image tag decides how many requests fail and how long they take.

The local node starts it as a pod's process: `python app.py TAG`. Standard library only, so that
it starts in a tenth of a second. Behaviours are words in the tag, after the version:

    sample:v1                    answers 200 at once
    sample:v3-errors-30          30 % of the answers are 500
    sample:v4-slow-800ms         each answer takes 800 ms
    sample:v5-unready            never becomes ready
    sample:v6-crash              ends with status 1 right after its start

`GET /metrics` is Prometheus text, `GET /healthz` is for probes, `POST /-/ready`, `/-/unready` and
`/-/crash` change the process's mind at run time. It never logs requests.

Who begins with HTTP/2, as a gateway does for gRPC, gets an empty gRPC message from each call.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0)
WORDS = re.compile(
    r"-(?:errors-(?P<errors>\d+)|slow-(?P<slow>\d+)ms|(?P<unready>unready)|(?P<crash>crash))"
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\n"
REST_OF_PREFACE = len(b"SM\r\n\r\n")
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
"""Types of HTTP/2 frames; of others there is nothing to heed."""
END_STREAM = ACK = 1
END_HEADERS = 4
TEXTS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


class Behaviour:
    """What an image tag asks for: error share in 0…1, latency in seconds."""

    def __init__(self, tag: str) -> None:
        self.version = tag
        found: dict[str, str] = {}
        for match in WORDS.finditer(tag):
            found |= {word: value for word, value in match.groupdict().items() if value}
        self.errors = int(found.get("errors", "0")) / 100
        self.latency = int(found.get("slow", "0")) / 1000
        self.ready = "unready" not in found
        self.crash = "crash" in found


class Metrics:
    """One counter and one histogram in Prometheus' text format."""

    def __init__(self) -> None:
        self.requests: dict[int, int] = {200: 0, 500: 0}
        self.buckets = [0] * len(BUCKETS)
        self.seconds = 0.0

    def observe(self, status: int, seconds: float) -> None:
        self.requests[status] = self.requests.get(status, 0) + 1
        self.seconds += seconds
        for index, bound in enumerate(BUCKETS):
            if seconds <= bound:
                self.buckets[index] += 1

    def text(self) -> str:
        count = sum(self.requests.values())
        lines = ["# TYPE http_requests_total counter"]
        lines += [f'http_requests_total{{status="{s}"}} {n}' for s, n in self.requests.items()]
        name = "http_request_duration_seconds"
        lines.append(f"# TYPE {name} histogram")
        lines += [
            f'{name}_bucket{{le="{b}"}} {n}' for b, n in zip(BUCKETS, self.buckets, strict=True)
        ]
        lines += [f'{name}_bucket{{le="+Inf"}} {count}', f"{name}_sum {self.seconds:.6f}"]
        return "\n".join([*lines, f"{name}_count {count}", ""])


class Application:
    """Serves until told to stop, then finishes what it has begun.

    After SIGTERM it keeps serving for `drain` seconds, because whoever routes to it hears of the
    end a moment later, and closes each connection after its answer.
    """

    def __init__(self, tag: str, pod: str, drain: float) -> None:
        self.behaviour = Behaviour(tag)
        self.ready = self.behaviour.ready
        self.pod = pod
        self.drain = drain
        self.metrics = Metrics()
        self.failed = 0.0
        self.stopping = asyncio.Event()
        self.connections: set[asyncio.StreamWriter] = set()
        self.open = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def serve(self, host: str, port: int) -> None:
        """Listen until SIGTERM or SIGINT and return when the last open request is answered."""
        if self.behaviour.crash:
            raise SystemExit("crashing, as the tag asks for")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        server = await asyncio.start_server(self.connection, host, port, backlog=512)
        print(f"{self.behaviour.version} of {self.pod} listens on {host}:{port}", flush=True)
        await self.stopping.wait()
        await asyncio.sleep(self.drain)
        server.close()
        await self.idle.wait()
        for writer in self.connections:
            writer.close()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one keep-alive connection in their order."""
        self.connections.add(writer)
        lost = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError)
        with contextlib.suppress(*lost):
            while await self.exchange(reader, writer):
                pass
        self.connections.discard(writer)
        writer.close()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when the connection is to be closed."""
        begun = await reader.readuntil(b"\r\n\r\n")
        if begun == PREFACE:
            await self.calls(reader, writer)
        head = begun.decode("latin-1")
        self.open += 1
        self.idle.clear()
        try:
            if length := re.search(r"(?i)\r\ncontent-length: *(\d+)", head):
                await reader.readexactly(int(length[1]))
            method, target, *_ = head.split(" ", 2)
            status, kind, text = await self.answer(method, target.partition("?")[0])
            close = self.stopping.is_set() or "\r\nconnection: close" in head.lower()
            writer.write(self.render(status, kind, text, close=close))
            await writer.drain()
        finally:
            self.open -= 1
            if not self.open:
                self.idle.set()
        return not close

    async def calls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer gRPC calls until the other side closes, which ends in IncompleteReadError."""
        await reader.readexactly(REST_OF_PREFACE)
        writer.write(frame(SETTINGS))
        while True:
            head = await reader.readexactly(9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            payload = await reader.readexactly(length)
            stream = int.from_bytes(head[5:], "big")
            if kind in (SETTINGS, PING) and not flags & ACK:
                writer.write(frame(kind, payload if kind == PING else b"", flags=ACK))
            elif kind in (DATA, HEADERS) and flags & END_STREAM:
                said = {"content-type": "application/grpc", "x-version": self.behaviour.version}
                begin = b"\x88" + fields(said)  # :status: 200
                writer.write(frame(HEADERS, begin, flags=END_HEADERS, stream=stream))
                writer.write(frame(DATA, bytes(5), stream=stream))
                end, over = fields({"grpc-status": "0"}), END_HEADERS | END_STREAM
                writer.write(frame(HEADERS, end, flags=over, stream=stream))

    def render(self, status: int, kind: str, text: str, *, close: bool) -> bytes:
        body = text.encode()
        headers = [
            f"HTTP/1.1 {status} {TEXTS[status]}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            f"X-Version: {self.behaviour.version}",
            f"X-Pod: {self.pod}",
            *(["Connection: close"] if close else []),
        ]
        return "\r\n".join([*headers, "", ""]).encode() + body

    async def answer(self, method: str, path: str) -> tuple[int, str, str]:
        if path == "/healthz":
            ready = self.ready and not self.stopping.is_set()
            return (200 if ready else 503), "text/plain", "ok\n" if ready else "not ready\n"
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4", self.metrics.text()
        if path.startswith("/-/") and method == "POST":
            return self.command(path.removeprefix("/-/"))
        return await self.work()

    def command(self, verb: str) -> tuple[int, str, str]:
        if verb == "crash":
            os._exit(3)
        if verb not in ("ready", "unready"):
            return 404, "text/plain", "there are ready, unready and crash\n"
        self.ready = verb == "ready"
        return 200, "text/plain", f"{verb}\n"

    async def work(self) -> tuple[int, str, str]:
        """The product: fails evenly spread, so that the share is exact over any longer stretch."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        if self.behaviour.latency:
            await asyncio.sleep(self.behaviour.latency)
        self.failed += self.behaviour.errors
        status = 500 if self.failed >= 1 else 200
        self.failed -= self.failed >= 1
        self.metrics.observe(status, loop.time() - begin)
        return status, "text/plain", f"{self.behaviour.version} {self.pod}\n"


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """An HTTP/2 frame."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


def fields(headers: dict[str, str]) -> bytes:
    """Headers as HPACK writes them at its plainest: neither indexed nor compressed."""
    words = ((name.encode(), value.encode()) for name, value in headers.items())
    return b"".join(
        b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value for name, value in words
    )


def main() -> None:
    """`app.py [TAG]`, the tag alone or in an image; reads POD_IP, PORT, VERSION, DRAIN_SECONDS."""
    image = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("VERSION", "v1")
    pod = os.environ.get("HOSTNAME", "local")
    drain = float(os.environ.get("DRAIN_SECONDS", "1"))
    host = os.environ.get("POD_IP", "127.0.0.1")
    application = Application(image.rpartition(":")[2], pod, drain)
    asyncio.run(application.serve(host, int(os.environ.get("PORT", "8080"))))


if __name__ == "__main__":
    main()
