"""Below the verbs, against a small server over TLS.

Aspects: which sentence each failure below HTTP gives; what a hostile answer does; credentials and
their rotation; the breaker as requests see it; bounds and counting.
"""

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from fleet.api.names import ROLLOUTS
from fleet.clusters import errors as turning
from fleet.clusters import transport
from fleet.clusters.client import Client
from fleet.clusters.health import Breaker, Circuit
from fleet.clusters.transport import Session
from fleet.errors import FleetError, NotFound, Unauthorized, Untrusted
from tests.clusters import server as servers
from tests.clusters.server import TOKEN, Server, pem, rollout, status

CHECKOUT = {**rollout("checkout", 7), "apiVersion": "kulta.io/v1beta1", "kind": "Rollout"}

# --- failures below HTTP ------------------------------------------------------------------------


async def failure(client: Client) -> FleetError:
    with pytest.raises(FleetError) as caught:
        await client.create(ROLLOUTS, CHECKOUT)
    return caught.value


async def test_a_certificate_of_another_ca_does_not_verify(
    server: Server, session: Session
) -> None:
    client = Client("eu-7", server.config(ca=pem("other.crt")), session)
    error = await failure(client)
    assert isinstance(error, Untrusted)
    assert str(error) == (
        f"the certificate of {server.url} does not verify: unable to get local issuer certificate;"
        " put the CA that signed it into certificate-authority-data"
    )


async def test_a_certificate_for_another_name_does_not_verify(
    server: Server, session: Session
) -> None:
    client = Client("eu-7", server.config(tls_server_name="another.example"), session)
    assert "Hostname mismatch" in str(await failure(client))


async def test_a_name_that_the_certificate_has_can_be_given(
    server: Server, session: Session
) -> None:
    client = Client("eu-7", server.config(tls_server_name="member.example"), session)
    server.answer(web.json_response(CHECKOUT))
    assert await client.get(ROLLOUTS, "checkout", "shop") == CHECKOUT


async def test_a_port_where_nobody_listens(session: Session) -> None:
    config = Server(port=1).config()
    error = await failure(Client("eu-7", config, session))
    assert str(error) == "https://127.0.0.1:1 does not answer: connection refused"


async def test_a_name_that_nobody_knows(session: Session) -> None:
    config = Server().config(server="https://no-such-host.invalid")
    error = await failure(Client("eu-7", config, session))
    assert str(error) == "the host name of https://no-such-host.invalid cannot be resolved"


async def test_a_server_that_does_not_answer_in_time(server: Server, session: Session) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    server.answers.append(never)
    error = await failure(Client("eu-7", server.config(), session, timeout=0.2))
    assert str(error) == f"{server.url} did not answer within 0.2 s"


async def test_an_answer_is_bounded(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_BYTES", 1_000)
    server.answer(web.Response(body=b"x" * 2_000))
    assert "answered more than 1000 bytes" in str(await failure(client))


async def test_a_redirect_is_not_followed(client: Client, server: Server) -> None:
    server.answer(web.Response(status=302, headers={"Location": "https://127.0.0.1:1/steal"}))
    assert "not an API server but a redirect" in str(await failure(client))


async def test_an_echoed_token_is_not_repeated(client: Client, server: Server) -> None:
    server.answer(status(400, message=f"bad header: Bearer {TOKEN}"))
    error = await failure(client)
    assert TOKEN not in str(error) + repr(error) + repr(client) + repr(client.config)
    assert "bad header: Bearer …" in str(error)


async def test_the_librarys_error_is_not_chained(session: Session) -> None:
    error = await failure(Client("eu-7", Server(port=1).config(), session))
    assert (error.__cause__, error.__suppress_context__) == (None, True)


# --- credentials --------------------------------------------------------------------------------


async def test_a_client_certificate_is_shown(session: Session) -> None:
    async with servers.running(ask_certificate=True) as server:
        pair = {"certificate": pem("client.crt"), "key": pem("client.key"), "token": None}
        client = Client("eu-7", server.config(**pair), session)
        server.answer(web.json_response(CHECKOUT))
        assert await client.get(ROLLOUTS, "checkout", "shop") == CHECKOUT


async def test_a_token_file_is_read_again_after_a_minute(
    server: Server, session: Session, tmp_path: Path
) -> None:
    file, now = tmp_path / "token", 100.0
    file.write_text("one\n")
    config = server.config(token=None, token_file=file)
    client = Client("own", config, session, monotonic=lambda: now)
    for text, moment in (("two", 159.0), ("three", 161.0), ("four", 162.0)):
        await client.list(ROLLOUTS)
        file.write_text(text)
        now = moment
    await client.list(ROLLOUTS)
    sent = [request.headers["Authorization"].removeprefix("Bearer ") for request in server.requests]
    assert sent == ["one", "one", "three", "three"]


async def test_a_token_file_that_is_gone_is_named(
    server: Server, session: Session, tmp_path: Path
) -> None:
    client = Client("own", server.config(token=None, token_file=tmp_path / "token"), session)
    error = await failure(client)
    assert isinstance(error, Unauthorized)
    assert "token cannot be read: No such file or directory" in str(error)


@pytest.mark.parametrize(
    ("compresses", "coding"),
    [
        pytest.param(True, "gzip", id="to a member it is far"),
        pytest.param(False, None, id="the hub's own server is near"),
    ],
)
async def test_large_answers_are_compressed_for_who_wants_that(
    server: Server, session: Session, compresses: bool, coding: str | None
) -> None:
    async def answer(request: web.Request) -> web.Response:
        found = web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})
        found.enable_compression()
        given.append(found)
        return found

    given: list[web.Response] = []
    server.answers.append(answer)
    client = Client("eu-7", server.config(), session, compresses=compresses)
    assert await client.list(ROLLOUTS) == []
    assert given[0].headers.get("Content-Encoding") == coding


async def test_credentials_rotate_without_a_restart(client: Client, server: Server) -> None:
    client.breaker = Breaker(state=Circuit.OPEN, until=1e12)
    client.reconfigure(replace(client.config, token="the-next-one"))
    await client.list(ROLLOUTS)
    assert server.requests[0].headers["Authorization"] == "Bearer the-next-one"


# --- the breaker, limits, counting --------------------------------------------------------------


async def test_after_five_failures_nothing_is_sent_until_a_probe_succeeds(
    server: Server, session: Session
) -> None:
    now = 100.0
    client = Client("eu-7", server.config(), session, monotonic=lambda: now)
    server.answer(*(status(503) for _ in range(5)))
    for _ in range(5):
        await failure(client)
    error = await failure(client)
    assert isinstance(error, turning.CircuitOpen)
    assert "failed 5 times in a row; next try in" in str(error)
    assert error.retry_after is not None
    assert (client.breaker.state, len(server.requests)) == (Circuit.OPEN, 5)
    now += error.retry_after
    await client.list(ROLLOUTS)
    assert client.breaker.state is Circuit.CLOSED


async def test_a_refusal_shows_the_server_alive(client: Client, server: Server) -> None:
    server.answer(*(status(403) for _ in range(6)))
    for _ in range(6):
        await failure(client)
    assert (client.breaker.state, client.breaker.failures) == (Circuit.CLOSED, 0)


async def test_a_dead_webhook_of_a_tenant_does_not_open_the_circuit(
    client: Client, server: Server
) -> None:
    server.answer(*(status(500, message='failed calling webhook "x"') for _ in range(6)))
    for _ in range(6):
        await failure(client)
    assert client.breaker.state is Circuit.CLOSED


async def test_a_cancelled_probe_leaves_its_place_free(server: Server, session: Session) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    server.answers.append(never)
    half_open = Breaker(state=Circuit.OPEN, until=0.0)
    client = Client("eu-7", server.config(), session, breaker=half_open)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.get(ROLLOUTS, "a", "shop")
    await client.list(ROLLOUTS)
    assert client.breaker.state is Circuit.CLOSED


async def test_requests_in_flight_are_bounded(server: Server, session: Session) -> None:
    flying, most = 0, 0

    async def slow(_: web.Request) -> web.Response:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.02)
        flying -= 1
        return web.json_response({})

    server.answers.extend([slow] * 9)
    client = Client("eu-7", server.config(), session, inflight=3)
    await asyncio.gather(*(client.get(ROLLOUTS, "a", "shop") for _ in range(9)))
    assert most == 3


async def test_each_request_is_counted(server: Server, session: Session) -> None:
    told: list[tuple[str, str, str]] = []

    def observe(*, cluster: str, verb: str, code: str, seconds: float) -> None:
        assert seconds >= 0
        told.append((cluster, verb, code))

    client = Client("eu-7", server.config(), session, observe=observe)
    server.answer(status(404))
    with pytest.raises(NotFound):
        await client.get(ROLLOUTS, "a", "shop")
    client.reconfigure(Server(port=1).config())
    await failure(client)
    client.breaker = Breaker(state=Circuit.OPEN, until=1e12)
    await failure(client)
    assert told == [("eu-7", "GET", "404"), ("eu-7", "POST", "error"), ("eu-7", "POST", "open")]


async def test_clusters_share_a_session_but_no_connection(server: Server, session: Session) -> None:
    one = Client("one", server.config(), session)
    two = Client("two", server.config(ca=pem("other.crt")), session)
    await one.list(ROLLOUTS)
    assert isinstance(await failure(two), Untrusted)


async def test_a_stream_that_speaks_now_and_then_is_not_silent() -> None:
    """With one timer for all of it, however often something comes."""

    class Hours:
        now, timers = 0.0, list[float]()

        def time(self) -> float:
            return self.now

        def call_later(self, seconds: float, _: Any) -> "Hours":
            self.timers.append(seconds)
            return self

        def cancel(self) -> None:
            self.timers.append(0.0)

    hours, ends = Hours(), list[Exception]()
    content = SimpleNamespace(set_exception=ends.append)
    silence = transport._Silence(content, 75.0)  # type: ignore[arg-type]
    silence._loop = hours  # type: ignore[assignment]
    with silence:
        for hours.now in (10.0, 40.0, 70.0):
            silence.heard()
        hours.now = 75.0
        silence._look()
        assert (hours.timers, ends) == ([75.0, 70.0], [])
        hours.now = 145.0
        silence._look()
        assert [type(end) for end in ends] == [TimeoutError]
    assert hours.timers == [75.0, 70.0, 0.0]
