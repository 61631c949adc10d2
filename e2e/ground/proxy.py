"""Disturbs the way between a client and a real server, from outside of both.

`Proxy` works on bytes: latency, connections cut by RST, a black hole, a refused port; TLS passes
through it untouched. `HttpProxy` ends TLS with a certificate of the control plane's own authority
and can therefore disturb single requests: errors, answers lost after the write has happened, one
that comes late, a halt after the nth write, watches that have expired. Both give an address for
`ControlPlane.write_kubeconfig(…, server=proxy.url)`.

    async with Proxy(plane.port) as proxy:
        proxy.black_hole()
        …
        await proxy.heal()
"""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from e2e.ground.authority import Authority
from e2e.ground.faults import Brake, Caught, Fault, Seen, View, When, always, writing

CHUNK = 64 * 1024
HOST = "127.0.0.1"
HOP_BY_HOP = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "content-length"})


class Proxy:
    """A TCP proxy to `port` of 127.0.0.1. Everything passes until told otherwise.

    It listens `at` an address and port; port 0 is any that is free.
    """

    def __init__(self, port: int, *, at: tuple[str, int] = (HOST, 0)) -> None:
        self.latency = 0.0
        """Seconds that every piece waits, in each direction."""
        self.host, self.port = at
        self._target = port
        self._server: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._passing.set()
        self.links: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    def black_hole(self) -> None:
        """Connections stay and can be made, but nothing arrives until `heal`."""
        self._passing.clear()

    def cut(self) -> None:
        """Reset all connections; new ones pass."""
        for task, ends in self.links.items():
            _reset(ends)
            task.cancel()

    async def refuse(self) -> None:
        """Reset all connections and refuse new ones until `heal`."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    async def heal(self) -> None:
        """Everything passes again; what a black hole held back arrives now."""
        self.latency = 0.0
        self._passing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.heal()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.refuse()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: two pumps, until either side ends."""
        ends, pumps = [writer], set[asyncio.Task[None]]()
        task = asyncio.current_task()
        assert task is not None
        self.links[task] = ends
        try:
            await self._pass()
            answers, target = await asyncio.open_connection(HOST, self._target)
            ends.append(target)
            pumps |= {
                asyncio.create_task(self._pump(reader, target)),
                asyncio.create_task(self._pump(answers, writer)),
            }
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            _reset(ends)
        finally:
            del self.links[task]
            for pump in pumps:
                pump.cancel()
            for end in ends:
                end.close()

    async def _pass(self) -> None:
        """Wait while there is a black hole."""
        while not self._passing.is_set():
            await self._passing.wait()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes one way until an end; one that breaks is an end like any other."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.latency:
                    await asyncio.sleep(self.latency)
                await self._pass()
                writer.write(data)
                await writer.drain()


def _reset(ends: Iterable[asyncio.StreamWriter]) -> None:
    """Close with RST, which lingering for zero seconds does."""
    for end in ends:
        raw = end.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.transport.abort()


class HttpProxy:
    """An HTTP proxy to the API server at `server`, with a certificate of its `authority`.

    Proxies that share a `brake` count their writes together, and hold together.
    """

    def __init__(self, server: str, authority: Authority, brake: Brake | None = None) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        """All requests so far, disturbed or not."""
        self.view = View()
        self.brake = brake or Brake()
        self._server = server
        self._authority = authority
        self._faults: list[Fault] = []
        self._catches: list[Caught] = []
        self.no_watch = asyncio.Event()
        """Set while no watch passes through."""
        self.no_watch.set()
        self._watches: set[asyncio.Task[None]] = set()
        self._open = contextlib.AsyncExitStack()

    def fail(self, status: int, *, times: int = 1, when: When = always) -> None:
        """Answer the next `times` requests with `status`; the server never sees them."""
        self._faults.append(Fault(when=when, times=times, status=status))

    def lose_answer(self, *, times: int = 1, when: When = writing) -> None:
        """Let the server act, then cut the connection in the place of its answer."""
        self._faults.append(Fault(when=when, times=times, status=None))

    def catch(self, when: When) -> Caught:
        """Keep the next request for which `when` holds on its way; all others pass."""
        self._catches.append(caught := Caught(when=when, loop=self._loop))
        return caught

    @property
    def held(self) -> asyncio.Event:
        """Set once `hold_after` holds requests back and no write is under way any more."""
        return self.brake.held

    def hold_after(self, writes: int) -> None:
        """Let `writes` (at least 1) more writes through, then hold all requests until `heal`."""
        self.brake.after(writes)

    def expire_watches(self) -> int:
        """End all open watches with the event of a compacted version (410); how many."""
        for watch in self._watches:
            watch.cancel()
        return len(self._watches)

    def heal(self) -> None:
        """Everything passes again."""
        self._faults.clear()
        self.view.show_present()
        self.brake.release()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(ssl=self._authority.context(), limit=0)
        self._session = await self._open.enter_async_context(
            aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        )
        # A client that goes away shall end its watch at the server too.
        server = web.Server(self._serve, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=0.2)
        await runner.setup()
        self._open.push_async_callback(runner.cleanup)
        context = self._authority.issue("proxy").context()
        await web.TCPSite(runner, HOST, 0, ssl_context=context).start()
        self.url = f"https://{HOST}:{runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heal()
        await self._open.aclose()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        seen = Seen(method=request.method, path=request.raw_path)
        self.seen.append(seen)
        async with self.brake.admitted(seen):
            return await self._answer(request, seen)

    async def _answer(self, request: web.BaseRequest, seen: Seen) -> web.StreamResponse:
        caught = await self._catch(seen)
        fault = next((fault for fault in self._faults if fault.takes(seen)), None)
        if fault is not None and fault.status is not None:
            made = error_object(fault.status, "Injected", f"{fault.status} by the proxy")
            return web.json_response(made, status=fault.status)
        if (old := self.view.old(seen)) is not None:
            return web.Response(body=old, content_type="application/json")
        try:
            async with self._forward(request) as answer:
                if fault is not None:
                    await answer.read()
                    return _cut(request)
                if seen.is_watch and answer.status == 200:
                    return await self._watch(request, answer, seen)
                body = await answer.read()
                if answer.status == 200:
                    self.view.note(seen, body)
                if caught is not None:
                    caught.status, caught.answer = answer.status, body.decode(errors="replace")
                headers = _end_to_end(answer.headers)
                return web.Response(status=answer.status, headers=headers, body=body)
        except aiohttp.ClientError:
            # The server is gone: the client shall see that, not an answer that we made up.
            return _cut(request)

    async def _catch(self, seen: Seen) -> Caught | None:
        """Keep this request, if it is one to be kept, until it is let go."""
        caught = next((one for one in self._catches if not one.has_come and one.when(seen)), None)
        if caught is not None:
            caught.has_come = True
            await caught.free.wait()
        return caught

    @contextlib.asynccontextmanager
    async def _forward(self, request: web.BaseRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        """The same request at the server."""
        async with self._session.request(
            request.method,
            URL(self._server + request.raw_path, encoded=True),
            headers=_end_to_end(request.headers),
            data=await request.read(),
            allow_redirects=False,
        ) as answer:
            try:
                yield answer
            finally:
                _break_off(answer)

    async def _watch(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse, seen: Seen
    ) -> web.StreamResponse:
        """Relay a watch until one side ends it or `expire_watches` does."""
        response = web.StreamResponse(status=answer.status, headers=_end_to_end(answer.headers))
        await response.prepare(request)
        relay = asyncio.create_task(self._relay(answer, response, seen))
        self._watches.add(relay)
        self.no_watch.clear()
        try:
            await asyncio.wait({relay})
        finally:
            relay.cancel()
            self._watches.discard(relay)
            if not self._watches:
                self.no_watch.set()
        if relay.cancelled():
            event = error_object(410, "Expired", "too old resource version, by the proxy")
            await response.write(json.dumps({"type": "ERROR", "object": event}).encode() + b"\n")
        elif error := relay.exception():
            raise error
        return response

    async def _relay(
        self, answer: aiohttp.ClientResponse, response: web.StreamResponse, seen: Seen
    ) -> None:
        """Pass on whole lines, so that an event of our own never lands inside another."""
        rest = b""
        async for chunk in answer.content.iter_any():
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline and await self.view.shows(seen):
                await response.write(lines + newline)


def error_object(code: int, reason: str, message: str) -> dict[str, object]:
    """A Kubernetes Status of a failure."""
    failure = {"status": "Failure", "code": code, "reason": reason, "message": message}
    return {"apiVersion": "v1", "kind": "Status", "metadata": {}, **failure}


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers that are not about one connection only."""
    return CIMultiDict((k, v) for k, v in headers.items() if k.lower() not in HOP_BY_HOP)


def _break_off(answer: aiohttp.ClientResponse) -> None:
    """End an answer that has not come to its end: a TLS good-bye might outlive a test's loop."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()


def _cut(request: web.BaseRequest) -> web.Response:
    """Break the client's connection; the answer returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
