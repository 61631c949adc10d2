"""The sinks: one attempt each at real HTTP servers, real files and an API server's Events."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from fleet.api import names
from fleet.clusters.web import Web
from fleet.errors import Forbidden, PermanentError, TemporaryError, Unreachable
from fleet.kulta.runtime import sinks
from fleet.kulta.runtime.sinks import CDEvents, Events, Nowhere, Occurrences, Sink
from tests.fakes import FakeClock, FakeKube
from tests.kulta.runtime.told import Mailbox, Watched, transition


def letter(sink: Sink, sequence: int = 1, **decision: object) -> bytes:
    found = sink.write(transition(sequence, **decision))
    assert found is not None
    return found


@asynccontextmanager
async def cdevents(url: str, *, loopback: bool = True) -> AsyncIterator[CDEvents]:
    net = Web(user_agent="kulta-engine/test", allow_loopback=loopback)
    try:
        yield CDEvents(net, url)
    finally:
        await net.close()


async def test_an_event_is_posted_as_a_structured_cloud_event() -> None:
    """[E13] To the URL as it was given, query and all."""
    box = Mailbox()
    async with box.open() as url, cdevents(url) as sink:
        for sequence in (1, 2):
            await sink.send(letter(sink, sequence))
    assert [line for line, _ in box.requests] == ["POST /events?shop=1"] * 2
    assert box.requests[0][1]["content-type"] == "application/cloudevents+json"
    assert box.requests[0][1]["user-agent"] == "kulta-engine/test"
    assert {event["specversion"] for event in box.letters} == {"1.0"}
    assert {event["source"] for event in box.letters} == {"https://kulta.io"}
    assert len({event["id"] for event in box.letters}) == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        pytest.param(500, TemporaryError, id="a broken sink may mend"),
        pytest.param(503, TemporaryError, id="a sink that is not there yet"),
        pytest.param(429, TemporaryError, id="a busy sink"),
        pytest.param(0, TemporaryError, id="a cut connection"),
        pytest.param(400, PermanentError, id="a letter that it does not like"),
        pytest.param(301, PermanentError, id="a redirect is not followed"),
    ],
)
async def test_what_an_answer_means(status: int, error: type[Exception]) -> None:
    box = Mailbox(status)
    async with box.open() as url, cdevents(url) as sink:
        with pytest.raises(error):
            await sink.send(letter(sink))
    assert len(box.requests) == 1


async def test_a_sink_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "SECONDS", 0.2)
    async with Mailbox(delay=5.0).open() as url, cdevents(url) as sink:
        with pytest.raises(TemporaryError, match=r"did not answer within 0\.2 s"):
            await sink.send(letter(sink))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("http://127.0.0.1:9/", "a loopback address", id="this machine"),
        pytest.param("http://169.254.169.254/", "a cloud metadata address", id="the metadata"),
        pytest.param("http://169.254.7.7/", "a link-local address", id="link-local"),
        pytest.param("http://sink..ops/", "is not an address", id="a host name with a hole"),
    ],
)
async def test_addresses_that_are_refused(url: str, words: str) -> None:
    async with cdevents(url, loopback=False) as sink:
        with pytest.raises(TemporaryError, match=words):
            await sink.send(letter(sink))


async def test_an_error_does_not_show_what_the_url_holds() -> None:
    async with cdevents("http://me:hunter2@127.0.0.1:9/in?token=abc", loopback=False) as sink:
        with pytest.raises(TemporaryError) as raised:
            await sink.send(letter(sink))
    assert "http://127.0.0.1:9/in" in str(raised.value)
    assert not any(word in str(raised.value) for word in ("hunter2", "abc"))


async def test_credentials_of_the_url_are_sent() -> None:
    box = Mailbox()
    async with box.open() as url, cdevents(url.replace("http://", "http://me:pw@")) as sink:
        await sink.send(letter(sink))
    assert box.requests[0][1]["authorization"] == "Basic bWU6cHc="


def lines(path: Path) -> list[str]:
    return [orjson.loads(line)["type"] for line in path.read_bytes().splitlines()]


async def test_occurrences_are_lines_of_a_file_in_a_folder_that_is_made(tmp_path: Path) -> None:
    sink = Occurrences(tmp_path / "not" / "there", "prod")
    for sequence in (1, 2):
        await sink.send(letter(sink, sequence))
    path = tmp_path / "not" / "there" / "occurrence.json"
    assert lines(path) == ["canary.rollout.progressing"] * 2
    assert orjson.loads(path.read_bytes().splitlines()[0])["context"]["cluster"] == "prod"


async def test_a_large_file_is_put_aside(tmp_path: Path) -> None:
    """[F15] Its lines are in a second file; together they are never more than twice the limit."""
    sink = Occurrences(tmp_path)
    first = tmp_path / "occurrence.json"
    first.write_bytes(b'{"type":"old"}\n' * (sinks.LARGEST // 15 + 1))
    size = first.stat().st_size
    assert size > 10 * 1024 * 1024
    await sink.send(letter(sink))
    assert lines(first) == ["canary.rollout.progressing"]
    assert (tmp_path / "occurrence.json.1").stat().st_size == size


async def test_the_file_never_grows_beyond_its_limit(tmp_path: Path) -> None:
    size = len(letter(Occurrences(tmp_path)))
    sink = Occurrences(tmp_path, largest=3 * size)
    for sequence in range(1, 9):
        await sink.send(letter(sink, sequence))
    assert len(lines(tmp_path / "occurrence.json")) == 2
    assert len(lines(tmp_path / "occurrence.json.1")) == 3


async def test_what_comes_at_once_is_one_write(tmp_path: Path) -> None:
    """And nobody is told that it is written before it is."""
    sink, path = Watched(tmp_path), tmp_path / "occurrence.json"
    sending = [asyncio.create_task(sink.send(letter(sink, item))) for item in (1, 2, 3)]
    await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
    assert len(lines(path)) == 3
    await asyncio.gather(*sending)
    await sink.send(letter(sink, 4))
    assert sink.writes == [3, 1]
    assert len(lines(path)) == 4


async def test_a_disk_that_hangs_takes_one_thread(tmp_path: Path) -> None:
    """The other threads resolve names. What comes while it hangs is one write, in its order."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    sink = Watched(tmp_path)
    letters = [letter(sink, item) for item in range(1, 9)]
    with full_pipe(tmp_path / "occurrence.json") as pipe:
        sending = []
        for item in letters:
            sending.append(asyncio.create_task(sink.send(item)))
            await asyncio.sleep(0.03)
        async with asyncio.timeout(2):
            filling = await asyncio.to_thread(os.read, pipe, PIPE_BYTES)
        await asyncio.gather(*sending)
        assert (filling.strip(b" "), os.read(pipe, PIPE_BYTES)) == (b"", b"".join(letters))
    assert sink.writes == [1, 7]


async def test_after_a_long_write_what_comes_is_gathered(tmp_path: Path) -> None:
    class Slow(Watched):
        def _append(self, lines: bytes) -> None:
            time.sleep(0.02)
            super()._append(lines)

    sink, sending = Slow(tmp_path), list[asyncio.Task[None]]()
    await sink.send(letter(sink, 1))
    for item in (2, 3, 4):
        sending.append(asyncio.create_task(sink.send(letter(sink, item))))
        await asyncio.sleep(0.01)
    await asyncio.gather(*sending)
    assert sink.writes == [1, 3]


PIPE_BYTES = 1 << 20
"""More than a pipe holds."""


@contextmanager
def full_pipe(path: Path) -> Iterator[int]:
    """Whoever writes to it hangs until it is read."""
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while True:
                os.write(pipe, b" " * 512)
        yield pipe
    finally:
        path.unlink()
        with suppress(BlockingIOError):
            os.read(pipe, PIPE_BYTES)
        os.close(pipe)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(b'{"id":1}\n{"id":2,"to', b'{"id":1}\n{"id":2,"to\n', id="torn"),
        pytest.param(b'{"id":1}\n', b'{"id":1}\n', id="whole"),
        pytest.param(b"", b"", id="empty"),
    ],
)
async def test_a_line_that_a_killed_engine_tore_spoils_no_other(
    before: bytes, expected: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "occurrence.json"
    path.write_bytes(before)
    sink = Occurrences(tmp_path)
    letters = [letter(sink, item) for item in (1, 2)]
    for item in letters:
        await sink.send(item)
    assert path.read_bytes() == expected + b"".join(letters)


async def test_who_gives_up_waiting_takes_nobody_else_along(tmp_path: Path) -> None:
    sink = Occurrences(tmp_path)
    first, second = (asyncio.create_task(sink.send(letter(sink, item))) for item in (1, 2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert len(lines(tmp_path / "occurrence.json")) == 2


async def test_everybody_is_told_that_nothing_was_written(closed: Path) -> None:
    sink = Occurrences(closed)
    sending = [sink.send(letter(sink, item)) for item in (1, 2)]
    found = await asyncio.gather(*sending, return_exceptions=True)
    assert [type(item) for item in found] == [PermanentError, PermanentError]
    assert found[0] is not found[1]


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A place where no folder can be made, for root either."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "folder"


async def test_a_folder_that_cannot_be_written_is_no_use_waiting_for(closed: Path) -> None:
    """[F14] Refused for good, with path and reason."""
    sink = Occurrences(closed)
    with pytest.raises(PermanentError, match=r"occurrence\.json: not a directory"):
        await sink.send(letter(sink))


async def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "occurrence.json").symlink_to(tmp_path / "elsewhere")
    sink = Occurrences(tmp_path)
    with pytest.raises(PermanentError):
        await sink.send(letter(sink))
    assert not (tmp_path / "elsewhere").exists()


async def test_a_full_disk_may_have_room_again() -> None:
    """The device that is always full."""

    class Full(Occurrences):
        def _append(self, lines: bytes) -> None:
            handle = os.open("/dev/full", os.O_WRONLY)
            try:
                os.write(handle, lines)
            finally:
                os.close(handle)

    sink = Full(Path("/dev"))
    with pytest.raises(TemporaryError, match="no space left"):
        await sink.send(letter(sink))


class Cluster:
    """A sink of Events before an API server."""

    def __init__(self) -> None:
        self.kube, self.clock = FakeKube(), FakeClock()
        self.sink = Events(self.kube, self.clock, component="kulta-engine", instance="engine-1")


async def test_an_event_tells_of_the_decision_when_it_was_made() -> None:
    here = Cluster()
    here.clock.advance(90)
    await here.sink.send(letter(here.sink))
    (event,) = await here.kube.list(names.EVENTS)
    assert (event["type"], event["reason"], event["message"]) == (
        "Normal",
        "Initialize",
        "Initialization: number 1",
    )
    assert event["firstTimestamp"] == "2026-11-20T12:00:00Z"
    assert event["involvedObject"] == {
        "apiVersion": "kulta.io/v1beta1",
        "kind": "Rollout",
        "name": "checkout",
        "namespace": "shop",
        "uid": "uid-1",
    }
    assert event["reportingInstance"] == "engine-1"


async def test_a_rollback_is_a_warning() -> None:
    here = Cluster()
    await here.sink.send(letter(here.sink, action="Rollback"))
    (event,) = await here.kube.list(names.EVENTS)
    assert event["type"] == "Warning"


async def test_an_event_that_is_sent_again_is_one() -> None:
    here = Cluster()
    for sequence in (1, 1, 2):
        await here.sink.send(letter(here.sink, sequence))
    assert len(await here.kube.list(names.EVENTS)) == 2


async def test_an_event_that_would_be_forgotten_is_not_written() -> None:
    here = Cluster()
    here.clock.advance(timedelta(hours=1).total_seconds())
    assert here.sink.write(transition()) is None


@pytest.mark.parametrize("error", [Unreachable("no answer"), Forbidden("no right")])
async def test_what_an_api_server_refuses_rises(error: Exception) -> None:
    here = Cluster()
    here.kube.failures.append(error)  # type: ignore[arg-type]
    with pytest.raises(type(error)):
        await here.sink.send(letter(here.sink))


async def test_nowhere_is_told_nothing() -> None:
    """[E12] Neither an event nor an error."""
    sink = Nowhere()
    assert sink.write(transition()) is None
    await sink.send(b"")
