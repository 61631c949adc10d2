"""Each fault is what it says, seen by a client that does not know of the proxy, and heals.

The server behind is a real API server; what reached it is read from its audit log.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from e2e.ground.controlplane import ControlPlane
from e2e.ground.faults import Brake, Seen
from e2e.ground.proxy import HttpProxy, Proxy
from e2e.ground.waiting import until

READY = "/readyz"


@contextlib.asynccontextmanager
async def client(plane: ControlPlane, url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """An administrator's client that verifies TLS and gives up after 30 s."""
    async with aiohttp.ClientSession(
        url,
        connector=aiohttp.TCPConnector(ssl=plane.authority.context()),
        headers={"Authorization": f"Bearer {plane.admin_token}"},
        timeout=aiohttp.ClientTimeout(total=30),
    ) as session:
        yield session


async def test_bytes_pass_and_the_certificate_still_verifies(plane: ControlPlane) -> None:
    async with Proxy(plane.port) as proxy, client(plane, proxy.url) as api:
        assert (await api.get(READY)).status == 200


async def test_latency_counts_in_both_directions(plane: ControlPlane) -> None:
    async with Proxy(plane.port) as proxy, client(plane, proxy.url) as api:
        await api.get(READY)
        proxy.latency = 0.1
        began = time.monotonic()
        await api.get(READY)
        assert 0.2 <= time.monotonic() - began < 10


async def test_a_cut_resets_connections_and_lets_new_ones_pass(plane: ControlPlane) -> None:
    async with Proxy(plane.port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        # The API server closes after such a greeting; until then the connection stands.
        writer.write(b"\x16")
        await asyncio.sleep(0.1)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        async with client(plane, proxy.url) as api:
            assert (await api.get(READY)).status == 200


async def test_a_black_hole_holds_bytes_back_until_it_heals(plane: ControlPlane) -> None:
    async with Proxy(plane.port) as proxy, client(plane, proxy.url) as api:
        await api.get(READY)
        proxy.black_hole()
        old, new = (asyncio.create_task(api.get(READY)) for _ in range(2))
        done, _ = await asyncio.wait({old, new}, timeout=0.3)
        assert done == set()
        await proxy.heal()
        assert [(await task).status for task in (old, new)] == [200, 200]


async def test_a_refused_port_listens_again_at_the_same_place(plane: ControlPlane) -> None:
    async with Proxy(plane.port) as proxy, client(plane, proxy.url) as api:
        await proxy.refuse()
        with pytest.raises(aiohttp.ClientConnectorError):
            await api.get(READY)
        await proxy.heal()
        assert (await api.get(READY)).status == 200


async def test_a_dead_server_is_a_reset_not_a_silence() -> None:
    async with Proxy(1) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


@pytest.fixture
async def proxy(plane: ControlPlane) -> AsyncIterator[HttpProxy]:
    async with HttpProxy(plane.server, plane.authority) as started:
        yield started


@pytest.fixture
async def api(plane: ControlPlane, proxy: HttpProxy) -> AsyncIterator[aiohttp.ClientSession]:
    async with client(plane, proxy.url) as session:
        yield session


def maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def note(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


async def test_kubectl_works_through_the_http_proxy(
    plane: ControlPlane, proxy: HttpProxy, namespace: str, tmp_path: Path
) -> None:
    config = plane.write_kubeconfig(tmp_path / "config", plane.admin_token, server=proxy.url)
    words = (f"--kubeconfig={config}", "create", "configmap", "note", "-n", namespace)
    assert "created" in await asyncio.to_thread(plane.kubectl, *words)
    assert plane.call("GET", f"{maps(namespace)}/note")[0] == 200


async def test_so_many_requests_fail_as_told_and_never_reach_the_server(
    plane: ControlPlane, proxy: HttpProxy, api: aiohttp.ClientSession, namespace: str
) -> None:
    mark = plane.audit.mark()
    proxy.fail(503, times=2, when=lambda seen: seen.path.startswith(maps(namespace)))
    answers = [await api.get(path) for path in (maps(namespace), READY, *[maps(namespace)] * 2)]
    assert [answer.status for answer in answers] == [503, 200, 503, 200]
    assert (await answers[0].json())["kind"] == "Status"
    assert len(plane.audit.read(since=mark, namespace=namespace, resource="configmaps")) == 1


async def test_an_answer_is_lost_after_the_write_has_happened(
    plane: ControlPlane, proxy: HttpProxy, api: aiohttp.ClientSession, namespace: str
) -> None:
    proxy.lose_answer()
    with pytest.raises(aiohttp.ClientConnectionError):
        await api.post(maps(namespace), json=note("written"))
    assert plane.call("GET", f"{maps(namespace)}/written")[0] == 200
    assert (await api.post(maps(namespace), json=note("next"))).status == 201


async def test_nothing_passes_after_the_nth_write_until_it_heals(
    proxy: HttpProxy, api: aiohttp.ClientSession, plane: ControlPlane, namespace: str
) -> None:
    proxy.hold_after(2)
    first, _ = [await api.post(maps(namespace), json=note(name)) for name in "ab"]
    assert (first.status, proxy.held.is_set()) == (201, True)
    third = asyncio.create_task(api.post(maps(namespace), json=note("c")))
    read = asyncio.create_task(api.get(maps(namespace)))
    done, _ = await asyncio.wait({third, read}, timeout=0.3)
    assert done == set()
    assert plane.call("GET", f"{maps(namespace)}/c")[0] == 404
    proxy.heal()
    assert [(await task).status for task in (third, read)] == [201, 200]


async def test_it_is_not_held_while_an_earlier_write_is_under_way(
    proxy: HttpProxy, api: aiohttp.ClientSession, plane: ControlPlane, namespace: str
) -> None:
    """Whoever kills the client now would take that write along."""
    early = proxy.catch(lambda seen: seen.is_write)
    proxy.hold_after(2)
    first = asyncio.create_task(api.post(maps(namespace), json=note("a")))
    async with asyncio.timeout(30):
        await asyncio.to_thread(until, lambda: early.has_come, "it has come", within=5)
        assert (await api.post(maps(namespace), json=note("b"))).status == 201
        assert not proxy.held.is_set()
        early.let_go()
        assert ((await first).status, proxy.held.is_set()) == (201, True)


async def test_a_last_write_that_fails_or_loses_its_client_holds_too(
    proxy: HttpProxy, api: aiohttp.ClientSession, plane: ControlPlane, namespace: str
) -> None:
    proxy.fail(409)
    proxy.hold_after(1)
    assert (await api.post(maps(namespace), json=note("a"))).status == 409
    assert proxy.held.is_set()
    proxy.heal()
    left = proxy.catch(lambda seen: seen.is_write)
    proxy.hold_after(1)
    leaving = asyncio.create_task(api.post(maps(namespace), json=note("b")))
    async with asyncio.timeout(30):
        await asyncio.to_thread(until, lambda: left.has_come, "it has come", within=5)
        leaving.cancel()
        await proxy.held.wait()
    assert plane.call("GET", f"{maps(namespace)}/b")[0] == 404


async def test_proxies_that_share_a_brake_stop_together(
    plane: ControlPlane, namespace: str
) -> None:
    brake = Brake(lambda seen: seen.is_write and namespace in seen.path)
    async with contextlib.AsyncExitStack() as stack:
        proxies = [HttpProxy(plane.server, plane.authority, brake) for _ in range(2)]
        urls = [(await stack.enter_async_context(proxy)).url for proxy in proxies]
        apis = [await stack.enter_async_context(client(plane, url)) for url in urls]
        brake.after(2)
        for number, api in enumerate(apis):
            assert (await api.post(maps(namespace), json=note(f"n{number}"))).status == 201
        assert (brake.held.is_set(), brake.written) == (True, 2)
        late = asyncio.create_task(apis[0].get(READY))
        done, _ = await asyncio.wait({late}, timeout=0.3)
        assert (done, brake.waiting) == (set(), 1)
        brake.release()
        assert (await late).status == 200


async def test_a_past_is_shown_and_the_present_follows(
    plane: ControlPlane, proxy: HttpProxy, api: aiohttp.ClientSession, namespace: str
) -> None:
    """Events that came meanwhile wait; those of a watch that misses them never come."""

    async def names() -> list[str]:
        found = await (await api.get(maps(namespace))).json()
        return [item["metadata"]["name"] for item in found["items"]]

    before = await names()
    version = (await (await api.get(maps(namespace))).json())["metadata"]["resourceVersion"]
    proxy.view.show_past(lambda seen: seen.path.startswith(maps(namespace)))
    plane.call("POST", maps(namespace), note("new"))
    assert await names() == before
    async with api.get(f"{maps(namespace)}?watch=true&resourceVersion={version}") as watch:
        event = asyncio.create_task(watch.content.readline())
        done, _ = await asyncio.wait({event}, timeout=0.3)
        assert done == set()
        proxy.view.show_present()
        while json.loads(await event)["object"]["metadata"]["name"] != "new":
            event = asyncio.create_task(watch.content.readline())
        proxy.view.miss(lambda seen: seen.is_watch)
        plane.call("DELETE", f"{maps(namespace)}/new")
        late = asyncio.create_task(watch.content.readline())
        done, _ = await asyncio.wait({late}, timeout=0.3)
        assert done == set()
        late.cancel()
    assert sorted(await names()) == sorted(before)


async def test_open_watches_expire_with_an_event_of_410(
    plane: ControlPlane, proxy: HttpProxy, api: aiohttp.ClientSession, namespace: str
) -> None:
    async with api.get(f"{maps(namespace)}?watch=true") as watch:
        plane.call("POST", maps(namespace), note("seen"))
        events = [json.loads(await watch.content.readline())]
        while events[-1]["object"]["metadata"]["name"] != "seen":
            events.append(json.loads(await watch.content.readline()))
        assert proxy.expire_watches() == 1
        last = json.loads(await watch.content.readline())
        assert (last["type"], last["object"]["code"], last["object"]["reason"]) == (
            "ERROR",
            410,
            "Expired",
        )
        assert await watch.content.read() == b""
    assert Seen(method="GET", path=f"{maps(namespace)}?watch=true") in proxy.seen


async def test_a_client_that_leaves_ends_its_watch_at_the_server_too(
    proxy: HttpProxy, api: aiohttp.ClientSession, plane: ControlPlane, namespace: str
) -> None:
    async with api.get(f"{maps(namespace)}?watch=true") as watch:
        plane.call("POST", maps(namespace), note("seen"))
        await watch.content.readline()
        assert not proxy.no_watch.is_set()
    async with asyncio.timeout(30):
        await proxy.no_watch.wait()
