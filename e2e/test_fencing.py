"""What a write may not change, judged by a real API server: the fence, runs, identities.

A hub's write into a member carries `spec.dispatch {hub, sequence}`; the Rollout CRD's transition
rules let the member's API server itself refuse a deposed leader. No webhook is involved.
"""

from typing import Any

import pytest

from e2e.examples import VALID, call, read, refused, rollouts, two_steps
from e2e.ground.controlplane import ControlPlane
from fleet.api import names

OURS = {"hub": "hub-1", "sequence": 7}
FORMER = "dispatch.sequence may only grow: a former hub leader wrote this"
FORMER_HOLD = (
    "hold.sequence may not be lower than dispatch.sequence: a former hub leader wrote this"
)
OTHER = "another hub manages this Rollout: it must set dispatch.released first"
RELEASED = OURS | {"released": True}


@pytest.mark.parametrize(
    ("stored", "written", "words"),
    [
        pytest.param(
            {"dispatch": OURS},
            {"dispatch": {"sequence": 6}, "replicas": 9},
            FORMER,
            id="a deposed leader with a lower sequence",
        ),
        pytest.param({"dispatch": OURS}, {"dispatch": None}, FORMER, id="a write without dispatch"),
        pytest.param(
            {"dispatch": OURS},
            {"dispatch": {"hub": "hub-2", "sequence": 8}},
            OTHER,
            id="a foreign hub",
        ),
        pytest.param(
            {"dispatch": OURS},
            {"hold": {"reason": "halted", "sequence": 6}},
            FORMER_HOLD,
            id="a deposed leader's hold",
        ),
        pytest.param(
            {"dispatch": OURS},
            {"hold": {"reason": "halted"}},
            FORMER_HOLD,
            id="a hold without a sequence",
        ),
        pytest.param(
            {"dispatch": OURS, "hold": {"reason": "halted", "sequence": 9}},
            {"hold": {"reason": "go on", "sequence": 6}},
            FORMER_HOLD,
            id="a change of hold by a deposed leader",
        ),
    ],
)
def test_a_write_behind_the_fence_is_refused(
    our_kinds: ControlPlane,
    namespace: str,
    stored: dict[str, Any],
    written: dict[str, Any],
    words: str,
) -> None:
    call(our_kinds, "POST", rollouts(namespace), two_steps(**stored))
    path = rollouts(namespace, "two-steps")
    assert words in refused(our_kinds, "PATCH", path, {"spec": written})


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        pytest.param({}, {"dispatch": OURS}, id="the first dispatch"),
        pytest.param({"dispatch": OURS}, {"replicas": 9}, id="a change that is no dispatch"),
        pytest.param({"dispatch": OURS}, {"dispatch": {"sequence": 7}}, id="the same again"),
        pytest.param({"dispatch": OURS}, {"dispatch": {"sequence": 8}}, id="the next dispatch"),
        pytest.param(
            {"dispatch": RELEASED},
            {"dispatch": {"hub": "hub-2", "sequence": 8, "released": None}},
            id="another hub takes over what was released",
        ),
        pytest.param(
            {"dispatch": OURS}, {"hold": {"reason": "halted", "sequence": 8}}, id="a hold in force"
        ),
        pytest.param(
            {"dispatch": OURS, "hold": {"reason": "halted", "sequence": 7}},
            {"dispatch": {"sequence": 9}},
            id="a dispatch beside a hold that stays",
        ),
        pytest.param(
            {"dispatch": OURS, "hold": {"reason": "halted", "sequence": 7}},
            {"hold": None},
            id="the end of a hold",
        ),
    ],
)
def test_a_write_before_the_fence_is_taken(
    our_kinds: ControlPlane, namespace: str, stored: dict[str, Any], written: dict[str, Any]
) -> None:
    call(our_kinds, "POST", rollouts(namespace), two_steps(**stored))
    call(our_kinds, "PATCH", rollouts(namespace, "two-steps"), {"spec": written})


def run(**spec: Any) -> dict[str, Any]:
    """A FleetRollout as the hub makes it."""
    application = read(VALID / "application-canary.yaml")
    return {
        "apiVersion": names.FLEETROLLOUTS.api_version,
        "kind": "FleetRollout",
        "metadata": {"name": "checkout-14"},
        "spec": {
            "application": {"name": "checkout", "uid": "u", "spec": application["spec"]},
            "number": 14,
            "revision": "6f9c2d",
            "plan": {"waves": [{"name": "canary", "clusters": ["eu-7"]}]},
        }
        | spec,
    }


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"revision": "5b1a77"}, id="another revision"),
        pytest.param({"plan": {"waves": []}}, id="a gate less"),
        pytest.param(
            {"application": {"spec": {"workload": {"replicas": 1}}}}, id="another Application"
        ),
        pytest.param(
            {"application": {"spec": {"workload": {"template": {"spec": {"hostname": "x"}}}}}},
            id="another pod template",
        ),
    ],
)
def test_a_run_is_immutable(
    our_kinds: ControlPlane, namespace: str, change: dict[str, Any]
) -> None:
    call(our_kinds, "POST", names.FLEETROLLOUTS.path(namespace), run())
    path = names.FLEETROLLOUTS.path(namespace, "checkout-14")
    words = "spec: Invalid value: a run is immutable: change the Application, a new run follows"
    assert words in refused(our_kinds, "PATCH", path, {"spec": change})


def test_a_run_may_be_annotated_and_reported(our_kinds: ControlPlane, namespace: str) -> None:
    call(our_kinds, "POST", names.FLEETROLLOUTS.path(namespace), run())
    path = names.FLEETROLLOUTS.path(namespace, "checkout-14")
    request = {"metadata": {"annotations": {names.REQUEST_ANNOTATION: "resume/1"}}}
    call(our_kinds, "PATCH", path, request)
    reported = call(our_kinds, "PATCH", f"{path}/status", {"status": {"phase": "Halted"}})
    assert reported["status"]["counts"]["failed"] == 0


@pytest.mark.parametrize("field", ["application", "cluster"])
def test_a_clusterrollout_stays_with_its_pair(
    our_kinds: ControlPlane, namespace: str, field: str
) -> None:
    manifest = {
        "apiVersion": names.CLUSTERROLLOUTS.api_version,
        "kind": "ClusterRollout",
        "metadata": {"name": "checkout.eu-7"},
        "spec": {"application": "checkout", "cluster": "eu-7", "namespace": "checkout"},
    }
    call(our_kinds, "POST", names.CLUSTERROLLOUTS.path(namespace), manifest)
    path = names.CLUSTERROLLOUTS.path(namespace, "checkout.eu-7")
    want = {"want": {"run": "checkout-14", "revision": "6f9c2d"}, "namespace": "elsewhere"}
    call(our_kinds, "PATCH", path, {"spec": want})
    words = "application and cluster cannot change: another pair has another ClusterRollout"
    assert words in refused(our_kinds, "PATCH", path, {"spec": {field: "other"}})
