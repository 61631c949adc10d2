"""Hooks at real HTTP servers: asked and told in the background, with attempts that end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fleet.api.hooks import Hook
from fleet.api.rollout import Rollout
from fleet.clusters.web import Web
from fleet.errors import PermanentError, TemporaryError
from fleet.kulta.core.messages.transition import Transition
from fleet.kulta.core.messages.webhooks import Errand
from fleet.kulta.core.observed import Heard, Inquiry
from fleet.kulta.runtime.hooks import Caller, Errands, Told
from fleet.kulta.runtime.outbox import AT_ONCE, Outbox
from fleet.telemetry.metrics import EngineMetrics
from tests import gen
from tests.fakes import NOON, FakeClock
from tests.kulta.runtime.told import KEY, Mailbox, transition
from tests.waiting import until

OTHER = ("shop", "cart")


def errand(url: str, point: str = "step 0", revision: str = "abc", **more: Any) -> Errand:
    hook = Hook(name="gate", url=url, **{"type": "rollout", **more})
    rollout = Rollout.parse(gen.manifest())
    status = rollout.status.model_copy(update={"current_step_index": 0, "current_weight": 20})
    return Errand(
        inquiry=Inquiry(hook="gate", url=url, revision=revision, point=point),
        hook=hook,
        rollout=rollout.model_copy(update={"status": status}),
    )


@asynccontextmanager
async def calling(*, loopback: bool = True) -> AsyncIterator[Caller]:
    net = Web(user_agent="kulta-engine/test", allow_loopback=loopback)
    try:
        yield Caller(net, soonest=0.0)
    finally:
        await net.close()


@asynccontextmanager
async def asking() -> AsyncIterator[tuple[Errands, list[Any]]]:
    woken: list[Any] = []
    async with calling() as caller:
        asked = Errands(caller, FakeClock(), woken.append)
        try:
            yield asked, woken
        finally:
            await asked.close()


async def test_a_hook_is_asked_by_post_and_says_yes() -> None:
    box = Mailbox(204)
    async with box.open() as url, asking() as (asked, woken):
        wanted = errand(url, metadata={"team": "checkout"})
        asked.ask(KEY, [wanted, wanted])
        await until(lambda: woken == [KEY])
        assert asked.of(KEY) == {wanted.inquiry: Heard(is_yes=True, at=NOON)}
        assert asked.of(OTHER) == {}
        asked.forget(KEY)
        assert asked.of(KEY) == {}
    assert [line for line, _ in box.requests] == ["POST /events?shop=1"]
    assert box.letters == [
        {
            "name": "checkout",
            "namespace": "shop",
            "hook": "gate",
            "type": "rollout",
            "checksum": "abc",
            "phase": "",
            "step": 0,
            "weight": 20,
            "metadata": {"team": "checkout"},
        }
    ]


@pytest.mark.parametrize(
    ("answers", "is_yes", "attempts"),
    [
        pytest.param((409,), False, 1, id="a no is an answer"),
        pytest.param((302,), False, 1, id="a redirect is not followed"),
        pytest.param((503, 200), True, 2, id="an outage is tried again"),
        pytest.param((0, 0, 200), True, 3, id="a cut connection too"),
        pytest.param((503,), False, 3, id="until its attempts are over"),
    ],
)
async def test_answers(answers: tuple[int, ...], is_yes: bool, attempts: int) -> None:
    box = Mailbox(*answers)
    async with box.open() as url, asking() as (asked, woken):
        asked.ask(KEY, [errand(url)])
        await until(lambda: bool(woken))
        (heard,) = asked.of(KEY).values()
    assert (heard.is_yes, len(box.requests)) == (is_yes, attempts)
    assert is_yes or "http://127.0.0.1" in heard.said
    hidden = [word for word in ("shop=1", "events") if word in heard.said]
    assert hidden == [], "a path or a query may hold a secret"


async def test_a_silent_hook_keeps_nobody_else_waiting() -> None:
    slow, quick = Mailbox(delay=60.0), Mailbox()
    async with slow.open() as one, quick.open() as other, asking() as (asked, woken):
        asked.ask(KEY, [errand(one)])
        asked.ask(OTHER, [errand(other)])
        await until(lambda: woken == [OTHER])
        assert asked.of(KEY) == {}


async def test_answers_about_another_revision_are_forgotten() -> None:
    async with Mailbox().open() as url, asking() as (asked, woken):
        for revision in ("abc", "def"):
            asked.ask(KEY, [errand(url, revision=revision)])
            await until(lambda: len(woken) > 0)
            woken.clear()
        assert [item.revision for item in asked.of(KEY)] == ["def"]


async def test_who_is_made_again_gets_no_answer_of_its_former_life() -> None:
    """The same question, which was under way when the Rollout went."""
    box = Mailbox(202, 409, delay=0.1)
    async with box.open() as url, asking() as (asked, woken):
        asked.ask(KEY, [errand(url)])
        await until(lambda: len(box.requests) == 1)
        asked.forget(KEY)
        asked.ask(KEY, [errand(url)])
        await until(lambda: bool(woken))
        assert [item.is_yes for item in asked.of(KEY).values()] == [False]
        assert (len(box.requests), woken) == (2, [KEY])


async def test_a_late_answer_about_another_revision_is_none() -> None:
    slow, quick = Mailbox(delay=0.1), Mailbox()
    async with slow.open() as one, quick.open() as other, asking() as (asked, woken):
        asked.ask(KEY, [errand(one)])
        await until(lambda: len(slow.requests) == 1)
        asked.ask(KEY, [errand(other, revision="def")])
        await until(lambda: len(slow.letters) == 1)
        asked.ask(OTHER, [errand(one)])
        await until(lambda: OTHER in woken)
        assert [item.revision for item in asked.of(KEY)] == ["def"]
        assert woken == [KEY, OTHER]


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://127.0.0.1:1/x"])
async def test_addresses_that_no_hook_may_have(url: str) -> None:
    """Link-local and metadata never, loopback only where a setting allows it."""
    async with calling(loopback=False) as caller:
        with pytest.raises(TemporaryError, match="is refused"):
            await caller.call(Hook(name="gate", url=url, retries=0), {})


HOSTS = [
    pytest.param("http://gate..ops/x", id="a host name with a hole"),
    pytest.param("http://.ops/x", id="one that begins with a dot"),
    pytest.param(f"http://{'a' * 64}.ops/x", id="one with a part that is too long"),
    pytest.param("http://xn--a/x", id="one that stands for none"),
]


@pytest.mark.parametrize("url", HOSTS)
async def test_a_host_name_that_cannot_be_is_a_no(url: str) -> None:
    """It fits the pattern of the CRD, and no resolver takes it."""
    async with asking() as (asked, woken):
        asked.ask(KEY, [errand(url, retries=0)])
        await until(lambda: woken == [KEY])
        (heard,) = asked.of(KEY).values()
    assert not heard.is_yes
    assert "is not an address: a part of its host name is empty" in heard.said


@pytest.mark.parametrize("url", HOSTS)
async def test_a_host_name_that_cannot_be_is_told_nothing_for_ever(url: str) -> None:
    async with calling() as caller:
        sink = Told(caller)
        letter = sink.write(decided(url, retries=0))
        assert letter is not None
        with pytest.raises(PermanentError, match="is not an address"):
            await sink.send(letter)


def decided(*urls: str, action: str = "Rollback", **more: Any) -> Transition:
    """A decision about a Rollout that wants to be told of it."""
    item = transition(action=action)
    hooks = [
        {"name": f"hook-{number}", "type": "event", "url": url, **more}
        for number, url in enumerate(urls)
    ]
    rollout = Rollout.parse(gen.manifest(hooks=hooks))
    return Transition(
        rollout=rollout.model_copy(update={"status": item.status}), decision=item.decision
    )


async def test_a_decision_is_told_to_each_that_wants_it() -> None:
    box = Mailbox()
    async with box.open() as url, calling() as caller:
        sink, news = Told(caller), decided(url, url, metadata={"team": "checkout"})
        letter = sink.write(news)
        assert letter is not None
        await sink.send(letter)
    assert sorted(item["hook"] for item in box.letters) == ["hook-0", "hook-1"]
    (first, _) = box.letters
    assert (first["id"], first["action"]) == (news.uuid, "Rollback")
    assert first["metadata"] == {
        "team": "checkout",
        "eventMessage": "number 1",
        "eventType": "Warning",
        "timestamp": "2026-11-20T12:00:00Z",
    }


async def test_many_silent_hooks_leave_room_for_the_others() -> None:
    """More of them than any other sink has slots."""
    slow, box = Mailbox(delay=60.0), Mailbox()
    async with slow.open() as silent, box.open() as url, calling() as caller:
        outbox = Outbox({"hooks": Told(caller)}, EngineMetrics())
        for number in range(AT_ONCE + 2):
            outbox.put(("shop", f"silent-{number}"), "uid", [decided(silent)], 1)
        outbox.put(KEY, "uid", [decided(url)], 1)
        await until(lambda: len(box.letters) == 1)
        await outbox.close()


async def test_those_without_hooks_cost_nothing() -> None:
    async with calling() as caller:
        assert Told(caller).write(transition()) is None


async def test_a_dead_hook_is_given_up_and_the_others_are_told() -> None:
    dead, box = Mailbox(500), Mailbox()
    async with dead.open() as one, box.open() as other, calling() as caller:
        sink = Told(caller)
        letter = sink.write(decided(one, other, retries=1))
        assert letter is not None
        with pytest.raises(PermanentError, match=r"hook hook-0: http://.*answered 500") as raised:
            await asyncio.wait_for(sink.send(letter), 60)
        assert "events" not in str(raised.value), "a path may hold a secret"
    assert (len(dead.requests), len(box.letters)) == (2, 1)
