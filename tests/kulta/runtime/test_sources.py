"""Sources with credentials, against real sockets: what arrives, and what is never told."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fleet.api.names import SECRETS
from fleet.clusters.web import Web
from fleet.errors import Forbidden, TemporaryError, Unreachable
from fleet.kulta.core.observed import Query
from fleet.kulta.runtime.credentials import KEPT_SECONDS, Credentials
from fleet.kulta.runtime.sources import Sources
from tests.fakes import FakeClock, FakeKube

PKI = Path(__file__).parents[2] / "clusters/pki"
SEVEN = '{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}'


class Server:
    """Answers every request with the same text and keeps the headers that it was sent."""

    def __init__(self, body: str, status: int) -> None:
        self.body, self.status = body, status
        self.lines: list[str] = []
        self.headers: list[dict[str, str]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            self.lines.append(line)
            self.headers.append(dict(item.split(": ", 1) for item in rest))
            body = self.body.encode()
            head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(
    body: str = SEVEN, status: int = 200, *, tls: bool = False
) -> AsyncIterator[tuple[Server, str]]:
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(PKI / "server.crt", PKI / "server.key")
    server = Server(body, status)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield server, f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        listening.close()


class Desk:
    """Sources with one Secret to read."""

    def __init__(self, **data: str) -> None:
        self.clock, self.kube = FakeClock(), FakeKube()
        self.net = Web(user_agent="test", allow_loopback=True)
        self.sources = Sources(self.net, Credentials(self.kube, self.clock), timeout=2.0)
        if data:
            self.write(**data)

    def write(self, **data: str) -> None:
        coded = {
            key.replace("__", ".").replace("_", "-") if "__" in key else key: base64.b64encode(
                value.encode()
            ).decode()
            for key, value in data.items()
        }
        metadata = {"name": "prom", "namespace": "shop"}
        self.kube.seed(SECRETS, {"metadata": metadata, "data": coded})

    async def ask(self, address: str, **more: Any) -> float | None:
        question = {"text": "up", "secret": "prom", **more}
        return await self.sources.query("shop", Query(address=address, **question))

    async def refusal(self, address: str, **more: Any) -> str:
        with pytest.raises(TemporaryError) as raised:
            await self.ask(address, **more)
        return str(raised.value)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    found = Desk()
    yield found
    await found.net.close()


@pytest.mark.parametrize(
    ("data", "name", "value"),
    [
        pytest.param({"token": "s3cret\n"}, "Authorization", "Bearer s3cret", id="a bearer token"),
        pytest.param(
            {"username": "me", "password": "p:w"},
            "Authorization",
            f"Basic {base64.b64encode(b'me:p:w').decode()}",
            id="user and password",
        ),
        pytest.param(
            {"header__X_Scope_OrgID": "shop"}, "X-Scope-OrgID", "shop", id="any other header"
        ),
    ],
)
async def test_credentials_arrive(desk: Desk, data: dict[str, str], name: str, value: str) -> None:
    desk.write(**data)
    async with serving() as (server, address):
        assert await desk.ask(address) == 7.0
    assert server.headers[0][name] == value


async def test_nothing_is_sent_where_no_secret_is_named(desk: Desk) -> None:
    async with serving() as (server, address):
        assert await desk.ask(address, secret="") == 7.0
    assert "Authorization" not in server.headers[0]
    assert desk.kube.calls == []


async def test_a_ca_of_ones_own_is_trusted_where_it_is_named(desk: Desk) -> None:
    desk.write(ca__crt=(PKI / "ca.crt").read_text())
    async with serving(tls=True) as (_, address):
        assert await desk.ask(address) == 7.0
        assert "certificate does not verify" in (await desk.refusal(address, secret=""))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param({"user": "x"}, "has none of the keys token", id="other keys"),
        pytest.param({"token": "a", "username": "b"}, "keep one of them", id="two ways at once"),
        pytest.param({"username": "b"}, "only one of username and password", id="half a pair"),
        pytest.param({"token": "hid den\nline"}, "has a token that is", id="several lines"),
        pytest.param({"token": "  "}, "has a token that is empty", id="nothing"),
        pytest.param({"header__": "x"}, "names no header", id="a header without a name"),
        pytest.param({"header__Host": "x"}, "names no header of a user's", id="the transport's"),
        pytest.param({"ca__crt": "hidden"}, "no certificate in PEM", id="a CA that is none"),
    ],
)
async def test_a_secret_that_makes_no_sense_is_explained(
    desk: Desk, data: dict[str, str], words: str
) -> None:
    desk.write(**data)
    said = await desk.refusal("http://127.0.0.1:9")
    assert words in said
    assert "the Secret prom of shop" in said
    assert "hid" not in said


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(None, "does not exist: create it with token", id="missing"),
        pytest.param(Forbidden("no"), "grant it `get` on that name", id="forbidden"),
        pytest.param(Unreachable("the API server is away"), "is away", id="no API server"),
    ],
)
async def test_a_secret_that_cannot_be_read_heals_by_itself(
    desk: Desk, error: Exception | None, words: str
) -> None:
    if error is not None:
        desk.write(token="t")
        desk.kube.failures.append(error)
    assert words in await desk.refusal("http://127.0.0.1:9")
    desk.write(token="t")
    async with serving() as (_, address):
        assert await desk.ask(address) == 7.0


async def test_a_secret_is_read_once_a_minute_however_many_ask(desk: Desk) -> None:
    desk.write(token="first")
    async with serving() as (server, address):
        await asyncio.gather(*(desk.ask(address, text=f"up[{n}s]") for n in range(5)))
        assert len(desk.kube.calls) == 1
        desk.write(token="second")
        desk.clock.advance(KEPT_SECONDS)
        await desk.ask(address)
    assert len(desk.kube.calls) == 2
    assert server.headers[-1]["Authorization"] == "Bearer second"


async def test_a_secret_that_is_not_taken_is_read_anew(desk: Desk) -> None:
    desk.write(token="old-token")
    async with serving("wrong", 401) as (server, address):
        said = await desk.refusal(address)
        desk.write(token="new-token")
        await desk.refusal(address)
    assert "answered 401: the credentials are missing or wrong" in said
    assert server.headers[-1]["Authorization"] == "Bearer new-token"


@pytest.mark.parametrize(
    "path", [pytest.param("", id="Prometheus"), pytest.param("$.a", id="JSON")]
)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"token": "hunter2"}, id="a token"),
        pytest.param({"username": "me", "password": "hunter2"}, id="a password"),
        pytest.param({"header__X_Key": "hunter2"}, id="a header"),
    ],
)
async def test_what_a_server_repeats_is_blackened(
    desk: Desk, data: dict[str, str], path: str
) -> None:
    desk.write(**data)
    coded = base64.b64encode(b"me:hunter2").decode()
    words = f'{{"status":"error","error":"bad hunter2 and {coded}","a":"hunter2"}}'
    async with serving(words, 500) as (_, address):
        said = await desk.refusal(address, path=path, text="")
    assert "***" in said
    assert "hunter2" not in said
    assert "username" not in data or coded not in said


class TestJson:
    """A GET, and the number at a path."""

    @pytest.mark.parametrize(
        ("body", "value"),
        [
            pytest.param('{"data":[{"rate":1.5}]}', 1.5, id="a number"),
            pytest.param('{"data":[{"rate":"2.5"}]}', 2.5, id="a number as text"),
            pytest.param('{"data":[{"rate":null}]}', None, id="null is no data"),
            pytest.param('{"data":[]}', None, id="an item that is not there is no data"),
            pytest.param("{}", None, id="a member that is not there is no data"),
        ],
    )
    async def test_a_number_is_read(self, desk: Desk, body: str, value: float | None) -> None:
        async with serving(body) as (server, address):
            url = f"{address}/v1/shop?of=canary"
            assert await desk.ask(url, text="", path="$.data[0].rate", secret="") == value
        assert server.lines == ["GET /v1/shop?of=canary HTTP/1.1"]

    @pytest.mark.parametrize(
        ("body", "status", "words"),
        [
            pytest.param("<p>", 200, "not JSON", id="a page"),
            pytest.param('{"a":true}', 200, "True at $.a, which is not a number", id="yes and no"),
            pytest.param('{"a":"many"}', 200, "'many' at $.a", id="a word"),
            pytest.param('{"a":"NaN"}', 200, "'NaN' at $.a", id="no number"),
            pytest.param('{"a":[1]}', 200, "[1] at $.a", id="a list"),
            pytest.param("gone", 404, "answered 404: gone", id="not found"),
            pytest.param("busy", 503, "answered 503: busy", id="overloaded"),
        ],
    )
    async def test_anything_else_is_explained(
        self, desk: Desk, body: str, status: int, words: str
    ) -> None:
        async with serving(body, status) as (_, address):
            said = await desk.refusal(address, text="", path="$.a", secret="")
        assert words in said

    async def test_metadata_addresses_are_refused(self, desk: Desk) -> None:
        said = await desk.refusal("http://169.254.169.254/x", text="", path="$.a", secret="")
        assert "a cloud metadata address" in said
