"""A small API server over TLS, in the test's own event loop, that can misbehave on order.

It knows lists in pages, watches, and answers that a test prepares; what only a real API server does
(schemas, ownership, RBAC) is tested in `e2e/`.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from fleet.clusters.config import ClientConfig

PKI = Path(__file__).parent / "pki"
TOKEN = "test-token-of-the-hub"


def pem(name: str) -> str:
    return (PKI / name).read_text()


def status(code: int, reason: str = "", message: str = "", **more: Any) -> web.Response:
    """The answer of an API server to a request that it refuses."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, **more}
    return web.json_response(body, status=code)


def rollout(name: str, version: int, *, uid: str = "", weight: int = 0) -> dict[str, Any]:
    meta = {"namespace": "shop", "name": name, "uid": uid or f"uid-{name}"}
    return {"metadata": {**meta, "resourceVersion": str(version)}, "spec": {"weight": weight}}


@dataclass
class Server:
    """`answers` are given first, in order; then `respond` by default lists `objects` and watches.

    `events` are pushed to the open watches; None ends them.
    """

    port: int = 0
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: deque[Callable[[web.Request], Awaitable[web.StreamResponse]]] = field(
        default_factory=deque
    )
    objects: list[dict[str, Any]] = field(default_factory=list)
    version: int = 10
    pages: int = 0
    watches: list[asyncio.Queue[dict[str, Any] | bytes | None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def config(self, **changes: Any) -> ClientConfig:
        return ClientConfig(**{"server": self.url, "ca": pem("ca.crt"), "token": TOKEN, **changes})

    def answer(self, *responses: web.Response) -> None:
        """Prepare answers; each is given once."""
        for response in responses:

            async def give(_: web.Request, response: web.Response = response) -> web.Response:
                return response

            self.answers.append(give)

    def seen(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]

    def push(self, kind: str, manifest: dict[str, Any]) -> None:
        """Send an event to every open watch."""
        for queue in self.watches:
            queue.put_nowait({"type": kind, "object": manifest})

    def end_watches(self) -> None:
        for queue in self.watches:
            queue.put_nowait(None)
        self.watches.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        self.requests.append(request)
        if self.answers:
            return await self.answers.popleft()(request)
        if request.query.get("watch"):
            return await self._watch(request)
        return self._list(request)

    def _list(self, request: web.Request) -> web.Response:
        start = int(request.query.get("continue") or 0)
        size = self.pages or len(self.objects) or 1
        more = str(start + size) if start + size < len(self.objects) else ""
        meta = {"resourceVersion": str(self.version), "continue": more}
        items = self.objects[start : start + size]
        return web.json_response({"kind": "List", "metadata": meta, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | bytes | None] = asyncio.Queue()
        self.watches.append(queue)
        while (event := await queue.get()) is not None:
            line = event if isinstance(event, bytes) else orjson.dumps(event) + b"\n"
            await response.write(line)
        return response


@contextlib.asynccontextmanager
async def running(*, ask_certificate: bool = False) -> AsyncIterator[Server]:
    """A server on a free port of 127.0.0.1."""
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PKI / "server.crt", PKI / "server.key")
    if ask_certificate:
        context.load_verify_locations(PKI / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        server.end_watches()
        await runner.cleanup()
