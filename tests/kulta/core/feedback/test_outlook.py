"""What a Rollout waits for, from the object alone: its conditions and clocks."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from fleet.api import conditions
from fleet.api.experiment import ExperimentStatus
from fleet.api.rollout import Phase, RolloutStatus
from fleet.errors import UserError
from fleet.kulta.core.feedback import outlook
from fleet.kulta.core.wait import Wait
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


def paused(**more: Any) -> dict[str, Any]:
    return {"phase": Phase.PAUSED, "current_step_index": 0, "pause_start_time": BEGAN, **more}


@pytest.mark.parametrize(
    ("spec", "status", "wait"),
    [
        pytest.param(
            {},
            says("InvalidSpec", True, "InvalidSpec", "steps: are missing"),
            Wait(reason="InvalidSpec", message="steps: are missing"),
            id="what is wrong with the spec",
        ),
        pytest.param(
            {},
            {"observed_generation": 0},
            Wait(
                reason="EngineUnknown",
                message="the engine has not looked at the present spec yet; is it running?",
            ),
            id="nobody has looked",
        ),
        pytest.param(
            {},
            says("WorkloadReady", False, "WorkloadPending", "no such Deployment"),
            Wait(reason="WorkloadPending", message="no such Deployment"),
            id="what the Deployment lacks",
        ),
        pytest.param(
            {"strategy": gen.canary((20, "5m"), 100)},
            paused(current_weight=20),
            Wait(
                reason="StepPaused",
                message="paused at 20% for 5m",
                until=BEGAN + timedelta(minutes=5),
            ),
            id="the pause of a step",
        ),
        pytest.param(
            {"strategy": gen.canary((20, "30s"), 100)},
            paused() | says("Paused", True, "StepPaused", "paused at 20%"),
            Wait(reason="StepPaused", message="paused at 20%", until=BEGAN + timedelta(seconds=30)),
            id="a pause that the engine has yet to end",
        ),
        pytest.param(
            {"strategy": gen.canary(20, 100)},
            paused(current_step_index=2) | says("Paused", True, "UserPaused", "was paused"),
            Wait(reason="UserPaused", message="was paused"),
            id="a pause behind the last step",
        ),
        pytest.param(
            {"strategy": gen.blue_green(after=600)},
            {"phase": Phase.PREVIEW, "pause_start_time": BEGAN}
            | says("Progressing", True, "AwaitingPromotion"),
            Wait(
                reason="AwaitingPromotion",
                message="awaiting promotion, which comes by itself after 600 seconds",
                until=BEGAN + timedelta(minutes=10),
            ),
            id="the gate of a preview",
        ),
        pytest.param(
            {"strategy": gen.blue_green(after=600)},
            {"phase": Phase.PREVIEW} | says("Progressing", True, "HookRefused", "not yet"),
            Wait(reason="HookRefused", message="not yet"),
            id="a preview that waits for something else",
        ),
        pytest.param(
            {"strategy": gen.blue_green()},
            says("Progressing", True, "AwaitingPromotion", "said of the preview"),
            Wait(reason="AwaitingPromotion", message="said of the preview"),
            id="a preview that is over",
        ),
        pytest.param(
            {"strategy": gen.blue_green(), "scaleDownDelay": "5m"},
            {"phase": Phase.COMPLETED, "previous_pod_hash": "abc", "promoted_at": BEGAN},
            Wait(
                reason="Completed",
                message="the pods of revision abc stay for a while",
                until=BEGAN + timedelta(minutes=5),
            ),
            id="pods that stay for a while",
        ),
        pytest.param(
            {"strategy": gen.blue_green(), "scaleDownDelay": "59s"},
            {"phase": Phase.COMPLETED, "previous_pod_hash": "abc", "promoted_at": BEGAN},
            None,
            id="pods that have stayed",
        ),
        pytest.param(
            {"strategy": gen.canary(20, 100)},
            {"current_step_index": 0, "current_pod_hash": "abc"}
            | says("Progressing", True, "PodsPending", "step 1 of 2: 20% for revision abc: none"),
            Wait(reason="PodsPending", message="none"),
            id="the obstacle alone, without what is being done",
        ),
    ],
)
def test_what_is_said_of_it(
    spec: dict[str, Any], status: dict[str, Any], wait: Wait | None
) -> None:
    given = {"phase": Phase.PROGRESSING, "observed_generation": 1, **status}
    rollout = gen.rollout(**spec).model_copy(update={"status": RolloutStatus(**given)})
    assert outlook.waiting(rollout, NOON) == wait


@pytest.mark.parametrize(
    ("phase", "seconds", "due"),
    [
        pytest.param(Phase.PROGRESSING, 60, BEGAN + timedelta(seconds=61), id="its clock counts"),
        pytest.param(Phase.PAUSED, 60, None, id="no clock counts in a pause"),
        pytest.param(Phase.PROGRESSING, 0, None, id="there is no deadline"),
    ],
)
def test_deadline(phase: Phase, seconds: int, due: datetime | None) -> None:
    status = RolloutStatus(phase=phase, progress_started_at=BEGAN)
    rollout = gen.rollout(progressDeadlineSeconds=seconds)
    assert outlook.deadline(rollout.model_copy(update={"status": status})) == due
