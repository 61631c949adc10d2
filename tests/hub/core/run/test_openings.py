"""Whom a request lets go on in the very look that stops the run: nobody."""

from typing import Any

import pytest

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
