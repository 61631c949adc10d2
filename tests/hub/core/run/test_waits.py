"""The gates before and after a wave: what each asks, what it says, until when, what opens it.

How requests open gates is in `test_requests`, the way of whole
runs in tests/stories.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.api.fleetrollout import Pass, RunPhase, WaveStatus
from fleet.api.waves import KINDS, Gate
from fleet.hub.core.actions import AskHook
from fleet.hub.core.observed import HookAnswer
from fleet.hub.core.run import plan, waits
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.scene import DONE, MINUTE, begun, did, observed

HOUR = 60 * MINUTE
DIGEST = "d1gest"
APPROVAL = {"approval": {"expiresAfter": "2h"}}
WINDOW = {"schedule": {"cron": "0 14 * * *", "duration": "1h"}}
HOOK = {"hook": {"url": "https://gate.example.com/ok?key=x", "timeout": "5s"}}
PAUSED = {"paused": True}


def gates(*given: dict[str, Any]) -> tuple[Gate, ...]:
    return tuple(Gate.model_validate(one) for one in given)


def side(*given: dict[str, Any], after: bool = False, **seen: Any) -> waits.Side:
    name = waits.AFTER if after else waits.BEFORE
    answer = seen.pop("answer", None)
    return waits.Side(
        wave=gen.wave("eu", "a", **{name: gates(*given)}),
        status=WaveStatus(name="eu", **seen),
        name=name,
        digest=DIGEST,
        answers={"eu/before[0]": answer} if answer else {},
    )


def said(yes: bool, seconds: int, message: str = "it answered 403: not yet") -> HookAnswer:
    return HookAnswer(yes=yes, message=message, at=NOON - timedelta(seconds=seconds))


def yes(hours: float, by: str = "jane") -> dict[str, Any]:
    return {"passes": (Pass(gate="before[0]", by=by, time=NOON - hours * HOUR),)}


@pytest.mark.parametrize(
    ("asked", "reason", "message", "until"),
    [
        pytest.param(
            side(APPROVAL), "AwaitingApproval",
            "wave eu waits for an approval: write the request approve/<id>/eu:d1gest", None,
            id="an approval names wave and plan",
        ),
        pytest.param(
            side(APPROVAL, after=True), "AwaitingApproval",
            "wave eu is done and waits for an approval: write the request "
            "approve/<id>/eu:d1gest", None,
            id="after the wave too",
        ),
        pytest.param(side(APPROVAL, **yes(1)), "", "", None, id="a yes opens it"),
        pytest.param(
            side(APPROVAL, **yes(2)), "AwaitingApproval",
            "wave eu waits for an approval; that of jane expired at 12:00:00Z: write the request "
            "approve/<id>/eu:d1gest", None,
            id="[MT-11] an old yes counts no more, and since when is said",
        ),
        pytest.param(
            side(WINDOW), "OutsideWindow",
            "wave eu waits for its window, which opens at Fri 2026-11-20 14:00Z",
            NOON + 2 * HOUR,
            id="outside the window",
        ),
        pytest.param(
            replace(side(WINDOW), drift=2 * HOUR), "", "", None,
            id="[MT-19] the clock on the wall was put right: its window is open",
        ),
        pytest.param(
            replace(side(WINDOW), drift=-HOUR), "OutsideWindow",
            "wave eu waits for its window, which opens at Fri 2026-11-20 14:00Z",
            NOON + 3 * HOUR,
            id="[MT-19] put back by an hour: three hours are left, it opens at the same time",
        ),
        pytest.param(
            side({"schedule": {"cron": "0 11 * * *", "duration": "2h"}}), "", "", None,
            id="inside the window",
        ),
        pytest.param(
            side({"schedule": {"cron": "0 13 * * *", "duration": "1h",
                               "timeZone": "Europe/Berlin"}}), "", "", None,
            id="one in Berlin is noon in winter",
        ),
        pytest.param(
            side(HOOK), "AwaitingHook", "wave eu waits for gate.example.com: has not answered yet",
            None, id="a hook that has not answered",
        ),
        pytest.param(
            side(HOOK, answer=said(False, 10)), "AwaitingHook",
            "wave eu waits for gate.example.com: it answered 403: not yet", None,
            id="a hook that says no",
        ),
        pytest.param(side(HOOK, answer=said(True, 10)), "", "", None, id="a hook that says yes"),
        pytest.param(
            side(HOOK, answer=said(True, 30)), "AwaitingHook",
            "wave eu waits for gate.example.com: has not answered yet", None,
            id="a yes of half a minute ago is asked for again",
        ),
        pytest.param(
            side(PAUSED), "AwaitingPromotion",
            "wave eu waits for a person: write the request promote/<id>/eu", None,
            id="a manual pause",
        ),
        pytest.param(side(PAUSED, **yes(48)), "", "", None, id="a promotion does not expire"),
        pytest.param(
            side(PAUSED, WINDOW, **yes(1)), "OutsideWindow",
            "wave eu waits for its window, which opens at Fri 2026-11-20 14:00Z",
            NOON + 2 * HOUR,
            id="all gates have to be open; the first that is closed speaks",
        ),
    ],
)  # fmt: skip
def test_gates(asked: waits.Side, reason: str, message: str, until: object) -> None:
    stop = waits.first(asked, NOON)
    found = (stop.reason, stop.message, stop.until) if stop else ("", "", None)
    assert found == (reason, message, until)
    assert stop is None or stop.unblock
    assert reason != "OutsideWindow" or (stop and stop.unblock) == "its next window"


def test_every_kind_of_gate_has_its_question() -> None:
    assert {*waits.ASK, "soak"} == set(KINDS)


@pytest.mark.parametrize(
    ("asked", "hooks"),
    [
        pytest.param(side(HOOK), ["before[0]"], id="at first"),
        pytest.param(side(HOOK, answer=said(False, 29)), [], id="not again at once"),
        pytest.param(side(HOOK, answer=said(False, 30)), ["before[0]"], id="after half a minute"),
        pytest.param(side(HOOK, answer=said(True, 10)), [], id="not after a fresh yes"),
        pytest.param(side(PAUSED, HOOK), [], id="not before its turn"),
        pytest.param(side(PAUSED, HOOK, **yes(1)), ["before[1]"], id="when the one before is open"),
    ],
)
def test_who_is_asked(asked: waits.Side, hooks: list[str]) -> None:
    found = list(waits.asks(asked, NOON))
    assert [one.gate for one in found] == hooks
    for one in found:
        assert one == AskHook(
            wave="eu", gate=one.gate, url="https://gate.example.com/ok?key=x", seconds=5
        )


OPEN = {"schedule": {"cron": "0 11 * * *", "duration": "2h"}}


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        pytest.param(side(APPROVAL), None, id="a person has no time"),
        pytest.param(side(WINDOW), NOON + 2 * HOUR, id="when its window opens"),
        pytest.param(replace(side(WINDOW), drift=HOUR), NOON + HOUR,
                     id="by a clock that is ahead, an hour earlier"),
        pytest.param(side(OPEN, APPROVAL), NOON + HOUR,
                     id="when the window closes that is open, and the person comes too late"),
        pytest.param(replace(side(OPEN, PAUSED), drift=HOUR / 2), NOON + HOUR / 2,
                     id="by a clock that is ahead, half an hour earlier"),
        pytest.param(side(APPROVAL, PAUSED, **yes(1)), NOON + HOUR, id="when a yes expires"),
        pytest.param(side(HOOK, answer=said(False, 10)), NOON + MINUTE / 3,
                     id="when a hook is asked again"),
        pytest.param(side(HOOK, answer=said(False, 30)), None, id="not when that is due"),
    ],
)  # fmt: skip
def test_when_gates_are_looked_at_again(asked: waits.Side, due: object) -> None:
    assert waits.due(asked, NOON) == due


# --- in a run -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "phase"),
    [
        pytest.param(APPROVAL, RunPhase.AWAITING_APPROVAL, id="approval"),
        pytest.param(WINDOW, RunPhase.OUTSIDE_WINDOW, id="schedule"),
        pytest.param(HOOK, RunPhase.PROGRESSING, id="hook"),
        pytest.param(PAUSED, RunPhase.PAUSED, id="paused"),
    ],
)
def test_a_closed_gate_starts_nothing_and_says_so(gate: dict[str, Any], phase: RunPhase) -> None:
    run = gen.run(gen.wave("eu", "a", before=gates(gate)))
    first = plan.next(run, observed("a"), NOON)
    assert (did(first), first.status.phase, first.status.since) == ([], phase, NOON)
    assert first.status.unblock
    assert first.status.waves[0].waiting_since == NOON
    assert first.status.waves[0].started_at is None
    assert first.status.plan_digest in first.status.message or "approval" not in gate
    run = run.model_copy(update={"status": first.status})
    again = plan.next(run, observed("a"), NOON + MINUTE)
    assert again.status == first.status, "a wait is not written again and again"


def test_a_gate_after_a_wave_keeps_the_next_one() -> None:
    waves = (gen.wave("one", "a", after=gates(PAUSED)), gen.wave("two", "b"))
    run, world = gen.run(*waves), observed("a", "b", items=[gen.item("a", DONE)])
    answer = plan.next(run, world, NOON)
    assert (did(answer), answer.status.phase) == ([], RunPhase.PAUSED)
    assert answer.status.waves[0].phase == "Waiting"
    run = run.model_copy(update={"status": answer.status})
    asked = observed("a", "b", items=[gen.item("a", DONE)], requests=("promote/1/one",))
    assert did(plan.next(run, asked, NOON)) == ["start b"]


@pytest.mark.parametrize("where", ["before", "after"])
def test_an_empty_wave_waits_for_no_gate(where: str) -> None:
    """[MT-22] There is nothing to approve."""
    run = gen.run(gen.wave("one", **{where: gates(APPROVAL)}), gen.wave("two", "b"))
    assert did(plan.next(run, observed("b"), NOON)) == ["start b"]


def test_a_window_that_closes_lets_nobody_else_start() -> None:
    """Who is in flight goes on; the run says when the window opens again."""
    window = gates({"schedule": {"cron": "0 11 * * *", "duration": "1h"}})
    run = begun(gen.run(gen.wave("eu", "a", "b", before=window)))
    busy = plan.next(run, observed("a", "b", items=[gen.item("a")]), NOON)
    assert (did(busy), busy.status.phase) == ([], RunPhase.PROGRESSING)
    rest = plan.next(run, observed("a", "b", items=[gen.item("a", DONE)]), NOON)
    assert (did(rest), rest.status.phase) == ([], RunPhase.OUTSIDE_WINDOW)
    assert rest.recheck_at == rest.status.until == NOON + 23 * HOUR
    run = run.model_copy(update={"status": rest.status})
    later = plan.next(run, observed("a", "b", items=[gen.item("a", DONE)]), NOON + 23 * HOUR)
    assert did(later) == ["start b"]


def test_a_hook_is_asked_and_its_answer_lets_the_wave_begin() -> None:
    run = gen.run(gen.wave("eu", "a", before=gates(HOOK)))
    first = plan.next(run, observed("a"), NOON)
    assert [one.gate for one in first.asks] == ["before[0]"]
    run = run.model_copy(update={"status": first.status})
    no = observed("a", hooks={"eu/before[0]": said(False, 0)})
    second = plan.next(run, no, NOON)
    assert (did(second), second.asks) == ([], ())
    assert second.recheck_at == NOON + MINUTE / 2
    answered = observed("a", hooks={"eu/before[0]": said(True, 0)})
    assert did(plan.next(run, answered, NOON)) == ["start a"]


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param({"isolated": True}, id="the hub suspects itself"),
        pytest.param({"paused": True}, id="a pause"),
    ],
)
def test_what_stops_the_run_comes_first(stop: dict[str, Any]) -> None:
    run = gen.run(gen.wave("eu", "a", before=gates(HOOK)))
    answer = plan.next(run, observed("a", **stop), NOON)
    assert (answer.asks, answer.status.waves[0].waiting_since) == ((), None)
