"""What was there before us: remembered when it is adopted, and put back when we go."""

import copy
import json
from typing import Any

import pytest

from fleet.api import ClusterRollout
from fleet.api.clusterrollout import Deletion
from fleet.api.names import (
    APPLICATION_LABEL,
    APPLIED_ANNOTATION,
    MANAGED_BY,
    NAMESPACE_LABEL,
    ROLLOUT_FINALIZER,
)
from fleet.hub.core.actions import (
    ApplyRollout,
    DeleteObject,
    DispatchPlan,
    FenceRollout,
    Finalizer,
    UpdateObject,
)
from fleet.hub.core.cluster import dispatch, reverting
from fleet.hub.runtime import watches
from fleet.kit import hashing
from tests.conftest import NOON
from tests.hub import engine
from tests.hub.place import NEW, Objects, after, did, look, objects, rendered, settled

HANDED_OVER = {
    MANAGED_BY: "kulta-fleet",
    APPLICATION_LABEL: "checkout",
    NAMESPACE_LABEL: "shop",
    "team": "pay",
}
SERVICE = ("services", "checkout", "checkout")
ROLLOUT = ("rollouts", "checkout", "checkout")


def theirs(spec: dict[str, Any]) -> dict[str, Any]:
    """An object of a person, handed over by its labels."""
    return {
        "metadata": {
            "name": "checkout",
            "namespace": "checkout",
            "uid": "uid-checkout",
            "resourceVersion": "7",
            "labels": dict(HANDED_OVER),
            "annotations": {"note": "mine"},
        },
        "spec": spec,
    }


OLD = {"selector": {"app": "checkout"}, "ports": [{"port": 8000}], "clusterIP": "10.0.0.7"}
MINE = {"replicas": 3, "template": {"spec": {"containers": [{"name": "app", "image": "old"}]}}}


def adopting(place: tuple[str, str, str], spec: dict[str, Any]) -> ClusterRollout:
    """The ClusterRollout once its objects are listed, where that one had been there."""
    plan = dispatch.decide(NEW, look({place: theirs(spec)}, looked=True), NOON)
    return after(NEW, plan)


def before(item: ClusterRollout) -> dict[str, str]:
    return {f"{one.kind} {one.name}": one.before for one in item.status.inventory if one.before}


def test_only_what_was_there_is_remembered_before_anything_is_written() -> None:
    kept = before(adopting(SERVICE, OLD))
    assert list(kept) == ["Service checkout"]
    assert '"selector":{"app":"checkout"}' in kept["Service checkout"]
    assert '"note":"mine"' in kept["Service checkout"]


@pytest.mark.parametrize(
    ("live", "kept"),
    [
        pytest.param(None, "", id="nothing was there"),
        pytest.param(
            {"metadata": {"annotations": {APPLIED_ANNOTATION: "x"}}}, "", id="it is ours already"
        ),
        pytest.param(theirs({"note": "x" * 70_000}), "{}", id="too large to be remembered"),
    ],
)
def test_what_is_remembered(live: dict[str, Any] | None, kept: str) -> None:
    assert reverting.remembered(live) == kept


def slimmed(there: Objects) -> dict[tuple[str, str], Any]:
    """What the hub's watch shows of it."""
    return {key: watches.slim(one) for key, one in engine.seen(there).items()}


def test_a_rollout_is_remembered_as_it_was_read_and_not_as_the_watch_shows_it() -> None:
    there: Objects = {ROLLOUT: theirs(MINE)}
    alone = rendered()[:1]
    asked = dispatch.decide(NEW, look(rendered=alone, rollouts=slimmed(there)), NOON)
    assert did(asked) == ["LookUp"], "its pods are not known yet"
    known = look(there, looked=True, rendered=alone, rollouts=slimmed(there))
    kept = before(after(NEW, dispatch.decide(NEW, known, NOON)))
    assert json.loads(kept["Rollout checkout"])["spec"] == MINE


def test_a_rollout_whose_pods_were_not_read_is_let_be() -> None:
    there: Objects = {ROLLOUT: theirs(MINE)}
    late = look({}, looked=True, rollouts=slimmed(there))
    assert before(after(NEW, dispatch.decide(NEW, late, NOON))) == {"Rollout checkout": "{}"}
    kept = hashing.canonical({"labels": {}, "annotations": {}, "spec": {"template": {}}})
    item = going(settled(), adopting(ROLLOUT, MINE))
    entry = item.status.inventory[0].model_copy(update={"before": kept})
    assert reverting.revert(entry, objects()[ROLLOUT]) is None, "what an older hub remembered"


def going(item: ClusterRollout, memory: ClusterRollout | None = None) -> ClusterRollout:
    """A settled one that is to be put back, with that memory of what was there."""
    known = {(one.kind, one.name): one.before for one in memory.status.inventory} if memory else {}
    inventory = tuple(
        one.model_copy(update={"before": known.get((one.kind, one.name), "")})
        for one in item.status.inventory
    )
    return item.model_copy(
        update={
            "metadata": item.metadata.model_copy(update={"deletion_timestamp": NOON}),
            "spec": item.spec.model_copy(update={"deletion": Deletion(policy="Revert")}),
            "status": item.status.model_copy(update={"inventory": inventory}),
        }
    )


def fenced(item: ClusterRollout, there: Objects) -> tuple[ClusterRollout, Objects]:
    """After the own dispatch has arrived."""
    plan = dispatch.decide(item, look(there, looked=True), NOON)
    assert [type(action) for action in plan.actions] == [FenceRollout]
    there[ROLLOUT]["spec"]["dispatch"]["sequence"] = plan.status.dispatch.sequence
    return after(item, plan), there


def decided(item: ClusterRollout, there: Objects) -> DispatchPlan:
    return dispatch.decide(item, look(there, looked=True), NOON)


def test_what_was_there_comes_back_and_what_we_made_goes() -> None:
    item, there = fenced(going(settled(), adopting(SERVICE, OLD)), objects())
    assert did(decided(item, there)) == ["DeleteObject"], "the Rollout first, which we made"
    del there[ROLLOUT]
    there[SERVICE]["metadata"]["labels"] |= {"added": "by somebody"}
    route, canary, service = decided(item, there).actions
    for action in (route, canary):
        assert isinstance(action, DeleteObject)
    assert isinstance(service, UpdateObject)
    assert service.manifest["spec"] == OLD
    meta = service.manifest["metadata"]
    assert meta["labels"] == {**HANDED_OVER, "added": "by somebody"}
    assert meta["annotations"] == {"note": "mine"}
    assert (meta["uid"], meta["resourceVersion"]) == ("uid-checkout", "7")
    done = decided(item, {SERVICE: dict(service.manifest)})
    assert (done.actions, done.finalizer) == ((), Finalizer.REMOVE)


def test_a_rollout_that_was_there_gets_its_spec_back_and_is_let_go() -> None:
    item, there = fenced(going(settled(), adopting(ROLLOUT, MINE)), objects())
    (action,) = decided(item, there).actions
    assert isinstance(action, ApplyRollout)
    assert action.manifest["spec"] == {
        **MINE,
        "dispatch": {"hub": "hub-1", "sequence": 2, "released": True},
    }
    assert action.force
    assert action.manifest["apiVersion"] == "kulta.io/v1beta1"
    assert action.manifest["kind"] == "Rollout"
    assert action.manifest["metadata"] == {
        "name": "checkout",
        "namespace": "checkout",
        "resourceVersion": "7",
        "labels": HANDED_OVER,
        "annotations": {"note": "mine"},
    }
    back = copy.deepcopy(there[ROLLOUT])
    back["metadata"]["annotations"] = {"note": "mine"}
    back["spec"] = dict(action.manifest["spec"])
    there[ROLLOUT] = back
    assert did(dispatch.decide(item, look(there), NOON)) == ["LookUp"], "the rest is not forgotten"
    rest = decided(item, there)
    assert did(rest) == ["DeleteObject"] * 3
    done = decided(item, {ROLLOUT: back})
    assert (done.actions, done.finalizer) == ((), Finalizer.REMOVE)


def test_nothing_is_touched_before_the_engine_has_given_back_what_it_replaced() -> None:
    """[KH-83] A Rollout that took a Deployment's pods goes when the Deployment serves again
    (`test_engine_workload`); only then the Service's own selector comes back, and the rest goes."""
    item, there = fenced(going(settled(), adopting(SERVICE, OLD)), objects())
    there[ROLLOUT]["spec"]["workloadRef"] = {"name": "checkout"}
    there[ROLLOUT]["metadata"]["finalizers"] = [ROLLOUT_FINALIZER]
    (first,) = decided(item, there).actions
    assert isinstance(first, DeleteObject)
    assert first.resource.kind == "Rollout"
    there[ROLLOUT]["metadata"]["deletionTimestamp"] = "2026-11-20T12:00:00Z"
    waiting = decided(item, there)
    assert (waiting.actions, waiting.finalizer) == ((), None)
    assert waiting.status.message == "waiting for the engine to let go of its Rollout"
    del there[ROLLOUT]
    *made, service = decided(item, there).actions
    assert {type(action) for action in made} == {DeleteObject}
    assert isinstance(service, UpdateObject)
    assert service.manifest["spec"]["selector"] == OLD["selector"]


def test_without_anything_before_us_it_is_a_deletion() -> None:
    item, there = fenced(going(settled()), objects())
    del there[ROLLOUT]
    plan = decided(item, there)
    assert did(plan) == ["DeleteObject"] * 3
    assert plan.status.message.startswith("putting back HTTPRoute checkout, ")
