"""The whole status of an Application, and the inputs of the run that it begins."""

from typing import Any

import pytest

from fleet.api import Application, FleetRollout
from fleet.api.fleetrollout import FleetRolloutStatus, RunPhase
from fleet.api.names import REQUEST_ANNOTATION
from fleet.hub.core.actions import ApplicationPlan
from fleet.hub.core.application import decision, occasion
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.core.application.test_decision import created, look, ran, standing

ASIDE = "; an undo has put aside what is asked for here, until it is changed"


def application(image: str = "shop:v1", **policy: Any) -> Application:
    """Its third writing, with a request that a run before has answered."""
    found = gen.application(image, generation=3, **policy)
    meta = found.metadata.model_copy(update={"annotations": {REQUEST_ANNOTATION: "undo/7"}})
    return found.model_copy(update={"metadata": meta})


def told(answer: ApplicationPlan) -> dict[str, Any]:
    """All that is not at its default, with conditions in one line each."""
    body = answer.status.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for one in body["conditions"]:
        assert one["lastTransitionTime"] == "2026-11-20T12:00:00Z"
        assert one["observedGeneration"] == 3
    said = [
        f"{one['type']} {one['status']} {one['reason']}: {one.get('message', '')}"
        for one in body["conditions"]
    ]
    return body | {"conditions": said}


def status(phase: str, clusters: str, message: str, reason: str, **given: Any) -> dict[str, Any]:
    good = phase == "Ready"
    return {
        "phase": phase,
        "observedGeneration": 3,
        "run": "checkout-1",
        "runs": 1,
        "clusters": clusters,
        "message": message,
        "conditions": ["Accepted True Accepted: ", f"Ready {good} {reason}: {message}"],
        **given,
    }


def standing_at(phase: RunPhase | None, **spec: Any) -> FleetRollout:
    """The Application's run, which stands there."""
    run = ran(application(), look("a", "b"))
    found = FleetRolloutStatus(phase=phase, reason="Told", message="told")
    found = FleetRolloutStatus() if phase is None else found
    spec_ = run.spec.model_copy(update=spec)
    return run.model_copy(update={"status": found, "spec": spec_})


def test_the_first_run() -> None:
    answer = decision.decide(application(), look("a", "b"), NOON)
    run = created(answer)
    revision = run.spec.revision
    assert told(answer) == status(
        "Progressing", "0/2", "run checkout-1 begins", "Progressing", revision=revision
    )
    body = run.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    del body["application"]["spec"], body["plan"]
    assert body == {
        "application": {"name": "checkout", "uid": "app-1", "generation": 3},
        "number": 1,
        "revision": revision,
        "requestSeen": "7",
    }


@pytest.mark.parametrize(
    ("run", "clusters", "expected"),
    [
        pytest.param(
            standing_at(None), "", status("Progressing", "0/2", "run checkout-1: begins",
                                          "Progressing"), id="before its run is looked at",
        ),
        pytest.param(
            standing_at(RunPhase.PROGRESSING), "a",
            status("Progressing", "1/2", "run checkout-1: told", "Told"), id="on its way",
        ),
        pytest.param(
            standing_at(RunPhase.SUCCEEDED), "ab",
            status("Ready", "2/2", "run checkout-1: told", "Told"), id="done",
        ),
        pytest.param(
            standing_at(RunPhase.SUCCEEDED, instead_of="x"), "ab",
            status("Ready", "2/2", f"run checkout-1: told{ASIDE}", "Told"), id="put aside",
        ),
    ],
)  # fmt: skip
def test_an_application(run: FleetRollout, clusters: str, expected: dict[str, Any]) -> None:
    observed = look("a", "b", runs=(run,), clusters=standing(run, *clusters))
    answer = decision.decide(application(), observed, NOON)
    assert answer.actions == ()
    assert told(answer) == {**expected, "revision": run.spec.revision}


def test_an_undo_of_a_run_that_is_gone() -> None:
    run = standing_at(RunPhase.SUCCEEDED)
    gone = run.model_copy(
        update={"status": run.status.model_copy(update={"undo_to": "checkout-0"})}
    )
    message = "undo: run checkout-0 is gone: ask with undo/<id>/<run> for another"
    answer = decision.decide(application(), look("a", "b", runs=(gone,)), NOON)
    assert answer.actions == ()
    assert told(answer) == {
        "phase": "Degraded",
        "observedGeneration": 3,
        "runs": 1,
        "message": message,
        "conditions": [f"Accepted False Refused: {message}", f"Ready False Refused: {message}"],
    }


@pytest.mark.parametrize(
    ("made", "is_past"),
    [
        pytest.param({}, False, id="of the same writing"),
        pytest.param({"generation": 2}, False, id="of an earlier one"),
        pytest.param({"generation": 4}, True, id="of a later one, which we have not seen yet"),
        pytest.param({"generation": 4, "uid": "app-0"}, False, id="of another of its name"),
    ],
)
def test_what_is_seen_of_an_application_may_be_old(made: dict[str, Any], is_past: bool) -> None:
    run = standing_at(None)
    snapshot = run.spec.application.model_copy(update=made)
    later = run.model_copy(update={"spec": run.spec.model_copy(update={"application": snapshot})})
    assert occasion.is_past(application(), [run, later]) is is_past
    assert not occasion.is_past(application(), [])


def test_templates_that_do_not_render_are_counted() -> None:
    errors = {"a": "cluster a: bad", "b": "cluster b: bad", "c": "cluster c: bad"}
    answer = decision.decide(application(), look("a", "b", "c", render_errors=errors), NOON)
    assert answer.status.message == "cluster a: bad (and 2 more clusters)"


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        pytest.param(RunPhase.HALTED, "told", id="a run that is halted"),
        pytest.param(None, "begins", id="a run that has just been made"),
    ],
)
def test_a_new_revision_in_the_queue(phase: RunPhase | None, said: str) -> None:
    run = standing_at(phase)
    new = application("shop:v2", onNewRevision="Queue")
    answer = decision.decide(new, look("a", "b", runs=(run,), clusters=standing(run, "a")), NOON)
    found = told(answer)
    message = (
        f"revision {found['revision']} waits for the end of run checkout-1 ({said}): "
        "deliveryPolicy.onNewRevision is Queue"
    )
    wanted = status("Progressing" if phase is None else "Degraded", "0/2", message, "Queued")
    assert (answer.actions, found) == ((), {**wanted, "revision": found["revision"]})
    assert found["revision"] != run.spec.revision
