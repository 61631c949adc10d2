"""A watch that rests after what it has told: what is small waits, much and the end do not."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from fleet.api.names import ROLLOUTS
from fleet.clusters import transport
from fleet.clusters.client import Client
from fleet.errors import Unreachable
from tests.clusters.server import Server, rollout
from tests.waiting import until


@contextlib.asynccontextmanager
async def resting(
    client: Client, server: Server, seconds: float
) -> AsyncIterator[tuple[list[str], "asyncio.Task[None]"]]:
    """The versions that a watch tells which rests so long after each part, and the watch."""
    told: list[str] = []

    async def watch() -> None:
        events = client.watch(ROLLOUTS, version="10", rest=lambda: seconds)
        async with contextlib.aclosing(events):
            async for event in events:
                told.append(event["object"]["metadata"]["resourceVersion"])

    task = asyncio.create_task(watch())
    await until(lambda: server.watches)
    try:
        yield told, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_small_waits_and_a_normal_end_too(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what comes next over the same connection does not."""
    monkeypatch.setattr(transport, "BEAT_SECONDS", 0.01)
    async with resting(client, server, 0.2) as (told, task):
        began = time.monotonic()
        server.push("ADDED", rollout("a", 11))
        await until(lambda: told == ["11"])
        server.push("MODIFIED", rollout("a", 12))
        server.end_watches()
        await until(lambda: told == ["11", "12"])
        assert time.monotonic() - began >= 0.2
        await until(task.done)
    assert await client.list(ROLLOUTS) == []


async def test_what_comes_in_a_short_rest_is_told_together(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the first after a quiet time at once: a short rest keeps to no beat."""
    monkeypatch.setattr(transport, "BEAT_SECONDS", 3_600.0)
    async with resting(client, server, 0.4) as (told, _):
        for first in (11, 14):
            began = time.monotonic()
            server.push("ADDED", rollout("a", first))
            await until(lambda wanted=str(first): told[-1:] == [wanted])
            assert time.monotonic() - began < 0.3
            for version in (first + 1, first + 2):
                server.push("MODIFIED", rollout("a", version))
                await asyncio.sleep(0.02)
            assert told[-1] == str(first)
            await until(lambda wanted=str(first + 2): told[-1] == wanted)
            assert time.monotonic() - began >= 0.4
            await asyncio.sleep(0.5)
    assert told == [str(version) for version in range(11, 17)]


async def test_much_wakes_a_watch_and_so_does_a_cut(client: Client, server: Server) -> None:
    """Were it to rest for an hour."""
    async with resting(client, server, 3_600.0) as (told, task):
        server.push("ADDED", rollout("a", 11))
        await until(lambda: told == ["11"])
        large = rollout("a", 12)
        large["metadata"]["annotations"] = {"note": "x" * 2 * transport.SMALL_BYTES}
        server.push("MODIFIED", large)
        await until(lambda: told == ["11", "12"])
        cut = server.requests[-1].transport
        assert cut is not None
        cut.abort()
        await until(task.done)
        assert isinstance(task.exception(), Unreachable)
