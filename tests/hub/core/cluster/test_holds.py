"""Holds that somebody else wrote, and what may be let go."""

from typing import Any

import pytest

from fleet.api import ClusterRollout
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import HOLD_MANAGER
from fleet.hub.core.actions import ReleaseRollout
from fleet.hub.core.cluster import dispatch
from tests.conftest import NOON
from tests.hub.place import Objects, did, look, objects, settled

RELEASE = ReleaseRollout(namespace="checkout", name="checkout", version="7")


def held(*managers: str, **status: Any) -> Objects:
    """A Rollout that these hold."""
    there = objects(**status)
    rollout = there["rollouts", "checkout", "checkout"]
    rollout["spec"]["hold"] = {"reason": "by hand", "sequence": 1}
    rollout["metadata"]["managedFields"] = [
        {"manager": "kulta-fleet", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        *({"manager": name, "fieldsV1": {"f:spec": {"f:hold": {}}}} for name in managers),
    ]
    return there


def moving() -> ClusterRollout:
    """A ClusterRollout in the midst of its steps."""
    item = settled()
    status = item.status.model_copy(update={"phase": ClusterPhase.PROGRESSING})
    return item.model_copy(update={"status": status})


def test_somebody_elses_hold_is_reported_with_its_owner() -> None:
    plan = dispatch.decide(moving(), look(held("kubectl-edit")), NOON)
    assert plan.actions == ()
    assert (plan.status.phase, plan.status.reason) == (ClusterPhase.CONFLICT, "Conflict")
    assert plan.status.message == (
        "kubectl-edit holds the Rollout (by hand): take spec.hold away in the member, or set "
        "deliveryPolicy.onConflict: Force"
    )
    assert plan.status.engine.phase == "Progressing"


@pytest.mark.parametrize(
    ("managers", "force"),
    [
        pytest.param((HOLD_MANAGER,), False, id="the hub's own"),
        pytest.param((HOLD_MANAGER, "kubectl-edit"), False, id="the hub's, touched by somebody"),
        pytest.param((), False, id="nobody says whose it is"),
        pytest.param(("kubectl-edit",), True, id="somebody's, by force"),
    ],
)
def test_a_hold_without_a_wish_is_taken_away(managers: tuple[str, ...], force: bool) -> None:
    plan = dispatch.decide(moving(), look(held(*managers), force=force), NOON)
    assert plan.actions == (RELEASE,)


@pytest.mark.parametrize("phase", ["Completed", "Failed"])
def test_at_the_end_a_hold_harms_nobody(phase: str) -> None:
    plan = dispatch.decide(moving(), look(held("kubectl-edit", phase=phase)), NOON)
    assert (plan.actions, plan.status.reason == "Conflict") == ((), False)


def test_a_hold_of_ours_takes_over_somebody_elses() -> None:
    item = moving()
    item = item.model_copy(update={"spec": item.spec.model_copy(update={"hold": "halted"})})
    plan = dispatch.decide(item, look(held("kubectl-edit")), NOON)
    assert (did(plan), plan.fence) == (["HoldRollout"], True)


def test_a_new_wish_arrives_before_its_hold_is_let_go() -> None:
    item = moving()
    want = item.spec.want
    assert want is not None
    want = want.model_copy(update={"attempt": 1})
    item = item.model_copy(update={"spec": item.spec.model_copy(update={"want": want})})
    plan = dispatch.decide(item, look(held(HOLD_MANAGER)), NOON)
    assert did(plan) == ["ApplyRollout"]
