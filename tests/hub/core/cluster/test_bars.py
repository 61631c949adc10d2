"""What failed before it had arrived: who goes on by itself, and who waits for a person."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api import ClusterRollout, conditions
from fleet.api.clusterrollout import LastGood
from fleet.api.fleetrollout import ClusterPhase, RunPhase
from fleet.hub.core.actions import LookUp
from fleet.hub.core.cluster import bars, dispatch
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.place import NEW, Objects, after, did, look, objects, settled

REFUSED = {"phase": ClusterPhase.FAILED, "reason": "Forbidden", "message": "no right"}
BARRED = {"phase": ClusterPhase.FAILED, "reason": "EngineTooOld", "observed_generation": 1}
TAKEN_AWAY = {"phase": ClusterPhase.CONFLICT, "reason": "ForeignObject", "observed_generation": 1}


def told(item: ClusterRollout, **status: Any) -> ClusterRollout:
    return item.model_copy(update={"status": item.status.model_copy(update=status)})


def wished(item: ClusterRollout, **want: Any) -> ClusterRollout:
    assert item.spec.want is not None
    wish = item.spec.want.model_copy(update=want)
    return item.model_copy(update={"spec": item.spec.model_copy(update={"want": wish})})


SENT = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
"""Its sequence is taken, and nothing has arrived."""


@pytest.mark.parametrize(
    ("item", "run", "goes"),
    [
        pytest.param(told(NEW, **BARRED), RunPhase.PROGRESSING, True, id="the run is under way"),
        pytest.param(told(NEW, **BARRED), RunPhase.SUCCEEDED_WITH_FAILURES, True,
                     id="the run was never stopped"),
        pytest.param(told(NEW, **BARRED), RunPhase.HALTED, False, id="after a halt"),
        pytest.param(told(NEW, **BARRED), RunPhase.PAUSED, False, id="in a pause"),
        pytest.param(told(NEW, **BARRED), RunPhase.ROLLED_BACK, False, id="after a rollback"),
        pytest.param(told(NEW, **TAKEN_AWAY), RunPhase.HALTED, False, id="a conflict that is over"),
        pytest.param(told(SENT, **REFUSED), RunPhase.HALTED, False, id="a write that was refused"),
        pytest.param(told(SENT, **REFUSED), RunPhase.PROGRESSING, True,
                     id="a write that was refused is sent again"),
        pytest.param(NEW, RunPhase.HALTED, True, id="what has not failed is held on its way"),
        pytest.param(told(NEW, **BARRED, last_good=LastGood(run="checkout-1")), RunPhase.ABORTED,
                     True, id="what ran well there comes back"),
        pytest.param(wished(told(NEW, **BARRED), undoes="checkout-2"), RunPhase.ABORTED, True,
                     id="who is sent back goes"),
        pytest.param(wished(told(SENT, **REFUSED, observed_generation=0), attempt=1),
                     RunPhase.HALTED, True, id="a retry is another wish"),
    ],
)  # fmt: skip
def test_who_starts_when_nothing_is_in_the_way(
    item: ClusterRollout, run: RunPhase, goes: bool
) -> None:
    plan = dispatch.decide(item, look(looked=True, run_phase=run), NOON)
    assert bool(plan.actions) is goes
    if not goes:
        assert plan.status.phase is item.status.phase
        assert plan.wake_at == NOON + bars.RECHECK, "the run may go on"
        reachable = conditions.find(plan.status.conditions, "Reachable")
        assert reachable is not None
        assert reachable.status == "True", "the member is not to blame"


@pytest.mark.parametrize(
    ("run", "message"),
    [
        pytest.param(RunPhase.HALTED, "what stood in the way is gone, but checkout-1 is Halted: "
                     "fleet retry checkout", id="a halted one has a way out"),
        pytest.param(RunPhase.PAUSED, "what stood in the way is gone, but checkout-1 is Paused",
                     id="the others go on by themselves or never"),
    ],
)  # fmt: skip
def test_who_does_not_start_says_why(run: RunPhase, message: str) -> None:
    plan = dispatch.decide(told(NEW, **BARRED), look(looked=True, run_phase=run), NOON)
    assert (plan.status.reason, plan.status.message) == (str(run), message)


@pytest.mark.parametrize(
    ("given", "reason", "wakes"),
    [
        pytest.param({"member": replace(gen.member("a"), fields=frozenset({"spec"}))},
                     "EngineTooOld", True, id="a CRD is not watched"),
        pytest.param({"rendered": ()}, "TemplateError", False, id="templates are"),
    ],
)  # fmt: skip
def test_what_is_in_the_way_is_looked_at_again(
    given: dict[str, Any], reason: str, wakes: bool
) -> None:
    plan = dispatch.decide(NEW, look(**given), NOON)
    assert (plan.status.reason, plan.wake_at) == (reason, NOON + bars.RECHECK if wakes else None)
    old = "the Rollout CRD of a does not know spec.replicas: run `fleet cluster add a` again, or "
    told = f"{old}leave that out" if wakes else "nothing is rendered for this cluster"
    assert plan.status.message == told
    assert plan.status.finished_at == NOON


def test_a_refusal_is_told_as_long_as_nobody_tries_again() -> None:
    plan = dispatch.decide(
        told(SENT, **REFUSED), look(looked=True, run_phase=RunPhase.HALTED), NOON
    )
    assert (plan.status.reason, plan.status.message) == ("Forbidden", "no right")


def test_what_has_arrived_is_followed_whatever_the_run_does() -> None:
    item = told(SENT, **REFUSED)
    plan = dispatch.decide(item, look(objects(), run_phase=RunPhase.HALTED), NOON)
    assert (plan.actions, plan.status.phase) == ((LookUp(),), "Failed")
    plan = dispatch.decide(item, look(objects(), looked=True, run_phase=RunPhase.HALTED), NOON)
    assert (plan.actions, plan.status.phase) == ((), "Progressing")


PRINTING: dict[str, Any] = {"rendered": (), "render_error": "being printed", "is_printing": True}
MOVING = told(settled(), phase=ClusterPhase.PROGRESSING)
ARRIVED = told(SENT, phase=ClusterPhase.APPLYING)


def stopped(item: ClusterRollout) -> ClusterRollout:
    return item.model_copy(update={"spec": item.spec.model_copy(update={"hold": "halted"})})


@pytest.mark.parametrize(
    ("item", "there", "writes", "phase"),
    [
        pytest.param(NEW, {}, [], "Pending", id="it has not begun: it waits"),
        pytest.param(SENT, {}, [], "Applying", id="nothing has arrived: it waits"),
        pytest.param(stopped(MOVING), objects(), ["HoldRollout"], "Progressing",
                     id="what is there is held"),
        pytest.param(stopped(ARRIVED), objects(), ["HoldRollout"], "Applying",
                     id="what is there without its Services is held"),
        pytest.param(MOVING, objects(phase="Completed"), [], "Succeeded",
                     id="its success is seen"),
        pytest.param(MOVING, objects(phase="Failed"), [], "Failed", id="its failure is seen"),
        pytest.param(ARRIVED, objects(phase="Completed"), [], "Applying",
                     id="without its Services it is no success, and no failure"),
        pytest.param(MOVING, {}, [], "Progressing", id="what is gone comes back later"),
    ],
)  # fmt: skip
def test_while_templates_are_printed(
    item: ClusterRollout, there: Objects, writes: list[str], phase: str
) -> None:
    plan = dispatch.decide(item, look(there, **PRINTING), NOON)
    assert (did(plan), plan.status.phase) == (writes, phase)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(PRINTING, id="templates are being printed"),
        pytest.param({"rendered": (), "render_error": "no Fleet"}, id="there is nothing to render"),
    ],
)
def test_a_hold_ends_without_manifests(given: dict[str, Any]) -> None:
    there = objects()
    there["rollouts", "checkout", "checkout"]["spec"]["hold"] = {"reason": "halted"}
    assert did(dispatch.decide(MOVING, look(there, **given), NOON)) == ["ReleaseRollout"]
