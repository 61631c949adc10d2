"""Revisions: hashes, manifests of sets, selectors."""

from typing import Any

import pytest

from fleet.api import names
from fleet.kit import hashing
from fleet.kulta.core.facts import revisions
from fleet.kulta.core.plan import plan
from tests import gen
from tests.conftest import NOON

SAMPLE: dict[str, Any] = {
    "metadata": {"labels": {"app": "test-app"}},
    "spec": {"containers": [{"image": "nginx:1.0", "name": "app"}]},
}


def made(role: str = "canary", replicas: int = 3, **keywords: Any) -> dict[str, Any]:
    rollout = gen.rollout(**keywords)
    return revisions.replica_set(rollout, gen.revision("shop:v1"), replicas, role)


def test_set_is_named_by_its_hash_and_carries_its_role() -> None:
    """[H4] [H5] The adapted form: `<rollout>-<hash>`, labels on set and pods, role apart."""
    for role, replicas in (("stable", 3), ("canary", 0)):
        body = made(role, replicas)
        assert (body["apiVersion"], body["kind"]) == ("apps/v1", "ReplicaSet")
        assert body["metadata"]["name"] == f"{gen.NAME}-{gen.revision('shop:v1')}"
        assert body["metadata"]["namespace"] == gen.NAMESPACE
        assert body["spec"]["replicas"] == replicas
        for labels in (body["metadata"]["labels"], body["spec"]["template"]["metadata"]["labels"]):
            assert labels[names.HASH_LABEL] == gen.revision("shop:v1")
            assert labels[names.TYPE_LABEL] == role
            assert labels[names.MANAGED_LABEL] == "true"
            assert labels["app"] == "checkout"


def test_simple_set_keeps_the_labels_of_the_app() -> None:
    """[H8] Strategy simple: one set with all pods, type `simple`."""
    rollout = gen.rollout(strategy={"simple": {}}, replicas=3)
    (action,) = plan(rollout, gen.observed(), NOON).actions
    labels = action.manifest["spec"]["template"]["metadata"]["labels"]
    assert labels[names.TYPE_LABEL] == "simple"
    assert labels["app"] == "checkout"
    assert action.manifest["spec"]["replicas"] == 3


def test_set_belongs_to_its_rollout() -> None:
    """[H11] Label with the Rollout's name, and an owner that controls and blocks."""
    body = made()
    assert body["metadata"]["labels"][names.ROLLOUT_LABEL] == gen.NAME
    assert body["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "kulta.io/v1beta1",
            "kind": "Rollout",
            "name": gen.NAME,
            "uid": gen.UID,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_selector_is_the_users_with_identity() -> None:
    expression = {"key": "tier", "operator": "In", "values": ["web"]}
    body = made(selector={"matchLabels": gen.APP, "matchExpressions": [expression]})
    assert body["spec"]["selector"] == {
        "matchLabels": {
            **gen.APP,
            names.ROLLOUT_LABEL: gen.NAME,
            names.HASH_LABEL: gen.revision("shop:v1"),
        },
        "matchExpressions": [expression],
    }
    assert names.TYPE_LABEL not in body["spec"]["selector"]["matchLabels"]


def test_two_rollouts_never_share_pods() -> None:
    """[H13] Same template, same namespace: disjoint selectors."""
    one, other = made(), made(name="other")
    mine, theirs = (body["spec"]["selector"]["matchLabels"] for body in (one, other))
    assert mine[names.ROLLOUT_LABEL] != theirs[names.ROLLOUT_LABEL]
    pods = other["spec"]["template"]["metadata"]["labels"]
    assert any(pods.get(key) != value for key, value in mine.items())


def test_template_is_kept_as_the_user_wrote_it() -> None:
    template = {
        "metadata": {"labels": dict(gen.APP), "annotations": {"note": "kept"}},
        "spec": {"containers": [{"name": "a", "image": "b"}], "nodeSelector": {"disk": "ssd"}},
    }
    body = made(template=template)["spec"]["template"]
    assert body["spec"] == template["spec"]
    assert body["metadata"]["annotations"] == {"note": "kept"}


def test_templates_are_kept_up_to_a_size() -> None:
    """An annotation has its limits; the number is always there."""
    rollout = gen.rollout()
    empty = len(hashing.canonical({"spec": ""}))
    for length, kept in ((revisions.LARGEST, True), (revisions.LARGEST + 1, False)):
        template = {"spec": "x" * (length - empty)}
        body = revisions.replica_set(rollout, "a", 1, "canary", template, number=7)
        notes = body["metadata"]["annotations"]
        assert notes[names.REVISION_ANNOTATION] == "7"
        assert (names.TEMPLATE_ANNOTATION in notes) is kept


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        pytest.param({"operator": "In", "values": ["a", "b"]}, "tier in (a,b)", id="in"),
        pytest.param({"operator": "NotIn", "values": ["a"]}, "tier notin (a)", id="not in"),
        pytest.param({"operator": "Exists"}, "tier", id="exists"),
        pytest.param({"operator": "DoesNotExist"}, "!tier", id="does not exist"),
    ],
)
def test_selector_for_autoscalers(expression: dict[str, Any], text: str) -> None:
    selector = {"matchLabels": gen.APP, "matchExpressions": [{"key": "tier", **expression}]}
    labels = {"metadata": {"labels": {**gen.APP, "tier": "a"}}}
    rollout = gen.rollout(selector=selector, template=labels)
    assert revisions.selector_text(rollout) == f"app=checkout,{text},{names.ROLLOUT_LABEL}=checkout"


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        pytest.param({"matchLabels": gen.APP}, "app=checkout", id="the spec's own"),
        pytest.param({}, "as=before", id="the one of before, while a Deployment's is not known"),
    ],
)
def test_selector_beside_a_deployment(selector: dict[str, Any], text: str) -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "old"}
    rollout = gen.rollout(
        selector=selector, workloadRef=reference, status={"selector": "as=before"}
    )
    own = f",{names.ROLLOUT_LABEL}={gen.NAME}" if selector else ""
    assert revisions.selector_text(rollout) == text + own
