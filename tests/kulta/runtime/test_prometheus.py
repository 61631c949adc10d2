"""The metrics source against real sockets: answers, nonsense, silence, and addresses it refuses."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from fleet.clusters import web
from fleet.clusters.web import Web
from fleet.errors import TemporaryError
from fleet.kit import addresses
from fleet.kulta.runtime import prometheus, sources
from fleet.kulta.runtime.prometheus import PrometheusSource

QUERY = 'sum(rate(http_requests_total{status=~"5.."}[2m])) * 100'
VECTOR = '{"status":"success","data":{"resultType":"vector","result":[%s]}}'


def vector(value: str, time: str = "1435781451.781") -> str:
    return VECTOR % f'{{"metric":{{}},"value":[{time},{value}]}}'


class Server:
    """Answers every request with the same text and keeps what it was asked."""

    def __init__(self, body: str, status: int, delay: float) -> None:
        self.body, self.status, self.delay = body, status, delay
        self.asked: list[str] = []
        self.hosts: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *headers = head.split("\r\n")
        self.asked.append(line.split()[1])
        self.hosts.extend(h.split(": ")[1] for h in headers if h.lower().startswith("host:"))
        await asyncio.sleep(self.delay)
        length = len(self.body.encode())
        writer.write(
            f"HTTP/1.1 {self.status} X\r\nContent-Length: {length}\r\n"
            f"Connection: close\r\n\r\n{self.body}".encode()
        )
        await writer.drain()


@asynccontextmanager
async def serving(
    body: str, status: int = 200, delay: float = 0.0
) -> AsyncIterator[tuple[Server, str]]:
    server = Server(body, status, delay)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        listening.close()


@asynccontextmanager
async def source(*, loopback: bool = True, seconds: float = 5.0) -> AsyncIterator[PrometheusSource]:
    net = Web(user_agent="kulta-engine/test", allow_loopback=loopback)
    try:
        yield PrometheusSource(net, timeout=seconds)
    finally:
        await net.close()


async def asked(body: str, status: int = 200) -> float | None:
    async with serving(body, status) as (_, address), source() as metrics:
        return await metrics.query(address, QUERY)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        pytest.param(vector('"5.2"', "1234567890"), 5.2, id="[M5] a whole timestamp"),
        pytest.param(vector('"5.2"'), 5.2, id="[M9] a timestamp with milliseconds"),
        pytest.param(VECTOR % "", None, id="[M6] no series is no data"),
        pytest.param(
            '{"status":"success","data":{"resultType":"scalar","result":[1.5,"7"]}}',
            7.0,
            id="a scalar",
        ),
    ],
)
async def test_an_answer_becomes_a_number(body: str, value: float | None) -> None:
    assert await asked(body) == value


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        pytest.param(200, "not valid json", "not JSON", id="[M7] text that is not JSON"),
        pytest.param(502, "<html>bad gateway</html>", "answered 502", id="a proxy's page"),
        pytest.param(200, vector('"NaN"'), "NaN, which is not a usable", id="[M8] NaN"),
        pytest.param(200, vector('"+Inf"'), "+Inf, which is not a usable", id="[M8] infinity"),
        pytest.param(
            400,
            '{"status":"error","errorType":"bad_data","error":"x marks the spot"}',
            "refused the query: x marks the spot",
            id="[M10] Prometheus' own error text",
        ),
        pytest.param(
            200,
            VECTOR % '{"value":[1,"1"]},{"value":[1,"2"]},{"value":[1,"3"]}',
            "3 series where one number is needed; add them up",
            id="a vector of many",
        ),
        pytest.param(200, vector('"many"'), "'many', which is not a number", id="a word"),
        pytest.param(
            200,
            '{"status":"success","data":{"resultType":"string","result":[1.5,"many"]}}',
            "'many', which is not a number",
            id="a query that is a text",
        ),
        pytest.param(200, "[]", "not an object", id="a list"),
        pytest.param(200, '{"status":"success"}', "without a result", id="no data member"),
        pytest.param(
            200,
            '{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"2"]]}]}}',
            "is it a range query?",
            id="a range",
        ),
        pytest.param(
            302, "", "answered 302 with something that is not JSON", id="a redirect is not followed"
        ),
    ],
)
async def test_nonsense_is_an_error_with_a_sentence(status: int, body: str, text: str) -> None:
    with pytest.raises(TemporaryError) as raised:
        await asked(body, status)
    assert text in str(raised.value)


async def test_the_question_arrives_as_it_was_meant() -> None:
    async with serving(vector('"1"')) as (server, address), source() as metrics:
        await metrics.query(f"{address}/prefix/", QUERY)
    url = urlsplit(server.asked[0])
    assert (url.path, parse_qs(url.query)) == ("/prefix/api/v1/query", {"query": [QUERY]})
    assert server.hosts == [address.removeprefix("http://")]


async def test_a_name_is_resolved_once_and_stays_in_the_host_header() -> None:
    async with serving(vector('"1"')) as (server, address), source() as metrics:
        named = address.replace("127.0.0.1", "localhost")
        assert await metrics.query(named, QUERY) == 1.0
    assert server.hosts == [named.removeprefix("http://")]


async def test_a_source_that_hangs_is_given_up() -> None:
    """[M33] Here after 0.2 s; the limit itself is ten."""
    async with serving(vector('"1"'), delay=5.0) as (_, address), source(seconds=0.2) as metrics:
        with pytest.raises(TemporaryError, match=r"did not answer within 0\.2 s"):
            await metrics.query(address, QUERY)
    assert sources.TIMEOUT_SECONDS <= 10.0


async def test_an_answer_without_end_is_cut() -> None:
    with pytest.raises(TemporaryError, match="more than 1048576 bytes"):
        await asked(" " * (web.LONGEST_ANSWER + 1))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"status": "error", "error": "x" * 1_000_000}, id="an error"),
        pytest.param({"status": "error", "error": ["x"] * 1_000_000}, id="an error of any kind"),
        pytest.param(
            {"status": "success", "data": {"result": [{"value": [1, "x" * 1_000_000]}]}},
            id="a value",
        ),
    ],
)
def test_the_words_of_a_source_are_cut(said: dict[str, Any]) -> None:
    """They end up in statuses, decisions and Events."""
    with pytest.raises(TemporaryError) as raised:
        prometheus.parse(200, orjson.dumps(said), "http://prometheus:9090")
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize(
    ("address", "text"),
    [
        pytest.param("http://127.0.0.1:9", "a loopback address", id="loopback"),
        pytest.param("http://[::1]:9", "a loopback address", id="loopback of IPv6"),
        pytest.param("http://[::ffff:127.0.0.1]:9", "a loopback address", id="mapped loopback"),
        pytest.param("http://localhost:9", "a loopback address", id="a name that is loopback"),
        pytest.param("http://169.254.169.254", "metadata", id="the metadata service"),
        pytest.param("http://169.254.7.7", "link-local", id="link-local"),
        pytest.param("http://0.0.0.0:9", "not the address of a server", id="unspecified"),
        pytest.param("ftp://prometheus", "is not an address", id="another scheme"),
        pytest.param("http://no-such-host.invalid", "cannot be resolved", id="an unknown name"),
    ],
)
async def test_addresses_that_are_refused(address: str, text: str) -> None:
    async with source(loopback=False) as metrics:
        with pytest.raises(TemporaryError, match=text):
            await metrics.query(address, QUERY)


async def test_a_refusal_does_not_show_the_password() -> None:
    async with source(loopback=False) as metrics:
        with pytest.raises(TemporaryError) as raised:
            await metrics.query("http://me:hunter2@127.0.0.1:9", QUERY)
    assert "hunter2" not in str(raised.value)


async def test_nobody_listens() -> None:
    async with serving("") as (_, address):
        pass
    async with source() as metrics:
        with pytest.raises(TemporaryError, match="does not answer"):
            await metrics.query(address, QUERY)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "192.168.1.1", "8.8.8.8", "fd12::1", "2606:4700::1"],
)
def test_ordinary_addresses_are_allowed(address: str) -> None:
    assert addresses.refusal(ipaddress.ip_address(address), allow_loopback=False) == ""
