"""Taking away: order, what is spared, who is waited for, and what is left behind."""

from datetime import timedelta

import pytest

from fleet.api import ClusterRollout
from fleet.hub.core import dispatch
from fleet.hub.core.actions import DispatchPlan
from fleet.hub.core.observed import DispatchObserved, Member
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.place import NEW, after, did, look, objects, settled


def going(item: ClusterRollout) -> ClusterRollout:
    meta = item.metadata.model_copy(update={"deletion_timestamp": NOON})
    return item.model_copy(update={"metadata": meta})


def names(plan: DispatchPlan) -> list[str]:
    return [f"{action.resource.kind} {action.name}" for action in plan.actions]  # type: ignore[union-attr]


def test_the_rollout_goes_first_alone() -> None:
    plan = dispatch.decide(going(settled()), look(objects()), NOON)
    assert names(plan) == ["Rollout checkout"]
    assert plan.finalizer is None
    assert plan.status.message == "waiting for the engine to let go of its Rollout"


def test_a_rollout_that_is_going_already_is_waited_for() -> None:
    there = objects()
    there["rollouts", "checkout", "checkout"]["metadata"]["deletionTimestamp"] = (
        "2026-11-20T12:00:00Z"
    )
    assert dispatch.decide(going(settled()), look(there), NOON).actions == ()


def test_the_rest_follows_in_reverse_order_and_then_the_finalizer_goes() -> None:
    there = objects()
    del there["rollouts", "checkout", "checkout"]
    assert did(dispatch.decide(going(settled()), look(there), NOON)) == ["LookUp"]
    plan = dispatch.decide(going(settled()), look(there, looked=True), NOON)
    assert names(plan) == [
        "HTTPRoute checkout",
        "Service checkout-canary",
        "Service checkout",
    ]
    assert dispatch.decide(going(settled()), look({}, looked=True), NOON).finalizer is False


def test_what_became_somebody_elses_is_spared() -> None:
    there = objects()
    del there["rollouts", "checkout", "checkout"]
    there["services", "checkout", "checkout"]["metadata"]["labels"] = {"app": "x"}
    plan = dispatch.decide(going(settled()), look(there, looked=True), NOON)
    assert names(plan) == ["HTTPRoute checkout", "Service checkout-canary"]


def test_what_the_inventory_does_not_name_is_never_deleted() -> None:
    plan = dispatch.decide(going(NEW), look(objects(), looked=True), NOON)
    assert (plan.actions, plan.finalizer) == ((), False)


LOST = Member(cluster=gen.cluster("a"), message="connection refused")
NO_SECRET = Member(cluster=gen.cluster("a"), reason="SecretNotFound", message="no Secret a")
LEFT = (
    "left behind in the member: Rollout checkout/checkout, Service checkout/checkout, "
    "Service checkout/checkout-canary, HTTPRoute checkout/checkout"
)


def answer(item: ClusterRollout, member: Member | None, hours: float) -> DispatchPlan:
    """What is decided so long after the deletion."""
    observed = DispatchObserved(member=member, hub="hub-1")
    return dispatch.decide(item, observed, NOON + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("member", "lost", "hours", "finalizer", "message"),
    [
        pytest.param(
            LOST, 0, 1, None, "waiting for the member: connection refused",
            id="a lost one is awaited",
        ),
        pytest.param(
            LOST, 0, 24, False, f"out of reach for 24h: connection refused; {LEFT}", id="for a day"
        ),
        pytest.param(
            LOST, 20, 26, None, "waiting for the member: connection refused",
            id="the day begins with the loss, not with the deletion",
        ),
        pytest.param(
            LOST, None, 48, None, "waiting for the member: connection refused",
            id="a hub that was away itself does not count that time",
        ),
        pytest.param(NO_SECRET, 0, 0, False, f"no Secret a; {LEFT}", id="its access is gone"),
        pytest.param(None, 0, 0, False, f"the MemberCluster is gone; {LEFT}", id="it is gone"),
    ],
)  # fmt: skip
def test_members_out_of_reach(
    member: Member | None, lost: float | None, hours: float, finalizer: bool | None, message: str
) -> None:
    item = going(settled())
    if lost is not None:
        item = after(item, answer(item, LOST, lost))
    plan = answer(item, member, hours)
    assert (plan.actions, plan.finalizer, plan.status.message) == ((), finalizer, message)


def test_a_member_that_answers_is_cleared_however_late() -> None:
    plan = dispatch.decide(going(settled()), look(objects()), NOON + timedelta(hours=25))
    assert (names(plan), plan.finalizer) == (["Rollout checkout"], None)


def test_without_our_finalizer_there_is_nothing_to_do() -> None:
    meta = settled().metadata.model_copy(update={"deletion_timestamp": NOON, "finalizers": ()})
    item = settled().model_copy(update={"metadata": meta})
    plan = dispatch.decide(item, look(objects()), NOON)
    assert (plan.actions, plan.finalizer) == ((), None)


def test_a_lost_member_that_had_not_ended_is_unreachable() -> None:
    first = dispatch.decide(NEW, look(looked=True), NOON).status
    observed = type(look())(member=LOST, hub="hub-1")
    plan = dispatch.decide(going(NEW.model_copy(update={"status": first})), observed, NOON)
    assert plan.status.phase == "Unreachable"
