"""The small HTTP server of each process: is it alive, is it ready, what does it count.

`wiring` opens it before anything else starts and closes it last. Probes never touch an API server:
who cannot reach one is alive, and a restart would not help. Alive means that the event loop comes
round, and that no part has ended which the process cannot do without.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from fleet.aio import Shutdown
from fleet.telemetry import metrics

log = logging.getLogger(__name__)

BEAT_SECONDS, LATE_SECONDS = 1.0, 30.0
CLOSE_SECONDS = 2.0
"""How long requests under way may take at the end of the process."""

Check = Callable[[], str | None]
"""None when all is well, else a sentence; never blocks."""


@dataclass(slots=True)
class Health:
    """Ready once `ready` is set, until a shutdown begins; alive while no check complains."""

    ready: bool = False
    shutdown: Shutdown = field(default_factory=Shutdown)
    checks: dict[str, Check] = field(default_factory=dict)
    _beaten: float = -math.inf

    @property
    def is_ready(self) -> bool:
        return self.ready and not self.shutdown.is_requested

    def complaints(self) -> Mapping[str, str]:
        """What the liveness checks have to say, by name; empty when all is well."""
        said = {name: check() for name, check in self.checks.items()}
        return {name: text for name, text in said.items() if text is not None}

    def rely(self, name: str, part: "asyncio.Task[None]") -> None:
        """From now on `part` must run, until a shutdown begins."""

        def check() -> str | None:
            return "it has ended" if part.done() and not self.shutdown.is_requested else None

        self.checks[name] = check

    async def beat(self) -> None:
        """Run until cancelled: as long as this comes round, everything else can."""
        loop = asyncio.get_running_loop()

        def check() -> str | None:
            late = loop.time() - self._beaten > LATE_SECONDS
            return f"it has not come round for more than {LATE_SECONDS:g} s" if late else None

        self._beaten = loop.time()
        self.checks["event loop"] = check
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._beaten = loop.time()


@contextlib.asynccontextmanager
async def serving(
    health: Health, exposition: Callable[[], bytes], *, host: str, port: int
) -> AsyncIterator[int]:
    """Serve `/healthz`, `/readyz` and `/metrics` inside; yields the port (useful with port 0).

    Raises OSError when the address cannot be had.
    """

    async def healthz(_: web.Request) -> web.Response:
        complaints = health.complaints()
        if complaints:
            text = "\n".join(f"{name}: {why}" for name, why in complaints.items())
            return web.Response(status=503, text=text)
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        if health.is_ready:
            return web.Response(text="ok")
        return web.Response(status=503, text="not ready")

    async def scrape(_: web.Request) -> web.Response:
        try:
            body = exposition()
        except ValueError:
            log.exception("the metrics cannot be encoded")
            return web.Response(status=500, text="the metrics cannot be encoded")
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", scrape)]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
