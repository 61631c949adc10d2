"""Who may ask for what: the shipped admission policy, on a real API server, with four users."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.ground.controlplane import ControlPlane
from e2e.ground.waiting import until
from fleet.api.names import FLEETROLLOUTS, REQUEST_ANNOTATION, REQUESTED_BY_ANNOTATION
from tests.hub import gen
from tests.readme import ROOT

POLICY = ROOT / "deploy/hub/requests.yaml"
NAMESPACE = "requests"
RUN = "checkout-1"
EDIT = {"apiGroups": ["fleet.kulta.io"], "resources": ["fleetrollouts"], "verbs": ["get", "patch"]}
USERS = ("nobody", "editor", "approver")
APPROVER = "kulta-fleet-approver"


def name_of(user: str) -> str:
    return f"system:serviceaccount:{NAMESPACE}:{user}"


def needs(verb: str) -> str:
    return (
        f"{name_of('editor')} may not {verb}: it needs that verb on fleetrollouts.fleet.kulta.io "
        f"in namespace {NAMESPACE}, for example by the ClusterRole {APPROVER}"
    )


def rbac(kind: str, name: str, **body: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": meta, **body}


def bound(user: str, kind: str, role: str) -> dict[str, Any]:
    subject = {"kind": "ServiceAccount", "name": user, "namespace": NAMESPACE}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
    return rbac("RoleBinding", user, roleRef=ref, subjects=[subject])


@pytest.fixture(scope="module")
def tenant(our_kinds: ControlPlane) -> Iterator[ControlPlane]:
    """A run, three users beside the administrator, and the policy as it is shipped."""
    plane = our_kinds
    plane.add_namespace(NAMESPACE)
    for user in USERS:
        meta = {"name": user, "namespace": NAMESPACE}
        plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
        plane.tokens[user] = plane.mint(user, NAMESPACE)
    plane.apply(rbac("Role", "editor", rules=[EDIT]), bound("editor", "Role", "editor"))
    plane.apply(POLICY, bound("approver", "ClusterRole", APPROVER))
    run = gen.run(gen.wave("eu", "a")).manifest()
    run |= {"apiVersion": FLEETROLLOUTS.api_version, "kind": FLEETROLLOUTS.kind}
    run["metadata"] = {"name": RUN, "namespace": NAMESPACE}
    code, answer = plane.call("POST", FLEETROLLOUTS.path(NAMESPACE), run)
    assert code == 201, answer
    # Each time another request: what was written before the policy came into force may stand.
    asks = (f"approve/probe-{number}/eu:x" for number in itertools.count())
    until(lambda: ask(plane, "editor", next(asks))[0] == 422, "it is in force", within=20)
    yield plane
    for item in yaml.safe_load_all(POLICY.read_text()):
        plane.kubectl("delete", item["kind"].lower(), item["metadata"]["name"])


def ask(plane: ControlPlane, user: str, text: str, by: str = "") -> tuple[int, str]:
    """The user writes that request, in its own name or in that of `by`."""
    notes = {REQUEST_ANNOTATION: text, REQUESTED_BY_ANNOTATION: name_of(by or user)}
    body = {"metadata": {"annotations": notes}}
    code, answer = plane.call("PATCH", FLEETROLLOUTS.path(NAMESPACE, RUN), body, user=user)
    return code, answer.get("message", "")


@pytest.mark.parametrize(
    ("user", "text", "by", "code", "words"),
    [
        pytest.param("nobody", "pause/1", "", 403, "cannot patch", id="who may not patch"),
        pytest.param("editor", "pause/2", "", 200, "", id="an editor may pause"),
        pytest.param("editor", "approve/3/eu:x", "", 422, needs("approve"), id="not approve"),
        pytest.param("editor", "promote/4", "", 422, needs("promote"), id="not promote"),
        pytest.param("editor", "skip/5/eu", "", 422, needs("skip"), id="not skip"),
        pytest.param("editor", "rollback/6", "", 422, needs("rollback"), id="not roll back"),
        pytest.param("editor", "undo/6/checkout-1", "", 422, needs("undo"), id="not undo"),
        pytest.param("approver", "approve/7/eu:x", "", 200, "", id="an approver may approve"),
        pytest.param("approver", "rollback/8", "", 200, "", id="and roll back"),
        pytest.param("approver", "undo/8/checkout-1", "", 200, "", id="and undo"),
        pytest.param(
            "approver", "approve/9/eu:x", "jane", 422,
            f"fleet.kulta.io/requested-by must be your own name: {name_of('approver')}",
            id="but not in another one's name",
        ),
        pytest.param(
            "editor", "approve/7/eu:x", "approver", 422, "must be your own name",
            id="nor an editor in an approver's",
        ),
    ],
)  # fmt: skip
def test_who_may_ask_for_what(
    tenant: ControlPlane, user: str, text: str, by: str, code: int, words: str
) -> None:
    found, said = ask(tenant, user, text, by)
    assert (found, words in said) == (code, True), said


def test_a_request_that_stands_hinders_no_other_change(tenant: ControlPlane) -> None:
    """An editor may change what an approver has signed, but not the signature."""
    assert ask(tenant, "approver", "approve/20/eu:x")[0] == 200
    path = FLEETROLLOUTS.path(NAMESPACE, RUN)
    labels = {"metadata": {"labels": {"seen": "yes"}}}
    assert tenant.call("PATCH", path, labels, user="editor")[0] == 200
    forged = {"metadata": {"annotations": {REQUESTED_BY_ANNOTATION: name_of("editor")}}}
    assert tenant.call("PATCH", path, forged, user="editor")[0] == 422
