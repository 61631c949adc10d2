"""What is shipped to clusters: manifests parse, ours fit the models, the image is as they say.

There is no container engine here: the Dockerfile is read line by line instead, and what it installs
is what `pyproject.toml` says. `e2e/test_manifests.py` shows the manifests to a real API server.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from fleet import __version__, settings
from fleet.api import Application, Fleet, MemberCluster, Rollout
from fleet.hub.core.run import requests
from fleet.kit.documents import every
from fleet.kulta.core.facts import revisions
from tests import gen
from tests.readme import ROOT

MODELS = {model.__name__: model for model in (Application, Fleet, MemberCluster, Rollout)}
FILES = sorted(
    path
    for folder in ("deploy", "clusters", "examples")
    for path in (ROOT / folder).rglob("*.yaml")
    if "invalid" not in path.parts and path.name != "prometheus-relabel.yaml"
)
LINES = [
    line.split(maxsplit=1)
    for line in (ROOT / "Dockerfile").read_text().splitlines()
    if line and not line.startswith("#")
]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def documents(path: Path) -> list[dict[str, Any]]:
    return [item for item in every(path.read_text()) if item]


def deployments(path: Path) -> list[dict[str, Any]]:
    return [item for item in documents(path) if item["kind"] == "Deployment"]


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_manifest_says_what_it_is_and_ours_fit_the_models(path: Path) -> None:
    for item in documents(path):
        assert item["apiVersion"]
        assert item["metadata"]["name"]
        if item["apiVersion"].partition("/")[0].endswith("kulta.io"):
            MODELS[item["kind"]].parse(item, strict=True)


RUNNING = [path for path in FILES if deployments(path)]


def test_the_hub_and_the_engine_run_in_clusters() -> None:
    assert {path.relative_to(ROOT / "deploy").parts[0] for path in RUNNING} == {"hub", "engine"}


def test_an_engine_for_one_namespace_has_the_same_rights_there() -> None:
    """But for definitions, which belong to no namespace; and its Lease stands beside its work."""
    everywhere = documents(ROOT / "clusters" / "engine-rbac.yaml")
    here = documents(ROOT / "deploy" / "engine" / "namespaced" / "engine.yaml")
    granted = [rule for item in everywhere for rule in item.get("rules", ())]
    wanted = [rule for rule in granted if rule["apiGroups"] != ["apiextensions.k8s.io"]]
    assert [rule for item in here for rule in item.get("rules", ())] == wanted
    assert not [item["kind"] for item in here if item["kind"].startswith("Cluster")]
    assert {item["metadata"]["namespace"] for item in here} == {"shop"}
    (alone,), (all_,) = (
        deployments(ROOT / "deploy" / "engine" / path)
        for path in ("namespaced/engine.yaml", "deployment.yaml")
    )
    (container,) = alone["spec"]["template"]["spec"]["containers"]
    assert container.pop("args") == ["run", "engine", "--namespace", "$(POD_NAMESPACE)"]
    del all_["spec"]["template"]["spec"]["containers"][0]["args"]
    assert alone["spec"] == all_["spec"]


def test_the_engine_may_hold_up_the_deletion_of_what_it_owns_for() -> None:
    """Who protects owner references (OpenShift does) asks for that, or no set could be made."""
    assert revisions.owner(gen.rollout())["blockOwnerDeletion"] is True
    for path in ("clusters/engine-rbac.yaml", "deploy/engine/namespaced/engine.yaml"):
        rules = [rule for item in documents(ROOT / path) for rule in item.get("rules", ())]
        wanted = ["rollouts/finalizers"]
        assert [rule["verbs"] for rule in rules if rule["resources"] == wanted] == [["update"]]


@pytest.mark.parametrize("path", RUNNING, ids=named)
def test_what_runs_in_clusters_is_locked_down(path: Path) -> None:
    for item in deployments(path):
        spec = item["spec"]["template"]["spec"]
        for container in spec["containers"]:
            context = spec.get("securityContext", {}) | container["securityContext"]
            assert container["image"] == f"kulta-fleet:{__version__}" == settings.ENGINE_IMAGE
            assert context["runAsNonRoot"] is True
            assert context["runAsUser"] == 65_532
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert container["args"][0] == "run"


@pytest.mark.parametrize("path", RUNNING, ids=named)
def test_whether_it_lives_is_asked_where_it_listens(path: Path) -> None:
    """And no port is named that nobody would serve."""
    listens = settings.engine({"POD_NAME": "engine-1", "HOME": "/nowhere"}).listen_port
    for item in deployments(path):
        (container,) = item["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")]
        assert [ports[probe["port"]] for probe in probes] == [listens, listens]
        assert (set(ports.values()), "--port" in container["args"]) == ({listens}, False)


@pytest.mark.parametrize("path", [path for path in RUNNING if path.parent.name != "hub"], ids=named)
def test_one_of_two_engines_is_left_while_nodes_are_drained(path: Path) -> None:
    """A stand-by and its leader are not evicted at once, and whether they live is asked."""
    (item,) = deployments(path)
    (budget,) = (x for x in documents(path) if x["kind"] == "PodDisruptionBudget")
    spec, (container,) = item["spec"], item["spec"]["template"]["spec"]["containers"]
    assert (spec["replicas"], budget["spec"]["maxUnavailable"]) == (2, 1)
    assert budget["spec"]["selector"] == spec["selector"]
    assert budget["metadata"]["namespace"] == item["metadata"]["namespace"]
    paths = [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")]
    assert paths == ["/healthz", "/readyz"]


def test_every_account_that_a_pod_uses_is_made() -> None:
    everything = [item for path in FILES for item in documents(path)]
    made = {
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in everything
        if item["kind"] == "ServiceAccount"
    }
    for item in everything:
        if item["kind"] == "Deployment":
            account = item["spec"]["template"]["spec"]["serviceAccountName"]
            assert (item["metadata"]["namespace"], account) in made


def test_approvers_may_ask_for_all_that_is_not_free() -> None:
    """And nothing is free, or given, that the hub does not understand."""
    found = documents(ROOT / "deploy/hub/requests.yaml")
    rules = " ".join(item["expression"] for item in found[0]["spec"]["validations"])
    free = set(re.findall("'([^']*)'", rules.partition("variables.verb in [")[2].partition("]")[0]))
    approver = next(item for item in found if item["metadata"]["name"] == "kulta-fleet-approver")
    given = set(approver["rules"][0]["verbs"]) - {"get", "list", "watch", "patch"}
    assert (free | given, free & given) == (requests.VERBS.keys(), set())
    assert free == {"pause", "resume", "retry", "abort"}


def test_the_hubs_own_cluster_can_be_a_member() -> None:
    """`fleet cluster add` must not replace the rights that the hub has there already."""
    named = [
        (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
        for path in (ROOT / "deploy/hub/rbac.yaml", *(ROOT / "clusters").glob("*-rbac.yaml"))
        for item in documents(path)
    ]
    assert len(named) == len(set(named)) > 10


def test_everything_that_the_image_copies_exists_and_is_sent_to_the_build() -> None:
    sent = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for word, rest in LINES:
        if word == "COPY" and not rest.startswith("--from="):
            *sources, target = rest.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source in sent, f"{source}: .dockerignore keeps it away"
            assert len(sources) == 1 or target.endswith("/")


def test_the_image_gets_every_folder_that_the_wheel_holds() -> None:
    shipped = re.findall(r'^"(\w+)" = "fleet/_files/', (ROOT / "pyproject.toml").read_text(), re.M)
    copied = {rest.split()[0] for word, rest in LINES if word == "COPY"}
    assert set(shipped) == {"templates", "crds", "clusters"}
    assert copied >= {"fleet", "pyproject.toml", *shipped}


def test_the_image_starts_the_command_as_nobody() -> None:
    last = {word: rest for word, rest in LINES}
    assert last["ENTRYPOINT"] == '["fleet"]'
    assert last["USER"] == "65532:65532"
    assert 'fleet = "fleet.cli.main:main"' in (ROOT / "pyproject.toml").read_text()


def test_images_name_no_registry() -> None:
    bases = [rest.split()[0] for word, rest in LINES if word == "FROM"]
    assert bases == ["python:3.11-slim"] * 2
