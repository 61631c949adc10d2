"""The metrics source over HTTP: one instant query, one number.

Called by `measure`. Addresses come from users, so a host is resolved here, its addresses are
judged, and the connection goes to a judged address: link-local, metadata and unspecified
addresses are refused, loopback unless a setting allows it. Redirects and proxies are not followed.
Nothing is retried: the next check comes by itself.
"""

import asyncio
import contextlib
import ipaddress
import math
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson

from fleet.errors import TemporaryError

TIMEOUT_SECONDS = 10.0
LONGEST_ANSWER = 1 << 20
LONGEST_WORDS = 500
"""Characters that are kept of what a source says: its words end up in statuses and Events."""
LOOPBACK = "a loopback address, which only KULTA_ALLOW_LOOPBACK=true permits"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")
)

DOUBT = "; is this the address of a Prometheus?"


class Prometheus:
    """`ports.MetricSource` for servers that speak Prometheus' HTTP API.

    Every query ends within `timeout` seconds (at most 10).
    """

    def __init__(
        self, *, user_agent: str, allow_loopback: bool = False, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._allow_loopback = allow_loopback
        self._timeout = min(timeout, TIMEOUT_SECONDS)
        self._http = httpx.AsyncClient(
            headers={"User-Agent": user_agent, "Accept": "application/json"},
            timeout=self._timeout,
            trust_env=False,
            limits=httpx.Limits(max_connections=50, max_keepalive_connections=20),
        )

    async def query(self, address: str, text: str) -> float | None:
        shown = _shown(address)
        try:
            async with asyncio.timeout(self._timeout):
                status, body = await self._ask(httpx.URL(address), text, shown)
        except TimeoutError:
            raise TemporaryError(f"{shown} did not answer within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise TemporaryError(f"{shown} does not answer: {_why(error)}{DOUBT}") from None
        return parse(status, body, shown)

    async def close(self) -> None:
        """Ends every connection."""
        await self._http.aclose()

    async def _ask(self, base: httpx.URL, text: str, shown: str) -> tuple[int, bytes]:
        *others, last = await self._judged(base, shown)
        for target in others:
            with contextlib.suppress(httpx.ConnectError):
                return await self._get(base, target, text, shown)
        return await self._get(base, last, text, shown)

    async def _get(
        self, base: httpx.URL, target: Address, text: str, shown: str
    ) -> tuple[int, bytes]:
        """Connects to `target`; the name stays in the Host header and in the TLS handshake."""
        path = base.path.rstrip("/") + "/api/v1/query"
        request = self._http.build_request(
            "GET",
            base.copy_with(host=str(target), path=path, query=None, fragment=None),
            params={"query": text},
            headers={"Host": base.netloc.decode("ascii").rpartition("@")[2]},
            extensions={"sni_hostname": base.host},
        )
        async with self._sent(request) as answer:
            return answer.status_code, await _bounded(answer, shown)

    @contextlib.asynccontextmanager
    async def _sent(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        answer = await self._http.send(request, stream=True)
        try:
            yield answer
        finally:
            await answer.aclose()

    async def _judged(self, url: httpx.URL, shown: str) -> list[Address]:
        """Where the host may be reached. All its addresses must be allowed, not just one."""
        if url.scheme not in ("http", "https") or not url.host:
            raise TemporaryError(
                f"{shown} is not an address; write for example http://prometheus.monitoring:9090"
            )
        loop = asyncio.get_running_loop()
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        except socket.gaierror:
            raise TemporaryError(f"the host name {url.host} cannot be resolved") from None
        addresses = list(dict.fromkeys(ipaddress.ip_address(item[4][0]) for item in found))
        for address in addresses:
            reason = refusal(address, allow_loopback=self._allow_loopback)
            if reason:
                raise TemporaryError(f"{shown} is refused: {address} is {reason}")
        return addresses


def _why(error: BaseException) -> str:
    """The system's words for a failure, which the library keeps at the bottom of its own."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.strerror:
            return os.strerror(below.errno).lower() if below.errno else below.strerror
        below = below.__cause__ or below.__context__
    return str(error) or type(error).__name__


def _shown(address: str) -> str:
    """The address without user and password, for people."""
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + mark + host.rpartition("@")[2] + slash + path


def refusal(address: Address, *, allow_loopback: bool) -> str:
    """Why the engine does not connect to `address`; empty when it does."""
    inner = getattr(address, "ipv4_mapped", None) or address
    if inner.is_loopback:
        return "" if allow_loopback else LOOPBACK
    if inner in _METADATA:
        return "a cloud metadata address"
    if inner.is_link_local:
        return "a link-local address"
    if inner.is_unspecified or inner.is_multicast or inner.is_reserved:
        return "not the address of a server"
    return ""


def parse(status: int, body: bytes, address: str) -> float | None:
    """The first number of an answer, None when it holds no series. Raises TemporaryError."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise TemporaryError(
            f"{address} answered {status} with something that is not JSON{DOUBT}"
        ) from None
    if not isinstance(said, dict):
        raise TemporaryError(
            f"{address} answered {status} with something that is not an object{DOUBT}"
        )
    if said.get("status") != "success":
        why = _cut(str(said.get("error") or said.get("errorType") or f"HTTP {status}"))
        raise TemporaryError(f"{address} refused the query: {why}; correct the metric's query")
    data = said.get("data")
    result = data.get("result") if isinstance(data, dict) else None
    if not isinstance(result, list):
        raise TemporaryError(f"{address} answered without a result{DOUBT}")
    if not result:
        return None
    return _number(_sample(data, result), address)


def _sample(data: Any, result: list[Any]) -> Any:
    """`[time, "value"]` of a scalar, or of the first series of a vector."""
    if data.get("resultType") == "scalar":
        return result
    return result[0].get("value") if isinstance(result[0], dict) else None


def _number(sample: Any, address: str) -> float:
    well_formed = isinstance(sample, list) and len(sample) == 2
    if not well_formed or not isinstance(sample[0], int | float):
        raise TemporaryError(f"{address} answered without an instant value; is it a range query?")
    try:
        value = float(sample[1])
    except (TypeError, ValueError):
        said = _cut(repr(sample[1]))
        raise TemporaryError(f"{address} answered {said}, which is not a number") from None
    if math.isnan(value) or math.isinf(value):
        raise TemporaryError(
            f"{address} answered {sample[1]}, which is not a usable number; "
            "write a query that does not divide by zero"
        )
    return value


def _cut(words: str) -> str:
    return words if len(words) <= LONGEST_WORDS else f"{words[: LONGEST_WORDS - 1]}…"


async def _bounded(answer: httpx.Response, address: str) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > LONGEST_ANSWER:
            raise TemporaryError(f"{address} answered with more than {LONGEST_ANSWER} bytes")
    return bytes(body)
