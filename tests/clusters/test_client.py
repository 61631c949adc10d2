"""The client's verbs against a small server over TLS.

Aspects: what each verb sends; what is repeated and what never is; what an answer that makes no
sense does. What lies below is in `test_transport`, the real API server in `e2e/`.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiohttp import web

from fleet.api.names import NAMESPACES, ROLLOUTS, SECRETS
from fleet.clusters.client import Client
from fleet.clusters.transport import Session
from fleet.errors import (
    Conflict,
    Deposed,
    FleetError,
    Invalid,
    Throttled,
    UnexpectedState,
    Unreachable,
)
from fleet.ports import Kube
from tests.clusters.server import TOKEN, Server, rollout, status

BASE = "/apis/kulta.io/v1beta1/namespaces/shop/rollouts"
CHECKOUT = {**rollout("checkout", 7), "apiVersion": "kulta.io/v1beta1", "kind": "Rollout"}

Doing = Callable[[Client], Awaitable[Any]]


def test_the_client_is_a_kube(client: Client) -> None:
    port: Kube = client
    assert port is client


@pytest.mark.parametrize(
    ("do", "line", "content", "body"),
    [
        pytest.param(lambda c: c.get(ROLLOUTS, "checkout", "shop"), f"GET {BASE}/checkout",
                     None, None, id="get"),
        pytest.param(lambda c: c.get(NAMESPACES, "shop"), "GET /api/v1/namespaces/shop",
                     None, None, id="get of something that is in no namespace"),
        pytest.param(lambda c: c.create(ROLLOUTS, CHECKOUT), f"POST {BASE}?fieldValidation=Strict",
                     "application/json", CHECKOUT, id="create refuses unknown fields"),
        pytest.param(lambda c: c.replace(ROLLOUTS, CHECKOUT, sub="status"),
                     f"PUT {BASE}/checkout/status?fieldValidation=Strict",
                     "application/json", CHECKOUT, id="replace of the status"),
        pytest.param(lambda c: c.apply(ROLLOUTS, CHECKOUT, manager="kulta-fleet"),
                     f"PATCH {BASE}/checkout?fieldManager=kulta-fleet&force=false",
                     "application/apply-patch+yaml", CHECKOUT, id="apply does not force"),
        pytest.param(lambda c: c.apply(ROLLOUTS, CHECKOUT, manager="m", force=True),
                     f"PATCH {BASE}/checkout?fieldManager=m&force=true",
                     "application/apply-patch+yaml", CHECKOUT, id="apply forces when told to"),
        pytest.param(lambda c: c.patch(ROLLOUTS, "checkout", "shop", {"spec": {}}),
                     f"PATCH {BASE}/checkout?fieldValidation=Strict",
                     "application/merge-patch+json", {"spec": {}}, id="a mapping is a merge patch"),
        pytest.param(lambda c: c.patch(ROLLOUTS, "checkout", "shop", [{"op": "test"}], sub="scale"),
                     f"PATCH {BASE}/checkout/scale?fieldValidation=Strict",
                     "application/json-patch+json", [{"op": "test"}],
                     id="a sequence is a JSON patch"),
        pytest.param(lambda c: c.delete(ROLLOUTS, "checkout", "shop", uid="u", version="7"),
                     f"DELETE {BASE}/checkout", "application/json",
                     {"apiVersion": "v1", "kind": "DeleteOptions",
                      "propagationPolicy": "Background",
                      "preconditions": {"uid": "u", "resourceVersion": "7"}},
                     id="delete is in the background and guarded"),
    ],
)  # fmt: skip
async def test_what_a_verb_sends(
    client: Client, server: Server, do: Doing, line: str, content: str | None, body: Any
) -> None:
    server.answer(web.json_response(CHECKOUT))
    await do(client)
    request = server.requests[0]
    sent = orjson.loads(server.bodies[0]) if server.bodies[0] else None
    assert f"{request.method} {request.path_qs}" == line
    assert (request.headers.get("Content-Type") if content else None, sent) == (content, body)
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"


async def test_a_list_is_read_in_pages(client: Client, server: Server) -> None:
    server.objects, server.pages = [rollout(name, 5) for name in "abcde"], 2
    found = await client.list(ROLLOUTS, "shop", selector="app=x")
    assert [item["metadata"]["name"] for item in found] == list("abcde")
    assert [(r.query.get("continue"), r.query["labelSelector"]) for r in server.requests] == [
        (None, "app=x"),
        ("2", "app=x"),
        ("4", "app=x"),
    ]


async def test_a_short_word_of_many_answers_is_held_once(client: Client, server: Server) -> None:
    server.objects, server.pages = [rollout(name, 5) for name in "abc"], 2
    lists = [await client.list(ROLLOUTS, "shop") for _ in range(2)]
    for one, other in zip(*lists, strict=True):
        assert one["metadata"]["uid"] is other["metadata"]["uid"]
    assert len({id(item["metadata"]["namespace"]) for item in lists[0]}) == 1


async def test_a_list_that_expires_under_way_is_read_again_whole(
    client: Client, server: Server
) -> None:
    first = web.json_response(
        {"metadata": {"resourceVersion": "5", "continue": "x"}, "items": [rollout("gone", 1)]}
    )
    server.answer(first, status(410, "Expired"))
    server.objects = [rollout("a", 6)]
    found = await client.list(ROLLOUTS)
    assert [item["metadata"]["name"] for item in found] == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{}", id="an empty object"),
        pytest.param(b'{"metadata":{},"items":[]}', id="a list without a version"),
        pytest.param(b'{"metadata":{"resourceVersion":"1"}}', id="a list without items"),
        pytest.param(b"<html>ok</html>", id="a page of a proxy"),
        pytest.param(b"[]", id="a bare list"),
    ],
)
async def test_an_answer_that_is_no_list_is_no_empty_cluster(
    session: Session, server: Server, body: bytes
) -> None:
    client = Client("eu-7", server.config(), session, attempts=1)
    server.answer(web.Response(body=body))
    with pytest.raises(Unreachable):
        await client.list(ROLLOUTS)


async def test_a_delete_of_what_is_gone_is_done(client: Client, server: Server) -> None:
    server.answer(status(404, "NotFound"))
    await client.delete(ROLLOUTS, "checkout", "shop")


async def test_who_does_not_lead_reads_and_writes_nothing(client: Client, server: Server) -> None:
    """A process that was stopped for long decides by an old view: it must not write it."""
    client.may_write = lambda: False
    server.answer(web.json_response(CHECKOUT))
    assert (await client.get(ROLLOUTS, "checkout", "shop"))["metadata"]["name"] == "checkout"
    for write in (
        client.create(ROLLOUTS, CHECKOUT),
        client.replace(ROLLOUTS, CHECKOUT),
        client.apply(ROLLOUTS, CHECKOUT, manager="kulta-fleet"),
        client.patch(ROLLOUTS, "checkout", "shop", {}),
        client.delete(ROLLOUTS, "checkout", "shop"),
    ):
        with pytest.raises(Deposed, match="does not lead"):
            await write
    assert server.seen() == [f"GET {BASE}/checkout"]


async def test_a_replace_needs_a_version(client: Client) -> None:
    with pytest.raises(UnexpectedState, match="without a version"):
        await client.replace(ROLLOUTS, {"metadata": {"name": "checkout", "namespace": "shop"}})


@pytest.mark.parametrize("name", ["../secrets/x", "..", "", "a/b", "a%2fb", "a?b", "a b"])
async def test_a_name_cannot_climb_out_of_its_path(
    client: Client, server: Server, name: str
) -> None:
    with pytest.raises(Invalid, match="cannot be the name"):
        await client.get(SECRETS, name, "shop")
    assert server.requests == []


# --- repetition ---------------------------------------------------------------------------------

ONCE = 1


@pytest.mark.parametrize(
    ("do", "answers", "error", "sent"),
    [
        pytest.param(lambda c: c.get(ROLLOUTS, "a", "shop"), [503, 200], None, 2,
                     id="a read is repeated after a 503"),
        pytest.param(lambda c: c.get(ROLLOUTS, "a", "shop"), [429, 200], None, 2,
                     id="a read is repeated after a 429"),
        pytest.param(lambda c: c.get(ROLLOUTS, "a", "shop"), [403], FleetError, ONCE,
                     id="a refusal is not repeated"),
        pytest.param(lambda c: c.apply(ROLLOUTS, CHECKOUT, manager="m"), [500, 200], None, 2,
                     id="an apply is repeated"),
        pytest.param(lambda c: c.apply(ROLLOUTS, CHECKOUT, manager="m"), [409], Conflict, ONCE,
                     id="a conflict is for the reconciler"),
        pytest.param(lambda c: c.create(ROLLOUTS, CHECKOUT), [503], Unreachable, ONCE,
                     id="a create is never repeated blindly"),
        pytest.param(lambda c: c.replace(ROLLOUTS, CHECKOUT), [503], Unreachable, ONCE,
                     id="nor is a guarded write"),
        pytest.param(lambda c: c.patch(ROLLOUTS, "a", "shop", {"spec": {}}), [503, 200], None, 2,
                     id="a merge patch is repeated"),
        pytest.param(
            lambda c: c.patch(ROLLOUTS, "a", "shop", {"metadata": {"resourceVersion": "1"}}),
            [503], Unreachable, ONCE, id="a guarded merge patch is not"),
        pytest.param(lambda c: c.patch(ROLLOUTS, "a", "shop", []), [503], Unreachable, ONCE,
                     id="nor is a JSON patch"),
        pytest.param(lambda c: c.delete(ROLLOUTS, "a", "shop", uid="u"), [503, 200], None, 2,
                     id="a delete with a uid is repeated"),
        pytest.param(lambda c: c.delete(ROLLOUTS, "a", "shop"), [503], Unreachable, ONCE,
                     id="a delete without one might hit a successor"),
    ],
)  # fmt: skip
async def test_what_is_repeated(
    client: Client,
    server: Server,
    do: Doing,
    answers: list[int],
    error: type[FleetError] | None,
    sent: int,
) -> None:
    server.answer(*(web.json_response({}) if n == 200 else status(n) for n in answers))
    caught: FleetError | None = None
    try:
        await do(client)
    except FleetError as raised:
        caught = raised
    assert (isinstance(caught, error) if error else caught is None, len(server.requests)) == (
        True,
        sent,
    )


async def test_so_many_attempts_are_made_and_the_last_one_tells_why(
    server: Server, session: Session
) -> None:
    client = Client("eu-7", server.config(), session, attempts=2)
    server.answer(status(503, message="first"), status(503, message="last"))
    with pytest.raises(Unreachable, match="last"):
        await client.get(ROLLOUTS, "a", "shop")
    assert len(server.requests) == 2


@pytest.mark.parametrize(("seconds", "sent"), [(50.0, 2), (61.0, ONCE)])
async def test_the_first_attempt_counts_into_the_minute(
    server: Server, session: Session, seconds: float, sent: int
) -> None:
    now = 0.0

    async def late(_: web.Request) -> web.Response:
        nonlocal now
        now += seconds
        return status(503)

    client = Client("eu-7", server.config(), session, attempts=2, monotonic=lambda: now)
    server.answers.append(late)
    server.answer(status(503))
    with pytest.raises(Unreachable):
        await client.get(ROLLOUTS, "a", "shop")
    assert len(server.requests) == sent


async def test_a_repetition_waits_as_long_as_the_server_asks(
    client: Client, server: Server
) -> None:
    slow = status(429)
    slow.headers["Retry-After"] = "1"
    server.answer(slow, web.json_response({}))
    started = time.monotonic()
    await client.get(ROLLOUTS, "a", "shop")
    assert 1.0 <= time.monotonic() - started < 2.0


async def test_a_throttled_create_says_how_long_to_wait(client: Client, server: Server) -> None:
    slow = status(429)
    slow.headers["Retry-After"] = "9"
    server.answer(slow)
    with pytest.raises(Throttled) as caught:
        await client.create(ROLLOUTS, CHECKOUT)
    assert caught.value.retry_after == 9.0


async def test_a_server_cannot_ask_for_more_than_an_hour(client: Client, server: Server) -> None:
    slow = status(429)
    slow.headers["Retry-After"] = "9" * 400
    server.answer(slow)
    with pytest.raises(Throttled) as caught:
        await client.create(ROLLOUTS, CHECKOUT)
    assert caught.value.retry_after == 3_600.0


# --- tokens -------------------------------------------------------------------------------------


async def test_a_token_is_requested(client: Client, server: Server) -> None:
    given = {"token": "fresh", "expirationTimestamp": "2026-11-27T12:00:00Z"}
    server.answer(web.json_response({"status": given}, status=201))
    got = await client.token_request("kulta-fleet", "kulta-system", 604_800)
    assert got == ("fresh", datetime(2026, 11, 27, 12, tzinfo=UTC))
    assert server.seen() == [
        "POST /api/v1/namespaces/kulta-system/serviceaccounts/kulta-fleet/token"
    ]


async def test_an_answer_without_a_token_is_no_token(client: Client, server: Server) -> None:
    server.answer(web.json_response({"status": {}}))
    with pytest.raises(Unreachable, match="holds no token"):
        await client.token_request("kulta-fleet", "kulta-system", 600)
