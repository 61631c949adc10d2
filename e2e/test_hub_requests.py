"""Who may ask for what: the shipped admission policy, on a real API server, with four users."""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.ground.controlplane import ControlPlane
from e2e.ground.waiting import until
from fleet.api.names import (
    APPLICATION_LABEL,
    CONFIGMAPS,
    FLEETROLLOUTS,
    REQUEST_ANNOTATION,
    REQUESTED_BY_ANNOTATION,
)
from tests.hub import gen
from tests.readme import ROOT
from tests.shell import fleet

POLICY = ROOT / "deploy/hub/requests.yaml"
NAMESPACE = "requests"
RUN = "checkout-1"
OTHER = "second-1"
"""A run of which nobody has asked anything."""
PEOPLE = {"joe": "editor", "jane": "approver"}
USERS = ("nobody", "editor", "approver")
APPROVER = "kulta-fleet-approver"
TEMPLATES = "checkout-templates"
"""The ConfigMap of which the README speaks."""


def name_of(user: str) -> str:
    return f"system:serviceaccount:{NAMESPACE}:{user}"


def needs(verb: str) -> str:
    return (
        f"{name_of('editor')} may not {verb}: it needs that verb on fleetrollouts.fleet.kulta.io "
        f"in namespace {NAMESPACE}, for example by the ClusterRole {APPROVER}"
    )


def bindings() -> Iterator[list[str]]:
    """The commands by which the README gives people their rights, with our users for them."""
    text = (ROOT / "README.md").read_text()
    lines = re.findall(r"^\$ kubectl (create role(?:binding)? .*)$", text, flags=re.MULTILINE)
    assert len(lines) == len(PEOPLE) + 2
    for line in lines:
        words = shlex.split(line.replace("-n shop", f"-n {NAMESPACE}"))
        if words[-2] == "--user":
            words[-2:] = [f"--serviceaccount={NAMESPACE}:{PEOPLE[words[-1]]}"]
        yield words


@pytest.fixture(scope="module")
def tenant(our_kinds: ControlPlane) -> Iterator[ControlPlane]:
    """A run, three users beside the administrator, and the policy as it is shipped."""
    plane = our_kinds
    plane.add_namespace(NAMESPACE)
    for user in USERS:
        meta = {"name": user, "namespace": NAMESPACE}
        plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
        plane.tokens[user] = plane.mint(user, NAMESPACE)
    plane.apply(POLICY)
    for words in bindings():
        plane.kubectl(*words)
    meta = {"name": TEMPLATES, "namespace": NAMESPACE}
    plane.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    run = gen.run(gen.wave("eu", "a")).manifest()
    run |= {"apiVersion": FLEETROLLOUTS.api_version, "kind": FLEETROLLOUTS.kind}
    labels = {APPLICATION_LABEL: run["spec"]["application"]["name"]}
    for name in (RUN, OTHER):
        run["metadata"] = {"name": name, "namespace": NAMESPACE, "labels": labels}
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
        pytest.param("editor", "resume/2", "", 200, "", id="and resume"),
        pytest.param("editor", "retry/2", "", 200, "", id="and retry"),
        pytest.param("editor", "abort/2", "", 200, "", id="and abort"),
        pytest.param("editor", "", "", 200, "", id="and ask nothing"),
        pytest.param("editor", "approve/3/eu:x", "", 422, needs("approve"), id="not approve"),
        pytest.param("editor", "promote/4", "", 422, needs("promote"), id="not promote"),
        pytest.param("editor", "conclude/4", "", 422, needs("conclude"), id="not conclude"),
        pytest.param("editor", "skip/5/eu", "", 422, needs("skip"), id="not skip"),
        pytest.param("editor", "rollback/6", "", 422, needs("rollback"), id="not roll back"),
        pytest.param("editor", "undo/6/checkout-1", "", 422, needs("undo"), id="not undo"),
        pytest.param(
            "editor", "confirm-prune/6/x", "", 422, needs("confirm-prune"), id="not confirm a prune"
        ),
        pytest.param("editor", "overtake/6", "", 422, needs("overtake"), id="nor what comes later"),
        pytest.param("editor", "/6", "", 422, needs(""), id="nor what has no name"),
        pytest.param("approver", "approve/7/eu:x", "", 200, "", id="an approver may approve"),
        pytest.param("approver", "conclude/7/eu", "", 200, "", id="and conclude"),
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


@pytest.mark.parametrize(
    ("user", "name", "code"),
    [
        pytest.param("editor", TEMPLATES, 200, id="who was given them by name"),
        pytest.param("editor", "kube-root-ca.crt", 403, id="and no other one"),
        pytest.param("approver", TEMPLATES, 403, id="nobody else"),
    ],
)
def test_who_may_write_templates(tenant: ControlPlane, user: str, name: str, code: int) -> None:
    path = CONFIGMAPS.path(NAMESPACE, name)
    assert tenant.call("PATCH", path, {"data": {"_macros.j2": user}}, user=user)[0] == code


@pytest.mark.parametrize(
    ("user", "code", "words"),
    [
        pytest.param("nobody", 1, "forbidden", id="nobody may look at it"),
        pytest.param("editor", 1, needs("rollback"), id="an editor may look, not roll back"),
        pytest.param("approver", 0, f"{OTHER}: asked to rollback", id="an approver may"),
    ],
)
def test_the_rights_of_the_readme_are_enough_for_the_commands(
    tenant: ControlPlane, tmp_path: Path, user: str, code: int, words: str
) -> None:
    config = tenant.write_kubeconfig(tmp_path / user, tenant.tokens[user])
    done = fleet("rollback", OTHER, "--no-wait", "--kubeconfig", str(config), "-n", NAMESPACE)
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done
