"""The probes and the metrics over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from fleet import aio
from fleet.telemetry import server
from fleet.telemetry.metrics import EngineMetrics
from fleet.telemetry.server import Health, serving


@dataclass
class Served:
    health: Health
    metrics: EngineMetrics
    http: httpx.AsyncClient
    broken: bool = False

    def exposition(self) -> bytes:
        if self.broken:
            raise ValueError("a label is no text")
        return self.metrics.exposition()

    async def get(self, path: str) -> tuple[int, str]:
        answer = await self.http.get(path)
        return answer.status_code, answer.text


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with httpx.AsyncClient(verify=False) as http:  # plain HTTP needs no list of CAs
        made = Served(health=Health(), metrics=EngineMetrics(), http=http)
        async with serving(made.health, made.exposition, host="127.0.0.1", port=0) as port:
            http.base_url = httpx.URL(f"http://127.0.0.1:{port}")
            yield made


async def test_alive_from_the_start(served: Served) -> None:
    """[L1]"""
    assert await served.get("/healthz") == (200, "ok")


async def test_ready_when_told_so(served: Served) -> None:
    """[L2]"""
    before = await served.get("/readyz")
    served.health.ready = True
    assert (before, await served.get("/readyz")) == ((503, "not ready"), (200, "ok"))


async def test_a_shutdown_ends_readiness_but_not_life(served: Served) -> None:
    """[L21] That waiters are released and every sharer sees it is in test_aio."""
    served.health.ready = True
    served.health.shutdown.request()
    assert (await served.get("/readyz"), await served.get("/healthz")) == (
        (503, "not ready"),
        (200, "ok"),
    )


async def test_a_check_that_complains_ends_life(served: Served) -> None:
    said: list[str | None] = [None]
    served.health.checks["watch"] = lambda: said[0]
    before = await served.get("/healthz")
    said[0] = "no byte for 300 s"
    assert (before, await served.get("/healthz")) == (
        (200, "ok"),
        (503, "watch: no byte for 300 s"),
    )


async def test_a_part_that_has_ended_ends_life(served: Served) -> None:
    part = asyncio.create_task(asyncio.sleep(60))
    served.health.rely("kopf", part)
    before = await served.get("/healthz")
    await aio.cancel(part)
    after = await served.get("/healthz")
    served.health.shutdown.request()
    assert (before, after) == ((200, "ok"), (503, "kopf: it has ended"))
    assert await served.get("/healthz") == (200, "ok"), "asked to end, parts may end"


async def test_a_loop_that_does_not_come_round_ends_life(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LATE_SECONDS", 0.2)
    monkeypatch.setattr(server, "BEAT_SECONDS", 0.01)
    beat = asyncio.create_task(served.health.beat())
    await asyncio.sleep(0.3)
    before = await served.get("/healthz")
    await aio.cancel(beat)
    await asyncio.sleep(0.3)
    assert before == (200, "ok")
    assert await served.get("/healthz") == (
        503,
        "event loop: it has not come round for more than 0.2 s",
    )


async def test_the_metrics_after_one_success(served: Served) -> None:
    """[L3]"""
    served.metrics.reconciled(result="success", strategy="canary", seconds=0.1)
    answer = await served.http.get("/metrics")
    kind = answer.headers["Content-Type"]
    assert (answer.status_code, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'kulta_reconciliations_total{result="success"} 1.0' in answer.text
    assert 'kulta_reconciliation_duration_seconds_count{strategy="canary"} 1.0' in answer.text


async def test_metrics_that_cannot_be_encoded_are_an_error(served: Served) -> None:
    served.broken = True
    assert await served.get("/metrics") == (500, "the metrics cannot be encoded")


async def test_there_is_nothing_else(served: Served) -> None:
    assert (await served.get("/convert"))[0] == 404


async def test_an_address_that_is_taken_is_an_error(served: Served) -> None:
    port = served.http.base_url.port
    assert port is not None
    with pytest.raises(OSError, match="address already in use"):
        async with serving(Health(), served.exposition, host="127.0.0.1", port=port):
            pass
