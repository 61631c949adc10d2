"""Whom a request lets go on in the very look that stops the run: nobody."""

from typing import Any

import pytest

from fleet.api.fleetrollout import WaveStatus
from fleet.hub.core.run import plan as plans
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.core.run.test_requests import waiting
from tests.hub.scene import FAILED, begun, did, observed


@pytest.mark.parametrize("verb", ["promote", "conclude"])
@pytest.mark.parametrize(
    ("policy", "failed", "given", "actions", "why"),
    [
        pytest.param(
            {}, [FAILED], {}, ["hold b"],
            "halted: a failed its analysis: error-rate 9 is not below 5",
            id="somebody has failed",
        ),
        pytest.param(
            {}, [], {"paused": True}, ["hold b"], "paused by deliveryPolicy.paused",
            id="the policy pauses it",
        ),
        pytest.param(
            {"on_failure": "Rollback"}, [FAILED], {}, ["start b"],
            "halted: 1 failed in wave all, its budget is 0: a: error-rate 9 is not below 5",
            id="it goes back",
        ),
    ],
)  # fmt: skip
def test_who_is_held_or_taken_back_is_not_asked(
    verb: str,
    policy: dict[str, Any],
    failed: list[Any],
    given: dict[str, Any],
    actions: list[str],
    why: str,
) -> None:
    run = begun(gen.run(gen.wave("all", "a", "b"), **policy))
    items = [*failed, waiting("b", awaits=verb, good=7)]
    seen = observed("a", "b", items=items, requests=(f"{verb}/7",), **given)
    answer = plans.next(run, seen, NOON)
    assert did(answer) == actions
    assert answer.status.handled == ("7",)
    told = [(entry.reason, entry.message) for entry in answer.status.history]
    assert ("RequestRefused", f"no engine is asked now: {why}") in told


@pytest.mark.parametrize("verb", ["promote", "conclude"])
def test_who_is_still_to_be_sent_home_is_not_asked_to_go_on(verb: str) -> None:
    run = begun(gen.run(gen.wave("all", "a", "b")), undo={"fleet": True})
    items = [waiting("a", awaits=verb, good=7), waiting("b", awaits=verb, good=7)]
    answer = plans.next(run, observed("a", "b", items=items, requests=(f"{verb}/7",)), NOON)
    assert "ask a" not in did(answer)
    assert "start b" in did(answer)
    told = [(entry.reason, entry.message) for entry in answer.status.history]
    assert ("RequestRefused", f"nothing to {verb}: nobody of these is on the way back yet") in told


def test_a_gate_of_a_run_that_goes_back_is_not_opened() -> None:
    gate = gen.wave("rest", "b", before=[{"paused": True}])
    waves = (WaveStatus(name="all", phase="Done", finished_at=NOON), WaveStatus(name="rest"))
    run = begun(gen.run(gen.wave("all", "a"), gate), *waves, undo={"fleet": True})
    seen = observed("a", "b", items=[gen.item("a", good=7)], requests=("promote/7/rest",))
    answer = plans.next(run, seen, NOON)
    assert [one.passes for one in answer.status.waves] == [(), ()]
