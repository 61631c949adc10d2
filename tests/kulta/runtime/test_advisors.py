"""Advisors at real HTTP servers: one question, one answer, and nobody waits for a slow one."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from fleet.api.rollout import Rollout, RolloutStatus
from fleet.clusters.web import Web
from fleet.errors import TemporaryError
from fleet.kulta.core.messages.advised import Advised
from fleet.kulta.core.messages.advisors import Question
from fleet.kulta.core.observed import Consulted, Recommendation
from fleet.kulta.runtime.advisors import AdviceSource, Consultations, HttpAdvisor, Silent
from fleet.telemetry.metrics import EngineMetrics
from tests import gen
from tests.fakes import NOON, FakeClock
from tests.kulta.runtime.told import KEY, Mailbox
from tests.telemetry.test_metrics import samples
from tests.waiting import until

OTHER = ("shop", "cart")
GO_ON = {"action": "Continue", "confidence": 0.8, "reasoning": "all is well"}


def question(endpoint: str | None = "http://advisor:8080", step: int = 0, **wish: Any) -> Question:
    advisor = {"level": "Planned", "endpoint": endpoint, **wish}
    rollout = Rollout.parse(gen.manifest(advisor=advisor))
    status = RolloutStatus(
        phase="Paused", strategy="canary", current_pod_hash="hash", current_step_index=step
    )
    return Question(rollout=rollout.model_copy(update={"status": status}), is_healthy=True)


@asynccontextmanager
async def asking(*, loopback: bool = True) -> AsyncIterator[HttpAdvisor]:
    net = Web(user_agent="kulta-engine/test", allow_loopback=loopback)
    try:
        yield HttpAdvisor(net)
    finally:
        await net.close()


async def test_it_is_asked_by_post() -> None:
    """[G2] One, with the body of the reference."""
    box = Mailbox(200, said=orjson.dumps(GO_ON))
    async with box.open() as url, asking() as advisor:
        found = await advisor.ask(question(url))
    assert found == Recommendation(action="Continue", confidence=0.8, reasoning="all is well")
    assert [line for line, _ in box.requests] == ["POST /events?shop=1"]
    assert box.requests[0][1]["content-type"] == "application/json"
    assert box.letters == [
        {
            "rollout_name": "checkout",
            "namespace": "shop",
            "strategy": "canary",
            "current_step": 0,
            "current_weight": None,
            "metrics_healthy": True,
            "phase": "Paused",
            "history": [],
        }
    ]


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        pytest.param(500, b"x" * 1_000, "answered 500: xxx", id="[G6] a broken advisor"),
        pytest.param(404, b"", "answered 404", id="[G6] nobody at that path"),
        pytest.param(200, b"go on!", "not JSON", id="[G6] words"),
        pytest.param(200, b"{}", "its action is none of", id="[G6] an answer without an action"),
        pytest.param(200, b"[" * 100_000, "not JSON", id="brackets without end"),
        pytest.param(302, b"", "answered 302", id="a redirect is not followed"),
        pytest.param(0, b"", "does not answer", id="a cut connection"),
    ],
)
async def test_what_is_no_advice(status: int, said: bytes, words: str) -> None:
    async with Mailbox(status, said=said).open() as url, asking() as advisor:
        with pytest.raises(TemporaryError, match=words) as raised:
            await advisor.ask(question(url))
    assert len(str(raised.value)) < 300


async def test_it_has_its_time() -> None:
    """[G6] `timeoutSeconds`, whole seconds."""
    async with Mailbox(200, delay=5.0).open() as url, asking() as advisor:
        with pytest.raises(TemporaryError, match="did not answer within 1 s"):
            await advisor.ask(question(url, timeoutSeconds=1))


async def test_addresses_that_are_refused() -> None:
    refused = {"127.0.0.1:9": "loopback", "169.254.169.254": "metadata", "a..b": "not an address"}
    async with asking(loopback=False) as advisor:
        for host, words in refused.items():
            with pytest.raises(TemporaryError, match=words):
                await advisor.ask(question(f"http://{host}/"))


async def test_the_advisor_of_those_who_have_none() -> None:
    """[G8] Continue, with no confidence at all."""
    expected = Recommendation(action="Continue", confidence=0.0)
    assert await Silent().ask(question(None)) == expected
    async with asking() as advisor:
        assert await advisor.ask(question(None)) == expected


class Scripted:
    """Answers when it is let go: what `answers` holds, in turn."""

    def __init__(self, *answers: Recommendation | Exception) -> None:
        self.answers = list(answers)
        self.go = asyncio.Event()
        self.go.set()
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Recommendation:
        self.asked.append(question)
        await self.go.wait()
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


class Room:
    """Consultations with an advisor."""

    def __init__(self, advisor: AdviceSource) -> None:
        self.clock, self.metrics = FakeClock(), EngineMetrics()
        self.woken: list[tuple[str, str]] = []
        self.told: list[Advised] = []
        self.consultations = Consultations(
            advisor, self.clock, self.metrics, self.woken.append, self._tell
        )

    def _tell(self, key: tuple[str, str], news: Advised) -> None:
        self.told.append(news)

    async def ask(self, *questions: Question) -> Consulted | None:
        for item in questions:
            before = len(self.woken)
            self.consultations.ask(KEY, [item])
            await until(self._is_woken(before))
        return self.consultations.of(KEY)

    def _is_woken(self, before: int) -> Callable[[], bool]:
        return lambda: len(self.woken) > before


PAUSE = Recommendation(action="Pause", confidence=0.9)


async def test_an_answer_wakes_its_rollout_and_is_told() -> None:
    room = Room(Scripted(PAUSE))
    found = await room.ask(question())
    assert found == Consulted(
        revision="hash",
        step=0,
        is_healthy=True,
        at=NOON,
        recommendation=PAUSE,
        answered_at=NOON,
    )
    assert room.woken == [KEY]
    assert [news.recommendation for news in room.told] == [PAUSE]
    assert samples(room.metrics, "kulta_advice") == {'kulta_advice_total{result="answered"}': 1.0}


async def test_one_question_at_a_time() -> None:
    advisor = Scripted(PAUSE, PAUSE)
    advisor.go.clear()
    room = Room(advisor)
    for _ in range(3):
        room.consultations.ask(KEY, [question()])
    room.consultations.ask(OTHER, [question()])
    advisor.go.set()
    await until(lambda: len(room.woken) == 2)
    assert len(advisor.asked) == 2


async def test_a_failure_stands_beside_the_last_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    down = TemporaryError("connection refused")
    room = Room(Scripted(PAUSE, down, down))
    await room.ask(question())
    room.clock.advance(30)
    found = await room.ask(question(), question())
    assert found is not None
    assert (found.error, found.recommendation, found.answered_at) == (
        "connection refused",
        PAUSE,
        NOON,
    )
    assert found.at > NOON
    assert len(room.told) == 1
    assert [item.message for item in caplog.records] == ["an advisor gives no advice"]
    assert samples(room.metrics, "kulta_advice")['kulta_advice_total{result="failed"}'] == 2.0


async def test_a_failure_at_another_step_has_no_answer_before_it() -> None:
    room = Room(Scripted(PAUSE, TemporaryError("connection refused")))
    found = await room.ask(question(), question(step=1))
    assert found is not None
    assert (found.step, found.recommendation, found.answered_at) == (1, None, None)


async def test_a_slow_advisor_delays_nobody() -> None:
    """[G9] Another Rollout has its answer at once."""
    slow = Mailbox(200, delay=10.0)
    quick = Mailbox(200, said=orjson.dumps(GO_ON))
    async with slow.open() as far, quick.open() as near, asking() as advisor:
        room = Room(advisor)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number in range(30):
            room.consultations.ask(("shop", f"slow-{number}"), [question(far)])
        room.consultations.ask(OTHER, [question(near)])
        await until(lambda: room.woken == [OTHER])
        assert loop.time() - started < 5
        await room.consultations.close()


async def test_who_is_gone_is_forgotten() -> None:
    room = Room(Scripted(PAUSE))
    await room.ask(question())
    room.consultations.forget(KEY)
    assert room.consultations.of(KEY) is None
