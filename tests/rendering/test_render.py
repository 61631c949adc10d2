"""What a template may print, and the sentence for everything that it may not."""

import time
from typing import Any

import pytest

from fleet.api.fleetrollout import Snapshot
from fleet.api.names import APPLIED_ANNOTATION, CLUSTER_LABEL, SERVICES
from fleet.errors import UserError
from fleet.kit import hashing
from fleet.rendering import render
from fleet.rendering.environment import TemplateSet
from tests.hub import gen
from tests.hub.world import TEMPLATES

ROLLOUT = dict(TEMPLATES.files)["rollout.yaml.j2"]
SERVICE = "apiVersion: v1\nkind: Service\n"


def made(
    templates: TemplateSet = TEMPLATES, body: dict[str, Any] | None = None, **labels: str
) -> dict[str, Any]:
    """Kind/name → manifest for the cluster `eu-7`."""
    snapshot = Snapshot(name="checkout", spec=gen.application(body=body or gen.spec()).spec)
    cluster = gen.cluster("eu-7", **labels)
    items = render.render(templates, gen.delivery(snapshot, cluster))
    return {f"{item.resource.kind}/{item.name}": item.manifest for item in items}


def with_(**texts: str) -> TemplateSet:
    """Our templates with some replaced; `services` stands for `services.yaml.j2`."""
    return TemplateSet.of(
        dict(TEMPLATES.files) | {f"{name}.yaml.j2": text for name, text in texts.items()}
    )


@pytest.mark.parametrize(
    ("templates", "message"),
    [
        pytest.param(
            with_(services="a: 1\n\n{{ application.nme }}\n"),
            "template services.yaml.j2 line 3: 'dict object' has no attribute 'nme'",
            id="an unknown variable",
        ),
        pytest.param(
            with_(services="{% if %}"),
            "template services.yaml.j2 line 1: Expected an expression, got 'end of statement "
            "block'",
            id="a template that is no template",
        ),
        pytest.param(
            with_(services="x: {{ application.template }}"),
            "template services.yaml.j2 line 1: an object cannot be printed: use the filter "
            "to_json or to_yaml",
            id="an object printed raw",
        ),
        pytest.param(
            with_(services="x: {{ application.strategy.analysis }}"),
            "template services.yaml.j2 line 1: null cannot be printed: use the filter to_json or "
            "to_yaml",
            id="a null printed raw",
        ),
        pytest.param(
            with_(services="a: b: c"),
            "template services.yaml.j2: not YAML: mapping values are not allowed in this context "
            "(line 1 of its output)",
            id="no YAML",
        ),
        pytest.param(
            with_(services="a: !!python/object/apply:os.system [ls]"),
            "template services.yaml.j2: not YAML: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object/apply:os.system' (line 1 of its output)",
            id="YAML that runs something",
        ),
        pytest.param(
            with_(services="a: 2026-02-31"),
            "template services.yaml.j2: not YAML: day is out of range for month",
            id="a day that is none",
        ),
        pytest.param(
            with_(services="a: &a\n  b: *a\n"),
            "template services.yaml.j2: not YAML: an alias is not allowed here: write the value "
            "out (line 2 of its output)",
            id="a value that holds itself",
        ),
        pytest.param(
            with_(services="[" * 40_000),
            "template services.yaml.j2: is nested too deeply",
            id="YAML that would overflow a stack",
        ),
        pytest.param(
            with_(services="- 1"),
            "template services.yaml.j2: a document is not an object",
            id="a list",
        ),
        pytest.param(
            with_(services="apiVersion: v1\nkind: Secret\nmetadata: {name: x}"),
            "template services.yaml.j2: Secret (v1) is not allowed: write Rollout "
            "(kulta.io/v1beta1), Service (v1), HTTPRoute (gateway.networking.k8s.io/v1)",
            id="a kind that is not allowed",
        ),
        pytest.param(
            with_(services=SERVICE),
            "template services.yaml.j2: Service: metadata.name is required",
            id="no name",
        ),
        pytest.param(
            with_(services=f"{SERVICE}metadata: {{name: x}}\nstatus: {{}}"),
            "template services.yaml.j2: Service: status: unknown field",
            id="a field that is not ours",
        ),
        pytest.param(
            with_(services=f"{SERVICE}metadata: {{name: x}}\n---\n{SERVICE}metadata: {{name: x}}"),
            "template services.yaml.j2: Service x comes twice",
            id="one object twice",
        ),
        pytest.param(
            with_(rollout=ROLLOUT.replace("replicas:", "replcas:")),
            "template rollout.yaml.j2: Rollout checkout: spec.replcas: unknown field",
            id="an unknown field of the Rollout",
        ),
        pytest.param(
            with_(rollout=""),
            "template rollout.yaml.j2: 0 Rollouts: exactly one is needed",
            id="no Rollout",
        ),
        pytest.param(
            with_(services="{% for n in range(10000) %}{{ 'x' * 1000 }}{% endfor %}"),
            "template services.yaml.j2: more than 1048576 bytes of output",
            id="an endless output",
        ),
        pytest.param(
            with_(services="{% for n in range(100000000) %}x{% endfor %}"),
            "template services.yaml.j2 line 1: range() of 100000000 items: at most 10000",
            id="an endless loop",
        ),
        pytest.param(
            with_(services="{{ ''.__class__.__mro__ }}"),
            "template services.yaml.j2 line 1: access to attribute '__class__' of 'str' object is "
            "unsafe.",
            id="a way out of the sandbox",
        ),
        pytest.param(
            with_(services='{% include "/etc/passwd" %}'),
            "template services.yaml.j2 line 1: there is no template /etc/passwd",
            id="a file",
        ),
    ],
)
def test_refusals(templates: TemplateSet, message: str) -> None:
    with pytest.raises(UserError) as caught:
        made(templates)
    assert caught.value.reason == "TemplateError"
    told = str(caught.value)
    assert told.startswith("cluster eu-7: ")
    assert told.removeprefix("cluster eu-7: ") == message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("evil: {{ '\n  namespace: kube-system' }}", id="lines in a value"),
        pytest.param('x: "{{ \'a" , b: c\' }}"', id="quotes in a value"),
    ],
)
def test_a_value_cannot_break_out_of_our_templates(text: str) -> None:
    body = gen.spec()
    body["workload"]["template"]["metadata"]["labels"]["app"] = text
    manifest = made(body=body)["Rollout/checkout"]
    assert manifest["spec"]["template"]["metadata"]["labels"]["app"] == text
    assert set(manifest["spec"]) == {
        "replicas", "fleetRevision", "selector", "template", "strategy",
    }  # fmt: skip


def test_namespace_and_labels_are_forced() -> None:
    text = f"{SERVICE}metadata: {{name: x, namespace: kube-system, labels: {{team: a}}}}"
    metadata = made(with_(services=text))["Service/x"]["metadata"]
    assert metadata["namespace"] == "checkout"
    assert metadata["labels"] == {
        "team": "a",
        "app.kubernetes.io/name": "checkout",
        "app.kubernetes.io/managed-by": "kulta-fleet",
        "fleet.kulta.io/application": "checkout",
        "fleet.kulta.io/cluster": "eu-7",
        "fleet.kulta.io/namespace": "shop",
    }


CANARY, SIMPLE = {"canary": {"steps": gen.STEPS}}, {"simple": {}}
STABLE, NEW = "Service/checkout", "Service/checkout-canary"


@pytest.mark.parametrize(
    ("strategy", "without", "kinds"),
    [
        pytest.param(CANARY, [], [STABLE, NEW, "HTTPRoute/checkout"], id="a canary with a route"),
        pytest.param(CANARY, ["route"], [STABLE], id="without a route one Service for all pods"),
        pytest.param(SIMPLE, [], [STABLE, "HTTPRoute/checkout"], id="simple has one Service"),
        pytest.param(SIMPLE, ["route", "service"], [], id="or none"),
    ],
)
def test_what_is_rendered(strategy: dict[str, Any], without: list[str], kinds: list[str]) -> None:
    body = gen.spec(strategy=strategy)
    for key in without:
        del body["workload"][key]
    assert list(made(body=body)) == ["Rollout/checkout", *kinds]


@pytest.mark.parametrize(
    ("strategy", "without"),
    [
        pytest.param(SIMPLE, [], id="simple"),
        pytest.param(CANARY, ["route"], id="a canary whose weights are replica counts"),
    ],
)
def test_the_one_service_selects_all_pods(strategy: dict[str, Any], without: list[str]) -> None:
    body = gen.spec(strategy=strategy)
    for key in without:
        del body["workload"][key]
    items = made(body=body)
    assert items[STABLE]["spec"]["selector"] == {
        "fleet.kulta.io/application": "checkout",
        "rollouts.kulta.io/rollout": "checkout",
    }
    canary = items["Rollout/checkout"]["spec"]["strategy"].get("canary", {})
    assert canary.get("stableService") in (None, "checkout-stable"), "the engine lets it be"


def test_the_digest_changes_with_the_content_only() -> None:
    first, second = made(), made(body=gen.spec("shop:v2"))
    assert first["Service/checkout"] == second["Service/checkout"]
    digests = [
        item["Rollout/checkout"]["metadata"]["annotations"]["fleet.kulta.io/applied"]
        for item in (first, second)
    ]
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({}, id="which has no labels of its own"),
        pytest.param({"labels": None, "annotations": None}, id="which has none, and says so"),
        pytest.param({"labels": {"what": "?"}, "annotations": {"why": "??"}}, id="with questions"),
        pytest.param({"labels": {CLUSTER_LABEL: "eu-7", "odd": None}}, id="with one of ours"),
        pytest.param({"annotations": {APPLIED_ANNOTATION: "?"}}, id="with a digest"),
    ],
)
@pytest.mark.parametrize("cluster", ["eu-1", "?", 'a"b'])
def test_the_digest_is_that_of_the_whole(metadata: dict[str, Any], cluster: str) -> None:
    """Whichever part of it was written down before the member was known."""
    document = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [], "x": "???"}}
    drawn = render.Drawn.of(SERVICES, {**document, "metadata": {"name": "a", **metadata}})
    form = render.Form.of(drawn, "shop", {"z": "1", CLUSTER_LABEL: "", "a": "2"})
    made = form.filled(cluster).manifest
    annotations = metadata.get("annotations") or {}
    labels = {**(metadata.get("labels") or {}), "z": "1", CLUSTER_LABEL: cluster, "a": "2"}
    whole = {"name": "a", "namespace": "shop", "labels": labels, "annotations": annotations}
    digest = hashing.digest({**document, "metadata": whole})
    told = {**annotations, APPLIED_ANNOTATION: digest}
    assert made == {**document, "metadata": {**whole, "annotations": told}}


def test_what_a_text_is_full_of_costs_no_more_than_its_length() -> None:
    """A tenant writes it, and the hub has no time for anybody else meanwhile."""
    text = "?" * 200_000
    document = {"apiVersion": "v1", "kind": "Service", "spec": {"x": text}}
    metadata = {"name": "a", "annotations": {"why": text}}
    drawn = render.Drawn.of(SERVICES, {**document, "metadata": metadata})
    began = time.process_time()
    form = render.Form.of(drawn, "shop", {CLUSTER_LABEL: ""})
    assert time.process_time() - began < 1.0, "seconds; it was minutes"
    assert form.filled("eu-7").manifest["metadata"]["annotations"]["why"] == text


PROMETHEUS = {"metrics": [{"name": "error-rate", "threshold": 5}]}


def test_credentials_go_with_the_address() -> None:
    """The name of a Secret in the member, never its content."""
    place = {"address": "https://m", "secretRef": {"name": "metrics"}}
    strategy = {"canary": {"steps": gen.STEPS, "analysis": PROMETHEUS}}
    spec = gen.application(body=gen.spec(strategy=strategy)).spec
    cluster = gen.cluster("eu-7")
    own = cluster.spec.model_validate(cluster.spec.model_dump() | {"prometheus": place})
    cluster = cluster.model_copy(update={"spec": own})
    snapshot = Snapshot(name="checkout", spec=spec)
    manifest = render.render(TEMPLATES, gen.delivery(snapshot, cluster))[0].manifest
    assert manifest["spec"]["strategy"]["canary"]["analysis"]["prometheus"] == place


@pytest.mark.parametrize(
    ("own", "member", "fleet", "address"),
    [
        pytest.param("http://own", "http://m", "http://f", "http://own", id="the strategy's own"),
        pytest.param("", "http://m", "http://f", "http://m", id="else the member's"),
        pytest.param("", "", "http://f", "http://f", id="else the fleet's"),
        pytest.param("", "", "", None, id="else the engine's"),
    ],
)
def test_which_prometheus_is_asked(own: str, member: str, fleet: str, address: str | None) -> None:
    analysis = PROMETHEUS | ({"prometheus": {"address": own}} if own else {})
    strategy = {"canary": {"steps": gen.STEPS, "analysis": analysis}}
    snapshot = Snapshot(
        name="checkout", spec=gen.application(body=gen.spec(strategy=strategy)).spec
    )
    cluster, all_ = gen.cluster("eu-7"), gen.fleet()
    if member:
        spec = cluster.spec.model_validate(
            cluster.spec.model_dump() | {"prometheus": {"address": member}}
        )
        cluster = cluster.model_copy(update={"spec": spec})
    if fleet:
        all_ = gen.fleet(members={"names": ["eu-7"]}, defaults={"prometheus": {"address": fleet}})
    manifest = render.render(TEMPLATES, gen.delivery(snapshot, cluster, all_))[0].manifest
    found = manifest["spec"]["strategy"]["canary"]["analysis"].get("prometheus")
    assert (found["address"] if found else None) == address


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}", id="a stranger"),
    ],
)
def test_the_engine_is_one_deployment(text: str) -> None:
    templates = TemplateSet.of(dict(TEMPLATES.files) | {"engine/deployment.yaml.j2": text})
    setup = render.EngineSetup(image="i", version="1")
    with pytest.raises(UserError) as caught:
        render.engine(templates, gen.cluster("eu-7"), setup)
    assert str(caught.value) == (
        "cluster eu-7: template engine/deployment.yaml.j2: must be one Deployment named "
        "kulta-controller"
    )


def test_an_empty_document_is_none() -> None:
    """A condition in a template leaves such a one behind."""
    one = f"{SERVICE}metadata: {{name: x}}"
    found = with_(services=f"---\n---\n{one}\n---\n")
    assert "Service/x" in made(found)
