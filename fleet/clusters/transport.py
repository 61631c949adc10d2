"""One connection to one API server: a request, a stream, and the verdict of the circuit breaker.

The only place that sends HTTP to Kubernetes; `client` puts the verbs on top. Many transports share
one session. Each has its own TLS context, credentials, bound on requests in flight and breaker, so
nothing of one cluster is awaited by another.

What a member sends is not trusted: answers are bounded, redirects are not followed and cookies are
not kept. The library's errors end here (they hold request headers), credentials never leave.
"""

import asyncio
import asyncio.sslproto
import contextlib
import math
import random
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol, Self

import aiohttp

from fleet import turns
from fleet.clusters import errors
from fleet.clusters.bearer import Bearer
from fleet.clusters.config import ClientConfig
from fleet.clusters.health import Breaker
from fleet.errors import Deposed, FleetError, Unauthorized, Unreachable

LONGEST_PAUSE = 3_600.0
"""Seconds that a server may ask for: who names more is asked once an hour."""
MOST_BYTES = 64 * 2**20
MOST_EVENT_BYTES = 8 * 2**20
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 75.0
SMALL_BYTES = 64 * 1024
"""More than that wakes up a stream that rests."""
BEAT_SECONDS = 0.5
"""Between two moments at which streams are read again that rest for at least so long."""

Params = Mapping[str, str]
Session = aiohttp.ClientSession


class RequestObserver(Protocol):
    """Told once per request; `code` is the HTTP status, `error` without an answer, `open` unsent.

    `seconds` is until the whole answer, for a watch until its headers.
    """

    def __call__(self, *, cluster: str, verb: str, code: str, seconds: float) -> None: ...


def _unobserved(*, cluster: str, verb: str, code: str, seconds: float) -> None:
    """The observer when nobody counts."""


def _always() -> bool:
    """Who writes when nobody is elected."""
    return True


async def _at_once() -> None:
    """The turn of whoever is alone."""


def awake() -> float:
    """The rest of a stream that is read as soon as something comes."""
    return 0.0


def open_session() -> Session:
    """The session that all clients of the process share; needs a running loop, close it at the end.

    The pool's key holds the TLS context, so clusters never share a connection.
    """
    # asyncio gives every TLS connection a buffer of this size: 256 KiB by default, 303 MiB for
    # 1,000 connections against 67 MiB with 16 KiB, at the same speed.
    if hasattr(asyncio.sslproto.SSLProtocol, "max_size"):
        asyncio.sslproto.SSLProtocol.max_size = 16 * 1024
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60, ttl_dns_cache=300)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


@dataclass(slots=True)
class _Attempt:
    started: float
    code: str = "error"


class _Silence:
    """Ends a stream on which nothing has come for so long: one timer that looks at the time of the
    last part. The library makes a new timer for each part, a tenth of what a quiet fleet costs."""

    def __init__(self, content: aiohttp.StreamReader, seconds: float) -> None:
        self._content, self._seconds = content, seconds
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self.heard()
        self._timer = self._loop.call_later(self._seconds, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def heard(self) -> None:
        """A part has come."""
        self._last = self._loop.time()

    def _look(self) -> None:
        left = self._last + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._content.set_exception(TimeoutError())


class _Rest:
    """Lets a stream lie for a while: what is small waits in the kernel, which wakes up the loop
    only when the connection ends. Many that rest for long are read together, on a beat that all
    share; one that is busy rests for a moment, to be read once for all that comes in it."""

    def __init__(self, answer: aiohttp.ClientResponse, wish: Callable[[], float]) -> None:
        # What has been read to its end has no connection any more.
        self._protocol = answer.connection.protocol if answer.connection is not None else None
        self._content, self._wish = answer.content, wish
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:
        """Rest for as long as is wished, and a long rest until the next beat."""
        if not self._content.is_eof() and (seconds := self._wish()) > 0:
            until = self._loop.time() + seconds
            if seconds >= BEAT_SECONDS:
                until = math.ceil(until / BEAT_SECONDS) * BEAT_SECONDS
            self._timer = self._loop.call_at(until, self.end)
            self._wake_at(SMALL_BYTES)

    def end(self) -> None:
        """Read again, if it rests."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._wake_at(1)

    def _wake_at(self, size: int) -> None:
        transport = self._protocol.transport if self._protocol is not None else None
        if transport is not None and not transport.is_closing():
            # A socket that cannot do this, or has just ended, is read as ever.
            with contextlib.suppress(OSError):
                plain = transport.get_extra_info("socket")
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)


@dataclass(eq=False, slots=True)
class Transport:
    """See the module. `last_failure` is why a request last got no usable answer: what an open
    circuit does not say.
    """

    name: str
    config: ClientConfig
    session: Session = field(repr=False)
    _: KW_ONLY
    inflight: int = 8
    timeout: float = 15.0
    user_agent: str = "kulta-fleet"
    observe: RequestObserver = field(default=_unobserved, repr=False)
    may_write: Callable[[], bool] = field(default=_always, repr=False)
    """Whether this process leads; asked before each write, because it may have slept meanwhile."""
    turn: Callable[[], Awaitable[None]] = field(default=_at_once, repr=False)
    """Awaited before each request, each watch, and the reading of each page of a list: where many
    clusters share an event loop, none of them may fill it."""
    compresses: bool = True
    """Whether large answers come compressed: less to send, and more to compute at both ends."""
    breaker: Breaker = field(default_factory=Breaker, repr=False)
    monotonic: Callable[[], float] = field(default=time.monotonic, repr=False)
    last_failure: FleetError | None = field(default=None, init=False, repr=False)
    _slots: turns.Places = field(init=False, repr=False)
    _bearer: Bearer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._slots = turns.Places(self.inflight)
        self._bearer = Bearer(self.config)

    def reconfigure(self, config: ClientConfig) -> None:
        """From the next request on use `config`; the circuit is closed for a fresh try.

        Streams under way keep their connection: whoever runs them ends them.
        """
        self.config = config.following(self.config)
        self._bearer = Bearer(self.config)
        self.breaker = self.breaker.succeed()

    async def send(
        self, method: str, path: str, params: Params | None, data: bytes | None, headers: Params
    ) -> bytes:
        """One request, once; the body of its 2xx answer. Raises the classes of `fleet.errors`:
        Deposed for a write while `may_write` says no."""
        async with self._slots:
            await self.turn()
            return await self._sent(method, path, params, data, headers)

    async def _sent(
        self, method: str, path: str, params: Params | None, data: bytes | None, headers: Params
    ) -> bytes:
        limits = aiohttp.ClientTimeout(total=self.timeout, sock_connect=CONNECT_SECONDS)
        async with self._attempt(method, self.timeout) as attempt:
            if method != "GET" and not self.may_write():
                attempt.code = "deposed"
                raise Deposed(f"{method} {path} is not sent: this replica does not lead")
            keywords = self._keywords(headers) | {"data": data, "timeout": limits}
            url = self.config.server + path
            async with self.session.request(method, url, params=params, **keywords) as answer:
                attempt.code = str(answer.status)
                body = await self._body(answer)
                self._judge(answer, body, f"{method} {path}")
                return body

    async def stream(
        self,
        path: str,
        params: Params,
        opened: Callable[[], None],
        rest: Callable[[], float] = awake,
    ) -> AsyncGenerator[bytes, None]:
        """The lines of a watch, until the server ends it; Hushed when it is silent for 75 s. Takes
        none of the `inflight` places. After what has come it rests for as many seconds as `rest`
        says."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        await self.turn()
        async with contextlib.AsyncExitStack() as stack:
            async with (
                self._attempt("WATCH", SILENCE_SECONDS) as attempt,
                asyncio.timeout(SILENCE_SECONDS),
            ):
                keywords = self._keywords({}) | {"timeout": limits}
                url = self.config.server + path
                answer = await stack.enter_async_context(
                    self.session.get(url, params=params, **keywords)
                )
                attempt.code = str(answer.status)
                body = await self._body(answer) if answer.status != 200 else b""
                self._judge(answer, body, f"WATCH {path}")
            opened()
            doze = stack.enter_context(_Rest(answer, rest))
            silence = stack.enter_context(_Silence(answer.content, SILENCE_SECONDS))
            try:
                async for line in self._lines(answer.content, silence.heard, doze):
                    yield line
            except TimeoutError:
                # Whether it lives is found out by the next watch, on a new connection.
                text = f"WATCH {path}: silent for {SILENCE_SECONDS:g} s"
                raise errors.Hushed(text) from None
            except errors.TRANSPORT as error:
                # A stream that breaks is no verdict on the server; reconnecting gives one.
                raise self._unreachable(error, SILENCE_SECONDS) from None

    @contextlib.asynccontextmanager
    async def _attempt(self, verb: str, seconds: float) -> AsyncIterator[_Attempt]:
        """Ask the breaker, tell it what the transport did, turn the library's errors into ours."""
        attempt = _Attempt(started=self.monotonic())
        try:
            self._admit(attempt)
            yield attempt
        except errors.TRANSPORT as error:
            attempt.code = "error"
            self._failed()
            self.last_failure = self._unreachable(error, seconds)
            raise self.last_failure from None
        finally:
            self.breaker = self.breaker.abandon()
            passed = self.monotonic() - attempt.started
            self.observe(cluster=self.name, verb=verb, code=attempt.code, seconds=passed)

    def _admit(self, attempt: _Attempt) -> None:
        admitted = self.breaker.admit(attempt.started)
        if admitted is None:
            attempt.code = "open"
            wait = max(self.breaker.until - attempt.started, 0.0)
            raise errors.CircuitOpen(
                f"{self.config.server} failed {self.breaker.failures} times in a row;"
                f" next try in {math.ceil(wait)} s",
                retry_after=wait,
            )
        self.breaker = admitted

    def _judge(self, answer: aiohttp.ClientResponse, body: bytes, what: str) -> None:
        """Tell the breaker, and raise for everything but 2xx."""
        if answer.status in errors.SERVER_FAILURES and not errors.is_about_one_object(body):
            self._failed()
        else:
            self.breaker = self.breaker.succeed()
        if not 200 <= answer.status < 300:
            after = answer.headers.get("Retry-After", "")
            seconds = min(float(after), LONGEST_PAUSE) if after.isdecimal() else None
            error = self._clean(
                errors.from_answer(answer.status, body, what=what, retry_after=seconds)
            )
            if isinstance(error, Unreachable):
                self.last_failure = error
            raise error

    def _clean(self, error: FleetError) -> FleetError:
        """`error` without our token, should a server or proxy have echoed the request."""
        if secret := self._bearer.last:
            error.args = tuple(str(text).replace(secret, "…") for text in error.args)
        return error

    def _failed(self) -> None:
        # Jitter, not a secret.
        self.breaker = self.breaker.fail(self.monotonic(), random.random())

    def _unreachable(self, error: BaseException, seconds: float) -> Unreachable:
        return errors.from_transport(error, server=self.config.server, seconds=seconds)

    def _keywords(self, headers: Params) -> dict[str, Any]:
        token = self._token()
        proof = {"Authorization": f"Bearer {token}"} if token else {}
        common = {
            "User-Agent": self.user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "gzip" if self.compresses else "identity",
        }
        return {
            "headers": common | proof | dict(headers),
            "ssl": self.config.tls,
            "server_hostname": self.config.tls_server_name,
            "proxy": self.config.proxy_url,
            "allow_redirects": False,
        }

    def _token(self) -> str | None:
        try:
            return self._bearer.current(self.monotonic())
        except OSError as error:
            path = self.config.token_file
            raise Unauthorized(f"{path} cannot be read: {error.strerror}") from None

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in answer.content.iter_any():
            size += len(part)
            if size > MOST_BYTES:
                raise Unreachable(f"{self.config.server} answered more than {MOST_BYTES} bytes")
            parts.append(part)
        return b"".join(parts)

    async def _lines(
        self, content: aiohttp.StreamReader, heard: Callable[[], None], doze: _Rest
    ) -> AsyncGenerator[bytes, None]:
        rest = bytearray()
        async for part in content.iter_any():
            heard()
            doze.end()
            head, newline, tail = part.partition(b"\n")
            rest += head
            while newline:
                if rest:
                    yield bytes(rest)
                head, newline, tail = tail.partition(b"\n")
                rest = bytearray(head)
            if len(rest) > MOST_EVENT_BYTES:
                raise Unreachable(f"{self.config.server} sent an event of more than 8 MiB")
            if not rest:
                doze.begin()
