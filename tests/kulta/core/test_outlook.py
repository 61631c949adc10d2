"""What a Rollout waits for, from the object alone: its conditions and clocks."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from fleet.api import conditions
from fleet.api.experiment import ExperimentStatus
from fleet.api.rollout import Phase, RolloutStatus
from fleet.errors import UserError
from fleet.kulta.core import outlook
from tests import gen
from tests.conftest import NOON

BEGAN = NOON - timedelta(minutes=1)
ARMS = gen.ab_testing(analysis=gen.ab_analysis())


def says(type_: str, value: bool, reason: str, message: str = "why") -> dict[str, Any]:
    """A status with that condition, of a revision on its way."""
    found = conditions.condition(type_, value, reason, message)
    return {"conditions": conditions.updated((), (found,), NOON, 1)}


@pytest.mark.parametrize(
    ("spec", "status", "reason", "until"),
    [
        pytest.param({}, {}, "", None, id="nothing at all"),
        pytest.param(
            {},
            says("InvalidSpec", True, "InvalidSpec", "steps: are missing"),
            "InvalidSpec",
            None,
            id="a person: the spec breaks a rule",
        ),
        pytest.param(
            {},
            {"observed_generation": 0},
            "EngineUnknown",
            None,
            id="the engine: it has not looked",
        ),
        pytest.param({"paused": True}, {}, "UserPaused", None, id="a person: it is paused"),
        pytest.param(
            {"hooks": [{"name": "gate", "type": "confirm-rollout", "url": "http://gate:80/"}]},
            {},
            "",
            None,
            id="nothing: whether a hook was asked only the engine knows",
        ),
        pytest.param(
            {"hooks": [{"name": "gate", "type": "confirm-rollout", "url": "http://gate:80/"}]},
            says("Paused", True, "HookRefused"),
            "HookRefused",
            None,
            id="a hook: it says no",
        ),
        pytest.param(
            {},
            says("TrafficReady", False, "RouteNotFound"),
            "RouteNotFound",
            None,
            id="a person: there is no route",
        ),
        pytest.param({}, says("Progressing", True, "NewRevision"), "", None, id="no obstacle"),
        pytest.param(
            {"strategy": gen.canary(20, 50, analysis=gen.analysis(warmupDuration="5m"))},
            says("Progressing", True, "WarmingUp"),
            "WarmingUp",
            BEGAN + timedelta(minutes=5),
            id="a clock: the warm-up",
        ),
        pytest.param(
            {"strategy": ARMS | {"abTesting": {**ARMS["abTesting"], "maxDuration": "1h"}}},
            says("Progressing", True, "Experimenting"),
            "Experimenting",
            BEGAN + timedelta(hours=1),
            id="a clock: the longest time of an experiment",
        ),
        pytest.param(
            {"strategy": {"abTesting": {**ARMS["abTesting"], "maxDuration": None}}},
            says("Progressing", True, "Experimenting"),
            "Experimenting",
            None,
            id="numbers: an experiment without a longest time",
        ),
    ],
)
def test_what_is_awaited(
    spec: dict[str, Any], status: dict[str, Any], reason: str, until: datetime | None
) -> None:
    given = {
        "phase": Phase.PROGRESSING,
        "observed_generation": 1,
        "step_start_time": BEGAN,
        "ab_experiment": ExperimentStatus(started_at=BEGAN),
        **status,
    }
    rollout = gen.rollout(**spec).model_copy(update={"status": RolloutStatus(**given)})
    found = outlook.waiting(rollout, NOON)
    assert (found.reason if found else "", found.until if found else None) == (reason, until)


def test_a_spec_that_breaks_rules_has_no_state_of_decision() -> None:
    with pytest.raises(UserError, match="150") as error:
        outlook.draft_of(gen.rollout(strategy=gen.canary(150)), NOON)
    assert error.value.reason == "InvalidSpec"
