"""The outbox: everything arrives, in order, at least once, and nobody waits for a bad sink."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.clusters.web import Web
from fleet.errors import PermanentError, TemporaryError
from fleet.kulta.core.messages.transition import Transition
from fleet.kulta.runtime import outbox as outboxes
from fleet.kulta.runtime.outbox import Outbox, Reached
from fleet.kulta.runtime.sinks import CDEvents, Nowhere
from fleet.telemetry.metrics import EngineMetrics
from tests.kulta.runtime.told import KEY, Mailbox, Watched, transition
from tests.telemetry.test_metrics import samples
from tests.waiting import until

UID = "uid-1"
OTHER = ("shop", "cart")


class Keeper:
    """A sink that keeps what it is sent; `trouble` is raised while it is set."""

    def __init__(self) -> None:
        self.kept: list[int] = []
        self.trouble: Exception | None = None
        self.attempts = 0

    def write(self, transition: Transition) -> bytes | None:
        return str(transition.decision.sequence).encode()

    async def send(self, letter: bytes) -> None:
        self.attempts += 1
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        self.kept.append(int(letter))


class Picky(Keeper):
    """Takes what `of` says of a decision, whatever goes wrong with others."""

    def __init__(self, refused: Callable[[int], Exception | None]) -> None:
        super().__init__()
        self._refused = refused

    async def send(self, letter: bytes) -> None:
        self.attempts += 1
        await asyncio.sleep(0)
        error = self._refused(int(letter))
        if error is not None:
            raise error
        self.kept.append(int(letter))


@asynccontextmanager
async def outbox(**keywords: Any) -> AsyncIterator[tuple[Outbox, EngineMetrics]]:
    metrics = EngineMetrics()
    sinks = keywords.pop("sinks")
    made = Outbox(sinks, metrics, **{"soonest": 0.001, **keywords})
    try:
        yield made, metrics
    finally:
        await made.close()


def put(box: Outbox, *sequences: int, key: tuple[str, str] = KEY, uid: str = UID) -> None:
    box.put(key, uid, [transition(item) for item in sequences], sequences[-1])


async def test_letters_arrive_in_their_order() -> None:
    sink = Keeper()
    async with outbox(sinks={"keeper": sink}) as (box, metrics):
        put(box, 1, 2)
        put(box, 3)
        assert box.of(KEY, UID) == Reached(3, 0)
        await box.flush(5)
        assert sink.kept == [1, 2, 3]
        assert box.of(KEY, UID) == Reached(3, 3)
    assert samples(metrics, "kulta_events") == {
        'kulta_events_total{result="delivered",sink="keeper"}': 3.0,
        'kulta_events_waiting{sink="keeper"}': 0.0,
    }


async def test_everybody_has_been_told_when_the_last_one_has() -> None:
    quick, dead = Keeper(), Keeper()
    dead.trouble = TemporaryError("not now")
    async with outbox(sinks={"quick": quick, "dead": dead}) as (box, _):
        put(box, 1, 2)
        await until(lambda: quick.kept == [1, 2] and dead.attempts > 3)
        assert box.of(KEY, UID) == Reached(2, 0)
        dead.trouble = None
        await box.flush(5)
        assert (quick.kept, dead.kept) == ([1, 2], [1, 2])
        assert box.of(KEY, UID) == Reached(2, 2)


async def test_what_lies_before_the_first_missing_one_counts() -> None:
    sink = Picky(lambda number: TemporaryError("not now") if number == 3 else None)
    async with outbox(sinks={"picky": sink}) as (box, _):
        put(box, 1, 2, 3, 4)
        await until(lambda: sink.attempts > 4)
        assert box.of(KEY, UID) == Reached(4, 2)


async def test_a_refused_letter_does_not_hold_up_the_next(caplog: pytest.LogCaptureFixture) -> None:
    sink = Picky(lambda number: PermanentError("HTTP 400") if number == 1 else None)
    async with outbox(sinks={"picky": sink}) as (box, metrics):
        put(box, 1, 2)
        await box.flush(5)
        assert (sink.kept, box.of(KEY, UID)) == ([2], Reached(2, 2))
    assert (
        samples(metrics, "kulta_events_total")['kulta_events_total{result="refused",sink="picky"}']
        == 1.0
    )
    assert [(item.message, item.why) for item in caplog.records] == [  # type: ignore[attr-defined]
        ("a sink refuses what it is sent", "HTTP 400")
    ]


async def test_rollouts_do_not_wait_for_each_other() -> None:
    sink = Picky(lambda number: TemporaryError("not now") if number == 1 else None)
    async with outbox(sinks={"picky": sink}) as (box, _):
        put(box, 1)
        for number in range(2, 20):
            put(box, number, key=("shop", f"cart-{number}"))
        await until(lambda: len(sink.kept) == 18)
        assert box.of(KEY, UID) == Reached(1, 0)


async def test_a_sink_that_answers_500_twice_gets_it_once() -> None:
    """[E14] And whoever put it there goes on at once."""
    box = Mailbox(500, 500, 202)
    net = Web(user_agent="kulta-engine/test", allow_loopback=True)
    async with box.open() as url, outbox(sinks={"cdevents": CDEvents(net, url)}) as (out, _):
        started = asyncio.get_running_loop().time()
        put(out, 1)
        assert asyncio.get_running_loop().time() - started < 0.1
        await out.flush(10)
    await net.close()
    assert (len(box.requests), len(box.letters)) == (3, 1)


async def test_a_sink_in_trouble_is_told_of_once_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    sink = Keeper()
    sink.trouble = TemporaryError("connection refused")
    async with outbox(sinks={"keeper": sink}) as (box, _):
        put(box, 1, 2)
        put(box, 1, key=OTHER)
        await until(lambda: sink.attempts > 6)
        sink.trouble = None
        await box.flush(5)
    assert [item.message for item in caplog.records] == [
        "a sink does not take what it is sent",
        "a sink takes what it is sent again",
    ]


async def test_a_sink_may_ask_for_a_pause() -> None:
    sink = Keeper()
    sink.trouble = TemporaryError("slow down", retry_after=30.0)
    async with outbox(sinks={"keeper": sink}) as (box, _):
        put(box, 1)
        await asyncio.sleep(0.1)
        assert sink.attempts == 1


async def test_nothing_is_tried_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    sink = Keeper()
    sink.trouble = TemporaryError("gone")
    async with outbox(sinks={"keeper": sink}, give_up=timedelta(seconds=0.05)) as (box, metrics):
        put(box, 1)
        await box.flush(5)
        assert box.of(KEY, UID) == Reached(1, 1)
    assert samples(metrics, "kulta_events_total") == {
        'kulta_events_total{result="dropped",sink="keeper"}': 1.0
    }
    assert caplog.records[-1].message == "what a sink did not take is given up"
    assert timedelta(days=1) == outboxes.GIVE_UP


async def test_a_dead_sink_does_not_fill_the_memory() -> None:
    sink = Keeper()
    sink.trouble = TemporaryError("gone")
    async with outbox(sinks={"keeper": sink}, capacity=5) as (box, metrics):
        put(box, *range(1, 9))
        assert samples(metrics, "kulta_events") == {
            'kulta_events_total{result="dropped",sink="keeper"}': 3.0,
            'kulta_events_waiting{sink="keeper"}': 5.0,
        }


async def test_a_bug_in_a_sink_is_loud_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    sink = Keeper()
    sink.trouble = ZeroDivisionError()
    async with outbox(sinks={"keeper": sink}) as (box, _):
        put(box, 1)
        await until(lambda: sink.attempts == 1)
        sink.trouble = None
        await until(lambda: sink.kept == [1])
    assert "a task failed and is started again" in [item.message for item in caplog.records]


async def test_another_life_of_the_name_begins_anew() -> None:
    async with outbox(sinks={"keeper": Keeper()}) as (box, _):
        put(box, 1, 2)
        assert box.of(KEY, "another") == Reached()
        put(box, 1, uid="another")
        assert (box.of(KEY, UID), box.of(KEY, "another")) == (Reached(), Reached(1, 0))


async def test_a_diary_that_began_anew_is_not_told_by_letters_of_the_old_one() -> None:
    """The status was lost; what was still under way says nothing about the new numbers."""
    sink = Keeper()
    sink.trouble = TemporaryError("not now")
    async with outbox(sinks={"keeper": sink}) as (box, _):
        put(box, 1, 2, 3)
        put(box, 1, 2)
        assert box.of(KEY, UID) == Reached(2, 0)
        sink.trouble = None
        await box.flush(5)
        assert sink.kept == [1, 2, 3, 1, 2]
        assert box.of(KEY, UID) == Reached(2, 2)


async def test_what_is_on_its_way_outlives_its_rollout() -> None:
    sink = Keeper()
    async with outbox(sinks={"keeper": sink}) as (box, _):
        put(box, 1)
        box.forget(KEY)
        await box.flush(5)
        assert (sink.kept, box.of(KEY, UID)) == ([1], Reached())


async def test_nobody_to_tell_is_told_at_once() -> None:
    async with outbox(sinks={"cdevents": Nowhere()}) as (box, metrics):
        put(box, 1, 2)
        assert box.of(KEY, UID) == Reached(2, 2)
    assert samples(metrics, "kulta_events") == {}


async def test_the_end_of_the_process_does_not_wait_for_a_dead_sink() -> None:
    sink = Keeper()
    sink.trouble = TemporaryError("gone")
    async with outbox(sinks={"keeper": sink}) as (box, _):
        put(box, 1)
        started = asyncio.get_running_loop().time()
        await box.flush(0.05)
        assert asyncio.get_running_loop().time() - started < 1.0
        assert box.of(KEY, UID) == Reached(1, 0)


async def test_the_end_of_the_process_leaves_no_occurrence_behind(tmp_path: Path) -> None:
    """Of one Rollout they are written one after another, of many together."""
    sink = Watched(tmp_path)
    async with outbox(sinks={"occurrences": sink}) as (box, _):
        put(box, *range(1, 21))
        await box.flush(2)
        assert box.of(KEY, UID) == Reached(20, 20)
        assert sink.writes == [1] * 20
        for number in range(900):
            put(box, 1, key=("shop", f"cart-{number}"))
        await box.flush(2)
    assert sink.writes[20:] == [900]
