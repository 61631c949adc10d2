"""`fleet cluster add`, `list` and `check` on real API servers: a hub and a member to be registered.

What was written is judged by the audit logs, what the hub may do by the member's own access reviews
with the kubeconfig that was written. Refusals are golden: the exact sentence, the exit code, and no
write anywhere. No token is ever said (`Console` looks at every word).
"""

import base64
import contextlib
import io
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from e2e.conftest import BODIES
from e2e.ground import hub as hubs
from e2e.ground.controlplane import ControlPlane, Options
from e2e.ground.planes import Planes
from fleet.api import names
from fleet.cli.inspection import rights
from fleet.cli.main import main

LEAN = Options(controller_manager=False, scheduler=False, audit=BODIES)
ACCOUNT = "system:serviceaccount:kulta-system:kulta-fleet-hub"
_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    def lines(self, verb: str) -> list[str]:
        """The objects that it says it has created, changed or left unchanged."""
        rows = (line.split(maxsplit=1) for line in self.out.splitlines() if line.startswith("  "))
        return [what.partition(",")[0] for said, what in rows if said == verb]


@dataclass(frozen=True, kw_only=True)
class Console:
    """An administrator's shell: one namespace of the hub, the member's kubeconfig at hand."""

    hub: ControlPlane
    member: ControlPlane
    namespace: str
    folder: Path

    def fleet(self, *words: str, hub: ControlPlane | None = None) -> Said:
        """`fleet cluster …` in this namespace, as the entry point runs it."""
        where = ("-n", self.namespace, "--hub-kubeconfig", str((hub or self.hub).kubeconfig))
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["fleet", "cluster", *words, *where]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        said = Said(code=int(ended.value.code or 0), out=out.getvalue(), err=err.getvalue())
        secrets = ("eyJ", *self.hub.tokens.values(), *self.member.tokens.values())
        assert not [item for item in secrets if item in said.out + said.err]
        return said

    def add(self, name: str, *words: str) -> Said:
        """`fleet cluster add`, as the member's administrator; it must succeed."""
        said = self.fleet("add", name, "--kubeconfig", str(self.member.kubeconfig), *words)
        assert said.code == 0, said.err
        return said

    def get(self, resource: names.Resource, name: str) -> dict[str, Any]:
        """An object of the hub."""
        code, found = self.hub.call("GET", resource.path(self.namespace, name))
        assert code == 200, found
        return dict(found)

    def kubeconfig(self, name: str) -> Path:
        """The kubeconfig that was written for the hub."""
        data = self.get(names.SECRETS, name)["data"]["kubeconfig"]
        path = self.folder / f"{name}.kubeconfig"
        path.write_bytes(base64.b64decode(data))
        return path

    def may(self, name: str, *questions: dict[str, str]) -> list[bool]:
        """The member's answers to access reviews, asked with the hub's kubeconfig."""
        reviews = [
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": question},
            }
            for question in questions
        ]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
        use = f"--kubeconfig={self.kubeconfig(name)}"
        said = self.member.kubectl("create", "-f", "-", "-o", "json", use, stdin=text)
        return [item["status"].get("allowed", False) for item in documents(said)]

    @contextlib.contextmanager
    def nothing_written(self) -> Iterator[None]:
        """No write in hub or member; trying one (dry run) writes nothing."""
        marks = [(plane, plane.audit.mark()) for plane in (self.hub, self.member)]
        yield
        assert [written(plane, mark) for plane, mark in marks] == [[], []]


def documents(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects one after the other, as kubectl prints what it has created."""
    while text := text.lstrip():
        found, end = json.JSONDecoder().raw_decode(text)
        text = text[end:]
        yield found


def written(plane: ControlPlane, since: int) -> list[str]:
    """What the administrator wrote, as `verb resource namespace/name`."""
    return [
        f"{item.verb} {item.resource} {item.namespace}/{item.name}"
        for item in plane.audit.read(since=since, user="admin", writes=True)
        if "dryRun" not in item.uri and "selfsubject" not in item.resource
    ]


@pytest.fixture(scope="module")
def planes_used(planes: Planes) -> tuple[ControlPlane, ControlPlane]:
    hub, member = planes("fleet-hub", "newcomer", options=LEAN)
    hubs.prepare(hub)
    return hub, member


@pytest.fixture
def console(planes_used: tuple[ControlPlane, ControlPlane], tmp_path: Path) -> Console:
    """A shell with a namespace of its own in the hub."""
    hub, member = planes_used
    namespace = hub.add_namespace(f"admin-{next(_numbers)}")
    return Console(hub=hub, member=member, namespace=namespace, folder=tmp_path)


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


GIVEN = ("--namespaces", "checkout")
USAGE = [
    pytest.param(
        (), "Usage: --namespaces: is missing: write those that Applications may use", id="nowhere"
    ),
    pytest.param(
        ("--namespaces", "checkout,kube-system"),
        "Usage: --namespaces kube-system: belongs to the cluster itself: "
        "write namespaces of your own",
        id="a namespace of the cluster",
    ),
    pytest.param(
        ("--namespaces", "kulta-system"),
        "Usage: --namespaces kulta-system: belongs to the cluster itself: "
        "write namespaces of your own",
        id="the engine's namespace",
    ),
    pytest.param(
        (*GIVEN, "--engine", "Automatic"),
        "Usage: --engine Automatic: write Managed or External",
        id="an engine mode that nobody knows",
    ),
    pytest.param(
        (*GIVEN, "--labels", "ring"),
        "Usage: --labels 'ring': write key=value, key=value, …",
        id="a label without a value",
    ),
    pytest.param(
        (*GIVEN, "--context", "moon"),
        "Usage: {kubeconfig}: no context 'moon': write one of newcomer",
        id="an unknown context",
    ),
    pytest.param(
        ("--renew",),
        "Usage: --renew: {namespace}/eu-7 is not registered: leave out --renew",
        id="nothing to renew",
    ),
    pytest.param(
        ("--renew", *GIVEN),
        "Usage: --renew only writes a token: leave out the other options, or it",
        id="a renewal that extends",
    ),
]


@pytest.mark.parametrize(("words", "sentence"), USAGE)
def test_wrong_usage_is_refused_before_anything_is_written(
    console: Console, words: tuple[str, ...], sentence: str
) -> None:
    kubeconfig = str(console.member.kubeconfig)
    with console.nothing_written():
        said = console.fleet("add", "eu-7", "--kubeconfig", kubeconfig, *words)
    expected = sentence.format(kubeconfig=kubeconfig, namespace=console.namespace)
    assert (said.err, said.out, said.code) == (f"{expected}\n", "", 2)


def kubeconfig(console: Console, **cluster: Any) -> str:
    """The administrator's kubeconfig of the member with parts of its cluster replaced."""
    document = yaml.safe_load(console.member.kubeconfig.read_text())
    token = cluster.pop("token", None)
    block = {**document["clusters"][0]["cluster"], **cluster}
    document["clusters"][0]["cluster"] = {k: v for k, v in block.items() if v is not None}
    if token:
        document["users"][0]["user"] = {"token": token}
    path = console.folder / "changed.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


CLUSTERS: list[Any] = [
    pytest.param(
        {"insecure-skip-tls-verify": True, "certificate-authority-data": None},
        "KubeconfigRefused: the member's kubeconfig has insecure-skip-tls-verify: the hub verifies "
        "certificates: write certificate-authority-data instead",
        id="no verification",
    ),
    pytest.param(
        {"server": "http://127.0.0.1:8080"},
        "KubeconfigRefused: kubeconfig clusters[eu-7].server: is not https; write https://host:port",
        id="plain http",
    ),
    pytest.param(
        {"server": "https://127.0.0.1:1"},
        "error: the member https://127.0.0.1:1 does not answer (connection refused): "
        "is this its address?",
        id="nobody there",
    ),
    pytest.param(
        {"certificate-authority-data": None},
        "error: the member {member} has a certificate that does not verify "
        "(unable to get local issuer certificate): correct the authority",
        id="a certificate of another authority",
    ),
    pytest.param(
        {"tls-server-name": "elsewhere.example.com"},
        "error: the member {member} has a certificate that does not verify "
        "(Hostname mismatch, certificate is not valid for 'elsewhere.example.com'.): "
        "correct the authority",
        id="a certificate of another name",
    ),
    pytest.param(
        {"token": "nobody-knows-me"},
        "error: the member {member} does not know these credentials: "
        "use a kubeconfig that is valid there",
        id="wrong credentials",
    ),
]


@pytest.mark.parametrize(("cluster", "sentence"), CLUSTERS)
def test_a_member_that_cannot_be_used_is_refused_before_anything_is_written(
    console: Console, cluster: dict[str, Any], sentence: str
) -> None:
    with console.nothing_written():
        said = console.fleet("add", "eu-7", "--kubeconfig", kubeconfig(console, **cluster), *GIVEN)
    expected = sentence.format(member=console.member.server)
    assert (said.err, said.out, said.code) == (f"{expected}\n", "", 1)


def test_somebody_who_is_no_administrator_is_told_what_lacks(console: Console) -> None:
    console.add("first", *GIVEN)
    token = console.member.mint("kulta-fleet-hub", "kulta-system")
    console.hub.call("DELETE", names.MEMBERCLUSTERS.path(console.namespace, "first"))
    file = kubeconfig(console, token=token)
    with console.nothing_written():
        said = console.fleet("add", "eu-7", "--kubeconfig", file, *GIVEN)
    user = "system:serviceaccount:kulta-system:kulta-fleet-hub"
    assert (said.err, said.code) == (
        f'error: the member {console.member.server} refuses: namespaces "kulta-system" is '
        f'forbidden: User "{user}" cannot patch resource "namespaces" in API group "" in the '
        'namespace "kulta-system": use the kubeconfig of an administrator\n',
        1,
    )


def test_one_cluster_has_one_name_and_one_name_one_cluster(console: Console) -> None:
    console.add("eu-7", *GIVEN)
    uid = console.member.call("GET", names.NAMESPACES.path(None, "kube-system"))[1]["metadata"][
        "uid"
    ]
    own = str(console.member.kubeconfig)
    with console.nothing_written():
        twin = console.fleet("add", "eu-8", "--kubeconfig", own, *GIVEN)
        other = console.fleet("add", "eu-7", "--kubeconfig", str(console.hub.kubeconfig), *GIVEN)
    assert (twin.err, twin.code) == (
        f"DuplicateCluster: eu-8 and eu-7 are the same cluster (kube-system {uid}): "
        "use the name eu-7, or delete that MemberCluster first\n",
        1,
    )
    hub = console.hub.call("GET", names.NAMESPACES.path(None, "kube-system"))[1]["metadata"]["uid"]
    assert (other.err, other.code) == (
        f"DuplicateCluster: {console.namespace}/eu-7 is another cluster (kube-system {uid}, "
        f"this one is {hub}): choose another name, or delete that MemberCluster first\n",
        1,
    )


def test_a_hub_that_cannot_take_it_is_told_first(console: Console) -> None:
    own = ("--kubeconfig", str(console.member.kubeconfig))
    with console.nothing_written():
        bare = console.fleet("add", "eu-7", *own, *GIVEN, hub=console.member)
        nowhere = replace(console, namespace="moon").fleet("add", "eu-7", *own, *GIVEN)
        name = console.fleet("add", "eu.7", *own, *GIVEN)
    server = console.hub.server
    assert (bare.err, bare.code) == (
        f"CrdsMissing: the hub {console.member.server} has no CRDs of Kulta Fleet: "
        "`kubectl apply -f crds/` there\n",
        1,
    )
    assert (nowhere.err, nowhere.code) == (
        f"NamespaceNotFound: the hub {server} has no namespace moon: "
        "create it there, or correct -n\n",
        1,
    )
    assert (name.err, name.code) == (
        f'error: the hub {server} says: MemberCluster.fleet.kulta.io "eu.7" is invalid: '
        "metadata.name: Invalid value: a MemberCluster's name becomes part of other names: "
        "1 to 63 lower-case letters, digits and dashes, no dots\n",
        1,
    )


def test_a_file_that_is_no_kubeconfig_is_not_quoted(console: Console) -> None:
    path = console.folder / "broken.yaml"
    path.write_text("token: hunter2\n\t: [")
    said = console.fleet("add", "eu-7", "--kubeconfig", str(path), *GIVEN)
    assert (said.err, said.code) == (
        f"Usage: {path}: is no kubeconfig: write the output of `kubectl config view --raw`\n",
        2,
    )
