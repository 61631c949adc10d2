"""Asks a container how it is: HTTP GET or a TCP connection, as its probes say.

`containers` runs `watch` for each probe. While a container has not answered well yet it is asked
every `EAGER` seconds, and only good answers count then: a kubelet would wait a whole period for a
process that boots in a tenth of a second, and each rollout of the demo with it. Failures count at
the pace of `periodSeconds`, as documented. Liveness is first asked after a period, so that booting
counts against nobody. All pods share a few cores, so an answer may take LENIENCE times the
documented time-out.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from e2e.ground.waiting import LENIENCE

EAGER = 0.1
EAGERNESS = 10.0
"""For how many seconds a container is asked eagerly."""


class Unsupported(Exception):
    """The pod asks for something that this node does not have; says what to use instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One probe, with Kubernetes' defaults filled in; times in seconds."""

    host: str
    port: int
    path: str | None
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    successes: int = 1
    failures: int = 3

    async def ask(self) -> bool:
        """One question; any HTTP status in 200…399 or an accepted connection is a good answer."""
        with contextlib.suppress(OSError, TimeoutError, ValueError, IndexError):
            async with asyncio.timeout(self.timeout):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                try:
                    return await self._talk(reader, writer)
                finally:
                    writer.close()
        return False

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if self.path is None:
            return True
        headers = {"Host": self.host, "User-Agent": "kube-probe/1.36", "Connection": "close"}
        lines = [f"{name}: {value}" for name, value in {**headers, **dict(self.headers)}.items()]
        writer.write("\r\n".join([f"GET {self.path} HTTP/1.1", *lines, "", ""]).encode())
        status = (await reader.readline()).split(b" ")[1]
        return 200 <= int(status) < 400


def parse(spec: Mapping[str, Any], container: Mapping[str, Any], host: str) -> Probe:
    """A probe of a container that listens on `host`; Unsupported for exec and gRPC."""
    action = spec.get("httpGet") or spec.get("tcpSocket")
    if action is None:
        raise Unsupported("the local node has no exec or gRPC probes; use httpGet or tcpSocket")
    if action.get("scheme", "HTTP") != "HTTP":
        raise Unsupported("the local node probes plain HTTP only; use scheme HTTP")
    headers = tuple((h["name"], h["value"]) for h in action.get("httpHeaders") or ())
    return Probe(
        host=action.get("host") or host,
        port=port_of(action["port"], container),
        path=action.get("path", "/") if "httpGet" in spec else None,
        headers=headers,
        delay=spec.get("initialDelaySeconds", 0),
        period=spec.get("periodSeconds", 10),
        timeout=spec.get("timeoutSeconds", 1) * LENIENCE,
        successes=spec.get("successThreshold", 1),
        failures=spec.get("failureThreshold", 3),
    )


def port_of(port: int | str, container: Mapping[str, Any]) -> int:
    """The number of a port given by number or by name; Unsupported when there is no such name."""
    if isinstance(port, int):
        return port
    for known in container.get("ports") or ():
        if known.get("name") == port:
            return int(known["containerPort"])
    raise Unsupported(f"container {container['name']} has no port named {port!r}")


async def watch(probe: Probe, verdict: Callable[[bool], None], *, eager: bool) -> None:
    """Ask for ever; `verdict` hears each change that the thresholds confirm, first from unknown."""
    await asyncio.sleep(probe.delay if eager else max(probe.delay, probe.period))
    good = bad = 0
    known: bool | None = None
    loop = asyncio.get_running_loop()
    begin = due = loop.time()
    while True:
        answer = await probe.ask()
        on_time = loop.time() >= due
        if answer or on_time:
            good, bad = (good + 1, 0) if answer else (0, bad + 1)
            due = max(due + probe.period, loop.time()) if on_time else loop.time() + probe.period
        if answer and good >= probe.successes and known is not True:
            known = True
            verdict(True)
        elif bad >= probe.failures and known is not False:
            known = False
            verdict(False)
        hurry = eager and known is None and loop.time() - begin < EAGERNESS
        await asyncio.sleep(min(EAGER, probe.period) if hurry else max(due - loop.time(), 0))
