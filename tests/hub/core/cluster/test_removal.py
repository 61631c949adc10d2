"""Taking away: order, what is spared, who is waited for, and what is left behind."""

from datetime import timedelta
from typing import Any

import pytest

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import Deletion
from fleet.api.conditions import find
from fleet.api.meta import OwnerReference
from fleet.api.names import ROLLOUTS, ClusterName
from fleet.hub.core.actions import DeleteObject, DispatchPlan, FenceRollout, Finalizer
from fleet.hub.core.cluster import dispatch
from fleet.hub.core.observed import DispatchObserved, Member
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.place import NEW, Objects, after, did, look, objects, settled

REMOVE = Finalizer.REMOVE


def going(item: ClusterRollout) -> ClusterRollout:
    meta = item.metadata.model_copy(update={"deletion_timestamp": NOON})
    return item.model_copy(update={"metadata": meta})


def names(plan: DispatchPlan) -> list[str]:
    return [f"{action.resource.kind} {action.name}" for action in plan.actions]  # type: ignore[union-attr]


def fenced(there: Objects | None = None) -> tuple[ClusterRollout, Objects]:
    """A ClusterRollout that goes, with its own dispatch in the member."""
    there = objects() if there is None else there
    plan = dispatch.decide(going(settled()), look(there, looked=True), NOON)
    for where, manifest in there.items():
        if where[0] == "rollouts":
            manifest["spec"]["dispatch"]["sequence"] = plan.status.dispatch.sequence
    return after(going(settled()), plan), there


def without_rollout() -> tuple[ClusterRollout, Objects]:
    """The same after its Rollout has gone."""
    item, there = fenced()
    del there["rollouts", "checkout", "checkout"]
    return item, there


def test_an_own_dispatch_comes_before_the_first_deletion() -> None:
    plan = dispatch.decide(going(settled()), look(objects()), NOON)
    assert plan.actions == (
        FenceRollout(name="checkout", namespace="checkout", version="7", hub="hub-1", sequence=2),
    )
    assert (plan.fence, plan.status.dispatch.sequence) == (True, 2)
    again = dispatch.decide(after(going(settled()), plan), look(objects()), NOON)
    assert (again.actions, again.fence) == (plan.actions, False), "until it is seen"


def test_a_deposed_leader_takes_a_sequence_above_what_it_sees() -> None:
    plan = dispatch.decide(going(settled()), look(objects(sequence=8)), NOON)
    assert plan.status.dispatch.sequence == 9


def test_the_rollout_goes_first_alone() -> None:
    item, there = fenced()
    item = item.model_copy(update={"status": item.status.model_copy(update={"conditions": ()})})
    plan = dispatch.decide(item, look(there), NOON)
    (deletion,) = plan.actions
    assert [one.last_transition_time for one in plan.status.conditions] == [NOON]
    assert deletion == DeleteObject(
        resource=ROLLOUTS, namespace="checkout", name="checkout", uid="uid-checkout", version="7"
    )
    assert plan.finalizer is None
    assert plan.status.message == "waiting for the engine to let go of its Rollout"


def test_a_rollout_that_is_going_already_is_waited_for() -> None:
    item, there = fenced()
    meta = there["rollouts", "checkout", "checkout"]["metadata"]
    meta["deletionTimestamp"] = "2026-11-20T12:00:00Z"
    assert dispatch.decide(item, look(there), NOON).actions == ()


def test_the_rest_follows_in_reverse_order_and_then_the_finalizer_goes() -> None:
    item, there = without_rollout()
    assert did(dispatch.decide(item, look(there), NOON)) == ["LookUp"]
    plan = dispatch.decide(item, look(there, looked=True), NOON)
    assert names(plan) == [
        "HTTPRoute checkout",
        "Service checkout-canary",
        "Service checkout",
    ]
    message = "deleting HTTPRoute checkout, Service checkout-canary, Service checkout"
    assert (plan.status.reason, plan.status.message) == ("Deleting", message)
    assert plan.wake_at == NOON + timedelta(seconds=10), "none of these is watched"
    assert dispatch.decide(item, look({}, looked=True), NOON).finalizer is REMOVE


def test_without_a_rollout_the_sequence_is_still_taken_first() -> None:
    there = objects()
    del there["rollouts", "checkout", "checkout"]
    plan = dispatch.decide(going(settled()), look(there, looked=True), NOON)
    assert (plan.actions, plan.fence, plan.status.dispatch.sequence) == ((), True, 2)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"labels": {"app": "x"}}, id="it lost our labels"),
        pytest.param({"uid": "another"}, id="somebody made it anew under its name"),
    ],
)
def test_what_became_somebody_elses_is_spared(change: dict[str, Any]) -> None:
    item, there = without_rollout()
    there["services", "checkout", "checkout"]["metadata"] |= change
    plan = dispatch.decide(item, look(there, looked=True), NOON)
    assert names(plan) == ["HTTPRoute checkout", "Service checkout-canary"]


def test_what_another_hub_took_over_stays() -> None:
    plan = dispatch.decide(going(settled()), look(objects(hub="hub-2")), NOON)
    assert (plan.actions, plan.finalizer) == ((), REMOVE)
    assert plan.status.message == f"another hub (hub-2) manages the Rollout; {LEFT}"


def test_what_the_inventory_does_not_name_is_never_deleted() -> None:
    plan = dispatch.decide(going(NEW), look(objects(), looked=True), NOON)
    assert (plan.actions, plan.finalizer) == ((), REMOVE)


LOST = Member(cluster=gen.cluster("a"), message="connection refused")
NO_SECRET = Member(cluster=gen.cluster("a"), reason="SecretNotFound", message="no Secret a")
NO_KEY = Member(cluster=gen.cluster("a"), reason="KubeconfigKeyMissing", message="no key b")
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
            LOST, 0, 24, REMOVE, f"out of reach for 24h: connection refused; {LEFT}",
            id="for a day",
        ),
        pytest.param(
            LOST, 20, 26, None, "waiting for the member: connection refused",
            id="the day begins with the loss, not with the deletion",
        ),
        pytest.param(
            LOST, None, 48, None, "waiting for the member: connection refused",
            id="a hub that was away itself does not count that time",
        ),
        pytest.param(NO_SECRET, 0, 0, REMOVE, f"no Secret a; {LEFT}", id="its access is gone"),
        pytest.param(
            NO_KEY, 0, 1, None, "waiting for the member: no key b",
            id="a Secret without the key may be put right",
        ),
        pytest.param(None, 0, 0, REMOVE, f"the MemberCluster is gone; {LEFT}", id="it is gone"),
    ],
)  # fmt: skip
def test_members_out_of_reach(
    member: Member | None,
    lost: float | None,
    hours: float,
    finalizer: Finalizer | None,
    message: str,
) -> None:
    item = going(settled())
    if lost is not None:
        item = after(item, answer(item, LOST, lost))
    plan = answer(item, member, hours)
    assert (plan.actions, plan.finalizer, plan.status.message) == ((), finalizer, message)
    told = (("Warning", "Released", message),) if finalizer else ()
    assert plan.events == told, "the object that says it is gone in a moment"


def test_a_member_that_the_hub_has_just_met_is_not_given_up() -> None:
    """Lost before the deletion, and the hub away past the timeout: now it may answer again."""
    item = going(settled())
    item = after(item, answer(item, LOST, 0))
    met = NOON + timedelta(hours=30, seconds=60)
    plan = answer(item, gen.meet(LOST, met), 30)
    assert (plan.finalizer, plan.wake_at) == (None, met)
    assert plan.status.message == "waiting for the member: not connected yet"
    assert answer(after(item, plan), LOST, 30.1).finalizer is REMOVE, "as long as it does not"


def told(item: ClusterRollout, **deletion: Any) -> ClusterRollout:
    """The same, with that to be done with its objects."""
    spec = item.spec.model_copy(update={"deletion": Deletion(**deletion)})
    return item.model_copy(update={"spec": spec})


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        pytest.param(3_600, "60m", id="[KH-84] an hour"),
        pytest.param(7 * 86_400, "7d", id="a week"),
    ],
)
def test_a_lost_member_is_given_up_after_the_timeout_of_the_policy(
    seconds: int, shown: str
) -> None:
    item = told(going(settled()), timeout_seconds=seconds)
    item = after(item, answer(item, LOST, 0))
    hours = seconds / 3_600
    assert answer(item, LOST, hours - 0.01).finalizer is None
    plan = answer(item, LOST, hours)
    assert (plan.finalizer, plan.status.message) == (
        REMOVE,
        f"out of reach for {shown}: connection refused; {LEFT}",
    )


def test_an_orphan_is_marked_and_everything_stays() -> None:
    item, there = told(going(settled()), policy="Orphan"), objects()
    plan = dispatch.decide(item, look(there), NOON)
    (mark,) = plan.actions
    assert mark == FenceRollout(
        name="checkout",
        namespace="checkout",
        version="7",
        hub="hub-1",
        sequence=2,
        released=True,
    )
    assert (plan.fence, plan.finalizer, plan.status.dispatch.sequence) == (True, None, 2)
    assert plan.status.message == "letting go of the Rollout"
    again = dispatch.decide(after(item, plan), look(there), NOON)
    assert (again.actions, again.fence) == ((mark,), False), "until it is seen"
    there["rollouts", "checkout", "checkout"]["spec"]["dispatch"] = {
        "hub": "hub-1", "sequence": 2, "released": True,
    }  # fmt: skip
    done = dispatch.decide(after(item, plan), look(there), NOON)
    message = f"deletionPolicy: Orphan; {LEFT}"
    assert (done.actions, done.finalizer) == ((), REMOVE)
    assert done.events == (("Normal", "Orphaned", message),)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"labels": {"app": "x"}}, id="it lost our labels"),
        pytest.param({"uid": "another"}, id="somebody made it anew under its name"),
    ],
)
def test_an_orphan_that_became_somebody_elses_is_not_marked(change: dict[str, Any]) -> None:
    item, there = told(going(settled()), policy="Orphan"), objects()
    there["rollouts", "checkout", "checkout"]["metadata"] |= change
    plan = dispatch.decide(item, look(there, looked=True), NOON)
    assert (plan.actions, plan.finalizer) == ((), REMOVE)


@pytest.mark.parametrize(
    ("manager", "stays"),
    [
        pytest.param("kulta-fleet-hold", False, id="ours ends: nobody would be there to end it"),
        pytest.param("kubectl-edit", True, id="a person's does not"),
    ],
)
def test_the_hold_of_an_orphan(manager: str, stays: bool) -> None:
    there = objects()
    rollout = there["rollouts", "checkout", "checkout"]
    rollout["spec"]["hold"] = {"reason": "wait", "sequence": 1}
    entry = {"manager": manager, "fieldsV1": {"f:spec": {"f:hold": {}}}}
    rollout["metadata"]["managedFields"] = [entry]
    plan = dispatch.decide(told(going(settled()), policy="Orphan"), look(there), NOON)
    (mark,) = plan.actions
    assert isinstance(mark, FenceRollout)
    assert mark.spares_hold is stays


def test_an_orphan_without_its_rollout_is_let_go_at_once() -> None:
    item, there = told(going(settled()), policy="Orphan"), objects()
    del there["rollouts", "checkout", "checkout"]
    plan = dispatch.decide(item, look(there, looked=True), NOON)
    assert (plan.actions, plan.finalizer) == ((), REMOVE)


def test_an_orphan_out_of_reach_is_waited_for_too() -> None:
    """Its Rollout must be marked, or no other hub may have it."""
    assert answer(told(going(settled()), policy="Orphan"), LOST, 1).finalizer is None


OWNER = OwnerReference(api_version="v1", kind="Application", name="checkout", uid="u")


def sibling(**meta: Any) -> ClusterRollout:
    """A ClusterRollout of a later wave, which goes unless other metadata is given."""
    before = settled()
    meta = {"deletion_timestamp": NOON, **meta}
    return before.model_copy(update={"metadata": before.metadata.model_copy(update=meta)})


@pytest.mark.parametrize(
    ("other", "hours", "waits"),
    [
        pytest.param(sibling(), 1, True, id="one that goes"),
        pytest.param(
            sibling(deletion_timestamp=None, owner_references=(OWNER,)), 1, True,
            id="one that the garbage collector has not come to yet",
        ),
        pytest.param(
            sibling(deletion_timestamp=None), 1, False, id="not for one that was let be"
        ),
        pytest.param(sibling(finalizers=()), 1, False, id="nor for one that is cleared"),
        pytest.param(
            sibling().model_copy(update={"status": NEW.status}), 1, False,
            id="nor for one that had nothing",
        ),
        pytest.param(sibling(), 24, False, id="nor longer than a day"),
    ],
)  # fmt: skip
def test_later_waves_are_waited_for(other: ClusterRollout, hours: float, waits: bool) -> None:
    siblings = {ClusterName("b"): other}
    observed = look(objects(), siblings=siblings)
    now = NOON + timedelta(hours=hours)
    item = going(settled())
    unseen = item.status.model_copy(update={"conditions": ()})
    plan = dispatch.decide(item.model_copy(update={"status": unseen}), observed, now)
    assert did(plan) == ([] if waits else ["FenceRollout"])
    if waits:
        assert plan.status.message == "waiting for b: later waves are cleared first"
        assert plan.wake_at == now + timedelta(seconds=10)
        assert plan.status.reason == "Deleting"
        assert [one.last_transition_time for one in plan.status.conditions] == [now]


def test_what_has_begun_is_not_interrupted() -> None:
    item, there = fenced()
    siblings = {ClusterName("b"): sibling()}
    assert did(dispatch.decide(item, look(there, siblings=siblings), NOON)) == ["DeleteObject"]


def test_a_member_that_answers_is_cleared_however_late() -> None:
    plan = dispatch.decide(going(settled()), look(objects()), NOON + timedelta(hours=25))
    assert (did(plan), plan.finalizer) == (["FenceRollout"], None)


def test_without_our_finalizer_there_is_nothing_to_do() -> None:
    meta = settled().metadata.model_copy(update={"deletion_timestamp": NOON, "finalizers": ()})
    item = settled().model_copy(update={"metadata": meta})
    plan = dispatch.decide(item, look(objects()), NOON)
    assert (plan.actions, plan.finalizer) == ((), None)


def test_a_lost_member_that_had_not_ended_is_unreachable() -> None:
    first = dispatch.decide(NEW, look(looked=True), NOON).status
    observed = type(look())(member=LOST, hub="hub-1")
    later = NOON + timedelta(minutes=1)
    plan = dispatch.decide(going(NEW.model_copy(update={"status": first})), observed, later)
    assert plan.status.phase == "Unreachable"
    seen = find(plan.status.conditions, "Reachable")
    assert seen is not None
    assert (seen.status, seen.message) == ("False", "connection refused")
    assert seen.last_transition_time == later, "from then on it is waited for"
