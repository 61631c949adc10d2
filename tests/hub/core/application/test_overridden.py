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
