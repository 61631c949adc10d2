"""Advisors and hooks as real HTTP servers beside a real engine: what they may do, and that no
advisor is needed."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.ground.controlplane import ControlPlane
from e2e.ground.engine import Engine
from e2e.ground.mailbox import Mailbox
from e2e.ground.subject import Subject
from e2e.ground.waiting import until
from e2e.test_engine_outputs import occurrences, revision

STEPS = [{"setWeight": 50, "pause": {"duration": "2s"}}, {"setWeight": 100}]
SLOW = 60.0
"""Seconds until an answer that nobody waits for."""
BACK = {"action": "Rollback", "confidence": 0.95, "reasoning": "errors grow"}


@pytest.fixture(scope="module")
def running(kwok: ControlPlane) -> Iterator[Engine]:
    """An engine for all tests here."""
    with Engine(kwok, kwok.folder, name="advised") as started:
        yield started


def going(
    plane: ControlPlane, namespace: str, level: str, box: Mailbox, name: str = "web"
) -> Subject:
    """app:v2 is on its way, advised by whoever is behind that box."""
    names = {"stableService": name, "canaryService": f"{name}-canary"}
    web = Subject(
        plane=plane,
        namespace=namespace,
        name=name,
        strategy={"canary": {**names, "steps": STEPS}},
        spec={"advisor": {"level": level, "endpoint": box.url, "timeoutSeconds": 2}},
    )
    web.apply("app:v1")
    web.wait(phase="Completed")
    web.apply("app:v2")
    return web


def test_advice_is_recorded_and_the_rollout_goes_on(running: Engine, place: str) -> None:
    """[G4] Rollback, 95 % sure, at Advised."""
    with Mailbox(status=200, reply=BACK) as box:
        web = going(running.plane, place, "Advised", box)
        status = web.wait(phase="Completed", stablePodHash=revision(web, "app:v2"))
    assert status["advice"]["action"] == "Rollback"
    assert status["lastDecisionSource"] == "Threshold"
    assert len(box.letters) == 2, "one question for each step, since no step lasts an interval"
    assert box.letters[0]["rollout_name"] == "web"
    found = until(lambda: _advice(running, place), "it is told", within=10)
    assert found["data"]["advisor"]["threshold_prevails"] is True


def test_a_driven_rollout_is_taken_back_by_advice(running: Engine, place: str) -> None:
    with Mailbox(status=200, reply=BACK) as box:
        web = going(running.plane, place, "Driven", box)
        web.wait(phase="Failed", stablePodHash=revision(web, "app:v1"))
    (back,) = web.decided("Rollback")
    assert back["reason"] == "AdvisorRollback"
    assert "errors grow" in back["message"]


@pytest.mark.parametrize("level", ["Advised", "Planned", "Driven"])
def test_an_advisor_that_is_too_slow_changes_nothing(
    running: Engine, place: str, level: str
) -> None:
    """[G6, G9] Neither here nor for a neighbour: both are done before it has answered once."""
    with Mailbox(status=200, reply=BACK, delay=SLOW) as box:
        web = going(running.plane, place, level, box)
        started = time.monotonic()
        other = Subject(plane=running.plane, namespace=place, name="other", strategy={"simple": {}})
        other.apply("app:v1")
        other.wait(phase="Completed", within=10)
        web.wait(phase="Completed", stablePodHash=revision(web, "app:v2"))
        assert time.monotonic() - started < SLOW
    assert [item["reason"] for item in web.decided("Rollback")] == []


def test_a_held_step_waits_for_a_person(running: Engine, place: str) -> None:
    with Mailbox(status=200, reply={**BACK, "action": "Pause"}) as box:
        web = going(running.plane, place, "Planned", box)
        held = until(lambda: _held(web), "it is held", within=20)
        assert "errors grow" in held["message"]
        box.reply = {**BACK, "action": "Continue"}
        web.request("promote")
        web.wait(phase="Completed", stablePodHash=revision(web, "app:v2"))
    assert [item["reason"] for item in web.decided("Promotion")] == ["ManualPromotion"]


def test_a_hook_holds_a_step_and_another_is_told_of_the_end(running: Engine, place: str) -> None:
    with Mailbox(status=409) as gate, Mailbox(status=204) as chat:
        names = {"stableService": "web", "canaryService": "web-canary"}
        web = Subject(
            plane=running.plane,
            namespace=place,
            name="web",
            strategy={"canary": {**names, "steps": [{"setWeight": 50, "hooks": ["gate"]}]}},
            spec={
                "hooks": [
                    {"name": "gate", "url": gate.url},
                    {"name": "chat", "type": "post-rollout", "url": chat.url},
                ]
            },
        )
        web.apply("app:v1")
        web.wait(phase="Completed")
        web.apply("app:v2")
        found = until(lambda: _refused(web), "the step is held", within=20)
        assert "hook gate says no" in found["message"]
        web.request("promote")
        web.wait(phase="Completed", stablePodHash=revision(web, "app:v2"))
        until(lambda: len(chat.letters) == 2, "both ends are told", within=20)
    assert {(item["type"], item["weight"]) for item in gate.letters} == {("step", 50)}
    assert [item["action"] for item in chat.letters] == ["Complete", "Complete"]


def _refused(web: Subject) -> dict[str, Any]:
    found = web.condition("Progressing")
    return found if found.get("reason") == "HookRefused" else {}


def _held(web: Subject) -> dict[str, Any]:
    found = web.condition("Paused")
    return found if found.get("reason") == "AdvisorPause" else {}


def _advice(running: Engine, namespace: str) -> dict[str, Any]:
    found = (item for item in occurrences(running) if item["context"]["namespace"] == namespace)
    return next((x for x in found if x["type"] == "canary.advisor.recommendation"), {})
