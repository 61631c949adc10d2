"""HTTP to addresses that people name in specs and settings: judged, bounded, one attempt.

Used by whoever leaves the cluster: metrics sources, advisors, event sinks, hooks. A host is
resolved here, its addresses are judged, and the connection goes to a judged address: link-local,
metadata and unspecified addresses are refused, loopback unless a setting allows it. Redirects and
proxies are not followed. Nothing is retried, nothing is logged.
"""

import asyncio
import contextlib
import functools
import ipaddress
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from fleet.clusters import tls
from fleet.errors import PermanentError, TemporaryError, Unanswered
from fleet.kit import addresses, redaction
from fleet.kit.addresses import Address

LIMITS = httpx.Limits(max_connections=300, max_keepalive_connections=20)
"""More than all who call through here want at once: nobody waits because others do."""
AUTHORITIES = 100
"""CAs whose connections are kept."""
LONGEST_ANSWER = 1 << 20
LONGEST_WORDS = 500
"""Characters that are kept of what a server says: its words end up in statuses and Events."""


class Refused(TemporaryError):
    """The address may not be asked, as things are: a name may resolve to something else later."""


class Denied(TemporaryError):
    """The server wants other credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `seconds` bounds it as a whole, name resolution included."""

    method: str
    url: str
    seconds: float
    name: str = ""
    """How sentences call it; default: the URL without credentials and query."""
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    authority: str = ""
    """The CA of the server's certificate, PEM; empty: one of the system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whatever it is."""

    status: int
    body: bytes
    retry_after: float | None = None
    """Seconds that the server asks for."""


class Web:
    """See the module; one for a process, so that connections are shared."""

    def __init__(self, *, user_agent: str, allow_loopback: bool = False) -> None:
        self._allow_loopback = allow_loopback
        self._lookups: dict[tuple[str, int], asyncio.Future[list[Any]]] = {}
        self._user_agent = user_agent
        self._clients: dict[str, httpx.AsyncClient] = {}
        """One for each CA; the first is that of the system's."""
        self._client("")

    async def ask(self, call: Call, hint: str = "") -> Answer:
        """The answer, of any HTTP status. Raises TemporaryError with a sentence when there is none
        (Unanswered when there is none in time), Refused for an address that may not be asked;
        `hint` ends the sentence."""
        where = call.name or shown(call.url)
        try:
            async with asyncio.timeout(call.seconds):
                return await self._ask(call, httpx.URL(call.url), where)
        except TimeoutError:
            raise Unanswered(f"{where} did not answer within {call.seconds:g} s") from None
        except UnicodeError:
            words = "a part of its host name is empty, longer than 63 characters or misspelt"
            raise Refused(f"{where} is not an address: {words}{hint}") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise TemporaryError(f"{where} does not answer: {_why(error)}{hint}") from None

    async def close(self) -> None:
        """Ends every connection."""
        for asked in self._lookups.values():
            asked.cancel()
        for client in self._clients.values():
            await client.aclose()

    def _client(self, authority: str) -> httpx.AsyncClient:
        """A text that was no certificate would be an ssl.SSLError here; whoever brings one has
        tried it. Of the CAs that were not met lately some are dropped, with their connections."""
        known = self._clients.get(authority)
        if known is not None:
            return known
        client = self._clients[authority] = httpx.AsyncClient(
            headers={"User-Agent": self._user_agent},
            timeout=None,
            trust_env=False,
            limits=LIMITS,
            verify=tls.context(authority, None, None) if authority else _trusted(),
        )
        if len(self._clients) > AUTHORITIES:
            del self._clients[next(item for item in self._clients if item)]
        return client

    async def _ask(self, call: Call, url: httpx.URL, where: str) -> Answer:
        *others, last = await self._judged(url, where)
        for target in others:
            with contextlib.suppress(httpx.ConnectError):
                return await self._exchange(call, url, target, where)
        return await self._exchange(call, url, last, where)

    async def _exchange(self, call: Call, url: httpx.URL, target: Address, where: str) -> Answer:
        """Connects to `target`; the name stays in the Host header and in the TLS handshake."""
        http = self._client(call.authority)
        request = http.build_request(
            call.method,
            url.copy_with(host=str(target), fragment=None),
            params=dict(call.params) or None,
            content=call.body,
            headers={**call.headers, "Host": url.netloc.decode("ascii").rpartition("@")[2]},
            extensions={"sni_hostname": url.host},
        )
        async with _sent(http, request) as answer:
            body = await _bounded(answer, where)
            return Answer(status=answer.status_code, body=body, retry_after=_retry_after(answer))

    async def _judged(self, url: httpx.URL, where: str) -> list[Address]:
        """Where the host may be reached. All its addresses must be allowed, not just one."""
        if url.scheme not in ("http", "https") or not url.host:
            raise Refused(
                f"{where} is not an address; write for example http://prometheus.monitoring:9090"
            )
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await self._resolved(url.host, port)
        except socket.gaierror:
            raise TemporaryError(f"the host name {url.host} cannot be resolved") from None
        known = list(dict.fromkeys(ipaddress.ip_address(item[4][0]) for item in found))
        for address in known:
            reason = addresses.refusal(address, allow_loopback=self._allow_loopback)
            if reason:
                raise Refused(f"{where} is refused: {address} is {reason}")
        return known

    async def _resolved(self, host: str, port: int) -> list[Any]:
        """What the resolver says. Several who ask for one name at once share one of its few
        threads: a name server that is silent about one name keeps no other name waiting."""
        asked = self._lookups.get((host, port))
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = asyncio.ensure_future(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            self._lookups[host, port] = asked
            asked.add_done_callback(lambda done: self._looked_up(host, port, done))
        return await asyncio.shield(asked)

    def _looked_up(self, host: str, port: int, done: asyncio.Future[list[Any]]) -> None:
        """Who asks from now on asks anew; a failure that nobody waited for is no news."""
        del self._lookups[host, port]
        if not done.cancelled():
            done.exception()


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The CAs that httpx brings along; to read them takes longer than many a request."""
    return httpx.create_ssl_context(trust_env=False)


@contextlib.asynccontextmanager
async def _sent(http: httpx.AsyncClient, request: httpx.Request) -> AsyncIterator[httpx.Response]:
    answer = await http.send(request, stream=True)
    try:
        yield answer
    finally:
        await answer.aclose()


def admit(answer: Answer, where: str) -> None:
    """Raises Denied for an answer that asks for credentials, or for other ones."""
    if answer.status in (401, 403):
        words = "the credentials are missing or wrong; name a Secret by secretRef, or correct it"
        raise Denied(f"{where} answered {answer.status}: {words}")


def check(answer: Answer, where: str, longest: int = LONGEST_WORDS) -> None:
    """Raises TemporaryError for an answer after which the same may be tried again (429, 5xx),
    PermanentError for any other refusal; both with at most `longest` characters of its body."""
    if 200 <= answer.status < 300:
        return
    said = cut(answer.body.decode(errors="replace").strip(), longest)
    message = f"{where} answered {answer.status}" + (f": {said}" if said else "")
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise TemporaryError(message, retry_after=answer.retry_after)
    raise PermanentError(message)


def shown(address: str) -> str:
    """The address without user and password, and without what may be a secret in its query."""
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + mark + host.rpartition("@")[2] + slash + path.partition("?")[0]


def site(address: str) -> str:
    """Scheme and host of the address alone, where its path may be a secret too."""
    scheme, mark, rest = shown(address).partition("://")
    return scheme + mark + rest.partition("/")[0].partition("?")[0]


def cut(words: str, longest: int = LONGEST_WORDS) -> str:
    """No more of a stranger's words than a status can hold, and no credentials."""
    words = redaction.excerpt(words, longest + 1)
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def _why(error: BaseException) -> str:
    """The system's words for a failure, which the library keeps at the bottom of its own."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, ssl.SSLCertVerificationError):
            return f"its certificate does not verify: {below.verify_message}"
        if isinstance(below, ssl.SSLError):
            return f"TLS failed: {below.reason}"
        if isinstance(below, OSError) and below.strerror:
            return os.strerror(below.errno).lower() if below.errno else below.strerror
        below = below.__cause__ or below.__context__
    return cut(str(error)) or type(error).__name__


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds only; a date would need a clock that agrees with ours."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


async def _bounded(answer: httpx.Response, where: str) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > LONGEST_ANSWER:
            raise TemporaryError(f"{where} answered with more than {LONGEST_ANSWER} bytes")
    return bytes(body)
