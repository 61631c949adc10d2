"""Somebody edits what the hub wrote: it is written again once, and told."""

from typing import Any

import pytest

from fleet.api.fleetrollout import ClusterPhase
from fleet.api.names import AUTOSCALER, HOLD_MANAGER, HUB_AGENT, HUB_MANAGER
from fleet.hub.core.actions import ApplyRollout
from fleet.hub.core.cluster import dispatch, drift
from fleet.kit import hashing
from tests.conftest import NOON
from tests.hub.place import NEW, Objects, after, look, objects

OURS = {"f:replicas": {}, "f:template": {}}


def entry(manager: str, operation: str = "Update", **fields: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": fields}}


def manifest(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"managedFields": list(entries)}}


OWN = entry(HUB_MANAGER, "Apply", **OURS)
SAME = drift.signed(manifest(OWN))["owned"]


@pytest.mark.parametrize(
    ("entries", "is_same", "editors"),
    [
        pytest.param([OWN], True, None, id="as it was written"),
        pytest.param([OWN, entry("kubectl-edit", **{"f:paused": {}})], True, ["kubectl-edit"],
                     id="what others add moves nothing"),
        pytest.param([entry(HUB_MANAGER, "Apply", **{"f:template": {}}),
                      entry("kubectl-edit", **{"f:replicas": {}})], False, ["kubectl-edit"],
                     id="a field that somebody changed"),
        pytest.param([entry(HUB_MANAGER, "Apply", **{"f:template": {}})], False, None,
                     id="a field that somebody took away"),
        pytest.param([OWN, entry(HOLD_MANAGER, "Apply", **{"f:hold": {}}),
                      entry(HUB_AGENT, **{"f:dispatch": {}})], True, None,
                     id="the hub's other writes"),
        pytest.param([entry(HUB_MANAGER, "Apply", **{"f:template": {}}),
                      {**entry("hpa", **{"f:replicas": {}}), "subresource": "scale"}], True,
                     None, id="one that scales it is no editor"),
    ],
)  # fmt: skip
def test_what_is_kept_of_managed_fields(
    entries: list[dict[str, Any]], is_same: bool, editors: list[str] | None
) -> None:
    found = drift.signed(manifest(*entries))
    assert (found["owned"] == SAME, found.get("editors")) == (is_same, editors)


def test_the_digest_is_that_of_all_others() -> None:
    """It stands in statuses: who counts otherwise would take every Rollout for changed."""
    fields = {
        "f:template": {
            'k:{"containerPort":8080,"protocol":"TCP"}': {".": {}, "f:name": {}},
            'v:"äöü\u2028\x7f\\\U0001f6a2"': {},
            "\ue000": {},
        },
        "f:replicas": {},
    }
    own = entry(HUB_MANAGER, "Apply", **fields)
    assert drift.signed(manifest(own))["owned"] == hashing.digest(fields, length=10)


SCALES = {**entry(AUTOSCALER, **{"f:replicas": {}}), "subresource": "scale"}


@pytest.mark.parametrize(
    ("scaler", "force", "is_ours"),
    [
        pytest.param(SCALES, False, False, id="an autoscaler goes on to say it"),
        pytest.param(SCALES, True, True, id="unless the policy takes it back"),
        pytest.param({**SCALES, "manager": "kubectl"}, False, True, id="a person is named instead"),
        pytest.param({**SCALES, "subresource": "status"}, False, True, id="what only counts pods"),
    ],
)
def test_who_says_how_many_pods_there_are(scaler: Any, force: bool, is_ours: bool) -> None:
    whole = manifest(OWN, scaler)
    for told in (drift.signed(whole), whole["metadata"]):
        lost = objects(sequence=0)
        lost["rollouts", "checkout", "checkout"]["metadata"] |= told
        plan = dispatch.decide(arrived(), look(lost, force=force), NOON)
        (action,) = plan.actions
        assert isinstance(action, ApplyRollout)
        assert ("replicas" in action.manifest["spec"]) is is_ours


def test_a_server_that_says_nothing_is_believed() -> None:
    assert drift.signed({"metadata": {}}) == {}


def seen(owned: str, *editors: str) -> Objects:
    """The member's objects, with that digest of our fields."""
    there = objects(phase="Completed")
    there["rollouts", "checkout", "checkout"]["metadata"] |= {"owned": owned, "editors": editors}
    return there


def arrived() -> Any:
    """A cluster in which all has been seen as it was written."""
    item = after(NEW, dispatch.decide(NEW, look(looked=True), NOON))
    return after(item, dispatch.decide(item, look(seen("before"), looked=True), NOON))


@pytest.mark.parametrize("force", [True, False])
def test_what_was_edited_is_written_again(force: bool) -> None:
    """[KH-81] By force where the policy says so; else the member's server names who is in the way.
    It takes no sequence: the wish is the same."""
    item = arrived()
    plan = dispatch.decide(item, look(seen("after", "kubectl-edit"), force=force), NOON)
    (action,) = plan.actions
    assert isinstance(action, ApplyRollout)
    assert (action.force, action.manifest["spec"]["dispatch"]["sequence"]) == (force, 1)
    assert (plan.fence, plan.status.phase) == (False, "Succeeded")
    told = "kubectl-edit changed what the hub had written into the Rollout: restored"
    assert plan.events == (("Warning", "Drifted", told),)


def test_all_who_have_been_at_it_are_named() -> None:
    live = {"metadata": {"editors": ["argocd", "kubectl-edit"]}}
    told = "argocd, kubectl-edit changed what the hub had written into the Rollout"
    assert drift.told(live) == told


def test_it_is_written_once_for_each_change_whatever_the_server_makes_of_it() -> None:
    item = arrived()
    there = seen("after", "kubectl-edit")
    item = after(item, dispatch.decide(item, look(there), NOON))
    plan = dispatch.decide(item, look(there), NOON)
    assert (plan.actions, plan.status.owned) == ((), "after")
    item = after(item, plan)
    assert dispatch.decide(item, look(there), NOON).actions == ()


@pytest.mark.parametrize(
    ("phase", "engine", "editors", "force"),
    [
        pytest.param("Failed", "Failed", ["kubectl-edit"], True,
                     id="a revision that failed is not begun anew"),
        pytest.param("Succeeded", "Completed", [], False,
                     id="without force what somebody only took away stays away"),
    ],
)  # fmt: skip
def test_what_is_left_as_it_is_is_told_once(
    phase: str, engine: str, editors: list[str], force: bool
) -> None:
    item, there = arrived(), seen("after", *editors)
    item = item.model_copy(
        update={"status": item.status.model_copy(update={"phase": ClusterPhase(phase)})}
    )
    there["rollouts", "checkout", "checkout"]["status"]["phase"] = engine
    plan = dispatch.decide(item, look(there, force=force), NOON)
    assert (plan.actions, plan.status.phase, plan.status.owned) == ((), phase, "after")
    who = editors[0] if editors else "somebody"
    told = f"{who} changed what the hub had written into the Rollout: left as it is"
    assert plan.events == (("Warning", "Drifted", told),)
    assert dispatch.decide(after(item, plan), look(there, force=force), NOON).events == ()
