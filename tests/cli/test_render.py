"""`fleet render`: what comes out, and what is said when it cannot.

Aspects: output forms, members from files and from options, overrides by label; every refusal with
its exact sentence and exit code. The rendering itself is tested in tests/rendering.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.api import Application, Fleet, schema, structure
from fleet.hub.core.application import decision
from fleet.hub.core.observed import ApplicationObserved
from fleet.kit import documents
from fleet.rendering import environment
from tests import shell
from tests.hub import gen
from tests.readme import README, ROOT

APPLICATION = ROOT / "examples/demo/application.yaml"
SPEC: dict[str, Any] = documents.one(APPLICATION.read_text())


def render(*words: str) -> shell.Done:
    return shell.fleet("render", *words)


def changed(path: Path, **spec: Any) -> str:
    path.write_text(yaml.safe_dump({**SPEC, "spec": {**SPEC["spec"], **spec}}))
    return str(path)


def test_names_tell_what_a_member_would_get() -> None:
    done = render("-f", str(APPLICATION), "--cluster", "eu-7", "-o", "name")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "eu-7 rollouts/checkout",
        "eu-7 services/checkout",
        "eu-7 services/checkout-canary",
        "eu-7 httproutes/checkout",
    ]


def test_yaml_can_be_read_back() -> None:
    done = render("-f", str(APPLICATION), "--cluster", "eu-7")
    kinds = [item["kind"] for item in documents.every(done.stdout) if item]
    assert kinds == ["Rollout", "Service", "Service", "HTTPRoute"]


def test_an_override_applies_where_its_labels_match(tmp_path: Path) -> None:
    override = {
        "clusterSelector": {"matchLabels": {"region": "ap"}},
        "patch": [{"op": "replace", "path": "/workload/replicas", "value": 2}],
    }
    file = changed(tmp_path / "app.yaml", overrides=[override])
    replicas = {}
    for region in ("ap", "eu"):
        done = render("-f", file, "--cluster", "x", "--labels", f"region={region}", "-o", "json")
        assert done.returncode == 0, done.stderr
        replicas[region] = json.loads(done.stdout)["items"][0]["spec"]["replicas"]
    assert replicas == {"ap": 2, "eu": 3}


DEFAULTS: dict[str, Any] = {
    "rollout": {"progressDeadlineSeconds": 1200},
    "hooks": [{"name": "told", "type": "post-rollout", "url": "https://gate.example.com/done"}],
}
FLEET: dict[str, Any] = documents.one((ROOT / "examples/demo/fleet.yaml").read_text())


def as_stored(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """An Application as an API server gives it back."""
    spec = schema.openapi(Application)["properties"]["spec"]
    return {**manifest, "spec": structure.stored(spec, manifest["spec"])}


@pytest.mark.parametrize("apart", [True, False], ids=["in a file of its own", "in one file"])
def test_what_the_fleet_says_holds_as_in_the_hub(tmp_path: Path, apart: bool) -> None:
    """The defaults and the revision are those that a hub would have."""
    spec = {**FLEET["spec"], "defaults": {"deliveryPolicy": DEFAULTS}}
    objects = [SPEC, {**FLEET, "spec": spec}]
    texts = [yaml.safe_dump(item) for item in objects]
    files = [tmp_path / f"{number}.yaml" for number in range(2)]
    for file, text in zip(files, texts if apart else ["---\n".join(texts), ""], strict=True):
        file.write_text(text)
    words = (word for file in files for word in ("-f", str(file)))
    done = render(*words, "--cluster", "alpha", "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    drawn = json.loads(done.stdout)["items"][0]["spec"]
    assert drawn["progressDeadlineSeconds"] == 1200
    assert [hook["name"] for hook in drawn["hooks"]] == ["told"]
    app, fleet = Application.parse(as_stored(SPEC)), Fleet.parse(objects[1])
    members = gen.members("alpha")
    observed = ApplicationObserved(
        fleet=fleet, members=members, templates=environment.read(ROOT / "templates").digest
    )
    assert drawn["fleetRevision"] == decision.accept(app, observed).revision


def test_a_file_is_read_as_the_hub_reads_it_once_it_is_applied(tmp_path: Path) -> None:
    """With the defaults of the schema and in its order: else every plan would begin a run."""
    file = tmp_path / "stored.yaml"
    file.write_text(yaml.safe_dump(as_stored(SPEC)))
    (port,) = as_stored(SPEC)["spec"]["workload"]["template"]["spec"]["containers"][0]["ports"]
    assert port == {"containerPort": 8080, "protocol": "TCP"}
    given, stored = (render("-f", str(path), "--cluster", "alpha") for path in (APPLICATION, file))
    assert "protocol: TCP" in given.stdout
    assert given.stdout == stored.stdout


def test_the_command_of_the_readme_leaves_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = re.search(r"`fleet (render [^`]+)`", README.read_text())
    assert found is not None
    monkeypatch.chdir(ROOT)
    done = shell.fleet(*found[1].split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("# cluster alpha\n---\n")


def test_a_fleet_that_is_in_no_file_is_named() -> None:
    done = render("-f", str(APPLICATION), "--cluster", "eu-7", "-o", "name")
    said = "Fleet production is in none of the files: add it with -f, if it has defaults\n"
    assert (done.returncode, done.stderr) == (0, said)


def test_a_member_that_the_fleet_does_not_take_is_named() -> None:
    files = (str(APPLICATION), "-f", str(ROOT / "examples/demo/fleet.yaml"))
    done = render("-f", *files, "--cluster", "alpha", "--cluster", "aplha", "-o", "name")
    said = "aplha is neither named nor selected by fleet production\n"
    assert (done.returncode, done.stderr) == (0, said)


STRATEGY = SPEC["spec"]["deliveryPolicy"]["strategy"]["canary"]
POLICY = SPEC["spec"]["deliveryPolicy"]
WORKLOAD = SPEC["spec"]["workload"]
TEMPLATE = WORKLOAD["template"]
PODS = TEMPLATE["spec"]
EMPTIED = {
    "clusterSelector": {"matchExpressions": [{"key": "region", "operator": "DoesNotExist"}]},
    "patch": [{"op": "replace", "path": "/workload/template/spec/containers", "value": []}],
}
REFUSALS = [
    pytest.param(
        {"overrides": [EMPTIED]},
        "InvalidSpec: cluster eu-7: after spec.overrides[0]: spec.workload.template.spec."
        "containers: is missing: write at least one container\n",
        id="an-override-that-breaks-it",
    ),
    pytest.param(
        {"deliveryPolicy": {**POLICY, "strategy": {}}},
        "InvalidSpec: Application checkout: spec.deliveryPolicy.strategy: has none; "
        "write exactly one of canary, simple, blueGreen and abTesting\n",
        id="no-strategy",
    ),
    pytest.param(
        {"deliveryPolicy": {**POLICY, "strategy": {"canary": STRATEGY, "simple": {}}}},
        "InvalidSpec: Application checkout: spec.deliveryPolicy.strategy: has canary and simple; "
        "write exactly one of canary, simple, blueGreen and abTesting\n",
        id="two-strategies",
    ),
    pytest.param(
        {
            "deliveryPolicy": {
                **POLICY,
                "strategy": {"canary": {"steps": [{"setWeight": w} for w in (50, 20, 100)]}},
            }
        },
        "InvalidSpec: Application checkout: spec.deliveryPolicy.strategy.canary.steps[1].setWeight:"
        " must be greater than the one before it (50), it is 20; write growing weights, of which "
        "100 can only be the last\n",
        id="a-falling-weight",
    ),
    pytest.param(
        {"workload": {**WORKLOAD, "template": {**TEMPLATE, "spec": {"container": [], **PODS}}}},
        "InvalidSpec: {file}: Application checkout: spec.workload.template.spec.container: unknown "
        "field; did you mean containers?\n",
        id="an-unknown-field-of-a-pod",
    ),
    pytest.param(
        {"workload": {**WORKLOAD, "template": {"spec": PODS}}},
        "InvalidSpec: Application checkout: spec.workload.template.metadata.labels: is missing: "
        "write at least app: <name>\n",
        id="pods-without-labels",
    ),
    pytest.param(
        {"deliveryPolcy": {}},
        "InvalidSpec: {file}: Application checkout: spec.deliveryPolcy: unknown field; "
        "did you mean deliveryPolicy?\n",
        id="an-unknown-field",
    ),
]


@pytest.mark.parametrize(("spec", "message"), REFUSALS)
def test_a_bad_spec_is_refused_with_field_value_and_correction(
    spec: dict[str, Any], message: str, tmp_path: Path
) -> None:
    file = changed(tmp_path / "app.yaml", **spec)
    done = render("-f", file, "--cluster", "eu-7")
    assert (done.stderr, done.returncode) == (message.replace("{file}", file), 1)


@pytest.mark.parametrize("command", ["plan", "simulate"])
def test_nothing_is_planned_that_could_not_be_rendered(command: str, tmp_path: Path) -> None:
    """The hub would not accept it either: one of the members breaks by its override."""
    meta = {"name": "eu-7", "namespace": "shop"}
    spec = {"kubeconfig": {"secretRef": {"name": "eu-7"}}, "allowedNamespaces": ["checkout"]}
    member = {"apiVersion": SPEC["apiVersion"], "kind": "MemberCluster", "metadata": meta}
    fleet = {**member, "kind": "Fleet", "metadata": {**meta, "name": "production"}}
    others = [{**member, "spec": spec}, {**fleet, "spec": {"members": {"names": ["eu-7"]}}}]
    (tmp_path / "others.yaml").write_text(yaml.safe_dump_all(others))
    changed(tmp_path / "app.yaml", overrides=[EMPTIED])
    done = shell.fleet(command, "-f", str(tmp_path))
    said = "InvalidSpec: cluster eu-7: after spec.overrides[0]: spec.workload.template.spec."
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ("-f", str(APPLICATION)),
            "Usage: which member? write --cluster NAME, or add a MemberCluster with -f\n",
            id="no-member",
        ),
        pytest.param(
            ("-f", str(ROOT / "examples/demo/fleet.yaml"), "--cluster", "a"),
            "Usage: no Application in the files: add one with -f\n",
            id="no-application",
        ),
        pytest.param(
            ("-f", str(APPLICATION), "--cluster", "a", "--labels", "ring"),
            "Usage: --labels 'ring': write key=value, key=value, …\n",
            id="a-label-without-value",
        ),
        pytest.param(
            ("-f", str(APPLICATION), "--cluster", "a", "-o", "xml"),
            "Usage: --output xml: write yaml, json or name\n",
            id="an-unknown-output",
        ),
    ],
)
def test_wrong_usage_says_what_to_write(words: tuple[str, ...], message: str) -> None:
    done = render(*words)
    assert (done.stderr, done.returncode) == (message, 2)


def test_a_template_error_names_cluster_template_and_line(tmp_path: Path) -> None:
    for file in (ROOT / "templates").glob("*.j2"):
        (tmp_path / file.name).write_text(file.read_text())
    broken = "kind: Service\nname: {{ application.nmae }}\n"
    (tmp_path / "services.yaml.j2").write_text(broken)
    done = render("-f", str(APPLICATION), "--cluster", "eu-7", "--templates", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        "TemplateError: cluster eu-7: template services.yaml.j2 line 2: "
        "'dict object' has no attribute 'nmae'\n"
    )
