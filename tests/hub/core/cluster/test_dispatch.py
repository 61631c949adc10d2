"""One cluster: the fence, the order of writes, and what is never fought or sent twice.

Aspects: order, sequences, holds, conflicts, changed inputs, pruning. What a report is believed to
say is in test_verdict; whole ways are in tests/stories.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import Want
from fleet.api.conditions import find
from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import APPLIED_ANNOTATION, SERVICES
from fleet.hub.core.actions import (
    ApplyRollout,
    DeleteObject,
    DispatchPlan,
    Finalizer,
    ReleaseRollout,
)
from fleet.hub.core.cluster import dispatch
from fleet.hub.core.observed import Member
from tests.conftest import NOON
from tests.hub import gen
from tests.hub.place import NEW, Objects, after, did, look, objects, rendered, settled

THREE_NEW = ["CreateObject"] * 3
"""Two Services and a route."""


# --- the order of writes --------------------------------------------------------------------------


def test_the_member_is_looked_at_before_anything_is_written() -> None:
    plan = dispatch.decide(NEW, look(), NOON)
    assert (did(plan), plan.fence, plan.status) == (["LookUp"], False, NEW.status)


def test_the_sequence_is_taken_before_the_writes_and_the_rollout_goes_first() -> None:
    plan = dispatch.decide(NEW, look(looked=True), NOON)
    assert plan.fence
    assert did(plan) == ["ApplyRollout", *THREE_NEW]
    taken = plan.status.dispatch
    assert (taken.sequence, taken.rollout, taken.run) == (1, 1, "checkout-1")
    sent = plan.actions[0]
    assert sent.manifest["spec"]["dispatch"] == {"hub": "hub-1", "sequence": 1}  # type: ignore[union-attr]
    assert {entry.name for entry in plan.status.inventory} == {"checkout", "checkout-canary"}
    assert plan.status.phase is ClusterPhase.APPLYING


def test_without_finalizer_nothing_is_written() -> None:
    meta = NEW.metadata.model_copy(update={"finalizers": ()})
    plan = dispatch.decide(NEW.model_copy(update={"metadata": meta}), look(), NOON)
    assert (plan.finalizer, plan.actions) == (Finalizer.ADD, ())


def test_what_did_not_arrive_is_sent_again_with_its_sequence() -> None:
    item = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
    plan = dispatch.decide(item, look(looked=True), NOON)
    assert (plan.fence, did(plan)) == (False, ["ApplyRollout", *THREE_NEW])
    assert plan.actions[0].manifest["spec"]["dispatch"]["sequence"] == 1  # type: ignore[union-attr]


def test_what_arrived_is_not_sent_again() -> None:
    """A hub that begins anew between a write and its report finds it done."""
    item = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
    plan = dispatch.decide(item, look(objects(), looked=True), NOON)
    assert plan.actions == ()
    assert plan.status.applied_run == "checkout-1"
    assert all(entry.digest and entry.uid for entry in plan.status.inventory)


def test_a_new_image_alone_needs_no_look_at_the_services() -> None:
    item = settled()
    want = Want(run="checkout-2", revision="rev2", since=NOON)
    meta = item.metadata.model_copy(update={"generation": 2})
    spec = item.spec.model_copy(update={"want": want})
    item = item.model_copy(update={"spec": spec, "metadata": meta})
    plan = dispatch.decide(item, look(objects(), number=2), NOON)
    assert (plan.fence, did(plan)) == (True, ["ApplyRollout"])
    assert plan.status.dispatch.sequence == 2


@pytest.mark.parametrize(
    ("live", "taken"),
    [
        pytest.param(7, 8, id="a hub that was restored from a backup is not locked out"),
        pytest.param(1, None, id="its own sequence is enough"),
    ],
)
def test_the_next_sequence(live: int, taken: int | None) -> None:
    plan = dispatch.decide(settled(), look(objects(sequence=live, phase="Completed")), NOON)
    assert (plan.status.dispatch.sequence if plan.fence else None) == taken


@pytest.mark.parametrize(
    ("there", "told"),
    [
        pytest.param(
            {}, "the Rollout of dispatch 1 is gone from a: dispatched again",
            id="somebody deleted the Rollout",
        ),
        pytest.param(
            objects(sequence=0),
            "a has the Rollout of dispatch 0 where 1 had arrived: it was restored from a backup: "
            "dispatched again",
            id="the member was restored from an old backup",
        ),
    ],
)  # fmt: skip
def test_what_the_member_lost_is_dispatched_again(there: Objects, told: str) -> None:
    plan = dispatch.decide(settled(), look(there, looked=True), NOON)
    assert (plan.fence, plan.events) == (True, (("Warning", "Redispatched", told),))
    assert did(plan)[0] == "ApplyRollout"
    assert plan.status.dispatch.sequence == 2
    assert {bool(one.uid or one.digest) for one in plan.status.inventory} == {bool(there)}


@pytest.mark.parametrize(
    "labels",
    [pytest.param({}, id="our label was removed"), pytest.param({"app": "x"}, id="theirs")],
)
def test_what_the_watch_lost_is_looked_up_before_it_is_written(labels: dict[str, str]) -> None:
    there = objects()
    there["rollouts", "checkout", "checkout"]["metadata"]["labels"] = labels
    assert did(dispatch.decide(settled(), look(there), NOON)) == ["LookUp"]
    plan = dispatch.decide(settled(), look(there, looked=True), NOON)
    assert (plan.actions, plan.status.reason) == ((), "ForeignObject")


def test_a_retry_asks_the_engine() -> None:
    item = settled()
    want = Want(run="checkout-1", revision="rev1", since=NOON, attempt=1)
    item = item.model_copy(update={"spec": item.spec.model_copy(update={"want": want})})
    plan = dispatch.decide(item, look(objects(phase="Failed")), NOON)
    (sent,) = plan.actions
    assert sent.manifest["metadata"]["annotations"]["kulta.io/retry"] == "true"  # type: ignore[union-attr]
    assert (plan.fence, plan.status.phase) == (True, ClusterPhase.APPLYING)


# --- holds ----------------------------------------------------------------------------------------


def held(item: ClusterRollout, reason: str) -> ClusterRollout:
    return item.model_copy(update={"spec": item.spec.model_copy(update={"hold": reason})})


def test_a_hold_takes_a_sequence_and_leaves_the_rollout_alone() -> None:
    there = objects()
    plan = dispatch.decide(held(settled(), "halted"), look(there), NOON)
    (hold,) = plan.actions
    assert (plan.fence, plan.events) == (True, ())
    assert (hold.reason, hold.sequence) == ("halted", 2)  # type: ignore[union-attr]
    assert (plan.status.dispatch.sequence, plan.status.dispatch.rollout) == (2, 1)
    item = after(held(settled(), "halted"), plan)
    there["rollouts", "checkout", "checkout"]["spec"]["hold"] = {"reason": "halted", "sequence": 2}
    quiet = dispatch.decide(item, look(there), NOON)
    assert (quiet.actions, quiet.status.phase, quiet.status.reason) == (
        (),
        ClusterPhase.PAUSED,
        "Held",
    )
    freed = dispatch.decide(held(item, ""), look(there), NOON)
    (release,) = freed.actions
    assert release == ReleaseRollout(namespace="checkout", name="checkout", version="7")
    assert (freed.fence, freed.status.dispatch.sequence) == (True, 3)


# --- whose is it ----------------------------------------------------------------------------------


def foreign(plural: str, name: str, **labels: str) -> Objects:
    there = objects()
    there[plural, "checkout", name]["metadata"]["labels"] = labels
    return there


@pytest.mark.parametrize(
    ("there", "reason", "message"),
    [
        pytest.param(
            foreign("services", "checkout", app="x"),
            "ForeignObject",
            "Service checkout in namespace checkout exists and is not ours: remove or rename it, "
            "or hand it over with the labels app.kubernetes.io/managed-by, "
            "fleet.kulta.io/application, fleet.kulta.io/namespace",
            id="a Service of somebody",
        ),
        pytest.param(
            foreign(
                "services",
                "checkout",
                **{
                    "app.kubernetes.io/managed-by": "kulta-fleet",
                    "fleet.kulta.io/application": "cart",
                    "fleet.kulta.io/namespace": "shop",
                },
            ),
            "ForeignObject",
            "Service checkout in namespace checkout belongs to the Application shop/cart: rename "
            "one of the two, or give them different namespaces in destination",
            id="a Service of another Application",
        ),
        pytest.param(
            foreign("rollouts", "checkout"),
            "ForeignObject",
            "Rollout checkout in namespace checkout exists and is not ours: remove or rename it, "
            "or hand it over with the labels app.kubernetes.io/managed-by, "
            "fleet.kulta.io/application, fleet.kulta.io/namespace",
            id="a Rollout of somebody",
        ),
        pytest.param(
            objects(hub="hub-2"),
            "OtherHub",
            "Rollout checkout is managed by another hub (hub-2): delete its Application there, or "
            "set spec.dispatch.released: true on the Rollout in the member, which lets this hub "
            "take over",
            id="a Rollout of another hub",
        ),
    ],
)
def test_conflicts_are_reported_and_never_fought(there: Objects, reason: str, message: str) -> None:
    plan = dispatch.decide(NEW, look(there, looked=True), NOON)
    assert plan.actions == ()
    assert plan.status.phase is ClusterPhase.CONFLICT
    assert (plan.status.reason, plan.status.message) == (reason, message)


def test_a_rollout_that_another_hub_released_is_taken_over() -> None:
    there = objects(hub="hub-2", sequence=6)
    there["rollouts", "checkout", "checkout"]["spec"]["dispatch"]["released"] = True
    plan = dispatch.decide(NEW, look(there, looked=True), NOON)
    assert (plan.fence, plan.status.dispatch.sequence) == (True, 7)
    sent = plan.actions[0]
    assert isinstance(sent, ApplyRollout)
    assert sent.force, "the mark may be a person's"
    assert sent.manifest["spec"]["dispatch"]["released"] is False, "and is not left for others"


def test_a_foreign_object_is_looked_at_again() -> None:
    there = foreign("services", "checkout")
    plan = dispatch.decide(NEW, look(there, looked=True), NOON)
    assert plan.wake_at == NOON + timedelta(seconds=60)
    again = dispatch.decide(after(NEW, plan), look(), NOON)
    assert (did(again), again.status) == (["LookUp"], plan.status)


# --- inputs, templates, pruning -------------------------------------------------------------------


def test_changed_inputs_are_reported_and_not_dispatched() -> None:
    other = tuple(replace(each, digest="x") for each in rendered())
    there = objects(phase="Completed")
    plan = dispatch.decide(settled(), look(there, rendered=other), NOON)
    assert (plan.actions, plan.status.phase) == ((), ClusterPhase.SUCCEEDED)
    changed = find(plan.status.conditions, "InputsChanged")
    assert changed is not None
    assert (changed.status, changed.reason) == ("True", "ClusterInputsChanged")
    told = "labels, vars, defaults or templates changed the manifests of the cluster"
    assert changed.message == told


def test_a_render_error_before_the_first_write_is_a_failure() -> None:
    plan = dispatch.decide(NEW, look(rendered=(), render_error="template x line 3: bad"), NOON)
    assert (plan.status.phase, plan.status.reason) == (ClusterPhase.FAILED, "TemplateError")
    item = settled()
    there = objects(phase="Completed")
    same = dispatch.decide(item, look(there, rendered=(), render_error="bad"), NOON)
    assert same.status == item.status, "what is applied stays"


FLEET_GONE = {"rendered": (), "render_error": "there is no Fleet production"}
CLOSED = {"member": gen.regain(Member(cluster=gen.cluster("a", namespaces=("cart",))), NOON)}
NOT_ALLOWED = (
    "namespace checkout is not allowed in a: an administrator adds it to "
    "spec.allowedNamespaces of the MemberCluster"
)
BACK = {"action": "Rollback", "reason": "AnalysisFailed", "message": "error-rate 9"}


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        pytest.param(FLEET_GONE, "TemplateError", "there is no Fleet production", id="no Fleet"),
        pytest.param(CLOSED, "NamespaceNotAllowed", NOT_ALLOWED, id="a closed namespace"),
    ],
)
class TestWithoutManifests:
    """Rendering is for writing: who may not write still watches and holds."""

    def test_a_new_wish_fails(self, given: Any, reason: str, message: str) -> None:
        plan = dispatch.decide(NEW, look(**given), NOON)
        assert plan.actions == ()
        found = plan.status
        assert (found.phase, found.reason, found.message) == ("Failed", reason, message)

    def test_what_the_engine_says_is_reported(self, given: Any, reason: str, message: str) -> None:
        item = settled()
        there = objects(phase="Failed", decisions=[BACK])
        status = dispatch.decide(item, look(there, **given), NOON).status
        assert (status.phase, status.reason) == (ClusterPhase.FAILED, "AnalysisFailed")
        assert status.inventory == item.status.inventory

    def test_a_hold_is_still_sent(self, given: Any, reason: str, message: str) -> None:
        plan = dispatch.decide(held(settled(), "halted"), look(objects(), **given), NOON)
        (action,) = plan.actions
        assert plan.fence
        assert (action.namespace, action.name) == ("checkout", "checkout")  # type: ignore[union-attr]
        assert (action.reason, action.sequence) == ("halted", 2)  # type: ignore[union-attr]

    def test_what_is_gone_cannot_come_back(self, given: Any, reason: str, message: str) -> None:
        plan = dispatch.decide(settled(), look(**given), NOON)
        assert (plan.actions, plan.status.phase) == ((), ClusterPhase.FAILED)
        assert plan.status.message.endswith(f"cannot be written: {message}")

    def test_what_came_half_is_no_success(self, given: Any, reason: str, message: str) -> None:
        item = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
        going = dispatch.decide(item, look(objects(), **given), NOON)
        assert (going.actions, going.status.phase) == ((), ClusterPhase.PROGRESSING)
        done = dispatch.decide(item, look(objects(phase="Completed"), **given), NOON).status
        assert (done.phase, done.reason) == (ClusterPhase.FAILED, reason)
        assert (done.applied_run, done.last_good.run) == ("", "")


def test_what_is_rendered_no_more_is_pruned_when_nothing_needs_it() -> None:
    item, there = settled(), objects(phase="Completed")
    fewer = tuple(each for each in rendered() if each.name != "checkout-canary")
    digest = dispatch.Case.of(
        item,
        item.spec.want,
        gen.member("a"),
        look(rendered=fewer),
        NOON,  # type: ignore[arg-type]
    ).digest
    taken = item.status.dispatch.model_copy(update={"digest": digest})
    item = after(item, DispatchPlan(status=item.status.model_copy(update={"dispatch": taken})))
    assert did(dispatch.decide(item, look(there, rendered=fewer), NOON)) == ["LookUp"]
    plan = dispatch.decide(item, look(there, rendered=fewer, looked=True), NOON)
    fence, deletion = plan.actions
    assert (plan.fence, plan.events) == (True, ())
    assert plan.wake_at == NOON + timedelta(seconds=10)
    assert fence.manifest["spec"]["dispatch"]["sequence"] == 2  # type: ignore[union-attr]
    assert (plan.status.dispatch.sequence, plan.status.dispatch.rollout) == (2, 2)
    assert deletion == DeleteObject(
        resource=SERVICES,
        namespace="checkout",
        name="checkout-canary",
        uid="uid-checkout-canary",
        version="7",
    )
    there["rollouts", "checkout", "checkout"]["spec"]["dispatch"]["sequence"] = 2
    there["services", "checkout", "checkout-canary"]["metadata"]["deletionTimestamp"] = "now"
    going = dispatch.decide(after(item, plan), look(there, rendered=fewer, looked=True), NOON)
    assert (going.actions, going.wake_at) == ((), NOON + timedelta(seconds=10))
    del there["services", "checkout", "checkout-canary"]
    clean = dispatch.decide(after(item, plan), look(there, rendered=fewer, looked=True), NOON)
    assert [entry.name for entry in clean.status.inventory] == ["checkout"] * 3


def test_without_a_wish_it_is_pending() -> None:
    spec = NEW.spec.model_copy(update={"want": None})
    plan = dispatch.decide(NEW.model_copy(update={"spec": spec}), look(), NOON)
    assert (plan.actions, plan.status.phase) == ((), ClusterPhase.PENDING)
    assert plan.status.reason == "Pending"


def test_a_refusal_stays_told_until_the_write_succeeds() -> None:
    item = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
    told = {"phase": ClusterPhase.CONFLICT, "reason": "Conflict", "message": "argo owns replicas"}
    item = item.model_copy(update={"status": item.status.model_copy(update=told)})
    plan = dispatch.decide(item, look(looked=True), NOON)
    assert did(plan)[0] == "ApplyRollout"
    assert (plan.status.phase, plan.status.message) == ("Conflict", "argo owns replicas")
    good = dispatch.decide(item, look(objects(), looked=True), NOON)
    assert good.status.phase is ClusterPhase.PROGRESSING


def test_a_changed_service_is_updated_and_its_selector_kept() -> None:
    item, there = settled(), objects(phase="Completed")
    live = there["services", "checkout", "checkout"]
    live["spec"]["selector"] = {"rollouts.kulta.io/hash": "abc"}
    live["metadata"]["annotations"][APPLIED_ANNOTATION] = "older"
    entries = tuple(entry.model_copy(update={"digest": ""}) for entry in item.status.inventory)
    item = after(item, DispatchPlan(status=item.status.model_copy(update={"inventory": entries})))
    (update,) = dispatch.decide(item, look(there, looked=True), NOON).actions
    assert update.manifest["spec"]["selector"] == {"rollouts.kulta.io/hash": "abc"}  # type: ignore[union-attr]
