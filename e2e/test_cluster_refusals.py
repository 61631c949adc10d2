"""What `fleet cluster add` refuses: the exact sentence, the exit code, and no write anywhere.

The tables are golden: a change of words is seen in review.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.console import Console, opened
from e2e.ground.controlplane import ControlPlane
from fleet.api import names

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


@pytest.fixture
def console(newcomers: tuple[ControlPlane, ControlPlane], tmp_path: Path) -> Console:
    return opened(newcomers, tmp_path)


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
        'namespace "kulta-system": use the kubeconfig of an administrator, or have it granted\n',
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
        f"NotFound: {console.member.server} is no hub: "
        "kubectl apply -f crds/ -f deploy/hub/ there\n",
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
