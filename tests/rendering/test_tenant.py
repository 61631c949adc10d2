"""What a tenant may give in the place of the hub's templates, and what may come of it."""

from typing import Any

import pytest

from fleet.api.fleetrollout import Snapshot
from fleet.errors import UserError
from fleet.rendering import render, tenant
from tests.hub import gen
from tests.hub.world import TEMPLATES

ROLLOUT = dict(TEMPLATES.files)["rollout.yaml.j2"]
SERVICE = "apiVersion: v1\nkind: Service\n"
SPEC = "spec: {selector: {app: x}, ports: [{port: 80}]}\n"
ROUTE = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: checkout}\n"
IN_ROLLOUT = "rollout.yaml.j2: Rollout checkout:"
IN_SERVICE = "services.yaml.j2: Service checkout:"
LABELS = {"fleet.kulta.io/templates": "true"}
WORDS = "rollout.yaml.j2, services.yaml.j2, httproute.yaml.j2, _macros.j2"


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        pytest.param({"data": {"services.yaml.j2": "a: 1"}}, "", id="one template"),
        pytest.param({"data": dict.fromkeys(tenant.NAMES, "x")}, "", id="all of them"),
        pytest.param({}, f"it is empty: write {WORDS}", id="nothing"),
        pytest.param(
            {"data": {"rollot.yaml.j2": "a: 1", "services.yaml.j2": "a: 1"}},
            f"rollot.yaml.j2: there is no such template: write {WORDS}",
            id="a name that is none",
        ),
        pytest.param(
            {"data": {"rollout.yaml.j2": 5}},
            "rollout.yaml.j2: must be text: write rollout.yaml.j2: |",
            id="a number",
        ),
        pytest.param({"data": ["a"]}, "data: must be an object of templates", id="a list"),
        pytest.param(
            {"binaryData": {"services.yaml.j2": "eA=="}},
            "services.yaml.j2: is binary: write it into data",
            id="binary",
        ),
        pytest.param(
            {"data": {"services.yaml.j2": "€" * 21_846}},
            "65538 bytes: at most 65536 together",
            id="too much",
        ),
    ],
)
def test_a_configmap(body: dict[str, Any], wrong: str) -> None:
    found = tenant.read({"metadata": {"name": "own"}, **body})
    assert found.wrong == wrong
    assert dict(found.files) == ({} if wrong else body["data"])


def made(**texts: str) -> dict[str, Any]:
    """Kind/name → manifest for the cluster `eu-7`; `services` stands for `services.yaml.j2`."""
    own = {f"{name}.yaml.j2": text for name, text in texts.items()}
    snapshot = Snapshot(name="checkout", spec=gen.application().spec, templates=own)
    items = render.render(TEMPLATES, gen.delivery(snapshot, gen.cluster("eu-7")))
    return {f"{item.resource.kind}/{item.name}": item.manifest for item in items}


def service(meta: str = "name: checkout", spec: str = SPEC) -> str:
    return f"{SERVICE}metadata: {{{meta}}}\n{spec}"


def test_own_templates_stand_beside_the_hubs() -> None:
    found = made(services=f"{service()}---\n{service('name: checkout-extra')}")
    services = ["Service/checkout", "Service/checkout-extra"]
    assert list(found) == ["Rollout/checkout", *services, "HTTPRoute/checkout"]


def strategy(text: str) -> str:
    """The hub's Rollout with that strategy."""
    head, _, _ = ROLLOUT.partition("  strategy:\n")
    return f"{head}  strategy: {{{text}}}\n"


CANARY = "canary: {{stableService: {}, canaryService: checkout-canary, trafficRouting: {}}}"
GATEWAY = "{{gatewayAPI: {{{}}}}}"
OURS = GATEWAY.format("httpRoute: checkout")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(CANARY.format("checkout", OURS), "", id="what the hub's own templates print"),
        pytest.param(
            CANARY.format("bank", OURS),
            "canary.stableService: no Service bank is printed: print it as well",
            id="a canary between Services of somebody else",
        ),
        pytest.param(
            "blueGreen: {activeService: checkout, previewService: checkout-bank}",
            "blueGreen.previewService: no Service checkout-bank is printed: print it as well",
            id="a preview in a Service that only has our name before its own",
        ),
        pytest.param(
            "abTesting: {variantAService: checkout, variantBService: checkout-canary, "
            "matches: [{headers: [{name: x, value: y}]}], variants: [{service: bank, "
            "matches: [{headers: [{name: x, value: z}]}], containers: [{name: app, image: x}]}]}",
            "abTesting.variants[0].service: no Service bank is printed: print it as well",
            id="an arm behind somebody else's Service",
        ),
        pytest.param(
            CANARY.format("checkout", GATEWAY.format("httpRoute: bank")),
            "canary.trafficRouting.gatewayAPI.httpRoute: no HTTPRoute bank is printed: print it as "
            "well",
            id="somebody else's route",
        ),
        pytest.param(
            CANARY.format("checkout", GATEWAY.format("httpRoutes: [{name: bank}]")),
            "canary.trafficRouting.gatewayAPI.httpRoutes[0].name: no HTTPRoute bank is printed: "
            "print it as well",
            id="somebody else's route in a list",
        ),
        pytest.param(
            CANARY.format("checkout", GATEWAY.format("httpRouteSelector: {matchLabels: {a: b}}")),
            "canary.trafficRouting.gatewayAPI.httpRouteSelector: templates print HTTPRoutes: "
            "write gatewayAPI.httpRoute",
            id="all routes with a label",
        ),
        pytest.param(
            CANARY.format("checkout", "{nginx: {stableIngresses: [bank]}}"),
            "canary.trafficRouting.nginx: templates print HTTPRoutes: write gatewayAPI.httpRoute",
            id="somebody else's Ingress",
        ),
    ],
)
def test_a_rollout_names_only_what_is_printed_with_it(text: str, fault: str) -> None:
    if not fault:
        assert "Rollout/checkout" in made(rollout=strategy(text))
        return
    with pytest.raises(UserError) as caught:
        made(rollout=strategy(text))
    assert str(caught.value) == f"cluster eu-7: template {IN_ROLLOUT} spec.strategy.{fault}"


def test_nor_does_the_name_of_a_service_that_is_not_printed_give_one_away() -> None:
    with pytest.raises(UserError, match="stableService: no Service checkout is printed"):
        made(services=service("name: checkout-extra"))


def test_a_deployment_is_nobodys_to_give() -> None:
    head = ROLLOUT.partition("  selector:")[0]
    text = f"{head}  workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: bank}}\n"
    with pytest.raises(UserError, match=r"spec\.workloadRef: write selector and template"):
        made(rollout=f"{text}  strategy: {{simple: {{}}}}\n")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        pytest.param(
            {"services": service("name: payments")},
            "services.yaml.j2: Service payments: metadata.name: must be checkout, checkout-…",
            id="another one's name",
        ),
        pytest.param(
            {"services": service("name: checkout-A")},
            "services.yaml.j2: Service checkout-A: metadata.name must match "
            "^[a-z]([-a-z0-9]*[a-z0-9])?$ (is 'checkout-A')",
            id="a name that no server takes",
        ),
        pytest.param(
            {"rollout": ROLLOUT.replace("{{ application.name | to_json }}", "checkout-2", 1)},
            "rollout.yaml.j2: Rollout checkout-2: metadata.name: must be checkout",
            id="another Rollout",
        ),
        pytest.param(
            {"rollout": ROLLOUT.replace("{{ revision | to_json }}", "mine")},
            f"{IN_ROLLOUT} spec.fleetRevision: write {{{{ revision | to_json }}}}",
            id="a revision of one's own",
        ),
        pytest.param(
            {"rollout": ROLLOUT.replace("spec:\n", "spec:\n  hold: {reason: x}\n", 1)},
            f"{IN_ROLLOUT} spec.hold: only the hub writes that",
            id="a hold",
        ),
        pytest.param(
            {
                "rollout": ROLLOUT.replace(
                    "metadata:\n", 'metadata:\n  annotations: {kulta.io/promote: "true"}\n', 1
                )
            },
            f"{IN_ROLLOUT} metadata.annotations.kulta.io/promote: only the "
            "hub and the engine write that",
            id="a request to the engine",
        ),
        pytest.param(
            {"services": service("name: checkout, labels: {rollouts.kulta.io/type: stable}")},
            f"{IN_SERVICE} metadata.labels.rollouts.kulta.io/type: only the "
            "hub and the engine write that",
            id="a label of the engine's",
        ),
        pytest.param(
            {"services": service("name: checkout, labels: [a]")},
            f"{IN_SERVICE} metadata.labels must be an object (is ['a'])",
            id="labels that are none",
        ),
        pytest.param(
            {"services": service("name: checkout, finalizers: [a]")},
            f"{IN_SERVICE} metadata.finalizers: unknown field",
            id="a finalizer",
        ),
        pytest.param(
            {"services": service(spec="spec: {externalIPs: [10.0.0.1], selector: {}, ports: []}")},
            f"{IN_SERVICE} spec.externalIPs: unknown field",
            id="an address of somebody else",
        ),
        pytest.param(
            {"services": service(spec="spec: {type: NodePort, selector: {}, ports: []}")},
            f"{IN_SERVICE} spec.type must be one of ClusterIP (is 'NodePort')",
            id="a port of every node",
        ),
        pytest.param(
            {"services": service(spec="")},
            f"{IN_SERVICE} spec is required",
            id="no spec",
        ),
        pytest.param(
            {"httproute": f"{ROUTE}spec: {{parentRefs: [], rules: [{{backendRefs: [x]}}]}}"},
            "httproute.yaml.j2: HTTPRoute checkout: spec.rules[0].backendRefs[0] must be an object "
            "(is 'x')",
            id="a backend that is none",
        ),
        pytest.param(
            {"services": "\n---\n".join(service(f"name: checkout-{n}") for n in range(32))},
            "services.yaml.j2: Service checkout-31: more than 32 objects for one member",
            id="too many objects",
        ),
    ],
)
def test_what_may_not_come_of_them(texts: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        made(**texts)
    assert caught.value.reason == "TemplateError"
    assert str(caught.value) == f"cluster eu-7: template {message}"


@pytest.mark.parametrize(
    ("manifest", "meant"),
    [
        pytest.param({"kind": "ConfigMap", "metadata": {"labels": LABELS}}, True, id="labelled"),
        pytest.param({"kind": "ConfigMap", "metadata": {}}, False, id="without labels"),
        pytest.param({"kind": "ConfigMap", "metadata": [1]}, False, id="a list for metadata"),
        pytest.param(
            {"kind": "ConfigMap", "metadata": {"labels": ["a"]}}, False, id="a list for labels"
        ),
        pytest.param({"kind": "Secret", "metadata": {"labels": LABELS}}, False, id="a Secret"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_only_a_configmap_that_says_so_is_meant(manifest: dict[str, Any], meant: bool) -> None:
    assert tenant.is_meant(manifest) is meant
