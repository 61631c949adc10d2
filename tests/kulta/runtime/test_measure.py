"""Measurements: asked in the background, once for each text, remembered with their time."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fleet.api.analysis import Analysis
from fleet.clusters.web import Web
from fleet.errors import TemporaryError
from fleet.kulta.core.observed import Query
from fleet.kulta.runtime.credentials import Credentials
from fleet.kulta.runtime.measure import EACH, KEPT, Measurements
from fleet.kulta.runtime.sources import Sources
from tests.fakes import NOON, FakeClock, FakeKube, Samples
from tests.waiting import until

KEY = ("shop", "checkout")


def query(text: str = "up") -> Query:
    return Query(address="http://prometheus:9090", text=text)


class Slow(Samples):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__({"up": 1.0})
        self.go = asyncio.Event()

    async def query(self, namespace: str, query: Query) -> float | None:
        self.asked.append((query.address, query.text))
        await self.go.wait()
        return 1.0


def sources(net: Web, seconds: float) -> Sources:
    return Sources(net, Credentials(FakeKube(), FakeClock()), timeout=seconds)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_answer_wakes_its_rollout_and_is_remembered() -> None:
    woken: list[tuple[str, str]] = []
    measurements = Measurements(Samples({"up": 2.5}), FakeClock(), woken.append)
    measurements.ask(KEY, [query()])
    await settle()
    found = measurements.of(KEY)[query()]
    assert (found.value, found.error, found.at) == (2.5, "", NOON)
    assert woken == [KEY]


async def test_no_data_is_neither_a_value_nor_an_error() -> None:
    measurements = Measurements(Samples({"up": None}), FakeClock(), lambda _: None)
    measurements.ask(KEY, [query()])
    await settle()
    assert (measurements.of(KEY)[query()].value, measurements.of(KEY)[query()].error) == (None, "")


async def test_an_error_is_remembered_as_a_sentence() -> None:
    source = Samples({"up": TemporaryError("prometheus is on fire")})
    measurements = Measurements(source, FakeClock(), lambda _: None)
    measurements.ask(KEY, [query()])
    await settle()
    assert measurements.of(KEY)[query()].error == "prometheus is on fire"


async def test_one_text_is_asked_once_at_a_time() -> None:
    source = Slow()
    measurements = Measurements(source, FakeClock(), lambda _: None)
    measurements.ask(KEY, [query(), query()])
    await settle()
    measurements.ask(KEY, [query()])
    await settle()
    assert len(source.asked) == 1
    source.go.set()
    await settle()
    measurements.ask(KEY, [query()])
    await settle()
    assert len(source.asked) == 2


async def test_old_texts_fade() -> None:
    texts = [f"up[{number}s]" for number in range(KEPT + 10)]
    measurements = Measurements(Samples(dict.fromkeys(texts, 1.0)), FakeClock(), lambda _: None)
    for text in texts:
        measurements.ask(KEY, [query(text)])
        await settle()
    assert [item.text for item in measurements.of(KEY)] == texts[10:]


async def test_a_whole_round_of_the_largest_analysis_is_kept() -> None:
    """20 metrics with 6 texts each, beside those of the round before."""
    most = next(item.max_length for item in Analysis.model_fields["metrics"].metadata)
    assert 2 * 6 * most <= KEPT


async def test_closing_ends_what_is_under_way() -> None:
    source = Slow()
    measurements = Measurements(source, FakeClock(), lambda _: None)
    measurements.ask(KEY, [query()])
    await settle()
    await measurements.close()
    assert measurements.of(KEY) == {}
    measurements.ask(KEY, [query()])
    await settle()
    assert len(source.asked) == 2
    await measurements.close()


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[tuple[str, list[float]]]:
    """A server that takes every connection and answers so, or never; when it was asked."""
    asked: list[float] = []
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(asyncio.get_running_loop().time())
        writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if answer:
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n"
                writer.write(f"{head}Connection: close\r\n\r\n".encode() + answer)
                await writer.drain()
                writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def test_a_dead_server_delays_nobody_elses_rollout() -> None:
    """Ten Rollouts ask a socket that never answers a hundred things each; another is served."""
    answer = b'{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}'
    net = Web(user_agent="test", allow_loopback=True)
    source = sources(net, 20.0)
    async with listening(b"") as (dead, asked), listening(answer) as (alive, _):
        done = asyncio.Event()
        measurements = Measurements(
            source, FakeClock(), lambda key: done.set() if key == KEY else None
        )
        for number in range(10):
            texts = [f"up[{item}s]" for item in range(100)]
            measurements.ask(("shop", str(number)), [Query(address=dead, text=x) for x in texts])
        await asyncio.sleep(0.2)
        asking = Query(address=alive, text="up")
        measurements.ask(KEY, [asking])
        async with asyncio.timeout(15.0):
            await done.wait()
        assert measurements.of(KEY)[asking].value == 7.0
        assert len(asked) == EACH, "no more than so many at once"
        await measurements.close()
    await net.close()


async def test_a_round_at_a_dead_server_takes_as_long_as_one_query() -> None:
    net = Web(user_agent="test", allow_loopback=True)
    async with listening(b"") as (dead, asked):
        come, done = [], asyncio.Event()

        def answered(key: tuple[str, str]) -> None:
            come.append(key)
            if len(come) == 100:
                done.set()

        measurements = Measurements(sources(net, 0.3), FakeClock(), answered)
        texts = [f"up[{item}s]" for item in range(100)]
        measurements.ask(KEY, [Query(address=dead, text=text) for text in texts])
        async with asyncio.timeout(2.5):
            await done.wait()
        errors = {item.error for item in measurements.of(KEY).values()}
        assert errors == {f"{dead} did not answer within 0.3 s"}
        assert len(asked) == EACH
        measurements.ask(KEY, [Query(address=dead, text="up")])
        await asyncio.sleep(0.1)
        assert len(asked) == EACH + 1, "the next round asks anew"
        await measurements.close()
    await net.close()


async def test_a_silent_name_server_is_asked_once_for_a_name() -> None:
    """The resolver has few threads: a name that hangs must not take them all."""
    net, looked = Web(user_agent="test"), []
    go = asyncio.Event()

    async def resolve(host: str, *_: object, **__: object) -> list[object]:
        looked.append(host)
        await go.wait()
        raise socket.gaierror

    loop = asyncio.get_running_loop()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "getaddrinfo", resolve)
        measurements = Measurements(sources(net, 5), FakeClock(), lambda _: None)
        measurements.ask(KEY, [query(f"up[{item}s]") for item in range(8)])
        await settle()
        assert looked == ["prometheus"]
        go.set()
        await asyncio.sleep(0.05)
        errors = {item.error for item in measurements.of(KEY).values()}
        assert errors == {"the host name prometheus cannot be resolved"}
    await measurements.close()
    await net.close()


async def test_a_host_name_that_cannot_be_is_an_error() -> None:
    """Of a Prometheus and of a JSON API: no data, said in words, and not a question for ever."""
    net, woken = Web(user_agent="test"), []
    measurements = Measurements(sources(net, 5), FakeClock(), woken.append)
    wanted = [Query(address="http://a..b:9090", text="up"), Query(address="http://.b/", path="x")]
    measurements.ask(KEY, wanted)
    await until(lambda: len(woken) == len(wanted))
    errors = [measurements.of(KEY)[item].error for item in wanted]
    assert all("is not an address: a part of its host name" in error for error in errors)
    await measurements.close()
    await net.close()
