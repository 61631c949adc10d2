"""`fleet cluster add`, `list` and `check` on real API servers: a hub and a member to be registered.

What was written is judged by the audit logs, what the hub may do by the member's own access reviews
with the kubeconfig that was written.
"""

import json
from pathlib import Path

import pytest
import yaml

from e2e.console import Console, opened, written
from e2e.ground.controlplane import ControlPlane
from fleet.api import names
from fleet.cli.inspection import rights

ACCOUNT = "system:serviceaccount:kulta-system:kulta-fleet-hub"


@pytest.fixture
def console(newcomers: tuple[ControlPlane, ControlPlane], tmp_path: Path) -> Console:
    return opened(newcomers, tmp_path)


def test_it_makes_what_the_table_says_and_a_second_time_nothing(console: Console) -> None:
    marks = console.hub.audit.mark(), console.member.audit.mark()
    spaces = [f"{console.namespace}-a", f"{console.namespace}-b"]
    words = ("--namespaces", ",".join(spaces), "--labels", "ring=canary", "--vars", "domain=x.org")
    first = console.add("eu-7", *words)
    assert first.lines("created")[-2:] == [
        f"Secret {console.namespace}/eu-7",
        f"MemberCluster {console.namespace}/eu-7",
    ]
    made = written(console.member, marks[1])
    rbac = "rbac.authorization.k8s.io"
    expected = [
        *(f"patch namespaces {name}/{name}" for name in ("kulta-system", *spaces)),
        "patch customresourcedefinitions.apiextensions.k8s.io /rollouts.kulta.io",
        *(
            text
            for name in ("kulta-controller", "kulta-fleet-hub")
            for text in (
                f"patch serviceaccounts kulta-system/{name}",
                f"patch clusterroles.{rbac} /{name}",
                f"patch clusterrolebindings.{rbac} /{name}",
                f"patch roles.{rbac} kulta-system/{name}",
                f"patch rolebindings.{rbac} kulta-system/{name}",
            )
        ),
        *(f"patch roles.{rbac} {name}/kulta-fleet-hub" for name in spaces),
        *(f"patch rolebindings.{rbac} {name}/kulta-fleet-hub" for name in spaces),
        "create serviceaccounts kulta-system/kulta-fleet-hub",
    ]
    assert sorted(made) == sorted(expected)
    assert written(console.hub, marks[0]) == [
        f"patch secrets {console.namespace}/eu-7",
        f"patch memberclusters.fleet.kulta.io {console.namespace}/eu-7",
    ]
    with console.nothing_written():
        again = console.add("eu-7", *words)
    assert again.lines("created") == again.lines("changed") == []
    assert len(again.lines("unchanged")) == len(first.lines("created"))


def test_the_secret_and_the_member_are_as_the_hub_wants_them(console: Console) -> None:
    console.add("eu-7", "--namespaces", "checkout", "--prometheus", "http://prometheus:9090")
    secret = console.get(names.SECRETS, "eu-7")
    assert secret["metadata"]["labels"] == {"fleet.kulta.io/kubeconfig": "true"}
    kubeconfig = yaml.safe_load(console.kubeconfig("eu-7").read_text())
    assert kubeconfig["clusters"][0]["cluster"]["server"] == console.member.server
    assert list(kubeconfig["users"][0]["user"]) == ["token"]
    assert console.get(names.MEMBERCLUSTERS, "eu-7")["spec"] == {
        "kubeconfig": {"secretRef": {"name": "eu-7", "key": "kubeconfig"}},
        "allowedNamespaces": ["checkout"],
        "engine": {"mode": "Managed"},
        "prometheus": {"address": "http://prometheus:9090"},
    }


def test_what_is_not_said_again_stays(console: Console) -> None:
    first, second = f"{console.namespace}-a", f"{console.namespace}-b"
    console.add("eu-7", "--namespaces", first, "--labels", "ring=canary", "--engine", "External")
    services = {"verb": "create", "resource": "services", "namespace": second}
    assert console.may("eu-7", services) == [False]
    said = console.add("eu-7", "--namespaces", second, "--vars", "domain=x.org")
    assert said.lines("created") == [
        f"Namespace {second}",
        f"Role {second}/kulta-fleet-hub",
        f"RoleBinding {second}/kulta-fleet-hub",
    ]
    assert said.lines("changed") == [f"MemberCluster {console.namespace}/eu-7"]
    assert console.may("eu-7", services) == [True]
    cluster = console.get(names.MEMBERCLUSTERS, "eu-7")
    assert cluster["metadata"]["labels"] == {"ring": "canary"}
    assert cluster["spec"]["allowedNamespaces"] == [first, second]
    assert cluster["spec"]["engine"] == {"mode": "External"}
    assert cluster["spec"]["vars"] == {"domain": "x.org"}
    console.add("eu-7", "--labels", "")
    assert "labels" not in console.get(names.MEMBERCLUSTERS, "eu-7")["metadata"]


def test_renewing_writes_a_token_and_nothing_else(console: Console) -> None:
    console.add("eu-7", "--namespaces", "checkout")
    before = yaml.safe_load(console.kubeconfig("eu-7").read_text())
    marks = console.hub.audit.mark(), console.member.audit.mark()
    said = console.add("eu-7", "--renew")
    assert said.lines("changed") == [f"Secret {console.namespace}/eu-7"]
    assert written(console.hub, marks[0]) == [f"update secrets {console.namespace}/eu-7"]
    made = written(console.member, marks[1])
    assert made == ["create serviceaccounts kulta-system/kulta-fleet-hub"]
    after = yaml.safe_load(console.kubeconfig("eu-7").read_text())
    assert after["users"][0]["user"].pop("token") != before["users"][0]["user"].pop("token")
    assert after == before
    assert console.may("eu-7", {"verb": "list", "resource": "rollouts", "group": "kulta.io"})


def test_a_token_that_the_member_no_longer_knows_is_repaired(console: Console) -> None:
    console.add("eu-7", "--namespaces", "checkout")
    path = names.SERVICEACCOUNTS.path("kulta-system", "kulta-fleet-hub")
    console.member.call("DELETE", path)
    said = console.add("eu-7")
    assert said.lines("created") == ["ServiceAccount kulta-system/kulta-fleet-hub"]
    assert said.lines("changed") == [f"Secret {console.namespace}/eu-7"]
    assert console.fleet("check", "eu-7").code == 0


def test_the_hub_may_do_exactly_what_is_listed(console: Console) -> None:
    console.add("eu-7", "--namespaces", "checkout")
    listed = [dict(right) for right in rights(["checkout"])]
    answers = console.may("eu-7", *listed)
    assert [right for right, held in zip(listed, answers, strict=True) if not held] == []
    beyond = [
        {"verb": "get", "resource": "secrets", "namespace": "checkout"},
        {"verb": "list", "resource": "pods", "namespace": "checkout"},
        {"verb": "create", "resource": "services", "namespace": "default"},
        {"verb": "patch", "resource": "services", "namespace": "checkout"},
        {"verb": "get", "group": "kulta.io", "resource": "rollouts", "namespace": "default"},
        {"verb": "patch", "group": "kulta.io", "resource": "rollouts", "namespace": "kulta-system"},
        {"verb": "patch", "group": "apps", "resource": "deployments", "namespace": "kulta-system"},
        {"verb": "create", "group": "apps", "resource": "deployments", "namespace": "checkout"},
        {
            "verb": "create",
            "resource": "serviceaccounts",
            "subresource": "token",
            "namespace": "kulta-system",
            "name": "kulta-controller",
        },
        {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "checkout"},
        {"verb": "get", "resource": "namespaces", "name": "checkout"},
        {"verb": "create", "resource": "namespaces"},
        {"verb": "impersonate", "resource": "users"},
        *(
            {"verb": verb, "group": "rbac.authorization.k8s.io", "resource": kind}
            for kind in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
            for verb in ("create", "patch", "bind", "escalate")
        ),
        {"verb": "*", "group": "*", "resource": "*"},
    ]
    answers = console.may("eu-7", *beyond)
    assert [right for right, held in zip(beyond, answers, strict=True) if held] == []
    whoami = ("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    use = f"--kubeconfig={console.kubeconfig('eu-7')}"
    assert console.member.kubectl(*whoami, use) == ACCOUNT


def test_the_list_shows_every_member_in_every_form(console: Console) -> None:
    assert console.fleet("list").err.startswith(f"no members in namespace {console.namespace}")
    console.add("eu-7", "--namespaces", "checkout", "--labels", "ring=rest,region=eu")
    plain = console.fleet("list").out.splitlines()
    assert " ".join(plain[0].split()) == (
        "NAME REACHABLE ENGINE KUBERNETES ROLLOUTS TOKEN AGE MESSAGE"
    )
    assert plain[1].split()[:6] == ["eu-7", "Unknown", "Unknown", "-", "0", "-"]
    wide = console.fleet("list", "-o", "wide").out
    assert "region=eu,ring=rest" in wide
    assert console.fleet("list", "-o", "name").out == "membercluster.fleet.kulta.io/eu-7\n"
    for form, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        (item,) = read(console.fleet("list", "-o", form).out)
        assert item["kind"] == "MemberCluster"
    wrong = console.fleet("list", "-o", "xml")
    assert (wrong.code, wrong.err) == (
        2,
        "Usage: --output xml: write table, wide, json, yaml or name\n",
    )


def test_a_check_tells_what_is_missing(console: Console) -> None:
    console.add("eu-7", "--namespaces", "checkout")
    said = console.fleet("check", "eu-7")
    assert (said.code, said.err) == (0, "")
    assert "✓ rights      all 23 of clusters/member-rbac.yaml" in said.out
    path = names.ROLEBINDINGS.path("checkout", "kulta-fleet-hub")
    console.member.call("DELETE", path)
    missing = console.fleet("check", "eu-7")
    assert missing.code == 1
    assert (
        "✗ rights      12 of 23 are missing, `fleet cluster add` again: checkout get kulta.io"
        in (missing.out)
    )
    repaired = console.add("eu-7")
    assert repaired.lines("created") == ["RoleBinding checkout/kulta-fleet-hub"]
    found = json.loads(console.fleet("check", "eu-7", "-o", "json").out)
    assert {row["what"]: row["good"] for row in found}["rights"] is True
    console.hub.call("DELETE", names.SECRETS.path(console.namespace, "eu-7"))
    lost = console.fleet("check", "eu-7")
    assert (lost.code, lost.out) == (
        1,
        f"  ✗ access      Secret {console.namespace}/eu-7 does not exist: `fleet cluster add`\n",
    )


def test_a_member_is_removed_and_its_access_taken_back(console: Console) -> None:
    """Namespaces, CRD and the engine's rights stay: something may run there."""
    console.add("eu-7", "--namespaces", f"{console.namespace}-a")
    kubeconfig = console.kubeconfig("eu-7")
    other = opened((console.hub, console.member), console.folder)
    other.add("europe", "--namespaces", f"{console.namespace}-b")
    whole = ("remove", "eu-7", "--yes", "--kubeconfig", str(console.member.kubeconfig))
    with console.nothing_written():
        asked = console.fleet("remove", "eu-7")
        shared = console.fleet(*whole)
    assert asked.code == 1
    assert asked.err == "Refused: eu-7: what runs there stays: add --yes to remove it\n"
    assert shared.code == 1
    assert f"{other.namespace}/europe" in shared.err
    assert shared.err.endswith("this access too: leave out --kubeconfig\n")
    _, found = console.hub.call("GET", names.MEMBERCLUSTERS.path())
    for meta in (item["metadata"] for item in found["items"]):
        if meta["namespace"] != console.namespace:  # those of earlier tests too
            console.hub.call("DELETE", names.MEMBERCLUSTERS.path(meta["namespace"], meta["name"]))
    done = console.fleet(*whole)
    assert done.code == 0, done.err
    assert done.lines("deleted") == [
        f"MemberCluster {console.namespace}/eu-7",
        f"Secret {console.namespace}/eu-7",
        f"RoleBinding {console.namespace}-a/kulta-fleet-hub",
        f"Role {console.namespace}-a/kulta-fleet-hub",
        "RoleBinding kulta-system/kulta-fleet-hub",
        "Role kulta-system/kulta-fleet-hub",
        "ClusterRoleBinding kulta-fleet-hub",
        "ClusterRole kulta-fleet-hub",
        "ServiceAccount kulta-system/kulta-fleet-hub",
    ]
    assert kubeconfig.exists()
    again = console.fleet("remove", "eu-7", "--yes")
    assert (again.code, "does not exist" in again.err) == (1, True)


def test_an_engine_is_asked_to_be_another_image(console: Console) -> None:
    console.add("eu-7", "--namespaces", "checkout")
    said = console.fleet("upgrade", "eu-7", "--image", "kulta-fleet:0.2.0")
    assert said.out.startswith("eu-7: engine kulta-fleet:0.2.0, instead of the hub's choice; none")
    spec = console.get(names.MEMBERCLUSTERS, "eu-7")["spec"]
    assert spec["engine"] == {"mode": "Managed", "image": "kulta-fleet:0.2.0"}
    assert console.fleet("upgrade", "eu-7").code == 0
    assert console.get(names.MEMBERCLUSTERS, "eu-7")["spec"]["engine"] == {"mode": "Managed"}
    console.add("eu-7", "--engine", "External")
    refused = console.fleet("upgrade", "eu-7", "--image", "x:1")
    assert refused.err == (
        "Refused: eu-7: its engine is External: whoever runs it there replaces it\n"
    )
