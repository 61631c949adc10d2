"""What is kept of a live object when ours is put in: the engine's fields, the server's, others'."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.api.names import (
    APPLIED_ANNOTATION,
    CLUSTER_LABEL,
    HTTPROUTES,
    MANAGED_RULES,
    ROLLOUTS,
    SERVICES,
    Resource,
)
from fleet.hub.core.cluster import ownership
from fleet.rendering.render import Drawn, Form, Rendered

UDP = {"port": 53, "protocol": "UDP"}
OURS = {"fleet.kulta.io/application": "shop", CLUSTER_LABEL: "eu-7"}
STABLE, CANARY = {"name": "shop", "port": 80}, {"name": "shop-canary", "port": 80}


def wish(resource: Resource, spec: dict[str, Any]) -> Rendered:
    drawn = Drawn.of(resource, {"metadata": {"name": "shop"}, "spec": spec})
    return replace(Form.of(drawn, "checkout", OURS).filled(OURS[CLUSTER_LABEL]), digest="new")


def live(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "shop",
            "resourceVersion": "7",
            "labels": {"team": "a"},
            "annotations": {APPLIED_ANNOTATION: "old", "rollouts.kulta.io/original-weights": "x"},
        },
        "spec": spec,
    }


def rules(stable: int, canary: int) -> list[dict[str, Any]]:
    return [{"backendRefs": [{**STABLE, "weight": stable}, {**CANARY, "weight": canary}]}]


@pytest.mark.parametrize(
    ("resource", "before", "wanted", "after"),
    [
        pytest.param(
            SERVICES,
            {"clusterIP": "10.0.0.1", "selector": {"hash": "abc"}, "ports": [{"port": 80}]},
            {"selector": {"type": "stable"}, "ports": [{"port": 81, "protocol": "TCP"}]},
            {
                "clusterIP": "10.0.0.1",
                "selector": {"hash": "abc"},
                "ports": [{"port": 81, "protocol": "TCP"}],
            },
            id="a Service's selector is the engine's once it exists",
        ),
        pytest.param(
            SERVICES,
            {"ports": [{"port": 80, "protocol": "TCP", "nodePort": 30_000}], "selector": {}},
            {"ports": [{"port": 80, "targetPort": "http"}], "selector": {"a": "b"}},
            {"ports": [{"port": 80, "targetPort": "http", "nodePort": 30_000}], "selector": {}},
            id="a node port stays with its port",
        ),
        pytest.param(
            SERVICES,
            {"ports": [{"port": 53, "nodePort": 1}, {**UDP, "nodePort": 2}]},
            {"selector": {"a": "b"}, "ports": [UDP, {"port": 53}, {"port": 80}]},
            {
                "selector": {"a": "b"},
                "ports": [{**UDP, "nodePort": 2}, {"port": 53, "nodePort": 1}, {"port": 80}],
            },
            id="ports of two protocols are two, and TCP need not be said",
        ),
        pytest.param(
            SERVICES,
            {"type": "ClusterIP"},
            {"selector": {"a": "b"}},
            {"type": "ClusterIP", "selector": {"a": "b"}, "ports": []},
            id="a Service without a selector gets ours",
        ),
        pytest.param(
            HTTPROUTES,
            {"parentRefs": [{"name": "old"}], "hostnames": ["a"], "rules": rules(80, 20)},
            {"parentRefs": [{"name": "new"}], "rules": rules(100, 0)},
            {"parentRefs": [{"name": "new"}], "rules": rules(80, 20)},
            id="live weights stay, parents change, hostnames that are gone go",
        ),
        pytest.param(
            HTTPROUTES,
            {"rules": [{"backendRefs": [STABLE]}]},
            {"rules": rules(100, 0)},
            {"rules": rules(100, 0)},
            id="a rule with other backends begins with our weights",
        ),
        pytest.param(
            HTTPROUTES,
            {"rules": [{"backendRefs": [{**STABLE, "kind": "Service", "weight": 9}, CANARY]}]},
            {"rules": rules(100, 0)},
            {"rules": rules(9, 1)},
            id="a backend is a Service where nobody says what, and its weight 1",
        ),
        pytest.param(
            HTTPROUTES,
            {"rules": [{"filters": ["old"]}]},
            {"rules": [{"filters": ["new"]}, {"filters": [], "backendRefs": None}]},
            {"rules": [{"filters": ["new"]}, {"filters": [], "backendRefs": None}]},
            id="a rule that leads nowhere, as one that redirects, is ours",
        ),
        pytest.param(
            HTTPROUTES,
            {"rules": [{"backendRefs": [{**STABLE, "kind": "Import"}, CANARY]}]},
            {"rules": rules(100, 0)},
            {"rules": rules(100, 0)},
            id="one of another kind is another backend",
        ),
        pytest.param(
            HTTPROUTES,
            {"rules": [{"backendRefs": [{**STABLE, "port": 81}, CANARY]}]},
            {"rules": rules(100, 0)},
            {"rules": rules(100, 0)},
            id="and so is one on another port",
        ),
        pytest.param(
            HTTPROUTES,
            {"hostnames": ["a"], "rules": rules(80, 20)},
            {"hostnames": ["b"], "rules": rules(100, 0)},
            {"hostnames": ["b"], "rules": rules(80, 20)},
            id="hostnames are ours",
        ),
        pytest.param(
            ROLLOUTS,
            {"replicas": 3, "paused": True},
            {"replicas": 4},
            {"replicas": 4},
            id="a Rollout's spec is all ours",
        ),
    ],
)
def test_merge(
    resource: Resource, before: dict[str, Any], wanted: dict[str, Any], after: dict[str, Any]
) -> None:
    assert ownership.merged(live(before), wish(resource, wanted))["spec"] == after


EXPERIMENT = {"matches": [{"headers": []}], "backendRefs": [{"name": "shop-b", "weight": 100}]}


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        pytest.param(
            '{"shop": [{"name": "b", "service": "shop-b", "matches": [{"headers": []}]}]}',
            [EXPERIMENT],
            id="rules that the engine recorded stay in front",
        ),
        pytest.param('{"shop": []}', [], id="a rule that nobody recorded goes"),
        pytest.param("no JSON", [], id="a broken record names none"),
        pytest.param('["shop-b"]', [], id="neither does one of another shape"),
    ],
)
def test_rules_of_an_experiment(record: str, kept: list[dict[str, Any]]) -> None:
    route = live({"rules": [EXPERIMENT, *rules(80, 20)]})
    route["metadata"]["annotations"][MANAGED_RULES] = record
    merged = ownership.merged(route, wish(HTTPROUTES, {"rules": rules(100, 0)}))
    assert merged["spec"]["rules"] == [*kept, *rules(80, 20)]
    assert merged["metadata"]["annotations"][MANAGED_RULES] == record


def test_labels_and_annotations_of_others_stay() -> None:
    metadata = ownership.merged(live({}), wish(SERVICES, {"ports": []}))["metadata"]
    assert metadata["labels"] == {"team": "a", **OURS}
    assert metadata["annotations"] == {
        APPLIED_ANNOTATION: "new",
        "rollouts.kulta.io/original-weights": "x",
    }
    assert metadata["resourceVersion"] == "7"


def test_an_owner_that_does_not_say_where_it_is() -> None:
    labels = {"app.kubernetes.io/managed-by": "kulta-fleet", "fleet.kulta.io/application": "cart"}
    found = {"metadata": {"name": "shop", "namespace": "web", "labels": labels}}
    told = "Service shop in namespace web belongs to the Application ?/cart: rename one of the two"
    assert ownership.foreign(found, "Service").startswith(told)


def test_the_live_object_is_not_touched() -> None:
    before = live({"rules": rules(80, 20)})
    ownership.merged(before, wish(HTTPROUTES, {"rules": rules(100, 0)}))
    assert before == live({"rules": rules(80, 20)})
