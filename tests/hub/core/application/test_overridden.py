"""What overrides make of an Application for some members is held to the rules of the whole."""

from typing import Any

import pytest

from fleet.hub.core import policy
from fleet.hub.core.application import validation
from tests.hub import gen
from tests.hub.core.application.specs import put


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        pytest.param("/workload/replicas", 7, "", id="what is good stays good"),
        pytest.param(
            "/deliveryPolicy/rollout",
            {"maxSurge": "0%"},
            "spec.deliveryPolicy.rollout.maxSurge: is 0, and rollout.maxUnavailable too, ",
            id="how the engine goes about it",
        ),
        pytest.param(
            "/deliveryPolicy/strategy/canary/steps/0/hooks",
            ["load"],
            "spec.deliveryPolicy.strategy.canary.steps[0].hooks: there is no load in ",
            id="the strategy",
        ),
        pytest.param(
            "/deliveryPolicy/strategy/canary/steps/0/setCanaryScale",
            {"matchTrafficWeight": False},
            "spec.deliveryPolicy.strategy.canary.steps[0].setCanaryScale: needs exactly one way; ",
            id="pods apart from the weight",
        ),
        pytest.param(
            "/workload/template/spec/containers",
            [],
            "spec.workload.template.spec.containers: is missing: ",
            id="the workload",
        ),
    ],
)
def test_what_an_override_makes_is_held_to_the_same_rules(
    path: str, value: Any, sentence: str
) -> None:
    chosen = {"matchLabels": {"region": "ap"}}
    patch = {"clusterSelector": chosen, "patch": [put(path, value)]}
    own = gen.application(body=gen.spec() | {"overrides": [patch]}).spec
    spec = policy.resolve(own.delivery_policy).frozen(own)
    told = validation.overridden(spec, {"region": "ap"})
    assert told.startswith(sentence and f"after spec.overrides[0]: {sentence}")
    assert bool(told) is bool(sentence)
    assert validation.overridden(spec, {"region": "eu"}) == "", "it holds for nobody there"


B, C = ({"cookie": {"name": "variant", "value": value}} for value in "bc")
EXPERIMENT = {
    "variantBMatch": B,
    "variants": [
        {
            "matches": [C],
            "containers": [{"name": "app", "env": [{"name": "COLOUR", "value": "red"}]}],
        }
    ],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("/containers/0/env", [{}], id="a variable without a name"),
        pytest.param("/containers/0/env", [{"name": ["A"]}], id="a name that is a list"),
        pytest.param("/containers/0/env", [None], id="a variable that is none"),
        pytest.param("/containers/0/env", 5, id="a number of variables"),
        pytest.param("/containers", [{"name": {}}], id="a container of no name"),
    ],
)
def test_what_no_arm_can_be_made_of_is_for_the_member_to_refuse(path: str, value: Any) -> None:
    """No schema looks at what an override brings into a template."""
    patch = [put(f"/workload/template/spec{path}", value)]
    body = gen.spec() | {"overrides": [{"clusterSelector": {}, "patch": patch}]}
    body["deliveryPolicy"]["strategy"] = {"abTesting": EXPERIMENT}
    own = gen.application(body=body).spec
    spec = policy.resolve(own.delivery_policy).frozen(own)
    assert "variants" not in validation.overridden(spec, {"region": "ap"})
