"""Kubernetes Events: written once, counted when repeated, bounded, and never anybody's problem."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fleet.api.names import EVENTS
from fleet.clusters import recorder as recording
from fleet.clusters.recorder import EventRecorder
from fleet.errors import Forbidden, Unreachable
from fleet.ports import Recorder
from tests.fakes import FakeClock, FakeKube

ABOUT: dict[str, Any] = {
    "apiVersion": "kulta.io/v1beta1",
    "kind": "Rollout",
    "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1", "resourceVersion": "5"},
    "spec": {"secret": "not for an Event"},
}


class Stage:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.kube = FakeKube(clock=self.clock)
        self.recorder = EventRecorder(
            self.kube, self.clock, component="kulta-engine", instance="engine-1"
        )

    def say(self, message: str = "step 1 of 3", about: dict[str, Any] = ABOUT) -> None:
        port: Recorder = self.recorder
        port.event(about, kind="Normal", reason="Stepped", message=message)

    async def events(self) -> list[dict[str, Any]]:
        await self.recorder.flush(5.0)
        return await self.kube.list(EVENTS)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    task = asyncio.create_task(made.recorder.run())
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_event_says_what_about_whom_and_when(stage: Stage) -> None:
    stage.say()
    (event,) = await stage.events()
    name = event["metadata"].pop("name")
    for stored in ("uid", "resourceVersion", "creationTimestamp", "generation"):
        event["metadata"].pop(stored)
    assert name.startswith("checkout.")
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "shop"},
        "involvedObject": {
            "apiVersion": "kulta.io/v1beta1",
            "kind": "Rollout",
            "name": "checkout",
            "namespace": "shop",
            "uid": "u-1",
            "resourceVersion": "5",
        },
        "type": "Normal",
        "reason": "Stepped",
        "message": "step 1 of 3",
        "count": 1,
        "firstTimestamp": "2026-11-20T12:00:00Z",
        "lastTimestamp": "2026-11-20T12:00:00Z",
        "source": {"component": "kulta-engine"},
        "reportingComponent": "kulta-engine",
        "reportingInstance": "engine-1",
    }


async def test_a_repeat_raises_the_count(stage: Stage) -> None:
    stage.say()
    stage.clock.advance(30)
    stage.say()
    (event,) = await stage.events()
    assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (
        2,
        "2026-11-20T12:00:00Z",
        "2026-11-20T12:00:30Z",
    )


async def test_another_message_is_another_event(stage: Stage) -> None:
    stage.say("step 1 of 3")
    stage.say("step 2 of 3")
    assert len(await stage.events()) == 2


async def test_after_ten_quiet_minutes_a_repeat_is_a_new_event(stage: Stage) -> None:
    stage.say()
    await stage.events()
    stage.clock.advance(601)
    stage.say()
    assert [event["count"] for event in await stage.events()] == [1, 1]


async def test_an_event_that_the_server_forgot_is_written_again(stage: Stage) -> None:
    stage.say()
    (event,) = await stage.events()
    await stage.kube.delete(EVENTS, event["metadata"]["name"], "shop")
    stage.say()
    assert [event["count"] for event in await stage.events()] == [1]


async def test_an_object_that_has_too_much_to_say_is_slowed_down(stage: Stage) -> None:
    for number in range(40):
        stage.say(f"message {number}")
    other = {**ABOUT, "metadata": {**ABOUT["metadata"], "name": "cart", "uid": "u-2"}}
    stage.say("another object is not", other)
    stage.clock.advance(30)
    stage.say("one more after half a minute")
    stage.say("but not two")
    assert (len(await stage.events()), stage.recorder.dropped) == (27, 16)


async def test_a_refusal_is_counted_and_the_next_event_is_written(stage: Stage) -> None:
    stage.kube.failures.extend([Forbidden("no"), Unreachable("lost")])
    for message in ("first", "second", "third"):
        stage.say(message)
    events = await stage.events()
    assert ([event["message"] for event in events], stage.recorder.dropped) == (["third"], 2)


async def test_an_event_that_was_refused_is_not_counted_up(stage: Stage) -> None:
    stage.kube.failures.append(Unreachable("lost"))
    stage.say()
    await stage.events()
    stage.say()
    assert [event["count"] for event in await stage.events()] == [1]


async def test_when_nobody_writes_the_oldest_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording, "CAPACITY", 3)
    stage = Stage()
    for number in range(5):
        stage.say(f"message {number}")
    await stage.recorder.flush(0.01)
    task = asyncio.create_task(stage.recorder.run())
    events = await stage.events()
    task.cancel()
    assert {event["message"] for event in events} == {"message 2", "message 3", "message 4"}
    assert stage.recorder.dropped == 2


async def test_an_object_without_a_namespace_has_its_events_in_default(stage: Stage) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "u-3"}}
    stage.say("x" * 5_000, node)
    (event,) = await stage.events()
    assert (event["metadata"]["namespace"], len(event["message"])) == ("default", 1_024)
