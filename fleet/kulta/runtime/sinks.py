"""Sinks: who is told of the engine's decisions, one class for each, and the one who is nobody.

`outbox` writes a letter for each decision and sends it until the sink is done with it. A sink makes
one attempt and raises: TemporaryError to be tried again, PermanentError for a letter that it will
never take. Every letter carries an identity that is the same when it is sent again.
"""

import asyncio
import errno
import os
from pathlib import Path
from typing import Protocol

import orjson

from fleet.api import names
from fleet.clusters import recorder, web
from fleet.clusters.recorder import Note
from fleet.clusters.web import Call, Web
from fleet.errors import AlreadyExists, PermanentError, TemporaryError
from fleet.kulta.core.messages import cdevents, notices, occurrences
from fleet.kulta.core.messages.advised import Advised
from fleet.kulta.core.messages.transition import Transition
from fleet.ports import Clock, Kube

SECONDS = 5.0
"""How long an event sink may take."""
FILE = "occurrence.json"
OLDER = "occurrence.json.1"
LARGEST = 10_485_760
"""Bytes of the file of occurrences; then it becomes `OLDER`, which is lost."""
RESTS, LONGEST_REST = 10, 0.2
"""Times what a write of occurrences took, and seconds, until the next one begins."""
LONGEST_MESSAGE = 1_024

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.EMFILE, errno.ENFILE})
"""What passes; a folder that may not be written does not pass by waiting."""


News = Transition | Advised


class Sink(Protocol):
    """One receiver."""

    def write(self, news: News) -> bytes | None:
        """The letter about it; None where this sink has nothing to say."""

    async def send(self, letter: bytes) -> None:
        """One attempt. Raises TemporaryError or PermanentError."""


class Nowhere:
    """The sink of those who have none."""

    def write(self, news: News) -> bytes | None:
        return None

    async def send(self, letter: bytes) -> None:
        return None


class CDEvents:
    """CloudEvents by HTTP, in structured mode, to the address that the settings name."""

    def __init__(self, net: Web, url: str) -> None:
        self._web, self._url = net, url

    def write(self, news: News) -> bytes | None:
        event = cdevents.of(news) if isinstance(news, Transition) else None
        return None if event is None else orjson.dumps(event)

    async def send(self, letter: bytes) -> None:
        call = Call(
            method="POST",
            url=self._url,
            headers={"Content-Type": cdevents.MEDIA_TYPE},
            body=letter,
            seconds=SECONDS,
        )
        web.check(await self._web.ask(call), web.shown(self._url))


class Occurrences:
    """FALSE occurrences, a line each, in a file that is replaced before it grows too large. One
    write at a time, a thread's, as a disk may hang; the lines that come meanwhile are the next.
    Where the process is busy a thread waits for its turn at each step and makes all others wait, so
    the longer a write took, the longer what comes is gathered for the next one."""

    def __init__(self, folder: Path, cluster: str = "", *, largest: int = LARGEST) -> None:
        self._folder, self._cluster, self._largest = folder, cluster, largest
        self._writing = asyncio.Lock()
        self._rests_until = 0.0
        self._lines: list[bytes] = []
        self._next: asyncio.Task[OSError | None] | None = None

    def write(self, news: News) -> bytes | None:
        if isinstance(news, Advised):
            return orjson.dumps(occurrences.of_advice(news, self._cluster)) + b"\n"
        occurrence = occurrences.of(news, self._cluster)
        return None if occurrence is None else orjson.dumps(occurrence) + b"\n"

    async def send(self, letter: bytes) -> None:
        self._lines.append(letter)
        if self._next is None:
            self._next = asyncio.create_task(self._write_next())
        if error := await asyncio.shield(self._next):
            why = f"{self._folder / FILE}: {(error.strerror or str(error)).lower()}"
            raise (TemporaryError if error.errno in _FULL else PermanentError)(why) from None

    async def _write_next(self) -> OSError | None:
        """Write all that came before it is its turn; why that was not possible."""
        loop = asyncio.get_running_loop()
        async with self._writing:
            await asyncio.sleep(self._rests_until - loop.time())
            lines, self._lines, self._next = self._lines, [], None
            began = loop.time()
            try:
                await asyncio.to_thread(self._append, b"".join(lines))
            except OSError as error:
                return error
            finally:
                ended = loop.time()
                self._rests_until = ended + min(RESTS * (ended - began), LONGEST_REST)
            return None

    def _append(self, lines: bytes) -> None:
        """Whole lines or nothing: what a full disk took of them is taken back."""
        handle, before = self._opened(len(lines))
        try:
            if before and os.pread(handle, 1, before - 1) != b"\n":
                lines = b"\n" + lines  # who was killed in the middle of a line spoils no other
            if os.write(handle, lines) < len(lines):
                os.ftruncate(handle, before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)

    def _opened(self, more: int) -> tuple[int, int]:
        """A file that `more` bytes still fit into, and its size."""
        handle = self._open()
        size = os.fstat(handle).st_size
        if not size or size + more <= self._largest:
            return handle, size
        os.close(handle)
        (self._folder / FILE).replace(self._folder / OLDER)
        return self._open(), 0

    def _open(self) -> int:
        path = self._folder / FILE
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(path, flags, 0o644)
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)
            return os.open(path, flags, 0o644)


class Events:
    """Kubernetes Events. Their names come from the decision, so a second one finds the first."""

    def __init__(self, kube: Kube, clock: Clock, *, component: str, instance: str) -> None:
        self._kube, self._clock = kube, clock
        self._component, self._instance = component, instance

    def write(self, news: News) -> bytes | None:
        notice = notices.of(news, self._clock.now()) if isinstance(news, Transition) else None
        if notice is None or not isinstance(news, Transition) or not news.is_named:
            return None
        meta = news.rollout.metadata
        identity = {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid}
        about = {
            **names.ROLLOUTS.head,
            "metadata": identity,
        }
        note = Note(
            about=recorder.reference(about),
            kind=notice.kind,
            reason=notice.reason,
            message=notice.message[:LONGEST_MESSAGE],
            at=news.at,
        )
        name = f"{meta.name}.{news.uuid}"
        return orjson.dumps(recorder.manifest(note, name, self._component, self._instance))

    async def send(self, letter: bytes) -> None:
        try:
            await self._kube.create(names.EVENTS, orjson.loads(letter))
        except AlreadyExists:
            return  # whoever sent it before us did not live to say so
