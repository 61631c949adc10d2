"""Transitions, a real HTTP server that takes letters, and occurrences that are watched.

For the tests of sinks and outbox.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from fleet import aio
from fleet.api.rollout import Decision, Rollout
from fleet.kulta.core.messages.transition import Transition
from fleet.kulta.runtime.sinks import Occurrences
from tests import gen
from tests.fakes import NOON

KEY = (gen.NAMESPACE, gen.NAME)


def transition(sequence: int = 1, action: str = "Initialize", **decision: Any) -> Transition:
    """One decision about `checkout`."""
    made = Decision(
        sequence=sequence,
        timestamp=NOON,
        action=action,
        reason="Initialization",
        image="shop:v2",
        **{"message": f"number {sequence}", "phase": "Progressing", **decision},
    )
    rollout = Rollout.parse(gen.manifest())
    status = rollout.status.model_copy(
        update={"strategy": "canary", "step": "1/2", "decisions": (made,)}
    )
    return Transition(rollout=rollout.model_copy(update={"status": status}), decision=made)


class Watched(Occurrences):
    """Keeps how many lines each write had."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.writes: list[int] = []

    def _append(self, lines: bytes) -> None:
        super()._append(lines)
        self.writes.append(len(lines.splitlines()))


class Mailbox:
    """Takes letters by POST: answers with each of `answers` in turn, the last of them for ever.

    0 cuts the connection; `delay` seconds pass before each answer.
    """

    def __init__(self, *answers: int, delay: float = 0.0, said: bytes = b"said") -> None:
        self.said = said
        self.answers, self.delay = list(answers or (202,)), delay
        self._answering: set[asyncio.Task[None]] = set()
        self.letters: list[dict[str, Any]] = []
        """Those that were taken."""
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Method and path, and headers, of every attempt."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering = asyncio.create_task(self._answer(reader, writer))
        self._answering.add(answering)
        await asyncio.wait({answering})
        self._answering.discard(answering)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._exchange(reader, writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *rest = head.strip().split("\r\n")
        pairs = (item.split(": ", 1) for item in rest)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((line.rpartition(" ")[0], headers))
        await asyncio.sleep(self.delay)
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not status:
            return
        if status < 300:
            self.letters.append(orjson.loads(body))
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(self.said)}\r\nConnection: close"
        writer.write(f"{head}\r\n\r\n".encode() + self.said)
        await writer.drain()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Its URL, while it is open."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/events?shop=1"
        finally:
            server.close()
            while self._answering:
                await aio.cancel(*self._answering)
                await asyncio.sleep(0)
